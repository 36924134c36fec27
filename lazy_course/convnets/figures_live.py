"""What the chapter computes while its page is built, drawn or set as a table."""

import numpy as np
from matplotlib.figure import Figure

from lazy_course.convnets import mnist1d
from lazy_course.convnets.data import CLASSES
from lazy_course.convnets.figures import KINDS
from lazy_course.convnets.live import Growth, Kinks, Steps
from lazy_course.rounding import power
from lazy_course.style import COLOURS, LINES, figure, styled


@styled
def small_spectra(found: dict[str, Growth]) -> Figure:
    """Left: a small spectrum, live. Right: the gap after the tenth eigenvalue against the number of images."""
    fig, axes = figure(2)
    for (kind, part), colour, line in zip(found.items(), COLOURS.values(), LINES, strict=False):
        seen = part.values > 1e-9
        numbers = np.arange(1, len(part.values) + 1)[seen]
        axes[0].plot(numbers, part.values[seen], color=colour, linestyle=line, label=KINDS[kind])
        axes[1].plot(part.sizes, part.gaps, color=colour, linestyle=line, marker="o", markersize=4)
    axes[0].axvline(CLASSES + 0.5, color="0.35", linestyle=":", linewidth=1.4)
    alike = next(iter(found.values()))
    shown = alike.alike < 300
    label = "uniform, if all were alike"
    axes[1].plot(np.asarray(alike.sizes)[shown], alike.alike[shown], color="0.35", linestyle=":", label=label)
    axes[0].set(xscale="log", yscale="log", xlabel="number i of the eigenvalue", ylabel="eigenvalue / largest")
    axes[1].set(xscale="log", yscale="log", xlabel="images n", ylabel="λ₁₀ / λ₁₁", ylim=(1, 400))
    axes[1].set_xticks(alike.sizes, [str(size) for size in alike.sizes])
    axes[1].minorticks_off()
    axes[0].legend(loc="lower left", fontsize=9.5)
    axes[1].legend(loc="upper left", fontsize=9.5)
    return fig


def steps_table(found: Steps) -> str:
    """Training losses for steps on both sides of the limit, in Markdown."""
    lines = [
        "| step $\\eta$ | " + " | ".join(f"loss at $\\alpha = {_scale(alpha)}$" for alpha in found.alphas) + " |",
        "| ---: |" + " ---: |" * len(found.alphas),
    ]
    for rate, row in zip(found.rates, found.losses, strict=True):
        lines.append(f"| {rate:g} | " + " | ".join(_size(loss) for loss in row) + " |")
    return "\n".join(lines)


def kinks_table(found: Kinks) -> str:
    """Both starts in Markdown: what stands on a kink, and how far from linear the nets end at each scale."""
    scales = [f"$\\alpha = {_scale(alpha)}$" for alpha in found.alphas]
    lines = [
        "| start | on a kink | "
        + " | ".join(f"remainder, {scale}" for scale in scales)
        + f" | stability, {scales[-1]} |",
        "| --- | ---: |" + " ---: |" * (len(scales) + 1),
    ]
    for place, name in enumerate(("first", "second")):
        remainders = " | ".join(_size(value) for value in found.remainder[place])
        kept = 100 * found.stability[place, -1]
        lines.append(f"| {name} | {100 * found.share[place]:.0f} % | {remainders} | {kept:.0f} % |")
    return "\n".join(lines)


def _scale(alpha: float) -> str:
    return "1" if alpha == 1 else f"10^{{{np.log10(alpha):.0f}}}"


def _size(value: float) -> str:
    """A number in two digits; very large and very small ones with a power of ten."""
    return f"{value:.2g}" if 1e-3 <= value < 1e3 else power(value)


@styled
def examples() -> Figure:
    """MNIST-1D: for each digit the curve that it is made from, and two of its sequences."""
    curves, drawn = mnist1d.templates(), mnist1d.make()
    fig, axes = figure(5, 2, height=1.5)
    for digit, ax in enumerate(axes.flat):
        for sequence, colour, line in zip(drawn.x[drawn.y == digit][:2], ("blue", "orange"), LINES, strict=False):
            ax.plot(sequence, color=COLOURS[colour], linestyle=line, linewidth=1.2)
        ax.plot(np.linspace(0, 8, curves.shape[1]), 4.5 + 6 * curves[digit], color="0.35", linewidth=2.2, linestyle="-")
        ax.set(title=str(digit), xticks=[], yticks=[], ylim=(-4, 8))
        ax.grid(visible=False)
    return fig
