"""Transport: HTTP heads and bodies, WebSocket frames, compression, what arrives too slowly."""

import json
import re
import zlib

from harness import (ANY, PATIENCE, Backend, Jet, Like, Raw, Server, User, eq, eventually, frame, fresh, rows, shared,
                     test)

GET = "GET /api/flows HTTP/1.1\r\n"
OK_HEAD = GET + "Host: x\r\n\r\n"


def with_a(server):
    eq(server.execute("create stream a")["success"], True)


def insert(body, head=""):
    return f"POST /api/insert HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{head}\r\n{body}"


RECORD = '{"target":"a","data":{"x":1}}'

# name, bytes: answered 400 and closed
BAD_HEADS = [
    ("both lengths", "POST /api/insert HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("two lengths", "POST /api/insert HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde"),
    ("length of words", "POST /api/insert HTTP/1.1\r\nHost: x\r\nContent-Length: five\r\n\r\n"),
    ("length with sign", "POST /api/insert HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nabcde"),
    ("negative length", "POST /api/insert HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
    ("length too large for a number", f"POST /api/insert HTTP/1.1\r\nHost: x\r\nContent-Length: {'9' * 30}\r\n\r\n"),
    ("bare LF", "GET /api/flows HTTP/1.1\nHost: x\n\n"),
    ("bare LF in the middle", GET + "Host: x\nA: b\r\n\r\n"),
    ("bare CR", GET + "Host: x\rA: b\r\n\r\n"),
    ("folded header", GET + "Host: x\r\nA: b\r\n c\r\n\r\n"),
    ("folded first", GET + " Host: x\r\n\r\n"),
    ("two hosts", GET + "Host: x\r\nHost: x\r\n\r\n"),
    ("no host", GET + "\r\n"),
    ("NUL in a value", GET + "Host: x\r\nA: b\0c\r\n\r\n"),
    ("NUL in a name", GET + "Host: x\r\nA\0: b\r\n\r\n"),
    ("NUL in the path", "GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("blank before colon", GET + "Host : x\r\n\r\n"),
    ("no colon", GET + "Host: x\r\nwords\r\n\r\n"),
    ("no version", "GET /api/flows\r\nHost: x\r\n\r\n"),
    ("version of words", "GET /api/flows HTTP/x.y\r\nHost: x\r\n\r\n"),
    ("garbage", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n"),
    ("chunk size of words", "POST /api/insert HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    ("chunk size too large", "POST /api/insert HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + "f" * 20 + "\r\n"),
    ("chunk without end", "POST /api/insert HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naXX"),
    ("unknown coding", "POST /api/insert HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"),
    ("chunked not last", "POST /api/insert HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
]


@rows(BAD_HEADS)
def refused_head(data):
    server = shared(setup=with_a)
    with Raw(server, "jsonjet") as raw:
        # A second request behind it must not be carried out.
        raw.send(data.encode("latin-1") + insert('{"target":"a","data":{"smuggled":1}}').encode())
        status, headers, _ = raw.response()
        assert status in (400, 501), status
        eq(headers.get("connection", "close").lower(), "close")
        assert raw.at_end()
    eq(server.count("a"), 0)


@rows([("head of 20000 bytes", GET + "Host: x\r\nA: " + "b" * 20000 + "\r\n\r\n"),
       ("path of 20000 bytes", "GET /" + "a" * 20000 + " HTTP/1.1\r\nHost: x\r\n\r\n"),
       ("200 headers", GET + "Host: x\r\n" + "".join(f"H{n}: v\r\n" for n in range(200)) + "\r\n"),
       ("head without end", GET + "Host: x\r\n" + "A: b\r\n" * 100000)])
def head_too_large(data):
    with Raw(shared(setup=with_a), "jsonjet") as raw:
        try:
            raw.send(data.encode())
        except ConnectionError:
            pass
        try:
            status, _, _ = raw.response()
            assert status in (400, 414, 431), status
        except AssertionError as why:  # Reset, as not all that was sent was read.
            assert "ended before" in str(why), why
        assert raw.at_end()


@test
def pipelined_requests_are_answered_in_order():
    with Server() as server, Raw(server, "jsonjet") as raw:
        server.execute("create stream a")
        requests = []
        for n in range(200):
            requests += [insert(json.dumps({"target": "a", "data": {"n": n}})), "GET /nope HTTP/1.1\r\nHost: x\r\n\r\n",
                         OK_HEAD, insert('{"target":"none","data":1}')]
        raw.send("".join(requests).encode())
        for _ in range(200):
            eq([raw.response()[0] for _ in range(4)], [200, 404, 200, 500])
        eq(server.count("a"), 200)
        raw.send(OK_HEAD.encode()[:20]).send(OK_HEAD.encode()[20:])
        eq(raw.response()[0], 200)


@test
def bodies_in_chunks():
    server = Server()
    with server, Raw(server, "jsonjet") as raw:
        server.execute("create stream a")
        head = "POST /api/insert HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunks = f"5;ext=1\r\n{RECORD[:5]}\r\n{len(RECORD) - 5:X}\r\n{RECORD[5:]}\r\n0\r\nTrailer: t\r\n\r\n"
        raw.send((head + chunks + OK_HEAD).encode())
        eq(raw.response()[0], 200)
        eq(raw.response()[0], 200)
        for byte in (head + chunks).encode():  # Byte by byte.
            raw.send(bytes([byte]))
        eq(raw.response()[0], 200)
        eq(server.count("a"), 2)
        raw.send(insert(RECORD, "Expect: 100-continue\r\n").encode())
        status, _, _ = raw.response(head_only=True)
        eq(status in (100, 200), True)


@test
def connections_are_kept_and_closed_as_asked():
    server = shared(setup=with_a)
    with Raw(server, "jsonjet") as raw:
        for _ in range(3):
            raw.send(OK_HEAD.encode())
            eq(raw.response()[0], 200)
        raw.send((GET + "Host: x\r\nConnection: close\r\n\r\n").encode())
        eq(raw.response()[0], 200)
        assert raw.at_end()
    with Raw(server, "jsonjet") as raw:
        raw.send(b"GET /api/flows HTTP/1.0\r\n\r\n")
        eq(raw.response()[0], 200)
        assert raw.at_end()
    with Raw(server, "jsonjet") as raw:  # Half closed: the answer still comes.
        raw.send(OK_HEAD.encode())
        raw.sock.shutdown(1)
        eq(raw.response()[0], 200)
        assert raw.at_end()
    with Raw(server, "admin") as raw:
        raw.send(b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        eq(raw.response(head_only=True)[0], 200)
        eq(raw.response()[2], b"ok\n")


@rows([("no key", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"),
       ("bad key", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n"),
       ("version 8", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
                     "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"),
       ("no version", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"),
       ("no connection", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                         "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n")])
def refused_handshake(headers):
    with Raw(shared(setup=with_a), "jsonjet") as raw:
        raw.send(f"GET /ws HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
        status, _, _ = raw.response()
        assert status in (400, 426), status


# name, frames, close code
BAD_FRAMES = [
    ("unmasked", frame("{}", mask=False), 1002),
    ("reserved bit 1", frame("{}", rsv=4), 1002), ("reserved bit 2", frame("{}", rsv=2), 1002),
    ("opcode 3", frame("", opcode=3), 1002), ("opcode 11", frame("", opcode=11), 1002),
    ("long ping", frame("x" * 126, opcode=9), 1002), ("ping in pieces", frame("x", opcode=9, fin=False), 1002),
    ("continuation of nothing", frame("x", opcode=0), 1002),
    ("text within text", frame("x", fin=False) + frame("y"), 1002),
    ("no UTF-8", frame(b"\xff"), 1007), ("cut UTF-8", frame(b"\xc3"), 1007), ("surrogate", frame(b"\xed\xa0\x80"), 1007),
    ("overlong UTF-8", frame(b"\xc0\x80"), 1007), ("UTF-8 beyond", frame(b"\xf4\x90\x80\x80"), 1007),
    ("no UTF-8 in an unfinished message", frame(b"a\xff", fin=False), 1007),
    ("close of one byte", frame(b"\x03", opcode=8), 1002), ("close 1005", frame(b"\x03\xed", opcode=8), 1002),
    ("close 999", frame(b"\x03\xe7", opcode=8), 1002), ("close reason no UTF-8", frame(b"\x03\xe8\xff", opcode=8), 1007),
    ("claims 2^62", frame("", claimed=1 << 62), 1009), ("claims 2^63", frame("", claimed=1 << 63), (1002, 1009)),
    ("claims 17 MB", frame("", claimed=17 << 20), 1009),
    ("17 MB in pieces", b"".join(frame("x" * (1 << 20), opcode=0 if n else 1, fin=False) for n in range(17)), 1009),
    ("length in too many bytes", b"\x81\xfe\0\x05\0\0\0\0hello", (1002, None)),
]


@rows(BAD_FRAMES)
def refused_frame(data, code):
    with Raw(shared(setup=with_a), "jsonjet") as raw:
        raw.upgrade("/ws")
        raw.read_frame()
        try:
            raw.send(data)
        except ConnectionError:
            pass
        codes = code if isinstance(code, tuple) else (code,)
        if None in codes:  # Also taken as it is meant.
            opcode, payload = raw.read_frame()
            assert opcode == 1 or int.from_bytes(payload[:2], "big") in codes
            return
        got = raw.close_code()
        assert got in codes, got
        # The client answers the close, or not; the connection ends.
        try:
            raw.frame(got.to_bytes(2, "big"), opcode=8)
        except OSError:
            pass
        assert raw.at_end()


@test
def control_frames_between_fragments():
    with Raw(shared(setup=with_a), "jsonjet") as raw:
        raw.upgrade("/ws")
        raw.read_frame()
        message = b'{"type":"execute","query":"info a"}'
        for n, byte in enumerate(message):
            raw.frame(bytes([byte]), opcode=0 if n else 1, fin=n == len(message) - 1)
            raw.frame(f"p{n}", opcode=9)
            if n < len(message) - 1:
                eq(raw.read_frame(), (10, f"p{n}".encode()))
        got = dict([raw.read_frame(), raw.read_frame()])
        eq(set(got), {1, 10})
        eq(json.loads(got[1])["success"], True)
        raw.frame(b"unasked", opcode=10)
        raw.frame(b"\x03\xe8bye", opcode=8)
        eq(raw.read_frame()[0], 8)
        assert raw.at_end()


@test
def frames_byte_by_byte():
    with Raw(shared(setup=with_a), "jsonjet") as raw:
        raw.upgrade("/ws")
        raw.read_frame()
        for byte in frame('{"type":"unsubscribe"}') * 3:
            raw.send(bytes([byte]))
        for _ in range(3):
            eq(json.loads(raw.read_frame()[1])["type"], "unsubscribed")
        # Many at once, with the handshake of another in the same packet.
        raw.send(frame('{"type":"unsubscribe"}') * 1000)
        for _ in range(1000):
            eq(raw.read_frame()[0], 1)


@test
def compression():
    for fanout in ("false", "true"):
        with Server(f"[websocket]\ncompress_fanout = {fanout}") as server:
            clients = [Jet(server, compression="deflate") for _ in range(3)] + [Jet(server)]
            assert "permessage-deflate" in clients[0].ws.response.headers.get("Sec-WebSocket-Extensions", "")
            clients[0].create("a")
            for client in clients:
                client.subscribe("a")
            records = [{"n": n, "text": "wort " * (n % 200)} for n in range(300)]
            for n, record in enumerate(records):
                clients[n % 4].send({"type": "insert", "target": "a", "data": record})
            for client in clients:
                got = [client.recv() for _ in range(300 + 75)]
                data = [m["data"] for m in got if m["type"] == "data"]
                eq(sorted(d["n"] for d in data), list(range(300)))
                assert all(d == records[d["n"]] for d in data)
            big = {"text": "x" * 3_000_000}
            clients[1].send({"type": "insert", "target": "a", "data": big})
            for client in clients:
                eq(client.recv()["data"], big)
                client.close()


@rows([(text, text) for text in (
    "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9",
    "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
    "permessage-deflate; server_max_window_bits=7", "permessage-deflate; nope=1", "x-other",
    "permessage-deflate; server_max_window_bits=7, permessage-deflate")])
def extension_offers(offer):
    with Raw(shared(setup=with_a), "jsonjet") as raw:
        headers = raw.upgrade("/ws", f"Sec-WebSocket-Extensions: {offer}\r\n")
        agreed = headers.get("sec-websocket-extensions", "")
        bad = offer in ("x-other", "permessage-deflate; nope=1", "permessage-deflate; server_max_window_bits=7")
        eq(bool(agreed), not bad)
        if "=9" in offer:
            eq("server_max_window_bits=9" in agreed, True)
        raw.read_frame()
        raw.send(b"".join([frame('{"type":"unsubscribe"}')] * 3))
        for _ in range(3):
            eq(raw.read_frame()[0], 1)


@test
def compression_bomb():
    with Server("[limits]\nmessage_bytes = 1000000") as server, Jet(server) as bystander:
        squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = squeeze.compress(b"\0" * (1 << 30)) + squeeze.flush(zlib.Z_SYNC_FLUSH)
        before = server.rss_bytes()
        with Raw(server, "jsonjet") as raw:
            raw.upgrade("/ws", "Sec-WebSocket-Extensions: permessage-deflate\r\n")
            raw.read_frame()
            try:
                raw.send(frame(bomb[:-4][:900_000], rsv=4))
            except ConnectionError:
                pass
            eq(raw.close_code(), 1009)
        assert server.rss_bytes() < before + (64 << 20), "the bomb went off"
        eq(bystander.ask({"type": "unsubscribe"})["type"], "unsubscribed")
        with Raw(server, "jsonjet") as raw:  # No deflate data at all.
            raw.upgrade("/ws", "Sec-WebSocket-Extensions: permessage-deflate\r\n")
            raw.read_frame()
            raw.send(frame(b"\xff" * 100, rsv=4))
            assert raw.close_code() in (1002, 1007)


SLOW = [
    ("no byte of a head", "jsonjet", b""),
    ("half a head", "jsonjet", GET.encode() + b"Host: x\r\n"),
    ("half a head, mesh", "mesh", b"GET /ws/v1 HT"),
    ("half a head, users", "users", b"GET /chat HTTP/1.1\r\n"),
    ("half a head, admin", "admin", b"GET /health HTTP/1.1\r\n"),
    ("half a body", "jsonjet", b"POST /api/insert HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"),
    ("half a chunk", "jsonjet", b"POST /api/insert HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
]


@rows(SLOW)
def slow_heads_and_bodies(front, data):
    """Drops a byte now and then, and is ended all the same, with 408 or without a word."""
    server = shared(setup=with_a)
    with Raw(server, front) as raw:
        raw.send(data)
        raw.sock.settimeout(0.5)
        for _ in range(60):
            try:
                if not raw.fill():
                    break
            except TimeoutError:
                try:
                    if data:
                        raw.send(b"A")
                except OSError:
                    break
        else:
            raise AssertionError("still served after 30 s")
        assert raw.buffer == b"" or b" 408 " in raw.buffer.split(b"\r\n")[0] or b" 400 " in raw.buffer, raw.buffer[:100]


@test
def slow_frames():
    server = shared(setup=with_a)
    with Raw(server, "jsonjet") as raw:
        raw.upgrade("/ws")
        raw.read_frame()
        raw.send(frame("", claimed=100_000))
        raw.sock.settimeout(0.5)
        for _ in range(60):
            try:
                if not raw.fill():
                    break
            except TimeoutError:
                try:
                    raw.send(b"x")
                except OSError:
                    break
        else:
            raise AssertionError("still served after 30 s")


@test
def many_open_and_silent():
    """Hundreds that never finish their head do not keep others out."""
    server = shared(setup=with_a)
    slow = [Raw(server, "jsonjet").send(b"GET /") for _ in range(300)]
    for _ in range(20):
        eq(server.http("GET jsonjet /api/flows").status, 200)
    for raw in slow:
        raw.close()


@test
def resets_leave_nothing_behind():
    with Server() as server:
        server.execute("create stream a")
        with Jet(server) as client:
            client.subscribe("a")
            eventually(lambda: server.metric("weir_subscriptions") == 1, "one subscription")
        for n in range(200):
            client = Jet(server)
            client.subscribe("a")
            client.send({"type": "insert", "target": "a", "data": {"n": n}})
            client.abort()
        eventually(lambda: server.metric("weir_connections", front_end="jsonjet") <= 1, "none open")
        eventually(lambda: server.metric("weir_subscriptions") == 0, "no subscription")


@test
def absent_front_ends_answer():
    server = shared(setup=with_a)
    for front in ("nsdb", "taos", "raw"):
        assert server.http(f"GET {front} /").status >= 200
