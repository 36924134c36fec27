"""Figures of the explicit bounds: the lazy end, and where descents with finite steps end."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from lazy_course import style
from lazy_course.implicit_bias import bounds, numerics
from lazy_course.implicit_bias.steps import Finished
from lazy_course.models import RealArray

BLUE, VERMILION = style.COLOURS["blue"], style.COLOURS["vermilion"]


@style.styled
def large_scale(X: Float[RealArray, "N d"], y: Float[RealArray, " N"], alphas: Float[RealArray, " A"]) -> Figure:
    r"""$\|\beta_\alpha - \beta_2\|$ and what its first correction leaves, each with its bound, against alpha^2."""
    fig, axis = style.figure()
    scales, least = np.asarray(alphas, dtype=float), np.asarray(numerics.minimum_l2(X, y))
    gaps = np.asarray(numerics.minimum_q_interpolator(X, y, scales)) - least
    rows = [bounds.large_scale(X, y, alpha) for alpha in scales]
    left = np.linalg.norm(gaps - np.stack([row.correction for row in rows]), axis=1)
    x = scales**2 / np.linalg.norm(least)
    valid = x >= 1
    axis.loglog(x, np.linalg.norm(gaps, axis=1), "-o", color=BLUE, markersize=4, label=r"$\|\beta_\alpha-\beta_2\|$")
    axis.loglog(x[valid], np.array([r.distance for r in rows])[valid], "--", color=BLUE, label="its bound")
    axis.loglog(x, left, "-s", color=VERMILION, markersize=4, label="after the correction")
    axis.loglog(x[valid], np.array([r.remainder for r in rows])[valid], "--", color=VERMILION, label="its bound")
    axis.axvline(1.0, color="0.5", linewidth=1.0, linestyle=":")
    axis.set(xlabel=r"$\alpha^2/\|\beta_2\|$", ylabel="distance")
    axis.legend()
    return fig


@style.styled
def finite_steps(ends: dict[str, Finished], limit: Float[RealArray, " d"], target: Float[RealArray, " d"]) -> Figure:
    """Left, the error of each descent and of the flow; right, its distance to two predictions of its end."""
    fig, (left, right) = style.figure(2)
    goal, flow_end = np.asarray(target), np.asarray(limit)
    left.axhline(np.linalg.norm(flow_end - goal), color="0.35", linestyle=":", label="flow")
    for (name, end), colour, marker in zip(ends.items(), (BLUE, VERMILION), ("o", "s"), strict=True):
        x, mark = end.fractions, {"color": colour, "marker": marker, "markersize": 5}
        error, moved, missed = (
            np.linalg.norm(end.beta - point, axis=1) for point in (goal[None], flow_end[None], end.predicted)
        )
        left.semilogx(x, error, linestyle="-", label=name, **mark)
        right.loglog(x, moved, linestyle="-", label=f"{name}: to the flow", **mark)
        right.loglog(x, missed, linestyle="--", markerfacecolor="white", label=f"{name}: to the shrunk start", **mark)
    label = "step / largest stable step"
    left.set(xlabel=label, ylabel=r"$\|\beta-\beta^\star\|$", ylim=(0, None))
    right.set(xlabel=label, ylabel="distance", ylim=(None, 300))
    left.legend(loc="lower left")
    right.legend(fontsize=9, loc="upper left")
    return fig
