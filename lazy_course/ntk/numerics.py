r"""The kernels of infinitely wide networks (ReLU and erf), their two-layer parts, and random-feature draws of these.

A bias tilts every vector of length r by an angle $\psi$ towards one common axis: $R^2 = a r^2 + b$, $\cos\psi = \sqrt
a\,r/R$, $\sin\psi = \sqrt b/R$. The law of cosines on the sphere then gives the new angle without cancellation,
$\delta' = \cos\psi\cos\psi'\,\delta + 2\sin^2\frac{\psi-\psi'}2$, for $\delta = 1 - \cos\varphi$.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course.models import ACTIVATIONS, AnyKey, RealArray, Scalar
from lazy_course.ntk import angles
from lazy_course.ntk.angles import Cosines

ActivationName = Literal["relu", "erf"]
CLOSED_FORMS = ("relu", "erf")
# A symmetric kernel is computed in this many bands of rows, each from its diagonal on.
BANDS = 8


class Kernels(NamedTuple):
    """The covariance of the outputs at the start (`nngp`) and the tangent kernel (`ntk`) at infinite width."""

    nngp: Float[Array, "n1 n2"]
    ntk: Float[Array, "n1 n2"]


class TwoLayerKernels(NamedTuple):
    """The parts of a two-layer tangent kernel: from the input weights (`input`) and the output weights (`output`)."""

    input: Float[Array, "n1 n2"]
    output: Float[Array, "n1 n2"]


def _outer(a: Array, b: Array) -> Array:
    return a[:, None] * b[None, :]


class _Tilt(NamedTuple):
    """Lengths after an affine layer, the cosine of the tilt, and cosine and sine of half of it; one entry a row."""

    length: Array
    cosine: Array
    half_cosine: Array
    half_sine: Array


def _tilt(r: Array, a: Array, b: Array) -> _Tilt:
    length = angles.safe_sqrt(a * r**2 + b)
    divisor = jnp.where(length > 0, length, jnp.ones_like(length))
    cosine = jnp.where(length > 0, jnp.sqrt(a) * r / divisor, jnp.ones_like(length))
    sine = angles.safe_sqrt(jnp.broadcast_to(b, length.shape)) / divisor
    half_cosine = jnp.sqrt((1 + cosine) / 2)
    return _Tilt(length, cosine, half_cosine, sine / (2 * half_cosine))


def _tilted(delta: Array, left: _Tilt, right: _Tilt, sign: int) -> Array:
    """1 - cos (sign 1) or 1 + cos (sign -1) after the tilt."""
    half = _outer(left.half_sine, right.half_cosine) - sign * _outer(left.half_cosine, right.half_sine)
    return _outer(left.cosine, right.cosine) * delta + 2 * half**2


def _relu_layer(c: Cosines) -> tuple[Array, Array]:
    r"""$1 - \varphi/\pi$ and $1 - \kappa_1$, $\kappa_1 = (\sin\varphi + (\pi-\varphi)\cos\varphi)/\pi$, any angle."""
    obtuse = c.minus > 1
    delta = jnp.where(obtuse, c.plus, c.minus)
    phi, integral = angles.angle(delta) / np.pi, angles.angle_integral(delta) / np.pi
    return jnp.where(obtuse, phi, 1 - phi), jnp.where(obtuse, 1 - integral, delta - integral)


def _relu_kernels(x1: Array, x2: Array, diagonal: bool, depth: int, a: Array, b: Array) -> Kernels:
    (r1, u1), (r2, u2) = angles.lengths_and_directions(x1), angles.lengths_and_directions(x2)
    c = angles.cosines(u1, u2, diagonal=diagonal)
    left, right = _tilt(r1, a / x1.shape[1], b), _tilt(r2, a / x1.shape[1], b)
    minus, plus = _tilted(c.minus, left, right, 1), _tilted(c.plus, left, right, -1)
    ratio = 1 - minus  # the tangent kernel over the product of the lengths
    for layer in range(depth):
        if layer == 0:
            gate, defect = _relu_layer(Cosines(minus, plus))
        else:  # after a ReLU no angle is obtuse
            phi, integral = angles.angle(minus) / np.pi, angles.angle_integral(minus) / np.pi
            gate, defect = 1 - phi, minus - integral
        left, right = _tilt(left.length, a / 2, b), _tilt(right.length, a / 2, b)
        minus = _tilted(defect, left, right, 1)
        ratio = 1 - minus + _outer(left.cosine, right.cosine) * gate * ratio
    size = _outer(left.length, right.length)
    return Kernels(size * (1 - minus), size * ratio)


def _erf_kernels(x1: Array, x2: Array, diagonal: bool, depth: int, a: Array, b: Array) -> Kernels:
    del diagonal  # arcsin is smooth where the angle is zero: nothing to take care of
    d = x1.shape[1]
    q1, q2 = (a / d * jnp.sum(x**2, axis=1) + b for x in (x1, x2))
    nngp = a / d * (x1 @ x2.T) + b
    ntk = nngp
    for _ in range(depth):
        n1, n2 = jax.lax.rsqrt(1 + 2 * q1), jax.lax.rsqrt(1 + 2 * q2)
        scale = _outer(n1, n2)
        # Cauchy-Schwarz: (1 + 2q)(1 + 2q') - 4k^2 >= 1 + 2q + 2q', and 1 - |s| >= (1 - s^2) / 2.
        least = (1 + 2 * q1[:, None] + 2 * q2[None, :]) * scale**2 / 2
        value, root = angles.arcsine(2 * nngp * scale, least)
        nngp = a * (2 / np.pi) * value + b
        ntk = nngp + a * (4 / np.pi) * scale / root * ntk
        q1, q2 = (a * (2 / np.pi) * jnp.arcsin(2 * q / (1 + 2 * q)) + b for q in (q1, q2))
    return Kernels(nngp, ntk)


_RECURSIONS: dict[str, Callable[..., Kernels]] = {"relu": _relu_kernels, "erf": _erf_kernels}


def _symmetric(blocks: list[Array], starts: list[int]) -> Array:
    """The symmetric matrix whose bands of rows, each from its diagonal on, are given."""
    rows = []
    for i, block in enumerate(blocks):
        size = block.shape[0]
        square = block[:, :size]
        mirrored = [blocks[j][:, starts[i] - starts[j] :][:, :size].T for j in range(i)]
        rows.append(jnp.concatenate([*mirrored, (square + square.T) / 2, block[:, size:]], axis=1))
    return jnp.concatenate(rows, axis=0)


@partial(jax.jit, static_argnames=("activation", "depth"))
def _kernels(x1: Array, x2: Array | None, a: Array, b: Array, *, activation: str, depth: int) -> Kernels:
    recursion = _RECURSIONS[activation]
    if x2 is not None:
        return recursion(x1, x2, False, depth, a, b)
    n = x1.shape[0]
    starts = sorted({n * i // BANDS for i in range(BANDS)}) if n >= 64 * BANDS else [0]
    ends = [*starts[1:], n]
    bands = [recursion(x1[i:j], x1[i:], True, depth, a, b) for i, j in zip(starts, ends, strict=True)]
    nngp, ntk = (_symmetric([band[part] for band in bands], starts) for part in (0, 1))
    return Kernels(nngp, ntk)


def _require_activation(activation: str) -> None:
    if activation not in CLOSED_FORMS:
        raise ValueError(
            f"activation: expected one of {CLOSED_FORMS}, got {activation!r}; other activations have no closed form "
            "here: draw wide networks instead (random_feature_kernels, kernels.tangent_kernel)"
        )


def _inputs(x1: Any, x2: Any) -> tuple[Array, Array | None]:
    """Both inputs in one precision: float32 if both are, else float64."""
    arrays = [jnp.asarray(x) for x in (x1, x2) if x is not None]
    for name, x in zip(("x1", "x2"), arrays, strict=False):
        if x.ndim != 2 or x.shape[1] == 0:
            raise ValueError(f"{name}: expected shape (n, d) with d >= 1, got {x.shape}; one row is one input")
    if len(arrays) == 2 and arrays[0].shape[1] != arrays[1].shape[1]:
        raise ValueError(f"x2: expected rows of length {arrays[0].shape[1]} like those of x1, got {arrays[1].shape[1]}")
    single = all(x.dtype == jnp.float32 for x in arrays)
    arrays = [x.astype(jnp.float32 if single else jnp.float64) for x in arrays]
    return arrays[0], arrays[1] if len(arrays) == 2 else None


def _require_size(name: str, value: Scalar, *, zero: bool) -> None:
    if isinstance(value, jax.core.Tracer):
        return
    if not (np.ndim(value) == 0 and np.isfinite(value) and (value >= 0 if zero else value > 0)):
        raise ValueError(f"{name}: expected a finite number {'>=' if zero else '>'} 0, got {value}")


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

    `depth` counts the hidden layers; the weights of every layer, the read-out included, are $\sigma_w
    w/\sqrt{\mathrm{fan\ in}}$ and the biases $\sigma_b\beta$ with w, beta standard normal (NTK parameterization).
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
    _require_size("sigma_w", sigma_w, zero=False)
    _require_size("sigma_b", sigma_b, zero=True)
    x1, x2 = _inputs(x1, x2)
    a, b = (jnp.asarray(s, x1.dtype) ** 2 for s in (sigma_w, sigma_b))
    return _kernels(x1, x2, a, b, activation=activation, depth=int(depth))


@partial(jax.jit, static_argnames="activation")
def _limits(x1: Array, x2: Array, b2: Array, a2: Array, *, activation: str) -> TwoLayerKernels:
    inner = x1 @ x2.T
    if activation == "relu":
        (r1, u1), (r2, u2) = angles.lengths_and_directions(x1), angles.lengths_and_directions(x2)
        gate, defect = _relu_layer(angles.cosines(u1, u2, diagonal=x1 is x2))
        return TwoLayerKernels(b2 / 2 * inner * gate, a2 / 2 * _outer(r1, r2) * (1 - defect))
    q1, q2 = (a2 * jnp.sum(x**2, axis=1) for x in (x1, x2))
    scale = _outer(jax.lax.rsqrt(1 + 2 * q1), jax.lax.rsqrt(1 + 2 * q2))
    least = (1 + 2 * q1[:, None] + 2 * q2[None, :]) * scale**2 / 2
    value, root = angles.arcsine(2 * a2 * inner * scale, least)
    return TwoLayerKernels(b2 * (4 / np.pi) * inner * scale / root, 2 / np.pi * value)


def two_layer_limits(
    x1: Float[RealArray, "n1 d"],
    x2: Float[RealArray, "n2 d"] | None = None,
    *,
    activation: str = "relu",
    output_variance: Scalar = 1.0,
    input_variance: Scalar = 1.0,
) -> TwoLayerKernels:
    r"""The parts $K^{(a)}, K^{(b)}$ of the tangent kernel of $m^{-1/2}\sum_j b_j\sigma(\langle a_j, x\rangle)$, m infinite.

    $K^{(a)} = \langle x, x'\rangle\,E[b^2]\,E[\sigma'(\langle a,x\rangle)\sigma'(\langle a,x'\rangle)]$ and $K^{(b)}
    = E[\sigma(\langle a,x\rangle)\sigma(\langle a,x'\rangle)]$, each of shape (n1, n2). `output_variance` is
    $E[b^2]$, `input_variance` is $E\|a\|^2/d$. For "relu", with the angle $\varphi$ of x and x' and any
    rotation-invariant law of a,

    $$K^{(a)} = \frac{\langle x,x'\rangle E[b^2]}{2\pi}(\pi-\varphi), \qquad
    K^{(b)} = \frac{\|x\|\|x'\|E\|a\|^2}{2\pi d}((\pi-\varphi)\cos\varphi + \sin\varphi).$$

    For "erf" the law of a must be normal. Raises `ValueError` for another activation, wrong shapes, or a variance
    that is not positive. Source: chizat2019lazy, Appendix A.2, eq. (8); cho2009kernel.
    """
    _require_activation(activation)
    _require_size("output_variance", output_variance, zero=False)
    _require_size("input_variance", input_variance, zero=False)
    x1, x2 = _inputs(x1, x2)
    b2, a2 = (jnp.asarray(v, x1.dtype) for v in (output_variance, input_variance))
    return _limits(x1, x1 if x2 is None else x2, b2, a2, activation=activation)


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
    r"""One draw of the two parts of the tangent kernel of a two-layer network of m = `width` neurons, normal weights.

    $K_m^{(a)} = \frac1m\sum_j \langle x, x'\rangle b_j^2\,\sigma'(\langle a_j,x\rangle)\sigma'(\langle
    a_j,x'\rangle)$ and $K_m^{(b)} = \frac1m\sum_j\sigma(\langle a_j,x\rangle)\sigma(\langle a_j,x'\rangle)$, each of
    shape (n1, n2); unbiased estimates of `two_layer_limits` with unit variances, with a standard deviation of order
    $m^{-1/2}$. `activation` is any name in `models.ACTIVATIONS`. Works under `jax.vmap` over keys. Raises
    `ValueError` for another name, wrong shapes, or a width below 1. Source: chizat2019lazy, A.2; rahimi2008random.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation: expected one of {sorted(ACTIVATIONS)}, got {activation!r}")
    if isinstance(width, bool) or not isinstance(width, int | np.integer) or width < 1:
        raise ValueError(f"width: expected a whole number of neurons >= 1, got {width!r}")
    x1, x2 = _inputs(x1, x2)
    return _draw(key, x1, x1 if x2 is None else x2, width=int(width), activation=activation)
