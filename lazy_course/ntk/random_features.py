"""Draws of a two-layer tangent kernel against its limit, along a section of the sphere (Figure 4 of the paper)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course.models import AnyKey
from lazy_course.ntk.numerics import random_feature_kernels, two_layer_limits


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


def kernels_on_a_section(
    key: AnyKey, widths: tuple[int, ...], *, draws: int, d: int = 10, activation: str = "relu", count: int = 41
) -> Section:
    r"""$\Theta_m = K_m^{(a)} + K_m^{(b)}$ for x fixed on the unit sphere of R^d and x' on a half circle from x to -x.

    Normal weights of variance 1, so that $E[b^2] = 1$ and $E\|a\|^2 = d$. Source: chizat2019lazy, Figure 4.
    """
    angles = jnp.linspace(0.0, jnp.pi, count)
    points = jnp.zeros((count, d)).at[:, 0].set(jnp.cos(angles)).at[:, 1].set(jnp.sin(angles))
    x = jnp.zeros((1, d)).at[0, 0].set(1.0)

    base = int(np.gcd.reduce(widths))

    def narrow(key: AnyKey) -> Array:
        inputs, outputs = random_feature_kernels(key, x, points, width=base, activation=activation)
        return inputs[0] + outputs[0]

    # A wide kernel is the mean of independent narrow ones, so one compiled function serves all widths.
    parts = np.asarray(widths) // base
    ends = np.cumsum(parts)
    drawn = jax.lax.map(narrow, jax.random.split(key, int(draws * ends[-1])), batch_size=4096)
    drawn = jnp.reshape(drawn, (draws, int(ends[-1]), count))
    means = [jnp.mean(drawn[:, end - n : end], axis=1) for n, end in zip(parts, ends, strict=True)]
    limit = two_layer_limits(x, points, activation=activation)
    return Section(angles, tuple(widths), limit[0][0] + limit[1][0], jnp.stack(means))
