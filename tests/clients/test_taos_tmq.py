"""Subscriptions of the taos front-end: /rest/tmq by raw frames and by a published client, groups, and kills."""

import struct
import threading
import time

from harness import ANY, PATIENCE, Like, Server, Skip, Ws, eq, eventually, fresh, shared, test
from test_taos import T, Taos, database

try:
    import taosws
except ImportError:
    taosws = None


class Consumer:
    """One consumer by raw frames."""

    def __init__(self, server, group="g", topics=(), subscribe=True, **settings):
        self.ws, self.request, self.id = Ws(server, "taos", "/rest/tmq"), 0, 0
        if subscribe:
            args = {"user": "root", "password": "taosdata", "group_id": group, "offset_reset": "earliest",
                    "topics": list(topics), **settings}
            self.ok("subscribe", **args)

    def ask(self, action, **args):
        self.send(action, **args)
        return self.ws.recv()

    def send(self, action, **args):
        self.request += 1
        self.ws.send({"action": action, "args": {"req_id": self.request, **args}})

    def ok(self, action, **args):
        reply = self.ask(action, **args)
        eq((reply["code"], reply["action"], reply["req_id"]), (0, action, self.request), reply["message"])
        return reply

    def fails(self, code, action, **args):
        eq(self.ask(action, **args)["code"], code, action)

    def poll(self, wait=2000, **args):
        reply = self.ok("poll", blocking_time=wait, **args)
        if reply["have_message"]:
            self.id = reply["message_id"]
            return reply
        eq(reply, Like(topic="", database="", vgroup_id=0, message_type=0, message_id=0, offset=0))
        return None

    def block(self):
        """Rows of the second column (INT) of the living message, and its table."""
        head = self.ok("fetch", message_id=self.id)
        eq(head["completed"], False)
        self.send("fetch_block", message_id=self.id)
        frame = self.ws.raw()
        eq(struct.unpack_from("<QQ", frame, 8), (self.request, self.id))
        rows, columns = struct.unpack_from("<ii", frame, 24 + 8)
        eq(rows, head["rows"])
        lengths = struct.unpack_from(f"<{columns}i", frame, 24 + 28 + 5 * columns)
        at = 24 + 28 + 9 * columns + (rows + 7) // 8 + lengths[0]
        nulls, at = frame[at:at + (rows + 7) // 8], at + (rows + 7) // 8
        values = struct.unpack_from(f"<{rows}i", frame, at)
        null = [nulls[r // 8] >> (7 - r % 8) & 1 for r in range(rows)]
        eq(self.ok("fetch", message_id=self.id), Like(completed=True, rows=0, fields_names=None, table_name=""))
        return head["table_name"], [None if null[r] else values[r] for r in range(rows)]

    def take(self, count, wait=2000):
        values, end = [], time.monotonic() + PATIENCE
        while len(values) < count and time.monotonic() < end:
            if self.poll(wait):
                values += self.block()[1]
        return values

    def close(self):
        self.ok("close")
        self.ws.close()


def with_topic(server, options="", select="select ts, v from t"):
    taos = database(server, options)
    taos.rows("create table t (ts timestamp, v int)")
    topic = fresh("tp")
    taos.rows(f"create topic {topic} as {select}")
    return taos, topic


def insert(taos, first, count, table="t"):
    values = "".join(f"({T + n}, {n})" for n in range(first, first + count))
    taos.rows(f"insert into {table} values {values}")


@test
def a_poll_that_waits_is_woken_and_holds_nothing_up():
    taos, topic = with_topic(shared())
    consumer = Consumer(shared(), topics=[topic])
    begun = time.monotonic()
    consumer.send("poll", blocking_time=60_000)
    eq(consumer.ok("list_topics")["topics"], [topic])
    eq(consumer.ok("assignment", topic=topic)["assignment"], [{"vgroup_id": int, "offset": int, "begin": 0, "end": 1}])
    insert(taos, 0, 2)
    eq(consumer.ws.recv(), Like(action="poll", req_id=1 + 1, have_message=True, message_id=1, offset=1, database=taos.database))
    assert time.monotonic() - begun < PATIENCE
    consumer.id = 1
    eq(consumer.block(), ("t", [0, 1]))
    eq(consumer.poll(50), None)
    # One slot: the third replaces the second, which is never answered.
    for _ in range(3):
        consumer.send("poll", blocking_time=60_000)
    last = consumer.request
    insert(taos, 2, 1)
    eq(consumer.ws.recv(), Like(have_message=True, req_id=last - 2))
    insert(taos, 3, 1)
    eq(consumer.ws.recv(), Like(have_message=True, req_id=last))
    consumer.close()


@test
def small_records_of_a_table_are_one_message_and_large_ones_several():
    taos, topic = with_topic(shared())
    for n in range(20):
        insert(taos, n, 1)
    insert(taos, 20, 5000)
    consumer = Consumer(shared(), topics=[topic])
    consumer.poll()
    eq(consumer.block(), ("t", list(range(20))))
    eq(consumer.poll()["offset"], 21)
    eq(len(consumer.block()[1]), 4096)
    eq(consumer.poll()["offset"], 21)
    eq(consumer.block()[1], list(range(20 + 4096, 5020)))
    eq(consumer.poll(0), None)
    consumer.close()


@test
def a_lost_reply_is_sent_again_and_one_message_lives():
    taos, topic = with_topic(shared())
    consumer = Consumer(shared(), topics=[topic])
    consumer.fails(0xFFFF, "fetch", message_id=1)
    insert(taos, 0, 1)
    eq(consumer.poll(message_id=0)["message_id"], 1)
    eq(consumer.poll(message_id=0)["message_id"], 1)
    for action in ("fetch", "fetch_raw", "fetch_json_meta"):
        eq(consumer.ask(action, message_id=7), Like(code=0xFFFF, message="message ID are not equal", message_id=7))
    eq(consumer.ask("fetch_block", message_id=7), Like(message="message is nil", message_id=7))
    eq(consumer.ask("fetch_block", message_id=1), Like(message="no fetch data", message_id=1))
    eq(consumer.ask("fetch_json_meta", message_id=1), Like(message="message type can not get meta, type: 1"))
    eq(consumer.poll(0, message_id=1), None)
    insert(taos, 1, 1)
    eq(consumer.poll(message_id=1)["message_id"], 2)
    consumer.fails(0xFFFF, "fetch", message_id=1)
    consumer.ok("unsubscribe")
    eq(consumer.ask("poll"), Like(code=0xFFFF, message="tmq not init"))
    consumer.ok("init")
    consumer.ok("close")


@test
def frames_that_mean_nothing_are_answered():
    consumer, frame = Consumer(shared(), subscribe=False), struct.pack("<QQQ", 7, 1, 6) + b"\1\0x"
    for length in range(len(frame) + 1):
        consumer.ws.ws.send(frame[:length])
        want = "message length is too short" if length < 24 else "unknown binary action 6"
        eq(consumer.ws.recv(), Like(code=0xFFFF, message=want, req_id=0 if length < 24 else 7))
    for text, want in (("{", "unmarshal request error"), ("{}", "request no action"), ('{"action":"nothing"}', "unknown action nothing"),
                       ('{"action":"poll","args":[]}', "unmarshal poll request error"), ('{"action":"poll"}', "tmq not init")):
        consumer.ws.send(text)
        eq(consumer.ws.recv(), Like(code=0xFFFF, message=want))
    eq(consumer.ok("version")["version"], "3.3.6.0")
    consumer.close()


@test
def positions_are_stored_sought_and_checked():
    taos, topic = with_topic(shared())
    insert(taos, 0, 2)
    consumer = Consumer(shared(), topics=[topic])
    vgroup = consumer.ok("assignment", topic=topic)["assignment"][0]["vgroup_id"]
    where = [{"topic": topic, "vgroup_id": vgroup}]
    eq(consumer.ok("committed", topic_vgroup_ids=where)["committed"], [-2147467247])
    eq(consumer.ok("position", topic_vgroup_ids=where)["position"], [0])
    consumer.poll()
    eq(consumer.ok("position", topic_vgroup_ids=where)["position"], [2])
    consumer.ok("commit", message_id=0)
    eq(consumer.ok("committed", topic_vgroup_ids=where)["committed"], [2])
    consumer.ok("seek", topic=topic, vgroup_id=vgroup, offset=0)
    consumer.fails(0xFFFF, "fetch", message_id=1)
    eq(consumer.take(2), [0, 1])
    eq(consumer.ok("committed", topic_vgroup_ids=where)["committed"], [2])
    eq(consumer.ok("commit_offset", topic=topic, vgroup_id=vgroup, offset=1), Like(topic=topic, vgroup_id=vgroup, offset=1))
    eq(consumer.ok("committed", topic_vgroup_ids=where)["committed"], [1])
    for code, args in ((0x4007, {"topic": topic, "vgroup_id": vgroup, "offset": 3}),
                       (0x4007, {"topic": topic, "vgroup_id": vgroup, "offset": -1}),
                       (0x4008, {"topic": topic, "vgroup_id": 9999, "offset": 0}),
                       (0x4009, {"topic": "other", "vgroup_id": vgroup, "offset": 0})):
        consumer.fails(code, "seek", **args)
        consumer.fails(code, "commit_offset", **args)
    consumer.close()
    latest = Consumer(shared(), "late", [topic], offset_reset="latest")
    eq(latest.poll(0), None)
    insert(taos, 2, 1)
    eq(latest.take(1), [2])
    latest.close()
    none = Consumer(shared(), "none", [topic], offset_reset="none")
    none.fails(0x4011, "poll", blocking_time=0)
    none.close()


@test
def auto_commit_happens_at_polls_and_at_the_end():
    taos, topic = with_topic(shared())
    insert(taos, 0, 1)
    settings = {"auto_commit": "true", "auto_commit_interval_ms": "0"}
    consumer = Consumer(shared(), topics=[topic], **settings)
    vgroup = consumer.poll()["vgroup_id"]
    where = [{"topic": topic, "vgroup_id": vgroup}]
    eq(consumer.ok("committed", topic_vgroup_ids=where)["committed"], [-2147467247])
    eq(consumer.poll(0), None)
    eq(consumer.ok("committed", topic_vgroup_ids=where)["committed"], [2])
    insert(taos, 1, 1)
    consumer.poll()
    consumer.ok("unsubscribe")
    consumer = Consumer(shared(), topics=[topic])
    eq(consumer.ok("committed", topic_vgroup_ids=where)["committed"], [3])
    consumer.close()


@test
def vgroups_are_shared_and_move_to_who_is_left():
    taos = database(shared(), "vgroups 4")
    topic = fresh("tp")
    taos.rows("create stable st (ts timestamp, v int) tags (g int)")
    taos.rows(f"create topic {topic} as stable st")
    tables = [f"c{n}" for n in range(12)]
    for n, table in enumerate(tables):
        taos.rows(f"insert into {table} using st tags ({n}) values ({T}, {n})")
    # The same client id twice is two consumers.
    first = Consumer(shared(), "g", [topic], client_id="same")
    second = Consumer(shared(), "g", [topic], client_id="same")
    seen, owner = [], {}

    def drain(consumer, name):
        while message := consumer.poll(300):
            owner.setdefault(message["vgroup_id"], set()).add(name)
            seen.extend(consumer.block()[1])

    drain(first, 1)
    drain(second, 2)
    eq(sorted(seen), list(range(12)))
    eq(sorted(len(names) for names in owner.values()), [1] * len(owner))
    eq({min(names) for names in owner.values()}, {1, 2})
    eq(len(first.ok("assignment", topic=topic)["assignment"]), 4)
    taken = [vgroup for vgroup, names in owner.items() if names == {2}][0]
    first.fails(0x4008, "seek", topic=topic, vgroup_id=taken, offset=0)
    rows = taos.rows("select consumer_id from information_schema.ins_subscriptions where topic_name = '" + topic + "'")
    eq(len(rows), 4)
    eq(len({row[0] for row in rows}), 2)
    # A consumer that vanishes: what it did not commit comes again elsewhere, woken from its wait.
    first.ok("commit", message_id=0)
    first.send("poll", blocking_time=60_000)
    second.ws.abort()
    eq(first.ws.recv(), Like(have_message=True))
    first.close()


@test
def who_does_not_poll_is_put_out():
    taos, topic = with_topic(shared())
    insert(taos, 0, 1)
    lazy = Consumer(shared(), topics=[topic], max_poll_interval_ms="1000")
    other = Consumer(shared(), topics=[topic])
    eq(other.poll(0), None)
    other.send("poll", blocking_time=60_000)
    eq(other.ws.recv(), Like(have_message=True))
    lazy.fails(0x4002, "poll", blocking_time=0)
    lazy.ok("unsubscribe")
    other.close()


@test
def definitions_come_in_their_place_among_rows():
    taos = database(shared())
    topic, rows_only = fresh("tp"), fresh("tp")
    taos.rows(f"create topic {topic} with meta as database {taos.database}")
    taos.rows(f"create topic {rows_only} as database {taos.database}")
    for sql in ("create stable st (ts timestamp, v int) tags (g int)", f"insert into a using st tags (1) values ({T}, 1)",
                "create table n (ts timestamp, v int)", f"insert into n values ({T}, 2)", "alter table st add column w int",
                "alter table a set tag g = 5", f"insert into a values ({T + 1}, 3, 4)", f"delete from n where ts = {T}",
                "drop table a", "drop table n"):
        taos.rows(sql)
    consumer, told, last = Consumer(shared(), topics=[topic]), [], -1
    while message := consumer.poll(300):
        assert message["offset"] > last, message
        last = message["offset"]
        if message["message_type"] == 2:
            data = consumer.ok("fetch_json_meta", message_id=consumer.id)["data"]
            told.append((data["type"], data.get("tableName")))
            consumer.fails(0xFFFF, "fetch", message_id=consumer.id)
        else:
            told.append(consumer.block())
    # The log of a dropped table is gone with its rows.
    eq(told, [("create", "st"), ("create", "a"), ("a", [1]), ("create", "n"), ("alter", "st"), ("alter", "a"), ("a", [3]),
              ("drop", "a"), ("drop", "n")])
    eq(last, 11)
    consumer.close()
    batch = Consumer(shared(), "b", [topic], enable_batch_meta="1")
    eq(batch.poll()["message_type"], 2)
    data = batch.ok("fetch_json_meta", message_id=1)["data"]
    eq((data["tmq_meta_version"], [meta["tableName"] for meta in data["metas"]]), ("1.0", ["st", "a"]))
    batch.close()
    consumer = Consumer(shared(), "c", [rows_only])
    eq(consumer.take(2), [1, 3])
    eq(consumer.poll(0), None)
    consumer.close()


@test
def conditions_of_definitions_hold():
    taos = database(shared())
    taos.rows("create stable st (ts timestamp, v int) tags (g int)")
    some, plus = fresh("tp"), fresh("tp")
    taos.rows(f"create topic {some} as stable st where g > 1")
    taos.rows(f"create topic {plus} as select ts, v + g, tbname from st where v > 10")
    for n in range(4):
        taos.rows(f"insert into s{n} using st tags ({n}) values ({T}, {n}) ({T + 1}, {n + 10})")
    consumer = Consumer(shared(), topics=[some])
    eq(consumer.take(4), [2, 12, 3, 13])
    consumer.close()
    consumer = Consumer(shared(), "h", [plus])
    names = []
    while consumer.poll(300):
        head = consumer.ok("fetch", message_id=consumer.id)
        eq((head["fields_names"], head["rows"]), (["ts", "v + g", "tbname"], 1))
        names.append(head["table_name"])
    eq(names, ["s1", "s2", "s3"])
    consumer.close()
    for sql, code in ((f"create topic x as select count(*) from st", 0x2639), ("create topic x as select ts from st order by ts", 0x2639),
                      ("create topic x as stable st where v > 1", 0x2639), ("alter table st drop column v", 0x03C4),
                      (f"create topic {some} as database {taos.database}", 0x03E0), ("drop topic nothing", 0x03E1),
                      (f"drop database {taos.database}", 0x03ED), (f"drop consumer group h on {plus}", 0x03E8)):
        eq(taos.ask(sql)["code"], code, sql)
    taos.rows(f"drop topic {some}")
    taos.rows(f"drop topic {plus}")


@test
def groups_and_definitions_in_use_stay():
    taos, topic = with_topic(shared())
    insert(taos, 0, 1)
    consumer = Consumer(shared(), topics=[topic])
    consumer.poll()
    consumer.ok("commit", message_id=1)
    eq(taos.ask(f"drop topic {topic}")["code"], 0x03EB)
    eq(taos.ask(f"drop consumer group g on {topic}")["code"], 0x03EC)
    eq([row for row in taos.rows("show subscriptions") if row[0] == topic],
       [[topic, "g", int, str, "root", str, "wal:2", int]])
    eq(len([row for row in taos.rows("show consumers") if row[5] == topic]), 1)
    eq([row[:2] for row in taos.rows("show vgroups")], [[ANY, taos.database]])
    eq(taos.rows(f"select `sql` from information_schema.ins_topics where topic_name = '{topic}'"),
       [[f"create topic `{topic}` as select ts, v from t"]])
    consumer.ws.abort()
    eventually(lambda: taos.ask(f"drop consumer group g on {topic}")["code"] == 0, "the consumer left")
    eq(taos.ask(f"drop consumer group g on {topic}")["code"], 0x03E8)
    consumer = Consumer(shared(), topics=[topic])
    eq(consumer.take(1), [0])
    taos.rows(f"drop topic force {topic}")
    insert(taos, 1, 1)
    eq(consumer.poll(0), None)
    consumer.close()


@test
def a_stream_of_json_is_subscribed_as_a_table():
    server, stream, topic = shared(), fresh("js"), fresh("tp")
    taos = Taos(server)
    server.execute(f"create stream {stream}")

    def put(n):
        server.http("POST jsonjet /api/insert", {"target": stream, "data": {"n": n, "s": f"x{n}"}})

    put(1)
    taos.rows(f"create topic {topic} as select n, s from main.{stream} where n <> 2")
    consumer = Consumer(server, topics=[topic])
    consumer.poll()
    eq(consumer.ok("fetch", message_id=1), Like(rows=1, fields_names=["n", "s"], fields_types=[5, 8], table_name=stream))
    consumer.send("poll", blocking_time=60_000)
    put(2)
    put(3)
    eq(consumer.ws.recv(), Like(have_message=True, message_id=2, offset=int, database="main"))
    consumer.close()
    taos.rows(f"drop topic {topic}")


@test
def nothing_is_passed_over_among_tables_that_come_meanwhile():
    taos = database(shared())
    topic = fresh("tp")
    taos.rows(f"create topic {topic} as database {taos.database}")
    writers, each = 4, 60
    done = []

    def write(number):
        for n in range(each):
            table = f"w{number}_{n % 6}"
            taos.rows(f"create table if not exists {table} (ts timestamp, v int)")
            insert(taos, number * each + n, 1, table)
        done.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    consumer, seen, last, end = Consumer(shared(), topics=[topic]), [], -1, time.monotonic() + 4 * PATIENCE
    while len(seen) < writers * each and time.monotonic() < end:
        if message := consumer.poll(500):
            assert message["offset"] > last, (message, last)
            last = message["offset"]
            seen += consumer.block()[1]
        elif len(done) == writers and consumer.poll(500) is None:
            break
    for thread in threads:
        thread.join()
    eq(sorted(seen), list(range(writers * each)))
    consumer.close()


@test
def nothing_is_lost_and_no_position_goes_back_under_kills():
    with Server() as server:
        taos, topic = with_topic(server)
        written, seen, positions = 0, set(), []
        for turn in range(4):
            stop, acknowledged = threading.Event(), []

            def write(first):
                n = first
                while not stop.is_set():
                    try:
                        insert(taos, n, 3)
                    except Exception:
                        return
                    n += 3
                    acknowledged.append(n)

            writer = threading.Thread(target=write, args=(written,))
            writer.start()
            consumer = Consumer(server, topics=[topic])
            try:
                for step in range(30):
                    message = consumer.poll(500)
                    if message:
                        seen.update(consumer.block()[1])
                    if message and step % 5 == 0:
                        consumer.ok("commit", message_id=consumer.id)
                        where = [{"topic": topic, "vgroup_id": message["vgroup_id"]}]
                        positions += consumer.ok("committed", topic_vgroup_ids=where)["committed"]
            finally:
                # Odd turns: the consumer vanishes while it polls; even ones: the server.
                consumer.send("poll", blocking_time=60_000)
                if turn % 2:
                    consumer.ws.abort()
                    stop.set()
                else:
                    server.kill()
                    stop.set()
                writer.join()
            if not turn % 2:
                server.start()
            written = max(acknowledged, default=written)
            consumer = Consumer(server, topics=[topic])
            where[0]["vgroup_id"] = consumer.ok("assignment", topic=topic)["assignment"][0]["vgroup_id"]
            positions += consumer.ok("committed", topic_vgroup_ids=where)["committed"]
            consumer.ws.abort()
            # Rows of an append without an answer may be there or not: the next ones begin behind them.
            written += 3
        consumer = Consumer(server, topics=[topic])
        while consumer.poll(500):
            seen.update(consumer.block()[1])
        stored = {row[0] for row in taos.rows("select v from t")}
        eq(sorted(stored - seen), [])
        eq(positions, sorted(positions))
        consumer.close()


@test
def a_published_client_reads_and_commits():
    if taosws is None:
        raise Skip("taos-ws-py is not installed")
    server = shared()
    taos, topic = with_topic(server)
    insert(taos, 0, 3)
    conf = {"td.connect.websocket.scheme": "ws", "td.connect.ip": "127.0.0.1", "td.connect.port": str(server.ports["taos"]),
            "td.connect.user": "root", "td.connect.pass": "taosdata", "group.id": "g", "client.id": "c",
            "auto.offset.reset": "earliest", "enable.auto.commit": "false"}
    consumer = taosws.Consumer(conf=conf)
    consumer.subscribe([topic])
    values, end = [], time.monotonic() + PATIENCE
    while len(values) < 3 and time.monotonic() < end:
        message = consumer.poll(timeout=1.0)
        if message is not None:
            eq((message.topic(), message.database()), (topic, taos.database))
            values += [row[1] for block in message for row in block.fetchall()]
            consumer.commit(message)
    eq(values, [0, 1, 2])
    place = consumer.assignment()[0].assignments()[0]
    eq((place.begin(), place.offset(), place.end()), (0, 2, 2))
    consumer.unsubscribe()
    consumer.close()


@test
def a_consumer_outlives_what_it_reads():
    taos = database(shared())
    for table in ("t", "u"):
        taos.rows(f"create table {table} (ts timestamp, v int)")
    first, second, third = (fresh("tp") for _ in range(3))
    taos.rows(f"create topic {first} as select ts, v from t")
    taos.rows(f"create topic {second} as select ts, v from u")
    taos.rows(f"create topic {third} as database {taos.database}")
    consumer = Consumer(shared(), topics=[first, second])
    all_of_it = Consumer(shared(), topics=[third])
    insert(taos, 0, 2)
    eq(consumer.take(2), [0, 1])
    # The table goes, with what was not read of it.
    insert(taos, 2, 1)
    taos.rows("drop table t")
    insert(taos, 7, 1, "u")
    eq(consumer.take(1), [7])
    consumer.ok("commit", message_id=consumer.id)
    eq(all_of_it.take(1), [7])
    # So does a definition.
    eq(taos.ask(f"drop topic {first}")["code"], 0x03EB)
    taos.rows(f"drop topic force {first}")
    eq(consumer.poll(50), None)
    insert(taos, 8, 1, "u")
    eq(consumer.take(1), [8])
    eq(taos.ask(f"drop database {taos.database}")["code"], 0x03ED)
    # A table of the same name is another one.
    taos.rows("create table t (ts timestamp, v int)")
    insert(taos, 5, 1)
    eq(all_of_it.take(2), [8, 5])
    taos.rows(f"drop topic force {second}")
    taos.rows(f"drop topic force {third}")
    taos.rows(f"drop database {taos.database}")
    eq(consumer.poll(50), None)
    eq(all_of_it.poll(50), None)
    for one in (consumer, all_of_it):
        one.ok("unsubscribe")


@test
def what_is_older_than_keep_is_delivered_to_nobody():
    taos, topic = with_topic(shared(), "keep 100")
    day, now = 86_400_000, int(time.time() * 1000)
    for age in (90, 70, 20, 1):
        taos.rows(f"insert into t values ({now - age * day}, {age})")
    early = Consumer(shared(), "early", topics=[topic])
    eq(early.take(1)[:1], [90])
    taos.rows(f"alter database {taos.database} keep 60")
    late = Consumer(shared(), "late", topics=[topic])
    eq(late.take(2), [20, 1])
    begin = late.ok("assignment", topic=topic)["assignment"][0]["begin"]
    assert begin > 0, begin
    late.fails(0x4007, "seek", topic=topic, vgroup_id=late.ok("assignment", topic=topic)["assignment"][0]["vgroup_id"],
               offset=begin - 1)
