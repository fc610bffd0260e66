"""Every page in a real browser: nothing complains, nothing is fetched from elsewhere, everybody can read it."""

import statistics

import pytest
from axe_playwright_python.sync_playwright import Axe

# Until all formulas are set, and their fonts there.
FORMULAS = "Promise.resolve(window.MathJax?.startup?.promise).then(() => document.fonts.ready).then(() => null)"


@pytest.fixture(scope="module")
def pages(html):
    paths = [*html.glob("*.html"), *html.glob("book/**/*.html")]
    there = [path for path in paths if 'http-equiv="refresh"' not in path.read_text(encoding="utf-8").lower()]
    found = sorted(str(path.relative_to(html)) for path in there)
    assert "book/intro.html" in found
    return found


def test_no_page_complains_or_asks_for_anything_elsewhere(pages, address, visit, measure):
    weights = {}
    for name in pages:
        seen = visit(viewport={"width": 1440, "height": 900})
        seen.page.goto(f"{address}/{name}", wait_until="networkidle")
        seen.page.evaluate(FORMULAS)
        assert not seen.complaints, f"{name}: {seen.complaints}"
        assert all(url.startswith((address, "data:", "blob:")) for url in seen.requests), name
        weights[name] = seen.weigh()
    name = max(weights, key=weights.get)
    measure(f"heaviest of {len(pages)} pages with all that it loads ({name}), MB", weights[name] / 1e6, 2.5)


@pytest.mark.parametrize("width", [390, 1440])
def test_no_page_overflows(pages, address, visit, width):
    page = visit(viewport={"width": width, "height": 844}).page
    for name in pages:
        page.goto(f"{address}/{name}", wait_until="load")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{name} is {wide} wide on a screen of {width}"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(pages, address, visit, theme):
    page = visit(viewport={"width": 1440, "height": 900}, color_scheme=theme).page
    for name in pages:
        page.goto(f"{address}/{name}", wait_until="load")
        page.wait_for_timeout(500)
        found = Axe().run(page).response["violations"]
        said = [(v["id"], v["help"], [n["html"][:200] for n in v["nodes"][:3]]) for v in found]
        assert not found, f"{name}, {theme}: {said}"


def test_search_finds_a_word(address, visit):
    page = visit().page
    page.goto(f"{address}/search.html?q=Wronskian")
    page.wait_for_selector("#search-results li a", timeout=10_000)
    assert any("01_experiment" in link.get_attribute("href") for link in page.locator("#search-results li a").all())


def test_first_page_shows_soon(address, visit, measure):
    times = []
    for _ in range(5):  # each in a context of its own, so with a cold cache
        page = visit().page
        page.goto(f"{address}/book/intro.html", wait_until="load")
        times.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
    measure("introduction shows, cold cache, median of 5, ms", statistics.median(times), 1500)


def test_offline_and_from_a_folder(html, visit):
    """Formulas, drawing and all: no server, no network."""
    seen = visit(offline=True)
    for name, drawn in (("01_experiment", "mjx-container"), ("trap", ".trap-canvas")):
        seen.page.goto((html / "book" / f"{name}.html").as_uri())
        seen.page.wait_for_selector(drawn, state="attached")
    assert not seen.complaints
