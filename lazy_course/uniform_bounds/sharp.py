r"""The model that attains the sharp gap: $\sigma (w_1, w_2)$ plus $L/2$ times the complex square of $w_1 + i w_3$.

From 0 with the square loss and the target (D, 0), with $\sigma = L = D = 1$. The remainder of h bends the second
output, the turning kernel pushes the third parameter, and both do so with all the strength that L allows.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.integrate import solve_ivp

from lazy_course import models
from lazy_course.certificate import certificate
from lazy_course.losses import log_cosh_loss
from lazy_course.models import Function
from lazy_course.uniform_bounds.numerics import Problem
from lazy_course.verification import path_bounds


class ComplexSquare(Function):
    r"""$h(w) = (w_1 + w_1 w_3,\; w_2 + (w_1^2 - w_3^2)/2)$, with $\sigma = 1$ and Lip(Dh) = 1."""

    def __call__(self, params: Float[Array, "3"]) -> Float[Array, "2"]:
        a, b, c = params
        return jnp.stack([a + a * c, b + (a**2 - c**2) / 2])


def complex_square(weight: float = 0.0) -> Problem:
    """The model from 0 with the target (1, 0) and a log-cosh term of this weight (0: square loss)."""
    start = jnp.zeros(3)
    return Problem(models.centred(ComplexSquare(), start), start, log_cosh_loss([1.0, 0.0], weight))


class SharpGap(NamedTuple):
    r"""$\alpha^2 \sup_t\|w - \bar w\|$ for each alpha, and two proved bounds of it; arrays of shape (A,)."""

    alphas: np.ndarray
    measured: np.ndarray
    sharp: np.ndarray
    path: np.ndarray


def _scaled_gap(alpha: float, end: float = 30.0) -> float:
    r"""$\alpha^2 \sup_t\|w - \bar w\|$ up to flow time `end`, from the equation of the gap itself: no cancellation.

    With $v = \alpha w$, $\bar v = (1 - e^{-t}, 0, 0)$ and $e = \alpha(v - \bar v)$, where $Dh(w) = J_0 + N(w)$ and
    $h(w) = J_0 w + q(w)$: $e' = -N(v)^\top(\alpha h - y^\star) - J_0^\top(J_0 e + q(v))$, $e(0) = 0$.
    """

    def velocity(t: float, e: np.ndarray) -> np.ndarray:
        a, _, c = v = np.array([1 - np.exp(-t), 0.0, 0.0]) + e / alpha
        bent = np.array([a * c, (a**2 - c**2) / 2])
        turned = np.array([[c, 0.0, a], [a, 0.0, -c]])
        residual = v[:2] + bent / alpha - np.array([1.0, 0.0])
        return -turned.T @ residual - np.append(e[:2] + bent, 0.0)

    times = np.concatenate([[0.0], np.geomspace(1e-3, end, 199)])
    solved = solve_ivp(velocity, (0.0, end), np.zeros(3), method="DOP853", t_eval=times, rtol=1e-10, atol=1e-12)
    return float(np.max(np.linalg.norm(solved.y, axis=0)))


def sharp_gap(alphas: list[float]) -> SharpGap:
    """Measure the gap of the complex square up to flow time 30 for each alpha above 2, beside both bounds."""
    problem, scales = complex_square(), np.asarray(alphas, dtype=float)
    c = certificate(problem.h, problem.params0, problem.loss, lip_dh=1.0)
    given = {"distance": c.target_norm, "energy": c.loss_distance}
    sharp = np.array([alpha**2 * path_bounds(c, alpha, np.zeros(1), **given)[3][0] for alpha in scales])
    omega = np.sqrt(1 - c.path_threshold / scales)
    measured = np.array([_scaled_gap(alpha) for alpha in scales])
    return SharpGap(scales, measured, sharp, sharp * (1 + 2 * omega) / np.sqrt(1 + omega**2))
