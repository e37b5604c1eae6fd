"""What one front-end writes, as the others read it: typed tables above all."""

from harness import ANY, Backend, Jet, Like, Server, User, Ws, eq, rows, shared, test

ROUTES = """
[[mesh.route]]
path = "/typed"
topic = "d.t"
"""


def server():
    return shared(ROUTES, setup=prepare)


def sql(at, text):
    reply = at.http("POST taos /rest/sql", body=text, auth=("root", "taosdata")).json
    eq(reply["code"], 0)
    return reply["data"]


def prepare(at):
    sql(at, "create database d")
    sql(at, "create table d.t (ts timestamp, v int)")
    sql(at, "create stable d.st (ts timestamp, b bool, i1 tinyint, u1 tinyint unsigned, u4 int unsigned, "
            "u8 bigint unsigned, f float, g double, s nchar(8), x varbinary(8)) tags (k smallint)")
    sql(at, "insert into d.a using d.st tags (7) values "
            "(1700000000000, true, -128, 255, 4294967295, 18446744073709551615, 16777216, 100, '涛', '\\x00ff') "
            "(1700000001000, null, null, null, null, null, null, null, null, null)")
    sql(at, "create stable d.j (ts timestamp, v int) tags (j json)")
    sql(at, "insert into d.j1 using d.j tags ('{\"a\":{\"b\":1}}') values (1700000000000, 1)")
    eq(at.execute("create stream source")["success"], True)


def rql(at, query, **settings):
    """The bytes of a result and the messages of errors."""
    with Ws(at, "raw", "/ws/query") as ws:
        ws.send({"type": "queryRequest", "query": query, "settings": settings})
        out, errors = b"", []
        while True:
            message = ws.raw()
            if isinstance(message, bytes):
                out += message
            elif '"queryStreamingEnd"' in message:
                return out.decode(), errors
            elif '"invalidQuery"' in message:
                return out.decode(), message


RAW = [
    ("each kind has its type", "TYPEOF(d.st)",
     '"collection(record(ts: long, b: bool nullable, i1: byte nullable, u1: short nullable, u4: long nullable, '
     'u8: decimal nullable, f: float nullable, g: double nullable, s: string nullable, x: binary nullable, '
     'k: short nullable, tbname: string))"'),
    ("values keep it", "SELECT b, i1, u1, u4, u8, f, g, s, x, k, tbname FROM d.st",
     '[{"b":true,"i1":-128,"u1":255,"u4":4294967295,"u8":18446744073709551615,"f":16777216.0,"g":100.0,"s":"涛",'
     '"x":"AP8=","k":7,"tbname":"a"},{"b":null,"i1":null,"u1":null,"u4":null,"u8":null,"f":null,"g":null,"s":null,'
     '"x":null,"k":7,"tbname":"a"}]'),
    ("numbers beyond 64 bits are counted with", "SELECT u8 + 1 FROM d.st WHERE u8 > 5", "[18446744073709551616]"),
    ("a JSON tag is looked into", "SELECT j.a.b FROM d.j", "[1]"),
    ("an empty table has its columns", "SELECT v FROM d.t", "[]"),
]


@rows(RAW)
def typed_rows_in_rql(query, want):
    eq(rql(server(), query), (want, []))


@rows([
    ("no such column", "SELECT w FROM d.t", "w is not declared"),
    ("no such column of an alias", "SELECT t.w FROM d.t t", "w is not declared"),
    ("kinds are known before it runs", "SELECT s = 1 FROM d.st", "expected string but got int"),
])
def wrong_uses_of_typed_rows_in_rql(query, want):
    _, message = rql(server(), query)
    assert f'"message":"{want}"' in message, message


@test
def typed_rows_in_csv():
    setting = {"X-RAW-output-format": "csv"}
    eq(rql(server(), "SELECT u1, f, x FROM d.st", **setting), ("u1,f,x\n255,16777216.0,AP8=\n,,\n", []))
    eq(rql(server(), "SELECT * FROM d.t", **setting), ("ts,v\n", []))


READ_ONLY = "Stream 'd.t' is a typed table, read only here"


@rows([
    ("insert", "insert into d.t {a: 1}", ""),
    ("delete", "delete stream d.t", ""),
    ("delete if exists", "drop if exists stream d.t", ""),
    ("replace", "create or replace stream d.t", ""),
    ("continuous query", "source | insert_into(d.t)", ""),
    ("flow", "create flow f as source | insert_into(d.t)", "Failed to create flow: "),
])
def statements_that_write_a_typed_table(query, before):
    reply = server().execute(query)
    eq(reply, Like(success=False, error={"code": "COMMAND_FAILED", "message": before + READ_ONLY}))


@test
def other_writes_to_a_typed_table():
    at = server()
    for data in ({"a": 1}, []):
        reply = at.http("POST jsonjet /api/insert", {"target": "d.t", "data": data})
        eq((reply.status, reply.json), (400, {"success": False, "error": READ_ONLY}))
    before = at.metric("weir_mesh_messages_refused_total")
    with User(at, "/typed") as user:
        user.send("x")
        eq(user.closed()[0], 1008)
    eq(at.metric("weir_mesh_messages_refused_total"), before + 1)


@test
def rows_are_bits():
    at = Server()
    with at:
        sql(at, "create database d")
        sql(at, "create stable d.`ns.m` (ts timestamp, value int, s varchar(5), ok bool, timestamp bigint) tags (g int)")
        sql(at, "insert into d.a using d.`ns.m` tags (1) values (1700000000000, 5, 'x', true, null)")
        names = {"db": "d", "namespace": "ns", "metric": "m"}

        def ask(text):
            return at.http("POST nsdb /query", {**names, "queryString": text})

        first = {"timestamp": 1700000000000, "value": 5, "tags": {},
                 "dimensions": {"ts": 1700000000000, "s": "x", "g": 1, "tbname": "a"}}
        second = {"timestamp": 1700000001000, "value": 7, "tags": {},
                  "dimensions": {"ts": 1700000001000, "g": 1, "tbname": "a"}}
        third = {"timestamp": 1, "value": 8, "tags": {},
                 "dimensions": {"ts": 1700000002000, "g": 1, "tbname": "a"}}
        shown = [Like(**first)]
        eq(ask("select * from m").json, {"records": shown})
        eq(at.http("GET nsdb /commands/dbs").json, {"dbs": ["d"]})
        with Ws(at, "nsdb", "/ws-stream") as all_bits, Ws(at, "nsdb", "/ws-stream") as some:
            eq(all_bits.ask({**names, "queryString": "select * from m"}), Like(records=shown))
            eq(some.ask({**names, "queryString": "select * from m where value = 8"}), Like(records=[]))
            sql(at, "insert into d.a values (1700000001000, 7, null, false, null) "
                    "(1700000002000, 8, null, null, 1) (1700000003000, null, null, null, null)")
            got = []
            while len(got) < 2:
                got += all_bits.recv()["records"]
            eq(got, [Like(**second), Like(**third)])
            eq(some.recv(), Like(records=[Like(**third)]))
        shown += [Like(**second), Like(**third)]
        eq(at.metric("weir_nsdb_records_skipped_total"), 1.0)
        for text in ("insert into m VAL=3", "delete from m where value = 7", "drop metric m"):
            reply = ask(text)
            eq((reply.status, reply.text), (400, "Metric m is a typed table, read only here"))
        reply = at.http("DELETE nsdb /commands/d/ns/m")
        eq((reply.status, reply.text), (400, "Metric m is a typed table, read only here"))
        eq(at.http("DELETE nsdb /commands/d/ns").text, "Ok")
        at.restart(by_kill=True)
        eq(ask("select * from m").json, {"records": shown})
        eq(ask("select sum(value) from m group by g").status, 400)
        eq(ask("select count(*) from m").json["records"][0]["tags"], {"count(*)": 3})


@test
def deleted_rows_are_in_no_answer():
    at = Server()
    with at:
        sql(at, "create database d")
        sql(at, "create stable d.`ns.m` (ts timestamp, value int) tags (g int)")
        sql(at, "insert into d.a using d.`ns.m` tags (1) values (1700000000000, 1) (1700000001000, 2) (1700000002000, 3)")
        sql(at, "insert into d.b using d.`ns.m` tags (2) values (1700000001000, 4)")
        names = {"db": "d", "namespace": "ns", "metric": "m"}

        def seen():
            reply = at.http("POST nsdb /query", {**names, "queryString": "select * from m"}).json
            bits = [bit["value"] for bit in reply["records"]]
            result = at.execute("d.ns.m | select { value }")["result"]
            eq([row["value"] for row in result["rows"]], bits)
            eq(result["scanned"], len(bits))
            out, _ = rql(at, "SELECT value FROM d.ns.m ORDER BY value")
            eq(out, str(sorted(bits)).replace(" ", ""))
            return bits

        eq(seen(), [1, 2, 3, 4])
        with Jet(at) as live:
            live.subscribe("d.ns.m")
            sql(at, "delete from d.a where ts = 1700000001000")
            eq(seen(), [1, 3, 4])
            sql(at, "insert into d.a values (1700000001000, 5)")
            eq(live.recv()["data"]["value"], 5)
        eq(seen(), [1, 3, 4, 5])
        sql(at, "drop table d.b")
        eq(seen(), [1, 3, 5])
        at.restart(by_kill=True)
        eq(seen(), [1, 3, 5])
        sql(at, "delete from d.`ns.m`")
        eq(seen(), [])


@test
def deletes_take_no_room_of_a_consumer():
    at = Server()
    with at:
        sql(at, "create database d")
        sql(at, "create table d.t (ts timestamp, v int)")
        with Backend(at) as backend:
            backend.pop("d.t", ack=True)
            for n in range(80):
                sql(at, f"insert into d.t values ({1700000000000 + n}, {n})")
                sql(at, f"delete from d.t where ts = {1700000000000 + n}")
                event = backend.event()
                eq(event["d"]["v"], n)
                eq(backend.ok("queue.ack", {"ids": [event["o"]]}), {"s": 1, "f": 0})


@test
def replay_counts_rows_that_are_still_there():
    at = Server()
    with at:
        sql(at, "create database d")
        sql(at, "create stable d.st (ts timestamp, v int) tags (g int)")
        sql(at, "create table d.other (ts timestamp, v int)")
        eq(at.execute("create stream plain")["success"], True)
        for n in range(0, 12, 3):
            values = " ".join(f"({1700000000000 + v}, {v})" for v in range(n, n + 3))
            sql(at, f"insert into d.a using d.st tags (1) values {values}")
        sql(at, "insert into d.b using d.st tags (2) values (1700000000000, 100) (1700000000001, 101)")
        sql(at, "insert into d.other values (1700000000000, 7)")

        def replayed(count, want):
            with Jet(at) as jet:
                eq(jet.subscribe("d.st", replay=count), Like(type="subscribed", subscriptions=[Like(subscriptionId=int)]))
                eq([frame["data"]["v"] for frame in jet.take(len(want))], want)
                sql(at, "insert into d.c using d.st tags (3) values (1700000000009, 9)")
                eq(jet.recv()["data"]["v"], 9)
                sql(at, "drop table d.c")

        def all_of(want):
            for count in (0, 1, 2, 3, 4, 7, len(want), 1000, "all"):
                replayed(count, want if count == "all" else want[max(0, len(want) - count):])

        rows = [*range(12), 100, 101]
        all_of(rows)
        sql(at, "delete from d.a where ts >= 1700000000004 and ts < 1700000000007")
        rows = [0, 1, 2, 3, 7, 8, 9, 10, 11, 100, 101]
        all_of(rows)
        sql(at, "insert into d.a values (1700000000005, 55)")
        all_of([*rows, 55])
        sql(at, "drop table d.b")
        rows = [0, 1, 2, 3, 7, 8, 9, 10, 11, 55]
        all_of(rows)
        at.restart(by_kill=True)
        all_of(rows)
        with Jet(at) as jet:
            eq(jet.insert("plain", [{"v": 1}, {"v": 2}])["success"], True)
            eq(len(jet.subscribe(["plain", "d.st", "d.other", "d.st"], replay=2)["subscriptions"]), 4)
            got = {}
            for frame in jet.take(7):
                got.setdefault((frame["streamName"], frame["subscriptionId"]), []).append(frame["data"]["v"])
            eq(sorted(got.values()), [[1, 2], [7], [11, 55], [11, 55]])
        sql(at, "delete from d.st")
        all_of([])


@test
def names_that_are_taken_say_by_what():
    at = Server()
    with at:
        sql(at, "create database d")
        sql(at, "create table d.t (ts timestamp, v int)")
        sql(at, "create stable d.st (ts timestamp, v int) tags (g int)")
        sql(at, "create table d.a using d.st tags (1)")
        eq(at.execute("create stream d.foreign")["success"], True)
        for name, code in (("t", 0x603), ("a", 0x603), ("`foreign`", 0x603), ("st", 0x360)):
            for what in ("table d.%s (ts timestamp, v int)", "stable d.%s (ts timestamp, v int) tags (g int)",
                         "table d.%s using d.st tags (2)"):
                def create(text):
                    return at.http("POST taos /rest/sql", body=text, auth=("root", "taosdata")).json["code"]
                eq((name, what, create("create " + what % name)), (name, what, code))
                eq(create("create " + (what % name).replace("table ", "table if not exists ", 1)), 0)
        eq(sorted(sql(at, "show d.tables")), [["a"], ["foreign"], ["t"]])


ROUTES_TO_NO_TOPIC = """
[[mesh.route]]
path = "/subtable"
topic = "d.a"

[[mesh.route]]
path = "/log"
topic = "_log"
"""


@test
def what_is_no_topic_becomes_none():
    at = Server(ROUTES_TO_NO_TOPIC)
    with at:
        sql(at, "create database d")
        sql(at, "create stable d.st (ts timestamp, v int) tags (g int)")
        sql(at, "create table d.a using d.st tags (1)")
        sql(at, "create table d.`ns.m` using d.st tags (1)")
        streams = ["_log", "d.st"]
        with Backend(at) as backend:
            for name in ("d.a", "_log", "main._log"):
                eq(backend.code("queue.pop", {"t": ["new", name]}), 201)
            eq(backend.code("queue.unpop", {}), 203)
        for path in ("/subtable", "/log"):
            with User(at, path) as user:
                user.send("x")
                eq(user.closed()[0], 1008)
        eq(at.execute("create stream d.a"), Like(success=False, error=Like(code="STREAM_ALREADY_EXISTS")))
        for query in ("create if not exists stream d.a", "create or replace stream d.a"):
            eq(at.execute(query), Like(success=False, error=Like(code="COMMAND_FAILED")))
        bit = {"db": "d", "namespace": "ns", "metric": "m",
               "bit": {"timestamp": 1, "value": 1, "dimensions": {}, "tags": {}}}
        reply = at.http("POST nsdb /data", bit)
        eq((reply.status, reply.text), (400, "Metric m is a typed table, read only here"))
        for what in ("table %s (ts timestamp, v int)", "stable %s (ts timestamp, v int) tags (g int)"):
            reply = at.http("POST taos /rest/sql", body="create " + what % "main._log", auth=("root", "taosdata"))
            eq(reply.json["code"], 0x2644)
        eq(at.http("GET jsonjet /api/streams").json, {"streams": streams})
        sql(at, "drop table d.a")
        with Backend(at) as backend:
            backend.pop("d.a")
        eq(at.http("GET jsonjet /api/streams").json, {"streams": [*streams, "d.a"]})


@test
def offsets_of_typed_rows_are_those_of_their_writes():
    at = Server()
    with at:
        sql(at, "create database d")
        sql(at, "create stable d.st (ts timestamp, v int, w int) tags (g int)")
        sql(at, "insert into d.a using d.st tags (1) values (1700000000000, 1, 1) (1700000000002, 2, 2)")
        sql(at, "insert into d.b using d.st tags (2) values (1700000000001, 3, 3)")
        query = "SELECT OFFSET_OF(x) AS o, x.v FROM d.st x"
        eq(rql(at, query), ('[{"o":0,"v":1},{"o":1,"v":3},{"o":0,"v":2}]', []))
        sql(at, "delete from d.b")
        sql(at, "insert into d.a (ts, w) values (1700000000002, 9)")
        sql(at, "insert into d.a values (1700000000001, 4, 4)")
        for _ in range(2):
            eq(rql(at, query), ('[{"o":0,"v":1},{"o":4,"v":4},{"o":3,"v":2}]', []))
            eq(rql(at, "SELECT v, w FROM d.st WHERE OFFSET_OF(*) = 3"), ('[{"v":2,"w":9}]', []))
            eq(rql(at, "SELECT v FROM d.st"), ("[1,4,2]", []))
            at.restart(by_kill=True)
