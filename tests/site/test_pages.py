"""Each page of the built book, opened in Chromium with every other host blocked."""

import re

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe

from tests.house.rules import ROOT

pytestmark = pytest.mark.site

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
EVERY = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
# The pages of the reference are all made by one directive: one of them stands for them (and see test_reference.py).
PAGES = [page for page in EVERY if not page.startswith("book/api/") or page == "book/api/preliminaries"]
VISIBLE_TEXT = """article => {
    const copy = article.cloneNode(true);
    copy.querySelectorAll('pre, code').forEach(e => e.remove());
    return copy.textContent;
}"""

# The theme fades from one mode to the other; a machine under load takes its time over it.
COLOURS_SETTLED = """() => Promise.allSettled(
    document.getAnimations().filter(a => a instanceof CSSTransition).map(a => a.finished)
).then(() => true)"""


@pytest.fixture(scope="module", params=PAGES)
def seen(request, visit):
    """One page, opened once for all the tests of this module."""
    return visit(f"{request.param}.html")


def has_math(html, seen):
    return 'class="math' in (html / seen.page.url.removeprefix(seen.address)).read_text()


def test_a_page_opens_alone_in_the_world(seen):
    assert seen.faults == []
    assert seen.page.locator("article h1").count() == 1


def test_math_is_rendered(html, seen):
    formulas = seen.page.locator("mjx-container").count()
    assert (formulas > 0) == has_math(html, seen)
    assert seen.page.locator("mjx-merror, [data-mml-node='merror']").count() == 0
    # What MathJax was given and did not turn into a formula would still stand there as TeX.
    left = [text for text in seen.page.locator(".math").all_inner_texts() if re.search(r"\\[(\[]", text)]
    assert left == []


def test_some_pages_have_math(html):
    assert sum('class="math' in (html / f"{page}.html").read_text() for page in PAGES) >= 4


def test_no_markup_is_shown_as_text(seen):
    """What MyST did not take is shown without a warning: a nested directive with its fence, a table with its pipes."""
    text = seen.page.locator("article").first.evaluate(VISIBLE_TEXT)
    assert len(text) > 100
    assert not re.search(r"```|:::|\{(prf|code-cell|glue|math|cite|doc|ref|eq|numref)[:}]|:label:|<unit>", text)
    assert not re.search(r"\|\s*(—|-{3,})\s*\|", text)


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_no_page_is_wider_than_its_window(seen, width):
    seen.page.set_viewport_size({"width": width, "height": 900})
    over = seen.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0


CUT_OFF = """[...document.querySelectorAll('article .math mjx-container')].filter(formula => {
    for (let box = formula; box.tagName !== 'ARTICLE'; box = box.parentElement)
        if (['auto', 'scroll'].includes(getComputedStyle(box).overflowX)) return false;
    return formula.getBoundingClientRect().width > formula.closest('.math').clientWidth + 2;
}).map(formula => Math.round(formula.getBoundingClientRect().width))"""


@pytest.mark.parametrize("width", [360, 1440])
def test_no_formula_is_cut_off(seen, width):
    """A formula wider than its place can be scrolled; the theme hides what does not fit into a line of text."""
    seen.page.set_viewport_size({"width": width, "height": 900})
    assert seen.page.evaluate(CUT_OFF) == []


# A formula is a box of a hundred elements, all of MathJax's making, and axe walks through each of them for every rule:
# two minutes a page. Their places are looked at with the formulas taken out; a page of formulas is looked at whole.
EMPTY_FORMULAS = """() => document.querySelectorAll('mjx-container').forEach(formula => {
    formula.style.width = formula.getBoundingClientRect().width + 'px';
    formula.replaceChildren();
})"""

# Most elements of a problem set are the words of its code, and axe takes milliseconds for each. Words of one block with
# the same class, the same parent and the same look have the same contrast: of those that axe judges (it leaves out
# signs and single letters) the first stays an element and the others become text.
FIRST_OF_EACH_LOOK = """() => {
    const names = ['color', 'backgroundColor', 'backgroundImage', 'opacity', 'filter', 'fontSize', 'fontWeight',
                   'textShadow', 'textDecoration', 'display', 'visibility', 'position'];
    const look = e => [e.tagName, e.className, e.style.cssText, ...names.map(name => getComputedStyle(e)[name])];
    const words = [...document.querySelectorAll('pre span:not([id]):not(:has(*))')];
    const keys = words.map(word => JSON.stringify([look(word), look(word.parentElement)])), seen = new Map();
    words.forEach((word, i) => {
        const block = word.closest('pre'), before = seen.get(block) ?? seen.set(block, new Set()).get(block);
        const judged = /[a-z0-9]{2}/i.test(word.textContent);
        if (before.has(keys[i]) || !judged && before.has('sign' + keys[i])) word.replaceWith(word.textContent);
        before.add(judged ? keys[i] : 'sign' + keys[i]);
    });
}"""


def serious(page, **options):
    # Without preload axe asks for style sheets again, and finds a 404 of its own making.
    found = Axe().run(page, options={"preload": False, "resultTypes": ["violations"], **options}).response["violations"]
    return [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in {"serious", "critical"}]


def turn(page, mode):
    page.emulate_media(color_scheme=mode)
    page.wait_for_function("mode => document.documentElement.dataset.theme === mode", arg=mode)
    page.evaluate(COLOURS_SETTLED)


def test_no_serious_barrier(seen):
    """Every rule in light; in dark those of colour again, as nothing else differs."""
    if not seen.page.url.endswith("notation.html"):
        seen.page.evaluate(EMPTY_FORMULAS)
    turn(seen.page, "light")
    seen.page.evaluate(FIRST_OF_EACH_LOOK)
    assert serious(seen.page) == []
    turn(seen.page, "dark")
    assert serious(seen.page, runOnly=["color-contrast", "link-in-text-block"]) == []


def test_a_pale_word_far_down_in_a_block_of_code_is_seen(visit):
    """Words of one look are judged once; one that looks otherwise stays an element, and axe still judges it."""
    page = visit("exercises/preliminaries.html").page
    word = """(() => {
        const words = [...document.querySelectorAll('pre span.n')].filter(e => e.textContent.length > 4);
        words.at(-1).style.color = COLOUR;
    })()"""
    turn(page, "light")
    page.evaluate(EMPTY_FORMULAS)
    page.evaluate(word.replace("COLOUR", "'#e8e8e8'"))
    page.evaluate(FIRST_OF_EACH_LOOK)
    (found,) = serious(page, runOnly=["color-contrast"])
    assert "#e8e8e8" in found[1] or "232, 232, 232" in found[1]


def test_every_internal_link_is_alive(html):
    pages = sorted(html.glob("book/**/*.html")) + sorted(html.glob("exercises/*.html"))
    assert pages
    text = {page: page.read_text() for page in pages}
    dead, anchors = [], 0
    for page, content in text.items():
        for link in re.findall(r'(?:href|src)="([^"]*)"', content):
            if re.match(r"[a-z]+:|//", link):
                continue
            target, _, anchor = link.partition("#")
            target = target.partition("?")[0]
            other = (page.parent / target).resolve() if target else page
            anchors += bool(anchor)
            lost = anchor and other in text and not re.search(rf'(id|name)="{re.escape(anchor)}"', text[other])
            if lost or not other.exists():
                dead.append(f"{page.name} -> {link}")
    assert anchors > 50
    assert dead == []


def test_no_solution_reaches_the_built_book(html):
    """The book's pages, sources and downloads hold no line that stands only between solution markers."""
    secret = set()
    for source in sorted((ROOT / "solutions").glob("*.md")):
        blocks = re.findall(r"BEGIN SOLUTION(.*?)END SOLUTION", source.read_text(), re.S)
        assert blocks
        lines = {line.strip() for block in blocks for line in block.splitlines() if len(line.strip()) > 30}
        open_text = (ROOT / "exercises" / f"{source.stem}.ipynb").read_text()
        secret |= {line for line in lines if line not in open_text}
    assert secret
    files = [
        p for p in html.rglob("*") if p.suffix in {".html", ".ipynb", ".md", ".txt", ".js"} and "mathjax" not in p.parts
    ]
    leaks = [
        (p.name, line) for p in files for text in [p.read_text(errors="replace")] for line in secret if line in text
    ]
    assert leaks == []


def test_another_host_is_not_reached_and_is_seen(visit):
    """Without this a page that asks for something elsewhere would pass where there is no network."""
    opened = visit("book/index.html")
    hosts = ["https://example.org/a.js", "http://192.0.2.1/b.js"]
    for url in hosts:
        assert "Failed to fetch" in opened.page.evaluate("url => fetch(url).then(() => 'came', String)", url)
    assert [fault for fault in opened.faults if fault.startswith("other host")] == [f"other host: {u}" for u in hosts]
    assert sum("ERR_NAME_NOT_RESOLVED" in fault for fault in opened.faults) == len(hosts)
