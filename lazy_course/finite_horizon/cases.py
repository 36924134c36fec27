r"""The problems of the chapter (model, start, loss) and constants that are proved for them, not estimated.

Every model is centred, so $h(w_0) = 0$. The loss is $\frac12\|z\|^2 + c \sum_i \log\cosh z_i$ with
$z = y - y^\star$; with the weight c = 0 it is the square loss, so one compiled solver serves both.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from lazy_course import models
from lazy_course.finite_horizon.bounds import Constants
from lazy_course.losses import LogCoshLoss, log_cosh_loss
from lazy_course.models import AffineMap, AnyKey, Scalar


class Problem(eqx.Module):
    """A centred model h on its data, its start w0, and a loss; one problem, or many with a leading axis."""

    h: AffineMap
    params0: PyTree
    loss: LogCoshLoss


def tanh_problem(
    key: AnyKey, *, n: int = 4, d: int = 3, m: int = 8, weight: Scalar = 0.0, symmetrized: bool = False
) -> Problem:
    r"""A centred tanh network, both layers trained: $f(w, x) = m^{-1/2} \sum_j b_j \tanh\langle a_j, x\rangle$.

    F is the empirical $L^2$ of n normal points in $\mathbb R^d$; the targets are normal. `symmetrized` draws half
    of the neurons and repeats them with negated output weights.
    """
    key_x, key_w, key_y = jax.random.split(key, 3)
    x = jax.random.normal(key_x, (n, d), dtype=float)
    params0 = models.init_two_layer(key_w, d, m, symmetrized=symmetrized)
    h = models.as_map(models.two_layer("tanh", scale=m**-0.5), x, normalize=True)
    target = jax.random.normal(key_y, (n,), dtype=float) / n**0.5
    return Problem(models.centred(h, params0), params0, log_cosh_loss(target, weight))


def diagonal_problem(key: AnyKey, *, n: int = 3, d: int = 6, weight: Scalar = 0.0, equal: bool = False) -> Problem:
    r"""A diagonal linear network $X(w_+^2 - w_-^2)$, centred, F = $\mathbb R^n$, normal data and targets; a `Problem`.

    The start is normal, or with `equal` has $w_+ = w_-$ (the usual choice).
    """
    key_x, key_w, key_y = jax.random.split(key, 3)
    x = jax.random.normal(key_x, (n, d), dtype=float)
    drawn = jax.random.normal(key_w, (2, d), dtype=float)
    params0 = models.init_diagonal(d, 1.0, jnp.stack([drawn[0], drawn[0]]) if equal else drawn)
    target = jax.random.normal(key_y, (n,), dtype=float)
    h = models.as_map(models.diagonal(), x)
    return Problem(models.centred(h, params0), params0, log_cosh_loss(target, weight))


def deep_linear_problem(
    key: AnyKey, *, n: int = 4, widths: tuple[int, ...] = (3, 4, 4, 1), weight: Scalar = 0.0
) -> Problem:
    r"""A deep linear network $W_3 W_2 W_1 x$, centred, F the empirical $L^2$ of n normal points; a `Problem`."""
    key_x, key_w, key_y = jax.random.split(key, 3)
    x = jax.random.normal(key_x, (n, widths[0]), dtype=float)
    params0 = models.init_homogeneous(key_w, widths)
    h = models.as_map(models.homogeneous(len(widths) - 1, "linear"), x, normalize=True)
    target = jax.random.normal(key_y, (n,), dtype=float) / n**0.5
    return Problem(models.centred(h, params0), params0, log_cosh_loss(target, weight))


def uncentred(problem: Problem) -> Problem:
    """The same problem with the model's own output at w0 put back."""
    return eqx.tree_at(lambda p: p.h.offset, problem, jnp.zeros_like(problem.h.offset))


def jacobian_norm(problem: Problem) -> Float[Array, ""]:
    r"""$S = \|Dh(w_0)\|$, the largest singular value of the (n, p) Jacobian: exact, for small problems."""
    flat, unravel = ravel_pytree(problem.params0)
    return jnp.linalg.norm(jax.jacrev(lambda w: problem.h(unravel(w)))(flat), 2)


def diagonal_lipschitz(problem: Problem, radius: Scalar) -> Float[Array, ""]:
    r"""Lip(Dh) of the diagonal network, exactly: $2 \max_j \|X_j\|$ over the columns of the data, on any ball.

    $Dh(w) - Dh(w') = 2 X [\mathrm{diag}(a), -\mathrm{diag}(b)]$ with $(a, b) = w - w'$: its squared norm is 4
    times the largest eigenvalue of $\sum_j (a_j^2 + b_j^2) X_j X_j^\top$: convex in the weights, so largest at
    a single j.
    """
    del radius
    return 2 * jnp.max(jnp.linalg.norm(problem.h.inner.weight * problem.h.inner.x, axis=0))  # type: ignore[attr-defined]


def two_layer_lipschitz(problem: Problem, radius: Scalar) -> Float[Array, ""]:
    r"""An upper bound of Lip(Dh) of the tanh network on the ball of the given radius around $w_0$.

    $\frac12(\beta + \sqrt{\beta^2 + 4\gamma^2})$ with $\gamma = c\|X\|$ and
    $\beta = \frac{4}{3\sqrt3}\, c\, (\max_j |b_j| + r) \|X\| \max_i \|x_i\|$, where X is (n, d) with rows $x_i$
    and c the product of the scales ($m^{-1/2} n^{-1/2}$ here). One output.
    """
    inner = problem.h.inner
    scale = inner.weight * inner.f.scale  # type: ignore[attr-defined]
    x = inner.x  # type: ignore[attr-defined]
    spread = jnp.linalg.norm(x, 2)
    largest = jnp.max(jnp.abs(problem.params0["output"])) + radius
    beta = 4 / (3 * 3**0.5) * scale * largest * spread * jnp.max(jnp.linalg.norm(x, axis=1))
    return 0.5 * (beta + jnp.sqrt(beta**2 + 4 * (scale * spread) ** 2))


@eqx.filter_jit
def constants(problem: Problem, lipschitz_differential: Float[Array, ""], radius: Scalar) -> Constants:
    r"""The `Constants` on a ball, given L there: $\ell = S + L r$, which holds for every model; $\inf R = 0$."""
    s = jacobian_norm(problem)
    return Constants(
        jacobian_norm=s,
        lipschitz=s + lipschitz_differential * radius,
        lipschitz_differential=lipschitz_differential,
        smoothness=1.0 + problem.loss.weight,
        energy=problem.loss(problem.h(problem.params0)),
        radius=jnp.asarray(radius, dtype=float),
    )
