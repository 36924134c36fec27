r"""What a report measures, as pure functions: each works under `jax.jit` and `jax.vmap` and checks nothing.

h is a map `h(params) -> (N,)` (`models.as_map` makes one from a network), $w_0$ = params0, and y = alpha h(w).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from lazy_course.linearization import second_differential
from lazy_course.models import AnyKey, Function, Scalar

Map = Callable[[PyTree], Array]
Loss = Callable[[Array], Array]


class Gap(NamedTuple):
    r"""`absolute`: $\|\alpha h(w) - \alpha\bar h(w)\|$; `relative`: that over $\|\alpha h(w) - \alpha h(w_0)\|$."""

    absolute: Float[Array, ""]
    relative: Float[Array, ""]


class Drift(NamedTuple):
    r"""`relative` is $\|K - K_0\|_F/\|K_0\|_F$, `turned` is $1 - \langle K, K_0\rangle_F/(\|K\|_F\|K_0\|_F)$."""

    relative: Float[Array, ""]
    turned: Float[Array, ""]


class Spectrum(NamedTuple):
    """Eigenvalues of a kernel, ascending, with those below rounding set to 0, and unit eigenvectors as columns."""

    values: Float[Array, " N"]
    vectors: Float[Array, "N N"]


class InBlocks(Function):
    """A network that takes its rows `block` at a time and keeps only the parameters for the backward pass."""

    f: Callable[..., Array]
    block: int

    def __call__(self, params: PyTree, x: Array) -> Array:
        n = x.shape[0]
        if n <= self.block:
            return self.f(params, x)
        missing = -n % self.block
        filled = jnp.concatenate([x, jnp.broadcast_to(x[:1], (missing, *x.shape[1:]))])
        rows = filled.reshape(-1, self.block, *x.shape[1:])
        y = jax.lax.map(jax.checkpoint(lambda row: self.f(params, row)), rows)
        return y.reshape(-1, *y.shape[2:])[:n]


def difference(params: PyTree, params0: PyTree) -> PyTree:
    """w - w0, leaf by leaf."""
    return jax.tree.map(jnp.subtract, params, params0)


def parameter_displacement(params0: PyTree, params: PyTree) -> Float[Array, ""]:
    r"""How far the parameters have come, $\|w - w_0\|$."""
    return optax.tree.norm(difference(params, params0))


def linearization_gap(h: Map, params0: PyTree, params: PyTree, alpha: Scalar = 1.0) -> Gap:
    r"""The part of the outputs' change that the first-order model misses *at the same parameters*.

    $\|\alpha h(w) - \alpha\bar h(w)\|$ with $\bar h(w) = h(w_0) + Dh(w_0)(w - w_0)$, and its ratio to
    $\|\alpha h(w) - \alpha h(w_0)\|$ (nan if the outputs have not moved). How w was found does not enter. The
    difference is taken as it stands, so it is not known better than to rounding of $\alpha\|h\|$. One forward pass,
    and one with a tangent. Source: chizat2019lazy, Section 1.
    """
    start, first = jax.jvp(h, (params0,), (difference(params, params0),))
    change = h(params) - start
    missed = jnp.linalg.norm(change - first)
    return Gap(jnp.abs(jnp.asarray(alpha)) * missed, missed / jnp.linalg.norm(change))


def curvature_along(h: Map, params0: PyTree, direction: PyTree, alpha: Scalar = 1.0) -> Float[Array, ""]:
    r"""The gap to first order in 1/alpha: $\frac1{2\alpha}\|D^2h(w_0)[v, v]\|$ for the move $w = w_0 + v/\alpha$.

    `direction` is v. Nothing cancels. h must be twice differentiable; kinks (ReLU) are not seen.
    """
    return 0.5 / jnp.asarray(alpha) * jnp.linalg.norm(second_differential(h, params0, direction, direction))


def kernel_drift(kernel0: Float[Array, "N N"], kernel: Float[Array, "N N"]) -> Drift:
    r"""How far a tangent kernel has moved, in Frobenius norm, and how far it has turned (not its scale)."""
    size0, size = jnp.linalg.norm(kernel0), jnp.linalg.norm(kernel)
    return Drift(jnp.linalg.norm(kernel - kernel0) / size0, 1.0 - jnp.vdot(kernel, kernel0) / (size * size0))


def jacobian_drift(h: Map, params0: PyTree, params: PyTree, *, key: AnyKey, probes: int = 8) -> Float[Array, ""]:
    r"""An estimate of $\|Dh(w) - Dh(w_0)\|_F / \|Dh(w_0)\|_F$ from `probes` random outputs.

    For normal g in F, $\mathbb E\|A^\top g\|^2 = \|A\|_F^2$; numerator and denominator use the same g. Each probe
    costs two backward passes. The standard error of the squares is at most $\sqrt{2/\text{probes}}$ of them.
    """
    y, pull0 = jax.vjp(h, params0)
    _, pull = jax.vjp(h, params)
    draws = jax.random.normal(key, (probes, y.size), dtype=y.dtype)

    def squares(g: Array) -> tuple[Array, Array]:
        (before,), (after,) = pull0(g), pull(g)
        return optax.tree.norm(difference(after, before)) ** 2, optax.tree.norm(before) ** 2

    moved, size = jax.lax.map(squares, draws)
    return jnp.sqrt(jnp.sum(moved) / jnp.sum(size))


def activation_stability(before: PyTree, after: PyTree) -> Float[Array, ""]:
    """The share of pre-activations that keep their sign, over all leaves of two pytrees of the same shapes."""
    kept = [jnp.sum((a > 0) == (b > 0)) for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)]
    return jnp.sum(jnp.stack(kept)) / sum(leaf.size for leaf in jax.tree.leaves(before))


def spectrum(kernel: Float[Array, "N N"]) -> Spectrum:
    """The spectrum of a kernel; eigenvalues below N roundings of the largest one count as 0."""
    values, vectors = jnp.linalg.eigh(0.5 * (kernel + kernel.T))
    rounding = values.size * jnp.finfo(values.dtype).eps * values[-1]
    return Spectrum(jnp.where(values > rounding, values, 0.0), vectors)


def remaining(found: Spectrum, residual: Float[Array, " N"], time: Scalar) -> Float[Array, " N"]:
    r"""The residual of the linearized flow of the square loss at flow time t, $e^{-K_0 t} r_0$; t may be inf."""
    return found.vectors @ (_decay(found.values, time) * (found.vectors.T @ residual))


def linearized_force(found: Spectrum, residual: Float[Array, " N"], time: Scalar) -> Float[Array, " N"]:
    r"""The c with $\bar v(t) = -J_0^\top c$ on the linearized flow of squares: $c = \int_0^t e^{-K_0 s} r_0\, ds$.

    $c = \varphi(K_0, t)\, r_0$, $\varphi(\lambda, t) = (1 - e^{-\lambda t})/\lambda$; directions of eigenvalue 0 are
    left out, since $J_0^\top$ takes them to 0.
    """
    seen = found.values > 0
    safe = jnp.where(seen, found.values, 1.0)
    phi = jnp.where(seen, (1.0 - _decay(found.values, time)) / safe, 0.0)
    return found.vectors @ (phi * (found.vectors.T @ residual))


def _decay(values: Array, time: Scalar) -> Array:
    return jnp.where(values > 0, jnp.exp(-jnp.where(values > 0, values, 1.0) * time), 1.0)


def time_to_fit(found: Spectrum, residual: Float[Array, " N"], fit: Scalar) -> Float[Array, ""]:
    r"""The flow time at which the linearized flow of the square loss has lost the share `fit` of what it can lose.

    It can lose $\frac12\|P r_0\|^2$, P the projection on the range of $K_0$; at time t it has
    $\frac12\|P e^{-K_0t} r_0\|^2$ left. By bisection in log t. nan if there is nothing to lose.
    """
    seen = found.values > 0
    weights = jnp.where(seen, (found.vectors.T @ residual) ** 2, 0.0)
    total = jnp.sum(weights)
    smallest = jnp.min(jnp.where(seen, found.values, jnp.inf))

    def left(log_time: Array) -> Array:
        return jnp.sum(weights * _decay(found.values, jnp.exp(log_time)) ** 2) / total

    def halve(_: Array | int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        early = left(middle) > 1.0 - fit
        return jnp.where(early, middle, low), jnp.where(early, high, middle)

    # Every mode has decayed by the whole factor at the slowest mode's time, and none before the fastest mode's.
    enough = -0.5 * jnp.log(1.0 - jnp.asarray(fit, dtype=found.values.dtype))
    ends = jnp.log(enough / found.values[-1]), jnp.log(enough / smallest)
    _, high = jax.lax.fori_loop(0, 60, halve, ends)
    return jnp.where(total > 0, jnp.exp(high), jnp.nan)


def linearized_descent(
    kernel0: Float[Array, "N N"], outputs0: Float[Array, " N"], loss: Loss, step_size: Scalar, steps: Array | int
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    r"""`steps` of descent on the linearized model: $\bar y \leftarrow \bar y - \eta K_0\nabla R(\bar y)$.

    Returns $\bar y$ and the c with $\bar v = -J_0^\top c$, the sum of $\eta\nabla R$ on the way. Any differentiable R.
    """
    gradient = jax.grad(loss)

    def one(_: Array | int, state: tuple[Array, Array]) -> tuple[Array, Array]:
        y, force = state
        slope = step_size * gradient(y)
        return y - kernel0 @ slope, force + slope

    return jax.lax.fori_loop(0, steps, one, (outputs0, jnp.zeros_like(outputs0)))
