r"""The criterion at full size: $\kappa_h(w_0)$ of convolutional networks, and what it does not see of the ReLU.

h is the centred network in the empirical $L^2$ norm, and the targets are one-hot, so $\|h(w_0) - y^\star\| = 1$ and
$\kappa_h(w_0) = \|D^2h\| / \|Dh\|^2$; that of $\alpha h$ is $\kappa_h(w_0)/\alpha$. $D^2h$ of a ReLU network exists
almost everywhere and does not see the kinks: beside it stands $\|Dh(w_0 + s) - Dh(w_0)\| / \|s\|$ for finite steps s
along the first step of training. Source: chizat2019lazy, Section 1.2.
"""

import dataclasses
import time
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PyTree

from lazy_course.convnets import activations, data, panels
from lazy_course.convnets.models import Layered
from lazy_course.models import AnyKey, BatchMap, as_map
from lazy_course.norms import hessian_operator_norm, jacobian_change, jacobian_norm_bounds
from lazy_course.store import Arrays, Store, Tell, digits, versions


class Case(NamedTuple):
    """One network: its kind, width, inputs, repetition, and the sharpness of its softplus (0: the ReLU itself)."""

    network: str
    width: float | int
    data: str
    n: int
    run: int = 0
    sharpness: float = 0.0


@dataclass(frozen=True)
class Scale:
    r"""The networks to measure, and how.

    `steps` are norms of finite steps s, relative to $\|w_0\|$. `lanczos` is the number of steps for $D^2h$ (0: what
    `norms.hessian_operator_norm` takes by itself), `starts` that of its starting points.
    """

    cases: tuple[Case, ...]
    steps: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1)
    lanczos: int = 0
    starts: int = 0
    change_steps: int = 24
    dtype: str = "float32"
    seed: int = 7


def _vgg(widths: tuple[float | int, ...], n: int, runs: int = 1, sharpness: float = 0.0) -> tuple[Case, ...]:
    return tuple(Case("vgg11", width, "photographs", n, run, sharpness) for width in widths for run in range(runs))


_TWINS = tuple(Case("sequence", 25, "mnist1d", 100, 0, sharpness) for sharpness in (5.0, 20.0, 80.0))
_SEQUENCES = tuple(Case("sequence", width, "mnist1d", 100, run) for width in (6, 12, 25, 50) for run in range(3))

_SAMPLES = tuple(Case("sequence", 25, "mnist1d", n) for n in (25, 400))

SCALES: dict[str, tuple[Scale, ...]] = {
    "laptop": (
        Scale((*_SEQUENCES, *_TWINS, *_SAMPLES), dtype="float64"),
        Scale((*_vgg((1.0, 1 / 2, 1 / 4, 1 / 8, 1 / 16), 4),), lanczos=14, starts=1, change_steps=12),
        Scale((*_vgg((1 / 8,), 4, sharpness=20.0), *_vgg((1 / 8,), 16)), lanczos=14, starts=1, change_steps=12),
    ),
    "quick": (Scale((Case("sequence", 4, "mnist1d", 6),), steps=(1e-3, 1e-2), lanczos=4, starts=1, change_steps=4),),
}
SCALES["paper"] = SCALES["laptop"]


def drawn(case: Case, seed: int, dtype: str) -> tuple[Layered, PyTree, Float[Array, "n ..."], Float[Array, "n 10"]]:
    """The network of a case, its initial parameters, inputs and one-hot targets.

    The sequence net's start is that of the same repetition of Figure 3(a) and (b). Photographs have no classes:
    their targets are drawn.
    """
    key_start, key_data = jax.random.split(jax.random.fold_in(jax.random.key(seed), case.run))
    if case.data == "photographs":
        x = data.photograph_crops(key_data, case.n)
        y = data.one_hot(np.asarray(jax.random.randint(jax.random.fold_in(key_data, 1), (case.n,), 0, 10)))
    else:
        split = data.load(case.data)
        x, y = jnp.asarray(split.x[: case.n]), data.one_hot(split.y[: case.n])
    f, params = panels.draw(key_start, case.network, case.width, x.shape[1:])
    if case.sharpness:
        f = activations.with_activation(f, activations.softplus(case.sharpness))
    kind = np.dtype(dtype)
    return f, jax.tree.map(lambda leaf: leaf.astype(kind), params), x.astype(kind), jnp.asarray(y, dtype=kind)


def network_map(f: Layered, x: Float[Array, "n ..."]) -> BatchMap:
    """The network as a map into F with the empirical $L^2$ norm, in the precision of x."""
    h = as_map(f, x, normalize=True)
    return dataclasses.replace(h, weight=h.weight.astype(x.dtype))


def first_direction(h: BatchMap, params: PyTree, y: Float[Array, "n 10"]) -> PyTree:
    r"""The unit direction $Dh(w_0)^\top y^\star$ of the first step of training with a centred network."""
    target = (h.weight * y).reshape(-1)
    way = jax.grad(lambda w: jnp.vdot(target, h(w)))(params)
    size = optax.tree.norm(way)
    return jax.tree.map(lambda leaf: leaf / size.astype(leaf.dtype), way)


def measure(case: Case, settings: Scale, key: AnyKey) -> Arrays:
    r"""`jacobian` and `hessian` (lower, upper), `kappa` (lower, upper), `change` for each of the steps, `seconds`."""
    start = time.monotonic()
    f, params, x, y = drawn(case, settings.seed, settings.dtype)
    h = network_map(f, x)
    keys = jax.random.split(key, 3)
    first = np.asarray([float(end) for end in jacobian_norm_bounds(h, params, key=keys[0])])
    second = np.asarray(
        [
            float(end)
            for end in hessian_operator_norm(
                h, params, key=keys[1], steps=settings.lanczos or None, starts=settings.starts or None
            )
        ]
    )
    way, size, changes = first_direction(h, params, y), float(optax.tree.norm(params)), []
    for step in settings.steps:
        shift = jax.tree.map(lambda leaf, s=step: (s * size) * leaf, way)
        change = jacobian_change(h, params, shift, key=keys[2], steps=settings.change_steps)
        changes.append(float(change) / (step * size))
    return {
        "parameters": np.asarray(sum(leaf.size for leaf in jax.tree.leaves(params))),
        "norm": np.asarray(size),
        "jacobian": first,
        "hessian": second,
        # The centred network's output is 0 and one-hot rows have norm 1, so the distance to the target is 1.
        "kappa": np.asarray([second[0] / first[1] ** 2, second[1] / first[0] ** 2]),
        "change": np.asarray(changes),
        "seconds": np.asarray(time.monotonic() - start),
    }


def run(preset: tuple[Scale, ...], store: Store, tell: Tell) -> list[list[Arrays]]:
    """All cases of a preset; those in the store are taken from there."""
    found, done, total = [], 0, sum(len(settings.cases) for settings in preset)
    for group, settings in enumerate(preset):
        rows = []
        for place, case in enumerate(settings.cases):
            name = f"case-{group}-{place:02d}"
            kept = store.load(name)
            if kept is None:
                key = jax.random.fold_in(jax.random.key(settings.seed + 1), place)
                kept = measure(case, settings, key)
                store.save(name, kept)
            done += 1
            tell(done, total)
            rows.append(kept)
        found.append(rows)
    return found


def record(preset: tuple[Scale, ...], found: list[list[Arrays]]) -> dict[str, Any]:
    """What is committed: one row a case."""
    rows = [
        case._asdict()
        | {"parameters": int(part["parameters"]), "norm": digits(part["norm"].reshape(1))[0]}
        | {name: digits(part[name]) for name in ("jacobian", "hessian", "kappa", "change")}
        | {"steps": list(settings.steps), "dtype": settings.dtype, "seconds": round(float(part["seconds"]), 1)}
        for settings, parts in zip(preset, found, strict=True)
        for case, part in zip(settings.cases, parts, strict=True)
    ]
    return {"settings": [asdict(settings) for settings in preset], "versions": versions(), "rows": rows}
