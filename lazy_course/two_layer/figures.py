"""The figures of the chapter, drawn from its records."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lazy_course import style
from lazy_course.two_layer import readings
from lazy_course.two_layer.readings import Record

RED, BLUE = style.COLOURS["vermilion"], style.COLOURS["blue"]


def _banded(axis: Axes, x: np.ndarray, found: readings.Band, label: str, colour: str, line: str = "-") -> None:
    axis.plot(x, found.mean, label=label, color=colour, linestyle=line)
    low = np.maximum(found.mean - found.deviation, 1e-3 * found.mean)
    axis.fill_between(x, low, found.mean + found.deviation, color=colour, alpha=0.2, linewidth=0)


@style.styled
def against_tau(record: Record, linearized: Record) -> Figure:
    """Figure 1(c): test loss against tau with the linearized model's; below it kappa, with the level 1."""
    fig, (top, bottom) = style.figure(1, 2, height=3.3)
    tau = readings.taus(record)
    _banded(top, tau, readings.band(record, "test_end"), "end of training", style.COLOURS["black"])
    _banded(top, tau, readings.band(record, "test_best"), "best along training", style.COLOURS["blue"], "--")
    _banded(top, tau, readings.band(linearized, "test_end"), "linearized, end", style.COLOURS["vermilion"], "-.")
    _banded(top, tau, readings.band(linearized, "test_best"), "linearized, best", style.COLOURS["orange"], ":")
    top.set(xscale="log", ylabel="test loss")
    top.legend(loc="upper left")
    kappa = readings.kappas(record, linearized)
    bottom.loglog(tau, kappa, color=style.COLOURS["green"], label=r"$\kappa_h(w_0)$")
    bottom.axhline(1.0, color="0.35", linestyle=":", linewidth=1.4)
    bottom.set(xlabel=r"standard deviation $\tau$ of the initial weights", ylabel=r"$\kappa_h(w_0)$")
    for axis in (top, bottom):
        axis.axvline(kappa[0] ** 0.5 * tau[0], color="0.35", linestyle=":", linewidth=1.4)
        axis.set_xlim(tau[0], tau[-1])
    return fig


@style.styled
def against_width(record: Record) -> Figure:
    """Figure 2(a): end test loss against the width for both scales."""
    fig, axis = style.figure()
    m, bands = readings.widths(record)
    _banded(axis, m, bands["root"], r"$\alpha(m) = 1/\sqrt{m}$", style.COLOURS["vermilion"])
    _banded(axis, m, bands["mean"], r"$\alpha(m) = 1/m$", style.COLOURS["blue"], "--")
    axis.set(xscale="log", yscale="log", xlabel="width m", ylabel="test loss at the end")
    axis.legend()
    return fig


@style.styled
def population(record: Record, plateau: Record) -> Figure:
    """Figure 2(b): population loss against tau, the linearized floor, and where the loss was still falling."""
    fig, axis = style.figure()
    tau = readings.taus(record)
    unit = record["settings"]["teacher_scale"] ** -2
    _banded(axis, tau, readings.band(record, "test_end", factor=unit), "end of training", style.COLOURS["black"])
    floor = float(np.mean(plateau["values"]))
    axis.axhline(floor, color=style.COLOURS["vermilion"], linestyle="-.", label="linearized model, best")
    slow = readings.still_falling(record)
    for place in np.flatnonzero(slow).tolist():
        low = (tau[max(place - 1, 0)] * tau[place]) ** 0.5
        high = (tau[min(place + 1, len(tau) - 1)] * tau[place]) ** 0.5
        axis.axvspan(low, high, facecolor="none", edgecolor="0.6", hatch="//", linewidth=0)
    axis.set(xscale="log", xlabel=r"standard deviation $\tau$ of the initial weights", ylabel="population loss")
    axis.legend()
    return fig


def _plane(axis: Axes, record: Record, case: int) -> None:
    """One student in the plane: lines from start to end, dots at the end, the teacher's arrows, the unit circle."""
    positions, signs = np.asarray(record["positions"])[:, case], np.asarray(record["signs"])[case]
    angle = np.linspace(0, 2 * np.pi, 200)
    axis.plot(np.cos(angle), np.sin(angle), color="0.5", linestyle=":", linewidth=1.0)
    for j, sign in enumerate(signs):
        look: dict[str, Any] = {"color": RED if sign > 0 else BLUE}
        axis.plot(*positions[:, j].T, linestyle="-" if sign > 0 else "--", linewidth=0.8, **look)
        axis.plot(*positions[-1, j], marker="o" if sign > 0 else "s", markersize=4, **look)
    for arrow, sign in zip(record["teacher"], record["teacher_signs"], strict=True):
        look = {"color": RED if sign > 0 else BLUE, "width": 0.02, "head_width": 0.12, "length_includes_head": True}
        axis.arrow(0, 0, *arrow, alpha=0.6, **look)
    log, symmetrized = record["settings"]["cases"][case]
    axis.set_title(rf"$\tau$ = {10**log:.2g}" + ("" if symmetrized else ", not symmetrized"))
    axis.set_aspect("equal")
    axis.set(xticks=[], yticks=[])


@style.styled
def planes(record: Record, cases: tuple[int, ...], *, rows: int = 1) -> Figure:
    """The chosen cases of a record of trajectories side by side."""
    columns = -(-len(cases) // rows)
    fig, axes = style.figure(columns, rows, height=10.0 / columns if columns > 1 else 5.0)
    for axis, case in zip(np.ravel(axes), cases, strict=True):
        _plane(axis, record, case)
    return fig
