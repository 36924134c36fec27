"""What models that learn no features reach on the same data: a linear one, and the last layer on random features."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from lazy_course.convnets import panels
from lazy_course.convnets.data import CLASSES, Split
from lazy_course.convnets.models import Layered
from lazy_course.convnets.training import CHUNK

if TYPE_CHECKING:
    from lazy_course.convnets.panels import Study

RIDGES = tuple(10.0**k for k in range(-8, 3))
FEATURE_WIDTH = {"sequence": 400.0, "vgg11": 1.0, "resnet18": 1.0}
HELD_OUT = 5  # one in so many training samples chooses the ridge


def last_features(f: Layered, params: PyTree, x: Float[Array, "n ..."]) -> Float[Array, "n q"]:
    """What a network's last, linear layer sees: the outputs of the network whose last layer is the identity."""
    size, kind = len(params["output"]["weights"]), params["output"]["weights"].dtype
    seeing = {**params, "output": {"weights": jnp.eye(size, dtype=kind), "bias": jnp.zeros(size, kind)}}
    return jnp.concatenate([_outputs(f, seeing, x[i : i + CHUNK]) for i in range(0, len(x), CHUNK)])


@eqx.filter_jit
def _outputs(f: Layered, params: PyTree, x: Array) -> Array:
    return f(params, x)


def ridge_accuracy(
    features: Float[Array, "n q"],
    y: Int[Array, " n"],
    features_test: Float[Array, "m q"],
    y_test: Int[Array, " m"],
) -> tuple[float, float]:
    r"""Train and test accuracy of least squares on targets 0 and 1, with an intercept and a ridge.

    The features are standardized. The ridge (times n, the eigenvalues' scale) is the one of `RIDGES` that serves best
    on every `HELD_OUT`-th training sample; with it the model is fitted to all of them.
    """
    mean, deviation = jnp.mean(features, axis=0), jnp.std(features, axis=0)
    deviation = jnp.where(deviation > 0, deviation, 1.0)
    parts = [jnp.asarray((part - mean[None]) / deviation[None], dtype=float) for part in (features, features_test)]
    held = jnp.arange(len(y)) % HELD_OUT == HELD_OUT - 1
    scores = jnp.mean(_fits(parts[0], y, (~held).astype(float), parts[0][held], y[held]), axis=1)
    both, classes = jnp.concatenate(parts), jnp.concatenate([y, y_test])
    right = _fits(parts[0], y, jnp.ones(len(y)), both, classes)[int(jnp.argmax(scores))]
    return float(jnp.mean(right[: len(y)])), float(jnp.mean(right[len(y) :]))


def features_accuracy(f: Layered, params: PyTree, split: Split) -> tuple[float, float]:
    """Train and test accuracy of `ridge_accuracy` on the last features of a network at its parameters."""
    features, features_test = (last_features(f, params, jnp.asarray(part)) for part in (split.x, split.x_test))
    return ridge_accuracy(features, jnp.asarray(split.y), features_test, jnp.asarray(split.y_test))


@eqx.filter_jit
def _fits(x: Array, y: Array, use: Array, x_new: Array, y_new: Array) -> Array:
    """Whether each new sample is right, for each ridge (ridges, n_new); `use` weighs the samples of the fit."""
    total = jnp.sum(use)
    targets = jax.nn.one_hot(y, CLASSES, dtype=x.dtype)
    centre_x, centre_y = use @ x / total, use @ targets / total
    z = (x - centre_x[None]) * jnp.sqrt(use)[:, None]
    t = (targets - centre_y[None]) * jnp.sqrt(use)[:, None]
    rates, vectors = jnp.linalg.eigh(z.T @ z / total)
    moments, rows = vectors.T @ (z.T @ t / total), (x_new - centre_x[None]) @ vectors

    def right(ridge: Array) -> Array:
        solution = moments / (jnp.maximum(rates, 0.0) + ridge)[:, None]
        return jnp.argmax(rows @ solution + centre_y[None], axis=1) == y_new

    return jax.lax.map(right, jnp.asarray(RIDGES))


def all_of(study: "Study", split: Split) -> dict[str, Any]:
    """Both baselines as (train, test) accuracy; the random features once for every repetition of the study.

    Random features are those before the last layer of a network of the study's kind, wider (`FEATURE_WIDTH`, at
    least the study's widest), at its initialization.
    """
    x, y, x_test, y_test = (jnp.asarray(part) for part in split)
    flat = ridge_accuracy(x.reshape(len(y), -1), y, x_test.reshape(len(y_test), -1), y_test)
    width = max(*study.widths, FEATURE_WIDTH[study.network]) if study.limit == 0 else max(study.widths)
    drawn = []
    for run in range(study.runs):
        key = jax.random.fold_in(jax.random.key(study.seed + 1), run)
        f, params = panels.draw(key, study.network, width, split.x.shape[1:], gain=study.gain)
        params = jax.tree.map(lambda leaf: leaf.astype(x.dtype), params)
        drawn.append(features_accuracy(f, params, split))
    return {
        "linear": list(flat),
        "random_features": [list(pair) for pair in drawn],
        "features": len(params["output"]["weights"]),
    }
