"""What one published version of taos-ws-py does with statements; run by its own Python, see test_taos_stmt.py.

    taos_driver.py PORT DATABASE SCENARIO
"""

import sys

import taosws

T = 1700000000000
PORT, DATABASE, SCENARIO = sys.argv[1:]


# One for all: a result is fetched over the connection that gave it, which must live so long.
CONNECTION = taosws.connect(f"taosws://root:taosdata@127.0.0.1:{PORT}/{DATABASE}")


def rows(sql):
    return [tuple(row) for row in CONNECTION.query(sql)]


def eq(got, want):
    assert got == want, f"got {got!r}, wanted {want!r}"


def times(*offsets):
    return taosws.millis_timestamps_to_column([T + n for n in offsets])


def fails(action):
    try:
        action()
    except Exception as why:
        return str(why)
    raise AssertionError("no error")


def subtables():
    """Made by their tags, several in one exec; the statement is used again."""
    CONNECTION.execute("create stable st (ts timestamp, v int, n nchar(8)) tags (g int, s varchar(8))")
    statement = CONNECTION.statement()
    statement.prepare("insert into ? using st tags (?, ?) values (?, ?, ?)")
    for number in range(3):
        statement.set_tbname(f"s{number}")
        statement.set_tags([taosws.int_to_tag(number), taosws.varchar_to_tag("x")])
        statement.bind_param([times(0, 1), taosws.ints_to_column([number, None]), taosws.nchar_to_column(["涛思", None])])
        statement.add_batch()
    eq(statement.execute(), 6)
    statement.bind_param([times(2), taosws.ints_to_column([9]), taosws.nchar_to_column(["x"])])
    statement.add_batch()
    eq(statement.execute(), 1)
    eq(rows("select tbname, count(*), max(v), g, s from st group by tbname, g, s order by tbname"),
       [("s0", 2, 0, 0, "x"), ("s1", 2, 1, 1, "x"), ("s2", 3, 9, 2, "x")])


def many():
    """Ten thousand rows a batch, three times over."""
    CONNECTION.execute("create table t (ts timestamp, c float, v int, p float)")
    statement = CONNECTION.statement()
    statement.prepare("insert into t values (?, ?, ?, ?)")
    for part in range(3):
        numbers = list(range(part * 10_000, part * 10_000 + 10_000))
        floats = taosws.floats_to_column([n / 2 for n in numbers])
        statement.bind_param([times(*numbers), floats, taosws.ints_to_column(numbers), floats])
        statement.add_batch()
    eq(statement.execute(), 30_000)
    eq(rows("select count(*), sum(v), max(c) from t"), [(30_000, 449_985_000, 14_999.5)])


def json_tag():
    CONNECTION.execute("create stable st (ts timestamp, v int) tags (j json)")
    statement = CONNECTION.statement()
    statement.prepare("insert into ? using st tags (?) values (?, ?)")
    statement.set_tbname("a")
    statement.set_tags([taosws.json_to_tag('{"k":1}')])
    statement.bind_param([times(0), taosws.ints_to_column([1])])
    statement.add_batch()
    eq(statement.execute(), 1)
    eq(rows("select count(*) from st"), [(1,)])


def faults():
    CONNECTION.execute("create table t (ts timestamp, v tinyint)")
    statement = CONNECTION.statement()
    fails(lambda: statement.prepare("insert of t"))
    statement.prepare("insert into t values (?, ?)")
    fails(lambda: statement.bind_param([times(0)]))
    fails(lambda: statement.bind_param([times(0), taosws.ints_to_column([1000])]))
    fails(lambda: statement.bind_param([times(0), taosws.varchar_to_column(["1"])]))
    statement.bind_param([times(0), taosws.ints_to_column([100])])
    statement.add_batch()
    eq(statement.execute(), 1)
    eq(rows("select v from t"), [(100,)])
    statement.bind_param([times(1), taosws.ints_to_column([1])])
    fails(statement.execute)
    statement.add_batch()
    CONNECTION.execute("drop table t")
    fails(statement.execute)
    statement = CONNECTION.statement()
    statement.prepare("insert into ? values (?, ?)")
    fails(lambda: statement.set_tbname("nothing"))
    if hasattr(taosws, "TaosStmt2"):
        statement = CONNECTION.stmt2_statement()
        fails(lambda: statement.prepare("insert into nothing values (?, ?)"))
        fails(lambda: statement.prepare("insert of t"))
        fails(lambda: statement.bind([taosws.stmt2_bind_param_view(table_name="", tags=None, columns=[times(0)])]))


def stmt2():
    if not hasattr(taosws, "TaosStmt2"):
        return
    CONNECTION.execute("create stable st (ts timestamp, v bigint, b varbinary(4), n nchar(4)) tags (g int)")
    statement = CONNECTION.stmt2_statement()
    statement.prepare("insert into ? using st tags (?) values (?, ?, ?, ?)")
    view = taosws.stmt2_bind_param_view
    columns = [times(0, 1), taosws.big_ints_to_column([2**62, None]), taosws.varbinary_to_column([b"\0\xff", None]),
               taosws.nchar_to_column(["涛", None])]
    statement.bind([view(table_name=f"s{n}", tags=[taosws.int_to_tag(n)], columns=columns) for n in range(100)])
    eq(statement.execute(), 200)
    eq(rows("select count(*), count(v), max(v), max(g) from st"), [(200, 100, 2**62, 99)])
    query = CONNECTION.stmt2_statement()
    query.prepare("select v, n from st where g = ? and v > ?")
    query.bind([view(table_name="", tags=None, columns=[taosws.ints_to_column([7]), taosws.big_ints_to_column([0])])])
    query.execute()
    eq([tuple(row) for row in query.result_set()], [(2**62, "涛")])


def schemaless():
    def put(lines, protocol):
        CONNECTION.schemaless_insert(lines, protocol, taosws.PySchemalessPrecision.Millisecond, 1, 1)

    put([f"m,g=a v=1i64,s=\"x y\" {T}", f"m,g=a v=2i64 {T + 1}"], taosws.PySchemalessProtocol.Line)
    put([f"m,g=b,h=c v=3i64,s=\"longer than sixteen bytes\",w=t {T}"], taosws.PySchemalessProtocol.Line)
    eq(rows("select v, s, w, g, h from m order by v"),
       [(1, "x y", None, "a", None), (2, None, None, "a", None), (3, "longer than sixteen bytes", True, "b", "c")])
    put([f"volt {T} 219 loc=sf"], taosws.PySchemalessProtocol.Telnet)
    put([f'{{"metric":"volt","timestamp":{T},"value":1,"tags":{{"loc":"la"}}}}'], taosws.PySchemalessProtocol.Json)
    eq(rows("select loc, _value from volt order by loc"), [("la", 1.0), ("sf", 219.0)])
    fails(lambda: put(["m,g=a v=t 1"], taosws.PySchemalessProtocol.Line))
    eq(rows("select count(*) from m"), [(3,)])


globals()[SCENARIO]()
