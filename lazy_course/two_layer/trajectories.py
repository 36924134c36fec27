r"""Figures 1(a), 1(b) and 6: where the neurons of a student in the plane go, drawn as $|a_j(t)|\, b_j(t)$.

The function of a neuron depends on $a_j$ and $b_j$ through $|a_j| b_j$ and the sign of $a_j$, so this picture shows
the function. Source: chizat2019lazy, Figures 1 and 6 and Section 3.1.
"""

import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course.store import Arrays, Store, versions
from lazy_course.two_layer import linearized, numerics, readings
from lazy_course.two_layer.numerics import Data, Rates, Teacher, Weights
from lazy_course.two_layer.panels import draw_data, repetition

SLIDER = tuple(round(-1.4 + 0.1 * i, 1) for i in range(19))


@dataclass(frozen=True)
class Plane:
    r"""Students in the plane: `cases` are pairs (log10 tau, symmetrized), all from one draw of the weights at tau = 1.

    The step is min(`cap`, `ratio` / norm(K/n)) with K the tangent kernel at the start. With `circle` (the authors'
    code) input weights begin with norm 1 and output weights uniform on [0, 1), times tau.
    """

    n: int = 15
    m: int = 20
    cases: tuple[tuple[float, bool], ...] = tuple((log, True) for log in SLIDER)
    iterations: int = 200_000
    kept: int = 40
    ratio: float = 0.5
    cap: float = 0.05
    circle: bool = False
    seed: int = 5


LOG_TWO = 0.30103
FIG_1B = ((-1.0, False), (-1.0, True), (LOG_TWO, False), (LOG_TWO, True))
FIG_6 = ((-1.0, True), (LOG_TWO, False), (LOG_TWO, True))
CODED: dict[str, Any] = {"m": 16, "iterations": 100_000, "ratio": float("inf"), "cap": 0.005, "circle": True}
SMALL: dict[str, Any] = {"n": 6, "m": 6, "iterations": 400, "kept": 8}

PLANES: dict[str, dict[str, Plane]] = {
    "fig1a": {"paper": Plane(), "as-coded": Plane(**CODED), "quick": Plane(cases=((-1.0, True), (0.0, True)), **SMALL)},
    "fig1b": {
        "paper": Plane(cases=FIG_1B),
        "as-coded": Plane(cases=FIG_1B, **CODED),
        "quick": Plane(cases=FIG_1B, **SMALL),
    },
    "fig6": {
        "paper": Plane(n=200, m=200, cases=FIG_6, kept=30, seed=6),
        "quick": Plane(cases=FIG_6, **SMALL | {"m": 12}),
    },
}


class Scene(NamedTuple):
    """One draw: the teacher, its data, and the students of all cases in one stack."""

    teacher: Teacher
    data: Data
    weights: Weights
    rates: Rates


def scene(settings: Plane) -> Scene:
    """Draw teacher, data and start; the same draw at every tau."""
    keys = repetition(settings.seed, 0)
    teacher = numerics.draw_teacher(keys[0], 2)
    data = draw_data(keys[1], teacher, settings.n, settings.n)
    starts = {kind: _start(settings, keys[2], kind) for kind in (False, True)}
    stack = [numerics.scaled_weights(starts[kind], 10.0**log) for log, kind in settings.cases]
    weights = Weights(*(jnp.concatenate(leaves) for leaves in zip(*stack, strict=True)))
    stiff = jnp.stack([_stiffness(Weights(w.inputs, w.outputs), data) for w in stack])
    step = jnp.minimum(settings.cap, settings.ratio / stiff)
    return Scene(teacher, data, weights, Rates(jnp.ones_like(step), step, step))


def _start(settings: Plane, key: Array, symmetrized: bool) -> Weights:
    drawn = numerics.draw_student(key, 2, settings.m, symmetrized=symmetrized)
    if not settings.circle:
        return drawn
    inputs = drawn.inputs / jnp.linalg.norm(drawn.inputs, axis=2, keepdims=True)
    uniform = jax.random.uniform(jax.random.fold_in(key, 1), drawn.outputs.shape)
    half = uniform[:, : settings.m // 2]
    return Weights(inputs, jnp.concatenate([half, -half], axis=1) if symmetrized else uniform)


def _stiffness(weights: Weights, data: Data) -> Float[Array, ""]:
    return jnp.linalg.eigvalsh(linearized.kernel(weights, data.x, data.x))[-1] / data.x.shape[0]


@jax.jit
def walk(weights: Weights, rates: Rates, data: Data, steps: Array) -> Weights:
    """`steps` steps of descent of every case; the number is no part of the compiled program."""
    still = numerics.still(weights)
    way = jax.lax.fori_loop(0, steps, lambda i, w: numerics.step(weights, w, rates, data.x, data.y), still)
    return numerics.moved_from(weights, way)


def times(settings: Plane) -> list[int]:
    """The iterations at which positions are kept: 0 and then about evenly spaced in log time."""
    grid = np.geomspace(1, settings.iterations, settings.kept - 1)
    return [0, *np.unique(np.round(grid).astype(int)).tolist()]


def run(settings: Plane, *, store: Store | None = None) -> Arrays:
    """Positions (times, cases, m, 2) with sign of a_j (times, cases, m), both losses (times, cases), and `seconds`."""
    now, at = scene(settings), times(settings)
    kept = store.load("walk") if store else None
    found = kept or {
        "inputs": np.asarray(now.weights.inputs)[None][:0],
        "outputs": np.zeros((0, *now.weights.outputs.shape)),
    }
    spent, start = float(found.get("seconds", np.asarray(0.0))), time.monotonic()
    done = found["outputs"].shape[0]
    weights = now.weights if done == 0 else Weights(jnp.asarray(found["inputs"][-1]), jnp.asarray(found["outputs"][-1]))
    for i in range(done, len(at)):
        if i > 0:
            weights = walk(weights, now.rates, now.data, jnp.asarray(at[i] - at[i - 1]))
        for name, leaf in weights._asdict().items():
            found[name] = np.concatenate([found[name], np.asarray(leaf)[None]])
        if store:
            store.save("walk", found | {"seconds": np.asarray(spent + time.monotonic() - start)})
    measure = jax.jit(jax.vmap(partial(numerics.loss, scale=now.rates.scale, x=now.data.x, y=now.data.y)))
    path = Weights(jnp.asarray(found["inputs"]), jnp.asarray(found["outputs"]))
    return {
        "steps": np.asarray(at),
        "positions": np.abs(found["outputs"])[..., None] * found["inputs"],
        "signs": np.sign(found["outputs"]).astype(int),
        "train": np.asarray(measure(path)),
        "moved": _moved(found),
        "seconds": np.asarray(spent + time.monotonic() - start),
    }


def _moved(found: Arrays) -> np.ndarray:
    """The way of the parameters relative to the size of the start, at the end of each case."""
    flat = np.concatenate([found["inputs"].reshape(*found["outputs"].shape[:2], -1), found["outputs"]], axis=2)
    return np.linalg.norm(flat[-1] - flat[0], axis=1) / np.linalg.norm(flat[0], axis=1)


def summary(settings: Plane, found: Arrays) -> dict[str, Any]:
    """What is committed: positions to three decimals, signs at the end, losses, and the teacher's three arrows."""
    drawn = scene(settings)
    return {
        "settings": asdict(settings),
        "versions": versions(),
        "seconds": round(float(found["seconds"]), 1),
        "steps": found["steps"].tolist(),
        "positions": np.round(found["positions"], 3).tolist(),
        "signs": found["signs"][-1].tolist(),
        "flips": (found["signs"][-1] != found["signs"][0]).sum(axis=1).tolist(),
        "train_end": [float(f"{v:.4g}") for v in found["train"][-1]],
        "moved": [float(f"{v:.4g}") for v in found["moved"]],
        "step_sizes": [float(f"{v:.6g}") for v in np.asarray(drawn.rates.input_step)],
        "teacher": np.round(np.asarray(drawn.teacher.inputs), 6).tolist(),
        "teacher_signs": np.asarray(drawn.teacher.outputs).astype(int).tolist(),
        "points": np.round(np.asarray(drawn.data.x), 6).tolist(),
        "gradient_evaluations": settings.iterations * len(settings.cases),
    }


def repeated(settings: Plane, *, count: int | None = None) -> dict[str, Any]:
    """The pictures at tau = 0.1 and 2 from other draws (seeds 100, 101, ...), symmetrized, in numbers.

    For each draw and tau: the share along the teacher (`readings.aligned`), the relative way, the training loss, and
    the least training loss of the linearized model, which is the same for all tau. There are `count` draws, by default
    20, or 2 for short trainings.
    """
    start, draws = time.monotonic(), count or (20 if settings.iterations > 1000 else 2)
    rows: dict[str, list[Any]] = {"aligned": [], "moved": [], "train_end": [], "linearized_limit": [], "rank": []}
    for index in range(draws):
        drawn = replace(settings, cases=((-1.0, True), (LOG_TWO, True)), kept=3, seed=100 + index)
        found = summary(drawn, run(drawn))
        rows["aligned"].append([round(readings.aligned(found, case), 4) for case in range(2)])
        for name in ("moved", "train_end"):
            rows[name].append(found[name])
        now = scene(drawn)
        rank, limit = capacity(Weights(now.weights.inputs[:1], now.weights.outputs[:1]), now.data)
        rows["linearized_limit"].append(float(f"{float(limit):.4g}"))
        rows["rank"].append(int(rank))
    seconds = round(time.monotonic() - start, 1)
    return {"settings": asdict(settings), "versions": versions(), "seconds": seconds, "count": draws} | rows


@jax.jit
def capacity(weights: Weights, data: Data) -> tuple[Array, Array]:
    """The rank of the tangent kernel of one run on the data, and the least training loss of the linearized model.

    Eigenvalues below 1e-10 of the largest count as 0.
    """
    values, vectors = jnp.linalg.eigh(linearized.kernel(weights, data.x, data.x))
    kept = values > 1e-10 * values[-1]
    return jnp.sum(kept), 0.5 * jnp.mean(jnp.where(kept, 0.0, vectors.T @ data.y) ** 2)
