"""The figures of the chapter that a reader moves (they need plotly, which the bare package does not)."""

import jax.numpy as jnp
import numpy as np
import plotly.graph_objects as go
from IPython.display import HTML

from lazy_course import interactive, style
from lazy_course.interactive import line, short
from lazy_course.ntk import recursions
from lazy_course.ntk.angles import Cosines
from lazy_course.ntk.random_features import Section

BLUE, ORANGE, VERMILION = (style.COLOURS[name] for name in ("blue", "orange", "vermilion"))
QUARTERS = {
    "tickvals": [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4, np.pi],
    "ticktext": ["0", "π/4", "π/2", "3π/4", "π"],
    "range": (0, np.pi),
}


def random_kernels(section: Section, *, alt: str, twin: str, drawn: int = 8) -> HTML:
    """Kernels of random two-layer networks with the width on a slider: some draws, the band of 90 %, the limit."""
    angles = np.asarray(section.angles)
    choices = {}
    for m, draws in zip(section.widths, np.asarray(section.draws), strict=True):
        low, high = np.quantile(draws, (0.05, 0.95), axis=0)
        band = go.Scatter(
            x=short(np.concatenate([angles, angles[::-1]])),
            y=short(np.concatenate([high, low[::-1]])),
            fill="toself",
            fillcolor=ORANGE,
            line={"width": 0, "color": ORANGE},
            opacity=0.35,
            mode="lines",
            name="90 % of the draws",
        )
        lines = np.concatenate([np.append(row, np.nan) for row in draws[:drawn]])
        places = np.tile(np.append(angles, np.nan), drawn)
        some = line(places, lines, f"{drawn} draws", color=VERMILION, width=1.2)
        choices[f"{m}"] = [band, some]
    limit = line(angles, np.asarray(section.limit), "limit m → ∞", color="#000000", width=3, dash="dash")
    return interactive.slider_figure(
        choices,
        name="width-slider",
        label="width m",
        alt=alt,
        x="angle of x and x′",
        y="kernel of x and x′",
        twin=twin,
        fixed=[limit],
        layout={"xaxis": QUARTERS},
    )


def depths(numbers: tuple[int, ...], *, alt: str, twin: str, count: int = 61) -> HTML:
    """Both kernels of infinitely wide ReLU networks, over their value at angle 0, with the depth on a slider.

    sigma_w^2 = 2 and no bias, so that the variance is the same in every layer. The depth counts hidden layers.
    """
    angles = np.linspace(0, np.pi, count)
    nngp = ntk = jnp.cos(jnp.asarray(angles))[None]
    choices = {}
    for depth in range(1, max(numbers) + 1):
        gate, defect = recursions.relu_layer(Cosines(1 - nngp, 1 + nngp))
        ntk, nngp = 1 - defect + gate * ntk, 1 - defect
        if depth in numbers:
            choices[f"{depth}"] = [
                line(
                    angles,
                    np.asarray(nngp[0]),
                    "only the read-out trained (NNGP)",
                    color=VERMILION,
                    width=3,
                    dash="dash",
                ),
                line(angles, np.asarray(ntk[0] / ntk[0, 0]), "all layers trained (NTK)", color=BLUE, width=3),
            ]
    return interactive.slider_figure(
        choices,
        name="depth-slider",
        label="hidden layers",
        alt=alt,
        x="angle of x and x′",
        y="kernel / its value at angle 0",
        twin=twin,
        layout={"xaxis": QUARTERS, "yaxis": {"range": (-0.12, 1.05)}},
    )
