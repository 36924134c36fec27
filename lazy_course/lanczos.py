"""Lanczos for the ends of a symmetric operator's spectrum, with an upper end that holds with high probability."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from matfree import decomp


class Decomposition(NamedTuple):
    """What `lanczos` returns: k Ritz values in ascending order, and the vectors they belong to.

    After an exact breakdown (the Krylov space is invariant) the remaining entries mean nothing:
    `alive` marks the others.
    """

    values: Float[Array, " k"]
    alive: Bool[Array, " k"]
    basis: Float[Array, "k p"]
    coordinates: Float[Array, "k k"]
    log_residual: Float[Array, ""]

    @property
    def largest(self) -> Float[Array, ""]:
        """The largest Ritz value: never above the largest eigenvalue (but for rounding)."""
        return jnp.max(jnp.where(self.alive, self.values, -jnp.inf))

    def vector(self, index: Array | int) -> Float[Array, " p"]:
        """The unit Ritz vector of `values[index]`."""
        vector = self.coordinates[:, index] @ self.basis
        norm = jnp.linalg.norm(vector)
        return vector / jnp.where(norm > 0.0, norm, 1.0)


def lanczos(product: Callable[[Array], Array], start: Float[Array, " p"], steps: int) -> Decomposition:
    r"""`steps` Lanczos steps on a symmetric operator, all vectors kept orthogonal (matfree does them).

    `product` maps (p,) to (p,); steps is at most p. `log_residual` is $\log(\beta_1 \cdots \beta_k)$ of the
    tridiagonal matrix, whose characteristic polynomial $q_k$ satisfies $q_k(A) b = \beta_1 \cdots \beta_k v_{k+1}$
    for the unit start b. Memory: p times `steps` numbers. Works under `jax.jit` and `jax.vmap`.
    """
    algorithm = decomp.tridiag_sym(steps, reortho="full", materialize=False, custom_vjp=False)
    basis, (diagonal, off_diagonal), residual, _ = algorithm(product, start)
    betas = jnp.append(off_diagonal, jnp.linalg.norm(residual))
    # A beta of exactly 0 turns everything after it into nan: cut there.
    alive = jnp.cumprod(jnp.isfinite(diagonal)).astype(bool)
    betas = jnp.where(alive & jnp.isfinite(betas), betas, 0.0)
    diagonal = jnp.where(alive, diagonal, diagonal[0])
    basis = jnp.where(alive[:, None], basis, 0.0)
    tridiagonal = jnp.diag(diagonal) + jnp.diag(betas[:-1], 1) + jnp.diag(betas[:-1], -1)
    values, coordinates = jnp.linalg.eigh(tridiagonal)
    belongs = jnp.sum(jnp.where(alive[:, None], coordinates, 0.0) ** 2, axis=0) > 0.5
    log_residual = jnp.sum(jnp.where(alive, jnp.log(betas), 0.0))
    return Decomposition(values, belongs, basis, coordinates, log_residual)


def probable_upper(found: Decomposition, delta: float | Float[Array, ""]) -> Float[Array, ""]:
    r"""A number that is at least the largest eigenvalue $\lambda_1$ with probability $1 - \delta$.

    The start b must be uniform on the unit sphere of R^p, and independent of the operator A. Let u be a unit
    eigenvector of $\lambda_1$ and $\tau = \delta/\sqrt p$.

    1. $P(|\langle b, u\rangle| \le \tau) \le \delta$. For p >= 3 the density of $\langle b, u\rangle$ is largest at 0,
       where it is $\Gamma(p/2) / (\sqrt\pi\, \Gamma((p-1)/2)) \le \sqrt{(p-1)/(2\pi)}$; so the probability is at most
       $\tau \sqrt{2(p-1)/\pi} \le \delta$. For p = 2 it is $(2/\pi) \arcsin \tau \le \tau$; for p = 1 it is 0.
    2. Otherwise, if $\lambda_1$ exceeds the largest Ritz value $\theta_1$, beyond which
       $q_k(t) = \prod_i (t - \theta_i)$ is positive and increases,
       $\tau\, q_k(\lambda_1) < |\langle q_k(A) b, u\rangle| \le \|q_k(A) b\| = \beta_1 \cdots \beta_k$.

    So $\lambda_1$ is at most the root beyond $\theta_1$ of $q_k(t) = \beta_1 \cdots \beta_k / \tau$. The event in 1
    does not depend on k, so the number of steps may be chosen after the fact. What is returned is the upper end
    of a bisection for that root, plus 100 roundings: the argument is for exact arithmetic.

    Source: the idea is in van Dorsselaer, Hochstenbach and van der Vorst (2000). The bound that holds a priori,
    for any spectrum, is that of Kuczynski and Wozniakowski (1992): for A positive definite
    $P(\theta_1 < (1 - \varepsilon) \lambda_1) \le 1.648 \sqrt p\, e^{-\sqrt\varepsilon (2k - 1)}$. It tells how many
    steps are enough; the root adapts to the spectrum that is met.
    """
    p = found.basis.shape[1]
    count = jnp.sum(found.alive)
    gaps = jnp.where(found.alive, found.largest - found.values, 1.0)
    log_target = found.log_residual + 0.5 * jnp.log(p) - jnp.log(delta)

    def excess(log_step: Array) -> Array:
        terms = jnp.log(jnp.exp(log_step) + gaps)
        return jnp.sum(jnp.where(found.alive, terms, 0.0)) - log_target

    # At log_target / count every factor is already large enough.
    high = log_target / count
    low = high - 100.0

    def halve(_: int | Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        enough = excess(middle) >= 0.0
        return jnp.where(enough, low, middle), jnp.where(enough, middle, high)

    _, high = jax.lax.fori_loop(0, 60, halve, (low, high))
    margin = jnp.where(found.log_residual == -jnp.inf, 0.0, jnp.exp(high))
    roundings = 100 * jnp.finfo(found.values.dtype).eps * jnp.max(jnp.abs(found.values))
    return found.largest + margin + roundings
