#!/usr/bin/env python3
"""Kills the server with SIGKILL at random moments under load, restarts it on the same directory, and looks:

* every acknowledged record is there exactly once, in the order of its connection; what was sent and not
  acknowledged may be there, once, a batch whole or not at all;
* a queue in plain mode gives nothing twice, and what was never dispatched comes: only what was under way
  when a kill came may be missing, at most 64 messages for each consumer;
* a queue in ack mode gives all that was not acknowledged, again if need be.

kill.py [--kills N] [--seed N]. The last line is 'N passed, N failed'; one is counted for each kill.
"""

import argparse
import logging
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "clients"))
from harness import Backend, Jet, Server, User  # noqa: E402
from websockets.exceptions import WebSocketException  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--kills", type=int, default=200)
parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
arguments = parser.parse_args()
random.seed(arguments.seed)
GONE = (WebSocketException, OSError, EOFError)
IN_FLIGHT, CONSUMERS = 64, 2
TROUBLE = []
logging.disable(logging.CRITICAL)
threading.excepthook = lambda what: TROUBLE.append(what.exc_value)
STREAMS = ["s0", "s1", "s2", "s3"]
ROUTES = """
[[mesh.route]]
path = "/plain"
topic = "q.plain"
[[mesh.route]]
path = "/acked"
topic = "q.acked"
"""


class Writer(threading.Thread):
    """One connection: a window of inserts or of batches, to one stream. Its records are numbered."""

    def __init__(self, server, stream, name, window, batch, first):
        super().__init__(daemon=True)
        self.server, self.stream, self.name_, self.window, self.batch = server, stream, name, window, batch
        self.sent = self.acked = first    # numbers below these were sent, acknowledged

    def run(self):
        try:
            with Jet(self.server) as jet:
                flight = []
                while True:
                    while len(flight) < self.window:
                        numbers = range(self.sent, self.sent + self.batch)
                        records = [{"w": self.name_, "n": n, "pad": "x" * (n * 37 % 300)} for n in numbers]
                        self.sent = numbers.stop
                        flight.append(numbers.stop)
                        jet.send({"type": "insert", "target": self.stream,
                                  "data": records if self.batch > 1 else records[0], "requestId": numbers.stop})
                    answer = jet.recv(60)
                    assert answer.get("success") and answer.get("requestId") == flight[0], f"{self.name_}: {answer}"
                    self.acked = flight.pop(0)
        except GONE:
            pass


class Sender(threading.Thread):
    """An end user of the mesh; what it sends has no acknowledgement."""

    def __init__(self, server, path, name, first):
        super().__init__(daemon=True)
        self.server, self.path, self.name_, self.sent = server, path, name, first

    def run(self):
        try:
            with User(self.server, self.path) as user:
                while True:
                    self.sent += 1
                    user.send(f"{self.name_}:{self.sent - 1}")
                    time.sleep(0.0005)
        except GONE:
            pass


class Popper(threading.Thread):
    """A consumer; in ack mode it acknowledges most of what it gets."""

    def __init__(self, server, topic, ack):
        super().__init__(daemon=True)
        self.server, self.topic, self.ack = server, topic, ack
        self.got, self.acknowledged, self.asked = [], set(), set()

    def run(self):
        try:
            with Backend(self.server) as backend:
                backend.send({"m": "queue.pop", "p": {"t": [self.topic], **({"ack": True} if self.ack else {})}, "i": 0})
                waiting = {}
                while True:
                    message = backend.recv(60)
                    if "e" in message:
                        p = message["p"]
                        self.got.append((p.get("o"), p["d"]["frame"]["data"]))
                        if self.ack and random.random() < 0.9:
                            self.asked.add(p["o"])
                            waiting[p["o"]] = p["o"]
                            backend.send({"m": "queue.ack", "p": {"ids": [p["o"]]}, "i": p["o"]})
                    elif message["i"] in waiting and message["r"]["s"] == 1:
                        self.acknowledged.add(waiting.pop(message["i"]))
        except GONE:
            pass


def read(server, name, begin=0):
    """All that a stream holds from that record on."""
    with Jet(server) as jet:
        count = jet.execute(f"info {name}")["result"]["result"]["info"]["documentCount"]
        assert count >= begin, f"{name} had {begin} records before the kill, and has {count}"
        jet.send({"type": "subscribe", "streamName": name, "replay": count - begin if begin else "all"})
        assert jet.recv()["type"] == "subscribed"
        records = [jet.recv(60)["data"] for _ in range(count - begin)]
        jet.send({"type": "nope"})
        last = jet.recv()
        assert last["type"] == "error", f"{name} has more than its {count} records: {last}"
        return records


class Book:
    """What must be there, over all restarts, and whether it is."""

    def __init__(self):
        self.writers = {}          # name: (acked, sent, batch)
        self.held = {s: [] for s in STREAMS}
        self.plain = set()         # messages that came in plain mode
        self.frontiers = []        # for each kill the messages that had come in plain mode in that life
        self.acknowledged, self.asked, self.again = set(), set(), 0

    def check_streams(self, server, whole):
        """What came since the last look, or all of it."""
        for stream in STREAMS:
            held = self.held[stream]
            seen = [(r["w"], r["n"]) for r in read(server, stream, 0 if whole else len(held))]
            if whole:
                assert seen[:len(held)] == held, f"{stream}: what was read before a kill is not there after it"
                seen = seen[len(held):]
            held += seen
            by_writer = {}
            for name, number in seen:
                by_writer.setdefault(name, []).append(number)
            # A writer lives between two kills, so all of its records are new at the look after its end.
            for name in [name for name in self.writers if name.startswith(stream + ".")]:
                acked, sent, batch = self.writers.pop(name)
                numbers = by_writer.pop(name, [])
                assert numbers == list(range(len(numbers))), f"{name}: out of order, twice, or a hole"
                assert len(numbers) >= acked, f"{name}: acknowledged {acked}, found {len(numbers)}"
                assert len(numbers) <= sent, f"{name}: sent {sent}, found {len(numbers)}"
                assert len(numbers) % batch == 0, f"{name}: half a batch"
            assert not by_writer, f"{stream}: records of nobody: {list(by_writer)}"

    def take(self, popper):
        if popper.ack:
            # At least once is promised; an acknowledgement that the kill overtook lets a message come again.
            self.again += len({o for o, _ in popper.got} & self.acknowledged)
            self.acknowledged |= popper.acknowledged
            self.asked |= popper.asked
            return
        for _, data in popper.got:
            assert data not in self.plain, f"came twice in plain mode: {data}"
            self.plain.add(data)
        self.frontiers[-1].extend(data for _, data in popper.got)


def life(server, book, number):
    """One life of the server under load, ended by SIGKILL."""
    writers = [Writer(server, stream, f"{stream}.{number}.{i}", window, batch, 0)
               for stream in STREAMS
               for i, (window, batch) in enumerate([(1, 1), (16, 1), (2, 25)])]
    senders = [Sender(server, path, f"{path[1:]}.{number}.{i}", 0) for path in ("/plain", "/acked") for i in range(2)]
    poppers = [Popper(server, topic, topic == "q.acked") for topic in ("q.plain", "q.acked") for _ in range(2)]
    threads = writers + senders + poppers
    for thread in threads:
        thread.start()
    if number == 0:
        time.sleep(0.5)    # The topics of the queues are there before the first kill.
    time.sleep(random.uniform(0.005, 0.3))
    server.kill()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a client hangs although the server is gone"
    assert not TROUBLE, TROUBLE
    for writer in writers:
        book.writers[writer.name_] = (writer.acked, writer.sent, writer.batch)
    book.frontiers.append([])
    for popper in poppers:
        book.take(popper)


def stored(server, topic):
    """The messages of a queue's topic in log order; those of one client never overtake each other."""
    messages, last = read(server, topic), {}
    for text in messages:
        name, number = text.split(":")
        assert int(number) > last.get(name, -1), f"{topic}: {text} out of order"
        last[name] = int(number)
    return messages


def drain(server, topic, ack):
    popper, count, end = Popper(server, topic, ack), -1, time.monotonic() + 60
    popper.start()
    while time.monotonic() < end and len(popper.got) != count:
        count = len(popper.got)
        time.sleep(1.0)
    return popper


def check_acked(server, book):
    messages = stored(server, "q.acked")
    popper = drain(server, "q.acked", True)
    got = {o for o, _ in popper.got}
    # Of what was asked to be acknowledged without an answer either may be true.
    missing = set(range(len(messages))) - book.acknowledged - book.asked - got
    assert not missing, f"{len(missing)} not acknowledged, and never came again: {sorted(missing)[:5]}"
    for offset, data in popper.got:
        assert messages[offset] == data, f"offset {offset} is {data}, and in the log {messages[offset]}"
    again = book.again + len(got & book.acknowledged)
    print(f"q.acked: {len(messages)} messages, {again} came again though acknowledged", flush=True)


def check_plain(server, book):
    messages = stored(server, "q.plain")
    book.frontiers.append([])
    book.take(drain(server, "q.plain", False))
    index = {text: i for i, text in enumerate(messages)}
    missing = [i for i, text in enumerate(messages) if text not in book.plain]
    windows, frontier, silent = [], 0, 1
    for came in book.frontiers[:-1]:
        silent = 1 if came else silent + 1
        frontier = max([frontier, *(index[data] for data in came)])
        windows.append((frontier - IN_FLIGHT * CONSUMERS, frontier + IN_FLIGHT * CONSUMERS * silent))
    for i in missing:
        assert any(low <= i <= high for low, high in windows), f"{messages[i]} was never dispatched and is missing"
    limit = IN_FLIGHT * CONSUMERS * len(windows)
    assert len(missing) <= limit, f"{len(missing)} messages missing, more than were under way"
    print(f"q.plain: {len(messages)} messages, {len(missing)} were under way when a kill came", flush=True)


def main():
    print(f"seed {arguments.seed}, {arguments.kills} kills", flush=True)
    book, passed, begin = Book(), 0, time.monotonic()
    with Server(ROUTES, top="shards = 2") as server:
        for stream in STREAMS:
            assert server.execute(f"create stream {stream}")["success"]
        try:
            for number in range(arguments.kills):
                life(server, book, number)
                server.start()
                book.check_streams(server, whole=False)
                passed += 1
                if number % 20 == 19:
                    print(f"{number + 1} kills, {sum(map(len, book.held.values()))} records, "
                          f"{time.monotonic() - begin:.0f} s", flush=True)
            for check in (lambda s, b: b.check_streams(s, whole=True), check_plain, check_acked):
                check(server, book)
                passed += 1
        except AssertionError as why:
            print(f"FAILED after {passed} checks: {why}\n{server.tail()}")
            print(f"{passed} passed, 1 failed")
            sys.exit(1)
    print(f"{passed} passed, 0 failed")


main()
