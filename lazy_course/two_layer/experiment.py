"""The long computations of the chapter: `lazy-course reproduce fig1c --preset quick`, and so on.

Each writes data/<figure>-<preset>.json beside this file: settings, versions, wall time and number of gradient
evaluations beside the numbers. A run that is stopped goes on where it was (data/<figure>-<preset>.partial/).
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lazy_course import store
from lazy_course.two_layer import comparisons, finishing, panels, runs, trajectories

DATA = Path(__file__).parent / "data"


def load(panel: str, preset: str = "paper", *, folder: Path = DATA) -> dict[str, Any]:
    """The committed record of a panel."""
    return store.load(folder, panel, preset)


def reproduce(panel: str, *, preset: str = "paper", scheduler: str | None = None, folder: Path = DATA) -> Path:
    """Compute a panel, or what is missing of it, and write its record; returns the file.

    Raises `ValueError` for an unknown preset, or a scheduler for a figure that is one job; `ConnectionError` as
    `runs.on_cluster` does.
    """
    settings = store.chosen(panels.PANELS[panel], preset)
    parts = store.unfinished(folder, panel, preset, settings)
    with store.progress(panel, preset) as tell:
        if scheduler is None:
            found = runs.here(settings, parts, tell)
        else:
            found = runs.on_cluster(settings, parts, scheduler, tell)
    return store.save(folder, panel, preset, runs.record(settings, found))


def draw_plane(figure: str, *, preset: str = "paper", folder: Path = DATA) -> Path:
    """The same for the trajectories of Figures 1(a), 1(b) and 6: one stack of runs, one job."""
    settings = store.chosen(trajectories.PLANES[figure], preset)
    found = trajectories.run(settings, store=store.unfinished(folder, figure, preset, settings))
    return store.save(folder, figure, preset, trajectories.summary(settings, found))


COMPARISONS: dict[str, tuple[str, Callable[[Any], dict[str, Any]]]] = {
    "fig1a-draws": ("fig1a", trajectories.repeated),
    "fig1c-finish": ("fig1c", finishing.by_finishing),
    "fig1c-linearized": ("fig1c", comparisons.against_linearized),
    "fig1c-road": ("fig1c", comparisons.by_the_road),
    "fig2b-plateau": ("fig2b", comparisons.plateaus),
}


def compare(name: str, *, preset: str = "paper", folder: Path = DATA) -> Path:
    """What is set beside a panel (`comparisons`), with the settings of the panel's preset; some minutes."""
    panel, compute = COMPARISONS[name]
    presets: dict[str, dict[str, Any]] = {**panels.PANELS, **trajectories.PLANES}
    return store.save(folder, name, preset, compute(store.chosen(presets[panel], preset)))


REGISTRY: dict[str, Callable[..., object]] = {
    **{panel: partial(reproduce, panel) for panel in panels.PANELS},
    **{figure: partial(draw_plane, figure) for figure in trajectories.PLANES},
    **{name: partial(compare, name) for name in COMPARISONS},
}


if __name__ == "__main__":
    print(REGISTRY[sys.argv[1]](preset=sys.argv[2] if len(sys.argv) > 2 else "paper"))
