"""The figures of a report and of a monitor."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lazy_course import style
from lazy_course.report import words

if TYPE_CHECKING:
    from lazy_course.report.monitor import LazinessMonitor
    from lazy_course.report.record import LazinessReport

ROWS = {
    "gap": "linearization gap",
    "kernel_drift": "kernel drift",
    "jacobian_drift": "drift of Dh",
    "relative_displacement": "displacement / |w0|",
}
FLOOR = 1e-8


def _zones(ax: Axes) -> None:
    """Where the verdict changes, as lines with a word."""
    for share, name in ((words.SMALL, "lazy below"), (words.LARGE, "not lazy above")):
        # The verdict looks at the first two rows only.
        ax.plot((share, share), (-1.4, 0.6), color="0.45", linestyle=":", linewidth=1.4)
        ax.annotate(
            name, (share, 1.0), xycoords=("data", "axes fraction"), rotation=90, ha="right", va="top", fontsize=9,
            color="0.25", xytext=(-2, -4), textcoords="offset points",
        )  # fmt: skip


@style.styled
def report(found: "LazinessReport") -> Figure:
    """Left, the eigenvalues of the kernel; right, predicted and measured shares with the verdict's two limits."""
    fig, (left, right) = style.figure(2, height=3.8)
    values = np.array(found.eigenvalues)
    shown = values[values > 0]
    left.loglog(np.arange(1, shown.size + 1), shown, "o-", markersize=3)
    left.set(xlabel="number", ylabel="eigenvalue of the kernel", title=f"rank {found.rank} of {values.size}")
    for i, field in enumerate(ROWS):
        predicted = max(getattr(found.predicted, field), FLOOR)
        right.plot(predicted, -i, "o", color=style.COLOURS["blue"], markersize=8, label="predicted" if i == 0 else None)
        if found.measured is not None:
            value = max(getattr(found.measured, field), FLOOR)
            right.plot(
                value, -i, "s", color=style.COLOURS["vermilion"], markersize=8, fillstyle="none", markeredgewidth=2,
                label="measured" if i == 0 else None,
            )  # fmt: skip
    right.set_xscale("log")
    right.set_yticks(-np.arange(len(ROWS)), list(ROWS.values()))
    right.set(ylim=(-len(ROWS) + 0.4, 0.6), xlabel="share (dimensionless)", title=found.verdict)
    low, high = right.get_xlim()
    right.set_xlim(min(low, 0.5 * words.SMALL), max(high, 2 * words.LARGE))
    _zones(right)
    fig.legend(loc="outside lower right", ncols=2)
    return fig


@style.styled
def history(monitor: "LazinessMonitor") -> Figure:
    """Gap and drift against steps, as far as they are recorded."""
    fig, ax = style.figure(height=3.4)
    steps = np.array([row.step for row in monitor.rows])
    for field in ("gap", "jacobian_drift", "relative_displacement"):
        values = np.array([getattr(row, field) for row in monitor.rows])
        seen = np.isfinite(values) & (values > 0)
        ax.plot(steps[seen], values[seen], marker="o", markersize=3, label=ROWS[field])
    ax.axhline(words.SMALL, color="0.45", linestyle=":", linewidth=1.4)
    ax.axhline(words.LARGE, color="0.45", linestyle=":", linewidth=1.4)
    ax.set(xlabel="step", ylabel="share (dimensionless)", yscale="log")
    ax.legend(loc="best")
    return fig
