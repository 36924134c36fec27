"""The chapter's figures, each drawn from a record of `experiment`."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lazy_course.convnets.data import CLASSES
from lazy_course.convnets.readings import Record, finite, kappa_of, lazy_end, of_width
from lazy_course.style import COLOURS, LINES, figure, slope_guide, styled


def _band(ax: Axes, x: np.ndarray, rows: np.ndarray, label: str, colour: str, line: Any) -> None:
    ax.plot(x, rows.mean(axis=0), color=COLOURS[colour], linestyle=line, label=label, marker="o", markersize=4)
    ax.fill_between(x, rows.min(axis=0), rows.max(axis=0), color=COLOURS[colour], alpha=0.2, linewidth=0)


def _with_infinity(ax: Axes, alphas: np.ndarray) -> float:
    """Mark the decades of a scale and, one decade beyond the last, infinity; returns that place."""
    decades = np.arange(np.log10(alphas[0]).round(), np.log10(alphas[-1]).round() + 2)
    labels = [f"$10^{{{decade:.0f}}}$" for decade in decades[:-1]]
    ax.set_xscale("log")
    ax.set_xticks(10**decades, [*labels, "∞"])
    ax.minorticks_off()
    return float(10 ** decades[-1])


@styled
def interpolation(record: Record) -> Figure:
    """Figure 3(a): accuracies and stability of activations against alpha, beside what learns no features."""
    (study,) = record["studies"]
    fig, ax = figure(width=8.0, height=4.6)
    rows = (("train_accuracy", "train accuracy", "blue"), ("test_accuracy", "test accuracy", "vermilion"))
    for (name, label, colour), line in zip(rows, LINES, strict=False):
        alphas, values = finite(study, name)
        _band(ax, alphas, 100 * values, label, colour, line)
    alphas, values = finite(study, "stability")
    _band(ax, alphas, 100 * values, "stability of activations", "green", LINES[2])
    beyond = _with_infinity(ax, alphas)
    for name, colour in (("train_accuracy", "blue"), ("test_accuracy", "vermilion")):
        ends = 100 * lazy_end(study, name)
        ax.plot(np.full(len(ends), beyond), ends, "s", color=COLOURS[colour], markersize=6, clip_on=False)
    features = 100 * float(np.mean([pair[1] for pair in study["baselines"]["random_features"]]))
    linear = 100 * study["baselines"]["linear"][1]
    for height, label, line in ((features, "random features, test", ":"), (linear, "linear model, test", "-.")):
        ax.axhline(height, color="0.35", linestyle=line, linewidth=1.4, label=label)
    ax.set(xlabel="scale α (∞: the linearized model)", ylabel="percent", ylim=(0, 103))
    ax.legend(loc="center", bbox_to_anchor=(0.55, 0.34), ncols=2, fontsize=9.5)
    return fig


@styled
def end_losses(record: Record) -> Figure:
    """Figure 7(a): losses at the end of the trainings of Figure 3(a)."""
    rows = [row for row in record["rows"] if row["alpha"] != "linearized"]
    alphas = np.unique([row["alpha"] for row in rows])
    fig, ax = figure()
    for (name, colour), line in zip((("train", "blue"), ("test", "vermilion")), LINES, strict=False):
        values = np.asarray([[row[name] for row in rows if row["alpha"] == alpha] for alpha in alphas]).T
        _band(ax, alphas, values, f"{name} loss", colour, line)
        bar = [row[name] for row in record["rows"] if row["alpha"] == "linearized"]
        ax.plot(np.full(len(bar), _with_infinity(ax, alphas)), bar, "s", color=COLOURS[colour], clip_on=False)
    ax.set(xlabel="scale α (∞: the linearized model)", ylabel="mean square loss", ylim=(0, None))
    ax.legend()
    return fig


@styled
def against_width(record: Record) -> Figure:
    """Figure 3(b), laptop: test accuracy of standard and linearized networks against their width."""
    titles = {"mnist1d": "1-D net, MNIST-1D", "digits": "VGG-11, digits", "cifar10": "CIFAR-10"}
    studies = record["studies"]
    fig, axes = figure(len(studies))
    for ax, study in zip(np.atleast_1d(axes), studies, strict=True):
        widths = study["settings"]["widths"]
        parts = [of_width(study, width) for width in widths]
        standard = np.stack([finite(part, "test_accuracy")[1][:, 0] for part in parts], axis=1)
        lazy = np.stack([lazy_end(part, "test_accuracy") for part in parts], axis=1)
        _band(ax, np.asarray(widths), 100 * standard, "standard", "blue", "-")
        _band(ax, np.asarray(widths), 100 * lazy, "linearized", "orange", "--")
        features = 100 * float(np.mean([pair[1] for pair in study["baselines"]["random_features"]]))
        ax.axhline(features, color="0.35", linestyle=":", label="random features")
        network = "channels" if study["settings"]["network"] == "sequence" else "factor of the channels"
        ax.set(xscale="log", xlabel=network, title=titles[study["settings"]["data"]])
        ax.set_xticks(widths, [f"{w:g}" if w >= 1 else f"1/{1 / w:g}" for w in widths])
        ax.minorticks_off()
    np.atleast_1d(axes)[0].set_ylabel("test accuracy, percent")
    np.atleast_1d(axes)[0].legend(loc="best", fontsize=9.5)
    return fig


KINDS = {"uniform": "uniform random pixels", "photographs": "crops of photographs", "cifar10": "CIFAR-10"}


@styled
def eigenvalues(record: Record) -> Figure:
    """Figure 7(b): the eigenvalues of the tangent kernel, divided by the largest one."""
    fig, ax = figure(width=7.0, height=4.2)
    for (kind, part), colour, line in zip(record["spectra"].items(), COLOURS.values(), LINES, strict=False):
        values = np.asarray(part["values"])
        seen = values > 1e-9
        ax.plot(np.asarray(part["indices"])[seen], values[seen], color=colour, linestyle=line, label=KINDS[kind])
    for last in (1, 2, 3):
        ax.axvline(last * CLASSES + 0.5, color="0.35", linestyle=":", linewidth=1.4)
        ax.annotate(str(last * CLASSES), (last * CLASSES + 0.5, 1e-6), rotation=90, ha="right", color="0.25")
    slope_guide(ax, (40.0, 1000.0), 0.05, -1.0, "slope -1")
    ax.set(xscale="log", yscale="log", xlabel="number i of the eigenvalue", ylabel="eigenvalue / largest")
    ax.legend()
    return fig


@styled
def shares(record: Record) -> Figure:
    """How much of each of the first eigenvectors is constant over the images, up to a vector of outputs."""
    spectra = record["spectra"]
    fig, axes = figure(len(spectra), height=3.0)
    for ax, (kind, part) in zip(np.atleast_1d(axes), spectra.items(), strict=True):
        heights = np.asarray(part["constant"])
        colours = [COLOURS["blue"] if i < CLASSES else COLOURS["orange"] for i in range(len(heights))]
        ax.bar(np.arange(1, len(heights) + 1), heights, color=colours)
        ax.set(xlabel="number i of the eigenvector", ylim=(0, 1.05), title=KINDS[kind])
        ax.set_xticks([1, 5, 10, 15, 20])
    np.atleast_1d(axes)[0].set_ylabel("share in 1 ⊗ R¹⁰")
    return fig


@styled
def exact_flow(record: Record, trained: Record) -> Figure:
    """The linearized model along its gradient flow, with the end of its descent marked."""
    times = np.asarray([np.nan if t is None else t for t in record["times"]])
    order = np.argsort(times[:-1])
    fig, ax = figure(width=7.0)
    for name, colour, line in (("train_accuracy", "blue", "-"), ("test_accuracy", "vermilion", "--")):
        values = 100 * np.asarray(record[name])
        label = name.replace("_", " ")
        ax.plot(times[:-1][order], values[:-1][order], color=COLOURS[colour], linestyle=line, label=label)
        ax.axhline(values[-1], color=COLOURS[colour], linestyle=":", linewidth=1.2)
        run = record["settings"]["run"]
        ax.plot(times[-2], 100 * lazy_end(trained["studies"][0], name)[run], "s", color=COLOURS[colour])
    ax.set(xscale="log", xlabel="flow time t (squares: descent; dotted: infinite time)", ylabel="percent")
    ax.legend()
    return fig


@styled
def onset(trained: Record, measured: Record) -> Figure:
    """How far trained networks are from lazy, against alpha, beside the bracket of kappa."""
    (study,) = trained["studies"]
    fig, ax = figure(width=7.0)
    for (name, label, colour), line in zip(
        (
            ("linearization_gap", "to the linearized model's outputs", "blue"),
            ("remainder", "to its own linearization", "green"),
        ),
        LINES,
        strict=False,
    ):
        alphas, values = finite(study, name)
        _band(ax, alphas, np.maximum(values, 1e-8), label, colour, line)
    bracket = kappa_of(measured, "sequence", study["settings"]["widths"][0], 100)
    ax.axvspan(*bracket, color=COLOURS["orange"], alpha=0.3, linewidth=0, label="κ, lower to upper")
    slope_guide(ax, (100.0, 1e5), 0.2, -1.0, "slope -1")
    ax.set(xscale="log", yscale="log", xlabel="scale α", ylabel="relative distance on test inputs")
    ax.legend(fontsize=9.5)
    return fig


@styled
def changes(measured: Record) -> Figure:
    """The change of Dh over a finite step, divided by the step, for the ReLU and its smooth twins."""
    chosen = ("sequence", 25, 100, 0)
    rows = [r for r in measured["rows"] if (r["network"], r["width"], r["n"], r["run"]) == chosen]
    fig, ax = figure(width=7.0)
    for row, colour, line in zip(sorted(rows, key=lambda r: r["sharpness"]), COLOURS.values(), LINES, strict=False):
        label = f"softplus, sharpness {row['sharpness']:g}" if row["sharpness"] else "ReLU"
        ax.plot(row["steps"], row["change"], color=colour, linestyle=line, marker="o", markersize=4, label=label)
        ax.plot(row["steps"][0] / 3, row["hessian"][0], "<", color=colour)
    ax.set(xscale="log", yscale="log", xlabel="‖s‖ / ‖w₀‖ (triangles: ‖D²h‖, lower end)")
    ax.set_ylabel("‖Dh(w₀+s) − Dh(w₀)‖ / ‖s‖")
    ax.legend(fontsize=9.5)
    return fig


@styled
def kappa_against_width(measured: Record) -> Figure:
    """The bracket of kappa against the number of parameters: the sequence net, and VGG-11 up to its full width."""
    fig, ax = figure(width=7.0)
    for network, n, colour, label in (
        ("sequence", 100, "blue", "1-D net, 100 sequences"),
        ("vgg11", 4, "vermilion", "VGG-11, 4 images"),
    ):
        rows = [r for r in measured["rows"] if (r["network"], r["n"], r["sharpness"]) == (network, n, 0.0)]
        for row in rows:
            ends = [row["parameters"]] * 2
            ax.plot(ends, row["kappa"], color=COLOURS[colour], linestyle="-", marker="_", markersize=10)
        ax.plot([], [], color=COLOURS[colour], linestyle="-", label=label)
    ax.set(xscale="log", yscale="log", xlabel="number of parameters", ylabel="κ, lower to upper")
    ax.set_yticks([0.5, 1, 2, 4, 8], ["0.5", "1", "2", "4", "8"])
    ax.minorticks_off()
    ax.legend()
    return fig


@styled
def twins(trained: Record, smooth: Record) -> Figure:
    """How far trained networks are from their own linearization, against alpha: with the ReLU, and without kinks."""
    fig, ax = figure(width=7.0)
    sharpness = smooth["studies"][0]["settings"]["sharpness"]
    names = ("ReLU", f"softplus, sharpness {sharpness:g}")
    for record, label, colour, line in zip((trained, smooth), names, ("blue", "vermilion"), LINES, strict=False):
        alphas, values = finite(record["studies"][0], "remainder")
        _band(ax, alphas, values, label, colour, line)
    slope_guide(ax, (30.0, 3e4), 0.3, -0.5, "slope -1/2")
    slope_guide(ax, (30.0, 1e6), 0.05, -1.0, "slope -1")
    ax.set(xscale="log", yscale="log", xlabel="scale α", ylabel="remainder / its linear part")
    ax.legend()
    return fig
