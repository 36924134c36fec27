"""Operator norms of Dh and D2h by products alone, the smallest singular value, and the inverse relative scale.

All functions take `h(params) -> (n,)`. If h comes from `models.as_map` (also under `scaled` and `centred`),
products with the Hessian of one output cost one sample; for any other map they cost a whole evaluation of h.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from lazy_course.hessian_maximum import LARGE, SMALL, image, maximizer
from lazy_course.hessians import outputs_of, squared_unfolding, without_factors
from lazy_course.lanczos import lanczos, probable_upper
from lazy_course.models import AnyKey, RealArray

Map = Callable[[PyTree], Array]
Pair = tuple[Float[Array, ""], Float[Array, ""]]


class HessianNorm(NamedTuple):
    """A bracket of the operator norm of D2h, and the unit vectors g (in F) and u (params) that reach `lower`."""

    lower: Float[Array, ""]
    upper: Float[Array, ""]
    output_direction: Float[Array, " n"]
    parameter_direction: PyTree


# --- first differential ---------------------------------------------------------------------------------


def jacobian_operator_norm(h: Map, params: PyTree, *, key: AnyKey, steps: int = 64) -> Float[Array, ""]:
    r"""The operator norm $\|Dh(w)\|$, the largest singular value of the Jacobian.

    `steps` Lanczos steps on $Dh Dh^T$ or $Dh^T Dh$, whichever is smaller, of size N = min(n, p). If N <= `steps`
    the result is exact up to rounding; otherwise it is a lower bound, usually to many digits:
    `jacobian_norm_bounds` says how far it can be. Memory: N times `steps` numbers. Works under `jax.jit` and
    `jax.vmap`, where values are not checked. Raises `ValueError` if h(params) is not flat or not finite.
    """
    return jacobian_norm_bounds(h, params, key=key, steps=steps)[0]


def jacobian_norm_bounds(h: Map, params: PyTree, *, key: AnyKey, steps: int = 64, delta: float = 1e-6) -> Pair:
    r"""A bracket (lower, upper) of $\|Dh(w)\|$: lower always holds, upper with probability at least $1 - \delta$.

    The probability is over `key`; see `lanczos.probable_upper` for the argument. Arguments, cost and errors as
    for `jacobian_operator_norm`.
    """
    _check_map(h, params)
    factor, inner = without_factors(h)
    lower, upper = _jacobian_bounds(inner, params, None, key, steps, delta)
    return jnp.abs(factor) * lower, jnp.abs(factor) * upper


def jacobian_change(h: Map, params: PyTree, step: PyTree, *, key: AnyKey, steps: int = 64) -> Float[Array, ""]:
    r"""The finite change $\|Dh(w + s) - Dh(w)\|$ in operator norm, s = `step` a pytree like params.

    For a smooth h it is at most $\|s\|$ times the largest $\|D^2h\|$ on the segment. For ReLU, $D^2h$ exists
    almost everywhere and does not see the kinks; this does. Accuracy, cost and errors as for
    `jacobian_operator_norm`.
    """
    _check_map(h, params)
    return _jacobian_bounds(h, params, step, key, steps, 1e-6)[0]


@eqx.filter_jit
def _jacobian_bounds(h: Map, params: PyTree, step: PyTree | None, key: AnyKey, steps: int, delta: float) -> Pair:
    w, unravel = ravel_pytree(params)
    shift = None if step is None else ravel_pytree(step)[0]

    def flat(v: Array) -> Array:
        return h(unravel(v))

    def forward(u: Array) -> Array:
        change = jax.jvp(flat, (w,), (u,))[1]
        return change if shift is None else jax.jvp(flat, (w + shift,), (u,))[1] - change

    def adjoint(g: Array) -> Array:
        (pulled,) = jax.vjp(flat, w)[1](g)
        return pulled if shift is None else jax.vjp(flat, w + shift)[1](g)[0] - pulled

    n, p = jax.eval_shape(flat, w).size, w.size
    size, product = (n, lambda g: forward(adjoint(g))) if n <= p else (p, lambda u: adjoint(forward(u)))
    start = jax.random.normal(key, (size,), dtype=w.dtype)
    found = lanczos(product, start, min(steps, size))
    # Rounding can leave a norm of zero slightly negative.
    return jnp.sqrt(jnp.maximum(found.largest, 0.0)), jnp.sqrt(jnp.maximum(probable_upper(found, delta), 0.0))


DENSE_ENTRIES = 2**23


def smallest_singular_value(h: Map, params: PyTree) -> Float[Array, ""]:
    r"""The smallest singular value $\sigma_{\min}$ of $Dh(w)^T$ as a map from F: $\min_{\|g\| = 1} \|Dh(w)^T g\|$.

    It is 0 if p < n. While the Jacobian has at most `DENSE_ENTRIES` = 2^23 entries (64 MiB) it is formed, and
    the error is a few roundings of $\|Dh\|$. Beyond, the n x n kernel is built column by column: the square is
    then known to a few roundings of $\|Dh\|^2$, so values below about $10^{-7} \|Dh\|$ drown. Raises
    `ValueError` as `jacobian_operator_norm` does; works under `jax.jit` and `jax.vmap`.
    """
    _check_map(h, params)
    return _smallest(h, params)


@eqx.filter_jit
def _smallest(h: Map, params: PyTree) -> Float[Array, ""]:
    w, unravel = ravel_pytree(params)
    n = jax.eval_shape(h, params).size
    if w.size < n:
        return jnp.zeros((), dtype=w.dtype)
    outputs = outputs_of(h, unravel, n)
    if n * w.size <= DENSE_ENTRIES:
        one = jax.grad(lambda v, j: outputs.single(unravel(v), j))
        rows = jax.vmap(one, in_axes=(None, 0))(w, jnp.arange(n))
        return jnp.abs(outputs.factor) * jnp.linalg.svd(rows, compute_uv=False)[-1]
    _, pull = jax.vjp(lambda v: h(unravel(v)), w)
    _, push = jax.linearize(lambda v: h(unravel(v)), w)
    kernel = jax.lax.map(lambda g: push(pull(g)[0]), jnp.eye(n, dtype=w.dtype))
    return jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(0.5 * (kernel + kernel.T))[0], 0.0))


# --- second differential --------------------------------------------------------------------------------


def hessian_operator_norm(
    h: Map,
    params: PyTree,
    *,
    key: AnyKey,
    delta: float = 1e-6,
    steps: int | None = None,
    starts: int | None = None,
    memory: int = 2**27,
) -> Pair:
    r"""A bracket (lower, upper) of $\|D^2h(w)\| = \sup_{\|u\| = \|v\| = 1} \|D^2h(w)[u, v]\|$.

    As F is a Hilbert space and $D^2h$ is symmetric, this is $\sup |\langle g, D^2h[u, u]\rangle|$ over unit g, u.

    * lower is $\|D^2h[u, u]\|$ for a unit u that was found: a lower bound, always, up to rounding. u comes from
      alternating $g = D^2h[u, u] / \|D^2h[u, u]\|$ with the extreme eigenvector of the Hessian of
      $\langle g, h\rangle$ (Lanczos), from 2 `starts` starts.
      It climbs to a local maximum, and nothing says that it is the global one.
    * upper is at least the largest singular value of $D^2h$ unfolded as an (n p) x p matrix with probability
      $1 - \delta$ over `key` (`lanczos.probable_upper`, for the number of steps that were made), and that
      singular value is at least $\|D^2h\|$, since
      $\|D^2h[u, v]\|^2 = \sum_i \langle u, H_i v\rangle^2 \le \sum_i \|H_i v\|^2$ for unit u.
      Equality of the two norms is not to be expected: the gap grows with n.

    Nothing of size p x p or n x p is formed: the iteration is $u \mapsto \sum_i H_i (H_i u)$ over chunks of
    outputs that fit in about `memory` bytes (default 128 MiB; one output needs 4 p numbers), beside p times
    `steps` numbers of Lanczos and one evaluation of h with its tangents. Works under `jax.jit` and `jax.vmap`,
    where values are not checked. By default `steps` is 24 and `starts` is 4 (16 up to p = 2000);
    above p = 10^5 they are 14 and 1, and the best start is polished for at most 12 rounds instead of 50:
    10^6 parameters on 200 points then stay
    within a minute on two cores. Needs h twice differentiable at w; for ReLU see `jacobian_change`. Raises
    `ValueError` if h(params) is not flat or not finite. Source: this course.
    """
    found = hessian_maximizer(h, params, key=key, delta=delta, steps=steps, starts=starts, memory=memory)
    return found.lower, found.upper


def hessian_maximizer(
    h: Map,
    params: PyTree,
    *,
    key: AnyKey,
    delta: float = 1e-6,
    steps: int | None = None,
    starts: int | None = None,
    memory: int = 2**27,
) -> HessianNorm:
    r"""What `hessian_operator_norm` finds, with unit witnesses: $\langle g, D^2h[u, u]\rangle$ = lower.

    `parameter_direction` (u) is a pytree like params, `output_direction` (g) has shape (n,).
    """
    _check_map(h, params)
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    large, small = size > LARGE, size <= SMALL
    steps = (14 if large else 24) if steps is None else steps
    starts = (1 if large else 16 if small else 4) if starts is None else starts
    for name, value in (("steps", steps), ("starts", starts), ("memory", memory)):
        if value < 1:
            raise ValueError(f"{name}: expected a positive integer, got {value}")
    # Factors stay outside the compiled part: h, its multiples and its centred versions share it.
    factor, inner = without_factors(h)
    found = _hessian_norm(inner, params, key, delta, steps, starts, memory)
    magnitude, sign = jnp.abs(factor), jnp.where(factor < 0, -1.0, 1.0)
    return HessianNorm(
        magnitude * found.lower, magnitude * found.upper, sign * found.output_direction, found.parameter_direction
    )


@eqx.filter_jit
def _hessian_norm(
    h: Map, params: PyTree, key: AnyKey, delta: float, steps: int, starts: int, memory: int
) -> HessianNorm:
    w, unravel = ravel_pytree(params)
    n, p = jax.eval_shape(h, params).size, w.size
    outputs = outputs_of(h, unravel, n)
    key_unfolding, key_starts, key_climb = jax.random.split(key, 3)
    product = squared_unfolding(outputs, w, memory)
    unfolded = lanczos(product, jax.random.normal(key_unfolding, (p,), dtype=w.dtype), min(steps, p))
    upper = jnp.sqrt(jnp.maximum(probable_upper(unfolded, delta), 0.0))
    # The directions in which D2h is largest, unfolded, are good places to begin; random ones are the insurance.
    largest = jax.vmap(unfolded.vector)(-1 - jnp.arange(min(starts, steps, p)))
    drawn = jax.random.normal(key_starts, (starts, p), dtype=w.dtype)
    u = maximizer(outputs, w, jnp.concatenate([largest, drawn]), key_climb, min(steps, p))
    lower, g = image(outputs, w, u)
    # Both ends can be the same number, computed in two ways: rounding must not let them cross.
    upper = jnp.maximum(upper, lower)
    size = jnp.abs(outputs.factor)
    return HessianNorm(size * lower, size * upper, jnp.sign(outputs.factor) * g, unravel(u))


# --- inverse relative scale -----------------------------------------------------------------------------


def inverse_relative_scale(
    h: Map, params: PyTree, target: Float[RealArray, " n"], *, key: AnyKey, **options: Any
) -> Pair:
    r"""A bracket (lower, upper) of $\kappa_h(w_0) = \|h(w_0) - y^\star\|\, \|D^2h(w_0)\| / \|Dh(w_0)\|^2$.

    Training on the square loss with target $y^\star$ is lazy when it is small. `options` go to
    `hessian_operator_norm`, and what is said there of both ends holds here: each end takes the matching end of
    the bracket of $\|Dh\|$, so upper holds whatever the accuracy of Lanczos on Dh, and lower with probability
    $1 - $ `delta`. Works under `jax.jit` and `jax.vmap`, where values are not checked. Raises `ValueError` if
    the target has another shape than h(params), if h or the target is not finite, or if Dh(w) = 0.
    Source: chizat2019lazy, Section 1.2.
    """
    output = _check_map(h, params)
    target = jnp.asarray(target)
    if target.shape != output.shape:
        raise ValueError(
            f"target: expected the shape of h(params), {output.shape}, got {target.shape}; "
            "as_map flattens outputs, so flatten the targets too"
        )
    _require_finite("target", target)
    key_jacobian, key_hessian = jax.random.split(key)
    delta = options.get("delta", 1e-6)
    jacobian = jacobian_norm_bounds(h, params, key=key_jacobian, delta=delta)
    if not isinstance(jacobian[0], jax.core.Tracer) and not jacobian[0] > 0.0:
        raise ValueError(
            "params: expected Dh(params) != 0, got a zero Jacobian; the scale is infinite here, so move w0"
        )
    hessian = hessian_operator_norm(h, params, key=key_hessian, **options)
    distance = jnp.linalg.norm(output - target)
    return distance * hessian[0] / jacobian[1] ** 2, distance * hessian[1] / jacobian[0] ** 2


def _check_map(h: Map, params: PyTree) -> Array:
    output = h(params)
    if output.ndim != 1:
        raise ValueError(
            f"h: expected h(params) of shape (n,), got {output.shape}; make h with models.as_map, which flattens"
        )
    _require_finite("params", *jax.tree.leaves(params))
    _require_finite("h(params)", output)
    return output


def _require_finite(name: str, *arrays: Array) -> None:
    for array in arrays:
        if not isinstance(array, jax.core.Tracer) and not np.all(np.isfinite(array)):
            raise ValueError(f"{name}: expected finite numbers, got nan or inf; rescale or redraw the weights")
