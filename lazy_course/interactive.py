"""A figure with a slider for the pages: plotly draws, a native range input moves, no other host is asked.

The page carries the numbers and a still picture of one place. When a reader comes to the figure,
book/_static/lazy-slider.js runs plotly's script, from the book's own folder, and draws in the place of the picture,
which comes back in print.
"""

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from IPython.display import HTML
from plotly.basedatatypes import BaseTraceType

from lazy_course import still
from lazy_course.style import CYCLE

FONT = {"family": "system-ui, -apple-system, 'Segoe UI', sans-serif", "size": 15, "color": "#1a1a1a"}
AXIS: dict[str, Any] = {
    "automargin": True,
    "fixedrange": True,
    "gridcolor": "#e3e3e3",
    "linecolor": "#444444",
    "ticks": "outside",
    "zeroline": False,
}

PAGE = """<div class="lazy-slider" data-values="{values}">
<div class="lazy-slider-figure" style="height: {height}px">
<img class="lazy-slider-still" src="data:image/png;base64,{still}" alt="{alt}">
<div class="lazy-slider-plot" id="{name}" role="img" aria-label="{alt}" hidden></div>
</div>
<div class="lazy-slider-control"><label for="{name}-slider">{label}</label>
<span id="{name}-value" class="lazy-slider-value" aria-hidden="true">{value}</span>
<input type="range" id="{name}-slider" min="0" max="{last}" step="1" value="{start}" aria-valuetext="{value}"
 autocomplete="off" disabled></div>
<script type="application/json">{figure}</script>
<noscript><p>This figure moves with JavaScript only. {twin}</p></noscript>
</div>"""


def slider_figure(
    choices: Mapping[str, Sequence[BaseTraceType]],
    *,
    name: str,
    label: str,
    alt: str,
    x: str,
    y: str,
    twin: str,
    fixed: Sequence[BaseTraceType] = (),
    start: int = 0,
    layout: Mapping[str, Any] | None = None,
) -> HTML:
    """Return a figure whose slider goes through the keys of `choices` and shows the traces of one of them at a time.

    Args:
        choices: text of a place of the slider ("0.5") -> the plotly traces seen there; at least two places.
        name: identifier in the page, unique there: lower-case letters, digits and dashes ("paths-slider").
        label: what the slider sets ("scale α"); x, y: titles of the axes.
        alt: what is to be seen, in words, for those who do not see it.
        twin: a sentence that names the static figure which tells more of the same without JavaScript.
        fixed: traces seen at every place.
        start: index of the first place.
        layout: plotly layout that overrides the defaults, such as {"height": 500, "xaxis": {"type": "log"}}.

    A line without a colour takes the book's, the same at every place. The axes hold still: without a `range` in
    `layout` they have room for the traces of all places. Texts are Unicode ("α‖w − w₀‖"): plotly does not set TeX.

    Raises `ValueError` for fewer than two places, a start outside of them, a bad name, an empty alt, or TeX in a text.
    """
    values = list(choices)
    traces = [(-1, _coloured(trace, i)) for i, trace in enumerate(fixed)]
    for place, key in enumerate(values):
        traces += [(place, _coloured(trace, len(fixed) + i)) for i, trace in enumerate(choices[key])]
    texts = {"label": label, "alt": alt, "x": x, "y": y, "twin": twin, "choices": " ".join(values)}
    _require(values, name, start, texts | {f"trace {i}": trace.name or "-" for i, (_, trace) in enumerate(traces)})
    figure = go.Figure([trace.update(visible=group in (-1, start)) for group, trace in traces])
    _lay_out(figure, x, y, layout or {})
    drawn = json.loads(figure.to_json()) | {"groups": [group for group, _ in traces]}
    words = {"alt": alt, "label": label, "twin": twin, "value": values[start]}
    return HTML(
        PAGE.format(
            **{key: html.escape(text) for key, text in words.items()},
            name=name,
            values=html.escape(json.dumps(values, ensure_ascii=False)),
            height=figure.layout.height,
            still=base64.b64encode(still.png(figure)).decode(),
            last=len(values) - 1,
            start=start,
            figure=_script_text(drawn),
        )
    )


def line(x: Any, y: Any, name: str, **look: Any) -> go.Scatter:
    """Return a line through the points (x, y), plotly's `line` set to `look` (color, width, dash).

    Numbers are kept to five digits, since a page carries them for every place of a slider; nan breaks the line.
    """
    return go.Scatter(x=short(x), y=short(y), mode="lines", name=name, line=look)


def short(values: Any) -> list[float]:
    """Return a list of numbers to five digits."""
    return [float(f"{value:.5g}") for value in np.asarray(values)]


def _coloured(trace: BaseTraceType, index: int) -> BaseTraceType:
    """A copy of a trace; a line of no colour gets the index-th of the book, and keeps it at every place."""
    copied = type(trace)(trace)
    if isinstance(copied, go.Scatter):
        copied.line.color = copied.line.color or copied.marker.color or CYCLE[index % len(CYCLE)]
        copied.marker.color = copied.line.color if copied.marker.color is None else copied.marker.color
    return copied


def _lay_out(figure: go.Figure, x: str, y: str, layout: Mapping[str, Any]) -> None:
    """White ground, readable letters, fixed axes with room for every trace; then the caller's own layout."""
    figure.update_layout(
        template=go.layout.Template(),
        font=FONT,
        paper_bgcolor="white",
        plot_bgcolor="white",
        height=440,
        margin={"l": 30, "r": 15, "t": 45, "b": 30},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        # A finger on the figure scrolls the page.
        dragmode=False,
        xaxis={**AXIS, "title": {"text": x, "standoff": 8}},
        yaxis={**AXIS, "title": {"text": y, "standoff": 12}},
    )
    figure.update_layout(layout)
    for axis, which in ((figure.layout.xaxis, "x"), (figure.layout.yaxis, "y")):
        if axis.range is None:
            axis.range = _room([trace[which] for trace in figure.data], log=axis.type == "log")


def _require(values: Sequence[str], name: str, start: int, texts: Mapping[str, str]) -> None:
    if len(values) < 2:
        raise ValueError(f"choices: expected at least two places of the slider, got {len(values)}; show a plain figure")
    if not 0 <= start < len(values):
        raise ValueError(f"start: expected an index from 0 to {len(values) - 1}, got {start}; count from 0")
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"name: expected lower-case letters, digits and dashes, got {name!r}; it becomes an HTML id")
    for which, text in texts.items():
        if not text.strip():
            raise ValueError(f"{which}: expected words, got an empty text; say what it is in one phrase")
        if "$" in text or "\\" in text:
            raise ValueError(
                f"{which}: expected Unicode such as α or ‖w‖, got TeX in {text!r}; plotly would show it raw"
            )


def _script_text(value: Any) -> str:
    """JSON that may stand inside a script element."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _room(values: Sequence[Any], *, log: bool) -> tuple[float, float]:
    """A range with a margin around all finite values (plotly wants exponents on a logarithmic axis)."""
    flat = np.concatenate([np.ravel(np.asarray(value, dtype=float)) for value in values if value is not None])
    flat = np.log10(flat[flat > 0]) if log else flat
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        raise ValueError("choices: expected traces with finite numbers (positive on a logarithmic axis), got none")
    low, high = float(flat.min()), float(flat.max())
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin
