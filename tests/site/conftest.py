"""A real browser on the built book, with every other host blocked.

Without Chromium these tests are skipped, and the last lines of the run say so. Where CI is set they fail.
"""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# No other host has an address, not even where one is given in numbers. (A route of playwright's would block them too,
# but it asks this process about every request and switches the browser's cache off.)
FLAGS.append("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the built book; `make book` makes it."""
    assert (HTML / "index.html").exists(), "the book is not built: run `make book`"
    return HTML


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Keep the requests out of the test's output."""


@pytest.fixture(scope="session")
def address(html):
    """The address of a server of the built book on this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=html))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI"):
            pytest.fail(f"no Chromium at {CHROMIUM}: install Debian's package chromium")
        pytest.skip(f"no Chromium at {CHROMIUM}: install Debian's package chromium to run the browser tests")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


class Visit:
    """A page of the book, opened, and everything that went wrong while it loaded."""

    def __init__(self, page, address):
        self.page, self.address, self.faults = page, address, []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        page.on("requestfailed", lambda request: self.faults.append(f"failed: {request.url}"))
        page.on("response", self._response)
        page.on("request", self._request)

    def _console(self, message):
        if message.type == "error":
            self.faults.append(f"console: {message.text}")

    def _response(self, response):
        if response.status >= 400:
            self.faults.append(f"{response.status}: {response.url}")

    def _request(self, request):
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.faults.append(f"other host: {request.url}")

    def open(self, path):
        self.page.goto(self.address + path, wait_until="load", timeout=60_000)
        # A promise is awaited: when it is kept, every formula is set.
        self.page.evaluate("() => window.MathJax?.startup?.promise.then(() => true)")
        return self


@pytest.fixture(scope="module")
def visit(browser, address):
    """Open a page in a window of its own: visit(path) -> Visit; options are those of the window."""
    contexts = []

    def opened(path, **options):
        context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light", **options)
        contexts.append(context)
        return Visit(context.new_page(), address).open(path)

    yield opened
    for context in contexts:
        context.close()
