"""A page in a real browser: two queries on one socket of the nsdb front-end, drawn as they are pushed."""

import functools
import http.server
import itertools
import json
import pathlib
import shutil
import subprocess
import tempfile
import threading

from harness import Server, Skip, eq, eventually, test
from websockets.sync.client import connect

PAGES = pathlib.Path(__file__).resolve().parent / "pages"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Browser:
    """A Chromium with one page, asked by its debugging protocol."""

    def __init__(self, url):
        program = next((found for found in map(shutil.which, NAMES) if found), None)
        if not program:
            raise Skip("no Chromium; on Debian: apt install chromium")
        self.dir, self.numbers = tempfile.mkdtemp(prefix="weir-browser-"), itertools.count(1)
        self.proc = subprocess.Popen([program, *QUIET, "--remote-debugging-port=0", f"--user-data-dir={self.dir}", url],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            file = pathlib.Path(self.dir, "DevToolsActivePort")
            port, path = eventually(lambda: file.exists() and file.read_text().split(), "the browser", 60)[:2]
            self.ws = connect(f"ws://127.0.0.1:{port}{path}", max_size=None, open_timeout=20)
            pages = eventually(lambda: [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"])
            self.session = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
        except BaseException:
            self.end()
            raise

    def call(self, method, session=None, **params):
        number = next(self.numbers)
        self.ws.send(json.dumps({"id": number, "method": method, "params": params,
                                 **({"sessionId": session} if session else {})}))
        while True:
            message = json.loads(self.ws.recv(timeout=20))
            if message.get("id") == number:
                return message["result"]

    def value(self, script):
        """What a script in the page gives."""
        return self.call("Runtime.evaluate", self.session, expression=script, returnByValue=True)["result"].get("value")

    def end(self):
        self.proc.kill()
        self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


@test
def a_dashboard_draws_what_two_queries_push():
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=PAGES))
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    with Server() as server:
        def data(timestamp, value, room):
            bit = {"timestamp": timestamp, "value": value, "dimensions": {}, "tags": {"room": room}}
            body = {"db": "plant", "namespace": "hall", "metric": "temperature", "bit": bit}
            eq(server.http("POST nsdb /data", body).status, 200)

        data(1, 20, "office")
        browser = Browser(f"http://127.0.0.1:{pages.server_port}/dashboard.html?port={server.ports['nsdb']}")
        try:
            eventually(lambda: browser.value("document.title") == "subscribed", "both queries are subscribed", 60)
            for n in range(2, 32):
                data(n, 60 + n, "boiler" if n % 2 else "office")
            # 80 < 60 + n for n from 21 on, in the boiler room when odd.
            eventually(lambda: browser.value("document.getElementById('state').textContent") == "31 bits, 6 alarms",
                       "all that was pushed is drawn")
            points = browser.value("document.getElementById('line').getAttribute('points')").split()
            eq(points, [f"{n * 8},{100 if n == 0 else 120 - 61 - n}" for n in range(31)])
            eq(browser.value("document.querySelector('#alarms li:last-child').textContent"), "boiler 91")
            shown = browser.value("document.getElementById('line').getBoundingClientRect().width")
            assert shown > 200, f"the line is {shown} wide"
            server.stop()
            eventually(lambda: browser.value("document.title") == "closed", "the page hears that the socket closed")
        finally:
            browser.end()
            pages.shutdown()
