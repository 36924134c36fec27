r"""How much of a function the tangent features of a finite network can express: the price of dimension.

The linearized model is linear in $p = m(d+1)$ features. On the sphere the best fit of a function f* leaves the share
$\inf_v E (f^\star - J_0 v)^2 / \mathrm{Var} f^\star$ of the variance. The share tends to 0 as m grows if the limiting
kernel is universal on the functions considered; how fast depends on the dimension d. For ReLU networks every moment
that is needed has a closed form, so nothing is sampled but the weights and the teacher.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazy_course.half_spaces import half_space_moments
from lazy_course.models import AnyKey


def sphere(key: AnyKey, count: int, d: int) -> Float[Array, "count d"]:
    """Points drawn uniformly on the unit sphere of R^d."""
    points = jax.random.normal(key, (count, d), dtype=float)
    return points / jnp.linalg.norm(points, axis=1, keepdims=True)


def mean_of_relu(d: int) -> Float[Array, ""]:
    r"""$E \max(\langle a, x\rangle, 0) = \Gamma(d/2) / (2 \sqrt\pi\, \Gamma((d+1)/2))$ for a unit vector a."""
    log_ratio = jax.scipy.special.gammaln(d / 2) - jax.scipy.special.gammaln((d + 1) / 2)
    return jnp.exp(log_ratio) / (2 * jnp.pi**0.5)


@eqx.filter_jit
def share_left(student: Float[Array, "m d"], teacher: Float[Array, "k d"]) -> Float[Array, ""]:
    r"""The share of the variance of $\sum_i (-1)^i \max(\langle t_i, x\rangle, 0)$ that the best combination leaves.

    The features of the neuron $b_j \max(\langle a_j, x\rangle, 0)$ are the entries of $x\,1(\langle a_j, x\rangle > 0)$
    (those of $b_j$ are among them), so only the directions of the $a_j$, the unit rows of `student`, matter. The
    normal equations are solved with a relative cut-off of 1e-13 for eigenvalues.
    """
    (m, d), signs = student.shape, (-1.0) ** jnp.arange(teacher.shape[0])
    gram = jnp.moveaxis(half_space_moments(student, student), 1, 2).reshape(m * d, m * d)
    aligned = jnp.einsum("jkab,kb,k->ja", half_space_moments(student, teacher), teacher, signs).reshape(-1)
    among = half_space_moments(teacher, teacher)
    second = jnp.einsum("ikab,ia,kb,i,k->", among, teacher, teacher, signs, signs)
    values, vectors = jnp.linalg.eigh(gram)
    kept = values > 1e-13 * values[-1]
    explained = jnp.sum(jnp.where(kept, (vectors.T @ aligned) ** 2 / jnp.where(kept, values, 1.0), 0.0))
    return (second - explained) / (second - (jnp.sum(signs) * mean_of_relu(d)) ** 2)


def left_over(key: AnyKey, *, d: int, m: int, units: int = 3) -> Float[Array, ""]:
    """`share_left` for m random directions and a teacher of `units` random ones with alternating signs."""
    key_student, key_teacher = jax.random.split(key)
    return share_left(sphere(key_student, m, d), sphere(key_teacher, units, d))
