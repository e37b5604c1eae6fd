#!/usr/bin/env python3
"""The server cases of the Autobahn test suite against a running WebSocket echo, under Python 3.11 and later
versions that still have lib2to3 (up to 3.12).

The case files are Python 2; they are taken from the published source package (tests/conformance/fetch),
converted while they are imported, and run with their byte strings as text of one character a byte.

    wstest.py --src DIR --url ws://127.0.0.1:PORT/debug/echo [--cases '1.*,2.*'] [--exclude '9.*'] [--count N]

NON-STRICT counts as failed unless --lenient. The last line is 'N passed, N failed'.
"""

import argparse
import binascii
import importlib.abc
import importlib.util
import json
import logging
import os
import re
import sys
import time
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.INFO)

import pkg_resources  # noqa: E402
from lib2to3.refactor import RefactoringTool, get_fixers_from_package  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--src", required=True, help="directory 'autobahntestsuite' of the unpacked source package")
parser.add_argument("--url", required=True)
parser.add_argument("--cases", default="*")
parser.add_argument("--exclude", default="")
parser.add_argument("--count", type=int, default=0, help="at most so many messages in a case of 9.7, 9.8, 12, 13")
parser.add_argument("--out", help="report as JSON")
parser.add_argument("--lenient", action="store_true")
parser.add_argument("-v", action="store_true")
arguments = parser.parse_args()


# ---------------------------------------------------------------- from Python 2

def octets(text):
    return text.encode("latin-1") if isinstance(text, str) else text


def utf8(code_point):
    return chr(code_point).encode("utf-8").decode("latin-1")


class TextBinascii:
    """binascii as the cases know it, with text for bytes."""
    b2a_hex = hexlify = staticmethod(lambda s: binascii.b2a_hex(octets(s)).decode())
    a2b_hex = unhexlify = staticmethod(lambda s: binascii.a2b_hex(s).decode("latin-1"))


WANTED = ("print", "has_key", "xrange", "except", "ne", "repr", "raise", "unicode", "idioms", "exec", "tuple_params",
          "long", "numliterals")
REFACTORING = RefactoringTool([f for f in get_fixers_from_package("lib2to3.fixes") if f.split("fix_")[-1] in WANTED],
                              {"print_function": False})
# Options of the extension, which a newer autobahn spells otherwise.
RENAMED = ("acceptNoContextTakeover", "acceptMaxWindowBits", "requestNoContextTakeover", "requestMaxWindowBits")


def convert(path, package=False):
    with open(path, "rb") as file:
        source = file.read().decode("latin-1").replace("\r\n", "\n")
    source = re.sub(r"^#.*coding.*$", "#", source, flags=re.M)
    source = re.sub(r"^import binascii$|(?<=import )binascii, ?|, ?binascii(?=\n)", "", source, flags=re.M)
    source = re.sub(r"\(object, Case, ?\)", "(Case,)", source)
    where = r"from .\1 import" if package else r"from absuite.case.\1 import"
    source = re.sub(r"^from (case\w*) import", where, source, flags=re.M)
    source = source.replace("from absuite.case.case import Case", "from absuite.case._base import Case")
    for name in "ij":
        source = source.replace(f'unichr({name}).encode("utf-8")', f"U8({name})")
    for name in RENAMED:
        source = source.replace(name, re.sub("([A-Z])", lambda m: "_" + m[1].lower(), name))
    source = source.replace("from zope.interface import implements", "")
    source = source.replace("   implements(interfaces.IPushProducer)", "   pass")
    source = source.replace("frames_expected[0] = len(self.payload) / ", "frames_expected[0] = len(self.payload) // ")
    if "case6_x_x" in path:
        source = source.replace("v.validate(", "v.validate(L1(").replace("vss[:i])\n      vs[1]", "vss[:i]))\n      vs[1]")
        source = re.sub(r"validate\(L1\(([^()]*)\)(?!\))", r"validate(L1(\1))", source)
    if not source.endswith("\n"):
        source += "\n"
    return str(REFACTORING.refactor_string(source, path))


CASES_DIR = os.path.join(arguments.src, "case")


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the cases as the package `absuite.case`."""

    def find_spec(self, name, path, target=None):
        if name in ("absuite", "absuite.case"):
            return importlib.util.spec_from_loader(name, self, is_package=True)
        return importlib.util.spec_from_loader(name, self) if name.startswith("absuite.case.") else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.__dict__.update(binascii=TextBinascii, L1=octets, U8=utf8, unichr=chr, unicode=str, xrange=range)
        name = module.__name__
        if name == "absuite":
            module.__path__ = []
        elif name == "absuite.case":
            module.__path__ = []
            exec(compile(convert(os.path.join(CASES_DIR, "__init__.py"), True), name, "exec"), module.__dict__)
        else:
            file = name.split(".")[-1].replace("_base", "case") + ".py"
            exec(compile(convert(os.path.join(CASES_DIR, file)), file, "exec"), module.__dict__)
            if file == "case.py":
                module.Case.compare = lambda self, a, b: a == b


sys.meta_path.insert(0, Finder())
find_resource = pkg_resources.resource_filename
pkg_resources.resource_filename = lambda package, path: (
    os.path.join(arguments.src, path) if package == "autobahntestsuite" else find_resource(package, path))
from absuite import case as suite  # noqa: E402
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol, connectWS  # noqa: E402
from autobahn.websocket.protocol import WebSocketProtocol  # noqa: E402
from twisted.internet import reactor  # noqa: E402


# ---------------------------------------------------------------- which cases

def case_id(case):
    return ".".join(case.__name__[4:].split("_"))


def in_order(identity):
    return tuple(int(part) for part in identity.split("."))


BY_ID = {case_id(case): case for case in suite.Cases}


def selected(patterns):
    chosen = set()
    for pattern in filter(None, patterns.split(",")):
        regex = re.compile("^" + pattern.replace(".", r"\.").replace("*", ".*") + "$")
        chosen |= {identity for identity in BY_ID if regex.match(identity)}
    return chosen


chosen = sorted(selected(arguments.cases) - selected(arguments.exclude), key=in_order)
if arguments.count:
    for case in suite.Cases:
        if hasattr(case, "COUNT"):
            case.COUNT = min(case.COUNT, arguments.count)


# ---------------------------------------------------------------- playing them

RESULTS = {}


class Player(WebSocketClientProtocol):
    connectionWasOpen = False

    def connectionMade(self):
        current = self.factory.current
        self.createWirelog, self.caseStart = False, time.time()
        self.txFrameStats, self.rxFrameStats = {}, {}
        self.Case, self.raw = BY_ID[current], current.startswith(("12.", "13."))
        self.runCase = self.Case(self)
        super().connectionMade()

    def enableWirelog(self, on):
        pass

    def logTxFrame(self, header, payload, *_):
        self.txFrameStats[header.opcode] = self.txFrameStats.get(header.opcode, 0) + 1

    def logRxFrame(self, header, payload):
        self.rxFrameStats[header.opcode] = self.rxFrameStats.get(header.opcode, 0) + 1

    def logRxOctets(self, data):
        pass

    def logTxOctets(self, data, sync):
        pass

    def later(self, delay, what):
        reactor.callLater(delay, lambda: self.state != WebSocketProtocol.STATE_CLOSED and what())

    def continueLater(self, delay, what, tag=None):
        self.later(delay, what)

    def killAfter(self, delay):
        self.later(delay, self._fail_connection)

    def closeAfter(self, delay):
        self.later(delay, self.sendClose)

    def sendFrame(self, opcode, payload=b"", fin=True, rsv=0, mask=None, payload_len=None, chopsize=None, sync=False):
        return super().sendFrame(opcode, octets(payload), fin, rsv, mask, payload_len, chopsize, sync)

    def sendMessage(self, payload, isBinary=False, fragmentSize=None, sync=False, doNotCompress=False):
        return super().sendMessage(octets(payload), isBinary, fragmentSize, sync, doNotCompress)

    def sendMessageFrameData(self, payload, sync=False):
        return super().sendMessageFrameData(octets(payload), sync)

    def sendPing(self, payload=None):
        return super().sendPing(octets(payload) if payload else None)

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        return super().sendCloseFrame(code, octets(reasonUtf8) if reasonUtf8 else None, isReply)

    def shown(self, data):
        return data if self.raw else bytes(data).decode("latin-1")

    def onOpen(self):
        self.connectionWasOpen, self.caseStart = True, time.time()
        self.runCase.onOpen()

    def onMessage(self, message, binary):
        self.runCase.onMessage(self.shown(message), binary)

    def onPing(self, payload):
        self.runCase.onPing(self.shown(payload))
        super().onPing(payload)

    def onPong(self, payload):
        self.runCase.onPong(self.shown(payload))

    def onClose(self, clean, code, reason):
        self.runCase.onClose(clean, code, reason)

    def connectionLost(self, reason):
        super().connectionLost(reason)
        run = self.runCase
        run.onConnectionLost(self.failedByMe)
        result = {"behavior": run.behavior, "close": run.behaviorClose, "code": self.remoteCloseCode,
                  "result": run.result, "resultClose": run.resultClose}
        RESULTS[self.factory.current] = result
        if arguments.v:
            print(self.factory.current, result, flush=True)


class Factory(WebSocketClientFactory):
    protocol = Player

    def __init__(self):
        super().__init__(arguments.url, useragent="weir-conformance")
        self.logFrames, self.logOctets = True, False
        # Generous, for a machine that is busy with other tests.
        self.setProtocolOptions(failByDrop=False, openHandshakeTimeout=30, closeHandshakeTimeout=30,
                                serverConnectionDropTimeout=30)
        self.left = iter(chosen)
        self.current = next(self.left)

    def clientConnectionLost(self, connector, reason):
        try:
            self.current = next(self.left)
            connector.connect()
        except StopIteration:
            reactor.stop()

    def clientConnectionFailed(self, connector, reason):
        print("cannot connect:", reason.getErrorMessage())
        reactor.stop()


if not chosen:
    sys.exit("no such case")
print(f"{len(suite.Cases)} cases known, playing {len(chosen)}", flush=True)
begin = time.time()
connectWS(Factory())
reactor.run()
GOOD = {"OK", "INFORMATIONAL"} | ({"NON-STRICT"} if arguments.lenient else set())
failed = [identity for identity in chosen if identity not in RESULTS or RESULTS[identity]["behavior"] not in GOOD
          or RESULTS[identity]["close"] not in ("OK", "INFORMATIONAL")]
for identity in failed:
    print("FAILED", identity, RESULTS.get(identity, "not played"))
if arguments.out:
    with open(arguments.out, "w") as file:
        json.dump(RESULTS, file, indent=1, sort_keys=True)
print(f"{time.time() - begin:.0f} s")
print(f"{len(chosen) - len(failed)} passed, {len(failed)} failed")
sys.exit(1 if failed else 0)
