"""The figure of the chapter that a reader moves (it needs plotly, which the bare package does not)."""

import numpy as np
import plotly.graph_objects as go
from IPython.display import HTML

from lazy_course import interactive, style
from lazy_course.two_layer.readings import Record

SIGNS = {1: ("output weight > 0", style.COLOURS["vermilion"], "solid"), -1: ("< 0", style.COLOURS["blue"], "dash")}


def trajectories(record: Record, *, alt: str, twin: str) -> HTML:
    """The ways of the neurons of Figure 1(a, b), with tau on a slider; the teacher and the unit circle stay."""
    positions, signs = np.asarray(record["positions"]), np.asarray(record["signs"])
    choices = {
        f"{10**log:.2g}": [_paths(positions[:, i], signs[i], s) for s in SIGNS]
        + [_ends(positions[-1, i], signs[i], s) for s in SIGNS]
        for i, (log, _) in enumerate(record["settings"]["cases"])
    }
    angle = np.linspace(0, 2 * np.pi, 121)
    circle = go.Scatter(
        x=np.cos(angle).round(4).tolist(),
        y=np.sin(angle).round(4).tolist(),
        mode="lines",
        name="unit circle",
        line={"color": "#606060", "width": 1, "dash": "dot"},
    )
    arrows = [_arrow(a, s) for a, s in zip(record["teacher"], record["teacher_signs"], strict=True)]
    return interactive.slider_figure(
        choices,
        name="two-layer-paths",
        label="standard deviation τ",
        alt=alt,
        x="first coordinate of |a|b",
        y="second coordinate of |a|b",
        twin=twin,
        fixed=[circle, *arrows],
        start=list(choices).index("0.1"),
        layout={"height": 560, "xaxis": {"range": (-3, 3)}, "yaxis": {"range": (-3, 3), "scaleanchor": "x"}},
    )


def _paths(positions: np.ndarray, signs: np.ndarray, sign: int) -> go.Scatter:
    """All ways of one sign in one trace, cut by gaps."""
    name, colour, dash = SIGNS[sign]
    kept = positions[:, signs == sign]
    gaps = np.full((1, *kept.shape[1:]), np.nan)
    points = np.swapaxes(np.concatenate([kept, gaps]), 0, 1).reshape(-1, 2)
    x, y = ([None if np.isnan(v) else round(float(v), 3) for v in column] for column in points.T)
    return go.Scatter(x=x, y=y, mode="lines", name=name, line={"color": colour, "width": 1.5, "dash": dash})


def _ends(ends: np.ndarray, signs: np.ndarray, sign: int) -> go.Scatter:
    name, colour, _ = SIGNS[sign]
    x, y = ends[signs == sign].round(3).T.tolist() if np.any(signs == sign) else ([], [])
    symbol = "circle" if sign > 0 else "square"
    return go.Scatter(
        x=x, y=y, mode="markers", name=f"{name}, at the end", marker={"color": colour, "symbol": symbol, "size": 8}
    )


def _arrow(tip: list[float], sign: int) -> go.Scatter:
    colour = SIGNS[sign][1]
    marker = {"symbol": "diamond-open", "color": colour, "size": [1, 14], "line": {"width": 2}}
    line = {"color": colour, "width": 4}
    name = "teacher, " + SIGNS[sign][0]
    return go.Scatter(x=[0, tip[0]], y=[0, tip[1]], mode="lines+markers", name=name, line=line, marker=marker)
