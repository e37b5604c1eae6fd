"""The taos front-end: statements and points without a schema, by hand and with published clients.

The clients' versions cannot share a venv: `tests/run` makes one for each under .cache/clients.
"""

import json
import os
import pathlib
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor

from harness import PATIENCE, ROOT, Server, Skip, Ws, eq, http_call, rows, shared, test
from test_taos import T, database

CLIENTS = pathlib.Path(os.environ.get("WEIR_CLIENTS") or ROOT / ".cache" / "clients")
VERSIONS = ["taos-ws-py-0.3.0", "taos-ws-py-0.7.0"]
SCENARIOS = ["subtables", "many", "json_tag", "faults", "stmt2", "schemaless"]
COLUMNS = ("ts timestamp, b bool, i int, l bigint, f float, d double, s varchar(16), n nchar(16), u bigint unsigned")
# Rows of every way of writing; the last has nothing but its time.
DATA = [
    (T, True, -5, -(2**62), 1.5, -2.25, "ab", "涛思😀", 2**64 - 1),
    (T + 1, False, 7, 2**62, -0.5, 1e300, "", "", 0),
    (T + 2, *[None] * 8),
]
FIXED = {"ts": (9, "q"), "b": (1, "b"), "i": (4, "i"), "l": (5, "q"), "f": (6, "f"), "d": (7, "d"), "u": (14, "Q")}


@rows([(f"{version} {scenario}", version, scenario) for version in VERSIONS for scenario in SCENARIOS])
def published_clients_bind(version, scenario):
    python = CLIENTS / version / "bin" / "python"
    if not python.exists():
        raise Skip(f"no {python}; tests/run makes it")
    taos = database(shared())
    driver = pathlib.Path(__file__).with_name("taos_driver.py")
    ran = subprocess.run([python, driver, str(taos.server.ports["taos"]), taos.database, scenario],
                         capture_output=True, text=True, timeout=3 * PATIENCE, env={**os.environ, "TZ": "UTC"})
    assert ran.returncode == 0, ran.stdout + ran.stderr


class Client(Ws):
    """A connection with a database."""

    def __init__(self, taos, path="/ws"):
        super().__init__(taos.server, "taos", path)
        eq(self.call("conn", user="root", password="taosdata", db=taos.database)["code"], 0)

    def call(self, action, **args):
        return self.ask({"action": action, "args": {"req_id": 2**64 - 1, **args}})

    def good(self, action, **args):
        reply = self.call(action, **args)
        assert reply["code"] == 0, reply
        return reply

    def frame(self, data):
        self.ws.send(data)
        return self.recv()


def column_of(name, at):
    values = [row[at] for row in DATA]
    nulls = bytes([sum(0x80 >> n for n, value in enumerate(values) if value is None)])
    if name in FIXED:
        code, form = FIXED[name]
        data = b"".join(struct.pack("<" + form, value or 0) for value in values)
        return code, struct.calcsize(form), nulls + data, len(data)
    encode = (lambda text: text.encode()) if name == "s" else (lambda text: text.encode("utf-32-le"))
    offsets, data = b"", b""
    for value in values:
        offsets += struct.pack("<i", -1 if value is None else len(data))
        if value is not None:
            data += struct.pack("<H", len(encode(value))) + encode(value)
    return 8 if name == "s" else 10, 0, offsets + data, len(data)


def raw_block():
    names = [part.split()[0] for part in COLUMNS.split(", ")]
    parts = [column_of(name, at) for at, name in enumerate(names)]
    body = b"".join(struct.pack("<bi", code, width) for code, width, *_ in parts)
    body += b"".join(struct.pack("<i", size) for *_, size in parts) + b"".join(part[2] for part in parts)
    return struct.pack("<iiiiIQ", 1, 4, len(DATA), len(parts), 0, 0) + body


def bind_two(name):
    fields = b""
    for at, part in enumerate(COLUMNS.split(", ")):
        own, values = part.split()[0], [row[at] for row in DATA]
        flags = bytes(value is None for value in values)
        if own in FIXED:
            code, form = FIXED[own]
            rest, data = b"\0", b"".join(struct.pack("<" + form, value or 0) for value in values)
        else:
            code, texts = (8 if own == "s" else 10), [(value or "").encode() for value in values]
            rest = b"\1" + b"".join(struct.pack("<i", len(text)) for text in texts)
            data = b"".join(texts)
        field = struct.pack("<ii", code, len(values)) + flags + rest + struct.pack("<I", len(data)) + data
        fields += struct.pack("<I", len(field) + 4) + field
    names = struct.pack("<H", len(name) + 1) + name.encode() + b"\0"
    tag = struct.pack("<IiiBBIi", 22, 4, 1, 0, 0, 4, 4)
    tags = struct.pack("<I", len(tag)) + tag
    at_tags, at_columns = 28 + len(names), 28 + len(names) + len(tags)
    columns = struct.pack("<I", len(fields)) + fields
    total = at_columns + len(columns)
    head = struct.pack("<7I", total, 1, 1, len(DATA[0]), 28, at_tags, at_columns)
    return struct.pack("<QQQHi", 5, 1, 9, 1, -1) + head + names + tags + columns


def literals(row):
    def one(value):
        return "null" if value is None else f"'{value}'" if isinstance(value, str) else repr(value).lower()
    return "(" + ", ".join(map(one, row)) + ")"


@test
def what_is_written_four_ways_reads_the_same():
    taos = database(shared())
    taos.rows(f"create stable st ({COLUMNS}) tags (g int)")
    taos.rows(f"insert into t1 using st tags (1) values {' '.join(map(literals, DATA))}")
    marks = ",".join("?" * len(DATA[0]))
    with Client(taos, "/rest/stmt") as client:
        client.good("init")
        eq(client.good("prepare", stmt_id=1, sql=f"insert into ? using st tags(?) values({marks})")["is_insert"], True)
        for number in (2, 3):
            client.good("set_table_name", stmt_id=1, name=f"{taos.database}.`t{number}`")
            client.good("set_tags", stmt_id=1, tags=[number])
            if number == 2:
                client.good("bind", stmt_id=1, columns=[list(values) for values in zip(*DATA)])
            else:
                reply = client.frame(struct.pack("<QQQ", 7, 1, 2) + raw_block())
                eq([reply[key] for key in ("code", "action", "req_id", "stmt_id")], [0, "bind", 7, 1])
            client.good("add_batch", stmt_id=1)
        eq(client.good("exec", stmt_id=1)["affected"], 6)
    with Client(taos) as client:
        client.good("stmt2_init")
        reply = client.good("stmt2_prepare", stmt_id=1, sql=f"insert into ? using st tags(?) values({marks})", get_fields=True)
        eq([field["bind_type"] for field in reply["fields"]], [4, 2] + [1] * len(DATA[0]))
        eq(client.frame(bind_two("t4"))["code"], 0)
        eq(client.good("stmt2_exec", stmt_id=1)["affected"], 3)
        want = taos.rows("select * from t1")
        eq(len(want), 3)
        blocks = set()
        for number in range(1, 5):
            eq(taos.rows(f"select * from t{number}"), want)
            blocks |= {fetch_json(client, f"select * from t{number}"), fetch_binary(client, f"select * from t{number}")}
        eq(len(blocks), 1)
    eq(taos.rows("select tbname, g from st where ts = '2023-11-14 22:13:20'"), [["t1", 1], ["t2", 2], ["t3", 3], ["t4", 4]])


def fetch_json(client, sql):
    number = client.good("query", sql=sql)["id"]
    eq(client.good("fetch", id=number)["rows"], 3)
    client.send({"action": "fetch_block", "args": {"req_id": 1, "id": number}})
    return client.raw()[16:]


def fetch_binary(client, sql):
    text = sql.encode()
    reply = client.frame(struct.pack("<QQQHI", 1, 0, 6, 1, len(text)) + text)
    client.ws.send(struct.pack("<QQQH", 1, reply["id"], 7, 1))
    return client.raw()[55:]


FAULTS = [
    # action, args, code, message
    ("bind", {"columns": []}, 0x022A, None),
    ("prepare", {"sql": "insert into ? using st tags(?) values(?, ?)"}, 0, None),
    ("bind", {"columns": [[T], [1]]}, 0x022B, None),
    ("set_table_name", {"name": "a b.c.d"}, 0x2600, None),
    ("set_table_name", {"name": "x"}, 0, None),
    ("bind", {"columns": [[T], [1]]}, 0x022A, None),
    ("set_tags", {"tags": [1, 2]}, 65535, "stmt tags count not match"),
    ("set_tags", {"tags": ["x"]}, 65535, "stmt parse tag json:\"x\" is no INT"),
    ("set_tags", {"tags": 5}, 65535, "unmarshal set_tags request error"),
    ("set_tags", {"tags": [1]}, 0, None),
    ("bind", {"columns": [[T]]}, 65535, "stmt column count not match"),
    ("bind", {"columns": [[T], [1.5]]}, 65535, "stmt parse column json:1.5 is no INT"),
    ("bind", {"columns": [[T], 1]}, 65535, "stmt parse column json:no array of values"),
    ("bind", {"columns": [[None], [1]]}, 0x2605, None),
    ("bind", {"columns": [[5], [1]]}, 0x060B, None),
    ("add_batch", {}, 0x022A, None),
    ("exec", {}, 0, None),
    ("bind", {"columns": [[T], [1]]}, 0, None),
    ("exec", {}, 0x022A, None),
    ("add_batch", {}, 0, None),
    ("exec", {}, 0, None),
    ("use_result", {}, 0x022A, None),
    ("get_tag_fields", {}, 0, None),
    ("stmt_get_param", {"index": 2}, 0x0118, None),
    ("set_table_name", {"name": "st"}, 0x2605, None),
    ("prepare", {"sql": "insert into ? values(?, ?)"}, 0, None),
    ("set_table_name", {"name": "nothing"}, 0x2603, None),
    ("set_table_name", {"name": "nowhere.x"}, 0x0388, None),
    ("set_tags", {"tags": ["whatever"]}, 0, None),
    ("prepare", {"sql": "drop table x"}, 0x2600, None),
]


@test
def statements_refuse_what_makes_no_sense():
    taos = database(shared())
    taos.rows("create stable st (ts timestamp, v int) tags (g int)")
    with Client(taos) as client:
        client.good("init")
        for action, args, code, message in FAULTS:
            reply = client.call(action, stmt_id=1, **args)
            eq((reply["code"], reply["stmt_id"]), (code, 1), f"{action} {args} {reply}")
            if message:
                eq(reply["message"], message)
        eq(taos.rows("select tbname, v, g from st"), [["x", 1, 1]])
        for n in range(1023):
            client.good("init")
        eq(client.call("init")["code"], 0x0118)
        eq(client.call("stmt2_init")["code"], 0x0118)
        client.send({"action": "close", "args": {"stmt_id": 1}})
        eq(client.good("stmt2_init")["stmt_id"], 1)


@test
def parameters_and_their_fields_are_shown():
    taos = database(shared())
    taos.rows("create stable st (ts timestamp, v int, s varchar(10), n nchar(10)) tags (g int, h nchar(4))")
    with Client(taos) as client:
        client.good("init")
        client.good("prepare", stmt_id=1, sql="insert into ? using st (h) tags(?) (ts, n, v) values(?, ?, 5)")
        fields = client.good("get_tag_fields", stmt_id=1)["fields"]
        eq(fields, [{"name": "h", "field_type": 10, "precision": 0, "scale": 0, "bytes": 18}])
        eq([f["name"] for f in client.good("get_col_fields", stmt_id=1)["fields"]], ["ts", "n"])
        eq(client.good("stmt_num_params", stmt_id=1)["num_params"], 2)
        param = client.good("stmt_get_param", stmt_id=1, index=1)
        eq([param[key] for key in ("index", "data_type", "length")], [1, 10, 42])
        client.good("set_table_name", stmt_id=1, name="x")
        client.good("set_tags", stmt_id=1, tags=["ab"])
        client.good("bind", stmt_id=1, columns=[[T, T + 1], ["x", None]])
        client.good("add_batch", stmt_id=1)
        eq(client.good("exec", stmt_id=1)["affected"], 2)
        eq(taos.rows("select v, n, g, h from st"), [[5, "x", None, "ab"], [5, None, None, "ab"]])
        client.good("stmt2_init")
        reply = client.good("stmt2_prepare", stmt_id=1, get_fields=True,
                            sql="insert into st (ts, tbname, v, g) values(?, ?, ?, ?)")
        eq([(f["name"], f["bind_type"]) for f in reply["fields"]], [("ts", 1), ("tbname", 4), ("v", 1), ("g", 2)])
        reply = client.call("stmt2_prepare", stmt_id=1, get_fields=True, sql="insert into nothing values(?)")
        eq((reply["code"], reply["stmt_id"]), (0x2603, 1))


@test
def a_query_takes_parameters():
    taos = database(shared())
    taos.rows("create table t (ts timestamp, v int, s varchar(8))")
    taos.rows(f"insert into t values ({T}, 1, 'a') ({T + 1}, 2, 'b') ({T + 2}, 3, 'b')")
    with Client(taos, "/rest/schemaless") as client:
        client.good("init")
        eq(client.good("prepare", stmt_id=1, sql="select v from t where v > ? and s = ?")["is_insert"], False)
        eq(client.good("stmt_num_params", stmt_id=1)["num_params"], 2)
        eq(client.call("exec", stmt_id=1)["code"], 0x022A)
        eq(client.call("use_result", stmt_id=1)["message"], "result is nil")
        eq(client.call("bind", stmt_id=1, columns=[[1, 2], ["b", "b"]])["code"], 65535)
        client.good("bind", stmt_id=1, columns=[[1], ["b"]])
        client.good("add_batch", stmt_id=1)
        client.good("exec", stmt_id=1)
        reply = client.good("use_result", stmt_id=1)
        eq((reply["stmt_id"], reply["fields_names"], reply["is_update"]), (1, ["v"], False))
        eq(client.good("fetch", id=reply["result_id"])["rows"], 2)
        for value, count in (("2023-11-14T22:13:20.001Z", 2), ("2023-11-14 22:13:20.002", 1), (T + 1, 2)):
            client.good("prepare", stmt_id=1, sql="select v from t where ts >= ? and v in (?, 3)")
            client.good("bind", stmt_id=1, columns=[[value], [2]])
            client.good("exec", stmt_id=1)
            eq(client.good("fetch", id=client.good("use_result", stmt_id=1)["result_id"])["rows"], count)


@test
def tables_that_change_meanwhile_are_not_written_blindly():
    taos = database(shared())
    taos.rows("create stable st (ts timestamp, v int, w int) tags (g int)")
    taos.rows(f"insert into a using st tags (1) values ({T}, 1, 1)")
    with Client(taos) as client:
        client.good("init")
        client.good("prepare", stmt_id=1, sql="insert into a values(?, ?, ?)")

        def bind(count=3):
            reply = client.call("bind", stmt_id=1, columns=[[T + 1], [2], [2]][:count])
            if reply["code"] == 0:
                client.good("add_batch", stmt_id=1)
            return reply["code"]

        eq(bind(), 0)
        taos.rows("drop table a")
        eq(client.call("exec", stmt_id=1)["code"], 0x2603)
        taos.rows("create table a using st tags (2)")
        eq(client.good("exec", stmt_id=1)["affected"], 0)
        eq(bind(), 0)
        taos.rows("alter stable st drop column w")
        eq(client.call("exec", stmt_id=1)["code"], 0x2602)
        eq(bind(), 0x2600)
        eq(taos.rows("select count(*) from st"), [[0]])


@test
def binary_frames_cut_anywhere_are_answered_with_a_fault():
    taos = database(shared())
    taos.rows(f"create stable st ({COLUMNS}) tags (g int)")
    marks = ",".join("?" * len(DATA[0]))
    with Client(taos) as client:
        client.good("init")
        client.good("stmt2_init")
        client.good("prepare", stmt_id=1, sql=f"insert into ? using st tags(?) values({marks})")
        client.good("stmt2_prepare", stmt_id=1, sql=f"insert into ? using st tags(?) values({marks})")
        client.good("set_table_name", stmt_id=1, name="x")
        client.good("set_tags", stmt_id=1, tags=[1])
        for whole in (struct.pack("<QQQ", 7, 1, 2) + raw_block(), bind_two("t4")):
            for cut in range(len(whole)):
                reply = client.frame(whole[:cut])
                assert reply["code"] != 0, (cut, reply)
                eq(reply["req_id"], 0 if cut < 24 else struct.unpack("<Q", whole[:8])[0])
        eq(client.good("exec", stmt_id=1)["affected"], 0)
        eq(client.good("stmt2_exec", stmt_id=1)["affected"], 0)


SCHEMALESS = [
    # args, code
    ({"protocol": 9, "data": "m v=1 1"}, 0x3000),
    ({"protocol": 1, "precision": "days", "data": "m v=1 1"}, 0x3001),
    ({"protocol": 1, "precision": "ms", "data": f"m v=t {T}"}, 0x3002),
    ({"protocol": 1, "precision": "ms", "data": f"m,v=1 w=1 {T}"}, 0x3002),
    ({"protocol": 1, "precision": "ms", "data": f"normal v=1 {T}"}, 0x3002),
    ({"protocol": 1, "precision": "ms", "data": "m v=1 1"}, 0x060B),
    ({"protocol": 3, "precision": "ms", "data": "{"}, 0x3002),
    ({"protocol": 1, "precision": "ms", "data": f"m v=2 {T + 1}\nm v=x {T}"}, 0x3002),
]


@test
def points_without_a_schema_are_checked_whole():
    taos = database(shared())
    taos.rows("create table normal (ts timestamp, v double)")
    with Client(taos) as client:
        client.good("insert", protocol=1, precision="ms", data=f"m v=1 {T}")
        for args, code in SCHEMALESS:
            reply = client.call("insert", **args)
            eq(reply["code"], code, f"{args} {reply}")
        eq(taos.rows("select * from m"), [["2023-11-14T22:13:20.000Z", 1, None]])
        data = "\n".join(f"m,g={n % 3} v={n},c{n}={n}i32 {T + n}" for n in range(100))
        eq(client.good("insert", protocol=1, precision="ms", data=data)["affected_rows"], 100)
        eq(taos.rows("select count(*), count(c99), sum(c50) from m"), [[101, 1, 50]])
        # A field that a line does not name keeps what it was.
        client.good("insert", protocol=1, precision="ms", data=f"m,g=9 a=1,b=1 {T}\nm,g=9 a=2 {T}\nm,g=9 b=3 {T}")
        eq(taos.rows("select a, b from m where g = '9'"), [[2, 3]])
    with Ws(taos.server, "taos", "/ws") as client:
        client.ask({"action": "conn", "args": {"user": "root", "password": "taosdata"}})
        eq(client.ask({"action": "insert", "args": {"protocol": 1, "data": "m v=1"}})["code"], 0x2616)


@test
def points_come_over_http():
    taos = database(shared())
    port, name = taos.server.ports["taos"], taos.database

    def post(path, body, auth=("root", "taosdata")):
        reply = http_call(port, "POST", path, body=body.encode(), auth=auth)
        return reply.status, (reply.json["code"] if reply.body else None)

    influx = f"/influxdb/v1/write?db={name}&precision=ms"
    eq(post(influx, f"m,g=a v=1i {T}\n"), (204, None))
    eq(post(influx + "&u=root&p=taosdata", f"m,g=a v=2i {T + 1}", auth=None), (204, None))
    eq(post(influx + "&u=root&p=wrong", "m v=1", auth=None), (401, 0x0357))
    eq(post(influx, "m v=1", auth=None)[0], 401)
    eq(post(influx, "nothing"), (400, 0x3002))
    eq(post("/influxdb/v1/write?db=nowhere", "m v=1"), (400, 0x0388))
    eq(post("/influxdb/v1/write", "m v=1")[0], 400)
    eq(post(f"/opentsdb/v1/put/telnet/{name}", f"m.x {T // 1000} 5 g=a"), (204, None))
    point = {"metric": "m.x", "timestamp": T + 1, "value": 6, "tags": {"g": "b"}}
    eq(post(f"/opentsdb/v1/put/json/{name}", json.dumps(point)), (204, None))
    eq(taos.rows("select v, g from m"), [[1, "a"], [2, "a"]])
    eq(taos.rows("select _value, g from `m.x`"), [[5, "a"], [6, "b"]])


@test
def rows_that_wait_are_bounded_for_the_whole_connection():
    taos = database(shared())
    taos.rows("create table t (ts timestamp, a bigint, b bigint, c bigint)")
    count = 100_000
    body = b"".join(struct.pack("<bi", code, 8) for code in (9, 5, 5, 5)) + struct.pack("<4i", *[8 * count] * 4)
    column = bytes((count + 7) // 8) + struct.pack(f"<{count}q", *range(T, T + count))
    block = struct.pack("<iiiiIQ", 1, 0, count, 4, 0, 0) + body + 4 * column
    with Client(taos) as client:
        for number in (1, 2):
            client.good("init")
            client.good("prepare", stmt_id=number, sql="insert into t values(?, ?, ?, ?)")

        def bind(number):
            return client.frame(struct.pack("<QQQ", 1, number, 2) + block)

        bound = 0
        while bind(1 + bound % 2)["code"] == 0:
            bound += 1
        eq(bound, 10)
        eq(bind(1)["message"], "rows of statements beyond 33554432 bytes")
        for number in (1, 2):
            client.good("add_batch", stmt_id=number)
            eq(client.good("exec", stmt_id=number)["affected"], 5 * count)
        eq(bind(1)["code"], 0)
        eq(taos.rows("select count(*), max(c) from t"), [[count, T + count - 1]])


@test
def connections_widen_one_supertable_at_once():
    taos = database(shared())

    def write(number):
        with Client(taos) as client:
            for n in range(10):
                data = f"m,g=x,t{number}_{n}=y v=1i,c{number}_{n}={number}i,s=\"{'x' * (n * 8 + number)}\" {T + number * 100 + n}"
                client.good("insert", protocol=1, precision="ms", data=data)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    eq(taos.rows("select count(*), sum(v), max(length(s)) from m"), [[80, 80, 79]])
    for number in range(8):
        eq(taos.rows(f"select count(*), sum(c{number}_{number}) from m where t{number}_{number} = 'y'"), [[1, number]])
    eq(len(taos.rows("describe m")), 1 + 1 + 80 + 1 + 1 + 80)


@test
def what_exec_acknowledged_survives_a_kill():
    with Server() as server:
        taos = database(server)
        taos.rows("create stable st (ts timestamp, v int) tags (g int)")
        with Client(taos) as client:
            client.good("init")
            client.good("prepare", stmt_id=1, sql="insert into ? using st tags(?) values(?, ?)")
            for number in range(50):
                client.good("set_table_name", stmt_id=1, name=f"s{number}")
                client.good("set_tags", stmt_id=1, tags=[number])
                client.good("bind", stmt_id=1, columns=[[T, T + 1], [number, None]])
                client.good("add_batch", stmt_id=1)
            eq(client.good("exec", stmt_id=1)["affected"], 100)
            client.good("insert", protocol=2, data=f"volt {T} 219 loc=sf")
            server.restart(by_kill=True)
        eq(taos.rows("select count(*), count(v), sum(g) from st"), [[100, 50, 2 * 1225]])
        eq(taos.rows("select _value, loc from volt"), [[219, "sf"]])


@test
def rows_of_several_tables_are_bound_and_written_at_once():
    taos = database(shared())
    taos.rows("create stable st (ts timestamp, v int) tags (g int)")

    def field(code, values, lengths=b"\0"):
        data = b"".join(values)
        rest = struct.pack("<ii", code, len(values)) + bytes(len(values)) + lengths + struct.pack("<I", len(data)) + data
        return struct.pack("<I", len(rest) + 4) + rest

    fields = field(8, [b"a", b"a", b"b"], b"\1" + struct.pack("<3i", 1, 1, 1))
    fields += field(4, [struct.pack("<i", n) for n in (1, 1, 2)])
    fields += field(9, [struct.pack("<q", n) for n in (T, T + 1, T)]) + field(4, [struct.pack("<i", n) for n in (7, 8, 9)])
    head = struct.pack("<QQQH5I", 2**64 - 1, 1, 11, 1, 20 + len(fields), 3, 2, 4, 20)
    with Client(taos) as client:
        client.good("stmt2_init")
        client.good("stmt2_prepare", stmt_id=1, sql="insert into ? using st tags(?) values(?, ?)")
        reply = client.frame(head + fields)
        eq([reply[key] for key in ("code", "action", "req_id", "stmt_id", "affected")], [0, "stmt2_bind_exec", 2**64 - 1, 1, 3])
        for cut in range(24, len(head + fields)):
            assert client.frame((head + fields)[:cut])["code"] == 65535
    eq(taos.rows("select tbname, g, v from st order by tbname, ts"), [["a", 1, 7], ["a", 1, 8], ["b", 2, 9]])


USERS = """
[[user]]
name = "all"
token = "t"
roles = ["read", "write", "admin"]
[[user]]
name = "reader"
token = "r"
roles = ["read"]
[[user]]
name = "writer"
token = "w"
roles = ["write"]
topics = ["fab.st*"]
"""


@test
def roles_and_topics_bound_what_is_bound():
    with Server(USERS) as server:
        def client(token, database=""):
            it = Ws(server, "taos", "/ws")
            eq(it.ask({"action": "conn", "args": {"bearer_token": token, "db": database}})["code"], 0)

            def call(action, **args):
                return it.ask({"action": action, "args": {"stmt_id": 1, **args}})["code"]

            return it, call

        everybody = [client("t"), client("r"), client("w")]
        for sql in ("create database fab", "create stable fab.st (ts timestamp, v int) tags (g int)",
                    "create stable fab.other (ts timestamp, v int) tags (g int)"):
            eq(everybody[0][1]("query", sql=sql), 0)
        (_, reader), (_, writer) = client("r", "fab"), client("w", "fab")
        point = {"protocol": 1, "precision": "ms"}
        eq(reader("init"), 0)
        eq(reader("prepare", sql="insert into ? using st tags(?) values(?, ?)"), 0x0303)
        eq(reader("prepare", sql="select v from st where v = ?"), 0)
        eq(reader("insert", data=f"stx v=1 {T}", **point), 0x0303)
        eq(writer("init"), 0)
        eq(writer("prepare", sql="select v from st where v = ?"), 0x0303)
        eq(writer("prepare", sql="insert into ? using st tags(?) values(?, ?)"), 0)
        for action, args in (("set_table_name", {"name": "a"}), ("set_tags", {"tags": [1]}),
                             ("bind", {"columns": [[T], [1]]}), ("add_batch", {}), ("exec", {})):
            eq(writer(action, **args), 0)
        eq(writer("prepare", sql="insert into ? using other tags(?) values(?, ?)"), 0)
        eq(writer("set_table_name", name="b"), 0)
        eq(writer("set_tags", tags=[1]), 0x2603)
        eq(writer("insert", data=f"stx v=1 {T}", **point), 0)
        eq(writer("insert", data=f"x v=1 {T}", **point), 0x2603)
        eq(writer("insert", data=f"other,g=1 v=1i32 {T}", **point), 0x2603)
