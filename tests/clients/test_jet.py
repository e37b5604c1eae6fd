"""JET: flows, continuous queries, named constants, one-shot queries; what a restart leaves of them."""

import itertools
import random
import threading
import time

from harness import Jet, Like, Server, eq, eventually, fresh, rows, shared, test
from websockets.exceptions import WebSocketException

GONE = (WebSocketException, OSError, EOFError)


def good(server, *statements):
    for statement in statements:
        answer = server.execute(statement)
        assert answer["success"], (statement, answer)
    return answer


def query(server, text):
    return good(server, text)["result"]


RECORDS = [{"id": n, "site": "abc"[n % 3], "v": n * 7 % 11, "list": list(range(n % 3)), "t": n * 400}
           for n in range(60)]

# A flow puts into a stream what a query finds afterwards.
PIPELINES = [
    "where v > 5",
    "where site == 'a' && v between (2 .. 8) | select { id, twice: v * 2 }",
    "extend { label: site + '-' + id } | select { ...*, -list }",
    "mv_expand list | select { id, list }",
    "distinct site, v",
    "take 7",
    "summarize { n: count(), top: max(v), ids: collect(id, 3) } by site",
    "summarize { n: count() } by site emit every 7",
    "summarize { ...w, n: count(), s: sum(v) } over w = tumbling_window(8)",
    "summarize { from: w.start, n: count() } by site over w = hopping_window_by(4000, 2000, t)",
    "summarize { ...w, n: count() } by site over w = session_window(900, t)",
    "summarize { i: w._id, s: sum(v) } by site over w = sliding_window(3)",
    "scan by site (step up: v > 5 => up.n = (up.n || 0) + 1, emit({ site, n: up.n });)",
    "summarize { n: count() } by site emit on update | where n % 5 == 0 | summarize { rows: count() }",
]


@rows([(pipeline, pipeline) for pipeline in PIPELINES])
def a_flow_and_a_query_give_the_same(pipeline):
    with Server(top="shards = 2") as server:
        good(server, "create stream s", "create stream t", f"create flow f as s | {pipeline} | insert_into(t)")
        with Jet(server) as jet:
            for begin in range(0, 60, 9):
                eq(jet.insert("s", RECORDS[begin:begin + 9])["success"], True)
        good(server, "flush s")
        asked = query(server, f"s | {pipeline}")
        eq(asked["scanned"], 7 if pipeline == "take 7" else 60)
        assert asked["rows"], "something came out"
        eq(query(server, "t")["rows"], asked["rows"])


@test
def an_answered_insert_is_seen_through_a_chain_of_flows():
    with Server(top="shards = 2") as server:
        names = [f"c{n}" for n in range(6)]
        good(server, *(f"create stream {name}" for name in names))
        for n in range(5):
            good(server, f"create flow f{n} as c{n} | extend {{ hops: (hops || 0) + 1 }} | insert_into(c{n + 1})")
        with Jet(server) as jet:
            for n in range(200):
                eq(jet.insert("c0", {"n": n})["success"], True)
                seen = jet.execute(f"c5 | where n == {n}")["result"]["result"]["rows"]
                eq(seen, [{"n": n, "hops": 5}])
        ring = server.execute("create flow back as c5 | insert_into(c2)")
        eq(ring["error"]["message"], "Failed to create flow: Flow cycle: c5 -> c2 -> c3 -> c4 -> c5")


@test
def a_thousand_filters_each_get_their_records():
    with Server(top="shards = 1") as server:
        good(server, "create stream s", "create stream o", "create lookup five = 5")
        text = ";".join(f"create flow f{n} as s | where id == {n} && v > {n % 10} | select {{ f: {n}, id, v }}"
                        f" | insert_into(o)" for n in range(1000))
        for part in range(0, 1000, 100):
            eq(server.execute(";".join(text.split(";")[part:part + 100]))["success"], True)
        good(server, "create flow named as s | where id == five && v > 100 | insert_into(o)")
        dice = random.Random(5)
        sent = [{"id": dice.randrange(1200), "v": dice.randrange(12)} for _ in range(3000)] + [{"id": 5, "v": 101}]
        with Jet(server) as jet:
            for begin in range(0, len(sent), 500):
                eq(jet.insert("o" if begin < 0 else "s", sent[begin:begin + 500])["success"], True)
        want = [(r["id"], r["v"]) for r in sent if r["id"] < 1000 and r["v"] > r["id"] % 10]
        got = [(r["id"], r["v"]) for r in query(server, "o | where f is defined")["rows"]]
        eq(sorted(got), sorted(want))
        eq([r for r in got if r[0] == 7], [r for r in want if r[0] == 7])
        eq(query(server, "o | where f is undefined")["rows"], [{"id": 5, "v": 101}])
        entry = server.execute("info f7")["result"]["info"]
        eq(entry["recordsIn"], 3001)


class Load(threading.Thread):
    def __init__(self, server, first):
        super().__init__(daemon=True)
        self.server, self.sent = server, first
        self.acked = first

    def run(self):
        try:
            with Jet(self.server) as jet:
                flight = []
                while True:
                    while len(flight) < 8:
                        batch = [{"n": n, "v": n % 5} for n in range(self.sent, self.sent + 7)]
                        self.sent += 7
                        jet.send({"type": "insert", "target": "s", "data": batch})
                        flight.append(self.sent)
                    assert jet.recv(60)["success"]
                    self.acked = flight.pop(0)
        except GONE:
            pass


def read_all(server, stream):
    with Jet(server) as jet:
        eq(jet.subscribe(stream, replay="all")["type"], "subscribed")
        return [m["data"] for m in jet.take(server.count(stream))]


@test
def what_flows_insert_stands_there_once_whatever_is_killed():
    with Server(top="shards = 2") as server:
        good(server, "create stream s", "create stream copy", "create stream copy2", "create stream counted",
             "create stream sums",
             "create flow plain as s | extend { twice: n * 2 } | insert_into(copy)",
             "create flow behind as copy | select { n, twice } | insert_into(copy2)",
             "create flow count as s | summarize { c: count(), t: sum(v), last: n } emit every 10 | insert_into(counted)",
             "create flow window as s | summarize { id: w._id, c: count(), t: sum(n) } over w = tumbling_window(25)"
             " | insert_into(sums)")
        dice, first = random.Random(11), 0
        for _ in range(6):
            load = Load(server, first)
            load.start()
            time.sleep(dice.uniform(0.2, 3.2))
            server.restart(by_kill=True)
            load.join()
            stored = read_all(server, "s")
            assert len(stored) >= load.acked
            eq([r["n"] for r in stored], list(range(len(stored))))
            first = len(stored)
            # Flows have come to where the log ends before anybody is served.
            eq([r["twice"] for r in read_all(server, "copy")], [n * 2 for n in range(first)])
            eq([r["n"] for r in read_all(server, "copy2")], list(range(first)))
            emitted = read_all(server, "counted")
            eq([r["c"] for r in emitted], list(range(1, first + 1, 10)))
            sums = [0, *itertools.accumulate(n % 5 for n in range(first))]
            eq([r["t"] for r in emitted], [sums[r["c"]] for r in emitted])
            eq([r["last"] for r in emitted], [r["c"] - 1 for r in emitted])
            windows = read_all(server, "sums")
            eq([(r["id"], r["c"], r["t"]) for r in windows],
               [(k, 25, sum(range(k * 25, k * 25 + 25))) for k in range(max(0, (first - 1) // 25))])
        server.restart()
        eq(len(read_all(server, "copy")), first)
        good(server, "flush s")
        eq(read_all(server, "counted")[-1]["c"], first)


@test
def many_filters_go_on_where_they_were_whatever_is_killed():
    """Enough flows for the index, those that count and those that insert."""
    with Server(top="shards = 2") as server:
        good(server, "create stream s", "create stream picked", "create stream counted")
        for k in range(40):
            where = f"where v == {k % 5} && n >= {k}"
            good(server, f"create flow c{k} as s | {where} | summarize {{ c: count(), t: sum(n) }} | insert_into(counted)",
                 f"create flow p{k} as s | {where} | select {{ k: {k}, n }} | insert_into(picked)")
        dice, first = random.Random(12), 0
        for kill in (True, True, False, True):
            load = Load(server, first)
            load.start()
            time.sleep(dice.uniform(0.3, 3.5))
            server.restart(by_kill=kill)
            load.join()
            first = len(read_all(server, "s"))
            assert first >= load.acked
            found = [[n for n in range(k, first) if n % 5 == k % 5] for k in range(40)]
            eq(sorted((r["k"], r["n"]) for r in read_all(server, "picked")),
               sorted((k, n) for k in range(40) for n in found[k]))
            before = server.count("counted")
            good(server, "flush s")
            eq(sorted((r["c"], r["t"]) for r in read_all(server, "counted")[before:]),
               sorted((len(list_), sum(list_)) for list_ in found))
            eq(server.execute("info c7")["result"]["info"]["recordsIn"], first)


@test
def time_windows_close_without_traffic_and_after_a_restart():
    with Server() as server:
        good(server, "create stream s", "create stream o",
             "create flow f as s | summarize { n: count(), from: w.start } over w = tumbling_window(300ms) | insert_into(o)")
        with Jet(server) as jet:
            eq(jet.insert("s", [{"n": n} for n in range(5)])["success"], True)
        eventually(lambda: server.count("o") >= 1, "the window closed by the clock")
        eq(sum(r["n"] for r in query(server, "o")["rows"]), 5)
        with Jet(server) as jet:
            eq(jet.insert("s", {"n": 5})["success"], True)
        server.restart(by_kill=True)
        eventually(lambda: sum(r["n"] for r in query(server, "o")["rows"]) == 6, "the window closed after the restart")


@test
def a_flow_ends_by_its_time_and_emits_once_more():
    with Server() as server:
        good(server, "create stream s", "create stream o",
             "create flow f ttl(700ms) as s | summarize { n: count() } | insert_into(o)", "insert into s [{}, {}]")
        eventually(lambda: server.execute("list flows")["result"]["flows"] == [], "the flow has ended")
        eq(query(server, "o")["rows"], [{"n": 2}])
        good(server, "create flow f as s | insert_into(o)")


@test
def queries_end_at_their_limits():
    with Server() as server:
        good(server, "create stream s")
        with Jet(server) as jet:
            for begin in range(0, 60_000, 10_000):
                jet.insert("s", [{"n": n, "pad": "x" * 20} for n in range(begin, begin + 10_000)])
        result = query(server, "s | where n >= 10")
        eq((len(result["rows"]), result["truncated"]), (10_000, True))
        eq(query(server, "s | take 3")["rows"][2]["n"], 2)
        failed = server.execute("s | summarize { n: count() } by n")
        eq((failed["success"], "10000 groups" in failed["message"]), (False, True))
        eq(query(server, "s | sort by n desc | take 2 | select { n }")["rows"], [{"n": 59_999}, {"n": 59_998}])
        eq(query(server, "s | summarize { a: count_distinct(n), b: median(n) }")["rows"], [{"a": 60_000, "b": 29_999.5}])


@test
def what_a_query_keeps_is_bounded():
    with Server() as server:
        good(server, "create stream s")
        pad = "x" * 30_000
        with Jet(server) as jet:
            for begin in range(0, 10_000, 200):
                jet.insert("s", [{"n": n, "pad": pad} for n in range(begin, begin + 200)])
        for text in ("s | sort by n | select { n }", "s | summarize { all: collect(pad) } | select { n: 1 }"):
            failed = server.execute(text)
            eq((failed["success"], failed["message"]), (False, "Query failed: memory limit passed"))
        eq(query(server, "s | summarize { n: count() }")["rows"], [{"n": 10_000}])


@test
def troubles_of_a_flow_are_counted_and_logged():
    with Server() as server:
        good(server, "create stream s", "create stream o",
             "create flow f as s | extend { d: format_date(t, p) } | insert_into(o)",
             "insert into s [{t: 0, p: '%Y'}, {t: 0, p: '%Q'}, {t: 0, p: '%!'}]")
        eq(query(server, "o")["rows"], [{"t": 0, "p": "%Y", "d": "1970"}])
        info = server.execute("info f")["result"]["info"]
        eq(info, Like(recordsIn=3, recordsOut=1, errors=2, late=0))
        logged = query(server, "_log | where component == 'flow f'")["rows"]
        eq((logged[0]["code"], logged[0]["metadata"]["count"]), ("RUNTIME_ERROR", 2))
        good(server, "delete stream o", "insert into s {t: 0, p: '%Y'}")
        eventually(lambda: query(server, "_log | where code == 'STREAM_NOT_FOUND' && component == 'flow f'")["rows"],
                   "the missing target is logged")


@test
def files_stay_inside_their_folder():
    with Server() as server:
        good(server, "create stream s")
        failed = server.execute("create flow f as s | write_to_file('a.ndjson')")
        assert "files_dir" in failed["message"], failed
    import pathlib
    import tempfile
    with tempfile.TemporaryDirectory() as folder, Server(top=f'files_dir = "{folder}"') as server:
        good(server, "create stream s", "create flow f as s | where n > 1 | write_to_file('out/a.ndjson')")
        for bad in ("/etc/x", "../x", "out/../../x"):
            failed = server.execute(f"create flow g as s | write_to_file('{bad}')")
            assert not failed["success"] and bad in failed["message"], failed
        good(server, "insert into s [{n: 1}, {n: 2}, {n: 3.50}]")
        path = pathlib.Path(folder, "out/a.ndjson")
        eventually(lambda: path.exists() and path.read_text() == '{"n":2}\n{"n":3.50}\n', "the lines are written")
        # Who flushes is answered when what is expected is saved, or compared.
        saved = pathlib.Path(folder, "want.ndjson")
        good(server, "create flow e as s | assert_or_save_expected('want.ndjson')", "insert into s [{b: 1, a: 2}, {n: 3}]",
             "flush s")
        eq(saved.read_text(), '{"a":2,"b":1}\n{"n":3}\n')
        good(server, "insert into s [{b: 1, a: 2}, {n: 4}]", "delete flow e")

        def told():
            logged = query(server, "_log | where code == 'EXPECTATION_FAILED'")["rows"]
            return [(r["component"], r["message"]) for r in logged] == [
                ("flow e", f"{saved} row 2: expected {{\"n\":3}}, got {{\"n\":4}}")]

        eventually(told, "the difference is logged")


@test
def another_reader_may_not_see_what_is_not_his():
    users = """
[[user]]
name = "root"
password = "r"
roles = ["admin"]
[[user]]
name = "meter"
password = "m"
roles = ["read", "write"]
topics = ["meter.*"]
[[user]]
name = "eye"
password = "e"
roles = ["read"]
"""
    with Server(users) as server:
        root = {"auth": ("root", "r")}
        for text in ("create stream meter.a", "create stream meter.b", "create stream other"):
            eq(server.execute(text, **root)["success"], True)
        for user, text, status in (
                (("meter", "m"), "meter.a | insert_into(meter.b)", 200),
                (("meter", "m"), "meter.a | insert_into(other)", 403),
                (("meter", "m"), "other", 403),
                (("meter", "m"), "create flow f as meter.a | insert_into(meter.b)", 403),
                (("eye", "e"), "other | where true", 200),
                (("eye", "e"), "other | insert_into(meter.b)", 403),
                (("eye", "e"), "create lookup k = 1", 403)):
            answer = server.http("POST jsonjet /api/execute", {"query": text}, auth=user)
            eq((text, answer.status), (text, status))


@rows([
    ("and is a function too", "and(1, 2, 0)", False),
    ("or is one", "OR(0, 0, 3)", True),
    ("they stay operators", "and(v, 1) and or(0, v) or (false)", True),
])
def functions_named_like_operators(expression, want):
    server, stream = shared(), fresh()
    good(server, f"create stream {stream}", f"insert into {stream} {{ v: 1 }}")
    eq(query(server, f"{stream} | select {{ r: {expression} }}")["rows"], [{"r": want}])
