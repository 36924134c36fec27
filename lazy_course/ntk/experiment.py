r"""The longer measurements of the chapter: `lazy-course reproduce ntk`, or some of them:
`python -m lazy_course.ntk.experiment [section ...]`.

Writes measured.json beside this file: for each section its settings, its values, the seconds that they took and the
versions that computed them. It is written after every case: a run that is stopped goes on where it was, and a section
whose settings have changed begins again. Sections: widths (suprema of networks with two hidden layers in both
parameterizations), symmetry (the same for one hidden layer and three laws of its output weights), ensemble (mean and
covariance of trained networks).
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from rich.progress import track

from lazy_course.files import write_atomically
from lazy_course.models import AnyKey
from lazy_course.ntk import wide

FILE = Path(__file__).parent / "measured.json"
TARGET = (1.0, -1.0, 0.5, -0.5)
POWERS_OF_TWO = (64, 128, 256, 512, 1024, 2048, 4096)


@dataclass(frozen=True)
class WidthSettings:
    """Two hidden layers, four training and four test points on the unit sphere of R^3."""

    activation: str = "tanh"
    sigma_w: float = 1.5
    sigma_b: float = 0.3
    widths: tuple[int, ...] = POWERS_OF_TWO
    draws: int = 10
    ntk_step: float = 0.1
    standard_step: float = 0.225
    steps: int = 160


@dataclass(frozen=True)
class SymmetrySettings:
    """One hidden layer on the same points, output centred at the start, three laws of the output weights."""

    activation: str = "softplus"
    sigma_w: float = 1.5
    sigma_b: float = 0.0
    widths: tuple[int, ...] = POWERS_OF_TWO
    laws: tuple[str, ...] = ("normal", "signs", "ones")
    draws: int = 20
    step: float = 0.1
    steps: int = 300


@dataclass(frozen=True)
class EnsembleSettings:
    """Two hidden layers; points on the unit circle, given by their angles. The last of the saved steps is the end."""

    activation: str = "erf"
    sigma_w: float = 1.5
    sigma_b: float = 0.3
    train_angles: tuple[float, ...] = (-2.2, -1.0, 0.1, 1.4, 2.6)
    check_angles: tuple[float, ...] = (-2.85, -1.6, -0.45, 0.75, 2.0)
    grid: int = 61
    widths: tuple[int, ...] = (32, 128, 512)
    draws: int = 400
    step: float = 0.02
    saved: tuple[int, ...] = (0, 10, 50, 600)
    functions: int = 25


WIDTHS, SYMMETRY, ENSEMBLE = WidthSettings(), SymmetrySettings(), EnsembleSettings()
Cases = Iterator[tuple[str, Callable[[], dict[str, Any]]]]


def load(section: str) -> dict[str, Any]:
    """The committed measurements of one section."""
    return json.loads(FILE.read_text(encoding="utf-8"))[section]


def sphere_data(key: AnyKey, n: int, q: int, d: int) -> tuple[Float[Array, "n d"], Float[Array, "q d"]]:
    """n training and q test points, independent and uniform on the unit sphere of R^d."""
    x = jax.random.normal(key, (n + q, d), dtype=float)
    x = x / jnp.linalg.norm(x, axis=1, keepdims=True)
    return x[:n], x[n:]


def on_circle(angles: Any) -> Float[Array, "n 2"]:
    """The points (cos, sin) of the angles."""
    angles = jnp.asarray(angles, dtype=float)
    return jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)


def circle_target(angles: Any) -> Float[Array, " n"]:
    """The target of the ensemble, sin(2 angle) + cos(angle)/2."""
    angles = jnp.asarray(angles, dtype=float)
    return jnp.sin(2 * angles) + 0.5 * jnp.cos(angles)


def grid(settings: EnsembleSettings = ENSEMBLE) -> Float[np.ndarray, " points"]:
    """The angles at which the functions of the ensemble are drawn."""
    return np.linspace(-np.pi, np.pi, settings.grid)


def network(
    settings: WidthSettings | SymmetrySettings | EnsembleSettings, parameterization: str = "ntk"
) -> wide.FullyConnected:
    """The network that the settings describe."""
    return wide.fully_connected(
        settings.activation,
        sigma_w=settings.sigma_w,
        sigma_b=settings.sigma_b,
        parameterization=parameterization,
    )


def with_output_law(params: wide.Params, law: str) -> wide.Params:
    """The same network with output weights that are "normal" (as drawn), "signs" (their signs) or "ones" (all 1)."""
    laws: dict[str, Callable[[Array], Array]] = {"normal": lambda w: w, "signs": jnp.sign, "ones": jnp.ones_like}
    if law not in laws:
        raise ValueError(f"law: expected one of {sorted(laws)}, got {law!r}")
    return [*params[:-1], {**params[-1], "weight": laws[law](params[-1]["weight"])}]


def width_draw(parameterization: str, m: int, draw: int) -> dict[str, float]:
    """The suprema of one drawn network with two hidden layers of width m; see `measured`."""
    net = network(WIDTHS, parameterization)
    params = wide.init_fully_connected(jax.random.key(1000 * draw + m), (3, m, m, 1), network=net)
    ntk = parameterization == "ntk"
    step, factor = (WIDTHS.ntk_step, m**-0.5) if ntk else (WIDTHS.standard_step, 1.0)
    return measured(net, params, jnp.asarray(TARGET), step, WIDTHS.steps, factor)


def symmetry_draw(law: str, m: int, draw: int) -> dict[str, float]:
    """The suprema of one drawn network with one hidden layer of width m, centred at the start; see `measured`."""
    net = network(SYMMETRY)
    params = wide.init_fully_connected(jax.random.key(1000 * draw + m), (3, m, 1), network=net)
    params = with_output_law(params, law)
    # Training f - f_0 to y is training f to y + f_0: the Jacobian and the residual are the same.
    target = jnp.asarray(TARGET) + net(params, data()[0])[:, 0]
    return measured(net, params, target, SYMMETRY.step, SYMMETRY.steps, m**-0.5)


def data() -> tuple[Float[Array, "n d"], Float[Array, "q d"]]:
    """The training and the test points of the sections widths and symmetry."""
    return sphere_data(jax.random.key(2), 4, 4, 3)


def measured(
    net: wide.FullyConnected, params: wide.Params, target: Array, step: float, steps: int, factor: float
) -> dict[str, float]:
    """Train; the five suprema, the norm of f - y at the start (`residual`), and the share of it that is `left`."""
    x, x_test = data()
    run = wide.descend(net, params, x, x_test, target, step, steps=steps)
    seen = wide.suprema(run, target, step, displacement_factor=factor)
    residuals = jnp.linalg.norm(run.outputs[:, : x.shape[0]] - target[None], axis=1)
    ends = {"residual": residuals[0], "left": residuals[-1] / residuals[0]}
    return {name: float(f"{float(value):.6e}") for name, value in (seen._asdict() | ends).items()}


def _columns(draw: Callable[[Any, int, int], dict[str, float]], kind: str, m: int, draws: int) -> dict[str, Any]:
    rows = [draw(kind, m, j) for j in range(draws)]
    return {name: [row[name] for row in rows] for name in rows[0]}


def widths() -> Cases:
    """Both parameterizations, all widths, all draws."""
    for m, kind in product(WIDTHS.widths, ("ntk", "standard")):
        yield f"{kind}, {m}", partial(_columns, width_draw, kind, m, WIDTHS.draws)


def symmetry() -> Cases:
    """Three laws of the output weights, all widths, all draws."""
    for m, law in product(SYMMETRY.widths, SYMMETRY.laws):
        yield f"{law}, {m}", partial(_columns, symmetry_draw, law, m, SYMMETRY.draws)


def ensemble_outputs(m: int, draws: range) -> Float[np.ndarray, "draws saved points"]:
    """Outputs of trained networks of width m at the check points and then on the grid, after the saved steps."""
    net = network(ENSEMBLE)
    keys = jnp.stack([jax.random.key(100_000 * m + j) for j in draws])
    start = jax.vmap(lambda key: wide.init_fully_connected(key, (2, m, m, 1), network=net))(keys)
    points = on_circle(np.concatenate([ENSEMBLE.check_angles, grid()]))
    x, y = on_circle(ENSEMBLE.train_angles), circle_target(ENSEMBLE.train_angles)
    return np.asarray(wide.train_many(net, start, x, points, y, ENSEMBLE.step, saved=ENSEMBLE.saved))


def ensemble_case(m: int, *, chunk: int = 20) -> dict[str, Any]:
    """Mean and covariance at the check points, mean and deviation on the grid after each saved step, some functions."""
    blocks = [range(j, min(j + chunk, ENSEMBLE.draws)) for j in range(0, ENSEMBLE.draws, chunk)]
    found = np.concatenate([ensemble_outputs(m, block) for block in track(blocks, description=f"width {m}")])
    checks = len(ENSEMBLE.check_angles)
    at, on_grid = np.swapaxes(found[:, :, :checks], 0, 1), found[:, :, checks:]
    drawn = ENSEMBLE.functions if m == max(ENSEMBLE.widths) else 0
    return {
        "mean": at.mean(axis=1).tolist(),
        "covariance": [np.cov(block.T).tolist() for block in at],
        "grid_mean": np.round(on_grid.mean(axis=0), 5).tolist(),
        "grid_deviation": np.round(on_grid.std(axis=0, ddof=1), 5).tolist(),
        "functions": np.round(on_grid[:drawn, -1], 4).tolist(),
    }


def ensemble() -> Cases:
    """Every width of the ensemble."""
    for m in ENSEMBLE.widths:
        yield str(m), partial(ensemble_case, m)


SECTIONS: dict[str, tuple[Any, Callable[[], Cases]]] = {
    "widths": (WIDTHS, widths),
    "symmetry": (SYMMETRY, symmetry),
    "ensemble": (ENSEMBLE, ensemble),
}


def main(names: list[str]) -> None:
    """Compute what is missing of the named sections (all if none is named) and write it into measured.json."""
    unknown = set(names) - set(SECTIONS)
    if unknown:
        raise ValueError(f"section: expected some of {sorted(SECTIONS)}, got {sorted(unknown)}")
    for name in names or SECTIONS:
        settings, cases = SECTIONS[name]
        wanted = json.loads(json.dumps(asdict(settings)))
        for case, compute in cases():
            kept = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
            section = kept.get(name, {})
            if section.get("settings") != wanted:
                section = {"settings": wanted, "values": {}, "seconds": 0.0}
            if case in section["values"]:
                continue
            start = time.perf_counter()
            section["values"][case] = compute()
            section["seconds"] = round(section["seconds"] + time.perf_counter() - start, 1)
            section["versions"] = {package: version(package) for package in ("jax", "equinox", "numpy")}
            write_atomically(FILE, (json.dumps(kept | {name: section}) + "\n").encode())
            print(f"{name}: {case} ({section['seconds']} s so far)", flush=True)


def run() -> None:
    """Compute all sections."""
    main([])


REGISTRY: dict[str, Callable[[], object]] = {"ntk": run}


if __name__ == "__main__":
    main(sys.argv[1:])
