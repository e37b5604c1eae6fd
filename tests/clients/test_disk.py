"""A full disk: refused with the protocol's own words, read on, and well again without a restart."""

import os
import subprocess
import tempfile

from harness import Backend, Jet, Like, Server, Skip, User, eq, eventually, test


class SmallDisk:
    """A file system of a few megabytes."""

    def __init__(self, megabytes):
        self.dir = tempfile.mkdtemp(prefix="weir-disk-")
        got = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "weir-test", self.dir],
                             capture_output=True, text=True)
        if got.returncode:
            os.rmdir(self.dir)
            raise Skip(f"a file system cannot be mounted here: {got.stderr.strip()}")

    def ballast(self, leave):
        """Fills it until only so many bytes are left."""
        stat = os.statvfs(self.dir)
        size = stat.f_bavail * stat.f_frsize - leave
        with open(os.path.join(self.dir, "ballast"), "ab") as file:
            while size > 0:
                size -= file.write(b"x" * min(size, 1 << 20))
                file.flush()

    def free(self):
        os.remove(os.path.join(self.dir, "ballast"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", self.dir], capture_output=True)
        try:
            os.rmdir(self.dir)
        except OSError:
            subprocess.run(["umount", "-l", self.dir], capture_output=True)


def fill(jet):
    """Inserts until it is refused; how many went in."""
    stored = 0
    for _ in range(3000):
        reply = jet.insert("a", [{"n": stored + k, "pad": "x" * 10_000} for k in range(10)])
        if not reply["success"]:
            eq(reply, {"type": "insert_response", "success": False, "error": "Storage is full"})
            return stored
        stored += 10
    raise AssertionError("never full")


@test
def full_disk():
    with SmallDisk(96) as disk:
        with Server("[disk]\ncritical_bytes = 16777216\nlow_percent = 20",
                    data_dir=os.path.join(disk.dir, "data")) as server:
            with Jet(server) as jet, Backend(server) as backend:
                jet.create("a")
                backend.pop("chat")
                with User(server) as user:
                    user.send("before")
                    eq(backend.event()["d"]["frame"]["data"], "before")
                disk.ballast(32 << 20)
                stored = fill(jet)
                assert stored > 0
                # Every way in says so, and nothing of it is stored.
                reply = server.http("POST jsonjet /api/insert", {"target": "a", "data": {"n": -1}})
                eq((reply.status, reply.json), (507, {"success": False, "error": "Storage is full"}))
                eq(reply.headers["retry-after"], "5")
                eq(jet.execute("insert into a {n: -1}"), Like(success=False, error="Storage is full"))
                reply = server.http("POST jsonjet /api/execute", {"query": "insert into a {n: -1}"})
                eq((reply.status, reply.headers["retry-after"]), (507, "5"))
                eq(server.http("GET admin /ready").status, 503)
                eq(server.http("GET admin /health").status, 200)
                with User(server) as user:
                    user.send("refused")
                    eq(user.closed(), (1013, "storage is full"))
                # Reads go on, and what stores nothing.
                with Jet(server) as late:
                    late.subscribe("a", replay="all")
                    eq([m["data"]["n"] for m in late.take(stored)], list(range(stored)))
                eq(backend.ok("mesh.publish", {"c": "x", "d": "y"}), {"s": 0, "f": 0})
                disk.free()
                eventually(lambda: jet.insert("a", {"n": stored})["success"], "writes go on")
                eventually(lambda: server.http("GET admin /ready").status == 200, "ready")
                with User(server) as user:
                    user.send("after")
                    eq(backend.event()["d"]["frame"]["data"], "after")
            eq(server.stop(), 0)
            server.start()
            with Jet(server) as late:
                late.subscribe("a", replay="all")
                eq([m["data"]["n"] for m in late.take(stored + 1)], list(range(stored + 1)))


@test
def really_full_disk():
    """No byte left at all, and no margin kept: what was acknowledged is there, and it recovers."""
    with SmallDisk(48) as disk:
        with Server("[disk]\ncritical_bytes = 0\nlow_percent = 0", data_dir=os.path.join(disk.dir, "data")) as server:
            with Jet(server) as jet:
                jet.create("a")
                disk.ballast(12 << 20)
                stored = fill(jet)
                disk.ballast(0)
                eq(jet.insert("a", {"n": -1})["success"], False)
                with Jet(server) as late:
                    late.subscribe("a", replay="all")
                    eq([m["data"]["n"] for m in late.take(stored)], list(range(stored)))
                disk.free()
                eventually(lambda: jet.insert("a", {"n": stored})["success"], "writes go on")
            server.restart(by_kill=True)
            with Jet(server) as late:
                late.subscribe("a", replay="all")
                eq([m["data"]["n"] for m in late.take(stored + 1)], list(range(stored + 1)))


@test
def trimming_instead_of_refusing():
    """A log larger than the disk: the oldest segments go, and writes go on by themselves."""
    with SmallDisk(500) as disk:
        with Server('[retention]\non_full = "trim"\n[disk]\ncritical_bytes = 200000000',
                    data_dir=os.path.join(disk.dir, "data")) as server, Jet(server) as jet:
            jet.create("a")
            total = 6000
            for n in range(0, total, 10):
                records = [{"n": k, "pad": "x" * 100_000} for k in range(n, n + 10)]
                # Free space is looked at now and then: a quick writer may be refused until there is room.
                eventually(lambda: jet.insert("a", records)["success"], "room")
            with Jet(server) as late:
                late.subscribe("a", replay=10)
                eq([m["data"]["n"] for m in late.take(10)], list(range(total - 10, total)))
            with Jet(server) as late:
                late.subscribe("a", replay="all")
                eq(late.recv()["data"]["n"] > 0, True)
