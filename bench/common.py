"""What the Python benchmarks share: a server of their own, what they note, where it is written."""

import json
import os
import pathlib
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")
ROWS = []


def note(scenario, contender, figure, unit, detail=""):
    ROWS.append({"scenario": scenario, "server": contender, "value": figure, "unit": unit, "detail": detail})
    print(f"{scenario:44} {contender:8} {figure:14,.3f} {unit}  {detail}", flush=True)


def may_pin():
    """Whether server and generator can have a core each."""
    return shutil.which("taskset") and len(os.sched_getaffinity(0)) > 1


class Weir:
    """One server, one shard; `pin`: on core 0. Its log lies beside this file, since /tmp may be no disk."""

    def __init__(self, binary, config="", durability="os", pin=False):
        (HERE / ".cache").mkdir(exist_ok=True)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="weir-bench-", dir=HERE / ".cache"))
        names = ["jsonjet", "mesh", "users", "nsdb", "taos", "raw", "admin"]
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
        self.ports = {name: s.getsockname()[1] for name, s in zip(names, sockets)}
        for s in sockets:
            s.close()
        listen = "".join(f'{n} = "127.0.0.1:{p}"\n' for n, p in self.ports.items())
        (self.dir / "weir.toml").write_text(
            f'data_dir = "{self.dir}/data"\nshards = 1\ndurability = "{durability}"\n[listen]\n{listen}\n{config}')
        pinned = ["taskset", "-c", "0"] if pin and may_pin() else []
        self.proc = subprocess.Popen([*pinned, binary, "serve", "--config", str(self.dir / "weir.toml")],
                                     stderr=subprocess.DEVNULL)
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.ports["raw"]), 1).close()
                return
            except OSError:
                time.sleep(0.01)
        sys.exit("the server does not start")

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.proc.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def rss(self):
        return int(pathlib.Path(f"/proc/{self.proc.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    async def jet(self):
        import websockets

        ws = await websockets.connect(f"ws://127.0.0.1:{self.ports['jsonjet']}/ws", max_size=None, compression=None)
        await ws.recv()
        return ws

    async def execute(self, ws, *texts):
        for text in texts:
            await ws.send(json.dumps({"type": "execute", "query": text}))
            answer = json.loads(await ws.recv())
            assert answer["success"], answer
        return answer["result"]

    def end(self):
        self.proc.kill()
        self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


async def send_all(ws, messages, window=16):
    under_way = 0
    for message in messages:
        await ws.send(message)
        under_way += 1
        if under_way >= window:
            await ws.recv()
            under_way -= 1
    for _ in range(under_way):
        await ws.recv()


def batches(records, size, stream):
    return ['{"type":"insert","target":"%s","data":[%s]}' % (stream, ",".join(records[i:i + size]))
            for i in range(0, len(records), size)]


def write(name, arguments, how, **more):
    """Adds the rows to results.ndjson and, if asked for, the table to README.md between its marks."""
    words = sys.argv[1:]
    while "--weir" in words:
        at = words.index("--weir")
        del words[at:at + 2]
    command = f"bench/{name} " + " ".join(words)
    with open(HERE / "results.ndjson", "a") as file:
        for row in ROWS:
            row |= {"command": command.strip(), "time": int(time.time()), "kernel": platform.release(), **more}
            file.write(json.dumps(row) + "\n")
    if arguments.write_readme:
        lines = ["| scenario | server | median | unit | |", "| --- | --- | --- | --- | --- |"]
        lines += [f"| {r['scenario']} | {r['server']} | {r['value']:,.3f} | {r['unit']} | {r['detail']} |" for r in ROWS]
        readme = (HERE / "README.md").read_text()
        mark, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        head, rest = readme.split(mark)
        text = head + mark + f"`{command.strip()}`, {how}\n\n" + "\n".join(lines) + "\n" + end + rest.split(end)[1]
        (HERE / "README.md").write_text(text)
