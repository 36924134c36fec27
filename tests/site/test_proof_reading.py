"""Previews of statements, proofs that fold, the notation at hand: with the mouse, the keyboard and a finger."""

import re

import pytest
from bs4 import BeautifulSoup

pytestmark = pytest.mark.site

PAGE = "book/criterion.html"
OWN = "article p a.internal[href='#criterion-two-layer']"
OTHER = "article a.internal[href='finite_horizon.html#finite-horizon-square']"
EQUATION = "article a.internal[href^='#equation-eq-criterion-start']"
ERRATUM = "article a.internal[href='errata.html#erratum-p9']"


@pytest.fixture(scope="module")
def seen(visit):
    return visit(PAGE)


@pytest.fixture
def page(seen):
    """The page with nothing shown and the pointer out of the way."""
    seen.page.keyboard.press("Escape")
    seen.page.mouse.move(2, 2)
    return seen.page


def preview(page):
    box = page.locator("#lazy-preview")
    box.wait_for()
    return box


@pytest.mark.parametrize(
    ("link", "said"),
    [(OWN, r"^Theorem \d+"), (OTHER, r"^Theorem \d+"), (EQUATION, r"^\(\d+\)"), (ERRATUM, "^P9 — ")],
)
def test_hovering_a_reference_shows_what_it_names(page, seen, link, said):
    one = page.locator(link).first
    one.hover()
    box = preview(page)
    page.wait_for_function("document.getElementById('lazy-preview').style.visibility === ''")
    assert re.search(said, box.inner_text().strip())
    assert box.locator("mjx-container").count() > 0
    assert box.locator("a[href], [id]:not([id^=MathJax] *):not([id^=MJX]):not([id^=mjx])").count() == 0
    assert one.get_attribute("aria-describedby") == "lazy-preview"
    shown = box.bounding_box()
    assert shown["x"] >= 0
    assert shown["x"] + shown["width"] <= 1440
    # The pointer can go on to the preview, which stays; elsewhere it goes.
    page.mouse.move(shown["x"] + 20, shown["y"] + 10, steps=3)
    page.wait_for_timeout(400)
    assert box.is_visible()
    page.mouse.move(2, 2)
    box.wait_for(state="hidden")
    assert seen.faults == []


def test_the_keyboard_shows_it_and_escape_dismisses_it(page):
    link = page.locator(OWN).first
    link.evaluate("a => a.focus({focusVisible: true})")
    box = preview(page)
    page.keyboard.press("Escape")
    box.wait_for(state="hidden")
    assert link.evaluate("a => a === document.activeElement")
    assert link.get_attribute("aria-describedby") is None


def test_a_long_press_shows_it_and_a_tap_elsewhere_dismisses_it(browser, address):
    context = browser.new_context(has_touch=True, is_mobile=True, viewport={"width": 360, "height": 800})
    page = context.new_page()
    page.goto(address + PAGE)
    link = page.locator(OTHER).first
    link.scroll_into_view_if_needed()
    at = link.bounding_box()
    touch = context.new_cdp_session(page)
    point = {"x": at["x"] + 5, "y": at["y"] + 5}
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    box = preview(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(300)
    assert box.is_visible()
    assert page.url.endswith(PAGE)
    shown = box.bounding_box()
    assert shown["width"] <= 360
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.touchscreen.tap(180, 5 if shown["y"] > 100 else 780)
    box.wait_for(state="hidden")
    context.close()


def test_a_folder_is_enough(browser, html):
    """Opened as a file, without any server, the preview of another page still comes."""
    context = browser.new_context()
    page = context.new_page()
    page.goto((html / PAGE).as_uri())
    # Until its formulas are set, the page moves below the pointer.
    page.evaluate("() => window.MathJax.startup.promise.then(() => true)")
    page.locator(OTHER).first.hover()
    assert "Theorem" in preview(page).inner_text()
    context.close()


def test_the_steps_of_a_proof_fold(page):
    proof = page.locator("article div.proof.admonition:has(> details.proof-step + details.proof-step)").first
    steps = proof.locator("> details.proof-step")
    assert steps.count() >= 2
    assert all(step.get_attribute("open") is not None for step in steps.all())
    assert re.match(r"Step 1", steps.first.locator("summary").inner_text())
    steps.first.locator("summary").press("Enter")
    assert steps.first.get_attribute("open") is None
    button = proof.get_by_role("button")
    button.click()
    assert all(step.get_attribute("open") is None for step in steps.all())
    assert button.inner_text() == "Unfold the steps"
    # Paper does not unfold: a print shows everything, and leaves the page as it was.
    closed = "document.querySelectorAll('article details:not([open])').length"
    before = page.evaluate(closed)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(closed) == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(closed) == before
    button.click()
    assert all(step.get_attribute("open") is not None for step in steps.all())


def test_paper_shows_what_was_folded_and_splits_long_cells(page):
    """Chromium prints at once: what fades in would be blank, and what may not be split leaves an empty box."""
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    style = "[...document.querySelectorAll('article {}')].map(e => getComputedStyle(e).{})"
    assert set(page.evaluate(style.format("details.hide > :not(summary)", "opacity"))) == {"1"}
    assert set(page.evaluate(style.format("details.hide > summary", "display"))) == {"none"}
    for inside in ("pre", "div[class*=highlight]", "div.cell_input"):
        assert set(page.evaluate(style.format(f"div.cell {inside}", "breakInside"))) == {"auto"}
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")


def test_every_named_step_of_the_sources_folds(html):
    """The pages have as many foldable steps as their sources have names of steps, and each proof an id of its own."""
    steps = 0
    for built in sorted((html / "book").glob("*.html")):
        text = built.read_text()
        source = (html / "_sources" / "book" / f"{built.stem}.md").read_text()
        named = len(re.findall(r"^\*Steps? \d", source, re.M))
        assert text.count('<details class="proof-step"') == named, built.name
        ids = re.findall(r'\bid="([^"]+)"', text)
        assert [one for one in ids if one.startswith("proof") and ids.count(one) > 1] == []
        steps += named
    assert steps > 50


def test_each_check_of_a_step_lies_folded_in_that_step(html):
    """A cell "# Check of step 2" below a proof is shown in step 2, and shows zeros; none is left beside its proof."""
    for stem, least in (("ntk", 29), ("uniform_bounds", 33), ("implicit_bias", 32)):
        soup = BeautifulSoup((html / "book" / f"{stem}.html").read_text(), "html.parser")
        cells = [
            cell for cell in soup.select("details.hide") if cell.find("pre", string=None).text.startswith("# Check")
        ]
        wanted = re.findall(r"^# Check of .*", (html / "_sources" / "book" / f"{stem}.md").read_text(), re.M)
        assert [cell.pre.text.split("\n")[0] for cell in cells] == wanted
        assert len(wanted) >= least
        for cell in cells:
            assert cell.summary.text.strip().startswith("Show the check by sympy")
            assert re.fullmatch(r"(0   .+\n?)+", cell.select_one(".cell_output pre").text)
            step = cell.find_parent("details", class_="proof-step")
            name = "the proof" if step is None else "step " + re.match(r"Steps? (\d+)", step.summary.text).group(1)
            assert cell.pre.text.startswith(f"# Check of {name}\n")
            assert cell.find_parent("div", class_="proof").find(class_="admonition-title") is not None


def test_the_notation_is_one_click_away(page, seen):
    page.locator(".btn-notation-button").click()
    dialog = page.locator("#lazy-notation")
    dialog.wait_for()
    dialog.locator("mjx-container").first.wait_for()
    rows = dialog.locator("tbody tr:visible")
    everything = rows.count()
    dialog.get_by_role("searchbox").fill("tangent kernel")
    assert 0 < rows.count() < everything
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert page.url.endswith(PAGE)
    assert seen.faults == []


def test_without_javascript_the_button_is_a_link(browser, address, html):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + PAGE)
    assert page.locator(".btn-notation-button").get_attribute("href") == "notation.html"
    assert page.locator("details.proof-step[open]").count() > 0
    context.close()


def test_a_toggle_says_that_sympy_checks_behind_it(page):
    check = page.locator("article details.hide", has_text="Show the check by sympy").first
    assert "derivation" not in check.inner_text()
    check.locator("summary").press("Enter")
    assert "derivation." in check.inner_text()
    check.locator("summary").press("Enter")
