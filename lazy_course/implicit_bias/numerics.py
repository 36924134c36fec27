r"""The potential $Q_\alpha$, its minimizer among the solutions of $X\beta = y$, and its two ends: l2 and l1.

Where $\alpha \to \infty$ the minimizer is the solution of least Euclidean norm, where $\alpha \to 0$ that of least l1
norm. The work between the ends is done in dual.py.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy.optimize import linprog

from lazy_course.implicit_bias.dual import Interpolation, require_scales, row_space, solve_rows
from lazy_course.models import RealArray, Scalar


def q(z: RealArray | Scalar) -> Float[Array, "..."]:
    r"""The function $q(z) = \int_0^z \mathrm{arcsinh}(u/2)\,du = z\,\mathrm{arcsinh}(z/2) - \sqrt{4 + z^2} + 2$.

    Entry by entry, without cancellation for small z and without overflow for large z. Even and convex, about
    $z^2/4$ for small z and $|z|(\ln|z| - 1) + 2$ for large z. Source: woodworth2020kernel, Theorem 1.
    """
    size = jnp.abs(jnp.asarray(z, dtype=float))
    return size * (jnp.arcsinh(size / 2) - size / (2 + jnp.hypot(2.0, size)))


def potential(beta: Float[RealArray, "... d"], alpha: Scalar) -> Float[Array, "..."]:
    r"""$Q_\alpha(\beta) = \sum_i q(\beta_i/\alpha^2)$, summed over the last axis.

    Raises `ValueError` unless alpha is a positive finite number. Source: woodworth2020kernel, Theorem 1.
    """
    return jnp.sum(q(jnp.asarray(beta) / require_scales(alpha) ** 2), axis=-1)


def minimum_q_solution(
    X: Float[RealArray, "N d"], y: Float[RealArray, " N"], alpha: RealArray | Scalar | list[float]
) -> Interpolation:
    """`minimum_q_interpolator` with its multiplier, its two errors and its number of Newton steps."""
    space, scales = row_space(X, y), require_scales(alpha)
    found = solve_rows(space, scales, np.zeros(space.rows.shape[1]), np.zeros(space.rows.shape[1]))
    fitted = found.beta @ jnp.asarray(X, dtype=float).T
    residual = jnp.max(jnp.abs(fitted - jnp.broadcast_to(jnp.asarray(y, dtype=float), fitted.shape)), axis=-1)
    return found._replace(residual=residual)


def minimum_q_interpolator(
    X: Float[RealArray, "N d"], y: Float[RealArray, " N"], alpha: RealArray | Scalar | list[float]
) -> Float[Array, "*A d"]:
    r"""$\mathrm{argmin}\, Q_\alpha(\beta)$ subject to $X\beta = y$: where gradient flow from $w_\pm = \alpha 1$ ends.

    Newton's method on the dual (module docstring). One alpha gives shape (d,), a flat array of A of them (A, d), all
    in one continuation from the largest to the smallest. Residual and stationarity are checked, and are about
    $10^{-13}$ from alpha = $10^6$ to $10^{-12}$. Every entry, on the l1 support or off it, is exact to about
    $10^{-14}\max|\beta|$ absolutely (against fifty digits): an entry of size b has a relative error of that over b.

    X may have any rank; y must be in its range. Raises `ValueError` if it is not (with what to do), for wrong shapes,
    for alpha that is not positive; `ArithmeticError` if Newton's method fails. Source: woodworth2020kernel, Theorem 1.
    """
    return minimum_q_solution(X, y, alpha).beta


def minimum_l2(X: Float[RealArray, "N d"], y: Float[RealArray, " N"]) -> Float[Array, " d"]:
    r"""The least-squares solution of least Euclidean norm, $X^+ y$: the limit for alpha to infinity."""
    return jnp.asarray(np.linalg.lstsq(np.asarray(X, dtype=float), np.asarray(y, dtype=float), rcond=None)[0])


class L1Solution(NamedTuple):
    r"""A solution of least l1 norm: `beta` (d,); its `support` (d,); the dual `certificate` $\rho$ (N,) with
    $X_S^\top\rho = \mathrm{sign}\,\beta_S$ and the least `largest` = $c = \max_{j \notin S} |x_j^\top\rho|$; the
    `correlations` $X^\top\rho$ (d,); and the `exchange` $\lambda$ (d,), zero off S, of the dual program: a vector with
    $\langle\lambda, \mathrm{sign}\,\beta\rangle = c$ and $X\lambda = X\mu$, $\mu$ zero on S, $\|\mu\|_1 = 1$."""

    beta: Float[np.ndarray, " d"]
    support: Bool[np.ndarray, " d"]
    certificate: Float[np.ndarray, " N"]
    correlations: Float[np.ndarray, " d"]
    largest: float
    exchange: Float[np.ndarray, " d"]


def minimum_l1(X: Float[RealArray, "N d"], y: Float[RealArray, " N"]) -> L1Solution:
    r"""A minimizer of $\|\beta\|_1$ subject to $X\beta = y$, and its best dual certificate: two linear programs.

    The first is over $\beta = \beta_+ - \beta_-$; entries below $10^{-9}$ of the largest count as zero, and the others
    are solved again on their support S. The second minimizes c over $\rho$ subject to
    $X_S^\top\rho = \mathrm{sign}\,\beta_S$ and $|x_j^\top\rho| \le c$ off S.
    The minimizer is unique if and only if c < 1 and $X_S$ is injective.
    Raises `ValueError` as `minimum_q_interpolator`; `ArithmeticError` if a program fails.
    """
    space = row_space(X, y)
    rows, target = space.rows, space.target
    d = rows.shape[1]
    found = linprog(np.ones(2 * d), A_eq=np.hstack([rows, -rows]), b_eq=target, method="highs")
    if found.status != 0:
        raise ArithmeticError(f"the linear program of the l1 norm failed: {found.message}")
    beta = found.x[:d] - found.x[d:]
    support = np.abs(beta) > 1e-9 * np.max(np.abs(beta))
    beta = np.where(support, beta, 0.0)
    if not np.any(support):
        return L1Solution(beta, support, np.zeros(len(y)), beta, 0.0, beta)
    beta[support] = np.linalg.lstsq(rows[:, support], target, rcond=None)[0]
    rho, largest, exchange = _best_certificate(rows, support, np.sign(beta[support]))
    return L1Solution(beta, support, space.back @ rho, rows.T @ rho, largest, exchange)


def _best_certificate(rows: np.ndarray, support: np.ndarray, signs: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    on, off = rows[:, support].T, rows[:, ~support].T
    below = -np.ones((off.shape[0], 1))
    found = linprog(
        np.append(np.zeros(rows.shape[0]), 1.0),
        A_eq=np.hstack([on, np.zeros((on.shape[0], 1))]),
        b_eq=signs,
        A_ub=np.vstack([np.hstack([off, below]), np.hstack([-off, below])]),
        b_ub=np.zeros(2 * off.shape[0]),
        bounds=[(None, None)] * rows.shape[0] + [(0, None)],
        method="highs",
    )
    if found.status != 0:
        raise ArithmeticError(f"the linear program of the dual certificate failed: {found.message}")
    exchange = np.zeros(rows.shape[1])
    exchange[support] = found.eqlin.marginals
    return found.x[:-1], float(found.x[-1]), exchange


def excess(beta: Float[RealArray, "... d"], l1: L1Solution) -> Float[Array, "..."]:
    r"""How far a solution of $X\beta = y$ is above the least l1 norm: $\sum_j (|\beta_j| - \beta_j\, x_j^\top\rho)$.

    Equal to $\|\beta\|_1 - \|\beta^\star\|_1$, since $\langle\rho, X\beta\rangle = \langle\rho, y\rangle =
    \|\beta^\star\|_1$; but nothing cancels: a term on the support is zero where the sign is right. Summed over the
    last axis.
    """
    values = jnp.asarray(beta)
    correlation = jnp.asarray(np.where(l1.support, np.sign(l1.beta), l1.correlations))
    return jnp.sum(jnp.abs(values) - values * jnp.broadcast_to(correlation, values.shape), axis=-1)
