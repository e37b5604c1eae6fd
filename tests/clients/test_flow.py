"""Many connections: both shards, order, readers that are slow."""

import re
import threading

from harness import ANY, Backend, Jet, Like, Raw, Server, User, eq, eventually, frame, test


@test
def every_pair_of_shards():
    """Connections land on both shards, streams too: each stream is written and read on all of them."""
    with Server(top="shards = 2") as server:
        clients = [Jet(server) for _ in range(12)]
        names = [f"s{n}" for n in range(6)]
        for name in names:
            clients[0].create(name)
        for client in clients:
            eq(len(client.subscribe(names)["subscriptions"]), 6)
        writers = [Jet(server) for _ in range(6)]
        for n in range(200):
            for writer, name in zip(writers, names):
                writer.send({"type": "insert", "target": name, "data": {"n": n}})
        for writer in writers:
            for _ in range(200):
                eq(writer.recv()["success"], True)
        for client in clients:
            by_stream = {name: [] for name in names}
            for message in client.take(1200):
                by_stream[message["streamName"]].append(message["data"]["n"])
            eq(list(by_stream.values()), [list(range(200))] * 6)
        owners = {line.split('"')[1] for line in server.http("GET admin /metrics").text.splitlines()
                  if line.startswith("weir_topics{") and not line.endswith(" 0")}
        eq(owners, {"0", "1"})
        for client in clients + writers:
            client.close()


@test
def all_see_one_order():
    """Several writers to one stream: every subscriber and the log have the same sequence."""
    with Server(top="shards = 2") as server:
        readers, writers = [Jet(server) for _ in range(8)], [Jet(server) for _ in range(8)]
        readers[0].create("a")
        for reader in readers:
            reader.subscribe("a")
        for n in range(250):
            for w, writer in enumerate(writers):
                writer.send({"type": "insert", "target": "a", "data": [{"w": w, "n": 2 * n}, {"w": w, "n": 2 * n + 1}]})
        sequences = [[(m["data"]["w"], m["data"]["n"]) for m in reader.take(4000)] for reader in readers]
        with Jet(server) as late:
            late.subscribe("a", replay="all")
            sequences.append([(m["data"]["w"], m["data"]["n"]) for m in late.take(4000)])
        for sequence in sequences[1:]:
            assert sequence == sequences[0], "another order"
        for w in range(8):
            eq([n for writer, n in sequences[0] if writer == w], list(range(500)))
        for client in readers + writers:
            client.close()


@test
def mesh_over_both_shards():
    with Server(top="shards = 2") as server:
        backends, users = [Backend(server) for _ in range(4)], [User(server) for _ in range(12)]
        backends[0].pop("chat")
        ids = []
        for user in users:
            user.send("hello")
            ids.append(backends[0].event()["c"])
        for n, client in enumerate(ids):
            eq(backends[n % 4].ok("conn.call", {"c": client, "f": "subscribe", "a": ["all"]}), {"s": True}) \
                if n % 4 else backends[0].ok("conn.call", {"c": client, "f": "subscribe", "a": ["all"]})
        for backend in backends[1:]:
            for client in ids:
                eq(backend.ok("mesh.send", {"c": client, "d": "direct"}), {"s": True})
            eq(backend.ok("mesh.publish", {"c": "all", "d": "wide"}), {"s": 12, "f": 0})
            eq(backend.ok("channel.presence", {"c": "all"})["clients"], ids)
        for user in users:
            eq([user.raw() for _ in range(6)], ["direct", "wide"] * 3)
        # Frames to one client leave in the order of one backend's requests.
        for n in range(200):
            backends[1].send({"m": "mesh.send", "p": {"c": ids[n % 12], "d": str(n)}, "i": n})
        for n in range(200):
            eq(backends[1].recv(), {"E": None, "r": {"s": True}, "i": n})
        for k, user in enumerate(users):
            eq([user.raw() for _ in range(k, 200, 12)], [str(n) for n in range(k, 200, 12)])
        for client in backends + users:
            client.close()


PAD = "x" * 10_000


def stuck(server):
    """A subscriber that reads its first answers, and then nothing."""
    raw = Raw(server, "jsonjet", rcvbuf=4096)
    raw.upgrade("/ws")
    raw.read_frame()
    raw.frame('{"type":"subscribe","streamName":"a"}')
    raw.read_frame()
    return raw


@test
def slow_reader_is_closed_and_delays_nobody():
    with Server("[limits]\noutbox_bytes = 1000000", top="shards = 2") as server, Jet(server) as writer:
        writer.create("a")
        raws = [stuck(server) for _ in range(4)]
        readers = [Jet(server) for _ in range(4)]
        for reader in readers:
            reader.subscribe("a")
        for n in range(2000):
            writer.send({"type": "insert", "target": "a", "data": {"n": n, "pad": PAD}})
            if n % 10 == 9:  # Those who read keep up.
                for reader in readers:
                    eq([m["data"]["n"] for m in reader.take(10)], list(range(n - 9, n + 1)))
                for _ in range(10):
                    eq(writer.recv()["success"], True)
            # One that reads again soon learns why; the server gives up on the others.
            if raws and n % 10 == 9 and server.metric("weir_jsonjet_slow_closed_total") == 4:
                eq(raws[0].close_code(), 1013)
                raws.pop().close()
                raws.clear()
        eq(server.metric("weir_jsonjet_slow_closed_total"), 4)
        eventually(lambda: server.metric("weir_websockets", front_end="jsonjet") == 5, "the slow ones are gone")
        for reader in readers:
            reader.close()


@test
def slow_reader_loses_oldest_or_newest():
    for policy in ("drop_oldest", "drop_newest"):
        with Server(f'[limits]\noutbox_bytes = 1000000\noutbox_full = "{policy}"') as server, Jet(server) as writer:
            writer.create("a")
            raw = stuck(server)
            for n in range(1500):
                eq(writer.insert("a", {"n": n, "pad": PAD})["success"], True)
            dropped = server.metric("weir_outbox_dropped_total", reason=policy)
            assert 0 < dropped < 1500, dropped
            other = {"drop_oldest": "drop_newest", "drop_newest": "drop_oldest"}[policy]
            eq(server.metric("weir_outbox_dropped_total", reason=other), 0)
            seen = []
            while len(seen) < 1500 - dropped:
                seen.append(int(re.search(rb'"n": (\d+)', raw.read_frame()[1])[1]))
            eq(seen, sorted(set(seen)))
            eq(seen[0], 0)  # What was on its way when the reader stopped.
            if policy == "drop_oldest":
                eq(seen[-1], 1499)
            else:
                eq(seen[:200], list(range(200)))
            # From here on it gets everything again.
            writer.insert("a", {"n": 5000})
            assert b'"n": 5000' in raw.read_frame()[1]
            raw.close()


@test
def slow_mesh_client_fails_alone():
    with Server("[limits]\noutbox_bytes = 500000", top="shards = 2") as server, Backend(server) as backend:
        backend.pop("chat")
        raw = Raw(server, "users", rcvbuf=4096)
        raw.upgrade("/chat")
        raw.frame("slow")
        slow = backend.event()["c"]
        with User(server) as user:
            user.send("quick")
            quick = backend.event()["c"]
            for client in (slow, quick):
                backend.ok("conn.call", {"c": client, "f": "subscribe", "a": ["all"]})
            sent = failed = 0
            for n in range(1500):
                result = backend.ok("mesh.publish", {"c": "all", "d": f"{n} {PAD}"})
                sent, failed = sent + result["s"], failed + result["f"]
                eq(user.raw().split()[0], str(n))
            assert sent >= 1500 and failed >= 1, (sent, failed)
            eq(backend.ok("mesh.send", {"c": quick, "d": "end"}), {"s": True})
            eq(user.raw(), "end")
        raw.close()


@test
def catching_up_slowly_is_not_a_fault():
    """Replay of more than the outbox holds goes at the reader's pace."""
    with Server("[limits]\noutbox_bytes = 1000000") as server, Jet(server) as writer:
        writer.create("a")
        for n in range(0, 2000, 100):
            eq(writer.insert("a", [{"n": k, "pad": PAD} for k in range(n, n + 100)])["success"], True)
        with Jet(server) as late:
            late.send({"type": "subscribe", "streamName": "a", "replay": "all"})
            eq(late.recv()["type"], "subscribed")
            eq([m["data"]["n"] for m in late.take(2000)], list(range(2000)))


@test
def thousand_connections():
    with Server(top="shards = 2") as server, Jet(server) as writer:
        writer.create("a")
        raws = []
        for _ in range(1000):
            raw = Raw(server, "jsonjet")
            raw.upgrade("/ws")
            raw.frame('{"type":"subscribe","streamName":"a"}')
            raws.append(raw)
        for raw in raws:
            eq(raw.read_frame()[0], 1)
            assert b"subscribed" in raw.read_frame()[1]
        for n in range(20):
            eq(writer.insert("a", {"n": n})["success"], True)
        for raw in raws:
            for n in range(20):
                assert b'{"n": %d}' % n in raw.read_frame()[1]
            raw.close()
        eventually(lambda: server.metric("weir_subscriptions") == 0, "all gone")
