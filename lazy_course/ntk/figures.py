"""The figures of the chapter: each function draws what the modules beside it measured."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lazy_course import style
from lazy_course.ntk import comparison, experiment
from lazy_course.ntk.random_features import Section

BLUE, ORANGE, GREEN, VERMILION, BLACK = (
    style.COLOURS[name] for name in ("blue", "orange", "green", "vermilion", "black")
)


@style.styled
def opening(record: dict[str, Any], *, width: int) -> Figure:
    """Mean and band of the prediction beside trained networks: before training, after a few steps, at the end."""
    e, kept = experiment.ENSEMBLE, record["values"][str(width)]
    angles = experiment.grid()
    theory = comparison.predicted(angles)
    mean, deviation = np.asarray(theory.mean), np.sqrt(np.maximum(np.diagonal(theory.covariance, axis1=1, axis2=2), 0))
    fig, axes = style.figure(3, height=3.8)
    panels = {0: "before training", 1: f"after {e.saved[1]} steps", len(e.saved) - 1: "at the end"}
    for axis, (at, title) in zip(axes, panels.items(), strict=True):
        axis.fill_between(
            angles,
            mean[at] - 2 * deviation[at],
            mean[at] + 2 * deviation[at],
            color=BLUE,
            alpha=0.2,
            linewidth=0,
            label="predicted mean ± 2 deviations",
        )
        axis.plot(angles, mean[at], color=BLUE, linestyle="-")
        found, spread = np.asarray(kept["grid_mean"])[at], np.asarray(kept["grid_deviation"])[at]
        for sign in (-2, 0, 2):
            label = f"the same of {e.draws} trained networks" if sign == 0 else None
            axis.plot(angles[::2], (found + sign * spread)[::2], "o", color=VERMILION, markersize=3, label=label)
        axis.plot(
            e.train_angles,
            np.asarray(experiment.circle_target(e.train_angles)),
            "s",
            color=BLACK,
            markersize=7,
            label="training data",
        )
        axis.set(title=title, xlabel="angle of the input (radians)", xlim=(-np.pi, np.pi), ylim=(-3.4, 3.4))
    for row in np.asarray(kept["functions"]):
        axes[2].plot(angles, row, color="0.45", linestyle="-", linewidth=0.6, zorder=1)
    axes[0].set_ylabel("output")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


@style.styled
def random_kernels(section: Section, errors: dict[str, Section]) -> Figure:
    """Left: random two-layer kernels of the widths 10, 100 and 1000, and their limit. Right: error against width."""
    fig, (left, right) = style.figure(2)
    looks = {10: (VERMILION, 0.15), 100: (ORANGE, 0.3), 1000: (GREEN, 0.6)}
    for m, (colour, opacity) in looks.items():
        draws = section.draws[section.widths.index(m)]
        low, high = np.quantile(np.asarray(draws), (0.05, 0.95), axis=0)
        left.fill_between(section.angles, low, high, color=colour, alpha=opacity, linewidth=0, label=f"$m = {m}$")
    left.plot(section.angles, section.limit, color=BLACK, linestyle="-", label="limit")
    left.set(xlabel=r"angle $\varphi$ of $x$ and $x'$", ylabel=r"$\Theta_m(x, x')$", xticks=[0, np.pi / 2, np.pi])
    left.set_xticklabels(["0", r"$\pi/2$", r"$\pi$"])
    left.legend()
    for (name, drawn), colour, marker in zip(errors.items(), (BLUE, VERMILION), ("o", "s"), strict=True):
        label = f"{name}: slope {drawn.slope:.2f}".replace("-", "−")
        right.loglog(drawn.widths, drawn.error, marker=marker, color=colour, linestyle="none", label=label)
        first, last = drawn.widths[0], drawn.widths[-1]
        right.plot((first, last), drawn.error[0] * np.array([1, (last / first) ** -0.5]), color=colour, linestyle=":")
    right.set(xlabel="width $m$", ylabel="root mean square error")
    right.legend()
    return fig


@style.styled
def steps_and_flow(times: np.ndarray, flow: np.ndarray, runs: dict[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Residual norms of the flow and of descent with several step sizes, against flow time."""
    fig, axis = style.figure()
    axis.semilogy(times, flow, color=BLACK, linestyle="-", label="flow")
    looks = zip(runs.items(), (BLUE, GREEN, ORANGE, VERMILION), ("o", "s", "^", "v"), strict=False)
    for (name, (at, residual)), colour, marker in looks:
        axis.semilogy(at, residual, marker=marker, markersize=4, color=colour, linewidth=1.0, label=name)
    axis.set(xlabel=r"flow time $t = \eta k$", ylabel=r"$\|f - y\|$", ylim=(1e-6, 10.0), xlim=(0, 20))
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


NAMES = {
    "gap": r"$\sup\|f - f^{\mathrm{lin}}\|$, training",
    "test_gap": r"$\sup\|f - f^{\mathrm{lin}}\|$, test",
    "displacement": "parameters",
    "drift": r"$\sup\|\hat\Theta - \hat\Theta_0\|$, training",
}


@style.styled
def suprema(record: dict[str, Any], kinds: dict[str, str], names: tuple[str, ...]) -> Figure:
    """Suprema against the width, one panel for each of the `kinds` (titles by kind): mean and range over draws.

    Dotted: C / sqrt(width) with the least C that is above the means.
    """
    fig, axes = style.figure(len(kinds))
    widths = np.asarray(record["settings"]["widths"], dtype=float)
    colours, markers = (BLUE, GREEN, BLACK, VERMILION), ("o", "^", "d", "s")
    for axis, (kind, title) in zip(np.atleast_1d(axes), kinds.items(), strict=True):
        for name, colour, marker in zip(names, colours, markers, strict=False):
            values = comparison.scaled(record, kind, name)
            middle = np.exp(np.log(values).mean(axis=1))
            axis.loglog(widths, middle, color=colour, marker=marker, markersize=4, linestyle="-", label=NAMES[name])
            axis.fill_between(widths, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.15, linewidth=0)
            above = np.max(middle * widths**0.5)
            axis.plot(widths, above * widths**-0.5, color=colour, linestyle=":", linewidth=1.2)
        axis.set(title=title, xlabel="width $m$")
    axes[0].set_ylabel(r"supremum over $R_0^2$ or $R_0$")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(names))
    return fig


@style.styled
def symmetry(record: dict[str, Any]) -> Figure:
    """The drift of the kernel and the gap of the outputs against the width, for three laws of the output weights."""
    fig, axes = style.figure(2)
    widths = np.asarray(record["settings"]["widths"], dtype=float)
    looks = {"ones": (VERMILION, "s"), "normal": (BLUE, "o"), "signs": (GREEN, "^")}
    for axis, name, title in zip(axes, ("drift", "gap"), ("kernel", "outputs"), strict=True):
        for law, (colour, marker) in looks.items():
            values = np.exp(np.log(comparison.scaled(record, law, name)).mean(axis=1))
            label = f"{law}: {comparison.slope(record, law, name).slope:.2f}".replace("-", "−")
            axis.loglog(widths, values, color=colour, marker=marker, markersize=5, linestyle="-", label=label)
        top = np.exp(np.log(comparison.scaled(record, "ones", name)).mean(axis=1))[0]
        axis.plot(widths, 1.3 * top * (widths / widths[0]) ** -0.5, color="0.35", linestyle=":", label="slope −1/2")
        axis.set(title=title, xlabel="width $m$")
        axis.legend(title="output weights: slope")
    axes[0].set_ylabel(r"supremum over $R_0^2$ or $R_0$")
    return fig
