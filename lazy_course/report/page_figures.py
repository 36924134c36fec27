"""The figures of the page on reports that compare several: cases with each other, and costs with sizes."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lazy_course import style
from lazy_course.report import words
from lazy_course.report.record import LazinessReport

FLOOR = 1e-5  # where a share of 0 is drawn
MARKS = "osD^vP"


@style.styled
def compared(reports: dict[str, LazinessReport]) -> Figure:
    """Gap against kernel drift of several reports: predicted (hollow) joined to measured (full), and both limits.

    Shares below 1e-5 are drawn there. Raises `ValueError` for no report, or one without a measurement.
    """
    if not reports or any(found.measured is None for found in reports.values()):
        raise ValueError("reports: expected reports with a measurement; give trained_params or a budget")
    fig, ax = style.figure(width=7.2, height=4.4)
    for (name, found), colour, mark in zip(reports.items(), style.CYCLE, MARKS, strict=False):
        ends = [(max(r.gap, FLOOR), max(r.kernel_drift, FLOOR)) for r in (found.predicted, found.measured) if r]
        ax.plot(*np.transpose(ends), "-", color=colour, linewidth=1.0)
        ax.plot(*ends[0], mark, color=colour, fillstyle="none", markersize=9, markeredgewidth=1.8)
        ax.plot(*ends[1], mark, color=colour, markersize=9, label=f"{name}: {found.verdict}")
    for share in (words.SMALL, words.LARGE):
        ax.axvline(share, color="0.45", linestyle=":", linewidth=1.4)
        ax.axhline(share, color="0.45", linestyle=":", linewidth=1.4)
    ax.set(xscale="log", yscale="log", xlabel="linearization gap (share)", ylabel="kernel drift (share)")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


@style.styled
def costs(by_parameters: list[dict[str, Any]], by_samples: list[dict[str, Any]]) -> Figure:
    """Seconds of a report against parameters (left) and samples (right): the first in a process, and one more."""
    fig, axes = style.figure(2, height=3.6)
    for ax, rows, field in ((axes[0], by_parameters, "parameters"), (axes[1], by_samples, "samples")):
        for effort, mark in (("quick", "o"), ("full", "s")):
            seen = [row for row in rows if row["effort"] == effort]
            for when, fill in (("first", "full"), ("again", "none")):
                if seen:
                    label = f"{effort}, {'with compilation' if when == 'first' else 'again'}"
                    at, seconds = [row[field] for row in seen], [row[when] for row in seen]
                    ax.plot(at, seconds, marker=mark, fillstyle=fill, markersize=7, label=label)
        ax.set(xscale="log", yscale="log", xlabel=field, ylabel="seconds")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


COLUMNS = ("case", "verdict", "kappa at least", "condition number", "gap (%)", "kernel drift (%)", "loss left (%)")


def table(reports: dict[str, LazinessReport]) -> str:
    """The numbers of several reports that a reader compares, as Markdown: gap and drift predicted, then measured.

    Raises `ValueError` for a report without a measurement.
    """
    lines = [" | ".join(COLUMNS), " | ".join("---" for _ in COLUMNS)]
    for name, found in reports.items():
        m = found.measured
        if m is None:
            raise ValueError(f"reports: {name!r} has no measurement; give trained_params or a budget")
        gap, drift = (
            f"{100 * getattr(found.predicted, field):.2g}, {100 * getattr(m, field):.2g}"
            for field in ("gap", "kernel_drift")
        )
        start = f"{found.kappa[0]:.2g} | {found.condition_number:.2g}"
        left = f"{100 * m.loss_end / m.loss_start:.2g}"
        lines.append(" | ".join([name, found.verdict, start, gap, drift, left]))
    return "\n".join(f"| {line} |" for line in lines)


def cost_table(reports: list[dict[str, Any]], monitors: list[dict[str, Any]]) -> str:
    """What reports and monitors cost, as a Markdown table."""
    lines = ["| what | parameters | seconds | besides |", "|" + " --- |" * 4]
    for r in reports:
        seconds = f"{r['first']} ({r['again']} again)"
        lines.append(f"| report, {r['effort']} | {r['parameters']} | {seconds} | peak {r['peak_mib']} MiB |")
    for m in monitors:
        seconds = f"{m['seconds_watched']} ({m['seconds_alone']} alone)"
        share = f"{m['records']} records, {100 * m['cost']:.1f} % of the time"
        lines.append(f"| {m['steps']} watched steps | {m['parameters']} | {seconds} | {share} |")
    return "\n".join(lines)
