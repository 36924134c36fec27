"""A moving picture for a page: what training does step by step, played by the browser from numbers computed at build.

The page holds the last frame as a drawing; book/_static/lazy-moving.js plays the others, unless the reader's system
asks for little motion. Without JavaScript and in print the last frame stands.
"""

import html
import json
from collections.abc import Mapping, Sequence

import numpy as np
from IPython.display import HTML

from lazy_course.scene import Scene

# The drawings count in tenths of a unit of 400 by 230, so that whole numbers are fine enough.
WIDE, HIGH = 4000, 2300


PAGE = """<div class="lazy-moving" id="{name}" role="group" aria-label="{alt}">
<div class="lazy-moving-scenes">{scenes}</div>
<ul class="lazy-moving-legend"><li class="trained">trained network</li><li class="twin">its linearized twin</li>
<li class="data">data</li><li class="neuron">a neuron, and its way from the start</li></ul>
<div class="lazy-slider-control lazy-moving-control"><button type="button" disabled>Play</button>
<label for="{name}-step">step of descent</label>
<span class="lazy-slider-value" aria-hidden="true">{step}</span>
<input type="range" id="{name}-step" min="0" max="{last}" step="1" value="{last}" aria-valuetext="{step}"
 autocomplete="off" disabled></div>
<script type="application/json">{frames}</script>
</div>"""

SCENE = """<div class="lazy-moving-scene"><p>{title}</p>
<svg viewBox="0 0 4000 2300" aria-hidden="true" class="lazy-moving-function">
<polyline class="twin" points="{twin}"/><polyline class="trained" points="{trained}"/>{data}</svg>
<svg viewBox="0 0 4000 2300" aria-hidden="true" class="lazy-moving-neurons">{ways}{neurons}</svg></div>"""


def picture(scenes: Mapping[str, Scene], *, name: str, alt: str) -> HTML:
    """Return the runs side by side, above their functions, below their neurons, all on the same axes.

    Args:
        scenes: title of a run (plain text) -> its frames; all runs have the same steps.
        name: identifier in the page: lower-case letters, digits and dashes.
        alt: what happens, in words, for those who do not see it.

    Raises `ValueError` for no run, runs with other steps, or an empty alt.
    """
    runs = list(scenes.values())
    if not runs or any(not np.array_equal(run.steps, runs[0].steps) for run in runs):
        raise ValueError("scenes: expected at least one run, all with the same steps; save them at the same ones")
    if not alt.strip():
        raise ValueError("alt: expected words, got an empty text; say what happens in one or two sentences")
    placed = _placed(runs)
    steps = [f"{step:,}".replace(",", "\u202f") for step in runs[0].steps.tolist()]
    frames = {"steps": steps, "scenes": [{key: array.tolist() for key, array in run.items()} for run in placed]}
    return HTML(
        PAGE.format(
            name=name,
            alt=html.escape(alt),
            scenes="".join(_drawing(title, run) for title, run in zip(scenes, placed, strict=True)),
            step=steps[-1],
            last=len(steps) - 1,
            frames=json.dumps(frames, separators=(",", ":"), ensure_ascii=False),
        )
    )


def _placed(runs: Sequence[Scene]) -> list[dict[str, np.ndarray]]:
    """Whole coordinates of everything that is drawn, on axes that all runs share."""
    low, high = (float(bound([bound(run.data[:, 1]) for run in runs])) for bound in (np.min, np.max))
    left, right = float(runs[0].grid[0]), float(runs[0].grid[-1])
    reach = 1.05 * max(float(np.abs(run.neurons).max()) for run in runs)

    def whole(values: np.ndarray, start: float, end: float, size: int) -> np.ndarray:
        return np.rint((values - start) / (end - start) * size).astype(int)

    def function(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        room = 0.25 * (high - low)
        return whole(x, left, right, WIDE), whole(y, high + room, low - room, HIGH)

    placed = []
    for run in runs:
        x, trained = function(run.grid, run.trained)
        wide = reach * WIDE / HIGH
        places = whole(run.neurons[..., 0], -wide, wide, WIDE), whole(run.neurons[..., 1], reach, -reach, HIGH)
        data = np.stack(function(run.data[:, 0], run.data[:, 1]), axis=1)
        curves = {"x": x, "trained": trained, "twin": function(run.grid, run.twin)[1]}
        placed.append(curves | {"neurons": np.stack(places, axis=-1), "data": data})
    return placed


def _drawing(title: str, run: Mapping[str, np.ndarray]) -> str:
    """The last frame of a run as two drawings."""
    first, last = run["neurons"][0], run["neurons"][-1]
    ways = [f'<line x1="{a}" y1="{b}" x2="{c}" y2="{d}"/>' for (a, b), (c, d) in zip(first, last, strict=True)]
    return SCENE.format(
        title=html.escape(title),
        trained=_points(run["x"], run["trained"][-1]),
        twin=_points(run["x"], run["twin"][-1]),
        data="".join(f'<circle class="data" cx="{a}" cy="{b}" r="60"/>' for a, b in run["data"]),
        ways="".join(ways),
        neurons="".join(f'<circle class="neuron" cx="{a}" cy="{b}" r="45"/>' for a, b in last),
    )


def _points(x: np.ndarray, y: np.ndarray) -> str:
    return " ".join(f"{a},{b}" for a, b in zip(x, y, strict=True))
