"""The brackets of the norms of both differentials, and of kappa, for a report."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PyTree

from lazy_course import models, norms
from lazy_course.hessians import outputs_of, weighted_hessian
from lazy_course.linearization import second_differential
from lazy_course.models import AnyKey
from lazy_course.report.record import Pair
from lazy_course.report.setting import Setting, distance


@eqx.filter_jit
def _climbed(h: models.BatchMap, params: PyTree, direction: PyTree, key: AnyKey) -> Array:
    r"""The largest $\|D^2h[u, u]\|$ met on a short climb: along v, along random u, and as u and its image alternate."""
    w, unravel = ravel_pytree(params)
    outputs = outputs_of(h, unravel, jax.eval_shape(h, params).size)
    flat = ravel_pytree(direction)[0].astype(w.dtype)
    drawn = jax.random.normal(key, w.shape, dtype=w.dtype)

    def climb(_: Array | int, state: tuple[Array, Array]) -> tuple[Array, Array]:
        u, best = state
        u = u / jnp.linalg.norm(u)
        image = second_differential(outputs.together, w, u, u)
        size = jnp.linalg.norm(image)
        image = jnp.where(size > 0, image, 1.0)
        return weighted_hessian(outputs, w, image / jnp.linalg.norm(image))(u), jnp.maximum(best, size)

    # v alone may lie where D2h vanishes (a symmetrized start), so a third of the first direction is random; with equal
    # parts it would be 0 for one parameter and a draw against v.
    mixed = flat / jnp.linalg.norm(flat) + 0.5 * drawn / jnp.linalg.norm(drawn)
    along = jnp.linalg.norm(second_differential(outputs.together, w, flat, flat)) / jnp.vdot(flat, flat)
    return jnp.abs(outputs.factor) * jax.lax.fori_loop(0, 8, climb, (mixed, along))[1]


def brackets(s: Setting, direction: PyTree, effort: str) -> tuple[Pair, Pair, Pair]:
    """The brackets of |Dh|, |D2h| and kappa; with effort "quick" |D2h| is known from below, along one direction."""
    # The eigenvalue is exact but for N roundings of it.
    largest, size = float(s.spectrum.values[-1]), s.kernel0.shape[0]
    rounding = size * float(jnp.finfo(s.kernel0.dtype).eps)
    jacobian = float(np.sqrt(largest * (1 - rounding))), float(np.sqrt(largest * (1 + rounding)))
    if effort == "full":
        flat = ravel_pytree(s.params)[0]
        each = s.memory // (4 * flat.size * flat.dtype.itemsize)
        lower, upper = norms.hessian_operator_norm(
            s.h, s.params, key=jax.random.fold_in(s.key, 3), memory=min(s.memory, 2**27) if each else s.memory
        )
        hessian = float(lower), float(upper)
    else:
        hessian = float(_climbed(s.h, s.params, direction, s.key)), np.inf
    away = distance(s) / s.alpha
    return jacobian, hessian, (away * hessian[0] / jacobian[1] ** 2, away * hessian[1] / jacobian[0] ** 2)
