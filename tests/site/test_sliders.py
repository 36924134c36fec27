"""The figures that move: they answer to keyboard, mouse and finger, ask for plotly late, and have a still picture."""

import json

import pytest

from tests.site.test_pages import PAGES

pytestmark = pytest.mark.site

DRAWN = """plot => [...plot.querySelectorAll('.scatterlayer .js-line, .scatterlayer .js-fill')]
    .map(line => line.getAttribute('d'))"""
LIMIT = 3_000_000  # bytes of a page, its pictures and data, beside the scripts that all pages share
CHAPTERS = ["preliminaries", "criterion", "finite_horizon", "uniform_bounds", "ntk", "implicit_bias", "two_layer"]


def text(html, page):
    return (html / f"{page}.html").read_text()


def with_slider(html):
    return [page for page in PAGES if 'class="lazy-slider"' in text(html, page)]


@pytest.fixture(scope="module", params=CHAPTERS)
def figures(request, visit):
    """The figures with a slider of one page, in a browser with a finger."""
    opened = visit(f"book/{request.param}.html", has_touch=True)
    found = opened.page.locator(".lazy-slider").all()
    assert found, "a chapter without a slider"
    for figure in found:
        figure.locator("input").focus()
        figure.and_(opened.page.locator("[data-drawn]")).wait_for()
    return opened, found


def state(figure):
    """What is drawn, and what the control says."""
    control, shown = figure.locator("input"), figure.locator(".lazy-slider-value").inner_text()
    assert control.get_attribute("aria-valuetext") == shown
    return figure.locator(".lazy-slider-plot").evaluate(DRAWN), shown


def test_a_page_carries_the_script_that_it_needs(html):
    for element, script in {"lazy-slider": "lazy-slider.js", "lazy-moving": "lazy-moving.js"}.items():
        needed = [page for page in PAGES if f'class="{element}"' in text(html, page)]
        assert needed
        assert needed == [page for page in PAGES if script in text(html, page)]
    assert not any("plotly.min.js" in text(html, page) for page in PAGES)
    assert (html / "_static" / "plotly.min.js").stat().st_size > 1_000_000


def test_the_keyboard_moves_it(figures):
    opened, found = figures
    for figure in found:
        figure.locator("input").press("Home")
        seen = [state(figure)]
        for key in ("ArrowRight", "ArrowRight", "End"):
            opened.page.keyboard.press(key)  # the focus stayed on the slider
            seen.append(state(figure))
        assert len({shown for _, shown in seen}) == len({str(drawn) for drawn, _ in seen}) == len(seen)
        figure.locator("input").press("Home")
        assert state(figure) == seen[0]
    assert opened.faults == []


@pytest.mark.parametrize("by", ["mouse", "finger"])
def test_mouse_and_finger_move_it(figures, by):
    opened, found = figures
    for figure in found:
        control = figure.locator("input")
        control.press("Home")
        control.scroll_into_view_if_needed()
        before, box = state(figure), control.bounding_box()
        place = box["x"] + 0.6 * box["width"], box["y"] + box["height"] / 2
        if by == "mouse":
            opened.page.mouse.move(box["x"] + 8, place[1])
            opened.page.mouse.down()
            opened.page.mouse.move(*place, steps=4)
            opened.page.mouse.up()
        else:
            opened.page.touchscreen.tap(*place)
        assert state(figure)[0] != before[0]
        assert 0 < int(control.input_value()) < int(control.get_attribute("max"))


def test_it_fits_a_phone_and_prints_its_still_picture(figures):
    opened, found = figures
    opened.page.set_viewport_size({"width": 360, "height": 800})
    opened.page.wait_for_function(
        "[...document.querySelectorAll('.lazy-slider .main-svg')].every(svg => svg.clientWidth <= 340)"
    )
    opened.page.emulate_media(media="print", color_scheme="dark")
    for figure in found:
        assert figure.evaluate("f => getComputedStyle(f).backgroundColor") == "rgb(255, 255, 255)"
        assert figure.locator(".lazy-slider-still").is_visible()
        assert not figure.locator(".lazy-slider-plot").is_visible()
        assert not figure.locator("input").is_visible()
    opened.page.emulate_media(media="screen", color_scheme="light")
    opened.page.set_viewport_size({"width": 1440, "height": 900})


def test_without_javascript_the_still_picture_stands(html, browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}{with_slider(html)[0]}.html")
    figure = page.locator(".lazy-slider").first
    assert "moves with JavaScript only" in figure.locator("noscript").inner_text()
    still = figure.locator(".lazy-slider-still")
    assert still.is_visible()
    assert len(still.get_attribute("alt")) > 60
    assert still.evaluate("picture => picture.naturalWidth") > 900
    assert figure.locator("input").is_disabled()
    context.close()


@pytest.mark.parametrize("by", ["keyboard", "mouse", "finger"])
def test_plotly_is_asked_for_by_a_hand_at_the_figure(html, browser, address, by):
    """The large script is fetched ahead near a figure, and runs when a hand comes to it."""
    context = browser.new_context(viewport={"width": 1000, "height": 300}, has_touch=True)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url) if "plotly" in request.url else None)
    page.goto(f"{address}book/ntk.html", wait_until="load")
    assert asked == []
    box = page.locator(".lazy-slider").last
    box.scroll_into_view_if_needed()
    page.locator("link[rel=prefetch][href$='plotly.min.js']").wait_for(state="attached")
    assert page.evaluate("typeof Plotly") == "undefined"
    assert box.locator(".lazy-slider-still").is_visible()
    control = box.locator("input")
    {"keyboard": control.focus, "mouse": box.hover, "finger": control.tap}[by]()
    box.and_(page.locator("[data-drawn]")).wait_for()
    assert not box.locator(".lazy-slider-still").is_visible()
    assert page.locator(".lazy-slider[data-drawn]").count() == 1
    context.close()


def test_no_page_is_heavy(html):
    """Bytes of a page with its own pictures; the shared scripts and fonts come on top, once."""
    for page in PAGES:
        content = text(html, page)
        pictures = [picture for picture in (html / "_images").iterdir() if picture.name in content]
        assert len(content.encode()) + sum(picture.stat().st_size for picture in pictures) < LIMIT, page


def moving(page):
    return page.locator(".lazy-moving")


def test_the_moving_picture_plays_once_and_can_be_stopped(html, visit):
    """It plays when it is seen; the button, by keyboard, stops it and goes on; the slider shows any frame."""
    page = visit("book/index.html").page
    box = moving(page)
    button, control = box.locator("button"), box.locator("input")
    button.filter(has_text="Pause").wait_for()
    button.press("Enter")
    assert button.inner_text() == "Play"
    at = control.input_value()
    curve = box.locator(".trained").first.get_attribute("points")
    page.wait_for_timeout(400)
    assert control.input_value() == at
    button.press("Space")
    page.wait_for_function("at => document.querySelector('.lazy-moving input').value > at + 1", arg=int(at))
    assert box.locator(".trained").first.get_attribute("points") != curve
    control.press("End")
    assert button.inner_text() == "Play again"
    assert box.locator(".lazy-slider-value").inner_text() == control.get_attribute("aria-valuetext")


def test_little_motion_is_respected(browser, address, html):
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{address}book/index.html", wait_until="load")
    box = moving(page)
    last = box.locator("input").get_attribute("max")
    page.wait_for_timeout(500)
    assert box.locator("input").input_value() == last
    assert box.locator("button").inner_text() == "Play again"
    frames = json.loads(box.locator("script").text_content())
    end = [int(pair.split(",")[1]) for pair in box.locator(".trained").first.get_attribute("points").split()]
    assert end == frames["scenes"][0]["trained"][-1]
    context.close()
