"""How soon a reader can use a page: a slow processor and a slow line, and what comes before what."""

import pytest

from tests.site.test_pages import PAGES

pytestmark = pytest.mark.site

MEGABIT = 1e6 / 8
TWO_SECONDS = 2000  # milliseconds
SITE_LIMIT = 60_000_000  # bytes


@pytest.fixture(scope="module", params=["book/index", "book/implicit_bias"])
def slow(request, browser, address):
    """The first page and the longest one on a quarter of the processor, 10 Mbit/s and 40 ms away."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    line = {"offline": False, "latency": 40, "downloadThroughput": 10 * MEGABIT, "uploadThroughput": 5 * MEGABIT}
    session.send("Network.emulateNetworkConditions", line)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    page.goto(f"{address}{request.param}.html", wait_until="domcontentloaded", timeout=60_000)
    yield page
    context.close()


def test_a_page_answers_within_two_seconds(slow):
    """The text is there, the book's scripts have run, and a slider on the page is ready for a hand."""
    times = slow.evaluate("""() => {
        const timing = performance.getEntriesByType("navigation")[0];
        return {ready: timing.domContentLoadedEventEnd, now: performance.now(),
                enabled: [...document.querySelectorAll("article input[type=range]")].every(i => !i.disabled)};
    }""")
    assert times["ready"] < TWO_SECONDS
    assert times["enabled"]


def test_the_site_is_light(html):
    assert len(PAGES) > 10
    assert sum(file.stat().st_size for file in html.rglob("*") if file.is_file()) < SITE_LIMIT
