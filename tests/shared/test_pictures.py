"""What the pages show beside their figures: still pictures, cards, the moving picture, counts; and the palette."""

import io
import itertools
import json
import re

import matplotlib.image
import numpy as np
import plotly.graph_objects as go
import pytest

from lazy_course import cards, claims, errata, moving, registers, still, style
from lazy_course.scene import Scene
from lazy_course.tally import tally


def pixels(png):
    return matplotlib.image.imread(io.BytesIO(png))[..., :3]


def has_colour(picture, colour):
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return bool(np.any(np.max(np.abs(picture - wanted), axis=-1) < 0.02))


def figure(*traces, **layout):
    made = go.Figure(traces, layout={"height": 300, **layout})
    for axis in (made.layout.xaxis, made.layout.yaxis):
        axis.range = axis.range or (0, 3)
    return made


def test_a_still_picture_shows_what_is_visible():
    line = go.Scatter(x=[1, 2], y=[1, 2], mode="lines", line={"color": "#ff0000", "width": 4})
    area = go.Scatter(x=[1, 2, 2], y=[0, 0, 1], fill="toself", fillcolor="#0000ff", line={"color": "#0000ff"})
    hidden = go.Scatter(x=[0, 3], y=[1, 1], mode="markers", marker={"color": "#00ff00", "size": 20}, visible=False)
    picture = pixels(still.png(figure(line, area, hidden)))
    assert picture.shape[:2] == (420, 1008)
    assert has_colour(picture, "#ff0000")
    assert has_colour(picture, "#0000ff")
    assert not has_colour(picture, "#00ff00")


def test_a_still_picture_keeps_the_axes():
    """On a logarithmic axis from 1 to 100 the point 10 is in the middle."""
    dot = go.Scatter(x=[10.0], y=[1.5], mode="markers", marker={"color": "#ff0000", "size": 12})
    picture = pixels(still.png(figure(dot, xaxis={"type": "log", "range": (0, 2)})))
    red = np.argwhere((picture[..., 0] > 0.9) & (picture[..., 1] < 0.1))
    dark = np.argwhere(np.max(picture, axis=-1) < 0.2)  # the axes and their letters
    left = np.bincount(dark[:, 1]).argmax()
    assert np.mean(red[:, 1]) == pytest.approx((left + picture.shape[1]) / 2, abs=12)
    with pytest.raises(ValueError, match=r"expected go\.Scatter, got Bar"):
        still.png(figure(go.Bar(x=[1], y=[1])))


def test_a_card_keeps_one_panel_without_letters():
    made, axes = style.figure(2)
    axes[0].plot([0, 1], color="#ff0000", label="lost")
    axes[1].plot([0, 1], color="#0000ff", linestyle="-", label="kept")
    axes[1].set(title="lost", xlabel="lost")
    axes[1].legend()
    made.suptitle("lost")
    made.supxlabel("lost")
    page = cards.card(made, 1, shows='A "line".', statement="a < b", number="0.5", meaning="is half").data
    assert 'alt="A &quot;line&quot;."' in page
    assert "<p>a &lt; b</p>" in page
    assert "<strong>0.5</strong> is half" in page
    assert [text.get_text() for text in made.findobj(matplotlib.text.Text) if text.get_text() == "lost"] == []
    assert len(made.axes) == 1
    assert made.axes[0].lines[0].get_color() == "#0000ff"
    with pytest.raises(ValueError, match="panel: expected an index below 1, got 1"):
        cards.thumbnail(made, 1)
    with pytest.raises(ValueError, match="number: expected words"):
        cards.card(made, shows="a", statement="b", number=" ", meaning="c")


def scene(steps=(0, 10)):
    grid, frames = np.linspace(-1, 1, 5), len(steps)
    moved = np.linspace(0, 1, frames)[:, None, None] * np.ones((frames, 2, 2))
    return Scene(
        steps=np.asarray(steps),
        data=np.array([[-1.0, 0.0], [1.0, 1.0]]),
        grid=grid,
        trained=np.outer(np.linspace(0, 1, frames), grid),
        twin=np.zeros((frames, 5)),
        neurons=moved,
        loss=np.ones(frames),
        twin_loss=np.ones(frames),
    )


def test_the_moving_picture_stands_at_its_last_frame():
    page = moving.picture({"a < b": scene(), "c": scene()}, name="film", alt='A "film".').data
    frames = json.loads(re.search(r'json">(.*?)</script>', page, re.S)[1])
    assert frames["steps"] == ["0", "10"]
    first = frames["scenes"][0]
    drawn = re.search(r'class="trained" points="([^"]*)"', page)[1]
    assert [int(pair.split(",")[1]) for pair in drawn.split()] == first["trained"][-1]
    assert first["x"] == [0, 1000, 2000, 3000, 4000]
    # Up is up: the function grows to the right, and the neurons go up and to the right from the middle.
    assert first["trained"][-1][0] > first["trained"][-1][-1]
    assert first["neurons"][0][0] == [2000, 1150]
    assert first["neurons"][1][0][0] > 2000 > 1150 > first["neurons"][1][0][1]
    assert "a &lt; b" in page
    assert 'aria-label="A &quot;film&quot;."' in page
    with pytest.raises(ValueError, match="scenes: expected at least one run"):
        moving.picture({"a": scene(), "b": scene((0, 20))}, name="film", alt="x")
    with pytest.raises(ValueError, match="alt: expected words"):
        moving.picture({"a": scene()}, name="film", alt=" ")


def test_the_tally_counts_the_registers():
    counts = tally()
    rows = [row for stem in registers.chapters() for row in claims.load(stem)]
    assert counts.statements == len({row.id for row in rows}) > 50
    assert counts.cited == counts.statements - sum("cited" not in row.evidence for row in rows)
    assert 0 < counts.own < counts.derived <= counts.statements
    kinds = [row.kind for stem in registers.chapters() for row in errata.load(stem)]
    assert counts.errata == len(kinds)
    assert counts.wrong + counts.sharper == len(kinds) - kinds.count("misprint") - kinds.count("imprecise")


# Viénot, Brettel and Mollon (1999): linear RGB as seen without the long or the middle cones.
BLIND = {
    "protanopia": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
    "deuteranopia": [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],
}


def lab(linear):
    """CIE L*a*b* of linear RGB, white point D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.maximum(to_xyz @ linear / [0.9505, 1.0, 1.089], 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def linear_rgb(colour):
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def closest(colours, matrix):
    """The least distance of two linear colours, as such an eye sees them."""
    seen = [lab(np.clip(np.array(matrix) @ colour, 0, 1)) for colour in colours]
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))


@pytest.mark.parametrize("kind", BLIND)
def test_the_colours_are_told_apart_by_every_eye(kind):
    """CIE76 distances above 10 for all pairs (2.3 is just noticeable); a red and a green taken for it fail."""
    assert closest([linear_rgb(colour) for colour in style.CYCLE], BLIND[kind]) > 10
    red, (of_red, of_green, _) = np.array([0.5, 0.1, 0.0]), BLIND[kind][0]
    green = red + 0.5 * np.array([-1.0, of_red / of_green, 0.0])
    assert np.linalg.norm(lab(red) - lab(np.maximum(green, 0))) > 50
    assert closest([red, green], BLIND[kind]) < 10
