"""The figures of the chapter, drawn from its records."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lazy_course import style
from lazy_course.rounding import power
from lazy_course.two_layer import readings
from lazy_course.two_layer.readings import Record

RED, BLUE = style.COLOURS["vermilion"], style.COLOURS["blue"]
GUIDE: dict[str, Any] = {"color": "0.35", "linestyle": ":", "linewidth": 1.4}
STANDARD = r"standard deviation $\tau$ of the initial weights"


def _banded(axis: Axes, x: np.ndarray, found: readings.Band, label: str, colour: str, line: str = "-") -> None:
    axis.plot(x, found.mean, label=label, color=colour, linestyle=line)
    low = np.maximum(found.mean - found.deviation, 1e-3 * found.mean)
    axis.fill_between(x, low, found.mean + found.deviation, color=colour, alpha=0.2, linewidth=0)


@style.styled
def against_tau(record: Record, linearized: Record) -> Figure:
    """Figure 1(c): test loss against tau with the linearized model's; below it kappa, on the same axis of tau."""
    fig, (top, bottom) = style.figure(1, 2, width=7.2, height=3.3)
    tau = readings.taus(record)
    _banded(top, tau, readings.band(linearized, "test_end"), "linearized, end", RED, "-.")
    _banded(top, tau, readings.band(linearized, "test_best"), "linearized, best", style.COLOURS["orange"], ":")
    _banded(top, tau, readings.band(record, "test_end"), "network, end", style.COLOURS["black"])
    _banded(top, tau, readings.band(record, "test_best"), "network, best", BLUE, "--")
    top.set(xscale="log", ylabel="test loss", ylim=(0, None))
    top.ticklabel_format(axis="y", style="sci", scilimits=(-3, -3))
    fig.legend(*top.get_legend_handles_labels(), loc="outside upper center", ncols=4, columnspacing=1.0)
    kappa = readings.kappas(record, linearized)
    bottom.loglog(tau, kappa, color=style.COLOURS["green"], linestyle="-")
    bottom.axhline(1.0, **GUIDE)
    bottom.set(xlabel=STANDARD, ylabel=r"$\kappa_h(w_0)$")
    marks = {
        r"$\kappa = 1$": kappa[0] ** 0.5 * tau[0],
        "half of\nthe loss": readings.half_way(record),
        "lazy\nto 5 %": readings.lazy_from(record, linearized),
    }
    for label, at in marks.items():
        bottom.annotate(label, (at, kappa[0]), textcoords="offset points", xytext=(4, 2), va="top", color="0.25")
        for axis in (top, bottom):
            axis.axvline(at, **GUIDE)
    for axis in (top, bottom):
        axis.set_xlim(tau[0], tau[-1])
    return fig


@style.styled
def against_width(record: Record) -> Figure:
    """Figure 2(a): test loss and training loss at the end against the width, for both scales."""
    fig, axes = style.figure(2, height=3.9)
    for axis, name, label in zip(axes, ("test_end", "train_end"), ("test loss", "training loss"), strict=True):
        m, bands = readings.widths(record, name)
        _banded(axis, m, bands["root"], r"$\alpha(m) = 1/\sqrt{m}$", RED)
        _banded(axis, m, bands["mean"], r"$\alpha(m) = 1/m$", BLUE, "--")
        axis.set(xscale="log", yscale="log", xlabel="width m", ylabel=label)
    axes[0].legend()
    return fig


@style.styled
def population(record: Record, plateau: Record) -> Figure:
    """Figure 2(b): population loss at the end against tau with the linearized model's, and the ways there."""
    fig, (left, right) = style.figure(2, height=4.4)
    tau, floor = readings.taus(record), float(np.mean(plateau["values"]))
    slow = readings.still_falling(record, floor)
    for place in np.flatnonzero(slow).tolist():
        low = (tau[max(place - 1, 0)] * tau[place]) ** 0.5
        high = (tau[min(place + 1, len(tau) - 1)] * tau[place]) ** 0.5
        left.axvspan(low, high, facecolor="none", edgecolor="0.7", hatch="//", linewidth=0)
    ends = readings.band({"jobs": [{"test_end": row} for row in plateau["test_end"]]}, "test_end")
    _banded(left, tau, ends, "linearized, as many steps", RED, "-.")
    left.axhline(floor, color=style.COLOURS["orange"], linestyle=":", label="linearized, infimum")
    found = readings.band(record, "test_end", factor=readings.unit_factor(record))
    _banded(left, tau, found, "network, end", style.COLOURS["black"])
    left.set(xscale="log", yscale="log", xlabel=r"$\tau$", ylabel="population loss")
    steps = np.asarray(record["steps"])[1:]
    for place, curve in enumerate(readings.mean_curves(record)[:, 1:]):
        colour = "0.75" if not slow[place] else style.COLOURS["purple"]
        right.loglog(steps, curve, color=colour, linestyle="-", linewidth=1.8 if slow[place] else 1.2)
    right.plot([], [], color=style.COLOURS["purple"], linestyle="-", label=r"$\tau$ of the slow region")
    right.plot([], [], color="0.75", linestyle="-", label=r"other $\tau$")
    right.set(xlabel="steps", ylim=left.get_ylim())
    handles = [*left.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    fig.legend(handles=handles, loc="outside upper center", ncols=3)
    return fig


@style.styled
def planes(record: Record, cases: tuple[int, ...], *, rows: int = 1, closer: float = 0.0) -> Figure:
    """The chosen cases of a record of trajectories side by side; `closer`: half width of an inset in the first."""
    columns = len(cases) // rows
    fig, axes = style.figure(columns, rows, height=9.6 / columns + 0.45)
    for axis, case in zip(np.ravel(axes), cases, strict=True):
        reach = 1.08 * max(1.05, float(np.abs(np.asarray(record["positions"])[:, case]).max()))
        _plane(axis, record, case, reach)
        log, symmetrized = record["settings"]["cases"][case]
        axis.set_title(rf"$\tau$ = {10**log:.2g}" + (", symmetrized" if symmetrized else ", not symmetrized"))
    if closer:
        inset = np.ravel(axes)[0].inset_axes((0.56, 0.02, 0.42, 0.42))
        _plane(inset, record, cases[0], closer)
        np.ravel(axes)[0].indicate_inset_zoom(inset, edgecolor="0.3")
    return fig


def _plane(axis: Axes, record: Record, case: int, reach: float) -> None:
    """One student in the plane: lines from start to end, marks at the end, the teacher's arrows, the unit circle."""
    positions, signs = np.asarray(record["positions"])[:, case], np.asarray(record["signs"])[case]
    size = 5.0 if len(signs) < 50 else 3.5
    angle = np.linspace(0, 2 * np.pi, 200)
    axis.plot(np.cos(angle), np.sin(angle), zorder=4, **GUIDE)
    for arrow, sign in zip(record["teacher"], record["teacher_signs"], strict=True):
        drawn: dict[str, Any] = {
            "color": RED if sign > 0 else BLUE,
            "width": 0.02,
            "head_width": 0.12,
            "length_includes_head": True,
        }
        axis.arrow(0, 0, *arrow, alpha=0.5, zorder=1, **drawn)
    for j, sign in enumerate(signs):
        colour = RED if sign > 0 else BLUE
        axis.plot(*positions[:, j].T, color=colour, linestyle="-" if sign > 0 else "--", linewidth=1.0)
        look: dict[str, Any] = {"marker": "o" if sign > 0 else "s", "markersize": size, "markeredgecolor": "white"}
        axis.plot(*positions[-1, j], color=colour, markeredgewidth=0.5, **look)
    axis.set_aspect("equal")
    axis.grid(False)
    axis.set(xticks=[], yticks=[], xlim=(-reach, reach), ylim=(-reach, reach))
    for side in ("top", "right"):
        axis.spines[side].set_visible(True)


def learning_table(record: Record, taus: tuple[float, ...]) -> str:
    """How much of the student lies along the teacher, how far the weights moved, and the loss, as MyST text."""
    lines = [
        r"| $\tau$ | along the teacher at the start | and at the end | relative way | signs changed | training loss |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for tau in taus:
        case = readings.case_at(record, tau)
        shares = [f"{100 * readings.aligned(record, case, at=at):.0f}\u00a0%" for at in (0, -1)]
        moved, flips = record["moved"][case], record["flips"][case]
        of = len(record["signs"][case])
        lines.append(
            f"| {tau:g} | {' | '.join(shares)} | {moved:.2g} | {flips} of {of} | {power(record['train_end'][case])} |"
        )
    return "\n".join(lines)
