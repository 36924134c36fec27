r"""The kernels of infinitely wide networks (ReLU and erf), their two-layer parts, and random-feature draws of these."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course.models import ACTIVATIONS, AnyKey, RealArray, Scalar
from lazy_course.ntk import angles, recursions
from lazy_course.ntk.recursions import Kernels
from lazy_course.ntk.spectral import require_number

CLOSED_FORMS = ("relu", "erf")


class TwoLayerKernels(NamedTuple):
    """The parts of a two-layer tangent kernel: from the input weights (`input`) and the output weights (`output`)."""

    input: Float[Array, "n1 n2"]
    output: Float[Array, "n1 n2"]


def _require_activation(activation: str) -> None:
    if activation not in CLOSED_FORMS:
        raise ValueError(
            f"activation: expected one of {CLOSED_FORMS}, got {activation!r}; other activations have no closed form "
            "here: draw wide networks instead (random_feature_kernels, kernels.tangent_kernel)"
        )


def require_inputs(x1: Any, x2: Any) -> tuple[Array, Array | None]:
    """Both inputs in one precision, float32 if both are, else float64; raises `ValueError` for wrong shapes."""
    arrays = [jnp.asarray(x) for x in (x1, x2) if x is not None]
    for name, x in zip(("x1", "x2"), arrays, strict=False):
        if x.ndim != 2 or x.size == 0:
            raise ValueError(f"{name}: expected shape (n, d) with n, d >= 1, got {x.shape}; one row is one input")
    if len(arrays) == 2 and arrays[0].shape[1] != arrays[1].shape[1]:
        raise ValueError(f"x2: expected rows of length {arrays[0].shape[1]} like those of x1, got {arrays[1].shape[1]}")
    single = all(x.dtype == jnp.float32 for x in arrays)
    arrays = [x.astype(jnp.float32 if single else jnp.float64) for x in arrays]
    return arrays[0], arrays[1] if len(arrays) == 2 else None


def infinite_width_kernels(
    x1: Float[RealArray, "n1 d"],
    x2: Float[RealArray, "n2 d"] | None = None,
    *,
    activation: str = "relu",
    depth: int,
    sigma_w: Scalar,
    sigma_b: Scalar,
) -> Kernels:
    r"""The kernels (nngp, ntk) of a fully connected network of infinite width, each of shape (n1, n2).

    `depth` counts the hidden layers; the weights of every layer, the read-out included, are
    $\sigma_w w/\sqrt{\mathrm{fan\ in}}$ and the biases $\sigma_b\beta$, w, beta standard normal (NTK parameterization).
    With $K^1 = \Theta^1 = \sigma_w^2\langle x, x'\rangle/d + \sigma_b^2$ and (u, v) normal with the covariance $K^l$,

    $$K^{l+1} = \sigma_w^2\,E[\sigma(u)\sigma(v)] + \sigma_b^2, \qquad
    \Theta^{l+1} = K^{l+1} + \sigma_w^2\,E[\sigma'(u)\sigma'(v)]\,\Theta^l,$$

    and the results are those of l = depth. `x2` left out means x2 = x1: half of the work, and symmetric results.
    Computed in float32 if all inputs are, else in float64. The ReLU's tangent kernel has a kink where x and x' are
    parallel; its derivative there is taken as the mean over the two sides, and is finite.
    Works under `jax.jit`, `jax.vmap`, `jax.grad`. Raises `ValueError` for an activation other than "relu" and "erf",
    a depth below 1, sigma_w <= 0, sigma_b < 0, or inputs of wrong shape.
    Sources: jacot2018neural, lee2019wide, cho2009kernel; derived in `ntk.derivation`.
    """
    _require_activation(activation)
    if isinstance(depth, bool) or not isinstance(depth, int | np.integer) or depth < 1:
        raise ValueError(f"depth: expected a whole number of hidden layers >= 1, got {depth!r}")
    require_number("sigma_w", sigma_w)
    require_number("sigma_b", sigma_b, zero=True)
    x1, x2 = require_inputs(x1, x2)
    a, b = (jnp.asarray(s, x1.dtype) ** 2 for s in (sigma_w, sigma_b))
    return recursions.closed_form_kernels(x1, x2, a, b, activation=activation, depth=int(depth))


@partial(jax.jit, static_argnames="activation")
def _limits(x1: Array, x2: Array | None, b2: Array, a2: Array, *, activation: str) -> TwoLayerKernels:
    other = x1 if x2 is None else x2
    inner = x1 @ other.T
    if activation == "relu":
        (r1, u1), (r2, u2) = angles.lengths_and_directions(x1), angles.lengths_and_directions(other)
        same = jnp.eye(inner.shape[0], inner.shape[1], dtype=bool) & (x2 is None)
        gate, defect = recursions.relu_layer(angles.cosines(u1, u2, same))
        return TwoLayerKernels(b2 / 2 * inner * gate, a2 / 2 * recursions.outer(r1, r2) * (1 - defect))
    left, right = (recursions.erf_scale(a2 * jnp.sum(x**2, axis=1)) for x in (x1, other))
    pair, gate = recursions.erf_pair_and_gates(a2 * inner, left, right)
    return TwoLayerKernels(b2 * inner * gate, pair)


def two_layer_limits(
    x1: Float[RealArray, "n1 d"],
    x2: Float[RealArray, "n2 d"] | None = None,
    *,
    activation: str = "relu",
    output_variance: Scalar = 1.0,
    input_variance: Scalar = 1.0,
) -> TwoLayerKernels:
    r"""The parts $K^{(a)}, K^{(b)}$ of the tangent kernel of $m^{-1/2}\sum_j b_j\sigma(\langle a_j,x\rangle)$, m = oo.

    $K^{(a)} = \langle x, x'\rangle\,E[b^2]\,E[\sigma'(\langle a,x\rangle)\sigma'(\langle a,x'\rangle)]$ and
    $K^{(b)} = E[\sigma(\langle a,x\rangle)\sigma(\langle a,x'\rangle)]$, each of shape (n1, n2). `output_variance` is
    $E[b^2]$, `input_variance` is $E\|a\|^2/d$. For "relu", with the angle $\varphi$ of x and x' and any
    rotation-invariant law of a,

    $$K^{(a)} = \frac{\langle x,x'\rangle E[b^2]}{2\pi}(\pi-\varphi), \qquad
    K^{(b)} = \frac{\|x\|\|x'\|E\|a\|^2}{2\pi d}((\pi-\varphi)\cos\varphi + \sin\varphi).$$

    For "erf" the law of a must be normal. Raises `ValueError` for another activation, wrong shapes, or a variance
    that is not positive. Source: chizat2019lazy, Appendix A.2, eq. (8); cho2009kernel.
    """
    _require_activation(activation)
    require_number("output_variance", output_variance)
    require_number("input_variance", input_variance)
    x1, x2 = require_inputs(x1, x2)
    b2, a2 = (jnp.asarray(v, x1.dtype) for v in (output_variance, input_variance))
    return _limits(x1, x2, b2, a2, activation=activation)


@partial(jax.jit, static_argnames=("width", "activation"))
def _draw(key: AnyKey, x1: Array, x2: Array, *, width: int, activation: str) -> TwoLayerKernels:
    of_a, of_b = jax.random.split(key)
    a = jax.random.normal(of_a, (width, x1.shape[1]), x1.dtype)
    b = jax.random.normal(of_b, (width, 1), x1.dtype)
    function = ACTIVATIONS[activation]
    slope = jax.vmap(jax.vmap(jax.grad(function)))
    z1, z2 = a @ x1.T, a @ x2.T
    gates = (b * slope(z1)).T @ (b * slope(z2)) / width
    return TwoLayerKernels((x1 @ x2.T) * gates, function(z1).T @ function(z2) / width)


def random_feature_kernels(
    key: AnyKey,
    x1: Float[RealArray, "n1 d"],
    x2: Float[RealArray, "n2 d"] | None = None,
    *,
    width: int,
    activation: str = "relu",
) -> TwoLayerKernels:
    r"""One draw of both parts of the tangent kernel of a two-layer network of m = `width` neurons, normal weights.

    $K_m^{(a)} = \frac1m\sum_j\langle x,x'\rangle b_j^2\sigma'(\langle a_j,x\rangle)\sigma'(\langle a_j,x'\rangle)$ and
    $K_m^{(b)} = \frac1m\sum_j\sigma(\langle a_j,x\rangle)\sigma(\langle a_j,x'\rangle)$, each of
    shape (n1, n2); unbiased estimates of `two_layer_limits` with unit variances, with a standard deviation of order
    $m^{-1/2}$. `activation` is any name in `models.ACTIVATIONS`. Works under `jax.vmap` over keys. Raises
    `ValueError` for another name, wrong shapes, or a width below 1. Source: chizat2019lazy, A.2; rahimi2008random.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation: expected one of {sorted(ACTIVATIONS)}, got {activation!r}")
    if isinstance(width, bool) or not isinstance(width, int | np.integer) or width < 1:
        raise ValueError(f"width: expected a whole number of neurons >= 1, got {width!r}")
    x1, x2 = require_inputs(x1, x2)
    return _draw(key, x1, x1 if x2 is None else x2, width=int(width), activation=activation)
