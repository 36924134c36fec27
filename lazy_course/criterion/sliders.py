"""The figure of the chapter that a reader moves (it needs plotly, which the bare package does not)."""

from collections.abc import Mapping

import plotly.graph_objects as go
from IPython.display import HTML

from lazy_course import interactive, style
from lazy_course.criterion.training import Opening
from lazy_course.interactive import line

BLUE, VERMILION = style.COLOURS["blue"], style.COLOURS["vermilion"]


def fits(runs: Mapping[float, Opening], *, alt: str, twin: str) -> HTML:
    """The trained function and its linearized twin with alpha, the key of a run, on a slider."""
    choices = {
        f"{alpha:g}": [
            line(run.grid, run.twin, "linearized twin", color=VERMILION, width=3, dash="dash"),
            line(run.grid, run.trained, "trained", color=BLUE, width=3),
        ]
        for alpha, run in runs.items()
    }
    points = next(iter(runs.values())).data
    marker = {"color": "#000000", "size": 9}
    data = go.Scatter(x=points[:, 0].tolist(), y=points[:, 1].tolist(), mode="markers", name="data", marker=marker)
    return interactive.slider_figure(
        choices, name="fits-slider", label="scale α", alt=alt, x="input z", y="output", twin=twin, fixed=[data]
    )
