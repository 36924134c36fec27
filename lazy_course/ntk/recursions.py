r"""The recursions behind the closed-form kernels, tile by tile: what is known of a row, and what a pair of rows adds.

A bias tilts every vector of length r by an angle $\psi$ towards one common axis: $R^2 = a r^2 + b$,
$\cos\psi = \sqrt a\,r/R$, $\sin\psi = \sqrt b/R$. The law of cosines on the sphere then gives the new angle without
cancellation, $\delta' = \cos\psi\cos\psi'\,\delta + 2\sin^2\frac{\psi-\psi'}2$, for $\delta = 1 - \cos\varphi$.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course.ntk import angles
from lazy_course.ntk.angles import Cosines

# Large kernels are computed in tiles of about this many rows and columns.
TILE = 256


class Kernels(NamedTuple):
    """The covariance of the outputs at the start (`nngp`) and the tangent kernel (`ntk`) at infinite width."""

    nngp: Float[Array, "n1 n2"]
    ntk: Float[Array, "n1 n2"]


class Tilt(NamedTuple):
    """Lengths after an affine layer, the cosine of the tilt, cosine and sine of half of it; the rows come first."""

    length: Array
    cosine: Array
    half_cosine: Array
    half_sine: Array


class Scale(NamedTuple):
    """Variances q of the pre-activations and $(1 + 2q)^{-1/2}$; the rows come first."""

    variance: Array
    shrink: Array


class Rows(NamedTuple):
    """What is known of each input alone: a vector (n, d), and a `Tilt` or `Scale` with a column for each layer."""

    vector: Array
    factors: Any


def outer(a: Float[Array, " n1"], b: Float[Array, " n2"]) -> Float[Array, "n1 n2"]:
    """All products of an entry of a and an entry of b."""
    return a[:, None] * b[None, :]


def _tilt(r: Array, gain: Array, b: Array) -> Tilt:
    length = angles.safe_sqrt(gain * r**2 + b)
    divisor = jnp.where(length > 0, length, jnp.ones_like(length))
    cosine = jnp.where(length > 0, jnp.sqrt(gain) * r / divisor, jnp.ones_like(length))
    sine = angles.safe_sqrt(jnp.broadcast_to(b, length.shape)) / divisor
    half_cosine = jnp.sqrt((1 + cosine) / 2)
    return Tilt(length, cosine, half_cosine, sine / (2 * half_cosine))


def _tilted(delta: Array, left: Tilt, right: Tilt, sign: int = 1) -> Array:
    """1 - cos (sign 1) or 1 + cos (sign -1) after the tilt."""
    half = outer(left.half_sine, right.half_cosine) - sign * outer(left.half_cosine, right.half_sine)
    return outer(left.cosine, right.cosine) * delta + 2 * half**2


def relu_layer(c: Cosines) -> tuple[Array, Array]:
    r"""$1 - \varphi/\pi$ and $1 - \kappa$, $\kappa = (\sin\varphi + (\pi-\varphi)\cos\varphi)/\pi$, any angle.

    These are $2E[\sigma'(u)\sigma'(v)]$, and 1 - cos of the angle that the layer makes of $\varphi$.
    """
    obtuse = c.minus > 1
    delta = jnp.where(obtuse, c.plus, c.minus)
    phi, integral = angles.angle(delta) / np.pi, angles.angle_integral(delta) / np.pi
    return jnp.where(obtuse, phi, 1 - phi), jnp.where(obtuse, 1 - integral, delta - integral)


def _relu_rows(x: Array, depth: int, a: Array, b: Array) -> Rows:
    length, direction = angles.lengths_and_directions(x)

    def layer(r: Array, gain: Array) -> tuple[Array, Tilt]:
        tilt = _tilt(r, gain, b)
        return tilt.length, tilt

    # A ReLU halves the mean square, so every layer but the first has the gain a / 2.
    gains = jnp.full(depth + 1, a / 2).at[0].set(a / x.shape[1])
    _, by_layer = jax.lax.scan(layer, length, gains)
    return Rows(direction, Tilt(*(factor.T for factor in by_layer)))


def _by_layer(rows: Rows, first: int) -> Any:
    """The factors from one layer on with the layer as their first axis, for a loop over layers."""
    return jax.tree.map(lambda factor: factor[:, first:].T, rows.factors)


def _relu_pairs(left: Rows, right: Rows, same: Array, a: Array, b: Array) -> Kernels:
    """Carries 1 - cos, 1 + cos and the tangent kernel over the product of the lengths.

    All layers run in one loop: XLA would fuse written-out layers, and compute the first ones again for each use.
    """
    del a, b
    first = [jax.tree.map(lambda factor: factor[:, 0], rows.factors) for rows in (left, right)]
    c = angles.cosines(left.vector, right.vector, same)
    minus, plus = _tilted(c.minus, first[0], first[1]), _tilted(c.plus, first[0], first[1], sign=-1)

    def layer(carry: Any, tilts: tuple[Tilt, Tilt]) -> tuple[Any, None]:
        minus, plus, ratio = carry
        gate, defect = relu_layer(Cosines(minus, plus))
        minus = _tilted(defect, tilts[0], tilts[1])
        return (minus, 2 - minus, 1 - minus + outer(tilts[0].cosine, tilts[1].cosine) * gate * ratio), None

    start = (minus, plus, 1 - minus)
    (minus, _, ratio), _ = jax.lax.scan(layer, start, (_by_layer(left, 1), _by_layer(right, 1)))
    size = outer(left.factors.length[:, -1], right.factors.length[:, -1])
    return Kernels(size * (1 - minus), size * ratio)


def erf_scale(variance: Array) -> Scale:
    """The `Scale` of rows with these variances."""
    return Scale(variance, jax.lax.rsqrt(1 + 2 * variance))


def _erf_rows(x: Array, depth: int, a: Array, b: Array) -> Rows:
    def layer(q: Array, _: None) -> tuple[Array, Array]:
        return a * (2 / np.pi) * jnp.arcsin(2 * q / (1 + 2 * q)) + b, q

    _, by_layer = jax.lax.scan(layer, a / x.shape[1] * jnp.sum(x**2, axis=1) + b, None, length=depth)
    return Rows(x, erf_scale(by_layer.T))


def erf_pair_and_gates(k: Array, left: Scale, right: Scale) -> tuple[Array, Array]:
    """E[erf(u) erf(v)] and E[erf'(u) erf'(v)] from the covariances k (n1, n2) and the scales of one layer."""
    scale = outer(left.shrink, right.shrink)
    # Cauchy-Schwarz: (1 + 2q)(1 + 2q') - 4k^2 >= 1 + 2q + 2q', and 1 - |s| >= (1 - s^2) / 2.
    least = (1 + 2 * left.variance[:, None] + 2 * right.variance[None, :]) * scale**2 / 2
    value, root = angles.arcsine(2 * k * scale, least)
    return (2 / np.pi) * value, (4 / np.pi) * scale / root


def _erf_pairs(left: Rows, right: Rows, same: Array, a: Array, b: Array) -> Kernels:
    del same  # the arcsine is smooth where x and x' are parallel: nothing to take care of
    start = a / left.vector.shape[1] * (left.vector @ right.vector.T) + b

    def layer(carry: Any, scales: tuple[Scale, Scale]) -> tuple[Any, None]:
        nngp, ntk = carry
        pair, gate = erf_pair_and_gates(nngp, scales[0], scales[1])
        nngp = a * pair + b
        return (nngp, nngp + a * gate * ntk), None

    (nngp, ntk), _ = jax.lax.scan(layer, (start, start), (_by_layer(left, 0), _by_layer(right, 0)))
    return Kernels(nngp, ntk)


def _padded(rows: Rows, extra: int) -> Rows:
    return jax.tree.map(lambda f: jnp.pad(f, ((0, extra), *((0, 0),) * (f.ndim - 1))), rows)


def _tiled(pairs: Callable[[Rows, Rows, Array], Kernels], left: Rows, right: Rows, symmetric: bool) -> Kernels:
    """Tile after tile, so that the layers work in the cache; `symmetric`: the tiles on and above the diagonal alone."""
    sizes = [rows.vector.shape[0] for rows in (left, right)]
    tiles = [max(1, round(n / TILE)) for n in sizes]
    edges = [-(-n // count) for n, count in zip(sizes, tiles, strict=True)]
    whole = [_padded(r, e * t - n) for r, e, t, n in zip((left, right), edges, tiles, sizes, strict=True)]

    def block(start: Array) -> Kernels:
        parts = [
            jax.tree.map(lambda f, s=s, e=e: jax.lax.dynamic_slice_in_dim(f, s, e), rows)
            for rows, s, e in zip(whole, start, edges, strict=True)
        ]
        row, column = (s + jnp.arange(e, dtype=jnp.int32) for s, e in zip(start, edges, strict=True))
        return pairs(parts[0], parts[1], (row[:, None] == column[None, :]) & symmetric)

    def place(total: Any, start: Array) -> tuple[Any, None]:
        new, (i, j) = block(start), start
        total = jax.tree.map(lambda f, k: jax.lax.dynamic_update_slice(f, k, (i, j)), total, new)
        if symmetric:
            total = jax.tree.map(lambda f, k: jax.lax.dynamic_update_slice(f, k.T, (j, i)), total, new)
        return total, None

    if tiles == [1, 1]:
        only = block(jnp.zeros(2, jnp.int32))
        return Kernels((only.nngp + only.nngp.T) / 2, (only.ntk + only.ntk.T) / 2) if symmetric else only
    starts = [(i * edges[0], j * edges[1]) for i in range(tiles[0]) for j in range(i if symmetric else 0, tiles[1])]
    empty = jnp.zeros((edges[0] * tiles[0], edges[1] * tiles[1]), left.vector.dtype)
    total, _ = jax.lax.scan(place, Kernels(empty, empty), jnp.asarray(starts, jnp.int32))
    return Kernels(total.nngp[: sizes[0], : sizes[1]], total.ntk[: sizes[0], : sizes[1]])


_RECURSIONS: dict[str, tuple[Callable[..., Rows], Callable[..., Kernels]]] = {
    "relu": (_relu_rows, _relu_pairs),
    "erf": (_erf_rows, _erf_pairs),
}


@partial(jax.jit, static_argnames=("activation", "depth"))
def closed_form_kernels(x1: Array, x2: Array | None, a: Array, b: Array, *, activation: str, depth: int) -> Kernels:
    """The recursion of `activation` for weights of variance a and biases of variance b; checks nothing."""
    rows, pairs = _RECURSIONS[activation]
    left = rows(x1, depth, a, b)
    right = left if x2 is None else rows(x2, depth, a, b)
    return _tiled(partial(pairs, a=a, b=b), left, right, x2 is None)
