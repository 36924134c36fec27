r"""Fully-connected networks in two parameterizations, and what their width does to gradient descent.

Layer l maps x to $h = c_l W x + s\, b$, and every layer but the last is followed by the activation.

- "ntk": $c_l = \sigma_w/\sqrt{m_{l-1}}$, $s = \sigma_b$, all parameters standard normal;
- "standard": $c_l = s = 1$, weights of variance $\sigma_w^2/m_{l-1}$, biases of variance $\sigma_b^2$.

Descent on $\frac12\|f(X) - y\|^2$ (a sum) is written for the normalized kernel $\hat\Theta = \nu J J^\top$, so that
one step size $\eta_0$ means the same in both: $w \leftarrow w - \eta_0\,\nu J^\top(f(X) - y)$, with $\nu = 1$ for
"ntk" and $\nu = 1/m$ for "standard", m the width. Times here are numbers of steps.
"""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course.models import Activation, AnyKey, Function, RealArray, Scalar, activation_function
from lazy_course.ntk.dynamics import linearized_dynamics

Params = list[dict[str, Array]]


class FullyConnected(Function):
    """The network built by `fully_connected`."""

    activation: Activation
    sigma_w: Float[Array, ""]
    sigma_b: Float[Array, ""]
    parameterization: str = eqx.field(static=True)

    def factors(self, params: Params) -> tuple[list[Array], Array]:
        """The factors c_l of the weights, one a layer, and the factor s of the biases."""
        one = jnp.ones_like(self.sigma_w)
        if self.parameterization == "standard":
            return [one for _ in params], one
        return [self.sigma_w / layer["weight"].shape[1] ** 0.5 for layer in params], self.sigma_b

    def shifted(self, params: Params, x: Array, shifts: list[Array]) -> tuple[Array, list[Array]]:
        """The outputs (n, k) and the input of every layer, with `shifts[l]` added to the values h of layer l."""
        weights, bias = self.factors(params)
        inputs = [x]
        for number, (layer, c, shift) in enumerate(zip(params, weights, shifts, strict=True)):
            h = c * (inputs[-1] @ layer["weight"].T) + (bias * layer["bias"])[None, :] + shift
            inputs.append(h if number == len(params) - 1 else self.activation(h))
        return inputs[-1], inputs[:-1]

    def __call__(self, params: Params, x: Float[RealArray, "n d"]) -> Float[Array, "n k"]:
        x = jnp.asarray(x)
        return self.shifted(params, x, _no_shifts(params, x))[0]


def _no_shifts(params: Params, x: Array) -> list[Array]:
    return [jnp.zeros((x.shape[0], layer["weight"].shape[0]), x.dtype) for layer in params]


def fully_connected(
    activation: str | Activation = "tanh",
    *,
    sigma_w: Scalar,
    sigma_b: Scalar,
    parameterization: str = "ntk",
) -> FullyConnected:
    r"""A fully-connected network `f(params, x) -> (n, k)` in the "ntk" or the "standard" parameterization.

    `params` is a list of layers, {"weight": (out, in), "bias": (out,)}; draw them with `init_fully_connected`. Raises
    `ValueError` for another parameterization or an unknown activation. Source: chen2020linearized, (1), (2).
    """
    _require_parameterization(parameterization)
    weight, bias = (jnp.asarray(value, dtype=float) for value in (sigma_w, sigma_b))
    return FullyConnected(activation_function(activation), weight, bias, parameterization)


def _require_parameterization(parameterization: str) -> None:
    if parameterization not in ("ntk", "standard"):
        raise ValueError(f'parameterization: expected "ntk" or "standard", got {parameterization!r}')


def init_fully_connected(key: AnyKey, widths: Sequence[int], *, network: FullyConnected) -> Params:
    """Normal parameters for `network`: layers from widths[l] to widths[l + 1], `widths` = (d, m_1, ..., m_L, k).

    The draws of both parameterizations correspond: the same key gives the same function. Raises `ValueError` for
    fewer than two widths, or one that is not positive.
    """
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths: expected (d, ..., k), at least two positive entries, got {tuple(widths)}")
    drawn = []
    for layer, before, after in zip(jax.random.split(key, len(widths) - 1), widths[:-1], widths[1:], strict=True):
        of_weight, of_bias = jax.random.split(layer)
        weight = jax.random.normal(of_weight, (after, before), dtype=float)
        drawn.append({"weight": weight, "bias": jax.random.normal(of_bias, (after,), dtype=float)})
    return as_standard(drawn, network) if network.parameterization == "standard" else drawn


def as_standard(params: Params, network: FullyConnected) -> Params:
    r"""The dictionary for parameters: $W_l \mapsto (\sigma_w/\sqrt{m_{l-1}}) W_l$ and $b_l \mapsto \sigma_b b_l$.

    Takes parameters of the "ntk" parameterization to those with which a "standard" network is the same function.
    """
    return jax.tree.map(jnp.multiply, _dictionary(params, network), params)


def standard_steps(params: Params, network: FullyConnected, step_size: Scalar) -> Params:
    r"""The dictionary for step sizes: $\eta\sigma_w^2/m_{l-1}$ for weights, $\eta\sigma_b^2$ for biases.

    With $W = c\,w$ the gradient in W is that in w over c, so a step $\eta$ in w is a step $c^2\eta$ in W. Descent on a
    "standard" network with these steps is descent with `step_size` on the "ntk" network, function by function.
    """
    return jax.tree.map(lambda c: jnp.asarray(step_size) * c**2, _dictionary(params, network))


def _dictionary(params: Params, network: FullyConnected) -> Params:
    """The factor c of W = c w for every parameter."""
    return [
        {
            "weight": jnp.full_like(layer["weight"], network.sigma_w / layer["weight"].shape[1] ** 0.5),
            "bias": jnp.full_like(layer["bias"], network.sigma_b),
        }
        for layer in params
    ]


class Passes(NamedTuple):
    """One pass forth and back for a network with one output: outputs (n,), and for every layer its inputs
    (n, in) and the derivatives of the output by its values h, (n, out)."""

    outputs: Array
    inputs: list[Array]
    deltas: list[Array]


def passes(network: FullyConnected, params: Params, x: Array) -> Passes:
    """Forth and back through a network with one output, each sample by itself."""
    if params[-1]["weight"].shape[0] != 1:
        raise ValueError(f"params: expected one output, got {params[-1]['weight'].shape[0]}; train one at a time")
    outputs, pull, inputs = jax.vjp(
        lambda shifts: network.shifted(params, x, shifts), _no_shifts(params, x), has_aux=True
    )
    return Passes(outputs[:, 0], inputs, pull(jnp.ones_like(outputs))[0])


def layer_kernels(network: FullyConnected, params: Params, x: Float[RealArray, "n d"]) -> Float[Array, "layers 2 n n"]:
    r"""What each layer's weights (index 0) and biases (1) give to the normalized kernel $\hat\Theta = \nu J J^\top$.

    Weights: $\nu c_l^2$ times the inner products of the inputs times those of the deltas; biases: $\nu s^2$ times the
    latter. Cost: n^2 m L. The sum over layers and kinds is $\hat\Theta$. For networks with one output.
    """
    return jnp.stack(
        [jnp.stack(pair) for pair in _contributions(network, params, passes(network, params, jnp.asarray(x)))]
    )


def _contributions(network: FullyConnected, params: Params, seen: Passes) -> list[tuple[Array, Array]]:
    weights, bias = network.factors(params)
    scale = normalization(network, params)
    pairs = []
    for c, inputs, deltas in zip(weights, seen.inputs, seen.deltas, strict=True):
        gram = scale * (deltas @ deltas.T)
        pairs.append((c**2 * (inputs @ inputs.T) * gram, bias**2 * gram))
    return pairs


def normalization(network: FullyConnected, params: Params) -> float:
    r"""The factor $\nu$ of $\hat\Theta = \nu J J^\top$: 1 for "ntk", 1/m for "standard" (m: the last hidden layer)."""
    return 1.0 if network.parameterization == "ntk" else 1.0 / params[-1]["weight"].shape[1]


class Descent(NamedTuple):
    """A descent, after 0, 1, ..., T steps: outputs (T+1, n+q) at the training points and then the test points,
    kernels (T+1, n+q, n) of all points against the training points, and the distance from the start (T+1,)."""

    outputs: Array
    kernels: Array
    distance: Array


@eqx.filter_jit
def descend(
    network: FullyConnected, params: Params, x: Array, x_test: Array, target: Array, step_size: Scalar, *, steps: int
) -> Descent:
    r"""Gradient descent on $\frac12\|f(X) - y\|^2$ with step $\eta_0\nu$, every step measured.

    `target` has shape (n,); one output. Cost a step: one pass forth and back over n + q points, and an update.
    """
    n, points = x.shape[0], jnp.concatenate([x, x_test])
    rate = jnp.asarray(step_size) * normalization(network, params)

    def measured(current: Params, seen: Passes) -> tuple[Array, Array, Array]:
        kernel = sum(a + b for a, b in _contributions(network, current, seen))
        pairs = zip(jax.tree.leaves(current), jax.tree.leaves(params), strict=True)
        moved = sum(jnp.sum((now - before) ** 2) for now, before in pairs)
        return seen.outputs, jnp.asarray(kernel)[:, :n], jnp.sqrt(jnp.asarray(moved))

    def step(current: Params, _: None) -> tuple[Params, tuple[Array, Array, Array]]:
        seen = passes(network, current, points)
        moved = _updated(network, current, seen, rate * (seen.outputs[:n] - target))
        return moved, measured(current, seen)

    return Descent(*jax.lax.scan(step, params, None, length=steps + 1)[1])


def _updated(network: FullyConnected, params: Params, seen: Passes, force: Array) -> Params:
    """One step: the parameters minus the gradient of <force, f(X)>, where X are the first rows of `seen`."""
    weights, bias = network.factors(params)
    n, moved = force.shape[0], []
    for layer, c, inputs, deltas in zip(params, weights, seen.inputs, seen.deltas, strict=True):
        pushed = force[:, None] * deltas[:n]
        weight = layer["weight"] - c * (pushed.T @ inputs[:n])
        moved.append({"weight": weight, "bias": layer["bias"] - bias * jnp.sum(pushed, axis=0)})
    return moved


class Suprema(NamedTuple):
    r"""The largest values over all steps: the norms of $f - f^{lin}$ on the training and on the test points, the
    displacement times `displacement_factor` ($m^{-1/2}$ for "ntk", 1 for "standard"), and the Frobenius norms of
    the change of the kernel on the training points and between test and training points."""

    gap: Array
    test_gap: Array
    displacement: Array
    drift: Array
    test_drift: Array


def suprema(descent: Descent, target: Array, step_size: Scalar, *, displacement_factor: Scalar) -> Suprema:
    """The five suprema of a measured descent against its own linearization."""
    n, steps = descent.kernels.shape[2], np.arange(descent.distance.shape[0])
    start, kernel = descent.outputs[0], descent.kernels[0]
    linear = linearized_dynamics(kernel[:n]).descent_test_outputs(
        start, kernel, start[:n], target, steps, step_size=step_size
    )
    gap, change = descent.outputs - linear, descent.kernels - kernel[None]
    return Suprema(
        gap=jnp.max(jnp.linalg.norm(gap[:, :n], axis=1)),
        test_gap=jnp.max(jnp.linalg.norm(gap[:, n:], axis=1)),
        displacement=jnp.asarray(displacement_factor) * jnp.max(descent.distance),
        drift=jnp.max(jnp.linalg.norm(change[:, :n], axis=(1, 2))),
        test_drift=jnp.max(jnp.linalg.norm(change[:, n:], axis=(1, 2))),
    )


@eqx.filter_jit
def train_many(
    network: FullyConnected,
    params: Params,
    x: Array,
    x_test: Array,
    target: Array,
    step_size: Scalar,
    *,
    saved: tuple[int, ...],
) -> Float[Array, "draws saved q"]:
    """Outputs at the test points after the steps `saved`, increasing, for stacked `params` (leading axis: draws)."""

    def one(start: Params) -> Array:
        rate = jnp.asarray(step_size) * normalization(network, start)

        def step(_: Array | int, current: Params) -> Params:
            seen = passes(network, current, x)
            return _updated(network, current, seen, rate * (seen.outputs - target))

        found, current, done = [], start, 0
        for count in saved:
            current = jax.lax.fori_loop(done, count, step, current)
            found.append(network(current, x_test)[:, 0])
            done = count
        return jnp.stack(found)

    return jax.lax.map(one, params)  # one after the other: a network fits into the cache, all of them do not
