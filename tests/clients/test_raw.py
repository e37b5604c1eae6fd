"""The raw front-end: the conversation, formats, limits, access, snapshots, speed of the first row."""

import json
import os
import pathlib
import time

from harness import Jet, Raw, Server, User, Ws, eq, eventually, fresh, refused_upgrade, rows, shared, test

STEPS = [
    {"type": "userMessage", "level": "debug", "message": "Starting query compilation"},
    {"type": "userMessage", "level": "debug", "message": "Finished query compilation"},
    {"type": "userMessage", "level": "debug", "message": "Starting query execution"},
    {"type": "querySuccess", "properties": {}},
    {"type": "userMessage", "level": "debug", "message": "Starting writing results"},
]
LAST = [
    {"type": "userMessage", "level": "debug", "message": "Finished query execution"},
    {"type": "userMessage", "level": "debug", "message": "Finished writing results"},
    {"type": "queryStreamingEnd"},
]


class Query(Ws):
    def __init__(self, server, **more):
        super().__init__(server, "raw", "/ws/query", **more)

    def start(self, query, form=None, **settings):
        settings = {**({"X-RAW-output-format": form} if form else {}), **settings}
        self.send({"type": "queryRequest", "query": query, "settings": settings})

    def all(self):
        """Texts, bytes, close."""
        texts, data = [], []
        while True:
            try:
                message = self.ws.recv(timeout=60)
            except Exception:
                break
            if isinstance(message, bytes):
                assert message, "an empty frame"
                data.append(message)
            else:
                texts.append(json.loads(message))
        return texts, b"".join(data), (self.ws.close_code, self.ws.close_reason)


def ask(server, query, form=None, **more):
    with Query(server, **more) as client:
        client.start(query, form)
        return client.all()


def result(server, query, form=None):
    texts, data, close = ask(server, query, form)
    eq(texts, STEPS + LAST)
    eq(close, (1000, ""))
    return data


def failure(server, query, form=None):
    """Bytes and reason of a query that fails while it runs."""
    texts, data, close = ask(server, query, form)
    eq(texts[:5], STEPS)
    eq(texts[-1], LAST[-1])
    eq(len(texts), 7)
    eq((texts[5]["type"], texts[5]["level"]), ("userMessage", "error"))
    eq(close, (1011, "query failed"))
    return data, texts[5]["message"]


def invalid(server, query, form=None):
    """Messages and places of a query that does not compile."""
    texts, data, close = ask(server, query, form)
    eq((texts[0], len(texts), data, close), (STEPS[0], 2, b"", (1000, "")))
    eq(texts[1]["type"], "invalidQuery")
    places = []
    for error in texts[1]["errors"]:
        where = [f"{p['begin']['line']}:{p['begin']['column']}-{p['end']['line']}:{p['end']['column']}"
                 for p in error["positions"]]
        places.append((error["message"], *where))
    return places


def fill(server):
    with Jet(server) as jet:
        jet.create("orders")
        orders = [{"id": 1, "cust": "a", "total": 10.5}, {"id": 2, "cust": "b", "total": 4},
                  {"id": 3, "cust": "a", "total": 7}, {"id": 4, "note": "hello"}]
        eq(jet.insert("orders", orders)["success"], True)
        jet.create("plant.s1")
        eq(jet.insert("plant.s1", [{"v": 1}])["success"], True)


def orders():
    return shared(setup=fill)


@test
def the_documented_conversation():
    with Query(orders()) as client:
        client.start('SELECT * FROM ["Hello", "World"] ', "hjson")
        frames = []
        try:
            while True:
                frames.append(client.ws.recv(timeout=20))
        except Exception:
            pass
        texts = [json.dumps(step, separators=(",", ":")) for step in STEPS + LAST]
        eq(frames, texts[:5] + [b'"Hello"\n"World"'] + texts[5:])
        eq((client.ws.close_code, client.ws.close_reason), (1000, ""))


MESSAGES = [
    ("ll", "Unrecognized token 'll'"),
    ("  nul", "Unrecognized token 'nul'"),
    ("{\"type\": 01}", "Unrecognized token '01'"),
    ("", "Unexpected end of input"),
    ("{", "Unexpected end of input"),
    ("{\"é\":1}}", "Unexpected character ('}' at offset 7)"),
    ("[", "Unexpected end of input"),
    ("5", "expected an object"),
    ("{}", "missing field 'type'"),
    ({"type": "x"}, "unknown message type 'x'"),
    ({"type": "queryRequest"}, "missing field 'query'"),
    ({"type": "queryRequest", "query": None}, "field 'query' must be a string"),
    ({"type": "queryRequest", "query": "1", "settings": None}, "field 'settings' must be an object"),
    ({"type": "queryRequest", "query": "1", "settings": {"a": 1}}, "setting 'a' must be a string"),
    ({"type": "queryRequest", "query": "1", "settings": {"x-raw-output-format": "xml"}},
     "unsupported output format 'xml'"),
    (b"{}", "expected a text frame"),
]


@test
def invalid_messages_leave_the_connection_open():
    with Query(orders()) as client:
        for message, detail in MESSAGES:
            eq(client.ask(message), {"type": "invalidMessage", "error": f"Error processing message: {detail}"})
        client.start("1")
        eq(client.all(), (STEPS + LAST, b"1", (1000, "")))


RESULTS = [
    ("SELECT * FROM orders WHERE id < 2", None, b'[{"id":1,"cust":"a","total":10.5}]'),
    ("SELECT * FROM orders", "csv", b"id,cust,total,note\n1,a,10.5,\n2,b,4,\n3,a,7,\n4,,,hello\n"),
    ("SELECT id FROM orders", "hjson", b"1\n2\n3\n4"),
    ("SELECT id FROM orders WHERE false", "hjson", b""),
    ("SELECT id FROM orders WHERE false", "json", b"[]"),
    ('"a" + "\\u00e9"', "text", "aé".encode()),
    ('CAST("AP8Q" AS binary)', "binary", b"\0\xff\x10"),
    ('CFIRST(SELECT cust FROM orders)', "text", b"a"),
    ("SELECT v FROM plant.s1", None, b"[1]"),
    ("SELECT COUNT(*) AS n FROM orders", "csv", b"n\n4\n"),
    ("// a comment\r\nselect 1 as one", "json", b'[{"one":1}]'),
]


@rows([(row[0], *row) for row in RESULTS])
def results(query, form, want):
    eq(result(orders(), query, form), want)


INVALID = [
    ("bb", None, [("bb is not declared", "1:1-1:3")]),
    ("SELECT *\r\nFROM nosuch", None, [("nosuch is not declared", "2:6-2:12")]),
    ('SELECT "😀", bb FROM orders', None, [("bb is not declared", "1:13-1:15")]),
    ("x := 1; [x]", "text", [("unsupported type", "1:9-1:12")]),
    ("5", "binary", [("unsupported type", "1:1-1:2")]),
    ("[(a: [1])]", "csv", [("unsupported type", "1:1-1:11")]),
    ("(" * 300 + "1" + ")" * 300, None, [("nested too deeply", "1:201-1:202")]),
    ("1 +", None, [("expected expression but reached end of input", "1:4-1:4")]),
]


@rows([(row[0], *row) for row in INVALID])
def queries_that_do_not_compile(query, form, want):
    eq(invalid(orders(), query, form), want)


FAILURES = [
    ("SELECT 10 / x FROM x IN [5, 0]", None, (b"[2", "division by zero")),
    ("1 / 0", None, (b"", "division by zero")),
    ("SELECT 1 / x AS y FROM x IN [1, 0]", "csv", (b"y\n1\n", "division by zero")),
    ("SELECT CAST(cust AS int) FROM orders", "hjson", (b"", "cannot cast 'a' to int")),
]


@rows([(row[0], *row) for row in FAILURES])
def queries_that_fail_while_they_run(query, form, want):
    eq(failure(orders(), query, form), want)


@test
def limits_are_told():
    config = "[raw]\nrows_limit = 3\nsort_bytes = 100000\nquery_bytes = 200\nrun_limit_s = 1\nqueries = 1\n"
    with Server(config) as server:
        eq(failure(server, "SELECT x FROM RANGE(0, 9) x"), (b"[0,1,2", "limit of 3 rows passed"))
        eq(failure(server, "SELECT x FROM RANGE(0, 99999) x ORDER BY x"), (b"", "memory limit passed"))
        eq(invalid(server, "1" + " " * 200), [("query too long",)])
        begin = time.monotonic()
        eq(failure(server, "SELECT COUNT(x) FROM RANGE(0, 100000000000) x"), (b"", "time limit of 1 s passed"))
        assert 0.9 < time.monotonic() - begin < 3
        with Query(server) as long:
            long.start("SELECT COUNT(x) FROM RANGE(0, 100000000000) x")
            eq([long.recv() for _ in range(5)], STEPS)
            eq(failure(server, "1"), (b"", "too many queries"))
        eventually(lambda: server.metric("weir_raw_queries_running") == 0, "the query is gone")
        eq(result(server, "1"), b"1")


@test
def a_second_query_and_a_client_that_goes():
    server = orders()
    with Query(server) as client:
        client.start("SELECT COUNT(x) FROM RANGE(0, 100000000000) x")
        eq([client.recv() for _ in range(5)], STEPS)
        client.start("1")
        eq(client.recv(), {"type": "invalidMessage", "error": "Error processing message: a query is already running"})
        eq(client.ask("ll")["type"], "invalidMessage")
        assert client.ws.ping().wait(5), "no pong"
        assert server.metric("weir_raw_queries_running") >= 1
        client.abort()
    with Server() as own:
        with Query(own) as client:
            client.start("SELECT COUNT(x) FROM RANGE(0, 100000000000) x")
            eq([client.recv() for _ in range(5)], STEPS)
            eq(own.metric("weir_raw_queries_running"), 1.0)
            client.abort()
        eventually(lambda: own.metric("weir_raw_queries_running") == 0, "the query is gone")


@test
def a_slow_reader_holds_the_query_and_nothing_else():
    with Server("[raw]\nrows_limit = 100000000\n") as server:
        text = json.dumps({"type": "queryRequest", "query": "SELECT x FROM RANGE(0, 50000000) x"})
        with Raw(server, "raw", rcvbuf=4096) as slow:
            slow.upgrade("/ws/query")
            slow.frame(text)
            time.sleep(1.5)
            before = server.rss_bytes()
            time.sleep(1)
            assert server.rss_bytes() < before + (16 << 20), "output piles up"
            eq(result(server, "2"), b"2")
            eq(server.metric("weir_raw_queries_running"), 1.0)
        eventually(lambda: server.metric("weir_raw_queries_running") == 0, "the query is gone")


@test
def many_frames_are_one_document_of_chunks():
    data = result(orders(), "SELECT x, \"é\" AS t FROM RANGE(0, 50000) x")
    eq(len(json.loads(data)), 50000)
    with Query(orders()) as client:
        client.start("SELECT x FROM RANGE(0, 200000) x")
        frames = []
        try:
            while True:
                message = client.ws.recv(timeout=20)
                if isinstance(message, bytes):
                    frames.append(len(message))
        except Exception:
            pass
        assert all(size <= 1 << 20 for size in frames) and len(frames) > 5, frames


@test
def access_is_by_token_role_and_topic():
    users = ('[[user]]\nname = "a"\npassword = "p"\ntoken = "abc"\nroles = ["read"]\ntopics = ["open*"]\n'
             '[[user]]\nname = "w"\ntoken = "wr"\nroles = ["write", "admin"]\n')
    with Server(users) as server:
        bearer = {"Authorization": "Bearer abc"}
        for headers in ({}, {"Authorization": "Bearer nope"}):
            answer = refused_upgrade(server, "raw", "/ws/query", additional_headers=headers)
            eq(answer.status_code, 401)
            eq(answer.headers["WWW-Authenticate"], "Bearer")
            eq(json.loads(answer.body)["errorCode"], "AuthenticationError")
        answer = refused_upgrade(server, "raw", "/ws/query", additional_headers={"Authorization": "Bearer wr"})
        eq(answer.status_code, 403)
        eq(sorted(json.loads(answer.body)), ["errorCode", "message"])
        writer = {"Authorization": "Bearer wr"}
        for name in ("open1", "closed1"):
            server.http("POST jsonjet /api/execute", json_body={"query": f"create stream {name}"}, headers=writer)
            server.http("POST jsonjet /api/insert", json_body={"target": name, "data": {"v": 1}}, headers=writer)
        texts, data, _ = ask(server, "SELECT v FROM open1", additional_headers=bearer)
        eq((texts[-1], data), (LAST[-1], b"[1]"))
        texts, data, _ = ask(server, "SELECT v FROM closed1", additional_headers=bearer)
        eq(texts[1]["errors"][0]["message"], "closed1 is not declared")
        texts, data, _ = ask(server, "1", additional_headers={"Authorization": "Basic YTpw"})
        eq(data, b"1")


@test
def paths_and_plain_requests():
    server = orders()
    eq(refused_upgrade(server, "raw", "/ws/other").status_code, 404)
    eq(server.http("GET raw /").status, 404)
    eq(server.http("GET raw /ws/query").status, 426)
    with Ws(server, "raw", "/ws/query?x=1", subprotocols=["a", "b"]) as client:
        eq(client.ws.subprotocol, None)


@test
def idle_utf8_size_and_stop():
    with Server("[raw]\nidle_timeout_s = 1\n[limits]\nmessage_bytes = 2000\n") as server:
        with Query(server) as client:
            eq(client.ask("ll")["type"], "invalidMessage")
            eq(client.closed(), (1000, "idle"))
        with Raw(server, "raw") as raw:
            raw.upgrade("/ws/query")
            raw.frame(b'"\xc3\x28"')
            eq(raw.close_code(), 1007)
        with Query(server) as client:
            client.send("x" * 3000)
            eq(client.closed()[0], 1009)
        with Query(server) as client:
            client.start("SELECT COUNT(x) FROM RANGE(0, 100000000000) x")
            eq([client.recv() for _ in range(5)], STEPS)
            time.sleep(1.2)
            server.signal(15)
            eq(client.closed()[0], 1001)


@test
def a_query_sees_the_topic_as_it_was():
    server, name = orders(), fresh("snap")
    with Jet(server) as jet:
        jet.create(name)
        eq(jet.insert(name, [{"n": n} for n in range(1000)])["success"], True)
        # The inner topic is read while the outer one goes on; both are of one moment.
        text = f"SELECT COUNT(*) FROM {name} a, {name} b WHERE a.n = b.n"
        eq(result(server, text), b"1000")
        eq(jet.insert(name, [{"n": 5000, "new": True}])["success"], True)
        eq(result(server, f"SELECT new FROM {name} WHERE n = 5000"), b"[true]")
        eq(result(server, f"SELECT COUNT(*) FROM {name}"), b"1001")


@test
def messages_of_users_are_elements():
    with Server('[[mesh.route]]\npath = "/chat"\ntopic = "chat"\n') as server:
        with User(server) as user:
            for message in ("hello", '{"a":1,"b":{"c":[5]}}', b"\0\xff\x10", "42"):
                user.ws.send(message)
        want = b'["hello",{"a":1,"b":{"c":[5]}},"AP8Q",42]'
        eventually(lambda: ask(server, "SELECT * FROM chat")[1] == want, "the messages")
        eq(result(server, "SELECT a, b.c FROM chat WHERE a IS NOT NULL"), b'[{"a":1,"c":[5]}]')


@test
def files_lie_in_their_folder():
    with Server(start=False) as server:
        folder = os.path.join(server.dir, "files")
        os.mkdir(folder)
        with open(os.path.join(folder, "people.csv"), "w") as file:
            file.write("name,age\nAnn,31\nBo,\n")
        with open(os.path.join(server.dir, "secret.csv"), "w") as file:
            file.write("a,b\n1,2\n")
        os.symlink(os.path.join(server.dir, "secret.csv"), os.path.join(folder, "link.csv"))
        with open(server.config) as file:
            text = file.read()
        with open(server.config, "w") as file:
            file.write(f'files_dir = "{folder}"\n{text}')
        server.start()
        eq(result(server, 'SELECT name FROM READ_CSV("file:people.csv") WHERE age IS NULL'), b'["Bo"]')
        for location in ("file:../secret.csv", "file:link.csv", "secret.csv", "file:/etc/passwd"):
            eq(invalid(server, f'READ_CSV("{location}")')[0][0], f"location not allowed: {location}")
        eq(invalid(server, 'READ_CSV("file:none.csv")'), [("path not found: file:none.csv", "1:10-1:25")])


@test
def the_first_row_of_a_long_scan_comes_at_once():
    with Server() as server:
        with Jet(server) as jet:
            jet.create("big")
            for start in range(0, 200000, 10000):
                jet.insert("big", [{"n": n, "text": "x" * 40} for n in range(start, start + 10000)])
        eq(result(server, "SELECT COUNT(*) FROM big"), b"200000")
        best = 9.0
        for _ in range(5):
            with Query(server) as client:
                begin = time.monotonic()
                client.start("SELECT n, text FROM big")
                while not isinstance(client.raw(), bytes):
                    pass
                best = min(best, time.monotonic() - begin)
        assert best < 0.05, best


the_first_row_of_a_long_scan_comes_at_once.alone = True


@test
def names_of_fields_are_right_after_restarts():
    """They are kept in a file, from which the first query after a start goes on."""
    with Server() as server:
        with Jet(server) as jet:
            jet.create("s")
            for begin in range(0, 12_000, 1000):
                eq(jet.insert("s", [{"a": n, "b": n % 7} for n in range(begin, begin + 1000)])["success"], True)
        eq(result(server, "SELECT * FROM s WHERE a = 11999", "csv"), b"a,b\n11999,1\n")
        files = list(pathlib.Path(server.data, "topics").glob("*/fields"))
        eq(len(files), 1)
        header = b"a,b"
        for n, name in enumerate(["c", "d", "e", "f"]):
            if name in "de":
                files[0].write_bytes(files[0].read_bytes()[:-1])
            server.restart(by_kill=name != "d")
            eq(result(server, "SELECT * FROM s WHERE a = 11999", "csv").split(b"\n")[0], header)
            with Jet(server) as jet:
                eq(jet.insert("s", [{"a": 11999 - n, name: 1}])["success"], True)
            header += b"," + name.encode()
            eq(result(server, "SELECT * FROM s WHERE a = 11999", "csv").split(b"\n")[0], header)
