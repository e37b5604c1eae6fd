"""What the client suites share: a server of their own, clients, and comparing.

A test is a function under `@test`; a table is a function under `@rows(TABLE)`, one test for each row.
Nothing asserts a time: time-outs only end what hangs.
"""

import base64
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("WEIR_BINARY") or str(
    pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release" / "weir")
FRONT_ENDS = ["jsonjet", "mesh", "users", "nsdb", "taos", "raw", "admin"]
PATIENCE = 20.0

TESTS = []


class Skip(Exception):
    """A test that this machine cannot run."""


def test(function):
    TESTS.append((f"{module(function)}.{function.__name__}", function))
    return function


def rows(table):
    """One test for each row; the first element of a row is its name."""
    def register(function):
        for row in table:
            name = f"{module(function)}.{function.__name__}[{str(row[0])[:70]}]"
            TESTS.append((name, lambda row=row: function(*row[1:])))
        return function
    return register


def module(function):
    return pathlib.Path(function.__code__.co_filename).stem


# ---------------------------------------------------------------- comparing

class Like:
    """An object that may have more keys than these."""
    def __init__(self, **keys):
        self.keys = keys

    def __repr__(self):
        return f"Like{self.keys}"


ANY = object()


def eq(got, want, path="$"):
    """Exact, order of keys included; types, patterns and ANY stand for values."""
    def fail(why):
        raise AssertionError(f"{path}: {why}; wanted {want!r}, got {str(got)[:600]}")

    if want is ANY:
        return
    if isinstance(want, Like):
        if not isinstance(got, dict):
            fail("no object")
        for key, value in want.keys.items():
            if key not in got:
                fail(f"no key {key}")
            eq(got[key], value, f"{path}.{key}")
    elif isinstance(want, type):
        if not isinstance(got, want) or (want is int and isinstance(got, bool)):
            fail("other type")
    elif isinstance(want, re.Pattern):
        if not isinstance(got, str) or not want.search(got):
            fail("no match")
    elif isinstance(want, dict):
        if not isinstance(got, dict):
            fail("no object")
        if list(got) != list(want):
            fail(f"keys {list(got)}")
        for key, value in want.items():
            eq(got[key], value, f"{path}.{key}")
    elif isinstance(want, (list, tuple)):
        if not isinstance(got, (list, tuple)) or len(got) != len(want):
            fail("no list of that length")
        for index, (a, b) in enumerate(zip(got, want)):
            eq(a, b, f"{path}[{index}]")
    elif isinstance(want, bool) != isinstance(got, bool) or got != want:
        fail("different")


def eventually(condition, what="condition", patience=PATIENCE):
    """Waits until the condition gives something true, and gives that."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"never came: {what}")
        time.sleep(0.02)


# ---------------------------------------------------------------- the server

PORT_LOCK = threading.Lock()
PORTS_GIVEN = set()
STARTED = set()    # every server with a process, for a run that is cut short


def free_ports(count):
    """Below the ephemeral range, so that no outgoing connection takes one before the server does."""
    ports = []
    with PORT_LOCK:
        while len(ports) < count:
            port = random.randrange(10000, 23000)
            if port in PORTS_GIVEN:
                continue
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            PORTS_GIVEN.add(port)
            ports.append(port)
    return ports


class Server:
    """One weir with its own directory and ports. `top` is for keys before the first table of the file."""

    def __init__(self, config="", top="", data_dir=None, start=True, prefix=()):
        self.dir = tempfile.mkdtemp(prefix="weir-test-")
        self.data = data_dir or os.path.join(self.dir, "data")
        self.ports = dict(zip(FRONT_ENDS, free_ports(len(FRONT_ENDS))))
        self.prefix, self.proc = list(prefix), None
        self.config = os.path.join(self.dir, "weir.toml")
        listen = "\n".join(f'{name} = "127.0.0.1:{port}"' for name, port in self.ports.items())
        with open(self.config, "w") as file:
            file.write(f'data_dir = "{self.data}"\n{top}\n[listen]\n{listen}\n\n{config}\n')
        if start:
            self.start()

    def spawn(self):
        self.log = open(os.path.join(self.dir, "log"), "ab")
        env = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "WEIR_LOG")}
        self.proc = subprocess.Popen([*self.prefix, BINARY, "serve", "--config", self.config],
                                     stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=env)
        STARTED.add(self)

    def start(self):
        self.spawn()
        self.wait_ready()

    def wait_ready(self):
        def ready():
            if self.proc.poll() is not None:
                raise AssertionError(f"the server ended with {self.proc.returncode}: {self.tail()}")
            try:
                # On a full disk it is not ready, and serves all the same.
                return self.http("GET admin /ready").text not in ("starting\n", "recovering\n")
            except OSError:
                return False
        eventually(ready, f"server ready; {self.tail()}")

    def tail(self, size=1500):
        with open(os.path.join(self.dir, "log"), "rb") as file:
            return file.read()[-size:].decode("utf-8", "replace")

    def signal(self, number):
        self.proc.send_signal(number)

    def wait(self, patience=PATIENCE):
        return self.proc.wait(patience)

    def stop(self):
        """SIGTERM, and its status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        if self.proc and self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()

    def restart(self, by_kill=False):
        if by_kill:
            self.kill()
        else:
            eq(self.stop(), 0)
        self.start()

    def remove(self):
        self.kill()
        STARTED.discard(self)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is not None and not isinstance(error, Skip):
            error.add_note(f"server log: {self.tail()}")
        self.remove()

    def cpu_seconds(self):
        with open(f"/proc/{self.proc.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self):
        with open(f"/proc/{self.proc.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def http(self, what, json_body=None, body=None, headers=None, auth=None, timeout=PATIENCE):
        method, front, path = what.split(" ", 2)
        return http_call(self.ports[front], method, path, json_body, body, headers, auth, timeout)

    def execute(self, query, **more):
        reply = self.http("POST jsonjet /api/execute", {"query": query}, **more)
        eq(reply.status, 200)
        return reply.json

    def count(self, stream):
        """How many records a stream ever took; none while it is not there."""
        info = self.execute(f"info {stream}").get("result")
        return info["info"]["documentCount"] if info else 0

    def metric(self, name, **labels):
        """The sum over what carries these labels."""
        total, seen = 0.0, False
        for line in self.http("GET admin /metrics").text.splitlines():
            head, _, value = line.rpartition(" ")
            if head.partition("{")[0] == name and all(f'{k}="{v}"' in head for k, v in labels.items()):
                total, seen = total + float(value), True
        assert seen, f"no metric {name} {labels}"
        return total

    def url(self, front, path):
        return f"ws://127.0.0.1:{self.ports[front]}{path}"

    def weir(self, *arguments, stdin=None, timeout=PATIENCE):
        return weir(*arguments, "--config", self.config, stdin=stdin, timeout=timeout)


def weir(*arguments, stdin=None, timeout=PATIENCE, **more):
    return subprocess.run([BINARY, *arguments], input=stdin, capture_output=True, text=True, timeout=timeout, **more)


SHARED, SHARED_LOCK = {}, threading.Lock()


def shared(config="", top="", setup=None):
    """The one server of this configuration, for tests that leave nothing behind."""
    with SHARED_LOCK:
        key = (config, top, setup)
        if key not in SHARED:
            SHARED[key] = Server(config, top)
            if setup:
                setup(SHARED[key])
        return SHARED[key]


NUMBERS = iter(range(1, 10**9))


def fresh(prefix="s"):
    return f"{prefix}{next(NUMBERS)}"


# ---------------------------------------------------------------- clients

class Reply:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def http_call(port, method, path, json_body=None, body=None, headers=None, auth=None, timeout=PATIENCE):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    headers = dict(headers or {})
    if json_body is not None:
        body = json.dumps(json_body)
        headers.setdefault("Content-Type", "application/json")
    if isinstance(body, str):
        body = body.encode()
    if auth:
        headers["Authorization"] = basic(*auth)
    try:
        connection.request(method, path, body, headers)
        return Reply(connection.getresponse())
    finally:
        connection.close()


class Ws:
    """A WebSocket whose messages are JSON."""

    def __init__(self, server, front, path, **more):
        more.setdefault("compression", None)
        self.ws = connect(server.url(front, path), max_size=None, ping_interval=None, max_queue=None,
                          open_timeout=PATIENCE, close_timeout=2, **more)

    def send(self, message):
        self.ws.send(json.dumps(message) if isinstance(message, (dict, list)) else message)

    def raw(self, timeout=PATIENCE):
        try:
            return self.ws.recv(timeout=timeout)
        except TimeoutError:
            raise AssertionError("nothing arrived") from None

    def recv(self, timeout=PATIENCE):
        return json.loads(self.raw(timeout))

    def take(self, count):
        return [self.recv() for _ in range(count)]

    def ask(self, message):
        self.send(message)
        return self.recv()

    def closed(self, timeout=PATIENCE):
        """Reads until the end: code and reason."""
        end = time.monotonic() + timeout
        while True:
            try:
                self.ws.recv(timeout=max(0.01, end - time.monotonic()))
            except TimeoutError:
                raise AssertionError("not closed") from None
            except ConnectionClosed as why:
                return (why.rcvd.code, why.rcvd.reason) if why.rcvd else (1006, "")

    def close(self, code=1000, reason=""):
        self.ws.close(code, reason)

    def abort(self):
        """The peer sees a reset."""
        self.ws.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.ws.socket.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ws.close()


class Jet(Ws):
    """A client of JSON streams, past its greeting."""

    def __init__(self, server, path="/ws", **more):
        super().__init__(server, "jsonjet", path, **more)
        self.hello = self.recv()

    def execute(self, query, **more):
        return self.ask({"type": "execute", "query": query, **more})

    def insert(self, target, data, **more):
        return self.ask({"type": "insert", "target": target, "data": data, **more})

    def subscribe(self, name, **more):
        return self.ask({"type": "subscribe", "streamName": name, **more})

    def create(self, name, options=""):
        eq(self.execute(f"create stream {name} {options}")["success"], True)


class Backend(Ws):
    """A backend of the mesh."""

    def __init__(self, server, **more):
        super().__init__(server, "mesh", "/ws/v1", **more)
        self.id = 0

    def call(self, method, params=ANY, **more):
        """The reply; `i` is checked."""
        self.id += 1
        message = {"m": method, "i": self.id, **more}
        if params is not ANY:
            message["p"] = params
        reply = self.ask(message)
        eq(reply.get("i"), self.id)
        return reply

    def ok(self, method, params=ANY):
        reply = self.call(method, params)
        eq(reply, {"E": None, "r": ANY, "i": int})
        return reply["r"]

    def code(self, method, params=ANY):
        reply = self.call(method, params)
        eq(reply, {"E": {"c": int, "m": str}, "i": int})
        return reply["E"]["c"]

    def pop(self, *topics, **more):
        eq(self.ok("queue.pop", {"t": list(topics), **more}), {"s": True})

    def event(self):
        message = self.recv()
        eq(message, {"e": "queue.pop", "p": ANY, "id": None})
        return message["p"]


class User(Ws):
    """An end user of the mesh."""

    def __init__(self, server, path="/chat", **more):
        super().__init__(server, "users", path, **more)


class Raw:
    """A bare socket that speaks what it is told to."""

    def __init__(self, server, front, rcvbuf=None):
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(("127.0.0.1", server.ports[front]))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data):
        self.sock.sendall(data)
        return self

    def fill(self):
        """More bytes, or false at the end."""
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            data = b""
        self.buffer += data
        return bool(data)

    def until(self, mark):
        while mark not in self.buffer:
            assert self.fill(), f"ended before {mark!r}: {self.buffer[:300]!r}"
        head, _, self.buffer = self.buffer.partition(mark)
        return head

    def exactly(self, count):
        while len(self.buffer) < count:
            assert self.fill(), f"ended before {count} bytes: {self.buffer[:300]!r}"
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def response(self, head_only=False):
        """Status, headers (lower case), body."""
        lines = self.until(b"\r\n\r\n").decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        status = int(lines[0].split()[1])
        size = 0 if head_only or status == 101 else int(headers.get("content-length", 0))
        return status, headers, self.exactly(size)

    def at_end(self):
        """Whether the server ended the connection, whatever it still sent."""
        end = time.monotonic() + PATIENCE
        while self.fill():
            assert time.monotonic() < end, "not ended"
        return True

    def upgrade(self, path, extra=""):
        self.send((f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n").encode())
        status, headers, _ = self.response()
        eq(status, 101)
        return headers

    def frame(self, payload, opcode=1, fin=True, mask=True, rsv=0):
        return self.send(frame(payload, opcode, fin, mask, rsv))

    def read_frame(self):
        """Opcode and payload."""
        first, second = self.exactly(2)
        size = second & 127
        if size > 125:
            size = int.from_bytes(self.exactly(2 if size == 126 else 8), "big")
        return first & 15, self.exactly(size)

    def close_code(self):
        """Reads until a close frame, and then the end."""
        while True:
            opcode, payload = self.read_frame()
            if opcode == 8:
                return int.from_bytes(payload[:2], "big") if payload else 1005

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def frame(payload, opcode=1, fin=True, mask=True, rsv=0, claimed=None):
    """One WebSocket frame; the mask is of zeros, so the payload stands as it is."""
    if isinstance(payload, str):
        payload = payload.encode()
    size = len(payload) if claimed is None else claimed
    head = bytes([(128 if fin else 0) | rsv << 4 | opcode])
    bit = 128 if mask else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + size.to_bytes(8, "big")
    return head + (b"\0\0\0\0" if mask else b"") + payload


def refused_upgrade(server, front, path, **more):
    """The HTTP answer to an upgrade that must not succeed."""
    try:
        connect(server.url(front, path), compression=None, open_timeout=PATIENCE, **more).close()
    except InvalidStatus as why:
        return why.response
    raise AssertionError("upgraded")
