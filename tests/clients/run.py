#!/usr/bin/env python3
"""Runs the client suites: run.py [--jobs N] [--list] [SUBSTRING ...]. The last line is 'N passed, N failed'."""

import argparse
import faulthandler
import importlib
import os
import pathlib
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import harness  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--jobs", type=int, default=4)
parser.add_argument("--list", action="store_true")
parser.add_argument("only", nargs="*")
arguments = parser.parse_args()

for path in sorted(HERE.glob("test_*.py")):
    importlib.import_module(path.stem)

if not pathlib.Path(harness.BINARY).exists():
    sys.exit(f"no server at {harness.BINARY}; `cargo build --release` makes it, CARGO_TARGET_DIR says where it is")
printing = threading.Lock()


# Most tests take less than a second, the slowest twenty; one that takes this long never ends.
PATIENCE = 180
RUNNING, PASSED = {}, []    # by thread: name and begin; names of what passed


def watch():
    """A test that hangs is said with the stack of every thread, and the run ends there."""
    while True:
        time.sleep(1)
        late = [name for name, begin in list(RUNNING.values()) if time.monotonic() - begin > PATIENCE]
        if late:
            with printing:
                print("\n".join(f"FAILED  hangs since {PATIENCE} s: {name}" for name in late), flush=True)
                faulthandler.dump_traceback(sys.stdout)
                for server in harness.STARTED:
                    server.remove()
                print(f"{len(PASSED)} passed, {len(late)} failed", flush=True)
            os._exit(1)


def run(entry):
    name, function = entry
    begin = time.monotonic()
    RUNNING[threading.get_ident()] = (name, begin)
    try:
        function()
        word, detail = "ok", ""
        PASSED.append(name)
    except harness.Skip as why:
        word, detail = "skipped", f"  {why}"
    except BaseException:
        word, detail = "FAILED", "\n" + traceback.format_exc()
    RUNNING.pop(threading.get_ident())
    with printing:
        print(f"{word:7} {time.monotonic() - begin:6.2f}s {name}{detail}", flush=True)
    return word


chosen = [t for t in harness.TESTS if not arguments.only or any(part in t[0] for part in arguments.only)]
if arguments.list:
    print("\n".join(name for name, _ in chosen))
    sys.exit(0)
threading.Thread(target=watch, daemon=True).start()
alone = [t for t in chosen if getattr(t[1], "alone", False)]
try:
    with ThreadPoolExecutor(arguments.jobs) as pool:
        words = list(pool.map(run, [t for t in chosen if t not in alone]))
    words += [run(t) for t in alone]
finally:
    for server in harness.SHARED.values():
        server.remove()
if words.count("skipped"):
    print(f"{words.count('skipped')} skipped")
print(f"{words.count('ok')} passed, {words.count('FAILED')} failed")
sys.exit(1 if "FAILED" in words or not words else 0)
