r"""How fast the minimizer of $Q_\alpha$ reaches the l1 solution: both bounds of derivation_rate.py, and their limits.

For a unique l1 solution $\beta_1$ with support S, and c < 1 the least value of a dual certificate off S, the excess
$\|\beta_\alpha\|_1 - \|\beta_1\|_1$ is of the exact order $\alpha^{2(1-c)}$ at depth 2 and $\alpha^D$ at depth D > 2.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lazy_course.implicit_bias.depth import link, require_depth
from lazy_course.implicit_bias.dual import require_scales
from lazy_course.implicit_bias.numerics import L1Solution
from lazy_course.models import RealArray, Scalar


class Bracket(NamedTuple):
    """What a quantity is at least (`floor`) and at most (`ceiling`)."""

    floor: float
    ceiling: float


def require_unique(X: Float[RealArray, "N d"], l1: L1Solution) -> Float[np.ndarray, " k"]:
    r"""$x_j^\top\xi$ for all j, $\xi$ the shortest solution of $X_S^\top\xi = \mathrm{sign}(\beta_1)\ln|\beta_1|$ on S.

    Raises `ValueError` unless c < 1 and $X_S$ is injective, which is that beta_1 is the only solution of least l1 norm.
    """
    x, on = np.asarray(X, dtype=float), l1.support
    if not l1.largest < 1 - 1e-9 or np.linalg.matrix_rank(x[:, on]) < np.count_nonzero(on):
        raise ValueError(
            f"l1: expected the only solution of least l1 norm, got one with c = {l1.largest:.6g} and "
            f"{np.count_nonzero(on)} nonzeros of rank {np.linalg.matrix_rank(x[:, on])}; the limit may be another"
        )
    logs = np.sign(l1.beta[on]) * np.log(np.abs(l1.beta[on]))
    return x.T @ np.linalg.lstsq(x[:, on].T, logs, rcond=None)[0]


def excess_ceiling(X: Float[RealArray, "N d"], l1: L1Solution, alpha: Scalar) -> float:
    r"""An upper bound of the excess at any alpha, from the data alone.

    The least over theta > 0 of $\frac1\theta\Bigl(\sum_j \max_\pm F^*(\hat u_j + \theta(\pm1 - c_j)) -
    \sum_{j\in S} F^*(\hat u_j)\Bigr)$, with $F^*(u) = 2\alpha^2(\cosh u - 1)$ and $\hat u = X^\top(\Lambda\rho +
    \omega)$, where omega makes $2\alpha^2\sinh\hat u$ equal to $\beta_1$ on S. For small alpha the terms on S cancel.
    Raises `ValueError` if $\beta_1$ is not the only solution of least l1 norm.
    """
    require_unique(X, l1)
    x, on, log_scale = np.asarray(X, dtype=float), l1.support, 2 * np.log(float(require_scales(alpha)))
    signs = np.sign(l1.beta)
    # arsinh(b / (2 alpha^2)) - Lambda without overflow
    size = np.abs(l1.beta[on])
    rest = np.log((size + np.hypot(size, 2 * np.exp(log_scale))) / 2)
    omega = np.linalg.lstsq(x[:, on].T, signs[on] * rest, rcond=None)[0]
    correlations = np.where(on, signs, l1.correlations)
    u = -log_scale * correlations + x.T @ omega

    def conjugate(v: np.ndarray) -> np.ndarray:
        return np.exp(np.minimum(log_scale + v, 700)) + np.exp(np.minimum(log_scale - v, 700)) - 2 * np.exp(log_scale)

    def bound(theta: float) -> float:
        worst = np.maximum(conjugate(u + theta * (1 - correlations)), conjugate(u - theta * (1 + correlations)))
        return float((np.sum(worst[~on]) + np.sum(np.maximum(worst[on] - conjugate(u[on]), 0.0))) / theta)

    return min(bound(theta) for theta in np.geomspace(0.01, 1 / (1 - l1.largest), 60))


def excess_floor(beta: Float[RealArray, " d"], l1: L1Solution, alpha: Scalar) -> float:
    r"""A lower bound of the excess of the minimizer `beta` at alpha, from its entries on S.

    $(1-c)\, 2\alpha^2\sinh\sum_{j\in S}\lambda_j\,\mathrm{arsinh}(\beta_j/2\alpha^2)$; lambda is `l1.exchange`.
    """
    log_scale, on = 2 * np.log(float(require_scales(alpha))), l1.support
    entries = np.asarray(beta)[on]
    u = np.sign(entries) * (np.log((np.abs(entries) + np.hypot(entries, 2 * np.exp(log_scale))) / 2) - log_scale)
    total = float(l1.exchange[on] @ u)
    return float((1 - l1.largest) * (np.exp(log_scale + total) - np.exp(log_scale - total)))


def excess_constants(X: Float[RealArray, "N d"], l1: L1Solution, depth: Scalar = 2) -> Bracket:
    r"""The limits of excess$/\alpha^{2(1-c)}$ (depth 2) or excess$/\alpha^D$ lie between these, for c > 0.

    Depth 2: $(1-c)\prod_S|\beta_{1,j}|^{\lambda_j\mathrm{sign}\beta_{1,j}}$ and
    $e(1-c)\sum_{|c_j|=c}\exp(\mathrm{sign}(c_j)\,x_j^\top\xi)$; the first is the limit if one j alone has |c_j| = c.
    Depth D: $(1-c)h_D(c)$ and the least over theta in (0, 1) of
    $\frac1\theta\sum_{j\notin S}H_D(|c_j| + \theta(1-|c_j|))$, with $H_D$ the integral of $h_D$.
    Raises `ValueError` if beta_1 is not the only solution of least l1 norm, or c = 0.
    """
    xi, off = require_unique(X, l1), ~l1.support
    c, at = l1.largest, np.abs(l1.correlations[off])
    if not c > 1e-9:
        raise ValueError(f"l1: expected c > 0, got {c}; the entries off the support are of higher order then")
    if float(depth) == 2:
        active = at > c - 1e-7
        on = l1.support
        product = np.exp(l1.exchange[on] @ (np.sign(l1.beta[on]) * np.log(np.abs(l1.beta[on]))))
        above = np.exp(np.sign(l1.correlations[off][active]) * xi[off][active])
        return Bracket(float((1 - c) * product), float(math.e * (1 - c) * np.sum(above)))
    rest = float(require_depth(depth)) - 2
    thetas = np.linspace(0.01, 0.99, 99)[:, None]
    z = at[None] + thetas * (1 - at[None])
    above = rest / 2 * ((1 - z) ** (-2 / rest) + (1 + z) ** (-2 / rest) - 2) / thetas
    return Bracket(float((1 - c) * link(c, depth)), float(np.min(np.sum(above, axis=1))))
