"""The figures of the chapter: each function draws what curves.py and flow.py computed, or what experiment.py kept."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lazy_course import style
from lazy_course.implicit_bias import bounds, experiment
from lazy_course.implicit_bias.curves import Excess, FitTimes, Plane
from lazy_course.implicit_bias.flow import DualPath, Path
from lazy_course.implicit_bias.numerics import Interpolation

BLUE, ORANGE, GREEN, VERMILION, PURPLE, BLACK = (
    style.COLOURS[name] for name in ("blue", "orange", "green", "vermilion", "purple", "black")
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def _line_of_solutions(axis: Axes, low: float, high: float) -> None:
    """The solutions of b1 + b2/2 = 1 between two values of b2."""
    second = np.array([low, high])
    axis.plot(1 - second / 2, second, color=BLACK, linestyle="-", linewidth=1.2)


@style.styled
def opening(planes: Sequence[Plane]) -> Figure:
    """Left: the paths of one network from starts of several sizes. Right: the level sets of Q_alpha where they end."""
    fig, (left, right) = style.figure(2, height=4.2)
    _line_of_solutions(left, -0.15, 0.62)
    _line_of_solutions(right, -1.4, 1.4)
    for plane, marker in zip(planes, MARKERS, strict=False):
        label = rf"$\alpha={plane.alpha:g}$"
        (line,) = left.plot(*plane.path.T, label=label)
        left.plot(*plane.limit, marker=marker, color=line.get_color(), markersize=7, linestyle="none", zorder=3)
        right.plot(*plane.level.T, color=line.get_color(), linestyle=line.get_linestyle(), label=label)
        right.plot(*plane.limit, marker=marker, color=line.get_color(), markersize=7, linestyle="none", zorder=3)
    left.annotate(r"$X\beta=y$", (0.71, 0.58), textcoords="offset points", xytext=(8, 0))
    left.set(
        xlabel=r"first entry of $\beta$",
        ylabel=r"second entry of $\beta$",
        title=r"paths $\beta(t)$ from $0$",
        xlim=(-0.02, 1.15),
        ylim=(-0.06, 0.65),
    )
    right.set(xlabel=r"first entry of $\beta$", title=r"level sets of $Q_\alpha$ through the ends", aspect="equal")
    left.legend(loc="upper left")
    return fig


@style.styled
def zero_error(paths: Mapping[float, Path | DualPath], rates: dict[float, float]) -> Figure:
    """L(t)/L(0) for several alpha (keys), solid, with the proved bound exp(-rate t), dotted in the same colour."""
    fig, axis = style.figure()
    for (alpha, path), marker in zip(paths.items(), MARKERS, strict=False):
        times, loss = np.asarray(path.times), np.asarray(path.loss)
        (line,) = axis.semilogy(
            times, loss / loss[0], linestyle="-", marker=marker, markevery=0.15, label=rf"$\alpha={alpha:g}$"
        )
        axis.semilogy(times, np.exp(-rates[alpha] * times), color=line.get_color(), linestyle=":", linewidth=1.3)
    axis.plot([], [], color="0.3", linestyle=":", linewidth=1.3, label="bound")
    axis.set(xlabel="flow time $t$", ylabel=r"$L(t)/L(0)$", ylim=(1e-12, 3))
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


@style.styled
def power(curves: dict[str, Excess], constants: dict[str, tuple[float, float]], logarithm: Any = None) -> Figure:
    r"""The excess against alpha for data with several c, with the two proved constants times alpha^(2(1-c)) as a band.

    `logarithm`: pairs (alpha, bound) of the bound for all X = (1, c), drawn if it is given.
    """
    fig, axis = style.figure(width=7.0, height=4.4)
    for (name, curve), marker in zip(curves.items(), MARKERS, strict=False):
        label = f"{name}: $c={curve.c:.3g}$, slope ${curve.slope(4):.3f}$ (theory ${2 * (1 - curve.c):.3f}$)"
        (line,) = axis.loglog(curve.alphas, curve.measured, marker=marker, linestyle="-", markersize=4, label=label)
        low, high = (constant * curve.alphas ** (2 * (1 - curve.c)) for constant in constants[name])
        axis.fill_between(curve.alphas, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    if logarithm is not None:
        axis.loglog(*np.asarray(logarithm).T, color=BLACK, linestyle="--", label="bound for all $X=(1,c)$")
    axis.set(xlabel=r"$\alpha$", ylabel=r"$\|\beta_\alpha\|_1-\|\beta_1\|_1$", ylim=(1e-26, 300))
    axis.legend(loc="lower right", fontsize=9)
    return fig


@style.styled
def solver(alphas: np.ndarray, found: Interpolation) -> Figure:
    """Residual and stationarity of the minimizer, and the Newton steps that each alpha took, against alpha."""
    fig, (left, right) = style.figure(2)
    scales = np.asarray(alphas)
    left.loglog(scales, np.asarray(found.residual), "-o", color=BLUE, label=r"$\max|X\beta-y|$")
    # 0 cannot be drawn on a logarithmic axis
    left.loglog(scales, np.maximum(found.stationarity, 1e-30), "--s", color=VERMILION, label="stationarity")
    left.axhline(1e-10, color="0.4", linewidth=1.0, linestyle=":")
    left.set(xlabel=r"$\alpha$", ylabel="largest error")
    left.legend(loc="lower left")
    right.semilogx(scales, np.diff(np.asarray(found.steps), prepend=0), "-o", color=GREEN)
    right.set(xlabel=r"$\alpha$", ylabel="Newton steps", ylim=(0, None))
    for axis in (left, right):
        axis.set_xticks(10.0 ** np.arange(-12, 7, 3))
    return fig


@style.styled
def times(panels: dict[str, FitTimes]) -> Figure:
    """For each data set a panel: the times to fit and to settle against alpha, between the two proved times."""
    fig, axes = style.figure(len(panels))
    for axis, (name, row) in zip(np.atleast_1d(axes), panels.items(), strict=True):
        axis.loglog(row.alphas, row.latest, ":", color=BLACK, label="proved: fitted before")
        axis.loglog(row.alphas, row.settled, "-o", color=VERMILION, markersize=4, label="settled")
        axis.loglog(row.alphas, row.fitted, "-s", color=BLUE, markersize=4, label="fitted")
        seen = row.earliest > 0
        axis.loglog(row.alphas[seen], row.earliest[seen], "--", color=BLACK, label="proved: not before")
        axis.set(xlabel=r"$\alpha$", title=name, ylim=(0.01, 3e7))
    np.atleast_1d(axes)[0].set_ylabel("flow time")
    np.atleast_1d(axes)[0].legend(fontsize=9)
    return fig


@style.styled
def sparse(record: dict[str, Any]) -> Figure:
    """Population error against alpha: the exact limit, and descent where public code stops it."""
    fig, axes = style.figure(2, height=4.2)
    alphas = np.asarray(record["settings"]["alphas"])
    titles = {"0.0": "no noise", "0.1": "noise of variance 0.01"}
    curves = (
        ("ten thousand steps", GREEN, "^", "after $10^4$ steps"),
        ("tolerance", ORANGE, "s", "stopped at a mean square of $10^{-4}$"),
        ("ten million steps", PURPLE, "v", "after $10^7$ steps"),
    )
    for axis, (noise, title) in zip(axes, titles.items(), strict=True):
        row = record["values"][noise]
        for name, colour, marker, label in curves:
            axis.loglog(
                alphas, row[name]["error"], color=colour, marker=marker, linestyle="--", markersize=4, label=label
            )
        first = row["exact"][record["settings"]["draw of the descents"]]
        axis.loglog(alphas, first["error"], color=BLUE, linestyle="-", linewidth=2.4, label="exact limit")
        axis.axhline(first["l2"], color=BLACK, linestyle=":", linewidth=1.2)
        axis.annotate("least $\\ell_2$ norm", (alphas[0], first["l2"]), xytext=(0, 4), textcoords="offset points")
        if float(noise) > 0:
            axis.axhline(first["l1"], color=BLACK, linestyle=":", linewidth=1.2)
            axis.annotate(
                "least $\\ell_1$ norm", (alphas[-1], first["l1"]), xytext=(0, 4), textcoords="offset points", ha="right"
            )
        axis.set(xlabel=r"$\alpha$", title=title)
        axis.set_ylim(top=4.0)
    axes[0].set_ylabel(r"population error $\|\beta-\beta^\star\|^2$")
    axes[0].legend(fontsize=9, loc="lower right")
    return fig


@style.styled
def samples(record: dict[str, Any], level: float = 0.1) -> Figure:
    """Left: population error against N for several alpha. Right: the N that brings it below a level, against alpha."""
    fig, (left, right) = style.figure(2, height=4.2)
    sizes, scales = np.asarray(record["settings"]["sizes"]), np.asarray(record["settings"]["alphas"])
    d, k = record["settings"]["d"], record["settings"]["k"]
    error = np.mean(np.asarray(record["values"]), axis=1)
    for alpha, marker in zip((10.0, 0.3, 0.1, 0.03, 0.01, 1e-4), MARKERS, strict=False):
        at = int(np.flatnonzero(np.isclose(scales, alpha))[0])
        left.semilogx(sizes, error[:, at], marker=marker, markersize=4, label=rf"$\alpha={alpha:g}$")
    left.semilogx(sizes, 1 - sizes / d, color=BLACK, linestyle=":", linewidth=1.4, label="$1-N/d$")
    left.set(xlabel="samples $N$", ylabel=r"population error", ylim=(0, None))
    left.legend(fontsize=9, loc="lower left")
    right.loglog(scales, experiment.needed(record, level), "-o", color=BLUE)
    for height, text in (
        ((1 - level) * d, f"${1 - level:g}\\,d$"),
        (bounds.statistical_dimension(d, k), r"statistical dimension $\delta$"),
    ):
        right.axhline(height, color=BLACK, linestyle=":", linewidth=1.2)
        right.annotate(text, (scales[0], height), xytext=(0, 4), textcoords="offset points")
    right.set(xlabel=r"$\alpha$", ylabel=f"$N$ for an error below {level:g}", ylim=(20, 1500))
    return fig


@style.styled
def recovery(record: dict[str, Any]) -> Figure:
    """Left: share of draws that find the target against N / delta. Right: the N of one half, and delta."""
    fig, (left, right) = style.figure(2, height=4.0)
    rows = record["values"]
    for row in rows:
        left.plot(np.asarray(row["sizes"]) / row["delta"], row["share"], color="0.6", linestyle="-", linewidth=0.9)
    ratios = np.asarray(record["settings"]["ratios"])
    left.plot(ratios, np.mean([row["share"] for row in rows], axis=0), color=BLUE, linestyle="-", linewidth=2.4)
    left.axvline(1.0, color=BLACK, linestyle=":", linewidth=1.2)
    left.set(xlabel=r"$N/\delta$", ylabel="share of draws that find $\\beta^\\star$")
    for k, marker, colour in ((2, "o", BLUE), (5, "s", VERMILION), (10, "^", GREEN)):
        chosen = [row for row in rows if row["k"] == k]
        found = [experiment.half(row) for row in chosen]
        bound = [2 * k * np.log(row["d"] / k) + 1.25 * k for row in chosen]
        right.plot(bound, found, marker=marker, color=colour, linestyle="none", label=f"$k={k}$")
        right.plot(bound, [row["delta"] for row in chosen], color=colour, linestyle="-", linewidth=1.0)
    right.plot([], [], color="0.3", linewidth=1.0, linestyle="-", label=r"$\delta$")
    right.set(
        xlabel=r"$2k\ln(d/k)+\frac{5}{4}k$", ylabel="$N$ that finds it half of the time", xlim=(0, None), ylim=(0, None)
    )
    right.legend()
    return fig


@style.styled
def depth(curves: dict[int, Excess], constants: dict[int, tuple[float, float]]) -> Figure:
    r"""The excess against alpha at several depths D (keys), with the two proved constants times its power as a band."""
    fig, axis = style.figure(width=7.0)
    for (deep, curve), marker in zip(curves.items(), MARKERS, strict=False):
        exponent = 2 * (1 - curve.c) if deep == 2 else float(deep)
        label = f"$D={deep}$: slope ${curve.slope():.3f}$ (theory ${exponent:.3f}$)"
        (line,) = axis.loglog(curve.alphas, curve.measured, marker=marker, linestyle="-", markersize=4, label=label)
        low, high = (constant * curve.alphas**exponent for constant in constants[deep])
        axis.fill_between(curve.alphas, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axis.set(xlabel=r"$\alpha$", ylabel=r"$\|\beta_\alpha\|_1-\|\beta_1\|_1$")
    axis.legend(loc="lower right", fontsize=10)
    return fig
