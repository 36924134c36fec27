"""The still picture of a plotly figure, drawn with matplotlib: what print and a page without JavaScript show."""

import io
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from lazy_course import style

# A pixel of plotly in points of matplotlib: the book's letters are 15 pixels there and 11 points here.
POINTS = 11 / 15
DASHES: dict[str | None, Any] = {None: "-", "solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "star": "*", "x": "x"}


@style.styled
def png(figure: go.Figure) -> bytes:
    """Return the traces of a plotly figure that are visible, as a PNG at two pixels a point of the page.

    Lines and markers of `go.Scatter`, areas with `fill="toself"`, titles, ranges, logarithmic axes, ticks and the equal
    scale of both axes are drawn; the page shows the picture 720 pixels wide.

    Raises `ValueError` for a trace that is no `go.Scatter`.
    """
    fig, ax = style.figure(width=7.2, height=figure.layout.height / 100)
    for trace in figure.data:
        if trace.visible in (None, True):
            _draw(ax, trace)
    for which, axis in (("x", figure.layout.xaxis), ("y", figure.layout.yaxis)):
        _lay_out(ax, which, axis)
    if figure.layout.yaxis.scaleanchor:
        ax.set_aspect("equal", adjustable="box")
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        fig.legend(handles, labels, loc="outside upper left", ncols=min(len(handles), 4))
    target = io.BytesIO()
    fig.savefig(target, format="png", dpi=140, bbox_inches=fig.bbox_inches)
    return target.getvalue()


def _draw(ax: Axes, trace: Any) -> None:
    if not isinstance(trace, go.Scatter):
        raise ValueError(f"traces: expected go.Scatter, got {type(trace).__name__}; a still picture knows no other")
    x, y = (np.asarray([np.nan if v is None else v for v in values], dtype=float) for values in (trace.x, trace.y))
    label = trace.name if trace.name and trace.showlegend is not False else None
    mode, opacity = trace.mode or "lines", 1.0 if trace.opacity is None else trace.opacity
    if trace.fill == "toself":
        ax.fill(x, y, color=trace.fillcolor, alpha=opacity, linewidth=0, label=label)
        return
    size, symbol = trace.marker.size or 6, trace.marker.symbol or "circle"
    open_marker = symbol.endswith("-open")
    ax.plot(
        x,
        y,
        color=trace.line.color,
        alpha=opacity,
        linewidth=(trace.line.width or 2) * POINTS,
        linestyle=DASHES[trace.line.dash] if "lines" in mode else "none",
        marker=MARKERS[symbol.removesuffix("-open")] if "markers" in mode else "none",
        markersize=size * POINTS,
        markerfacecolor="none" if open_marker else trace.marker.color,
        markeredgecolor=trace.marker.color,
        markeredgewidth=2 * POINTS if open_marker else 1,
        label=label,
    )


def _lay_out(ax: Axes, which: str, axis: Any) -> None:
    log = axis.type == "log"
    low, high = axis.range
    limits = (10**low, 10**high) if log else (low, high)
    ax.set(**{f"{which}label": axis.title.text, f"{which}scale": "log" if log else "linear", f"{which}lim": limits})
    if axis.tickvals is not None:
        drawn = getattr(ax, f"{which}axis")
        drawn.set_major_locator(FixedLocator(list(axis.tickvals)))
        drawn.set_minor_locator(NullLocator())
        if axis.ticktext is not None:
            drawn.set_ticklabels(list(axis.ticktext))
