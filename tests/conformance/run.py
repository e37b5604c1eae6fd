#!/usr/bin/env python3
"""run.py --src DIR [--quick]: starts a server with its echo endpoint and plays the cases in groups that run
beside each other. The last line is 'N passed, N failed'."""

import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "clients"))
from harness import Server  # noqa: E402

quick = "--quick" in sys.argv
source = sys.argv[sys.argv.index("--src") + 1]
GROUPS = [["--exclude", "9.*,12.*,13.*"]]
if not quick:
    GROUPS += [["--cases", "9.*"], ["--cases", "12.*", "--count", "50"], ["--cases", "13.*", "--count", "50"]]

passed = failed = 0
with Server("[debug]\necho = true", top="shards = 2") as server:
    command = [sys.executable, str(HERE / "wstest.py"), "--src", source, "--url", server.url("admin", "/debug/echo")]
    playing = [(group, subprocess.Popen([*command, *group], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
               for group in GROUPS]
    for group, process in playing:
        output = process.communicate(timeout=900)[0].strip()
        print(" ".join(group), output, sep="\n", flush=True)
        counts = re.fullmatch(r"(\d+) passed, (\d+) failed", output.splitlines()[-1])
        passed += int(counts[1]) if counts else 0
        failed += int(counts[2]) if counts else 1
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
