"""The figure of the chapter that a reader moves (it needs plotly, which the bare package does not)."""

import numpy as np
import plotly.graph_objects as go
from IPython.display import HTML

from lazy_course import interactive, style
from lazy_course.interactive import line
from lazy_course.models import RealArray


def paths(alphas: RealArray, linear: RealArray, nonlinear: RealArray, *, alt: str, twin: str, marks: int = 4) -> HTML:
    """Both paths of `comparisons.paths_in_plane`, (T, 2) and (N, T, 2), with alpha on a slider.

    `marks` equal times are marked on both paths, the last at the end, and joined: the joins are the gap.
    """
    at = np.linspace(0, len(linear) - 1, marks + 1).round().astype(int)[1:]
    choices = {}
    for alpha, path in zip(alphas, nonlinear, strict=True):
        # One broken line: a join, a gap in the drawing, the next join.
        joins = np.stack([linear[at], path[at], np.full((marks, 2), np.nan)], axis=1).reshape(-1, 2)
        choices[f"{alpha:g}"] = [
            line(
                joins[:, 0], joins[:, 1], "gap at equal times", color=style.COLOURS["vermilion"], width=1.5, dash="dot"
            ),
            line(path[:, 0], path[:, 1], "model", color=style.COLOURS["blue"], width=3),
            _points(path[at], "circle", style.COLOURS["blue"]),
        ]
    return interactive.slider_figure(
        choices,
        name="paths-slider",
        label="scale α",
        alt=alt,
        x="α(w − w₀) along v₀(T)",
        y="across it, towards v₁(T)",
        twin=twin,
        fixed=[
            line(linear[:, 0], linear[:, 1], "linearized", color="#808080", width=4, dash="dash"),
            _points(linear[at], "square", "#606060"),
        ],
    )


def _points(points: RealArray, symbol: str, colour: str) -> go.Scatter:
    marker = {"symbol": symbol, "color": colour, "size": 9}
    return go.Scatter(x=points[:, 0].tolist(), y=points[:, 1].tolist(), mode="markers", marker=marker, showlegend=False)
