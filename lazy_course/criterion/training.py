"""The chapter's trained models: the picture it opens with, and the two blind spots of its smallest example."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course import descent, linearization, losses, models
from lazy_course.criterion.numerics import smallest_example
from lazy_course.models import AnyKey, Scalar
from lazy_course.scene import Scene

INPUTS = np.linspace(-1.0, 1.0, 5)
VALUES = np.array([0.4, -0.6, 0.2, 1.0, -0.5])


class Opening(NamedTuple):
    """A trained network and its linearized twin on a grid, and its neurons abs(b) a before and after."""

    data: Float[np.ndarray, "n 2"]
    grid: Float[np.ndarray, " g"]
    trained: Float[np.ndarray, " g"]
    twin: Float[np.ndarray, " g"]
    neurons_before: Float[np.ndarray, "m 2"]
    neurons_after: Float[np.ndarray, "m 2"]
    loss: float
    twin_loss: float


def film(key: AnyKey, *, alpha: Scalar, save_at: Sequence[int], m: int = 40) -> Scene:
    r"""Train $\alpha h$, h a symmetrized tanh network on 5 points of a line, by gradient descent on $F_\alpha$.

    The twin is the same descent on the linearized model. Inputs are (z, 1); the step size is a quarter of
    `descent.stable_step_size`. A frame is kept at each of the steps `save_at`. A neuron is the point abs(b) a.
    """
    grid = jnp.linspace(-1.15, 1.15, 160)
    network, params0 = _network(key, m)
    h, on_grid = (
        models.as_map(network, _with_bias(jnp.asarray(INPUTS)), normalize=True),
        models.as_map(network, _with_bias(grid)),
    )
    loss = losses.square_loss(VALUES / INPUTS.size**0.5)
    step = descent.stable_step_size(h, params0) / 4
    kept: Any = {"alpha": alpha, "steps": save_at[-1], "step_size": step, "save_at": list(save_at)}
    kept["remainder"] = "difference"
    run = descent.gradient_descent(h, params0, loss, **kept)
    twin = descent.gradient_descent(linearization.linearize(h, params0), params0, loss, **kept)
    fits = jax.jit(jax.vmap(on_grid))(run.params)
    twins = jax.jit(jax.vmap(linearization.linearize(on_grid, params0)))(twin.params)
    neurons = run.params["input"] * jnp.abs(run.params["output"][:, 0])[..., None]
    return Scene(
        steps=np.asarray(run.steps),
        data=np.stack([INPUTS, VALUES], axis=1),
        grid=np.asarray(grid),
        trained=np.asarray(alpha * fits),
        twin=np.asarray(alpha * twins),
        neurons=np.asarray(neurons),
        loss=np.asarray(run.loss),
        twin_loss=np.asarray(twin.loss),
    )


def opening(key: AnyKey, *, alpha: Scalar, m: int = 40, steps: int = 20_000) -> Opening:
    r"""The end of a `film` beside its start. Losses are $\|y - y^\star\|^2 / (2n)$ at the end."""
    run = film(key, alpha=alpha, save_at=[0, steps], m=m)
    before, after = run.neurons
    ends = float(run.loss[-1]), float(run.twin_loss[-1])
    return Opening(run.data, run.grid, run.trained[-1], run.twin[-1], before, after, *ends)


def _network(key: AnyKey, m: int) -> tuple[models.TwoLayer, dict[str, Array]]:
    return models.two_layer("tanh", scale=m**-0.5), models.init_two_layer(key, 2, m, input_std=2.0, symmetrized=True)


def _with_bias(z: Array) -> Array:
    return jnp.stack([z, jnp.ones_like(z)], axis=1)


class ExamplePath(NamedTuple):
    """Residual norms of the smallest example and of its linearization along the same steps of descent."""

    steps: Float[np.ndarray, " s"]
    residual: Float[np.ndarray, " s"]
    linearized: Float[np.ndarray, " s"]
    gap: Float[np.ndarray, " s"]


def example_path(
    a: Scalar, b: Scalar, c: Scalar, target: tuple[float, float], *, steps: int, start: tuple[float, float] = (0.0, 0.0)
) -> ExamplePath:
    """Descent with step 1 / (4 norm(Dh)^2) on the smallest example and on its linearization, from `start`."""
    h, begin = smallest_example(a, b, c), jnp.asarray(start)
    loss = losses.square_loss(target)
    options: Any = {"alpha": 1.0, "steps": steps, "step_size": 0.25 / float(max(a, b)) ** 2, "remainder": "difference"}
    run = descent.gradient_descent(h, begin, loss, **options)
    twin = descent.gradient_descent(linearization.linearize(h, begin), begin, loss, **options)
    goal = jnp.asarray(target)[None]
    return ExamplePath(
        steps=np.asarray(run.steps, dtype=float),
        residual=np.asarray(jnp.linalg.norm(run.outputs - goal, axis=1)),
        linearized=np.asarray(jnp.linalg.norm(twin.outputs - goal, axis=1)),
        gap=np.asarray(jnp.linalg.norm(run.outputs - twin.outputs, axis=1)),
    )


def opening_pair(key: AnyKey) -> dict[str, Opening]:
    """The two runs of the first figure, by title: a small and a large scale, everything else equal."""
    return {rf"$\alpha = {alpha:g}$": opening(key, alpha=alpha) for alpha in (0.1, 30.0)}


def blind_spots() -> dict[str, ExamplePath]:
    """The two cases where kappa misleads, by title."""
    return {
        r"$\kappa = 100$, $y^\star = (1, 0)$": example_path(1.0, 0.5, 100.0, (1.0, 0.0), steps=40),
        r"$\kappa = 0.01$, $y^\star = (0, 1)$": example_path(10.0, 0.01, 1.0, (0.0, 1.0), steps=4000),
    }
