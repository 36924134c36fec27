"""The chapter's trained models: the picture it opens with, and the two blind spots of its smallest example."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course import descent, linearization, losses, models
from lazy_course.criterion.numerics import smallest_example
from lazy_course.models import AnyKey, Scalar


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


def opening(key: AnyKey, *, alpha: Scalar, m: int = 40, steps: int = 20_000) -> Opening:
    r"""Train $\alpha h$, h a symmetrized tanh network on 5 points of a line, by gradient descent on $F_\alpha$.

    The twin is the same descent on the linearized model. Inputs are (z, 1); the step size is a quarter of
    `descent.stable_step_size`. Losses are $\|y - y^\star\|^2 / (2n)$ at the end.
    """
    z = jnp.linspace(-1.0, 1.0, 5)
    grid = jnp.linspace(-1.15, 1.15, 160)
    values = jnp.asarray([0.4, -0.6, 0.2, 1.0, -0.5])
    network = models.two_layer("tanh", scale=m**-0.5)
    params0 = models.init_two_layer(key, 2, m, input_std=2.0, symmetrized=True)

    def with_bias(z: Array) -> Array:
        return jnp.stack([z, jnp.ones_like(z)], axis=1)

    h = models.as_map(network, with_bias(z), normalize=True)
    on_grid = models.as_map(network, with_bias(grid))
    loss = losses.square_loss(values / z.shape[0] ** 0.5)
    step = descent.stable_step_size(h, params0) / 4
    options: Any = {"alpha": alpha, "steps": steps, "step_size": step, "save_at": [0, steps], "remainder": "difference"}
    run = descent.gradient_descent(h, params0, loss, **options)
    twin = descent.gradient_descent(linearization.linearize(h, params0), params0, loss, **options)
    last, last_twin = (jax.tree.map(lambda leaf: leaf[-1], path.params) for path in (run, twin))
    fit = alpha * on_grid(last)
    fit_twin = alpha * linearization.linearize(on_grid, params0)(last_twin)

    def positions(params: dict[str, Array]) -> np.ndarray:
        return np.asarray(params["input"] * jnp.abs(params["output"][0])[:, None])

    return Opening(
        data=np.stack([z, values], axis=1),
        grid=np.asarray(grid),
        trained=np.asarray(fit),
        twin=np.asarray(fit_twin),
        neurons_before=positions(params0),
        neurons_after=positions(last),
        loss=float(run.loss[-1]),
        twin_loss=float(twin.loss[-1]),
    )


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
