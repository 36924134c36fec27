"""The figures of the chapter that a reader moves (they need plotly, which the bare package does not)."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from IPython.display import HTML

from lazy_course import interactive, style
from lazy_course.implicit_bias.curves import Plane
from lazy_course.interactive import line
from lazy_course.models import RealArray

BLUE, VERMILION, GREEN = style.COLOURS["blue"], style.COLOURS["vermilion"], style.COLOURS["green"]
SQUARE = {"scaleanchor": "x", "scaleratio": 1}


def paths(planes: Sequence[Plane], *, alt: str, twin: str) -> HTML:
    """The path of beta, its end, and the level set of Q_alpha that it ends on, with alpha on a slider.

    The line of solutions and the two extreme ends, of least l2 and l1 norm, stay.
    """
    choices = {
        f"{plane.alpha:g}": [
            line(plane.level[:, 0], plane.level[:, 1], "level set of Q", color=VERMILION, width=2),
            line(plane.path[:, 0], plane.path[:, 1], "path β(t)", color=BLUE, width=3),
            _point(plane.limit, "its end", "circle", BLUE),
        ]
        for plane in planes
    }
    second = np.array([-1.25, 1.25])
    fixed = [
        line(1 - second / 2, second, "Xβ = y", color="#606060", width=1.5),
        _point(np.array([0.8, 0.4]), "least ℓ₂ norm", "square-open", "#1a1a1a"),
        _point(np.array([1.0, 0.0]), "least ℓ₁ norm", "diamond-open", "#1a1a1a"),
    ]
    return interactive.slider_figure(
        choices,
        name="bias-paths",
        label="scale α",
        alt=alt,
        x="first entry of β",
        y="second entry of β",
        twin=twin,
        fixed=fixed,
        layout={
            "height": 520,
            "xaxis": {"range": (-1.15, 1.75)},
            "yaxis": {"range": (-1.15, 1.15), **SQUARE},
        },
    )


def _point(point: RealArray, name: str, symbol: str, colour: str) -> go.Scatter:
    marker = {"symbol": symbol, "color": colour, "size": 11, "line": {"width": 2}}
    x, y = (float(entry) for entry in point)
    return go.Scatter(x=[x], y=[y], mode="markers", name=name, marker=marker)
