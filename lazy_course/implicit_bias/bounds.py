r"""The explicit bounds of the chapter, beside what they bound: both ends of alpha, time, steps, samples.

Throughout $\beta_\alpha$ is the minimizer of $Q_\alpha$ on $X\beta = y$ (`numerics.minimum_q_interpolator`), $\beta_2$
and $\beta_1$ are the solutions of least l2 and l1 norm, and $\lambda = \ln(1/\alpha^2)$.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from lazy_course.implicit_bias.numerics import L1Solution, minimum_l2
from lazy_course.models import RealArray, Scalar


def inverse_relative_scale(X: Float[RealArray, "N d"], y: Float[RealArray, " N"], alpha: Scalar) -> float:
    r"""$\kappa_h(\alpha 1) = \|y\| \max_j\|x_j\| / (4\alpha^2\|X\|^2)$ of the diagonal network, in closed form."""
    x = np.asarray(X, dtype=float)
    largest = np.linalg.norm(x, axis=0).max()
    return float(np.linalg.norm(np.asarray(y)) * largest / (4 * float(alpha) ** 2 * np.linalg.norm(x, 2) ** 2))


class LargeScale(NamedTuple):
    r"""Bounds for $\alpha^2 \ge \|\beta_2\|$; `applies` says whether that holds.

    `distance` bounds $\|\beta_\alpha - \beta_2\|$, and `remainder` what is left of $\beta_\alpha - \beta_2$ after the
    `correction` $P_{\ker X}(\beta_2^3)/(24\alpha^4)$ (d,).
    """

    distance: float
    correction: Float[np.ndarray, " d"]
    remainder: float
    applies: bool


def large_scale(X: Float[RealArray, "N d"], y: Float[RealArray, " N"], alpha: Scalar) -> LargeScale:
    r"""$\|\beta_2^3\|/(21\alpha^4)$, the first correction to $\beta_2$, and $\|\beta_2\|^5/(80\alpha^8)$ for the rest.

    Cubes are entry by entry. Hypothesis: y in the range of X. Source: this course.
    """
    x, beta, scale = np.asarray(X, dtype=float), np.asarray(minimum_l2(X, y)), float(alpha)
    cube = beta**3
    inside = np.linalg.lstsq(x, x @ cube, rcond=None)[0]
    return LargeScale(
        float(np.linalg.norm(cube)) / (21 * scale**4),
        (cube - inside) / (24 * scale**4),
        float(np.linalg.norm(beta)) ** 5 / (80 * scale**8),
        bool(scale**2 >= np.linalg.norm(beta)),
    )


def logarithmic_bound(least: Scalar, nonzeros: int, d: int, alpha: Scalar) -> float:
    r"""$\frac{\ln d + 2k\alpha^2/B}{\ln(B/(d\alpha^2))}$, a bound on $\|\beta_\alpha\|_1/B - 1$ for all data.

    B = `least` is the least l1 norm of a solution and k = `nonzeros` the number of entries of a solution that has it.
    Raises `ValueError` unless $\alpha^2 < B/d$. Source: this course.
    """
    gap = float(np.log(float(least)) - np.log(d) - 2 * np.log(float(alpha)))
    if gap <= 0:
        raise ValueError(
            f"alpha: expected alpha^2 < B/d = {float(least) / d:.3g}, got alpha = {alpha}; take it smaller"
        )
    return float((np.log(d) + 2 * nonzeros * float(alpha) ** 2 / float(least)) / gap)


def excess_bound(X: Float[RealArray, "N d"], l1: L1Solution, alpha: Scalar) -> float:
    r"""A bound on the excess $\|\beta_\alpha\|_1 - \|\beta_1\|_1$ with the exponent $2(1-c)$ of the dual certificate.

    $e^2\sum_{j\notin S}\alpha^{2(1-|x_j^\top\rho|)}e^{|x_j^\top\xi|} + \alpha^4\sum_{j\in S}1/|\beta_{1,j}|$ with the
    certificate $\rho$ of `l1` and the shortest solution $\xi$ of
    $x_j^\top\xi = \mathrm{sign}(\beta_{1,j})\ln|\beta_{1,j}|$ on S. It exists if $\beta_1$ is the only solution of
    least l1 norm. Raises `ValueError` if it does not exist, and unless $\alpha^2 \le 1$ and
    $\alpha^2 \le |\beta_{1,j}|/e$ on S. Source: this course.
    """
    x, scale, on = np.asarray(X, dtype=float), float(alpha), l1.support
    largest = min(1.0, float(np.sqrt(np.min(np.abs(l1.beta[on])) / math.e)))
    if not 0 < scale <= largest:
        raise ValueError(f"alpha: expected a number in (0, {largest:.3g}], got {alpha}")
    logs = np.sign(l1.beta[on]) * np.log(np.abs(l1.beta[on]))
    xi = np.linalg.lstsq(x[:, on].T, logs, rcond=None)[0]
    if not np.allclose(x[:, on].T @ xi, logs, atol=1e-8):
        raise ValueError("l1: expected the only solution of least l1 norm, got one whose X_S is not injective")
    exponents = 2 * (1 - np.abs(l1.correlations[~on])) * np.log(scale) + np.abs(x[:, ~on].T @ xi)
    return float(math.e**2 * np.sum(np.exp(exponents)) + scale**4 * np.sum(1 / np.abs(l1.beta[on])))


def earliest_time(X: Float[RealArray, "N d"], y: Float[RealArray, " N"], alpha: Scalar, size: Scalar) -> float:
    r"""$\ln(b/\alpha^2)/(8\max_j\|x_j\|\,\|y\|)$: no entry of $\beta(t)$ reaches b = `size` before this flow time."""
    columns = np.linalg.norm(np.asarray(X, dtype=float), axis=0)
    return float(np.log(float(size) / float(alpha) ** 2) / (8 * columns.max() * np.linalg.norm(np.asarray(y))))


class Stiffness(NamedTuple):
    r"""The `slowest` and `fastest` rate of $X\beta - y$ at the end (1 / flow time).

    The ends of the spectrum of $8X\,\mathrm{diag}(p)X^\top$ on the range of X, $p = \sqrt{\beta^2 + 4\alpha^4}$.
    """

    slowest: float
    fastest: float

    @property
    def largest_step(self) -> float:
        """Above this step (flow time) gradient descent cannot settle at beta: 2 / fastest."""
        return 2 / self.fastest

    @property
    def condition_number(self) -> float:
        """Steps of gradient descent for each factor e of the slowest part are at least about half of this."""
        return self.fastest / self.slowest


def stiffness(X: Float[RealArray, "N d"], beta: Float[RealArray, " d"], alpha: Scalar) -> Stiffness:
    r"""How fast and how slow the residual falls near a solution beta of the flow from $w_\pm = \alpha 1$.

    $\dot\varrho = -8X\,\mathrm{diag}(p)X^\top\varrho$ for $\varrho = X\beta - y$, with $p = w_+^2 + w_-^2$. Singular
    values of X below $10^{-12}$ of the largest count as zero. Source: this course.
    """
    x = np.asarray(X, dtype=float)
    weight = np.hypot(np.asarray(beta), 2 * float(alpha) ** 2)
    _, s, rows = np.linalg.svd(x, full_matrices=False)
    kept = s > 1e-12 * s[0]
    scaled = s[kept][:, None] * rows[kept] * np.sqrt(weight)
    singular = np.linalg.svd(scaled, compute_uv=False)
    return Stiffness(float(8 * singular[-1] ** 2), float(8 * singular[0] ** 2))


def statistical_dimension(d: int, nonzeros: int) -> float:
    r"""$\min_{\tau\ge0}\,k(1+\tau^2) + (d-k)\,\mathbb E(|g|-\tau)_+^2$, g standard normal: where l1 begins to recover.

    For Gaussian X with N rows and a target with k = `nonzeros` entries, least l1 norm recovers it with high probability
    if N is above this number by a few $\sqrt d$, and fails with high probability below it by as much.
    Raises `ValueError` unless 1 <= k <= d. Source: amelunxen2014living, Theorem II and Proposition 4.5.
    """
    if not 1 <= nonzeros <= d:
        raise ValueError(f"nonzeros: expected a number from 1 to d = {d}, got {nonzeros}")

    def tail(tau: float) -> float:
        return 2 * quad(lambda u: (u - tau) ** 2 * np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi), tau, tau + 40.0)[0]

    found = minimize_scalar(
        lambda tau: nonzeros * (1 + tau**2) + (d - nonzeros) * tail(tau), bounds=(0.0, 10.0), method="bounded"
    )
    return float(found.fun)
