"""The figures with a slider: they are drawn from the book's own script, and mouse and keyboard move them."""

import itertools

import pytest

from tests.site.test_pages import PAGES

pytestmark = pytest.mark.site

DRAWN = """plot => [...plot.querySelectorAll('.scatterlayer .js-line')].map(line => line.getAttribute('d'))"""
LIMIT = 3_000_000  # bytes of a page, its pictures and data, beside the scripts that all pages share


def pages_with_slider(html):
    return [page for page in PAGES if 'class="lazy-slider"' in (html / f"{page}.html").read_text()]


@pytest.fixture(scope="module")
def first(html, visit):
    """The first page with a slider, and its figure."""
    opened = visit(f"{pages_with_slider(html)[0]}.html")
    figure = opened.page.locator(".lazy-slider").first
    figure.scroll_into_view_if_needed()
    opened.page.wait_for_function("!document.querySelector('.lazy-slider input').disabled")
    return opened, figure


def state(figure):
    """What is drawn, and what the control says."""
    plot, control = figure.locator(".plotly-graph-div"), figure.locator("input")
    shown = figure.locator(".lazy-slider-value").inner_text()
    assert control.get_attribute("aria-valuetext") == shown
    return plot.evaluate(DRAWN), shown


def test_only_pages_with_a_slider_load_plotly(html):
    own = [page for page in PAGES if "plotly.min.js" in (html / f"{page}.html").read_text()]
    assert own
    assert own == pages_with_slider(html)
    assert (html / "_static" / "plotly.min.js").stat().st_size > 1_000_000


def test_every_slider_is_drawn_and_moves(html, visit):
    for page in pages_with_slider(html):
        opened = visit(f"{page}.html")
        figures = opened.page.locator(".lazy-slider")
        for figure in figures.all():
            figure.locator("input:enabled").wait_for()
            before, _ = state(figure)
            assert len(before) > 0
            last = figure.locator("input").get_attribute("max")
            figure.locator("input").press("Home" if figure.locator("input").input_value() == last else "End")
            assert state(figure)[0] != before, page
        assert opened.faults == []


def test_the_keyboard_moves_it(first):
    opened, figure = first
    control = figure.locator("input")
    control.press("Home")
    seen = [state(figure)]
    for key in ("ArrowRight", "ArrowRight", "End"):
        opened.page.keyboard.press(key)  # the focus stayed on the slider
        seen.append(state(figure))
    assert len({shown for _, shown in seen}) == len(seen)
    assert all(one[0] != other[0] for one, other in itertools.pairwise(seen))
    control.press("Home")
    assert state(figure) == seen[0]


def test_the_mouse_moves_it(first):
    opened, figure = first
    control = figure.locator("input")
    control.press("Home")
    before, box = state(figure), control.bounding_box()
    middle = box["y"] + box["height"] / 2
    opened.page.mouse.move(box["x"] + 8, middle)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] + 0.6 * box["width"], middle, steps=5)
    opened.page.mouse.up()
    after = state(figure)
    assert after[0] != before[0]
    assert 0 < int(control.input_value()) < int(control.get_attribute("max"))


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_it_stands_on_white_and_fits_a_phone(first, mode):
    opened, figure = first
    opened.page.emulate_media(color_scheme=mode)
    opened.page.set_viewport_size({"width": 360, "height": 800})
    assert figure.evaluate("f => getComputedStyle(f).backgroundColor") == "rgb(255, 255, 255)"
    opened.page.wait_for_function("document.querySelector('.lazy-slider .main-svg').clientWidth <= 340")
    plot = figure.locator(".main-svg").first.bounding_box()
    assert plot["width"] > 200
    opened.page.set_viewport_size({"width": 1440, "height": 900})


def test_without_javascript_the_figure_names_its_twin(html, browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}{pages_with_slider(html)[0]}.html")
    text = page.locator(".lazy-slider noscript").first.inner_text()
    assert "moves with JavaScript only" in text
    assert len(text) > 60
    context.close()


def test_a_page_with_a_slider_stays_light(html, browser, address):
    for name in pages_with_slider(html):
        context = browser.new_context()
        page, sizes = context.new_page(), {}
        page.on("response", lambda response, sizes=sizes: sizes.update({response.url: len(response.body())}))
        page.goto(f"{address}{name}.html", wait_until="networkidle")
        own = {url: size for url, size in sizes.items() if "_static/" not in url}
        assert sum(own.values()) < LIMIT, (name, own)
        context.close()
