"""The models, data and losses on which flows are tested: few shapes, so that each compiles once."""

import jax
import jax.numpy as jnp
import numpy as np

from lazy_course import models
from lazy_course.losses import log_cosh_loss, square_loss

N, D, M = 4, 3, 6
TIMES = np.linspace(0.0, 10.0, 41)


def data(seed=0):
    inputs, outputs = jax.random.split(jax.random.key(seed))
    return jax.random.normal(inputs, (N, D)), jax.random.normal(outputs, (N,))


def tanh_problem(loss="square", *, centred=True, x=None, seed=0):
    """A two-layer tanh network of M units on N samples."""
    drawn, target = data(seed)
    network = models.two_layer("tanh", scale=M**-0.5)
    params0 = models.init_two_layer(jax.random.key(seed + 100), D, M)
    h = models.as_map(network, drawn if x is None else x)
    # Subtracting 0 keeps the structure of the map, so both compile to the same program.
    h = models.centred(h, params0) if centred else models.AffineMap(h, jnp.asarray(1.0), jnp.zeros(N))
    return h, params0, square_loss(target) if loss == "square" else log_cosh_loss(target, 1.0)


def diagonal_problem(*, generic=True):
    """The diagonal network; generic weights are centred, equal ones (w+ = w-) vanish at w0 by themselves."""
    x, target = data(1)
    h = models.as_map(models.diagonal(), x)
    if not generic:
        h = models.AffineMap(h, jnp.asarray(1.0), jnp.zeros(N))
        return h, models.init_diagonal(D, 0.8), square_loss(target)
    plus, minus = jax.random.uniform(jax.random.key(2), (2, D), minval=0.4, maxval=1.2)
    params0 = {"plus": plus, "minus": minus}
    return models.centred(h, params0), params0, square_loss(target)


def difference(tree, other):
    return jax.tree.map(jnp.subtract, tree, other)
