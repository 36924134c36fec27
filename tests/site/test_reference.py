"""The registers, the drawing of what rests on what, and the reference: their links lead to the lines they name."""

import re

import pytest

from lazy_course import claims, registers
from tests.site.test_pages import TOC

pytestmark = pytest.mark.site

API = [c["file"] for part in TOC["parts"] for c in part["chapters"] if c["file"].startswith("book/api/")]


@pytest.mark.parametrize("name", ["book/claims", "book/errata", *API])
def test_every_link_to_a_source_leads_to_its_line(html, name):
    page = html / f"{name}.html"
    links = re.findall(r'href="([^"#]*code/[^"#]+\.html)#(line-\d+)"', page.read_text())
    assert len(links) > 10
    text = {file: (page.parent / file).read_text() for file, _ in set(links)}
    assert [(file, line) for file, line in links if f'id="{line}"' not in text[file]] == []


def test_each_claim_names_its_derivation_and_its_tests(html):
    text = (html / "book" / "claims.html").read_text()
    rows = [row for stem in registers.chapters() for row in claims.load(stem)]
    assert text.count("<em>Shown by.</em>") == len(rows)
    assert text.count("<em>Derivation.</em>") > len(rows) / 2


def test_the_drawings_are_links_with_a_list_beside_them(visit):
    seen = visit("book/dependencies.html")
    drawings = seen.page.locator(".claims-graph")
    assert drawings.count() == len(registers.chapters())
    boxes = drawings.first.locator("a")
    assert boxes.count() > 3
    assert re.match(r"(Theorem|Lemma|Proposition|Corollary) \d+: ", boxes.first.locator("title").text_content())
    boxes.first.click()
    seen.page.wait_for_url("**/book/*.html#*")
    assert seen.faults == []


@pytest.mark.parametrize("name", API)
def test_a_page_of_the_reference_opens_and_fits(visit, name):
    seen = visit(f"{name}.html")
    assert seen.faults == []
    assert seen.page.locator("dl.py").count() > 10
    assert seen.page.locator("mjx-merror, [data-mml-node='merror']").count() == 0
    seen.page.set_viewport_size({"width": 360, "height": 800})
    assert seen.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
