"""The figures of the chapter on the criterion. They take numbers and draw them; nothing is computed here."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from lazy_course import style
from lazy_course.criterion.training import ExamplePath, Opening
from lazy_course.criterion.width import WidthStatistics


@style.styled
def opening(runs: Mapping[str, Opening]) -> Figure:
    """One column a run: the fit beside its linearized twin above, the neurons before and after below."""
    fig, axes = style.figure(len(runs), 2, width=9.2, height=3.3)
    for column, (title, run) in enumerate(runs.items()):
        top, bottom = axes[:, column]
        top.plot(run.grid, run.trained, color=style.COLOURS["blue"], linestyle="-", label="trained")
        top.plot(run.grid, run.twin, color=style.COLOURS["vermilion"], linestyle="--", label="linearized twin")
        top.plot(*run.data.T, "ko", markersize=5, label="data")
        top.set(title=title, xlabel="input z", ylabel="output", ylim=(-1.6, 1.6))
        before, after = run.neurons_before, run.neurons_after
        for start, end in zip(before, after, strict=True):
            bottom.plot(*np.stack([start, end]).T, color="0.6", linestyle="-", linewidth=0.9)
        bottom.plot(*before.T, "o", color=style.COLOURS["black"], markersize=3.5, label="before")
        bottom.plot(*after.T, "D", color=style.COLOURS["orange"], markersize=3.5, label="after")
        bottom.set(xlabel="|b| a, first coordinate", ylabel="second coordinate")
    axes[0, 0].legend(loc="lower right")
    axes[1, -1].legend(loc="upper right")
    return fig


@style.styled
def first_order_errors(steps: np.ndarray, errors: Mapping[str, np.ndarray]) -> Figure:
    """Relative errors of first-order formulas against the step size, with a guide of slope 1."""
    fig, ax = style.figure()
    for marker, (label, error) in zip("os^", errors.items(), strict=False):
        ax.loglog(steps, error, marker=marker, label=label)
    lowest = min(float(np.min(error)) for error in errors.values())
    style.slope_guide(ax, (float(min(steps)), float(max(steps))), lowest / 3, 1.0, "slope 1")
    ax.set(xlabel=r"step size $\eta$ in units of $1/\|Dh(w_0)\|^2$", ylabel="relative error (dimensionless)")
    ax.legend()
    return fig


@style.styled
def alignments(cases: Mapping[str, np.ndarray], least: np.ndarray) -> Figure:
    """Histograms of the alignment chi for several kinds of labels, and the median of its least value."""
    fig, ax = style.figure()
    hatches = ("", "//", "..")
    bins = np.linspace(0, 1, 41)
    for name, hatch, (label, values) in zip(("blue", "orange"), hatches, cases.items(), strict=False):
        ax.hist(values, bins=bins, alpha=0.65, color=style.COLOURS[name], hatch=hatch, label=label)
    ax.axvline(float(np.median(least)), color="k", linestyle=":", label="least possible (median)")
    ax.set(xlabel=r"alignment $\chi$ (dimensionless)", ylabel="number of draws", xlim=(0, 1))
    ax.legend(loc="upper center")
    return fig


@style.styled
def blind_spots(paths: Mapping[str, ExamplePath]) -> Figure:
    """Residuals of the smallest example and of its linearization, one panel a case."""
    fig, axes = style.figure(len(paths), width=9.2)
    for ax, (title, path) in zip(axes, paths.items(), strict=True):
        ax.plot(path.steps, path.residual, color=style.COLOURS["blue"], linestyle="-", label="trained")
        ax.plot(path.steps, path.linearized, color=style.COLOURS["vermilion"], linestyle="--", label="linearized")
        ax.set(title=title, xlabel="step", ylabel=r"$\|y - y^\star\|$", ylim=(0, 1.05))
        ax.locator_params(axis="x", nbins=4)
        ax.legend()
    return fig


@style.styled
def scales(alphas: np.ndarray, curves: Mapping[str, np.ndarray], limits: Sequence[float] | np.ndarray = ()) -> Figure:
    """Kappa of alpha h against alpha, with the limits it tends to."""
    fig, ax = style.figure()
    for marker, (label, kappas) in zip("os^", curves.items(), strict=False):
        ax.loglog(alphas, kappas, marker=marker, markersize=4, label=label)
    for limit in limits:
        ax.axhline(limit, color="0.35", linestyle=":", linewidth=1.4)
        ax.annotate("limit", (alphas[0], limit), textcoords="offset points", xytext=(2, 4), color="0.25")
    ax.set(xlabel=r"scale $\alpha$", ylabel=r"$\kappa_{\alpha h}(w_0)$ (dimensionless)")
    ax.legend()
    return fig


@style.styled
def homogeneous(lambdas: np.ndarray, bounded: Mapping[int, np.ndarray], free: Mapping[int, np.ndarray]) -> Figure:
    """Kappa at lambda w0 for degrees q: the symmetrized models left, the plain ones right."""
    fig, axes = style.figure(2, width=9.2)
    for ax, curves, title in zip(axes, (bounded, free), ("symmetrized: h = 0", "plain: h grows"), strict=True):
        for marker, (q, kappas) in zip("os^D", curves.items(), strict=True):
            ax.loglog(lambdas, kappas, marker=marker, markersize=4, label=f"q = {q}")
        ax.set(title=title, xlabel=r"$\lambda$", ylabel=r"$\kappa_h(\lambda w_0)$ (dimensionless)")
    axes[0].legend()
    axes[1].set_ylim(0.1, 10)
    return fig


SCALINGS = {-1.0: r"$\alpha = 1/m$", -0.5: r"$\alpha = 1/\sqrt{m}$", 0.0: r"$\alpha = 1$"}


@style.styled
def widths(
    cases: Mapping[str, WidthStatistics], target: Any, bounds: Mapping[str, Mapping[float, np.ndarray]], from_width: int
) -> Figure:
    """Mean kappa over draws against m, bars of one standard deviation, and the theorem's bound (dotted)."""
    fig, axes = style.figure(len(cases), width=9.2, height=4.0)
    for ax, (title, case) in zip(axes, cases.items(), strict=True):
        for marker, (scaling, label) in zip("os^", SCALINGS.items(), strict=True):
            kappas = np.asarray(case.kappa(target, scaling))
            line = ax.errorbar(
                case.widths, kappas.mean(0), kappas.std(0), marker=marker, markersize=4, capsize=2, label=label
            )
            kept = case.widths >= from_width
            ax.plot(
                case.widths[kept], bounds[title][scaling][kept], color=line[0].get_color(), linestyle=":", linewidth=1.3
            )
        ax.set(title=title, xlabel="width m", ylabel=r"$\kappa$ (dimensionless)", xscale="log", yscale="log")
    axes[0].legend(loc="lower left")
    low = min(ax.get_ylim()[0] for ax in axes)
    high = max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(low, high)
    return fig


@style.styled
def curvature_growth(cases: Mapping[str, WidthStatistics], guide: np.ndarray) -> Figure:
    """The largest block of D2h against m for bounded and for normal output weights."""
    fig, ax = style.figure()
    for marker, (label, case) in zip("os", cases.items(), strict=True):
        values = case.hessian_lower
        ax.errorbar(case.widths, values.mean(0), values.std(0), marker=marker, capsize=2, label=label)
    widths_drawn = next(iter(cases.values())).widths
    ax.plot(widths_drawn, guide, color="0.35", linestyle=":", label=r"a multiple of $\sqrt{2\log(2m)}$")
    ax.set(xlabel="width m", xscale="log", ylabel=r"$\max_i \|D^2\phi(\theta_i)\|$", ylim=(0, None))
    ax.legend()
    return fig


@style.styled
def lazy_map(widths_drawn: Sequence[int], log10_alphas: Sequence[float], columns: Mapping[str, np.ndarray]) -> Figure:
    """Kappa and the gap over (m, alpha), medians over draws, on one colour scale; the line is kappa = 1."""
    fig, axes = style.figure(2, width=9.8, height=4.2)
    kappa = np.median(columns["kappa"], axis=-1)
    titles = {"kappa": r"$\kappa_{\alpha h}(w_0)$", "gap": r"$\max_t \|y - \bar y\| / \|y^\star\|$"}
    x, y = np.log2(widths_drawn), np.asarray(log10_alphas)
    for ax, (name, title) in zip(axes, titles.items(), strict=True):
        values = np.log10(np.median(columns[name], axis=-1)).T
        image = ax.pcolormesh(x, y, values, cmap="cividis", vmin=-3, vmax=2, shading="nearest")
        ax.contour(x, y, np.log10(kappa).T, levels=[0.0], colors="white", linewidths=2.4)
        ax.set(title=title, xlabel="width m", ylabel=r"scale $\alpha$")
        ax.set_xticks(x, [str(m) for m in widths_drawn])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"$10^{{{value:g}}}$"))
        ax.grid(False)
    bar = fig.colorbar(image, ax=axes, extend="both", shrink=0.9)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"$10^{{{value:g}}}$"))
    bar.set_label("dimensionless")
    return fig


@style.styled
def map_scatter(columns: Mapping[str, np.ndarray]) -> Figure:
    """The gap against kappa for every cell and draw of the map."""
    fig, ax = style.figure()
    kappa, gap = columns["kappa"].ravel(), columns["gap"].ravel()
    ax.loglog(kappa, gap, "o", markersize=3, color=style.COLOURS["blue"], alpha=0.5)
    ax.axvline(1.0, color="k", linestyle=":")
    ax.set(xlabel=r"$\kappa_{\alpha h}(w_0)$ (dimensionless)", ylabel="gap (dimensionless)")
    return fig
