"""The two runs of the chapter that take longer than a page may: the width scan, and the map over (m, alpha).

`python -m lazy_course.criterion.experiment widths` or `map` computes what is missing and records it in data/,
with the settings, seed, versions and wall time beside the numbers. A run can be stopped and taken up again.
"""

import json
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.progress import Progress

from lazy_course import flows, losses, models
from lazy_course.criterion import width
from lazy_course.criterion.numerics import half_circle, slope

DATA = Path(__file__).parent / "data"
CASES = {"signs": ("signs", False), "symmetrized": ("signs", True), "normal": ("normal", False)}


@dataclass(frozen=True)
class WidthSettings:
    """The width scan: n points on a half circle (d = 2), widths 2^first to 2^last, independent draws."""

    n: int = 8
    first: int = 3
    last: int = 13
    draws: int = 20
    seed: int = 0


@dataclass(frozen=True)
class MapSettings:
    """The map: symmetrized tanh networks in d = 2 on n points, flow time K / norm(Dh(w0))^2, median over draws."""

    n: int = 4
    widths: tuple[int, ...] = (4, 8, 16, 32, 64, 128, 256, 512)
    log10_alphas: tuple[float, ...] = (-2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0)
    iterations: float = 100.0
    draws: int = 5
    seed: int = 0


def target(n: int) -> jax.Array:
    """The target of both runs: cos(2 t) at the angles of the half circle, of norm 1."""
    wave = jnp.cos(2 * jnp.pi * jnp.arange(n) / n)
    return wave / jnp.linalg.norm(wave)


def compute_widths(settings: WidthSettings, case: str) -> dict[str, list]:
    """The norms behind kappa for one case of `CASES`: output, Dh squared, both ends of D2h, all at alpha = 1."""
    law, symmetrized = CASES[case]
    statistics = width.width_statistics(
        jax.random.key(settings.seed),
        half_circle(settings.n),
        exponents=(settings.first, settings.last),
        draws=settings.draws,
        law=law,
        symmetrized=symmetrized,
    )
    return {name: np.asarray(value).tolist() for name, value in statistics._asdict().items()}


def compute_cell(settings: MapSettings, m: int, alpha: float) -> dict[str, list[float]]:
    """Kappa (both ends), the gap and both final residuals for one (m, alpha), one entry a draw.

    The gap is the largest norm(y(t) - ybar(t)) / norm(y*) over 100 times of the flows up to T; the residuals are
    relative to norm(y*) and at T.
    """
    x, goal = half_circle(settings.n), target(settings.n)
    columns: dict[str, list[float]] = {"kappa": [], "kappa_upper": [], "gap": [], "residual": [], "linearized": []}
    for key in jax.random.split(jax.random.key(settings.seed), settings.draws):
        params = models.init_two_layer(key, 2, m, symmetrized=True)
        neurons = width.Neurons(params["input"], params["output"][0])
        squared = float(np.linalg.eigvalsh(width.kernel_sum(neurons, x))[-1])
        lower, upper = width.largest_block(width.curvature_blocks(neurons, x))
        pair = flows.flow_gap(
            _model(settings.n),
            padded(params, max(settings.widths)),
            _loss(settings.n),
            alpha=alpha,
            times=np.linspace(0, settings.iterations / squared, 101),
            rtol=1e-6,
            # The solver's unknown is alpha^2 (w - wbar): at a small alpha an error in it weighs more.
            atol=1e-6 * min(1.0, alpha),
        )
        # norm(y*) = 1 and h(w0) = 0: the residual at the start is 1.
        columns["kappa"].append(lower / (alpha * squared))
        columns["kappa_upper"].append(upper / (alpha * squared))
        columns["gap"].append(float(jnp.max(jnp.linalg.norm(pair.output_gap, axis=1))))
        columns["residual"].append(float(jnp.linalg.norm(pair.outputs[-1] - goal)))
        columns["linearized"].append(float(jnp.linalg.norm(pair.linearized_outputs[-1] - goal)))
    return columns


def padded(params: dict[str, jax.Array], m: int) -> dict[str, jax.Array]:
    """Add neurons with a = 0, b = 0 up to width m: at such a neuron D phi = 0, so no flow ever moves it.

    All the widths of the map then share one compiled flow.
    """
    missing = m - params["input"].shape[0]
    if missing < 0:
        raise ValueError(f"m: expected at least the width {params['input'].shape[0]}, got {m}")
    return {
        "input": jnp.pad(params["input"], ((0, missing), (0, 0))),
        "output": jnp.pad(params["output"], ((0, 0), (0, missing))),
    }


@lru_cache(maxsize=4)
def _model(n: int) -> models.BatchMap:
    return models.as_map(models.two_layer("tanh"), half_circle(n), normalize=True)


@lru_cache(maxsize=4)
def _loss(n: int) -> losses.SquareLoss:
    return losses.square_loss(target(n))


def cell_name(m: int, log10_alpha: float) -> str:
    """The name of a cell of the map in the record."""
    return f"m={m} log10_alpha={log10_alpha:g}"


def record(path: Path, settings: Any, jobs: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """Run the jobs that the record at `path` lacks, saving after each; other settings start a new record."""
    wanted = json.loads(json.dumps(asdict(settings)))
    record: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if record.get("settings") != wanted:
        record = {"settings": wanted, "wall_seconds": 0.0, "results": {}}
    record["versions"] = {"python": platform.python_version(), "jax": jax.__version__, "numpy": np.__version__}
    path.parent.mkdir(exist_ok=True, parents=True)
    with Progress() as progress:
        task = progress.add_task(path.stem, total=len(jobs), completed=len(record["results"]))
        for name, job in jobs.items():
            if name in record["results"]:
                continue
            begin = time.perf_counter()
            record["results"][name] = job()
            record["wall_seconds"] = round(record["wall_seconds"] + time.perf_counter() - begin, 2)
            path.write_text(json.dumps(record))
            progress.advance(task)
    return record


def run_widths(settings: WidthSettings = WidthSettings(), *, folder: Path = DATA) -> dict[str, Any]:
    """Record the width scan in widths.json; what is there already is not computed again."""
    jobs = {case: (lambda case=case: compute_widths(settings, case)) for case in CASES}
    return record(folder / "widths.json", settings, jobs)


def run_map(settings: MapSettings = MapSettings(), *, folder: Path = DATA) -> dict[str, Any]:
    """Record the map over (m, alpha) in map.json; what is there already is not computed again."""
    jobs = {
        cell_name(m, exponent): (lambda m=m, exponent=exponent: compute_cell(settings, m, 10.0**exponent))
        for m in settings.widths
        for exponent in settings.log10_alphas
    }
    return record(folder / "map.json", settings, jobs)


def _load(name: str, command: str) -> dict[str, Any]:
    path = DATA / f"{name}.json"
    if not path.exists():
        raise ValueError(f"{path.name}: expected the recorded run, found none; run lazy-course reproduce {command}")
    return json.loads(path.read_text())


def load_widths() -> tuple[WidthSettings, dict[str, width.WidthStatistics]]:
    """The recorded width scan: its settings, and the statistics of every case."""
    record = _load("widths", "criterion-widths")
    cases = {
        case: width.WidthStatistics(**{name: np.asarray(value) for name, value in columns.items()})
        for case, columns in record["results"].items()
    }
    return WidthSettings(**record["settings"]), cases


def load_map() -> tuple[MapSettings, dict[str, np.ndarray]]:
    """The recorded map: its settings, and arrays (widths, alphas, draws) by name of the column."""
    record = _load("map", "criterion-map")
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in record["settings"].items()}
    settings = MapSettings(**fields)
    rows = [[record["results"][cell_name(m, e)] for e in settings.log10_alphas] for m in settings.widths]
    return settings, {name: np.array([[cell[name] for cell in row] for row in rows]) for name in rows[0][0]}


SCALINGS = (-1.0, -0.5, 0.0)


def width_bounds(settings: WidthSettings, *, delta: float) -> dict[str, dict[float, np.ndarray]]:
    """The theorem's bound over the widths of the scan, for both panels and every alpha(m) = m^scaling."""
    constants = width.width_constants(half_circle(settings.n))
    widths = 2.0 ** np.arange(settings.first, settings.last + 1)
    return {
        title: {s: constants.bound(widths, widths**s, 1.0, delta, symmetrized=symmetrized) for s in SCALINGS}
        for title, symmetrized in (("as drawn", False), ("symmetrized", True))
    }


def slopes(case: width.WidthStatistics, scaling: float, *, n: int, smallest: int = 256) -> np.ndarray:
    """The slope of log kappa against log m of every draw, fitted for widths from `smallest` on."""
    kept = case.widths >= smallest
    return np.asarray(slope(case.widths[kept].astype(float), np.asarray(case.kappa(target(n), scaling))[:, kept]))


def slope_table() -> str:
    """The fitted slopes of the recorded width scan: mean and its standard error, a line for each case."""
    settings, cases = load_widths()
    lines = []
    for name, case in cases.items():
        fits = {s: slopes(case, s, n=settings.n) for s in SCALINGS}
        row = (f"m^{s:g}: {f.mean():+.3f} ± {f.std(ddof=1) / f.size**0.5:.3f}" for s, f in fits.items())
        lines.append(f"{name:12s} " + "   ".join(row))
    return "\n".join(lines)


def logarithmic_guide(widths: np.ndarray) -> np.ndarray:
    """0.45 sqrt(2 log(2 m)): a guide for the eye, its factor chosen by hand."""
    return 0.45 * np.sqrt(2 * np.log(2 * np.asarray(widths)))


REGISTRY: dict[str, Callable[[], Any]] = {"criterion-widths": run_widths, "criterion-map": run_map}


def run(name: str) -> None:
    """Run "widths" or "map" with the settings of the book."""
    if f"criterion-{name}" not in REGISTRY:
        raise ValueError(f"name: expected 'widths' or 'map', got {name!r}")
    REGISTRY[f"criterion-{name}"]()


if __name__ == "__main__":
    run(sys.argv[1] if len(sys.argv) > 1 else "")
