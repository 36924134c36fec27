"""The figure of the chapter that a reader moves (it needs plotly, which the bare package does not)."""

import jax.numpy as jnp
import numpy as np
from IPython.display import HTML

from lazy_course import interactive, style
from lazy_course.interactive import line
from lazy_course.preliminaries import numerics

BLUE, ORANGE = style.COLOURS["blue"], style.COLOURS["orange"]


def descents(sizes: tuple[float, ...], *, alt: str, twin: str, horizon: float = 8.0) -> HTML:
    """The path of descent up to flow time `horizon` with the step size on a slider, beside the flow, in the valley."""
    start, loss = numerics.valley_start(), numerics.valley_loss()
    count = round(horizon / min(sizes))
    choices = {}
    for size in sizes:
        # The same number of steps for all, so that one compiled function serves them; then cut at the horizon.
        path = numerics.descent_path(numerics.valley, start, loss, step=size, steps=count)
        kept = np.asarray(path)[: round(horizon / size) + 1]
        descent = line(kept[:, 0], kept[:, 1], "gradient descent", color=ORANGE, width=1.5)
        choices[f"{size:g}"] = [descent.update(mode="lines+markers", marker={"size": 6, "color": ORANGE})]
    flow = numerics.flow_path(numerics.valley, start, loss, times=jnp.linspace(0.0, horizon, 321))
    # F = norm(h)^2 / 2, so these are the levels of F = 0.05, 0.25, 0.75, 1.75 and of the start.
    levels = [(2 * value) ** 0.5 for value in (0.05, 0.25, 0.75, 1.75)] + [2.5]
    rings = [np.asarray(numerics.valley_level(radius, count=121)) for radius in levels]
    fixed = [line(ring[:, 0], ring[:, 1], "level lines of F", color="#9a9a9a", width=1) for ring in rings]
    for other in fixed[1:]:
        other.update(showlegend=False)
    fixed.append(line(flow[:, 0], flow[:, 1], "gradient flow", color=BLUE, width=3.5))
    return interactive.slider_figure(
        choices,
        name="valley-slider",
        label="step η",
        alt=alt,
        x="w₁",
        y="w₂",
        twin=twin,
        fixed=fixed,
        start=len(sizes) // 2,
        layout={"height": 500, "xaxis": {"range": (-2.0, 2.0)}, "yaxis": {"range": (-1.5, 1.6)}},
    )
