"""Clients of other kinds: Node's `ws`, and curl."""

import os
import pathlib
import subprocess

from harness import PATIENCE, Server, eq, shared, test

HERE = pathlib.Path(__file__).resolve().parent
MODULES = os.environ.get("WEIR_NODE_MODULES") or str(HERE.parents[1] / ".cache" / "node" / "node_modules")


@test
def node_ws():
    with Server(top="shards = 2") as server:
        env = {**os.environ, "WEIR_NODE_MODULES": MODULES, "JSONJET": server.url("jsonjet", "/ws"),
               "MESH": server.url("mesh", "/ws/v1"), "USERS": server.url("users", "/chat")}
        got = subprocess.run(["node", str(HERE / "node_ws.mjs")], env=env, capture_output=True, text=True, timeout=120)
        assert got.returncode == 0, got.stdout + got.stderr
        eq(got.stdout.splitlines()[-1], "all done")


def curl(server, front, path, *arguments, stdin=None):
    url = f"http://127.0.0.1:{server.ports[front]}{path}"
    got = subprocess.run(["curl", "-sS", "-m", str(int(PATIENCE)), "-w", "\n%{http_code}", *arguments, url],
                         capture_output=True, text=True, input=stdin)
    assert got.returncode == 0, got.stderr
    body, _, status = got.stdout.rpartition("\n")
    return int(status), body


@test
def curl_inserts_and_looks():
    with Server() as server:
        status, body = curl(server, "jsonjet", "/api/execute", "-d", '{"query":"create stream a"}')
        eq((status, body), (200, '{"success":true,"type":"stream","result":{"streamName":"a"},'
                                 '"message":"Stream \'a\' created","streamName":"a"}'))
        eq(curl(server, "jsonjet", "/api/insert", "-d", '{"target":"a","data":[{"n":1},{"n":2}]}'),
           (200, '{"success":true,"count":2,"target":"a","message":"2 records inserted successfully into \'a\'"}'))
        eq(curl(server, "jsonjet", "/api/insert", "-H", "Transfer-Encoding: chunked", "--data-binary", "@-",
                stdin='{"target":"a","data":{"n":3}}')[0], 200)
        eq(curl(server, "jsonjet", "/api/streams"), (200, '{"streams":["_log","a"]}'))
        # Over a megabyte curl first asks whether it may.
        eq(curl(server, "jsonjet", "/api/insert", "--data-binary", "@-",
                stdin='{"target":"a","data":{"t":"' + "x" * 2_000_000 + '"}}')[0], 200)
        eq(server.count("a"), 4)
        eq(curl(server, "jsonjet", "/ws"), (400, "WebSocket upgrade failed"))
        eq(curl(server, "jsonjet", "/nope"), (404, "Not Found"))
        status, head = curl(server, "jsonjet", "/api/insert", "-X", "OPTIONS", "-i")
        assert status == 200 and "Access-Control-Allow-Origin: *" in head, head
        eq(curl(server, "admin", "/health"), (200, "ok\n"))
        status, head = curl(server, "admin", "/metrics", "-I")
        assert status == 200 and "openmetrics" in head, head
        eq(curl(server, "mesh", "/version"), (200, '{"apis":["v1"]}'))
        # One connection for several requests.
        url = f"http://127.0.0.1:{server.ports['jsonjet']}/api/streams"
        got = subprocess.run(["curl", "-sS", "-w", "%{num_connects} ", "-o", "/dev/null", url, "-o", "/dev/null", url],
                             capture_output=True, text=True)
        eq(got.stdout.split(), ["1", "0"])


@test
def curl_with_users():
    with Server('[[user]]\nname = "u"\npassword = "pw"\ntoken = "t"\n') as server:
        eq(curl(server, "jsonjet", "/api/streams")[0], 401)
        eq(curl(server, "jsonjet", "/api/streams", "-u", "u:pw")[0], 200)
        eq(curl(server, "jsonjet", "/api/streams", "--oauth2-bearer", "t")[0], 200)
        eq(curl(server, "jsonjet", "/api/streams?token=t")[0], 200)
        eq(curl(server, "jsonjet", "/api/insert", "-u", "u:pw", "-d", '{"target":"x","data":1}')[0], 403)


@test
def query_prints_rows_of_every_language():
    with Server() as server:
        server.execute("create stream s")
        server.execute("insert into s [{id: 1, v: 1.50}, {id: 2}]")
        jet = server.weir("query", "s | where id > 0 | select { id, v }")
        eq((jet.returncode, jet.stdout), (0, '{"id":1,"v":1.50}\n{"id":2}\n'))
        rql = server.weir("query", "SELECT id FROM s WHERE v IS NULL", "--dialect", "rql")
        eq((rql.returncode, rql.stdout), (0, "2\n"))
        bit = {"db": "plant", "namespace": "hall", "metric": "m", "bit": {"timestamp": 5, "value": 1.5, "tags": {"a": "x"}}}
        eq(server.http("POST nsdb /data", bit).status, 200)
        nsdb = server.weir("query", "select * from m where value > 1", "--dialect", "nsdb", "--in", "plant.hall")
        eq((nsdb.returncode, nsdb.stdout),
           (0, '{"timestamp":5,"value":1.5,"dimensions":{},"tags":{"a":"x"},"uniqueValues":[]}\n'))
        nsdb = server.weir("query", "select * from nothing", "--dialect", "nsdb", "--in", "plant.hall")
        eq((nsdb.returncode, nsdb.stderr.strip()), (1, "weir: Metric nothing does not exist"))
        nsdb = server.weir("query", "select * from m", "--dialect", "nsdb")
        eq((nsdb.returncode, nsdb.stderr), (1, "weir: say where the metric lies: --in DB.NAMESPACE\n"))
        wrong = server.weir("query", "SELECT o.nope FROM s o", "--dialect", "rql")
        eq((wrong.returncode, wrong.stderr), (1, "weir: nope is not declared at line 1, column 10\n"))
