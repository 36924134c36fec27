"""The figure of the chapter that a reader moves (it needs plotly, which the bare package does not)."""

import numpy as np
from IPython.display import HTML

from lazy_course import interactive, style
from lazy_course.interactive import line
from lazy_course.uniform_bounds.surface import Settled

TITLES = ("start (0, 0): the rank jumps", "start (1, 0): rank 2")


def two_starts(degenerate: Settled, regular: Settled, *, alt: str, twin: str) -> HTML:
    """The parameter gap against flow time from both starts, with alpha on a slider; 1 and 1/alpha^2 as guides."""
    looks = ((style.COLOURS["vermilion"], "dash"), (style.COLOURS["blue"], "solid"))
    end = float(max(settled.times.max() for settled in (degenerate, regular)))
    choices = {}
    for at, alpha in enumerate(degenerate.alphas):
        traces = []
        for settled, title, (colour, dash) in zip((degenerate, regular), TITLES, looks, strict=True):
            gap = np.linalg.norm(settled.params[at] - settled.linearized_params[at], axis=1)[1::3]
            traces.append(
                line(settled.times[at][1::3], np.where(gap > 0, gap, np.nan), title, color=colour, dash=dash, width=3)
            )
        traces.append(line(np.array([0.1, end]), np.full(2, alpha**-2.0), "1/α²", color="#6a6a6a", dash="dot", width=2))
        choices[f"{alpha:g}"] = traces
    return interactive.slider_figure(
        choices,
        name="starts-slider",
        label="scale α",
        alt=alt,
        x="flow time t",
        y="‖w − w̄‖",
        twin=twin,
        start=len(choices) // 2,
        layout={
            "xaxis": {"type": "log", "range": (-1.0, float(np.log10(end))), "exponentformat": "power", "dtick": 1},
            "yaxis": {"type": "log", "range": (-5.0, 0.6), "exponentformat": "power", "dtick": 1},
        },
    )
