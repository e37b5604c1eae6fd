"""The process: start, stop, restart, what it refuses to start with, descriptors, the command line."""

import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import tempfile
import time

from harness import (ANY, BINARY, FRONT_ENDS, PATIENCE, Backend, Jet, Like, Raw, Server, Skip, User, eq, eventually,
                     free_ports, fresh, rows, shared, test, weir)
from websockets.exceptions import WebSocketException


@test
def restart_keeps_what_was_said():
    for by_kill in (False, True):
        with Server(top="shards = 2") as server:
            with Jet(server) as jet:
                for name in ("a", "b", "plant.s1"):
                    jet.create(name)
                jet.create("kept", "with { retain: 3 }")
                jet.create("pipe", "with { retain: 0 }")
                jet.create("gone")
                jet.execute("delete stream gone")
                for name in ("a", "plant.s1", "kept", "pipe"):
                    eq(jet.insert(name, [{"n": n} for n in range(100)])["count"], 100)
            for _ in range(2):
                server.restart(by_kill)
                eq(server.http("GET jsonjet /api/streams").json["streams"], ["_log", "a", "b", "plant.s1", "kept", "pipe"])
                with Jet(server) as jet:
                    for name, first in (("a", 0), ("b", 100), ("plant.s1", 0), ("kept", 97), ("pipe", 100)):
                        eq(jet.subscribe(name, replay="all")["type"], "subscribed")
                        eq([m["data"]["n"] for m in jet.take(100 - first)], list(range(first, 100)))
                    eq(jet.hello["clientId"], 1)
                eq(server.count("a"), 100)
            with Jet(server) as jet:
                eq(jet.insert("a", {"n": 100})["success"], True)


@test
def sigterm_closes_with_1001():
    with Server(top="shards = 2") as server:
        server.execute("create stream a")
        clients = [Jet(server) for _ in range(5)] + [User(server), Backend(server), Raw(server, "jsonjet")]
        for n in range(1000):
            clients[n % 5].send({"type": "insert", "target": "a", "data": {"n": n}})
        clients[0].recv()
        begin = time.monotonic()
        server.signal(signal.SIGTERM)
        for client in clients[:-1]:
            eq(client.closed()[0], 1001)
        eq(server.wait(), 0)
        assert time.monotonic() - begin < 5.5, "longer than 5 s"
        server.start()
        stored = server.count("a")
        assert stored >= 1


@test
def sigint_ends_as_well():
    with Server() as server:
        server.signal(signal.SIGINT)
        eq(server.wait(), 0)


@test
def second_sigterm_ends_at_once():
    with Server(top="shards = 2") as server:
        # Clients that never answer the close hold the first one up, if anything does.
        raws = [Raw(server, "jsonjet") for _ in range(20)]
        for raw in raws:
            raw.upgrade("/ws")
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGTERM)
        server.wait(5)


@test
def silent_peers_do_not_hold_up_the_stop():
    with Server() as server:
        raws = [Raw(server, "jsonjet") for _ in range(20)]
        for raw in raws[:10]:
            raw.upgrade("/ws")
        begin = time.monotonic()
        eq(server.stop(), 0)
        assert time.monotonic() - begin < 5.5, "longer than 5 s"


def refuses(server, *texts, code=None):
    """The server does not start, and says why."""
    server.spawn()
    status = server.wait()
    assert status != 0 and (code is None or status == code), status
    said = server.tail(4000)
    for text in texts:
        assert re.search(text, said, re.I), f"{text!r} not in {said}"
    assert "panicked" not in said, said


@test
def data_dir_in_use():
    with Server() as first, Server(data_dir=first.data, start=False) as second:
        refuses(second, re.escape(first.data), "use")
        eq(first.http("GET admin /ready").status, 200)


@test
def port_in_use():
    with Server() as server, Server(start=False) as other:
        text = pathlib.Path(other.config).read_text()
        text = text.replace(str(other.ports["jsonjet"]), str(server.ports["jsonjet"]))
        pathlib.Path(other.config).write_text(text)
        refuses(other, str(server.ports["jsonjet"]), "use|bind")
    with Server(start=False) as server, socket.socket() as holder:
        holder.bind(("127.0.0.1", server.ports["admin"]))
        holder.listen()
        refuses(server, str(server.ports["admin"]), "use|bind")


@test
def data_dir_that_cannot_be():
    with tempfile.TemporaryDirectory() as scratch:
        file = os.path.join(scratch, "file")
        pathlib.Path(file).write_text("x")
        for path in (file, os.path.join(file, "below"), "/proc/weir"):
            with Server(data_dir=path, start=False) as server:
                refuses(server, re.escape(path))


@test
def data_dir_without_permission():
    if os.geteuid() != 0:
        raise Skip("needs root, to become somebody else")
    with tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)
        data = os.path.join(scratch, "data")
        os.mkdir(data, 0o755)
        prefix = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        if subprocess.run([*prefix, BINARY, "version"], capture_output=True).returncode:
            raise Skip("setpriv, or the way to the binary, is missing")
        with Server(data_dir=data, start=False, prefix=prefix) as server:
            os.chmod(server.dir, 0o755)
            refuses(server, re.escape(data), "permission|writ")


# name, text, what is said
CONFIGS = [
    ("unknown key", "data_dri = 'x'", "data_dri", "data_dir"),
    ("unknown table", "[lisen]\njsonjet = 'off'", "lisen", "listen"),
    ("unknown key below", "[listen]\njsonjett = 'off'", "jsonjett", "jsonjet"),
    ("wrong type", "shards = 'two'", "shards", ":1:"),
    ("out of range", "shards = 65", "shards", "64"),
    ("bad address", "[listen]\njsonjet = 'nowhere'", "jsonjet", ":2:"),
    ("bad word", "durability = 'maybe'", "durability", "group"),
    ("no TOML", "data_dir = ", ":1:"),
    ("open to all", "[listen]\njsonjet = '0.0.0.0:3333'", "allow_open"),
    ("two ports alike", "[listen]\njsonjet = '127.0.0.1:3333'\nmesh = '127.0.0.1:3333'", "3333"),
    ("route without topic", "[[mesh.route]]\npath = '/x'", "topic"),
    ("route twice", "[[mesh.route]]\npath='/x'\ntopic='a'\n[[mesh.route]]\npath='/x'\ntopic='b'", "/x"),
    ("user without secret", "[[user]]\nname = 'x'", "password"),
    ("unknown role", "[[user]]\nname = 'x'\ntoken = 'y'\nroles = ['king']", "king"),
    ("bad event", "[[mesh.route]]\npath='/x'\ntopic='a'\nevents=['hello']", "handshake"),
    ("node too large", "[mesh]\nnode = 1024", "node", "1023"),
    ("many at once", "shards = -1\ndurability = 5\nnope = 1", "shards", "durability", "nope"),
]


@rows(CONFIGS)
def bad_config(text, *said):
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "weir.toml")
        pathlib.Path(path).write_text(text)
        for command in ("check", "serve"):
            got = weir(command, "--config", path, cwd=scratch)
            eq(got.returncode, 2)
            for part in said:
                assert part in got.stdout + got.stderr, f"{command}: {part!r} not in {got.stdout}{got.stderr}"
            assert "panicked" not in got.stderr
        eq(os.listdir(scratch), ["weir.toml"])


@test
def no_config_file():
    for command in ("check", "serve"):
        got = weir(command, "--config", "/nowhere/weir.toml")
        assert got.returncode == 2 and "/nowhere/weir.toml" in got.stderr, got


@test
def check_says_what_would_be_used():
    with Server("[mesh]\nnode = 7", start=False) as server:
        got = server.weir("check")
        eq(got.returncode, 0)
        for text in (server.data, f'127.0.0.1:{server.ports["raw"]}', "node = 7"):
            assert text in got.stdout, got.stdout
        path = os.path.join(server.dir, "again.toml")
        pathlib.Path(path).write_text(got.stdout)
        again = weir("check", "--config", path)
        eq(again.returncode, 0)
        eq(again.stdout, got.stdout)
        defaults = weir("check", "--defaults")
        eq(defaults.returncode, 0)
        pathlib.Path(path).write_text(defaults.stdout)
        eq(weir("check", "--config", path).returncode, 0)


@test
def out_of_descriptors():
    """Accepting pauses without a spin, and goes on when there is room."""
    with Server(top="shards = 2", prefix=["prlimit", "--nofile=128:128"]) as server:
        jet = Jet(server)
        jet.create("a")
        eq(jet.insert("a", {"n": 0})["success"], True)
        raws = []
        for _ in range(300):
            raws.append(Raw(server, "users"))
        eq(jet.insert("a", {"n": 1})["success"], True)
        time.sleep(0.5)
        before = server.cpu_seconds()
        time.sleep(2)
        used = server.cpu_seconds() - before
        assert used < 1.0, f"{used} s of CPU in 2 s of doing nothing"
        eq(jet.insert("a", {"n": 2})["success"], True)
        for raw in raws:
            raw.close()
        eventually(lambda: works(server), "served again")
        assert server.metric("weir_accept_exhausted_total") >= 1
        with Jet(server) as late:
            late.subscribe("a", replay="all")
            eq([m["data"]["n"] for m in late.take(3)], [0, 1, 2])
        jet.close()


def works(server):
    try:
        return server.http("GET jsonjet /api/streams", timeout=2).status == 200
    except OSError:
        return False


@test
def idle_server_does_not_spin():
    with Server(top="shards = 2") as server:
        clients = [Jet(server) for _ in range(10)]
        time.sleep(0.5)
        before = server.cpu_seconds()
        time.sleep(2)
        used = server.cpu_seconds() - before
        assert used < 0.5, f"{used} s of CPU in 2 s of doing nothing"
        for client in clients:
            client.close()


# ---------------------------------------------------------------- the admin port

@test
def admin_port():
    with Server() as server:
        eq(server.http("GET admin /health").text, "ok\n")
        eq(server.http("GET admin /ready").status, 200)
        eq(server.http("GET admin /nope").status, 404)
        eq(server.http("POST admin /health").status, 405)
        eq(server.http("GET admin /debug/echo").status, 404)
        eq(server.http("GET admin /").status, 200)
        server.execute("create stream a")
        with Jet(server) as jet, Jet(server) as reader:
            reader.subscribe("a")
            for n in range(10):
                jet.insert("a", {"n": n})
            reader.take(10)
            page = server.http("GET admin /metrics")
            eq(page.headers["content-type"], re.compile("^application/openmetrics-text"))
            lines = page.text.splitlines()
            eq(lines[-1], "# EOF")
            sample = re.compile(r'^[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+-]+(inf|nan)?$', re.I)
            for line in lines:
                assert line.startswith(("# TYPE ", "# HELP ", "# EOF")) or sample.match(line), line
            eq(server.metric("weir_websockets", front_end="jsonjet"), 2)
            eventually(lambda: server.metric("weir_subscriptions") == 1, "gauges are read now and then")
            eq(server.metric("weir_records_total") >= 10, True)
            eq(server.metric("weir_messages_in_total", front_end="jsonjet") >= 11, True)
            eq(server.metric("weir_log_syncs_total") >= 1, True)
            eq(server.metric("weir_ready"), 1)


# ---------------------------------------------------------------- the command line

@test
def version():
    got = weir("version")
    eq(got.returncode, 0)
    eq(got.stdout, re.compile(r"^weir \d+\.\d+\.\d+"))


@test
def unknown_command():
    for arguments in (["srve"], ["serve", "--nope"], [], ["pub"]):
        got = weir(*arguments)
        eq(got.returncode, 2)
        assert "Usage" in got.stderr + got.stdout, got


@test
def publish_and_subscribe():
    with Server() as server:
        got = server.weir("pub", "a", '{"n":0}')
        assert got.returncode != 0 and "--create" in got.stderr + got.stdout, got
        eq(server.weir("pub", "--create", "a", '{"n":0}').returncode, 0)
        eq(server.weir("pub", "a", '[{"n":1},{"n":2}]').returncode, 0)
        eq(server.weir("pub", "a", "-", stdin="".join(f'{{"n":{n}}}\n' for n in range(3, 5000))).returncode, 0)
        assert server.weir("pub", "a", "{nope").returncode != 0
        eq(server.count("a"), 5000)
        for arguments, first in ((["--from", "earliest"], 0), (["--from", "4000"], 4000)):
            reader = subprocess.Popen([BINARY, "sub", "a", *arguments, "--config", server.config], text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            eq([json.loads(reader.stdout.readline())["n"] for _ in range(first, 5000)], list(range(first, 5000)))
            reader.send_signal(signal.SIGINT)
            reader.communicate(timeout=PATIENCE)
        reader = subprocess.Popen([BINARY, "sub", "a", "--json", "--config", server.config], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        eventually(lambda: server.execute("info a")["result"]["info"]["userSubscriberCount"] == 1, "subscribed")
        server.weir("pub", "a", '{"n":"live"}')
        eq(json.loads(reader.stdout.readline()), Like(type="data", streamName="a", data={"n": "live"}))
        reader.stdout.close()  # Nobody reads any more: it ends with the next record.
        server.weir("pub", "a", '{"n":1}')
        server.weir("pub", "a", '{"n":1}')
        reader.wait(PATIENCE)
        reader.stderr.close()
        got = server.weir("topics")
        eq(got.returncode, 0)
        assert re.search(r"\ba\b.*\b5003\b", got.stdout), got.stdout
        got = server.weir("sub", "nope")
        assert got.returncode != 0 and "nope" in got.stderr, got
        server.stop()
        got = server.weir("topics")
        assert got.returncode != 0 and str(server.ports["jsonjet"]) in got.stderr, got


@test
def statements_say_what_they_did():
    server = shared()
    stream = fresh()
    for statement, said, out in (
        (f"create stream {stream}", f"Stream '{stream}' created\n", ""),
        (f"{stream}", "", ""),
        (f"delete stream {stream}", "", f'{{"streamName":"{stream}"}}\n'),
    ):
        got = server.weir("query", statement)
        eq((got.returncode, got.stderr, got.stdout), (0, said, out))


@test
def inspect():
    with Server(top="shards = 2") as server:
        server.execute("create stream a")
        with Jet(server) as jet:
            jet.insert("a", [{"n": n, "pad": "x" * 100} for n in range(2000)])
        server.kill()
        before = {p: p.read_bytes() for p in pathlib.Path(server.data).rglob("*") if p.is_file()}
        for arguments in ([], ["--verify"]):
            got = weir("inspect", *arguments, server.data)
            eq(got.returncode, 0)
            assert "2000 records" in got.stdout and "0 places damaged" in got.stdout, got.stdout
        eq({p: p.read_bytes() for p in pathlib.Path(server.data).rglob("*") if p.is_file()} == before, True)
        # A byte in the middle of the records: reported, and the server starts and serves the others.
        [(path, data)] = [(p, d) for p, d in before.items() if d.count(b'"pad"') > 1000]
        at = data.index(b'"n": 1000') + 6
        path.write_bytes(data[:at] + b"X" + data[at + 1:])
        got = weir("inspect", "--verify", server.data)
        assert got.returncode != 0 or re.search("damage|corrupt", got.stdout + got.stderr, re.I), got
        server.start()
        with Jet(server) as jet:
            jet.subscribe("a", replay="all")
            jet.insert("a", {"n": "after"})
            seen = []
            while (message := jet.recv())["type"] != "insert_response":
                seen.append(message["data"]["n"])
            assert len(set(seen)) == len(seen) and set(seen) <= {*range(2000), "after"} - {1000}, "a wrong record"
    got = weir("inspect", "/nowhere")
    assert got.returncode != 0 and "/nowhere" in got.stderr, got


@test
def demo():
    with Server(start=False) as server:
        process = subprocess.Popen([BINARY, "serve", "--demo", "--config", server.config],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            server.proc = process
            eventually(lambda: works(server), "demo serves")
            eventually(lambda: server.count("sensor_data") > 3, "sensors speak")
            with Jet(server) as jet:
                jet.subscribe("sensor_data")
                eq(jet.recv(), Like(type="data", data=dict))
        finally:
            process.terminate()
            said = process.communicate(timeout=PATIENCE)[0]
        eq(process.returncode, 0)
        assert "sensor_data" in said, said
