"""A browser, and the site as a server would give it out. What is measured here goes into the appendix, if asked."""

import os
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

import book
from rediscover import store

ROOT = Path(__file__).resolve().parents[2]

# What the theme itself logs or throws on every page, whatever we do.
KNOWN = ("Got invalid theme mode", "[PST]", "[togglebutton]")


@pytest.fixture(scope="session")
def html(tmp_path_factory):
    """The site, built strictly from the committed chapters."""
    return book.site(None, tmp_path_factory.mktemp("site")).parent


@pytest.fixture(scope="session")
def address(html):
    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=html))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="session")
def measure(request, browser):
    """Compare a figure with its limit, and keep both; `make test-site RECORD=1` keeps those of a clean run for good."""
    figures = {}

    def one(what, value, limit):
        figures[what] = {"measured": float(f"{value:.3g}"), "limit": limit}
        assert value <= limit, f"{what}: {value:g}, where {limit:g} is the limit"

    yield one
    keep = os.environ.get("RECORD") == "1" and not request.session.testsfailed
    folder = ROOT / "book" / "results" if keep else ROOT / "_build" / "browser"
    store.record("browser", {"figures": figures, "chromium": browser.version, "cores": os.cpu_count()}, folder)


@pytest.fixture(scope="session")
def browser():
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        stop = pytest.fail if os.environ.get("CI") else pytest.skip  # nobody reads what a machine has skipped
        stop("there is no Chromium on this machine, and make test-site could not install one")
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*root, "--disable-gpu"])
        yield browser
        browser.close()


class Visit:
    """A page that is being looked at, with everything that it said and asked for."""

    def __init__(self, browser, **options):
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.complaints, self.requests, self.finished = [], [], []
        self.page.on("pageerror", lambda error: self.complain(str(error)))
        self.page.on("console", lambda m: self.complain(m.text) if m.type in ("error", "warning") else None)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", lambda request: self.complain(f"{request.url}: {request.failure}"))
        self.page.on("requestfinished", lambda request: self.finished.append(request))

    def complain(self, text):
        if not any(known in text for known in KNOWN):
            self.complaints.append(text)

    def weigh(self):
        """Bytes of all that was fetched."""
        return sum(request.sizes()["responseBodySize"] for request in self.finished)


@pytest.fixture
def visit(browser):
    visits = []

    def new(**options):
        visits.append(Visit(browser, **options))
        return visits[-1]

    yield new
    for one in visits:
        one.context.close()
