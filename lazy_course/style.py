"""One matplotlib style for every figure of the book: readable fonts, colours that survive grey print."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib
import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

P = ParamSpec("P")
T = TypeVar("T")

# Okabe and Ito's palette without its yellow, which is lost on white: distinct to colour-blind readers,
# and ordered so that neighbours differ in lightness when printed in grey.
COLOURS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermilion": "#D55E00",
    "sky": "#56B4E9",
    "purple": "#CC79A7",
    "black": "#000000",
}
CYCLE = tuple(COLOURS[name] for name in ("blue", "orange", "green", "vermilion", "purple", "sky", "black"))
LINES = ("-", "--", "-.", ":", (0, (3, 1, 1, 1)), (0, (5, 1)), (0, (1, 1)))

RC: Any = {
    "axes.prop_cycle": cycler(color=CYCLE) + cycler(linestyle=LINES),
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.alpha": 0.3,
    "font.size": 12.0,
    "axes.titlesize": 12.0,
    "axes.labelsize": 12.0,
    "legend.fontsize": 10.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "figure.dpi": 110,
    "savefig.bbox": "tight",
    # White behind every figure, so that black labels stay readable on the dark theme.
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Run a drawing function under the style of the book; the caller's own settings come back afterwards."""

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> T:
        with matplotlib.rc_context(RC):
            return draw(*args, **kwargs)

    return inside


def figure(columns: int = 1, rows: int = 1, *, width: float | None = None, height: float = 3.6) -> tuple[Figure, Any]:
    """Return a figure and its axes; call it inside a function decorated with `styled`, and return the figure.

    Args:
        columns, rows: the grid of axes; one by one gives a single `Axes`, else an array of them.
        width, height: inches of the whole figure and of one row.
    """
    # A page is about 7 inches wide: a figure of more than 10 would show its labels too small to read.
    size = (width or (6.4 if columns == 1 else min(4.6 * columns, 10.0)), height * rows)
    fig, axes = plt.subplots(rows, columns, figsize=size, layout="constrained")
    # pyplot wakes the notebook's figure display; closed, the figure is shown once: where the cell returns it.
    plt.close(fig)
    return fig, axes


def slope_guide(ax: Axes, x: tuple[float, float], y: float, slope: float, label: str) -> None:
    """Draw the line y (x / x0)^slope on log-log axes: the slope that a theorem predicts."""
    ax.plot(x, (y, y * (x[1] / x[0]) ** slope), color="0.35", linestyle=":", linewidth=1.4)
    ax.annotate(label, (x[1], y * (x[1] / x[0]) ** slope), textcoords="offset points", xytext=(4, 0), color="0.25")
