r"""The teacher, the students of many runs in one stack, and their gradient, for ReLU neurons without biases.

A stack holds R runs that share their data: `inputs` (R, m, d) with rows $b_j$, `outputs` (R, m) with entries $a_j$.
Run r computes $f_r(x) = \alpha_r \sum_j a_j \max(\langle b_j, x\rangle, 0)$, and all R m neurons meet the data in one
matrix product. The loss is $R = \frac{1}{2n}\sum_i (f(x_i) - y_i)^2$, and training descends $F = R / \alpha^2$.
Neurons with a = 0 and b = 0 stay there, so runs of several widths can share a stack.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazy_course.models import AnyKey, Scalar, init_two_layer


class Teacher(NamedTuple):
    """Three neurons: unit rows `inputs` (m0, d) and signs `outputs` (m0,), so that norm(a_j b_j) = 1."""

    inputs: Float[Array, "m0 d"]
    outputs: Float[Array, " m0"]

    def __call__(self, x: Float[Array, "n d"]) -> Float[Array, " n"]:
        return jnp.maximum(x @ self.inputs.T, 0) @ self.outputs


class Weights(NamedTuple):
    """The weights of R students of width m."""

    inputs: Float[Array, "R m d"]
    outputs: Float[Array, "R m"]


class Data(NamedTuple):
    """What the runs of a stack share: n training points and q test points with the teacher's answers."""

    x: Float[Array, "n d"]
    y: Float[Array, " n"]
    x_test: Float[Array, "q d"]
    y_test: Float[Array, " q"]


class Rates(NamedTuple):
    r"""Of each run the scale $\alpha$ and the steps of its two layers (the paper has one step for both)."""

    scale: Float[Array, " R"]
    input_step: Float[Array, " R"]
    output_step: Float[Array, " R"]


def sphere(key: AnyKey, n: int, d: int) -> Float[Array, "n d"]:
    """n independent points, uniform on the unit sphere of R^d."""
    x = jax.random.normal(key, (n, d), dtype=float)
    return x / jnp.linalg.norm(x, axis=1, keepdims=True)


def draw_teacher(key: AnyKey, d: int, neurons: int = 3) -> Teacher:
    """A teacher with uniform directions and fair signs. Source: chizat2019lazy, Section 3.1."""
    key_inputs, key_outputs = jax.random.split(key)
    return Teacher(sphere(key_inputs, neurons, d), jax.random.rademacher(key_outputs, (neurons,), dtype=float))


def draw_student(key: AnyKey, d: int, m: int, *, symmetrized: bool, positive: bool = False) -> Weights:
    """One run of standard normal weights, R = 1; times tau they have standard deviation tau.

    With `positive` the first half of the output weights is replaced by absolute values (the authors' code): as each
    neuron of the first half has a twin with the opposite output weight, this permutes neurons and changes no function.
    Raises `ValueError` as `models.init_two_layer` does, and for `positive` without `symmetrized`.
    """
    if positive and not symmetrized:
        raise ValueError("positive: expected symmetrized=True beside it, got False; only then it changes no function")
    params = init_two_layer(key, d, m, symmetrized=symmetrized)
    outputs = params["output"][0]
    if positive:
        half = jnp.abs(outputs[: m // 2])
        outputs = jnp.concatenate([half, -half])
    return Weights(params["input"][None], outputs[None])


def scaled_weights(weights: Weights, tau: Float[Array, " R"] | Scalar) -> Weights:
    """Both layers times tau, one tau a run (a stack of one run is repeated)."""
    factor = jnp.atleast_1d(jnp.asarray(tau))
    return Weights(factor[:, None, None] * weights.inputs, factor[:, None] * weights.outputs)


def preactivations(weights: Weights, x: Float[Array, "n d"]) -> Float[Array, "R m n"]:
    """The inner products of all neurons of all runs with all points: one matrix product."""
    runs, m, d = weights.inputs.shape
    return (weights.inputs.reshape(runs * m, d) @ x.T).reshape(runs, m, x.shape[0])


def summed(outputs: Float[Array, "R m"], z: Float[Array, "R m n"]) -> Float[Array, "R n"]:
    r"""$\sum_j a_j \max(z_j, 0)$ of each run, with z = `preactivations`."""
    # As a product of matrices: a plain sum over the middle axis takes three times as long, a third of a step.
    return jnp.einsum("rm,rmn->rn", outputs, jnp.maximum(z, 0))


def predict(weights: Weights, scale: Float[Array, " R"], x: Float[Array, "n d"]) -> Float[Array, "R n"]:
    """The outputs of all runs."""
    return scale[:, None] * summed(weights.outputs, preactivations(weights, x))


def loss(
    weights: Weights, scale: Float[Array, " R"], x: Float[Array, "n d"], y: Float[Array, " n"]
) -> Float[Array, " R"]:
    r"""The loss $\frac{1}{2n} \sum_i (f(x_i) - y_i)^2$ of each run."""
    return 0.5 * jnp.mean((predict(weights, scale, x) - y[None, :]) ** 2, axis=1)


def gradient(weights: Weights, scale: Float[Array, " R"], x: Float[Array, "n d"], y: Float[Array, " n"]) -> Weights:
    r"""The gradient of $F = R / \alpha^2$ for each run; the derivative of ReLU at 0 is taken as 0.

    With $g_j = \frac1n \sum_i r_i 1_{\langle b_j, x_i\rangle > 0}\, x_i$ and residuals r it is $a_j g_j / \alpha$ for
    $b_j$ and, as the activation is 1-homogeneous, $\langle b_j, g_j\rangle / \alpha$ for $a_j$: one product with the
    data serves both layers.
    """
    runs, m, d = weights.inputs.shape
    n = x.shape[0]
    z = preactivations(weights, x)
    residual = (scale[:, None] * summed(weights.outputs, z) - y[None, :]) / (n * scale[:, None])
    gated = jnp.where(z > 0, residual[:, None, :], 0)
    g = (gated.reshape(runs * m, n) @ x).reshape(runs, m, d)
    return Weights(weights.outputs[:, :, None] * g, jnp.sum(weights.inputs * g, axis=2))


def moved_from(start: Weights, way: Weights) -> Weights:
    """The weights that are `way` from `start`."""
    return Weights(start.inputs + way.inputs, start.outputs + way.outputs)


def still(start: Weights) -> Weights:
    """The way of weights that have not moved."""
    return Weights(jnp.zeros_like(start.inputs), jnp.zeros_like(start.outputs))


def step(start: Weights, way: Weights, rates: Rates, x: Float[Array, "n d"], y: Float[Array, " n"]) -> Weights:
    r"""One step of gradient descent of every run, in the coordinate $w - w_0$ (`way`).

    A lazy step is small beside the weights: added to them in single precision it is rounded away, and training stops
    early. Added to the way it is kept.
    """
    slope = gradient(moved_from(start, way), rates.scale, x, y)
    return Weights(
        way.inputs - rates.input_step[:, None, None] * slope.inputs,
        way.outputs - rates.output_step[:, None] * slope.outputs,
    )
