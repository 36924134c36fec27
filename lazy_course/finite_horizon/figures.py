"""The figures of the chapter: each function draws what numerics, draws or comparisons measured."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lazy_course import style
from lazy_course.finite_horizon.numerics import Measured, rates, slopes
from lazy_course.models import RealArray

EXPECTED = {"travel": -1, "output gap": -1, "parameter gap": -2}
SYMBOLS = {
    "travel": r"$\|w_\alpha-w_0\|$",
    "output gap": r"$\|y-\bar y\|$",
    "parameter gap": r"$\|w_\alpha-\bar w_\alpha\|$",
}


@style.styled
def paths(alphas: RealArray, linear: RealArray, nonlinear: RealArray) -> Figure:
    """Both paths in a plane of parameter space, magnified by alpha: one panel an alpha."""
    columns = 3
    fig, axes = style.figure(columns, -(-len(alphas) // columns), height=3.0)
    for axis, alpha, path in zip(axes.flat, alphas, nonlinear, strict=True):
        axis.plot(*linear.T, color="0.55", linestyle="--", linewidth=3.0, label="linearized")
        axis.plot(*path.T, color=style.COLOURS["blue"], linestyle="-", label="model")
        axis.plot(*path[-1], "o", color=style.COLOURS["blue"], markersize=5)
        axis.plot(*linear[-1], "s", color="0.45", markersize=5)
        axis.set_title(rf"$\alpha = {alpha:g}$")
    for axis in axes.flat[1:]:
        axis.sharex(axes.flat[0])
        axis.sharey(axes.flat[0])
    axes.flat[0].legend(loc="best")
    fig.supxlabel(r"$\alpha\,(w-w_0)$ along $v_0(T)$")
    fig.supylabel(r"across it, towards $v_1(T)$")
    return fig


@style.styled
def gap_over_time(measured: Measured, limit: Any) -> Figure:
    """The output gap against flow time, plain and multiplied by alpha, with the limit from the first correction."""
    fig, (plain, scaled) = style.figure(2)
    t = measured.times[0]
    for alpha, gap in zip(measured.alphas, measured.output_gap, strict=True):
        (line,) = plain.semilogy(t[1:], gap[1:] / alpha, label=rf"$\alpha={alpha:g}$")
        scaled.plot(t, gap, color=line.get_color(), linestyle=line.get_linestyle())
    predicted = np.linalg.norm(limit.output_correction, axis=1)
    scaled.plot(limit.times, predicted, color="0.25", linestyle=":", linewidth=3.0, label="first correction")
    plain.set(xlabel="flow time $t$", ylabel=r"$\|y-\bar y\|$")
    scaled.set(xlabel="flow time $t$", ylabel=r"$\alpha\,\|y-\bar y\|$")
    plain.legend(ncols=2, fontsize=9)
    scaled.legend()
    return fig


@style.styled
def three_rates(measured: Measured) -> Figure:
    """The three quantities of Theorem 2.2 against alpha on log-log axes, with their fitted slopes."""
    fig, axis = style.figure()
    fitted, alphas = slopes(measured), measured.alphas
    for (name, values), marker in zip(rates(measured).items(), "osD", strict=True):
        axis.loglog(alphas, values, marker=marker, label=f"{SYMBOLS[name]}, slope {fitted[name]:.3f}")
        start = 2.5 * float(values[0])
        style.slope_guide(axis, (float(alphas[0]), float(alphas[-2])), start, EXPECTED[name], f"{EXPECTED[name]}")
    axis.set(xlabel=r"scale $\alpha$", ylabel=r"sup over $[0, T]$")
    axis.legend()
    return fig


@style.styled
def envelopes(curves: dict[str, RealArray]) -> Figure:
    """The scaled output gap under the convex bound and under the Gronwall envelope, and how loose both are."""
    fig, (axis, ratio) = style.figure(2)
    t = np.asarray(curves["times"])[1:]
    names = {"measured": "measured", "convex": "convex loss", "gronwall": "Gronwall"}
    for name, label in names.items():
        (line,) = axis.semilogy(t, np.asarray(curves[name])[1:], label=label)
        if name != "measured":
            looseness = np.asarray(curves[name])[1:] / np.asarray(curves["measured"])[1:]
            ratio.semilogy(t, looseness, label=label, color=line.get_color(), linestyle=line.get_linestyle())
    axis.set(xlabel="horizon $T$ (flow time)", ylabel=r"$\alpha\,\|y-\bar y\|$ at $T$")
    ratio.set(xlabel="horizon $T$ (flow time)", ylabel="bound / measured")
    axis.legend()
    ratio.legend()
    return fig


@style.styled
def tightness(draws: dict[str, dict[str, Any]]) -> Figure:
    """Measured over bound at T for every drawn problem against K (the record's "draws"), outputs and parameters."""
    fig, axes = style.figure(2)
    for axis, name in zip(axes, ("output", "parameter"), strict=True):
        for (kind, found), marker in zip(draws.items(), "o^", strict=True):
            axis.loglog(found["K"], found["at T"][name], marker, markersize=4, alpha=0.7, linestyle="none", label=kind)
        axis.axhline(1.0, color="0.25", linewidth=1.4, linestyle="-")
        axis.set(xlabel="iteration number $K$", ylabel="measured / bound", title=SYMBOLS[f"{name} gap"], ylim=(1e-5, 2))
    axes[1].legend(loc="lower left")
    return fig


@style.styled
def change_of_time(pair: dict[str, RealArray]) -> Figure:
    """Entries of both flows of a homogeneous model: apart at equal times, on one curve at matching times."""
    fig, (wrong, right) = style.figure(2)
    entries = [0, 3, 7]
    for entry, colour in zip(entries, style.CYCLE, strict=False):
        for axis, clock in ((wrong, pair["clock"]), (right, pair["times"])):
            axis.plot(pair["times"], pair["from_output"][:, entry], color=colour, linestyle="-")
            axis.plot(clock, pair["from_weights"][:, entry], "o", color=colour, markersize=4, markevery=4)
    wrong.set(xlabel="each flow's own time", ylabel="weights", title="before the change of time")
    right.set(xlabel=r"$t$ (dots: $s=\alpha^{2/q-2}\,t$)", title="after it")
    wrong.plot([], [], "-", color="0.3", label=r"$\alpha^{1/q} w_\alpha$")
    wrong.plot([], [], "o", color="0.3", markersize=4, linestyle="none", label=r"$u$, from $\alpha^{1/q}w_0$")
    wrong.legend()
    return fig


@style.styled
def held_out(alphas: RealArray, gaps: RealArray, limit: RealArray, bound: float) -> Figure:
    """The largest gap over new points against alpha, its limit, and the bound of the repaired Prop. A.1."""
    fig, (axis, rest) = style.figure(2)
    axis.loglog(alphas, gaps.max(1) / alphas, "o-", label="measured")
    axis.loglog(alphas, np.max(limit) / alphas, "--", label="first correction")
    axis.loglog(alphas, bound / alphas, "-.", label="bound")
    axis.set(xlabel=r"scale $\alpha$", ylabel="largest gap at new points")
    axis.legend()
    difference = np.abs(gaps - np.asarray(limit)[None]).max(1) / alphas
    rest.loglog(alphas[:5], difference[:5], "s-", color=style.COLOURS["green"])
    style.slope_guide(rest, (float(alphas[0]), float(alphas[4])), 2.5 * float(difference[0]), -2, "-2")
    rest.set(xlabel=r"scale $\alpha$", ylabel="gap minus first correction")
    return fig
