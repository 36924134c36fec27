"""Marking by hand in a real browser: by keyboard, saved while typed, resumed; hostile answers stay text."""

import threading

import pytest
from axe_playwright_python.sync_playwright import Axe

from lazy_course.grading import hand
from lazy_course.grading.marking import Desk
from lazy_course.grading.marking_server import MarkingServer
from tests.grading import desk as made

pytestmark = pytest.mark.site
READY = "body[data-formulas=set]"


@pytest.fixture
def served(tmp_path):
    server = MarkingServer(Desk(*made.folder(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()
    yield server, tmp_path / "marks" / "hand_marks.csv"
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1300, "height": 850})
    yield context.new_page()
    context.close()


def points(path):
    return {key[0]: (row["points"], row["comment"]) for key, row in hand.read(path).items()}


def barriers(page):
    found = Axe().run(page, options={"preload": False}).response["violations"]
    return [(each["id"], each["nodes"][0]["html"][:200]) for each in found]


def test_two_answers_are_marked_by_keyboard_and_the_third_is_next(served, page):
    server, path = served
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.address)
    page.wait_for_selector(READY)
    assert "=bob" in page.title()
    assert page.locator(".trusted mjx-container").count() > 0
    page.keyboard.press("9")
    page.keyboard.press("Enter")
    page.locator("#state.bad", has_text="give a number from 0 to 4").wait_for()
    assert points(path)["'=bob"] == ("", "")
    page.keyboard.press("Escape")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    page.locator("h1", has_text="ada").wait_for()
    page.wait_for_selector(READY)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("c")
    page.keyboard.type("Say why, and for all n.")
    page.locator("#state.good").wait_for()  # saved without being asked
    assert points(path) == {"'=bob": ("3", ""), "ada": ("1.5", "Say why, and for all n."), "mallory": ("", "")}
    page.reload()
    page.wait_for_selector(READY)
    assert page.locator("#points").input_value() == "1.5"
    assert page.locator("#comment").input_value() == "Say why, and for all n."
    page.goto(server.address)  # another day
    page.locator("h1", has_text="mallory").wait_for()
    assert asked
    assert all(url.startswith((server.address, "data:")) for url in asked)


def test_a_hostile_answer_runs_nothing_and_stays_in_its_box(served, page):
    server, _ = served
    entry = next(each for each in server.desk.entries if each.student == "mallory")
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.goto(server.address + entry.id)
    page.wait_for_selector(READY)
    assert "mallory" in page.title()
    assert page.locator(".answer script, .answer img, .answer a, .answer [style*=fixed]").count() == 0
    assert page.locator(".trusted mjx-mfrac, .trusted mjx-math").count() > 0
    box, side = page.locator(".answer").bounding_box(), page.locator(".side").bounding_box()
    assert box["x"] + box["width"] <= side["x"]
    assert said == []
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.locator("#state.good, h1:has-text('bob')").first.wait_for()


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_pages_of_grading_have_no_barrier_and_fit_a_narrow_window(page, tmp_path, mode):
    """The class and the feedback of a student whose lines are long, everything unfolded."""
    long = made.record("ada", "word " * 60 + "x" * 400)
    long["marks"]["double"] |= {"points": 0, "cause": "case 1 of 3: the value is not the right one"}
    marks, _ = made.folder(tmp_path, [long, made.record("bob", "A proof.", points=2.5)])
    page.emulate_media(color_scheme=mode)
    for path in (marks / "class.html", marks / "feedback" / "ada.html"):
        page.goto(path.as_uri())
        page.evaluate("() => document.querySelectorAll('details').forEach(part => { part.open = true; })")
        assert page.locator(".histogram .bar").count() == (0 if path.stem == "ada" else 10 + 2 * 3 + 5 + 1)
        assert barriers(page) == []
        for width in (360, 1300):
            page.set_viewport_size({"width": width, "height": 850})
            over = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert over <= 0, (path.name, width)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_desk_has_no_barrier_and_fits_a_narrow_window(served, page, mode):
    server, _ = served
    page.emulate_media(color_scheme=mode)
    for name in (server.desk.entries[1].id, "list"):
        page.goto(server.address + name)
        page.wait_for_selector(READY)
        assert barriers(page) == []
        for width in (360, 1300):
            page.set_viewport_size({"width": width, "height": 850})
            over = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert over <= 0
