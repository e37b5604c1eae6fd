"""Starting and stopping the servers: each run gets a fresh one, on its core, in a directory of its own."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

HOST = "127.0.0.1"
PATIENCE_S = 20


class Unavailable(Exception):
    """The server is not on this machine, or does not start; its rows are left out."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, outside the range of outgoing connections where possible."""
    found = []
    for port in range(21000 + os.getpid() % 4000, 32000):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise Unavailable("no free ports")


class Running:
    """A server that listens."""

    def __init__(self, command: list[str], directory: Path, addresses: dict[str, int], cores: str):
        self.command = ["taskset", "-c", cores, *command]
        self.addresses = addresses
        self.log = directory / "output.txt"
        self.process = None

    def start(self) -> None:
        """Starts it and waits until every port accepts."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE_S
        for port in self.addresses.values():
            while True:
                try:
                    socket.create_connection((HOST, port), 1).close()
                    break
                except OSError:
                    if self.process.poll() is not None or time.monotonic() > end:
                        self.stop()
                        tail = self.log.read_text(errors="replace").strip().splitlines()[-3:]
                        raise Unavailable("; ".join(tail) or "does not listen") from None
                    time.sleep(0.005)

    def stop(self) -> int | None:
        """Ends it and gives its exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def args(self, proto: str) -> list[str]:
        """The generator's arguments that say where it is."""
        names = {"mesh": {"addr": "mesh", "users": "users"}}.get(proto, {"addr": proto})
        words = [f"{key}={HOST}:{self.addresses[name]}" for key, name in names.items()]
        return words + ([f"pid={self.process.pid}"] if self.process else [])


def prepare(server: str, tools, directory: Path, options: dict, cores: str) -> Running:
    """A server with its files written, not yet started."""
    directory.mkdir(parents=True, exist_ok=True)
    cores = options.get("cores", cores)
    command, addresses = BUILDERS[server](tools, directory, options)
    return Running(command, directory, addresses, cores)


def weir(tools, directory: Path, options: dict):
    """Only the front-ends that are measured."""
    jsonjet, mesh, users, admin = free_ports(4)
    top = {"data_dir": str(directory / "data"), "shards": 1} | options
    top.pop("cores", None)
    lines = [f"{key} = {toml(value)}" for key, value in top.items()]
    lines += ["[listen]", *(f'{name} = "off"' for name in ("nsdb", "taos", "raw"))]
    ports = {"jsonjet": jsonjet, "mesh": mesh, "users": users, "admin": admin}
    lines += [f'{name} = "{HOST}:{port}"' for name, port in ports.items()]
    lines += ["[mesh]", "idle_timeout_s = 3600", "[[mesh.route]]", 'path = "/bench"', 'topic = "bench"']
    config = directory / "weir.toml"
    config.write_text("\n".join(lines) + "\n")
    return [tools.need("weir"), "serve", "--config", str(config)], ports


def toml(value) -> str:
    """A value as TOML text."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def uws(tools, directory: Path, options: dict):
    """The C++ build, or the module for Node where that could not be had."""
    (port,) = free_ports(1)
    if tools.find("uws"):
        return [tools.need("uws"), str(port)], {"uws": port}
    script = Path(__file__).parent.parent / "peers" / "uws.cjs"
    return ["node", str(script), tools.need("uws-module"), str(port)], {"uws": port}


def nats(tools, directory: Path, options: dict):
    """One process with a WebSocket listener and JetStream; nobody is slow before 256 MB."""
    native, web = free_ports(2)
    config = directory / "nats.conf"
    config.write_text(
        f'listen: "{HOST}:{native}"\nmax_pending: 256MB\nping_interval: "1h"\nwrite_deadline: "10s"\n'
        f'websocket {{ listen: "{HOST}:{web}", no_tls: true }}\n'
        f'jetstream {{ store_dir: "{directory}/jetstream" }}\n'
    )
    return [tools.need("nats-server"), "-c", str(config)], {"jetstream": native, "nats": web}


def mosquitto(tools, directory: Path, options: dict):
    """A WebSocket listener; 2.0 refuses to start without a plain one beside it."""
    plain, web = free_ports(2)
    config = directory / "mosquitto.conf"
    config.write_text(
        f"listener {plain} {HOST}\nlistener {web} {HOST}\nprotocol websockets\nallow_anonymous true\n"
        "persistence false\nset_tcp_nodelay true\nmax_queued_messages 1000000\nlog_type error\n"
    )
    return [tools.need("mosquitto"), "-c", str(config)], {"mqtt": web}


def redis(tools, directory: Path, options: dict):
    """Append-only file, no snapshots and no rewrites in between."""
    (port,) = free_ports(1)
    words = ["--bind", HOST, "--port", str(port), "--save", "", "--appendonly", "yes", "--dir", str(directory)]
    words += ["--auto-aof-rewrite-percentage", "0", "--appendfsync", options["appendfsync"]]
    return [tools.need("redis-server"), *words], {"redis": port}


BUILDERS = {"weir": weir, "uws": uws, "nats": nats, "mosquitto": mosquitto, "redis": redis}


def remove(directory: Path) -> None:
    """A run leaves nothing."""
    shutil.rmtree(directory, ignore_errors=True)
