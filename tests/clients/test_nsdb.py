"""Metrics: requests, registrations, pushes, windows, drops and deletes, access, restarts."""

import re
import threading
import time

from harness import ANY, Jet, Like, Server, Ws, eq, eventually, fresh, refused_upgrade, rows, shared, test


def server():
    return shared("[nsdb]\naggregate_interval_ms = 300")


class Metric:
    """A metric of its own for one test."""

    def __init__(self, at=None):
        self.server, self.name = at or server(), fresh("m")
        self.names = {"db": "db", "namespace": "ns", "metric": self.name}

    def put(self, timestamp, value, dimensions=None, tags=None):
        bit = {"timestamp": timestamp, "value": value, "dimensions": dimensions or {}, "tags": tags or {}}
        return self.server.http("POST nsdb /data", {**self.names, "bit": bit})

    def fill(self, *values):
        for value in values:
            eq(self.put(value * 1000, value).text, "OK")
        return self

    def query(self, text, what="POST nsdb /query", **more):
        return self.server.http(what, {**self.names, "queryString": text.replace("$", self.name), **more})

    def values(self, text="select * from $", **more):
        return [record["value"] for record in self.query(text, **more).json["records"]]

    def open(self, parameters="", **more):
        return Ws(self.server, "nsdb", "/ws-stream" + parameters, **more)

    def register(self, ws, text="select * from $", **more):
        return ws.ask({**self.names, "queryString": text.replace("$", self.name), **more})


def pushed(ws, count):
    """Values of so many pushed records."""
    values = []
    while len(values) < count:
        values += [record["value"] for record in ws.recv()["records"]]
    return values


NAMES = {"db": "db", "namespace": "ns", "metric": "m"}
GOOD = {**NAMES, "bit": {"timestamp": 1, "value": 1}}
REQUESTS = [
    ("unknown path", "GET nsdb /nothing", {}, 404, "The requested resource could not be found."),
    ("below a metric", "GET nsdb /commands/a/b/c/d", {}, 404, "The requested resource could not be found."),
    ("wrong method", "GET nsdb /data", {}, 405, "HTTP method not allowed, supported methods: POST"),
    ("wrong method of two", "PUT nsdb /query", {}, 405, "HTTP method not allowed, supported methods: GET, POST"),
    ("no JSON type", "POST nsdb /data", {"body": b"{}", "headers": {"Content-Type": "text/plain; charset=UTF-8"}}, 415,
     "The request's Content-Type [text/plain; charset=UTF-8] is not supported. Expected:\napplication/json"),
    ("no JSON", "POST nsdb /data", {"body": b"{", "headers": {"Content-Type": "application/json"}}, 400,
     re.compile("^The request content was malformed:\n.")),
    ("no metric", "POST nsdb /query", {"json_body": {"db": "db", "namespace": "ns"}}, 400,
     "The request content was malformed:\nObject is missing required member 'metric'"),
    ("bad metric", "POST nsdb /data", {"json_body": {**GOOD, "metric": "1x"}}, 400,
     '[{"name":"metric","error":"Field metric must contain only alphanumeric chars"}]'),
    ("bad database", "POST nsdb /data", {"json_body": {**GOOD, "db": "a.b"}}, 400, ANY),
    ("value text", "POST nsdb /data", {"json_body": {**NAMES, "bit": {"timestamp": 1, "value": "1"}}}, 400, ANY),
    ("time with point", "POST nsdb /data", {"json_body": {**NAMES, "bit": {"timestamp": 1.5, "value": 1}}}, 400, ANY),
    ("field called value", "POST nsdb /data",
     {"json_body": {**NAMES, "bit": {"timestamp": 1, "value": 1, "tags": {"value": 1}}}}, 400, ANY),
    ("field twice", "POST nsdb /data",
     {"json_body": {**NAMES, "bit": {"timestamp": 1, "value": 1, "tags": {"a": 1}, "dimensions": {"a": 1}}}}, 400, ANY),
    ("beyond 64 bits", "POST nsdb /data", {"json_body": {**NAMES, "bit": {"timestamp": 1, "value": 2**63}}}, 400, ANY),
    ("options", "OPTIONS nsdb /data", {}, 200, ""),
    ("status", "GET nsdb /status", {}, 200, "RUNNING"),
    ("drop of nothing", "POST nsdb /query", {"json_body": {**NAMES, "queryString": "drop metric nothing"}}, 200, "Ok"),
    ("delete of nothing", "DELETE nsdb /commands/none/none", {}, 200, "Ok"),
    ("delete from nothing", "POST nsdb /query",
     {"json_body": {**NAMES, "queryString": "delete from nothing where value = 1"}}, 404, "Metric nothing does not exist "),
]


@rows(REQUESTS)
def requests(what, more, status, text):
    reply = server().http(what, **more)
    eq(reply.status, status)
    eq(reply.text, text)
    for name, value in (("NSDb-Version", "1.4.0"), ("Access-Control-Allow-Origin", "*")):
        eq(reply.headers[name], value)


@test
def a_body_above_the_limit_is_refused_with_all_headers():
    at = shared('[limits]\nmessage_bytes = 65536')
    reply = at.http("POST nsdb /data", {**GOOD, "x": "x" * 70_000})
    eq(reply.status, 413)
    eq(reply.headers["NSDb-Version"], "1.4.0")
    with Ws(at, "nsdb", "/ws-stream") as ws:
        ws.send("x" * 70_000)
        eq(ws.closed()[0], 1009)


@test
def the_tree_of_a_query():
    metric = Metric().fill(1)
    reply = metric.query("select count(value) from $ where not value > 1 and timestamp in (1, now) limit 5",
                         parsed=True, to=9000)
    eq(reply.json["parsed"]["fields"],
       {"fields": [{"name": "value", "aggregation": {"aggregation": "count", "aggregationField": "value"}}]})
    condition = reply.json["parsed"]["condition"]["expression"]
    eq(condition["expression1"], {"dimension": "timestamp", "comparison": "<=", "value": 9000})
    eq((condition["operator"], condition["expression2"]["operator"]), ("and", "not"))
    eq(reply.json["parsed"]["limit"], {"value": 5})


@test
def lists_show_what_holds_a_bit():
    at = Server()
    with at:
        metric = Metric(at).fill(1)
        with Jet(at) as jet:
            jet.create("x.y.empty")
        eq(at.http("GET nsdb /commands/dbs").json, {"dbs": ["db"]})
        eq(at.http("GET nsdb /commands/x/y/empty").status, 404)
        eq(at.http(f"GET nsdb /commands/locations/db/ns/{metric.name}").json["locations"][0]["from"], 0)
        eq(at.http("GET nsdb /commands/locations/db/ns/ghost").json["locations"], [])
        eq(len(at.http("GET nsdb /commands/topology").json["nodes"]), 1)
        other = Metric(at).fill(1)
        eq(at.http("GET nsdb /commands/db/ns/metrics").json, {"metrics": sorted([metric.name, other.name])})
        eq(at.http("DELETE nsdb /commands/db/ns").text, "Ok")
        eq(at.http("GET nsdb /commands/db/ns/metrics").json, {"metrics": []})
        eq(at.http("GET nsdb /commands/dbs").json, {"dbs": []})


@test
def no_gap_and_no_repeat_while_bits_come():
    metric = Metric().fill(0)
    stop, sent = threading.Event(), [0]

    def write():
        while not stop.is_set():
            sent[0] += 1
            eq(metric.put(sent[0], sent[0]).status, 200)

    thread = threading.Thread(target=write)
    thread.start()
    seen = []
    try:
        for _ in range(12):
            ws = metric.open("?refresh_period=100&retention_size=65536")
            answer = metric.register(ws)
            seen.append((ws, [record["value"] for record in answer["records"]]))
            time.sleep(0.05)
    finally:
        stop.set()
        thread.join()
    for ws, values in seen:
        values += pushed(ws, sent[0] + 1 - len(values))
        eq(values, list(range(sent[0] + 1)))
        ws.close()


@test
def a_drop_ends_no_subscription():
    metric = Metric().fill(1)
    with metric.open() as plain, metric.open() as counting, metric.open() as windows:
        quid = metric.register(plain, "select * from $ where value > 1")["quid"]
        counts = metric.register(counting, "select count(*) from $")["quid"]
        metric.register(windows, "select sum(value) from $ group by interval 1 s")
        eq(metric.query("drop metric $").text, "Ok")
        eventually(lambda: counting.recv()["records"] == [], "an empty result")
        # Written anew with another type.
        eq(metric.put(int(time.time() * 1000) + 60_000, 2.5).text, "OK")
        eq(plain.recv(), Like(quid=quid, records=[Like(value=2.5)]))
        eq(windows.recv()["records"], [Like(value=2.5, tags={"sum(*)": 2.5})])
        push = eventually(lambda: next((p for p in [counting.recv()] if p["records"]), None), "a result")
        eq(push, Like(quid=counts, records=[Like(tags={"count(*)": 1})]))


@test
def deleted_bits_are_in_no_kept_view_and_stay_away():
    at = Server()
    with at:
        metric = Metric(at).fill(*range(10))
        with metric.open() as ws:
            metric.register(ws)
            eq(metric.query("delete from $ where value = 2 or value = 4 or value = 7").text, "Ok")
            eq(metric.query("delete from $ where value = 5").text, "Ok")
            left = [0, 1, 3, 6, 8, 9]
            for by_kill in (None, False, True):
                if by_kill is not None:
                    at.restart(by_kill=by_kill)
                eq(metric.values(), left)
                eq(metric.query("select count(*) from $").json["records"][0]["tags"], {"count(*)": len(left)})
                with Jet(at) as jet:
                    jet.subscribe(f"db.ns.{metric.name}", replay="all")
                    eq([frame["data"]["value"] for frame in jet.take(len(left))], left)
                for count in (1, 2, 3, 4, 5, 6, 9):
                    with Jet(at) as jet:
                        jet.subscribe(f"db.ns.{metric.name}", replay=count)
                        want = left[-count:]
                        eq([frame["data"]["value"] for frame in jet.take(len(want))], want)
                        jet.execute("status")
        metric.fill(2)
        eq(metric.values(), left + [2])
        # What was hidden belongs to the topic, not to its name.
        eq(metric.query("drop metric $").text, "Ok")
        metric.fill(*range(6))
        eq(metric.values(), list(range(6)))


@test
def identifiers_types_and_foreign_records_outlive_a_restart():
    at = Server()
    with at:
        metric = Metric(at)
        with Jet(at) as jet:
            jet.create(f"db.ns.{metric.name}")
            jet.insert(f"db.ns.{metric.name}", [{"value": 1.5, "room": "a"}, {"value": "no bit"}, {"value": 2, "room": 3}])
            eq(metric.put(5, 7, {"room": 4}).text,
               "mismatch type for field room : new type BIGINT() is incompatible with old type")
            eq(metric.put(5, 7, {"room": "b"}).text, "OK")
            eq(metric.values(), [1.5, 7.0])
            jet.insert(f"db.ns.{metric.name}", {"value": 1, "late": "x"})
        with metric.open() as ws:
            quid = metric.register(ws)["quid"]
        at.restart(by_kill=True)
        eq(metric.put(5, 7, {"late": 4}).status, 400)
        eq(metric.put(5, 8, {"late": "y"}).text, "OK")
        with metric.open() as ws:
            eq(metric.register(ws), Like(quid=quid, records=ANY))
        eq(metric.values(), [1.5, 7.0, 1.0, 8.0])
        eq(at.metric("weir_nsdb_records_skipped_total"), 2.0)


@test
def a_second_socket_sees_the_same_windows():
    metric = Metric().fill(1)
    text = "select count(*) from $ group by interval 2 s limit 1"
    future = int(time.time() * 1000) + 10**9
    with metric.open() as first, metric.open() as second:
        quid = metric.register(first, text)["quid"]
        for n in range(3):
            metric.put(future + n, n)
        time.sleep(0.5)
        eq(metric.register(second, text)["quid"], quid)
        metric.put(future + 3, 3)
        want = [Like(value=4, dimensions={"lowerBound": future, "upperBound": future + 3})]
        eq(first.recv()["records"], want)
        eq(second.recv()["records"], want)


@test
def a_late_bit_within_the_grace_is_pushed_again():
    metric = Metric().fill(1)
    with metric.open() as ws:
        metric.register(ws, "select count(*) from $ group by interval 1 s since 1 h")
        now = int(time.time() * 1000)
        metric.put(now + 10**6, 1)
        eq(ws.recv()["records"], [Like(value=1)])
        metric.put(now - 10_000, 1)
        eq(ws.recv()["records"], [Like(value=1, timestamp=now - 10_000)])


@test
def a_slow_reader_loses_the_oldest_and_is_not_closed():
    at = shared('[limits]\noutbox_bytes = 65536')
    metric = Metric(at).fill(0)
    before = at.metric("weir_nsdb_records_dropped_total")
    with metric.open("?retention_size=3") as ws:
        metric.register(ws)
        for n in range(60):
            metric.put(n, n, {"text": "x" * 20_000})
        last = None
        while last != 59:
            last = ws.recv()["records"][-1]["value"]
        assert at.metric("weir_nsdb_records_dropped_total") >= before


@test
def the_limit_of_a_result_is_told():
    at = shared('[limits]\noutbox_bytes = 65536')
    metric = Metric(at)
    for n in range(5):
        metric.put(n, n, {"text": "x" * 20_000})
    want = "result larger than 65536 bytes, use LIMIT"
    reply = metric.query("select * from $")
    eq((reply.status, reply.text), (413, want))
    with metric.open() as ws:
        eq(metric.register(ws)["reason"], want)
        eq(len(metric.register(ws, "select * from $ order by value desc limit 2")["records"]), 2)


USERS = """
[[user]]
name = "app"
password = "secret"
token = "app-token"
roles = ["read", "write"]
topics = ["db.ns.a*"]
"""


@test
def access_is_needed_to_both_metrics():
    at = shared(USERS)
    bit = {"db": "db", "namespace": "ns", "metric": "a1", "bit": {"timestamp": 1, "value": 1}}
    app = {"Authorization": "Bearer app-token"}
    eq(at.http("POST nsdb /data", bit, headers=app).text, "OK")
    eq(at.http("POST nsdb /data", bit).text, "not authorized header not provided")
    eq(at.http("POST nsdb /data", bit, auth=("app", "wrong")).text, "not authorized invalid token")
    eq(at.http("POST nsdb /data", {**bit, "metric": "b"}, headers=app).text,
       "not authorized forbidden write access to metric b")
    eq(at.http("DELETE nsdb /commands/db/ns/b", headers=app).text, "not authorized forbidden write access to metric b")
    eq(at.http("GET nsdb /commands/dbs").status, 403)
    eq(at.http("GET nsdb /commands/dbs", headers=app).json, {"dbs": ["db"]})
    with Ws(at, "nsdb", "/ws-stream", subprotocols=["app-token"]) as ws:
        names = {"db": "db", "namespace": "ns"}
        eq(ws.ask({**names, "metric": "a1", "queryString": "select * from b"})["reason"],
           "unauthorized forbidden access to metric b")
        eq(ws.ask({**names, "metric": "a1", "queryString": "select * from a1"}), Like(quid=str))
    with Ws(at, "nsdb", "/ws-stream", additional_headers=app) as ws:
        eq(ws.ask({**names, "metric": "a1", "queryString": "select * from a1"}), Like(quid=str))
    with Ws(at, "nsdb", "/ws-stream", subprotocols=["other"]) as ws:
        eq(ws.ask({**names, "metric": "a1", "queryString": "select * from a1"})["reason"], "unauthorized invalid token")


def people(server, *bits):
    """Bits of the metric of the published page's examples."""
    for timestamp, value, dimensions, tags in bits:
        bit = {"timestamp": timestamp, "value": value, "dimensions": dimensions, "tags": tags}
        body = {"db": "db", "namespace": "registry", "metric": "people", "bit": bit}
        reply = server.http("POST nsdb /data", body)
        eq((reply.status, reply.text), (200, "OK"))


def record(timestamp, value, dimensions, tags):
    return {"timestamp": timestamp, "value": value, "dimensions": dimensions, "tags": tags, "uniqueValues": []}


@test
def the_published_conversation():
    names = {"db": "db", "namespace": "registry", "metric": "people"}
    with Server() as server:
        people(server, (1000, 1, {"surname": "Doe"}, {"name": "John"}))
        text = "select * from people limit 1"
        with Ws(server, "nsdb", "/ws-stream?refresh_period=200&retention_size=10") as ws:
            answer = ws.ask({**names, "queryString": text})
            quid = answer["quid"]
            assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", quid)
            first = record(1000, 1, {"surname": "Doe"}, {"name": "John"})
            eq(dict(sorted(answer.items())),
               dict(sorted({**names, "queryString": text, "quid": quid, "records": [first]}.items())))
            people(server, (5000, 15, {"surname": "Roe"}, {"name": "Ann"}))
            pushed = record(5000, 15, {"surname": "Roe"}, {"name": "Ann"})
            eq(dict(sorted(ws.recv().items())), dict(sorted({**names, "quid": quid, "records": [pushed]}.items())))
        refused = server.http("GET nsdb /ws-stream?refresh_period=10", headers={
            "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="})
        eq((refused.status, refused.text), (400, "publish period of 10 milliseconds cannot be used, "
                                                 "must be greater or equal to 100"))


@test
def the_published_range_and_filters():
    names = {"db": "db", "namespace": "registry", "metric": "people"}
    both = {"dimName1": "value", "dimName2": 1}
    filters = [{"dimension": "dimName1", "value": "value", "operator": "="},
               {"dimension": "dimName2", "value": 1, "operator": "="}]
    with Server() as server:
        people(server, (50_000, 1, both, {}), (50_001, 2, {**both, "dimName2": 2}, {}), (200_000, 3, both, {}))
        with Ws(server, "nsdb", "/ws-stream") as ranged, Ws(server, "nsdb", "/ws-stream") as filtered:
            request = {**names, "queryString": "select * from people limit 100", "from": 0, "to": 100_000}
            eq([r["value"] for r in ranged.ask(request)["records"]], [1, 2])
            eq([r["value"] for r in filtered.ask({**request, "filters": filters})["records"]], [1])
            people(server, (-1, 4, both, {}), (100_001, 5, both, {}), (100_000, 6, both, {}))
            eq([r["value"] for r in ranged.recv()["records"]], [6])
            eq(filtered.recv()["records"], [record(100_000, 6, both, {})])
