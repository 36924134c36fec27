"""The figure of the chapter that a reader moves (it needs plotly, which the bare package does not)."""

import numpy as np
import plotly.graph_objects as go
from IPython.display import HTML

from lazy_course import interactive, style
from lazy_course.two_layer.readings import Record

SIGNS = {1: ("a > 0", style.COLOURS["vermilion"], "solid"), -1: ("a < 0", style.COLOURS["blue"], "dash")}
INNER = 0.3  # the radius below which the plane is drawn as it is, and beyond which on a logarithmic scale


def compressed(points: np.ndarray) -> np.ndarray:
    """Points (..., 2) with their directions kept and their radius r moved to asinh(r / 0.3)."""
    radius = np.linalg.norm(points, axis=-1, keepdims=True)
    return points * np.arcsinh(radius / INNER) / np.maximum(radius, 1e-12)


def trajectories(record: Record, *, alt: str, twin: str) -> HTML:
    """The ways of the neurons of Figure 1(a, b), with tau on a slider; the teacher and the unit circle stay."""
    positions, signs = compressed(np.asarray(record["positions"])), np.asarray(record["signs"])
    choices = {
        f"{10**log:.2g}": [_paths(positions[:, i], signs[i], s) for s in SIGNS]
        + [_ends(positions[-1, i], signs[i], s) for s in SIGNS]
        for i, (log, _) in enumerate(record["settings"]["cases"])
    }
    arrows = [
        _arrow(compressed(np.asarray(tip)), sign, first=i == 0)
        for i, (tip, sign) in enumerate(zip(record["teacher"], record["teacher_signs"], strict=True))
    ]
    limit = float(compressed(np.array([34.0, 0.0]))[0])
    marks = [-10.0, -1.0, 0.0, 1.0, 10.0]
    places = compressed(np.stack([marks, np.zeros(5)], axis=1))[:, 0].round(3).tolist()
    ticks = {"tickvals": places, "ticktext": [f"{mark:g}" for mark in marks]}
    axis = ticks | {"range": (-limit, limit), "showgrid": False}
    return interactive.slider_figure(
        choices,
        name="two-layer-paths",
        label="standard deviation τ",
        alt=alt,
        x="first coordinate (compressed)",
        y="second coordinate",
        twin=twin,
        fixed=[_circle(1.0, "radius 1"), _circle(10.0, "radius 10"), *arrows],
        start=list(choices).index("0.1"),
        layout={"height": 600, "xaxis": axis, "yaxis": axis | {"scaleanchor": "x"}},
    )


def _circle(radius: float, name: str) -> go.Scatter:
    angle = np.linspace(0, 2 * np.pi, 121)
    points = compressed(radius * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    dash = "dot" if radius == 1 else "dash"
    return interactive.line(points[:, 0], points[:, 1], name, color="#606060", width=1.5, dash=dash)


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
    marker = {"color": colour, "symbol": "circle" if sign > 0 else "square", "size": 8}
    return go.Scatter(x=x, y=y, mode="markers", name=f"{name}, end", marker=marker)


def _arrow(tip: np.ndarray, sign: int, *, first: bool) -> go.Scatter:
    """A thick line from the centre to the tip, with the point of an arrow."""
    along = tip / np.linalg.norm(tip)
    across, size = np.array([-along[1], along[0]]), 0.25
    points = np.stack([0 * tip, tip, tip - size * (along - 0.5 * across), tip, tip - size * (along + 0.5 * across)])
    _, colour, _ = SIGNS[sign]
    x, y = points.round(3).T.tolist()
    look = {"color": colour, "width": 6}
    return go.Scatter(x=x, y=y, mode="lines", name="teacher", showlegend=first, opacity=0.45, line=look)
