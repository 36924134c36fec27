r"""How much of a function the tangent features of a finite network can express: the price of dimension.

The linearized model is linear in $p = m(d+1)$ features. Its best fit of a function f* on the sphere leaves the share
$\inf_v E (f^\star - J_0 v)^2 / \mathrm{Var} f^\star$ of the variance. The share tends to 0 as m grows if the limiting
kernel is universal on the functions considered; how fast depends on the dimension d.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazy_course.models import AnyKey


def sphere(key: AnyKey, count: int, d: int) -> Float[Array, "count d"]:
    """Points drawn uniformly on the unit sphere of R^d."""
    points = jax.random.normal(key, (count, d), dtype=float)
    return points / jnp.linalg.norm(points, axis=1, keepdims=True)


def teacher(key: AnyKey, x: Float[Array, "n d"], *, units: int = 3) -> Float[Array, " n"]:
    """A ReLU network of three units of norm one with alternating signs, as in the paper's experiments."""
    directions = sphere(key, units, x.shape[1])
    return jax.nn.relu(x @ directions.T) @ (-1.0) ** jnp.arange(units)


def tangent_features(key: AnyKey, x: Float[Array, "n d"], m: int) -> Float[Array, "n p"]:
    r"""The tangent features of $\sum_j b_j \max(\langle a_j, x\rangle, 0)$ at normal weights."""
    key_a, key_b = jax.random.split(key)
    a = jax.random.normal(key_a, (m, x.shape[1]), dtype=float)
    b = jax.random.normal(key_b, (m,), dtype=float)
    before = x @ a.T
    gates = (before > 0) * b[None]
    inner = (gates[:, :, None] * x[:, None, :]).reshape(x.shape[0], -1)
    return jnp.concatenate([jax.nn.relu(before), inner], axis=1) / m**0.5


@eqx.filter_jit
def left_over(key: AnyKey, *, d: int, m: int, samples: int = 6000, fresh: int = 2000) -> Float[Array, ""]:
    """The share of the teacher's variance that the best combination of the tangent features leaves.

    Fitted on `samples` points (ridge 1e-10 of the largest eigenvalue), evaluated on `fresh` ones: at p = m (d + 1)
    features the estimate is about samples / (samples - p) times the true share.
    """
    key_x, key_new, key_t, key_w = jax.random.split(key, 4)
    x, new = sphere(key_x, samples, d), sphere(key_new, fresh, d)
    features, target = tangent_features(key_w, x, m), teacher(key_t, x)
    gram = features.T @ features
    ridge = 1e-10 * jnp.trace(gram)
    weights = jnp.linalg.solve(gram + ridge * jnp.eye(gram.shape[0]), features.T @ target)
    wanted = teacher(key_t, new)
    error = tangent_features(key_w, new, m) @ weights - wanted
    return jnp.mean(error**2) / jnp.var(wanted)
