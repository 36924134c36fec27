r"""The linearized model solved exactly: its gradient flow at any time from one eigendecomposition.

The mean square loss over n samples and k outputs is, for $z = J v$ with $J = Dh(w_0)$ and one-hot targets y, a
quadratic with Hessian $H = \frac{2}{nk} J^\top J$. The flow from v = 0 is $v(t) = \sum_i \frac{1 - e^{-\lambda_i t}}
{\lambda_i} q_i q_i^\top b$ with $b = \frac{2}{nk} J^\top y$: a direction of eigenvalue $\lambda$ is learned at time
$1/\lambda$, and stopping early leaves out the small ones. Works while the p x p matrix H fits into memory.
"""

import time
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from lazy_course.convnets import data, panels
from lazy_course.convnets.models import Layered
from lazy_course.convnets.panels import Study
from lazy_course.store import Arrays, Store, Tell, digits, versions

BLOCK = 200  # samples whose Jacobian is formed at once
FLOOR = 1e-13  # relative to the largest eigenvalue: smaller ones are rounding


class Quadratic(NamedTuple):
    """The eigenvalues of H in ascending order, its eigenvectors (columns), and the coordinates of b."""

    rates: Float[np.ndarray, " p"]
    vectors: Float[np.ndarray, "p p"]
    moments: Float[np.ndarray, " p"]


@dataclass(frozen=True)
class Exact:
    """Which study's linearized model (first width, repetition `run`), and at which flow times beside its end."""

    study: Study
    run: int = 0
    times: tuple[float, ...] = tuple(10.0 ** (k / 2) for k in range(17))


EXACT: dict[str, Exact] = {
    "laptop": Exact(panels.PANELS["fig3a"]["laptop"][0]),
    "quick": Exact(panels.PANELS["fig3a"]["quick"][0], times=(1.0, 100.0)),
}


@eqx.filter_jit
def _block(f: Layered, start: PyTree, x: Array, targets: Array) -> tuple[Array, Array]:
    """J^T J and J^T y of a block of samples."""

    def rows(row: Array) -> Array:
        parts = jax.jacrev(lambda w: f(w, row[None])[0])(start)
        return jax.vmap(lambda part: ravel_pytree(part)[0])(parts)

    jacobian = jax.vmap(rows)(x).reshape(targets.size, -1)
    return jacobian.T @ jacobian, jacobian.T @ targets.reshape(-1)


def quadratic(f: Layered, start: PyTree, x: Float[Array, "n ..."], targets: Float[Array, "n k"]) -> Quadratic:
    """H and b of the linearized model in the coordinates of H's eigenvectors."""
    p = sum(leaf.size for leaf in jax.tree.leaves(start))
    gram, moment = np.zeros((p, p)), np.zeros(p)
    for begin in range(0, len(x), BLOCK):
        rows = slice(begin, begin + BLOCK)
        part = _block(f, start, x[rows], targets[rows])
        gram += np.asarray(part[0])
        moment += np.asarray(part[1])
    scale = 2.0 / targets.size
    rates, vectors = np.linalg.eigh(scale * gram)
    return Quadratic(rates, vectors, vectors.T @ (scale * moment))


def flow(found: Quadratic, times: Float[np.ndarray, " T"]) -> Float[np.ndarray, "T p"]:
    r"""The flow v(t) from 0; t may be infinite (the least-squares solution of least norm)."""
    rates = np.maximum(found.rates, 0.0)
    known = rates > FLOOR * rates[-1]
    safe = np.where(known, rates, 1.0)
    with np.errstate(invalid="ignore"):
        learned = np.where(known, -np.expm1(-safe[None] * times[:, None]) / safe[None], 0.0)
    return (learned * found.moments[None]) @ found.vectors.T


@eqx.filter_jit
def _tangents(f: Layered, start: PyTree, ways: PyTree, x: Array) -> Array:
    return jax.vmap(lambda way: jax.jvp(lambda w: f(w, x), (start,), (way,))[1])(ways)


def descent_time(study: Study, samples: int) -> float:
    r"""The flow time of a study's descent: the sum of its steps $\eta_t / (1 - \text{momentum})$."""
    steps = samples // study.batch
    each = study.linear_rate / (1.0 + study.decay * np.arange(study.epochs)) / (1.0 - study.momentum)
    return float(steps * np.sum(each))


def run(settings: Exact, store: Store, tell: Tell) -> Arrays:
    """Losses and accuracies of the flow at `times`, at the time of the study's descent, and at infinity."""
    kept = store.load("exact")
    if kept is not None:
        return kept
    begin, study = time.monotonic(), settings.study
    split = study.split()
    job = study.job(study.index(study.widths[0], settings.run), split.x.shape[1:])
    x, x_test = jnp.asarray(split.x), jnp.asarray(split.x_test)
    found = quadratic(job.f, job.start, x, jnp.asarray(data.one_hot(split.y)))
    tell(1, 2)
    times = np.asarray([*settings.times, descent_time(study, len(split.y)), np.inf])
    unravel = ravel_pytree(job.start)[1]
    ways = jax.vmap(unravel)(jnp.asarray(flow(found, times)))
    rows = []
    for inputs, classes in ((x, split.y), (x_test, split.y_test)):
        z = np.asarray(_tangents(job.f, job.start, ways, inputs))
        rows += [np.mean((z - data.one_hot(classes)[None]) ** 2, axis=(1, 2)), np.mean(z.argmax(2) == classes, axis=1)]
    tell(2, 2)
    kept = dict(zip(("train_loss", "train_accuracy", "test_loss", "test_accuracy"), rows, strict=True))
    kept |= {"times": times, "rates": found.rates[::-1], "seconds": np.asarray(time.monotonic() - begin)}
    store.save("exact", kept)
    return kept


def record(settings: Exact, found: Arrays) -> dict[str, Any]:
    """What is committed; the last time is infinite (null), the one before is that of the study's descent."""
    rates = found["rates"]
    indices = np.unique(np.round(np.geomspace(1, len(rates), 200)).astype(int))
    names = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    return {
        "settings": asdict(settings),
        "versions": versions("scikit-learn"),
        "parameters": len(rates),
        "times": [*digits(found["times"][:-1]), None],
        "indices": indices.tolist(),
        "rates": digits(rates[indices - 1]),
        "seconds": round(float(found["seconds"]), 1),
    } | {name: digits(found[name]) for name in names}
