"""Descent of a model and of its linearization, step by step side by side."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from lazy_course.models import Scalar
from lazy_course.report.parts import Loss, Map


class Pair(NamedTuple):
    r"""Where both stand: parameters w, linearized outputs $\bar y$, and the c with $\bar v = -J_0^\top c$."""

    params: PyTree
    outputs: Float[Array, " N"]
    force: Float[Array, " N"]


class Course(NamedTuple):
    r"""`end` of both; the step `size` at the end; `largest_gap`, the largest $\|y - \bar y\|$ on the way."""

    end: Pair
    size: Float[Array, ""]
    largest_gap: Float[Array, ""]


class _State(NamedTuple):
    now: Pair
    kept: Pair
    kept_loss: Array
    size: Array
    largest: Array


def side_by_side(
    h: Map,
    params0: PyTree,
    kernel0: Float[Array, "N N"],
    loss: Loss,
    alpha: Scalar,
    step_size: Scalar,
    steps: Array | int,
    *,
    shrink: Array | bool = False,
) -> Course:
    r"""`steps` of descent on $R(\alpha h(w))/\alpha^2$ and, by the same steps, on its linearization in the outputs.

    $w \leftarrow w - \frac\eta\alpha Dh(w)^\top\nabla R(y)$ beside
    $\bar y \leftarrow \bar y - \eta K_0\nabla R(\bar y)$. With `shrink`, a step after which R is larger (by more than
    rounding) or not finite is taken back in both, and $\eta$ halved; it counts as one of the `steps`. A step costs one
    forward and one backward pass, and one product with $K_0$.
    """
    number, slope_of = kernel0.dtype, jax.grad(loss)
    scale, most = jnp.asarray(alpha, number), 1.0 + 8.0 * jnp.finfo(number).eps

    def judged(state: _State, y: Array) -> tuple[Array, _State]:
        value = loss(y)
        good = ~jnp.asarray(shrink) | (value <= most * state.kept_loss)
        kept: Pair = jax.tree.map(lambda a, b: jnp.where(good, a, b), state.now, state.kept)
        gap = jnp.linalg.norm(y - state.now.outputs)
        return good, _State(
            kept,
            kept,
            jnp.where(good, value, state.kept_loss),
            jnp.where(good, state.size, 0.5 * state.size),
            jnp.where(good, jnp.maximum(state.largest, gap), state.largest),
        )

    def one(_: Array | int, state: _State) -> _State:
        w, outputs, force = state.now
        y, pull = jax.vjp(h, w)
        good, state = judged(state, scale * y)
        (slope,) = pull(slope_of(scale * y))
        straight = state.size * slope_of(outputs)
        stepped = Pair(
            jax.tree.map(lambda a, g: a - ((state.size / scale) * g).astype(a.dtype), w, slope),
            outputs - kernel0 @ straight,
            force + straight,
        )
        now: Pair = jax.tree.map(lambda a, b: jnp.where(good, a, b), stepped, state.kept)
        return state._replace(now=now)

    y0 = scale * h(params0)
    start = Pair(params0, y0, jnp.zeros_like(y0))
    zero = jnp.zeros((), number)
    state = _State(start, start, loss(y0), jnp.asarray(step_size, number), zero)
    state = jax.lax.fori_loop(0, steps, one, state)
    _, state = judged(state, scale * h(state.now.params))
    return Course(state.kept, state.size, state.largest)
