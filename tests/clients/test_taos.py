"""The taos front-end: SQL over HTTP and WebSocket, what others see of typed tables, restarts."""

import struct
import time

from harness import Server, Ws, eq, fresh, http_call, shared, test

T = 1700000000000
# Statement, then the rows of the answer, or the code of the error, or None: only that it succeeds.
SQL = [
    ("create table t (ts timestamp, v int, f double, s varchar(16))", None),
    (f"insert into t values ({T}, 1, 1.5, 'a') ({T + 1000}, 2, null, 'b'), ({T + 2000}, null, 2.5, 'c')", [[3]]),
    ("select v, f, s from t", [[1, 1.5, "a"], [2, None, "b"], [None, 2.5, "c"]]),
    ("select v from t where v > 1 or s = 'a' order by v desc", [[2], [1]]),
    ("select count(*), count(v), sum(v), avg(f) from t", [[3, 2, 3, 2]]),
    ("select top(v, 1), ts from t", [[2, "2023-11-14T22:13:21.000Z"]]),
    ("select diff(v) from t", [[1], [None]]),
    ("select last(*) from t", [["2023-11-14T22:13:22.000Z", 2, 2.5, "c"]]),
    ("select upper(s), length(s), v + 1 as w from t limit 1", [["A", 1, 2]]),
    ("select case when v is null then 'none' else s end from t where ts > '2023-11-14 22:13:20'", [["b"], ["none"]]),
    ("select sum(v) from (select v from t where v < 9)", [[3]]),
    ("select v from t union all select v from t order by v limit 3", [[None], [None], [1]]),
    ("select distinct v from t where v is not null", [[1], [2]]),
    (f"select _wstart, count(*) from t where ts >= {T} and ts < {T + 4000} interval(2s) fill(null)",
     [["2023-11-14T22:13:20.000Z", 2], ["2023-11-14T22:13:22.000Z", 1]]),
    ("select count(*) from t session(ts, 1s)", [[3]]),
    (f"delete from t where ts = {T}", [[1]]),
    ("select v from t", [[2], [None]]),
    ("alter table t add column n int", None),
    (f"insert into t (ts, n) values ({T + 1000}, 7)", [[1]]),
    ("select v, n from t", [[2, 7], [None, None]]),
    ("alter table t add column n int", 0x036B),
    ("alter table t drop column x", 0x036C),
    ("create stable st (ts timestamp, v int) tags (g int, l nchar(8))", None),
    (f"insert into a using st tags (1, 'x') values ({T}, 1) b using st (l) tags ('y') values ({T}, 2)", [[2]]),
    ("select tbname, g, l, v from st", [["a", 1, "x", 1], ["b", None, "y", 2]]),
    (f"insert into st (tbname, g, ts, v) values ('c', 3, {T}, 3)", [[1]]),
    ("select l, count(*) from st group by l order by l", [[None, 1], ["x", 1], ["y", 1]]),
    ("alter table b set tag g = 9", None),
    ("select sum(g) from (select distinct tbname, g from st)", [[13]]),
    ("drop table a", None),
    ("select tbname from st", [["b"], ["c"]]),
    (f"insert into a using st tags (5, 'z') values ({T + 5000}, 1)", [[1]]),
    ("select count(*) from a", [[1]]),
    ("select g from st slimit 1", 0x2638),
    ("select v, count(*) from st", 0x2600),
    ("select nothing(v) from st", 0x2600),
    ("select round() from st", 0x2801),
    ("select sum(l) from st", 0x2802),
    ("select 1 +", 0x2600),
    (";", 0x2600),
]


class Taos:
    def __init__(self, server, database=""):
        self.server, self.database = server, database

    def ask(self, sql):
        path = f"/rest/sql/{self.database}" if self.database else "/rest/sql"
        port = self.server.ports["taos"]
        return http_call(port, "POST", path, body=sql.encode(), auth=("root", "taosdata")).json

    def rows(self, sql):
        answer = self.ask(sql)
        assert answer["code"] == 0, (sql, answer)
        return answer["data"]


def database(server, options=""):
    name = fresh("d")
    Taos(server).rows(f"create database {name} {options}")
    return Taos(server, name)


@test
def statements_give_these_rows_or_codes():
    taos = database(shared())
    for sql, want in SQL:
        answer = taos.ask(sql)
        if isinstance(want, int):
            eq(answer["code"], want, sql)
        else:
            assert answer["code"] == 0, (sql, answer)
            if want is not None:
                eq(answer["data"], want, sql)


@test
def definitions_and_rows_survive_a_kill():
    with Server() as server:
        taos = database(server, "precision 'us' keep 30000")
        taos.rows("create stable st (ts timestamp, v int) tags (g int)")
        taos.rows(f"insert into a using st tags (1) values ({T}000, 1) b using st tags (2) values ({T}001, 2)")
        taos.rows("alter stable st add column w bigint")
        server.restart(by_kill=True)
        eq(taos.rows("select tbname, ts, v, w, g from st"),
           [["a", "2023-11-14T22:13:20.000000Z", 1, None, 1], ["b", "2023-11-14T22:13:20.000001Z", 2, None, 2]])
        taos.rows("drop stable st")
        server.restart(by_kill=True)
        eq(taos.rows("show stables"), [])
        eq(taos.ask("select * from a")["code"], 0x2603)


@test
def a_websocket_query_comes_in_blocks():
    taos = database(shared())
    taos.rows("create table t (ts timestamp, v int)")
    taos.rows("insert into t values " + " ".join(f"({T + i}, {i})" for i in range(5000)))
    with Ws(taos.server, "taos", "/rest/ws") as client:
        client.send({"action": "conn", "args": {"user": "root", "password": "taosdata", "db": taos.database}})
        eq(client.recv()["code"], 0)
        client.send({"action": "query", "args": {"req_id": 1, "sql": "select v from t"}})
        eq(client.recv()["id"], 1)
        counts = []
        while True:
            client.send({"action": "fetch", "args": {"req_id": 2, "id": 1}})
            step = client.recv()
            if step["completed"]:
                break
            counts.append(step["rows"])
        eq(counts, [4096, 904])


@test
def a_result_stands_still_while_it_is_fetched():
    taos = database(shared())
    taos.rows("create stable st (ts timestamp, v int, s varchar(20)) tags (g int)")
    for n in range(20):
        taos.rows(f"create table c{n} using st tags({n})")
        for part in range(5):
            rows = " ".join(f"({T + i}, {i * 20 + n}, 'x{i}')" for i in range(part * 1000, part * 1000 + 1000))
            taos.rows(f"insert into c{n} values {rows}")
    with Ws(taos.server, "taos", "/rest/ws") as client:
        def call(action, **args):
            return client.ask({"action": action, "args": {"req_id": 7, **args}})

        def fetch(number):
            client.ws.send(struct.pack("<QQQH", 1, number, 7, 1))
            reply = client.raw()
            ended = reply[50]
            return None if ended else reply[55:]

        eq(call("conn", user="root", password="taosdata", db=taos.database)["code"], 0)
        first = call("query", sql="select ts, v, s from st")["id"]
        some = call("query", sql="select v from st where v % 1000 = 7 order by ts limit 50 offset 2")["id"]
        others = [call("query", sql="select * from st where g < 15")["id"] for _ in range(40)]
        idle = call("query", sql="select * from st")["id"]
        blocks = [fetch(first) for _ in range(5)]
        # What is written, deleted and dropped meanwhile changes nothing of what was found.
        taos.rows("insert into c3 values " + " ".join(f"({T + i}, -1, 'new')" for i in range(4000)))
        taos.rows("drop table c5")
        while (block := fetch(first)) is not None:
            blocks.append(block)
        values = []
        for block in blocks:
            rows = int.from_bytes(block[8:12], "little")
            at = 28 + 9 * 3 + rows * 8 + 2 * ((rows + 7) // 8)
            values += struct.unpack(f"<{rows}i", block[at:at + 4 * rows])
        eq(values, list(range(100_000)))
        block = fetch(some)
        eq(int.from_bytes(block[8:12], "little"), 50)
        at = 28 + 9 + 7
        eq(struct.unpack("<50i", block[at:at + 200]), tuple(1000 * i + 7 for i in range(2, 52)))
        eq(fetch(some), None)
        # One after the other, a block of each in turn.
        counts = dict.fromkeys(others, 0)
        while counts:
            for number in list(counts):
                block = fetch(number)
                if block is None:
                    eq(counts.pop(number), 75_000)
                else:
                    counts[number] += int.from_bytes(block[8:12], "little")
        client.send({"action": "free_result", "args": {"req_id": 1, "id": idle}})
        eq(call("fetch", id=idle)["message"], "result is nil")
        many = [call("query", sql="select * from st")["id"] for _ in range(260)]
        eq([call("num_fields", result_id=number)["code"] for number in many[:4]], [65535] * 4)
        eq(call("num_fields", result_id=many[-1])["num_fields"], 4)
    eq(taos.rows("select count(*) from st"), [[95_000]])


@test
def rows_older_than_keep_are_let_go_of():
    with Server() as server:
        old_rows_go(database(server, "keep 100"))


def old_rows_go(taos):
    day, now = 86_400_000, int(time.time() * 1000)
    taos.rows("create stable st (ts timestamp, v int) tags (g int)")
    taos.rows("create table n (ts timestamp, v int)")
    for table in ("a using st tags(1)", "b using st tags(2)", "n"):
        taos.rows(f"insert into {table} values " + " ".join(f"({now - age * day}, {age})" for age in (90, 50, 20, 1)))
    eq(taos.ask(f"insert into n values ({now - 101 * day}, 1)")["code"], 0x060B)
    eq(taos.rows("select count(*) from st"), [[8]])
    # A later record, which no older one goes behind.
    taos.rows(f"insert into n values ({now - 80 * day}, 80)")
    taos.rows(f"alter database {taos.database} keep 60")
    eq(taos.rows("select v from st order by ts, tbname"), [[50], [50], [20], [20], [1], [1]])
    eq(taos.rows("select v from st where g = 2 and v > 10"), [[50], [20]])
    eq(taos.rows("select count(*), first(v), sum(v) from n"), [[3, 50, 71]])
    eq(taos.ask(f"insert into n values ({now - 61 * day}, 1)")["code"], 0x060B)
    taos.rows(f"alter database {taos.database} keep 10")
    eq(taos.rows("select v, tbname from st"), [[1, "a"], [1, "b"]])
    eq(taos.rows("select v from n"), [[1]])
    taos.rows(f"alter database {taos.database} keep 100")
    # The record of the rows that are 80 days old has gone by now, those before it hold newer rows.
    taos.server.restart(by_kill=True)
    eq(taos.rows("select v from n where v < 30"), [[20], [1]])
    eq(taos.rows("select count(*) from st where v < 30"), [[4]])
