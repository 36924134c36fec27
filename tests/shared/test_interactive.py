"""The figure with a slider: what the HTML holds, and what it refuses. tests/site moves it in a browser."""

import base64
import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest

from lazy_course.interactive import slider_figure
from lazy_course.style import CYCLE

TEXTS = {"name": "a-slider", "label": "scale α", "alt": 'A "line" & a curve.', "twin": "See there."}
TEXTS |= {"x": "‖w‖", "y": "y"}


def line(height, **options):
    return go.Scatter(x=[1.0, 2.0, 4.0], y=[0.0, height, height], name="model", **options)


def choices():
    return {"0.5": [line(1.0), line(-3.0)], "1 < 2": [line(7.0), line(2.0)], "10": [line(5.0), line(1.0)]}


def made(places=None, **changes):
    return slider_figure(choices() if places is None else places, **(TEXTS | changes)).data


def drawn(page):
    """The figure that the page carries: data, layout and groups."""
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.S)[1])


def test_one_place_is_seen_at_a_time():
    page = made(fixed=[line(0.5)], start=1)
    assert [trace["visible"] for trace in drawn(page)["data"]] == [True, False, False, True, True, False, False]
    assert drawn(page)["groups"] == [-1, 0, 0, 1, 1, 2, 2]
    assert re.search(r'<input type="range" id="a-slider-slider" min="0" max="2" step="1" value="1"', page)


def test_the_axes_hold_still_and_hold_everything():
    layout = drawn(made())["layout"]
    low, high = layout["yaxis"]["range"]
    assert low == pytest.approx(-3.5)
    assert high == pytest.approx(7.5)
    assert drawn(made(layout={"yaxis": {"range": [0, 1]}}))["layout"]["yaxis"]["range"] == [0, 1]
    # On a logarithmic axis plotly counts in exponents, and what is not positive has no place.
    logarithmic = drawn(made(layout={"xaxis": {"type": "log"}}))["layout"]["xaxis"]["range"]
    np.testing.assert_allclose(logarithmic, [-0.05 * np.log10(4), 1.05 * np.log10(4)])


def test_a_line_keeps_its_colour_at_every_place():
    traces = drawn(made(fixed=[line(0.5)]))["data"]
    assert [t["line"]["color"] for t in traces] == [CYCLE[0], *(CYCLE[1], CYCLE[2]) * 3]
    own = drawn(made({"a": [line(1.0, line={"color": "red"})], "b": [line(2.0)]}))["data"]
    assert own[0]["line"]["color"] == own[0]["marker"]["color"] == "red"


def test_the_callers_traces_are_left_alone():
    places = choices()
    made(places, start=2)
    assert [trace.visible for group in places.values() for trace in group] == [None] * 6


def test_it_can_be_read_without_eyes_mouse_and_javascript():
    page = made()
    assert 'role="img" aria-label="A &quot;line&quot; &amp; a curve."' in page
    picture = re.search(r'src="data:image/png;base64,([^"]*)" alt="A &quot;line&quot; &amp; a curve."', page)[1]
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    assert '<label for="a-slider-slider">scale α</label>' in page
    assert 'aria-valuetext="0.5"' in page
    assert re.search(r"<noscript>.*See there\..*</noscript>", page)


def test_it_asks_no_host_and_runs_no_script_of_its_own():
    page = made()
    assert "http" not in page
    assert re.findall(r"<script[^>]*>", page) == ['<script type="application/json">']
    assert page == made()  # the same source, the same bytes: no drawn id


def test_a_text_cannot_close_the_script():
    page = made({"</script>": [line(1.0)], "b": [line(2.0)]})
    assert page.count("</script>") == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"places": {"1": [line(1.0)]}}, "choices: expected at least two places"),
        ({"start": 3}, "start: expected an index from 0 to 2, got 3"),
        ({"start": -1}, "start: expected"),
        ({"name": "a slider"}, "name: expected lower-case letters"),
        ({"alt": " "}, "alt: expected words"),
        ({"x": r"$\alpha$"}, "x: expected Unicode"),
        ({"places": {"a": [go.Scatter(x=[1], y=[1], name="$w$")], "b": [line(1.0)]}}, "trace 0: expected Unicode"),
        ({"places": {"a": [go.Scatter(x=[1], y=[float("nan")])], "b": []}}, "choices: expected traces with finite"),
    ],
)
def test_bad_input_is_named(changes, says):
    with pytest.raises(ValueError, match=says):
        made(**changes)
