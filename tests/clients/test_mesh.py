"""The mesh: envelope, queues, calls, channels, batch, looking, routes, limits, access."""

import base64
import re
import threading
import time

from harness import (ANY, Backend, Jet, Like, Raw, Server, User, eq, eventually, refused_upgrade, rows, shared,
                     test)

ROUTES = """
[[mesh.route]]
path = "/chat"
topic = "chat"
[[mesh.route]]
path = "/events"
topic = "ev"
events = ["handshake", "close"]
[[mesh.route]]
path = "/wait"
topic = "wait"
wait_context = "uid"
[[mesh.route]]
path = "/pong"
topic = "pong"
answer_text_ping = true
[[mesh.route]]
path = "/räum e"
topic = "plant.s1"
"""


def frame(text):
    return {"frame": {"type": "text", "data": text, "finish": True}}


def server():
    return Server(ROUTES)


def joined(backend, user, topic="chat", text="hello"):
    """The client id of a user: it says something, and the backend pops it."""
    user.send(text)
    event = backend.event()
    eq(event, {"n": 1, "c": re.compile(r"^\d+$"), "t": topic, "d": Like(frame=frame(text)["frame"])})
    return event["c"]


# ---------------------------------------------------------------- envelope

BAD = {"E": {"c": 101, "m": str}, "i": ANY}
ENVELOPE = [
    ("no JSON", "hello", None), ("empty", "", None), ("array", "[]", None), ("null", "null", None),
    ("number", "5", None), ("binary", b'{"m":"queue.unpop","i":1}', None), ("no method", '{"i":5}', 5),
    ("method null", '{"m":null,"i":5}', 5), ("method number", '{"m":5,"i":"x"}', "x"),
    ("method unknown", '{"m":"queue.poop","i":[1]}', [1]), ("method empty", '{"m":"","i":1}', 1),
    ("nested 10000", "[" * 10000 + "]" * 10000, None),
    ("id alone", '{"m":"nope","id":7}', 7), ("no id", '{"m":"nope"}', None),
    ("both ids", '{"m":"nope","id":7,"i":8}', 8), ("p of words", '{"m":"queue.pop","p":"x","i":1}', 1),
    ("cut off", '{"m":"queue.pop"', None),
]


@rows(ENVELOPE)
def envelope(message, request_id):
    with Backend(shared(ROUTES)) as backend:
        backend.send(message)
        eq(backend.recv(), {"E": {"c": 101, "m": str}, "i": request_id})
        backend.send("ping")
        eq(backend.raw(), "pong")
        eq(backend.call("server.ping"), {"E": None, "r": {"m": "server.pong"}, "i": 1})


@rows([(value, value) for value in ("12345678901234567890123", "1.50", '"é"', "null", '{"a":[1]}', "-0")])
def ids_are_echoed(value):
    with Backend(shared(ROUTES)) as backend:
        backend.send('{"m":"server.ping","i":' + value + "}")
        eq(backend.raw(), '{"E":null,"r":{"m":"server.pong"},"i":' + value + "}")
        backend.send('{"m":"nope","i":' + value + "}")
        assert backend.raw().endswith(',"i":' + value + "}")


T = "t"
# name, method, p, code
CODES = [
    ("pop nothing", "queue.pop", {}, 101), ("pop []", "queue.pop", {"t": []}, 101),
    ("pop text", "queue.pop", {"t": "a"}, 101), ("pop number", "queue.pop", {"t": ["a", 5]}, 101),
    ("pop ''", "queue.pop", {"t": [""]}, 101), ("pop blank", "queue.pop", {"t": ["a b"]}, 101),
    ("pop control", "queue.pop", {"t": ["a\u0001"]}, 101), ("pop long", "queue.pop", {"t": ["n" * 256]}, 101),
    ("pop twice", "queue.pop", {"t": ["q", "q"]}, 202), ("pop ack word", "queue.pop", {"t": ["q"], "ack": "yes"}, 101),
    ("unpop nothing", "queue.unpop", {}, 203),
    ("ack nothing", "queue.ack", {}, 101), ("ack []", "queue.ack", {"ids": []}, 101),
    ("ack words", "queue.ack", {"ids": ["1"]}, 101),
    ("call nothing", "conn.call", {}, 101), ("call no f", "conn.call", {"c": "1", "a": []}, 101),
    ("call unknown f", "conn.call", {"c": "1", "f": "nope", "a": []}, 101),
    ("call letters", "conn.call", {"c": "abc", "f": "get_context", "a": []}, 101),
    ("call 1.5", "conn.call", {"c": 1.5, "f": "get_context", "a": []}, 101),
    ("call -1", "conn.call", {"c": -1, "f": "get_context", "a": []}, 101),
    ("call too large", "conn.call", {"c": "99999999999999999999", "f": "get_context", "a": []}, 101),
    ("call unknown client", "conn.call", {"c": "1", "f": "get_context", "a": []}, 301),
    ("set one argument", "conn.call", {"c": "1", "f": "set_context_value", "a": ["k"]}, 101),
    ("set number key", "conn.call", {"c": "1", "f": "set_context_value", "a": [1, 2]}, 101),
    ("set empty key", "conn.call", {"c": "1", "f": "set_context_value", "a": ["", 2]}, 101),
    ("set long key", "conn.call", {"c": "1", "f": "set_context_value", "a": ["k" * 256, 2]}, 101),
    ("set context of words", "conn.call", {"c": "1", "f": "set_context", "a": ["x"]}, 101),
    ("subscribe nothing", "conn.call", {"c": "1", "f": "subscribe", "a": []}, 101),
    ("subscribe number", "conn.call", {"c": "1", "f": "subscribe", "a": ["x", 5]}, 101),
    ("subscribe blank", "conn.call", {"c": "1", "f": "subscribe", "a": ["x", "a b"]}, 101),
    ("close 1001", "conn.call", {"c": "1", "f": "close", "a": [1001]}, 101),
    ("close long reason", "conn.call", {"c": "1", "f": "close", "a": [1000, "r" * 124]}, 101),
    ("send nothing", "mesh.send", {}, 101), ("send no d", "mesh.send", {"c": "1"}, 101),
    ("send number", "mesh.send", {"c": "1", "d": 5}, 101), ("send kind", "mesh.send", {"c": "1", "d": "x", T: "x"}, 101),
    ("send no base64", "mesh.send", {"c": "1", "d": "*", T: "binary"}, 101),
    ("send no client", "mesh.send", {"c": "1", "d": "x"}, 401),
    ("send to integer", "mesh.send", {"c": 9007199254740993, "d": "x"}, 401),
    ("publish nothing", "mesh.publish", {}, 101), ("publish blank", "mesh.publish", {"c": "a b", "d": "x"}, 101),
    ("publish no d", "mesh.publish", {"c": "a"}, 101), ("publish kind", "mesh.publish", {"c": "a", "d": "x", T: 1}, 101),
    ("info no client", "conn.info", {"c": "1"}, 301), ("info nothing", "conn.info", {}, 101),
    ("presence nothing", "channel.presence", {}, 101), ("presence blank", "channel.presence", {"c": " "}, 101),
    ("batch nothing", "mesh.batch", {}, 101), ("batch []", "mesh.batch", {"b": []}, 101),
    ("batch words", "mesh.batch", {"b": "x"}, 101), ("batch 1001", "mesh.batch", {"b": [{}] * 1001}, 101),
]


@rows(CODES)
def code(method, params, number):
    with Backend(shared(ROUTES)) as backend:
        eq(backend.code(method, params), number)
        eq(backend.code(method, [params]), number)
        backend.send("ping")
        eq(backend.raw(), "pong")


@test
def old_forms():
    with server() as s, Backend(s) as backend:
        eq(backend.ok("queue.pop", ["a"]), {"s": True})
        for empty in ([], None):
            eq(backend.ok("queue.unpop", empty), {"s": True})
            eq(backend.ok("queue.pop", [{"t": ["a"]}]), {"s": True})
        eq(backend.ok("queue.unpop"), {"s": True})
        eq(backend.ok("mesh.publish", [{"c": "x", "d": "y"}]), {"s": 0, "f": 0})


# ---------------------------------------------------------------- queues

@test
def conversation():
    with server() as s, Backend(s) as a, User(s) as u:
        a.pop("chat")
        client = joined(a, u)
        eq(a.ok("conn.call", {"c": client, "f": "set_context_value", "a": ["user_id", 10000]}), {"s": True})
        eq(a.ok("conn.call", {"c": int(client), "f": "subscribe", "a": ["news"]}), {"s": True})
        u.send("again")
        eq(a.event(), {"n": 1, "c": client, "t": "chat", "d": {**frame("again"), "ctx": {"user_id": 10000}}})
        eq(a.ok("mesh.publish", {"c": "news", "d": "data"}), {"s": 1, "f": 0})
        eq(u.raw(), "data")
        eq(a.code("queue.pop", {"t": ["other", "chat"]}), 202)
        eq(a.ok("mesh.send", {"c": client, "d": base64.b64encode(b"\0\1").decode().rstrip("="), "t": "binary"}),
           {"s": True})
        eq(u.raw(), b"\0\1")
        eq(a.ok("mesh.send", {"c": client, "d": ""}), {"s": True})
        eq(u.raw(), "")
        u.send(b"\xff\0")
        eq(a.event()["d"]["frame"], {"type": "binary", "data": "/wA=", "finish": True})
        u.ws.send(iter(["he", "llo"]))
        eq(a.event()["d"]["frame"]["data"], "hello")
        u.send("ping")
        eq(a.event()["d"]["frame"]["data"], "ping")
        eq(a.ok("conn.info", {"c": client}),
           {"s": True, "c": client, "n": 1, "path": "/chat", "remote": re.compile(r"^127\.0\.0\.1:\d+$"), "since": int,
            "channels": ["news"], "ctx": {"user_id": 10000}})
        eq(a.ok("channel.presence", {"c": "news"}), {"s": True, "count": 1, "clients": [client]})
        eq(a.ok("conn.call", {"c": client, "f": "unsubscribe", "a": ["news", "nope"]}), {"s": True})
        eq(a.ok("mesh.publish", {"c": "news", "d": "data"}), {"s": 0, "f": 0})
        eq(a.ok("conn.call", {"c": client, "f": "close", "a": [4001, "bye"]}), {"s": True})
        eq(u.closed(), (4001, "bye"))
        eventually(lambda: a.call("mesh.send", {"c": client, "d": "x"})["E"], "the client is gone")
        eq(a.code("conn.info", {"c": client}), 301)


@test
def waiting_messages_come_after_the_reply():
    with server() as s, User(s) as u:
        for n in range(200):
            u.send(str(n))
        eventually(lambda: s.count("chat") == 200, "200 waiting")
        with Backend(s) as a:
            a.pop("chat")
            eq([a.event()["d"]["frame"]["data"] for _ in range(200)], [str(n) for n in range(200)])
            eq(a.ok("queue.unpop"), {"s": True})
            u.send("later")
            a.send("ping")
            eq(a.raw(), "pong")
        with Backend(s) as b:
            b.pop("main.chat")
            event = b.event()
            eq((event["t"], event["d"]["frame"]["data"]), ("main.chat", "later"))


@test
def competing_consumers():
    with server() as s, User(s) as u:
        backends = [Backend(s) for _ in range(4)]
        for backend in backends:
            backend.pop("chat")
        for n in range(400):
            u.send(str(n))
        got = [[] for _ in backends]

        def consume(backend, into):
            while (text := backend.event()["d"]["frame"]["data"]) != "end":
                into.append(int(text))
        threads = [threading.Thread(target=consume, args=pair) for pair in zip(backends, got)]
        for thread in threads:
            thread.start()
        eventually(lambda: sum(map(len, got)) == 400, "all 400")
        for _ in backends:  # One to each in turn.
            u.send("end")
        for thread in threads:
            thread.join()
        for part in got:
            eq(part, sorted(part))
        eq(sorted(sum(got, [])), list(range(400)))
        for backend in backends:
            backend.close()


@test
def acknowledged_consumption():
    with server() as s, User(s) as u:
        with Backend(s) as a:
            a.pop("chat", ack=True)
            for n in range(100):
                u.send(str(n))
            first = [a.event() for _ in range(64)]
            eq(first[0], {"n": 1, "c": str, "t": "chat", "d": frame("0"), "o": 0})
            eq([e["o"] for e in first], list(range(64)))
            a.send("ping")  # More than 64 wait until some are acknowledged.
            eq(a.raw(), "pong")
            eq(a.ok("queue.ack", {"ids": [0, 1, 1, 5000, 3]}), {"s": 3, "f": 2})
            eq([a.event()["o"] for _ in range(3)], [64, 65, 66])
        with Backend(s) as b:
            b.pop("chat", ack=True)
            left = [2, *range(4, 100)][:64]
            eq([b.event()["o"] for _ in range(64)], left)
            eq(b.ok("queue.ack", {"ids": left, "t": "chat"}), {"s": 64, "f": 0})
            eq([b.event()["o"] for _ in range(33)], list(range(67, 100)))
            b.pop("other", ack=True)
            eq(b.code("queue.ack", {"ids": [99]}), 101)
            eq(b.code("queue.ack", {"ids": [99], "t": "nope"}), 101)
            eq(b.ok("queue.ack", {"ids": [99], "t": "chat"}), {"s": 1, "f": 0})
        s.restart(by_kill=True)
        with Backend(s) as c:  # What was not acknowledged comes again, also after a kill.
            c.pop("chat", ack=True)
            eq([c.event()["o"] for _ in range(32)], list(range(67, 99)))


@test
def a_queue_begins_anew_with_its_topic():
    with server() as s, Backend(s) as a, Backend(s) as b, User(s) as u, Jet(s) as jet:
        a.pop("chat", ack=True)
        b.pop("chat", "ev")
        b.ok("queue.unpop")
        u.send("before")
        eq(a.event(), {"n": 1, "c": str, "t": "chat", "d": frame("before"), "o": 0})
        eq(jet.execute("delete stream chat")["success"], True)
        u.send("after")
        eq(a.event(), {"n": 1, "c": str, "t": "chat", "d": frame("after"), "o": 0})
        eq(a.ok("queue.ack", {"ids": [0]}), {"s": 1, "f": 0})
        eq(jet.execute("create or replace stream chat")["success"], True)
        u.send("once more")
        eq(a.event(), {"n": 1, "c": str, "t": "chat", "d": frame("once more"), "o": 0})
        eq(jet.execute("delete stream chat")["success"], True)
        a.ok("queue.unpop")
        u.send("nobody's")
        eq(eventually(lambda: "chat" in str(jet.execute("list streams")) or None), True)
        a.send("ping")
        eq(a.raw(), "pong")
        b.pop("chat")
        eq(b.event()["d"], frame("nobody's"))


@test
def unacknowledged_comes_again_after_its_time():
    with Server("[mesh]\nack_timeout_s = 1") as s, Backend(s) as a, User(s) as u:
        a.pop("chat", ack=True)
        u.send("x")
        eq([a.event()["o"] for _ in range(3)], [0, 0, 0])


@test
def cursor_survives_a_restart():
    for by_kill in (False, True):
        with server() as s:
            with Backend(s) as a, User(s) as u:
                a.pop("chat")
                for n in range(10):
                    u.send(str(n))
                eq([a.event()["d"]["frame"]["data"] for _ in range(10)], [str(n) for n in range(10)])
                eq(a.ok("queue.unpop"), {"s": True})
                for n in range(10, 15):
                    u.send(str(n))
                eventually(lambda: s.count("chat") == 15, "15 stored")
            s.restart(by_kill)
            with Backend(s) as a, User(s) as u:
                u.send("15")
                a.pop("chat")
                events = [a.event() for _ in range(6)]
                eq([e["d"]["frame"]["data"] for e in events], [str(n) for n in range(10, 16)])
                assert int(events[-1]["c"]) > int(events[0]["c"]), "ids grow over a restart"


@test
def consumers_that_vanish_lose_nothing():
    with server() as s, User(s) as u:
        for n in range(300):
            u.send(str(n))
        seen = []
        while len(seen) < 300:
            with Backend(s) as a:
                a.pop("chat", ack=True)
                events = [a.event() for _ in range(min(50, 300 - len(seen)))]
                seen += [event["d"]["frame"]["data"] for event in events]
                a.send({"m": "queue.ack", "p": {"ids": [event["o"] for event in events]}, "i": "x"})
                while "e" in (reply := a.recv()):  # More, which the next one will get again.
                    pass
                eq(reply["r"], {"s": len(events), "f": 0})
        eq(seen, [str(n) for n in range(300)])


@test
def foreign_records_are_consumed():
    with server() as s, Jet(s) as jet, Backend(s) as a:
        jet.create("f")
        jet.insert("f", [{"n": 1}, {"n": 2}])
        a.pop("f")
        eq(a.event(), {"n": 1, "c": "0", "t": "f", "d": {"n": 1}})
        eq(a.event()["d"], {"n": 2})
        jet.insert("f", {"n": 3})
        eq(a.event()["d"], {"n": 3})


@test
def frames_read_by_json_streams():
    with server() as s, Jet(s) as jet, User(s) as u, Backend(s) as a:
        a.pop("chat")
        jet.subscribe("chat")
        views = [('{"a": 1}', {"a": 1}), ("42", 42), ("null", None), ("hello", "hello"), ("[1,", "[1,"),
                 (b"\0\xff", {"binary": "AP8="}), ('"x"', "x"), ("", ""), ("[" * 200 + "]" * 200, "[" * 200 + "]" * 200)]
        for sent, view in views:
            u.send(sent)
            eq(jet.recv()["data"], view)
        with Jet(s) as late:
            late.subscribe("chat", replay="all")
            eq([m["data"] for m in late.take(len(views))], [view for _, view in views])


# ---------------------------------------------------------------- channels

@test
def channels():
    with server() as s, Backend(s) as a:
        a.pop("chat")
        users = [User(s) for _ in range(20)]
        ids = [joined(a, user) for user in users]
        eq(ids, sorted(ids, key=int))
        for n, client in enumerate(ids):
            eq(a.ok("conn.call", {"c": client, "f": "subscribe", "a": ["all", f"g{n % 4}", "all"]}), {"s": True})
        eq(a.ok("channel.presence", {"c": "all"}), {"s": True, "count": 20, "clients": ids})
        eq(a.ok("mesh.publish", {"c": "g1", "d": "one"}), {"s": 5, "f": 0})
        for n in range(100):
            a.send({"m": "mesh.publish", "p": {"c": "all", "d": str(n)}, "i": n})
        for n in range(100):
            eq(a.recv(), {"E": None, "r": {"s": 20, "f": 0}, "i": n})
        for n, user in enumerate(users):
            if n % 4 == 1:
                eq(user.raw(), "one")
            eq([user.raw() for _ in range(100)], [str(k) for k in range(100)])
        users[0].close()
        users[1].abort()
        eventually(lambda: a.ok("channel.presence", {"c": "all"})["count"] == 18, "two have left")
        eq(a.ok("channel.presence", {"c": "nobody"}), {"s": True, "count": 0, "clients": []})
        eq(a.code("conn.call", {"c": ids[5], "f": "subscribe", "a": ["z", "b d"]}), 101)
        eq(a.ok("channel.presence", {"c": "z"})["count"], 0)
        eq(a.ok("conn.call", {"c": ids[5], "f": "subscribe", "a": [f"c{n}" for n in range(254)]}), {"s": True})
        eq(a.code("conn.call", {"c": ids[5], "f": "subscribe", "a": ["c255"]}), 301)
        for user in users[2:]:
            user.close()


@test
def contexts():
    with server() as s, Backend(s) as a, User(s) as u:
        a.pop("chat")
        c = joined(a, u)

        def call(f, *args):
            return a.call("conn.call", {"c": c, "f": f, "a": list(args)})

        def context():
            return call("get_context")["r"]["ctx"]
        eq(context(), {})
        call("set_context_value", "a", {"n": 12345678901234567890})
        call("set_context_value", "b", [1])
        eq(context(), {"a": {"n": 12345678901234567890}, "b": [1]})
        call("set_context_value", "a", None)
        eq(context(), {"b": [1]})
        call("set_context", {"x": 1, "y": None})
        eq(context(), {"x": 1})
        eq(call("set_context", {f"k{n}": n for n in range(65)})["E"]["c"], 301)
        eq(call("set_context_value", "big", "x" * 17000)["E"]["c"], 301)
        eq(context(), {"x": 1})
        # The context of an event is that of the moment of its message.
        eq(a.ok("queue.unpop"), {"s": True})
        u.send("before")
        eventually(lambda: s.count("chat") == 2, "2 stored")
        call("set_context", {})
        u.send("after")
        a.pop("chat")
        eq(a.event()["d"], {**frame("before"), "ctx": {"x": 1}})
        eq(a.event()["d"], frame("after"))


@test
def batch():
    with server() as s, Backend(s) as a, User(s) as u:
        a.pop("chat")
        c = joined(a, u)
        a.ok("conn.call", {"c": c, "f": "subscribe", "a": ["x"]})
        items = [{"m": "mesh.send", "p": {"c": c, "d": "1"}}, {"m": "mesh.publish", "p": {"c": "x", "d": "2"}},
                 {"m": "mesh.send", "p": {"c": "1", "d": "no"}}, {"m": "queue.unpop", "p": {}}, 5, {"m": "mesh.send"},
                 {"m": "mesh.send", "p": {"c": c, "d": "3"}}]
        sent, published = {"E": None, "r": {"s": True}}, {"E": None, "r": {"s": 1, "f": 0}}
        want = {"b": [sent, published, {"E": {"c": 401, "m": str}}, *[{"E": {"c": 101, "m": str}}] * 3, sent]}
        eq(a.ok("mesh.batch", {"b": items}), want)
        eq([u.raw() for _ in range(3)], ["1", "2", "3"])
        reply = s.http("POST mesh /v1/mesh/batch", {"b": items})
        eq((reply.status, reply.json["E"]), (200, None))
        eq(reply.json["r"], want)
        eq([u.raw() for _ in range(3)], ["1", "2", "3"])


# ---------------------------------------------------------------- routes

@test
def lifecycle_events():
    with server() as s, Backend(s) as a:
        a.pop("ev")
        u = User(s, "/events?x=1", additional_headers={"X-Thing": "v"})
        event = a.event()
        eq(event["d"], {"event": "handshake", "headers": Like(**{"x-thing": "v"}), "uri": "/events?x=1",
                        "remote": re.compile(r"^127\.0\.0\.1:\d+$")})
        u.send("hi")
        eq(a.event(), {"n": 1, "c": event["c"], "t": "ev", "d": {"event": "message", **frame("hi")}})
        a.ok("conn.call", {"c": event["c"], "f": "set_context_value", "a": ["k", 1]})
        u.close(3000)
        eq(a.event(), {"n": 1, "c": event["c"], "t": "ev", "d": {"event": "close", "code": 3000, "ctx": {"k": 1}}})
        u = User(s, "/events")
        a.event()
        u.abort()
        eq(a.event()["d"], {"event": "close", "code": 1006})
        with Raw(s, "users") as raw:
            raw.upgrade("/events")
            a.event()
            raw.frame(b"", opcode=8)
            eq(a.event()["d"], {"event": "close", "code": 1005})


@test
def routes_by_path():
    with server() as s, Backend(s) as a:
        a.pop("plant.s1")
        with User(s, "/r%C3%A4um%20e?q=/chat") as u:
            u.send("x")
            eq(a.event(), {"n": 1, "c": str, "t": "plant.s1", "d": frame("x")})
        for path in ("/nope", "/", "/chat/", "/CHAT", "/%zz"):
            eq(refused_upgrade(s, "users", path).status_code, 404)
        eq(s.http("GET users /nope").status, 404)
        assert s.http("GET users /chat").status in (400, 426)


@test
def text_ping_of_a_route():
    with server() as s, Backend(s) as a, User(s, "/pong") as u:
        a.pop("pong")
        u.send("ping")
        eq(u.raw(), "pong")
        u.send("x")
        eq(a.event()["d"], frame("x"))


@test
def wait_for_context():
    with server() as s, Backend(s) as a, User(s, "/wait") as u:
        a.pop("wait")
        u.send("first")
        u.send("second")
        client = a.event()["c"]
        a.send("ping")
        eq(a.raw(), "pong")
        eq(a.ok("conn.call", {"c": client, "f": "set_context_value", "a": ["uid", 7]}), {"s": True})
        eq(a.event()["d"], {**frame("second"), "ctx": {"uid": 7}})


# ---------------------------------------------------------------- limits

@test
def full_closes_the_sender():
    with Server('[mesh]\ntopic_size = 5\nfull = "error"') as s, User(s) as u, Backend(s) as a:
        for n in range(8):
            u.send(str(n))
        eq(u.closed()[0], 1013)
        eq(s.metric("weir_mesh_messages_refused_total"), 1)
        a.pop("chat")
        eq([a.event()["d"]["frame"]["data"] for _ in range(5)], ["0", "1", "2", "3", "4"])
        with User(s) as again:
            again.send("5")
            eq(a.event()["d"], frame("5"))


@test
def full_blocks_the_senders():
    with Server("[mesh]\ntopic_size = 5") as s, User(s) as u, User(s) as v, Backend(s) as a:
        for n in range(100):
            (u, v)[n % 2].send(str(n))
        eventually(lambda: s.count("chat") == 5, "5 waiting")
        a.pop("chat")
        got = [int(a.event()["d"]["frame"]["data"]) for _ in range(100)]
        eq([n for n in got if n % 2], list(range(1, 100, 2)))
        eq([n for n in got if not n % 2], list(range(0, 100, 2)))


@test
def topics_at_most():
    with Server("[mesh]\nmax_topics = 3") as s, Backend(s) as a:
        a.pop("a", "b")
        eq(a.code("queue.pop", {"t": ["c", "d"]}), 201)
        a.pop("c")
        eq(a.code("queue.pop", {"t": ["d"]}), 201)


@test
def message_sizes():
    with Server("[mesh]\nuser_message_bytes = 1000\napi_message_bytes = 2000") as s:
        with User(s) as u, Backend(s) as a:
            a.pop("chat")
            u.send("x" * 1000)
            eq(len(a.event()["d"]["frame"]["data"]), 1000)
            u.send("x" * 1001)
            eq(u.closed()[0], 1009)
            a.send("x" * 2001)
            eq(a.closed()[0], 1009)
        eq(s.http("POST mesh /v1/mesh/send", body="x" * 2001).status, 413)


@test
def idle_connections_are_closed():
    with Server("[mesh]\nidle_timeout_s = 1") as s, User(s) as u, Backend(s) as a, User(s) as busy:
        for _ in range(4):
            busy.ws.ping().wait(PING)
            time.sleep(0.4)
        eq(u.closed()[0], 1001)
        eq(a.closed()[0], 1001)
        busy.ws.ping().wait(PING)


PING = 10.0

# ---------------------------------------------------------------- HTTP

HTTP = [
    ("send", "POST /v1/mesh/send", {"c": "1", "d": "x"}, 200, {"E": {"c": 401, "m": str}}),
    ("send bad", "POST /v1/mesh/send", {"c": "x", "d": "x"}, 200, {"E": {"c": 101, "m": str}}),
    ("publish", "POST /v1/mesh/publish", {"c": "x", "d": "x"}, 200, {"E": None, "r": {"s": 0, "f": 0}}),
    ("publish array", "POST /v1/mesh/publish", [{"c": "x", "d": "x"}], 200, ANY),
    ("batch", "POST /v1/mesh/batch", {"b": [{"m": "mesh.publish", "p": {"c": "x", "d": "x"}}]}, 200,
     {"E": None, "r": {"b": [{"E": None, "r": {"s": 0, "f": 0}}]}}),
    ("no JSON", "POST /v1/mesh/send", "{", 400, {"E": {"c": 101, "m": str}}),
    ("version", "GET /version", None, 200, {"apis": ["v1"]}),
    ("nodes", "GET /v1/nodes", None, 200, {"nodes": [{"id": "1", "api_server": re.compile(r"^127\.0\.0\.1:\d+$")}]}),
    ("no path", "GET /v1/nope", None, 404, {"E": {"c": 101, "m": str}}),
    ("no method", "GET /v1/mesh/send", None, 405, {"E": {"c": 101, "m": str}}),
]


@rows(HTTP)
def http(request, body, status, answer):
    method, path = request.split()
    more = {"body": body} if isinstance(body, str) else {"json_body": body}
    reply = shared(ROUTES).http(f"{method} mesh {path}", **more)
    eq(reply.status, status)
    eq(reply.json, answer)
    eq(reply.headers["content-type"], "application/json; charset=utf-8")
    if status == 405:
        eq(reply.headers["allow"], re.compile("POST"))


@test
def metrics_of_the_mesh():
    with server() as s, User(s), User(s):
        eventually(lambda: s.metric("connmix_engine_servers_clients") == 2, "two clients")
        page = s.http("GET mesh /metrics")
        eq(page.status, 200)
        for name in ("connmix_engine_servers_clients", "weir_mesh_records_skipped_total",
                     "weir_mesh_messages_refused_total"):
            assert name in page.text, name


# ---------------------------------------------------------------- access

USERS = ROUTES + """
[[user]]
name = "r"
token = "tr"
roles = ["read"]
[[user]]
name = "w"
password = "pw"
token = "tw"
roles = ["write"]
topics = ["chat", "plant.*"]
[[user]]
name = "adm"
token = "ta"
roles = ["admin"]
"""


def bearer(token):
    return {"additional_headers": {"Authorization": f"Bearer {token}"}}


@test
def access():
    s = shared(USERS)
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}):
        for request in ("GET mesh /v1/nodes", "GET mesh /metrics", "POST mesh /v1/mesh/send"):
            reply = s.http(request, headers=headers)
            eq(reply.status, 401)
            eq(reply.headers["www-authenticate"], re.compile("^Basic"))
        eq(refused_upgrade(s, "mesh", "/ws/v1", additional_headers=headers).status_code, 401)
    eq(s.http("GET mesh /version").status, 200)
    eq(s.http("GET mesh /v1/nodes", auth=("w", "pw")).status, 200)
    eq(s.http("POST mesh /v1/mesh/publish", {"c": "x", "d": "x"}, headers={"Authorization": "Bearer tr"}).status, 403)
    with Backend(s, **bearer("tr")) as reader, Backend(s, **bearer("tw")) as writer, User(s):
        eq(reader.code("queue.pop", {"t": ["chat"]}), 201)
        eq(reader.code("mesh.send", {"c": "1", "d": "x"}), 401)
        eq(reader.code("mesh.publish", {"c": "x", "d": "x"}), 101)
        eq(reader.code("conn.call", {"c": "1", "f": "subscribe", "a": ["x"]}), 301)
        eq(reader.ok("channel.presence", {"c": "x"})["count"], 0)
        eq(writer.code("queue.pop", {"t": ["chat", "wait"]}), 201)
        writer.pop("chat", "plant.s1")
        eq(writer.ok("queue.unpop"), {"s": True})
