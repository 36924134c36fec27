"""The decks of slides in Chromium: keys move, formulas are set, nothing is cut off, no other host is asked."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.house import rules

pytestmark = pytest.mark.site

slides = rules.extension("slides")

# Walks through a deck with the keyboard and returns the slides on which something is cut off or set too small.
WALK = """() => {
    const found = [], all = document.querySelectorAll('.slide').length;
    const press = key => document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
    press('Home');
    for (let number = 1; number <= all; number++) {
        const now = document.querySelectorAll('.slide.now'), slide = now[0], box = slide.querySelector('.fit');
        if (now.length !== 1 || slide.id !== `slide-${number}` || location.hash !== `#slide-${number}`)
            found.push(`${number}: shown is ${slide.id}`);
        const foot = slide.querySelector('.foot').getBoundingClientRect().top;
        if (box.getBoundingClientRect().bottom > foot + 8) found.push(`${number}: too high`);
        for (const one of [box, ...box.querySelectorAll('div.math')])
            if (one.scrollWidth > one.clientWidth + 1) found.push(`${number}: too wide`);
        if (parseFloat(getComputedStyle(box).fontSize) < 11) found.push(`${number}: too small`);
        for (const picture of box.querySelectorAll('img'))
            if (picture.clientHeight < 150) found.push(`${number}: a small picture`);
        press(number % 2 ? 'ArrowRight' : ' ');
    }
    return found;
}"""


@pytest.fixture(scope="module", params=slides.stems())
def deck(request, visit):
    """A deck, opened once; its chapter."""
    opened = visit(f"slides/{request.param}.html")
    opened.page.set_viewport_size({"width": 1280, "height": 720})
    opened.page.wait_for_function("document.documentElement.dataset.ready === 'true'")
    return opened, request.param


def test_a_deck_opens_and_is_seen_whole(deck):
    opened, _ = deck
    assert opened.page.evaluate(WALK) == []
    assert opened.faults == []
    assert opened.page.locator("mjx-container").count() > 20
    assert opened.page.locator("mjx-merror, [data-mml-node='merror']").count() == 0


def test_it_shows_the_statements_and_the_figures_of_its_chapter(deck, html):
    opened, stem = deck
    named = opened.page.locator(".statement .admonition-title").all_text_contents()
    page = (html / "book" / f"{stem}.html").read_text()
    assert len(named) == len(set(named)) >= len(rules.labels(rules.ROOT / "book" / f"{stem}.md"))
    pictures = set(re.findall(r'<img[^>]* src="(\.\./_images/[^"]+)"', page))
    assert pictures
    shown = opened.page.locator(".picture img").all()
    sources = [item.get_attribute("src") for item in shown]
    assert sorted(source for source in sources if not source.startswith("data:")) == sorted(pictures)
    # The still pictures of figures with a slider stand in the page itself.
    assert len(sources) - len(pictures) == len(re.findall(r'<img[^>]* class="lazy-slider-still"', page)) > 0
    assert all(item.get_attribute("alt") for item in shown)


def test_its_links_are_alive(deck, html):
    opened, _ = deck
    links = {link.get_attribute("href") for link in opened.page.locator("a[href]").all()}
    own = [link for link in links if not re.match("https?:", link)]
    assert own
    dead = []
    for link in own:
        target, _, anchor = link.partition("#")
        path = html / "slides" / target
        if not path.is_file() or (anchor and f'id="{anchor}"' not in path.read_text()):
            dead.append(link)
    assert dead == []


def test_keys_move_and_show_all(deck):
    opened, stem = deck
    if stem != "preliminaries":
        return
    page = opened.page
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert page.locator(".slide.now").get_attribute("id") == "slide-2"
    page.keyboard.press("ArrowLeft")
    assert page.locator(".slide.now").get_attribute("id") == "slide-1"
    page.keyboard.press("End")
    last = page.locator(".slide").count()
    assert page.locator(".slide.now").get_attribute("id") == f"slide-{last}"
    page.keyboard.press("ArrowRight")
    assert page.locator(".slide:visible").count() == 1
    page.keyboard.press("a")
    assert page.locator(".slide:visible").count() == last
    page.keyboard.press("a")
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 720})
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over <= 0
    found = Axe().run(page, options={"preload": False}).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in {"serious", "critical"}] == []


def test_without_javascript_every_slide_stands_there(html, browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}slides/criterion.html")
    assert page.locator(".slide:visible").count() == page.locator(".slide").count() > 10
    context.close()
