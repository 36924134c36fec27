r"""The linearized model of a ReLU student in closed form, and how lazy the start is.

Of $f(w, x) = \alpha \sum_j a_j \max(\langle b_j, x\rangle, 0)$, differentiated at $w_0$ without the factor $\alpha$,
the tangent kernel is $K = (X X^\top) \circ (D D^\top) + S S^\top$ with
$D_{ij} = a_j 1_{\langle b_j, x_i\rangle > 0}$ and $S_{ij} = \max(\langle b_j, x_i\rangle, 0)$.
Descent on $R/\alpha^2$ with step $\eta$ multiplies the residual of the linearized model by $I - \eta K/n$ at every
step: one eigendecomposition gives all steps and all $\tau$, since $K$ is $\tau^2$ times the kernel at $\tau = 1$.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazy_course.models import RealArray
from lazy_course.two_layer.numerics import Data, Weights


class Modes(NamedTuple):
    """What a start of zero output leaves of the data: eigenvalues of K/n, the targets' and test points' coordinates."""

    rates: Float[Array, " n"]
    target: Float[Array, " n"]
    test: Float[Array, "q n"]
    y_test: Float[Array, " q"]


def kernel(weights: Weights, x1: Float[Array, "n d"], x2: Float[Array, "q d"]) -> Float[Array, "n q"]:
    """The tangent kernel of one run (R = 1) between two sets of points."""
    inputs, outputs = weights.inputs[0], weights.outputs[0]
    z1, z2 = x1 @ inputs.T, x2 @ inputs.T
    gates1, gates2 = outputs[None, :] * (z1 > 0), outputs[None, :] * (z2 > 0)
    return (x1 @ x2.T) * (gates1 @ gates2.T) + jnp.maximum(z1, 0) @ jnp.maximum(z2, 0).T


@eqx.filter_jit
def modes(weights: Weights, data: Data) -> Modes:
    """The modes of a run (R = 1) whose output is 0 at the start; in double precision."""
    n = data.x.shape[0]
    rates, vectors = jnp.linalg.eigh(kernel(weights, data.x, data.x) / n)
    return Modes(rates, vectors.T @ data.y, kernel(weights, data.x_test, data.x) @ vectors / n, data.y_test)


@eqx.filter_jit
def losses(found: Modes, step: float | Array, steps: Float[RealArray, " times"]) -> tuple[Array, Array]:
    r"""Training and test loss (times,) of the linearized model after `steps` steps of size `step` (inf: the limit).

    Mode i of the residual is $(1 - \eta\lambda_i)^t$ of its start. `step` is $\eta\tau^2$ where the modes are those
    of $\tau = 1$. Needs $\eta\lambda \le 2$, else it says how descent diverges.
    """
    steps = jnp.asarray(steps)[:, None]
    factor = 1 - step * jnp.maximum(found.rates, 0.0)[None, :]
    size = jnp.where(jnp.isinf(steps), 0.0, jnp.abs(factor) ** jnp.where(jnp.isinf(steps), 1.0, steps))
    left = jnp.where((factor < 0) & (steps % 2 == 1), -size, size)
    train = 0.5 * jnp.mean((left * found.target[None, :]) ** 2, axis=1)
    # A mode of rate 0 learns nothing; (1 - left) / rate tends to step * steps there and is multiplied by 0.
    safe = jnp.where(found.rates > 1e-14 * found.rates[-1], found.rates, jnp.inf)
    learned = (1 - left) / safe[None, :] * found.target[None, :]
    test = 0.5 * jnp.mean((learned @ found.test.T - found.y_test[None, :]) ** 2, axis=1)
    return train, test


@eqx.filter_jit
def unit_kappa(weights: Weights, data: Data) -> Float[Array, ""]:
    r"""$\kappa_h(w_0) = \|h(w_0) - y^\star\|\,\|D^2h\| / \|Dh\|^2$ of a run (R = 1); that at $\tau$ is $1/\tau^2$ of it
    when these weights have $\tau = 1$ and $h(w_0) = 0$.

    $D^2h$ is that of the ReLU where it exists: it couples $a_j$ with $b_j$ alone, so
    $\|D^2h\| = \max_j \|(x_i 1_{\langle b_j, x_i\rangle > 0})_i\|$ in operator norm. It does not see the kinks.
    """
    z = data.x @ weights.inputs[0].T

    def block(gate: Array) -> Array:
        gated = jnp.where(gate[:, None], data.x, 0.0)
        return jnp.linalg.eigvalsh(gated.T @ gated)[-1] ** 0.5

    curvature = jnp.max(jax.lax.map(block, (z > 0).T))
    start = jnp.maximum(z, 0) @ weights.outputs[0]
    slope = jnp.linalg.eigvalsh(kernel(weights, data.x, data.x))[-1]
    return jnp.linalg.norm(start - data.y) * curvature / slope
