"""The figures and tables of the chapter: each function draws what the modules beside it measured."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from lazy_course import style
from lazy_course.uniform_bounds.metrics import Ratios
from lazy_course.uniform_bounds.sharp import SharpGap
from lazy_course.uniform_bounds.surface import Case, Settled, Slide, surface

BLUE, VERMILION, GREEN, BLACK = (style.COLOURS[name] for name in ("blue", "vermilion", "green", "black"))


@style.styled
def two_starts(degenerate: Settled, regular: Settled, alphas: tuple[float, ...]) -> Figure:
    """The parameter gap of the smallest example against flow time, from a start of rank 1 and from one of rank 2.

    `alphas` are those drawn, out of the ones that were run.
    """
    fig, axes = style.figure(2)
    titles = ("start $(0,0)$: rank 1, jumps to 2", "start $(1,0)$: rank 2")
    for axis, settled, title in zip(axes, (degenerate, regular), titles, strict=True):
        for alpha, times, w, linear in zip(
            settled.alphas, settled.times, settled.params, settled.linearized_params, strict=True
        ):
            if alpha in alphas:
                axis.loglog(times[1:], np.linalg.norm(w - linear, axis=1)[1:], label=rf"$\alpha={alpha:g}$")
        axis.set(title=title, xlabel="flow time $t$", ylim=(1e-6, 4.0), xlim=(1e-1, None))
    axes[0].set_ylabel(r"$\|w_\alpha-\bar w_\alpha\|$")
    axes[0].legend(loc="lower right")
    return fig


@style.styled
def lemma_ratios(ratios: Ratios, tight: tuple[float, float]) -> Figure:
    """Histograms of measured over bound for both lemmas, with the constructed cases as vertical lines."""
    fig, axes = style.figure(2)
    names = ("Lemma B.1: distance to the minimizer", "Lemma B.2: distance of the two paths")
    for axis, values, name, best in zip(axes, ratios, names, tight, strict=True):
        axis.hist(np.asarray(values), bins=np.linspace(0, 1, 41), color=BLUE, label="200 drawn cases")
        axis.axvline(best, color=VERMILION, linestyle="--", label=f"constructed: {best:.3f}")
        axis.axvline(1.0, color=BLACK, linestyle="-", linewidth=1.0)
        axis.set(title=name, xlabel="measured / bound", xlim=(0, 1.05))
        axis.legend()
    axes[0].set_ylabel("cases")
    return fig


@style.styled
def no_logarithm(gaps: dict[str, Any]) -> Figure:
    """The largest parameter gap against alpha, and alpha^2 times it over its last value, beside a logarithm."""
    alphas = np.asarray(gaps["settings"]["alphas"])
    fig, (plain, scaled) = style.figure(2)
    for (name, values), colour, line in zip(
        gaps["values"].items(), (BLUE, VERMILION, GREEN), ("-", "--", "-."), strict=True
    ):
        for weight, row in zip(gaps["settings"]["weights"], np.asarray(values["parameter_gap"]), strict=True):
            look = {"marker": "s" if weight else "o", "markersize": 4, "color": colour, "linestyle": line}
            if weight == 0:
                plain.loglog(alphas, row / alphas**2, label=name, **look)
            scaled.semilogx(alphas, row / row[-1], label=f"{name}, c = {weight:g}", **look)
    logs = np.log(alphas) / np.log(alphas[3])
    plain.loglog(alphas, 0.5 * logs / alphas**2, color="0.4", linestyle=":", label=r"$\log(\alpha)/\alpha^2$, scaled")
    scaled.semilogx(alphas, logs, color="0.4", linestyle=":", label=r"$\log\alpha$, set to 1 at $\alpha=100$")
    plain.set(xlabel=r"$\alpha$", ylabel=r"$\sup_t\|w_\alpha-\bar w_\alpha\|$")
    scaled.set(xlabel=r"$\alpha$", ylabel=r"$\alpha^2\sup_t\|w_\alpha-\bar w_\alpha\|$ / last", ylim=(0.8, 2.6))
    plain.legend(fontsize=9)
    scaled.legend(loc="upper left", fontsize=8)
    return fig


@style.styled
def bounds_beside(gaps: dict[str, Any], steps: dict[str, Any]) -> Figure:
    """The constants of both theorems beside the measured alpha^2 sup, six cases; for c = 0 that of the sharp gap."""
    fig, axis = style.figure(height=3.8)
    names = list(steps["values"])
    measured = [steps["values"][name]["path"][-1][1] for name in names]
    rows = np.arange(len(names))
    for key, colour, shift, label in (
        ("uniform", VERMILION, 0.2, "chain (12, 30)"),
        ("path", BLUE, -0.2, "path length"),
    ):
        bound = [steps["values"][name][key][-1][2] for name in names]
        axis.barh(rows + shift, bound, height=0.36, left=1e-2, color=colour, label=f"bound by {label}")
    axis.plot(measured, rows, "k|", markersize=24, markeredgewidth=3, label="measured")
    axis.set(xscale="log", xlabel=r"$\alpha^2\sup_t\|w_\alpha-\bar w_\alpha\|$", yticks=rows, yticklabels=names)
    axis.set_xlim(1e-2, None)
    axis.legend(loc="upper center", bbox_to_anchor=(0.4, -0.26), ncols=3)
    return fig


@style.styled
def onsets(pessimism: dict[str, Any]) -> Figure:
    """Certified thresholds over the alpha where convergence starts, against the width and the number of samples."""
    fig, axes = style.figure(2)
    rows = pessimism["values"]
    series = ([r for r in rows if r["n"] == 3], [r for r in rows if r["m"] == 32])
    for axis, chosen, size, label in zip(axes, series, ("m", "n"), ("width $m$", "samples $n$"), strict=True):
        chosen = sorted(chosen, key=lambda row: row[size])
        x = [row[size] for row in chosen]
        for key, name in (("uniform", r"$\|y^\star\|/C_0$"), ("path", r"$\alpha_1$")):
            ratios = np.array([np.asarray(row[key]) / np.asarray(row["onset"]) for row in chosen])
            (line,) = axis.loglog(x, np.nanmedian(ratios, axis=1), marker="o", label=name)
            axis.fill_between(x, np.nanmin(ratios, 1), np.nanmax(ratios, 1), color=line.get_color(), alpha=0.2)
        axis.set(xlabel=label, xticks=x, xticklabels=[str(v) for v in x])
        axis.minorticks_off()
        axis.set_ylim(bottom=1.5)
    axes[0].set_ylabel("certified threshold / onset")
    axes[0].legend(loc="lower center", ncols=2)
    return fig


@style.styled
def image_and_plane(case: Case, settled: Settled, alphas: tuple[float, ...] = (1.0, 8.0)) -> Figure:
    """The surface alpha h, its tangent plane at 0, the paths of both flows and the target, one panel for each alpha."""
    fig = plt.figure(figsize=(9.2, 4.6), layout="constrained")
    plt.close(fig)
    target = np.asarray(case.loss.target)
    for j, alpha in enumerate(alphas):
        axis: Any = fig.add_subplot(1, len(alphas), j + 1, projection="3d")
        patch, at = surface(case, alpha, low=-0.8, high=0.8), int(np.argmin(np.abs(settled.alphas - alpha)))
        axis.plot_surface(*patch.image, color=BLUE, alpha=0.35, linewidth=0)
        axis.plot_wireframe(*patch.plane, color="0.6", linewidth=0.5, rstride=4, cstride=4)
        axis.plot(*settled.outputs[at].T, color=BLUE, linestyle="-", linewidth=2.5, label="model, on the surface")
        axis.plot(*settled.linearized_outputs[at].T, color=BLACK, linestyle="--", label="linearized, on the plane")
        axis.scatter(*target, color=VERMILION, s=60, marker="*", label="target", depthshade=False)
        axis.set(title=rf"$\alpha={alpha:g}$", xlabel="$y_1$", ylabel="$y_2$", zlabel="$y_3$")
        axis.view_init(elev=18, azim=-62)
        axis.locator_params(nbins=4)
    fig.legend(*fig.axes[0].get_legend_handles_labels(), loc="lower center", ncols=3)
    return fig


@style.styled
def eight(curve: np.ndarray, target: np.ndarray, path: Slide, loss: tuple[np.ndarray, np.ndarray]) -> Figure:
    """The figure eight in the plane with the path of the flow, and the loss along its parameter."""
    fig, (plane, line) = style.figure(2)
    plane.plot(
        *(path.alpha * curve), color="0.6", linestyle="-", linewidth=1.2, label=rf"$\alpha h$, $\alpha={path.alpha:g}$"
    )
    plane.plot(*path.outputs.T, color=BLUE, linestyle="-", linewidth=3.5, label="path of the flow from 0")
    plane.plot(*target, "*", color=VERMILION, markersize=13, label="target")
    plane.set(xlim=(-1.6, 1.6), ylim=(-2.4, 2.4), xlabel="$y_1$", ylabel="$y_2$")
    line.semilogy(*loss, color="0.5", linestyle="-")
    line.plot(path.params[-1], path.loss[-1], "o", color=BLUE, label=f"flow ends: {path.loss[-1]:.3f}")
    lowest = int(np.argmin(loss[1]))
    line.plot(loss[0][lowest], loss[1][lowest], "*", color=VERMILION, markersize=12, label=f"{loss[1][lowest]:.1e}")
    line.set(xlabel="$w$", ylabel=r"$R(\alpha h(w))$")
    plane.legend(fontsize=9, loc="upper right")
    line.legend(loc="lower left")
    return fig


@style.styled
def rates(alphas: np.ndarray, measured: np.ndarray, limit: float) -> Figure:
    """The measured rate of convergence against alpha, with the rate of the linearized flow."""
    fig, axis = style.figure()
    axis.semilogx(alphas, measured, marker="o", label="measured, late times")
    axis.axhline(limit, color=VERMILION, linestyle="--", label=r"$m\sigma_+^2$")
    axis.set(xlabel=r"$\alpha$", ylabel="rate, in 1 / flow time", ylim=(0, None))
    axis.legend()
    return fig


@style.styled
def dimensions(measured: dict[str, Any]) -> Figure:
    """What the tangent features leave of a teacher against their number, for several dimensions."""
    fig, axis = style.figure()
    widths = np.asarray(measured["settings"]["widths"])
    for d, rows in measured["values"].items():
        axis.loglog(widths * (int(d) + 1), np.maximum(np.mean(rows, axis=1), 1e-7), marker="o", label=f"$d={d}$")
    axis.set(xlabel="parameters $p=m(d+1)$", ylabel="share of the variance left", ylim=(1e-4, 1.5))
    axis.legend()
    return fig


def steps_table(rows: list[tuple[str, float, float]]) -> str:
    """The steps of a proof as a Markdown table: measured, bound, and how many times too large."""
    lines = ["| step | measured | bound | factor |", "| --- | --- | --- | --- |"]
    lines += [f"| {name} | {_rounded(m)} | {_rounded(b)} | {_rounded(b / m)} |" for name, m, b in rows]
    return "\n".join(lines)


def limits_table(gaps: dict[str, Any], limits: dict[str, Any]) -> str:
    """The scaled gap at the largest alpha beside its limit sup |v1|, as a Markdown table."""
    lines = [
        r"| model | $c$ | $\alpha^2\sup_t\lVert w_\alpha-\bar w_\alpha\rVert$ at $10^5$ | $\sup_t\lVert v_1\rVert$ |",
        "| --- | --- | --- | --- |",
    ]
    for name, values in gaps["values"].items():
        for weight, row, limit in zip(
            gaps["settings"]["weights"], values["parameter_gap"], limits["values"][name], strict=True
        ):
            lines.append(f"| {name} | {weight:g} | {row[-1]:.6f} | {limit:.6f} |")
    return "\n".join(lines)


def sharp_table(seen: SharpGap) -> str:
    """The scaled gap of the complex square beside both bounds, as a Markdown table."""
    lines = [
        r"| $\alpha$ | $\alpha^2\sup_t\lVert w_\alpha-\bar w_\alpha\rVert$ | sharp bound | bound (iv) |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {alpha:g} | {m:.5f} | {s:.5f} | {p:.5f} |" for alpha, m, s, p in zip(*seen, strict=True)]
    return "\n".join(lines)


def _rounded(value: float) -> str:
    """Three digits, and a large number as a product with a power of ten."""
    if value < 1e5:
        return f"{float(f'{value:.3g}'):g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return rf"${mantissa}\cdot10^{{{int(exponent)}}}$"
