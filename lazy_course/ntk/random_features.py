"""Draws of a two-layer tangent kernel against its limit, along a section of the sphere (Figure 4 of the paper)."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course.models import ACTIVATIONS, AnyKey
from lazy_course.ntk.numerics import two_layer_limits


class Section(NamedTuple):
    """Tangent kernels of x and x' at given `angles`: the `limit` (angles,), and `draws` (widths, draws, angles)."""

    angles: Float[Array, " angles"]
    widths: tuple[int, ...]
    limit: Float[Array, " angles"]
    draws: Float[Array, "widths draws angles"]

    @property
    def error(self) -> Float[Array, " widths"]:
        """The root mean square over draws and angles of the distance to the limit."""
        return jnp.sqrt(jnp.mean((self.draws - self.limit[None, None]) ** 2, axis=(1, 2)))

    @property
    def slope(self) -> float:
        """The slope of log(error) against log(width)."""
        return float(np.polyfit(np.log(self.widths), np.log(self.error), 1)[0])


@partial(jax.jit, static_argnames=("number", "activation"))
def _neurons(key: AnyKey, x: Array, points: Array, *, number: int, activation: str) -> Array:
    """Kernels of single neurons, (number, angles): the mean of any m of the rows is a kernel of width m."""
    of_a, of_b = jax.random.split(key)
    a, b = jax.random.normal(of_a, (number, x.size)), jax.random.normal(of_b, (number, 1))
    here, there = a @ x, a @ points.T
    function = ACTIVATIONS[activation]
    slope = jax.vmap(jax.grad(function))
    gates = slope(here)[:, None] * jnp.reshape(slope(jnp.ravel(there)), there.shape)
    return b**2 * gates * (points @ x)[None] + function(here)[:, None] * function(there)


def kernels_on_a_section(
    key: AnyKey, widths: tuple[int, ...], *, draws: int, d: int = 10, activation: str = "relu", count: int = 41
) -> Section:
    r"""$\Theta_m = K_m^{(a)} + K_m^{(b)}$ for x fixed on the unit sphere of R^d and x' on a half circle from x to -x.

    Normal weights of variance 1, so that $E[b^2] = 1$ and $E\|a\|^2 = d$. Source: chizat2019lazy, Figure 4.
    """
    angles = jnp.linspace(0.0, jnp.pi, count)
    points = jnp.zeros((count, d)).at[:, 0].set(jnp.cos(angles)).at[:, 1].set(jnp.sin(angles))
    x = jnp.zeros((1, d)).at[0, 0].set(1.0)

    parts = _neurons(key, x[0], points, number=draws * sum(widths), activation=activation)
    drawn = jnp.reshape(parts, (draws, sum(widths), count))
    ends = np.cumsum(widths)
    means = [jnp.mean(drawn[:, end - m : end], axis=1) for m, end in zip(widths, ends, strict=True)]
    limit = two_layer_limits(x, points, activation=activation)
    return Section(angles, tuple(widths), limit[0][0] + limit[1][0], jnp.stack(means))
