"""Second moments of the uniform law on the sphere, cut by two half spaces: what ReLU features have in common."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def half_space_moments(a: Float[Array, "m d"], b: Float[Array, "k d"]) -> Float[Array, "m k d d"]:
    r"""$E[x x^\top 1(\langle a, x\rangle > 0)\, 1(\langle b, x\rangle > 0)]$, x uniform on the sphere, unit a and b.

    With the angle $\theta$ between a and b it is $\frac1{2\pi d}$ times
    $(\pi - \theta)\,\mathrm{Id} + (a b^\top + b a^\top - \cos\theta\,(a a^\top + b b^\top))/\sin\theta$. For a normal
    variable it is d times that: in the plane of a and b integrate over the sector of angle $\pi - \theta$.
    """
    d = a.shape[1]
    cosine = jnp.clip(a @ b.T, -1.0, 1.0)
    sine = jnp.sqrt(1 - cosine**2)
    mixed = a[:, None, :, None] * b[None, :, None, :]
    own = (a[:, None, :, None] * a[:, None, None, :]) + (b[None, :, :, None] * b[None, :, None, :])
    bend = mixed + jnp.swapaxes(mixed, 2, 3) - cosine[:, :, None, None] * own
    # a = b or a = -b: the bend vanishes like the square of the sine.
    bend = jnp.where(sine[:, :, None, None] > 1e-12, bend / jnp.maximum(sine, 1e-12)[:, :, None, None], 0.0)
    angle = jnp.pi - jnp.arccos(cosine)
    return (angle[:, :, None, None] * jnp.eye(d)[None, None] + bend) / (2 * jnp.pi * d)
