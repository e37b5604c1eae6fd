"""What is measured: contenders and scenarios, as data.

A contender is a server with options and the arguments of the generator that fit it. A scenario is one command of
the generator with its arguments, the windows that every contender may choose its best from, and who takes part.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Contender:
    """One row of a table. Those whose server is weir are compared, the others are peers."""

    server: str
    args: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    # Windows of its own where the scenario's would not do it justice.
    windows: tuple = ()


def weir(proto: str, retain: int | None = None, cores: str | None = None, **options) -> Contender:
    """weir with keys of its configuration."""
    args = {"proto": proto} | ({} if retain is None else {"retain": retain})
    if cores is not None:
        options["cores"] = cores
    return Contender("weir", args, {"durability": "os"} | options)


CONTENDERS = {
    "weir mesh": weir("mesh"),
    "weir mesh, spin 0": weir("mesh", spin_us=0),
    "weir mesh, spin 50": weir("mesh", spin_us=50),
    "weir mesh, 2 shards on a core": weir("mesh", shards=2, pin=False),
    "weir mesh, 2 shards on 2 cores": weir("mesh", shards=2, cores="0,1"),
    "weir log os": weir("jsonjet"),
    "weir pipe": weir("jsonjet", retain=0),
    "weir os": weir("jsonjet"),
    "weir group": weir("jsonjet", durability="group"),
    "weir jsonjet": weir("jsonjet"),
    "weir, 2 shards": weir("jsonjet", shards=2, cores="0,1"),
    "uws": Contender("uws", {"proto": "uws"}),
    "nats": Contender("nats", {"proto": "nats"}),
    "mosquitto": Contender("mosquitto", {"proto": "mqtt"}, windows=(16, 64)),
    "redis everysec": Contender("redis", {"proto": "redis"}, {"appendfsync": "everysec"}),
    "redis always": Contender("redis", {"proto": "redis"}, {"appendfsync": "always"}),
    "jetstream": Contender("nats", {"proto": "jetstream"}),
    "floor": Contender("none", {}),
}


@dataclass(frozen=True)
class Scenario:
    """One table row group."""

    name: str
    command: str
    contenders: tuple
    args: dict = field(default_factory=dict)
    windows: tuple = (None,)
    # The figure that runs are ordered by, and whether more of it is better.
    metric: str = "deliveries_s"
    more: bool = True
    # Compared with this contender instead of with the best peer.
    against: str | None = None
    # Bytes of log written before the runs.
    fill: int = 0


LIVE = ("weir mesh", "uws", "nats", "mosquitto")
LATE = ("weir mesh, spin 0", "weir mesh, spin 50", "uws", "nats", "mosquitto")
IDLE = 10_000


def fan_out():
    """Live fan-out without a log: shapes, sizes and the windows to choose from."""
    for subs, windows in ((1, (64, 256, 2048)), (100, (64, 256, 1024)), (1000, (16, 64, 256))):
        for size in (64, 256, 1024):
            args = {"subs": subs, "size": size}
            yield Scenario(f"fan-out 1->{subs} {size} B", "fanout", LIVE, args, windows)
    many = {"channels": 1000, "subs": 10, "size": 64}
    windows = (256, 1024, 4096)
    yield Scenario("fan-out 1000x10 on 100 connections 64 B", "fanout", LIVE, many | {"conns": 100}, windows)
    wide = many | {"conns": IDLE}
    windows = (1024, 8192, 32768)
    yield Scenario("fan-out 1000x10 on 10000 connections 64 B", "fanout", LIVE[:3], wide, windows)


def logged():
    """Fan-out of logged records, against the same stream that keeps nothing, and against the mesh."""
    contenders = ("weir log os", "weir pipe", "weir mesh")
    for subs, size, windows in ((1, 256, (256, 2048)), (100, 256, (64, 256)), (1000, 256, (64, 256))):
        args = {"subs": subs, "size": size}
        yield Scenario(
            f"logged 1->{subs} {size} B", "fanout", contenders, args, windows, against="weir pipe"
        )


def latency():
    """Open loop at fixed rates."""
    for subs, rate in ((1, 20_000), (100, 1_000), (1000, 50)):
        args = {"subs": subs, "size": 256, "rate": rate}
        yield Scenario(f"latency 1->{subs} 256 B at {rate}/s", "fanout", LATE, args, metric="us_p50", more=False)


def ingest():
    """Acknowledged inserts of 150-byte records; the floor is one synced write after the other."""
    loose, synced = ("weir os", "redis everysec", "jetstream"), ("weir group", "redis always")
    for conns, window in ((1, 1), (1, 64), (1, 1024), (16, 64)):
        args = {"conns": conns, "window": window}
        shape = f"{conns} x {window}"
        yield Scenario(f"ingest written {shape}", "ingest", loose, args, metric="acks_s")
        floor = ("floor",) if (conns, window) == (1, 1) else ()
        yield Scenario(f"ingest synced {shape}", "ingest", synced + floor, args, metric="acks_s")


def shards():
    """Publisher and subscribers spread over two shards, against one."""
    contenders = ("weir mesh", "weir mesh, 2 shards on a core", "weir mesh, 2 shards on 2 cores")
    for subs, windows in ((100, (256, 1024)), (1000, (256, 1024))):
        args = {"subs": subs, "size": 256}
        yield Scenario(f"two shards 1->{subs} 256 B", "fanout", contenders, args, windows, against="weir mesh")


def memory():
    """Idle connections, each subscribed to a channel of many."""
    idle = {"channels": IDLE // 10, "subs": 10, "conns": IDLE, "size": 64}
    contenders = ("weir mesh", "weir jsonjet", "uws", "nats")
    yield Scenario("memory of 10000 idle subscribers", "idle", contenders, idle, metric="bytes_conn_anon", more=False)


def start():
    """Process start to first accepted connection, and what is resident then."""
    yield Scenario("start, empty directory", "start", ("weir, 2 shards",), metric="start_ms", more=False)
    yield Scenario("start, 1 GiB of log", "start", ("weir, 2 shards",), metric="start_ms", more=False, fill=1 << 30)


SCENARIOS = [*fan_out(), *logged(), *latency(), *ingest(), *shards(), *memory(), *start()]
