r"""The unit vector u at which the norm of D2h[u, u] is largest, as far as an alternating climb finds it.

As F is a Hilbert space and $D^2h$ is symmetric, its norm is the supremum of $|\langle g, D^2h[u, u]\rangle|$ over
unit g and u. `norms.hessian_operator_norm` brackets it, and uses this for the lower end.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazy_course.hessians import Outputs, weighted_hessian
from lazy_course.lanczos import lanczos
from lazy_course.linearization import second_differential
from lazy_course.models import AnyKey

LARGE = 100_000
SMALL = 2_000  # parameters: here many starts cost less than the compilation
ROUNDS = 5  # from each start, before the best one is polished


def _unit(v: Array) -> Array:
    norm = jnp.linalg.norm(v)
    return v / jnp.where(norm > 0.0, norm, 1.0)


def image(outputs: Outputs, w: Array, u: Array) -> tuple[Array, Array]:
    r"""The norm of $D^2h(w)[u, u]$ (without the factor of `outputs`) and its direction g, shape (n,).

    w and u are flat, shape (p,). Where the image vanishes, g is a unit vector with equal entries.
    """
    found = second_differential(outputs.together, w, u, u)
    return jnp.linalg.norm(found), jnp.where(jnp.any(found != 0.0), _unit(found), _unit(jnp.ones_like(found)))


class Climb(NamedTuple):
    """Where `maximizer` stands: the present u, the best one so far with its value, the last gain, the round."""

    u: Array
    best: Array
    value: Array
    gain: Array
    round: Array


def maximizer(outputs: Outputs, w: Array, starts: Float[Array, "s p"], key: AnyKey, steps: int) -> Array:
    r"""The best unit u, shape (p,), of the alternation between g and u: a few rounds from every start, then more.

    A round sets $g = D^2h[u, u] / \|D^2h[u, u]\|$ and u to the extreme eigenvector of the Hessian of
    $\langle g, h\rangle$ by `steps` Lanczos steps. The best start is polished until it gains less than 1e-10. It climbs
    to a local maximum; nothing says that it is the global one.
    """
    screening = ROUNDS * starts.shape[0]
    longest = 12 if w.size > LARGE else 200 if w.size <= SMALL else 50

    def advance(u: Array, g: Array, key: AnyKey, noise: Array) -> Array:
        # Started near u, Lanczos is warm; the noise lets it leave an eigenvector that is not extreme.
        start = u + noise * _unit(jax.random.normal(key, u.shape, dtype=u.dtype))
        found = lanczos(weighted_hessian(outputs, w, g), start, steps)
        return found.vector(jnp.argmax(jnp.where(found.alive, jnp.abs(found.values), -1.0)))

    def climb(state: Climb) -> Climb:
        t = state.round
        value, g = image(outputs, w, state.u)
        gain = jnp.where(t <= screening, jnp.inf, value - state.value)
        best = jnp.where(value > state.value, state.u, state.best)
        key_g, key_u = jax.random.split(jax.random.fold_in(key, t))
        # At a start D2h[u, u] may vanish, or hold the climb in a small valley: blur its direction.
        blur = jnp.where((t < screening) & (t % ROUNDS == 0), 0.3, 0.0)
        g = _unit(g + blur * _unit(jax.random.normal(key_g, g.shape, dtype=g.dtype)))
        noise = 0.1 ** jnp.maximum(1.0, 1.0 + t - screening)
        following = jnp.where(t + 1 >= screening, best, _unit(starts[jnp.minimum((t + 1) // ROUNDS, len(starts) - 1)]))
        renew = (t < screening) & ((t + 1) % ROUNDS == 0)
        u = jax.lax.cond(renew, lambda: following, lambda: advance(state.u, g, key_u, noise))
        return Climb(u, best, jnp.maximum(value, state.value), gain, t + 1)

    def unfinished(state: Climb) -> Array:
        polished = state.round - screening
        return (polished < 4) | ((polished < longest) & (state.gain > 1e-10 * state.value))

    zero = jnp.zeros((), w.dtype)
    first = Climb(_unit(starts[0]), _unit(starts[0]), zero, zero, jnp.asarray(0))
    return jax.lax.while_loop(unfinished, climb, first).best
