r"""Lemmas B.1 and B.2 on drawn time-dependent operators, and the cases in which they are tight.

$\Sigma(t) = \lambda\,\mathrm{Id} + \sum_k \cos^2(\omega_k t + \varphi_k)\, A_k A_k^\top$ is continuous, self-adjoint,
and at least $\lambda\,\mathrm{Id}$. The loss is $\frac12\|y\|^2 + c\sum_i\log\cosh y_i$: m = 1, M = 1 + c, y* = 0.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.integrate import solve_ivp

from lazy_course.losses import log_cosh_loss
from lazy_course.models import AnyKey


class DrawnMetric(eqx.Module):
    """A random metric: callable at a time t, an (n, n) matrix with eigenvalues at least `least`."""

    factors: Float[Array, "k n n"]
    frequency: Float[Array, " k"]
    phase: Float[Array, " k"]
    least: Float[Array, ""]

    def __call__(self, t: Float[Array, ""]) -> Float[Array, "n n"]:
        weight = jnp.cos(self.frequency * t + self.phase) ** 2
        return self.least * jnp.eye(self.factors.shape[-1]) + jnp.einsum(
            "k,kij,klj->il", weight, self.factors, self.factors
        )


def draw_metric(key: AnyKey, *, n: int = 4, terms: int = 3) -> DrawnMetric:
    """A metric of normal factors; frequencies up to 10 per unit of flow time, least eigenvalue between 0.2 and 1."""
    keys = jax.random.split(key, 4)
    return DrawnMetric(
        factors=jax.random.normal(keys[0], (terms, n, n), dtype=float) / n**0.5,
        frequency=jax.random.uniform(keys[1], (terms,), dtype=float, maxval=10.0),
        phase=jax.random.uniform(keys[2], (terms,), dtype=float, maxval=3.0),
        least=jax.random.uniform(keys[3], (), dtype=float, minval=0.2, maxval=1.0),
    )


class Ratios(NamedTuple):
    r"""Measured over bound, the largest over time: of Lemma B.1 for y, and of Lemma B.2 for y - ybar.

    For B.1 only flow times with $\lambda t \ge 0.1$ count: at t = 0 the ratio is $1/\sqrt\kappa$ for every flow.
    """

    decay: Float[Array, ""]
    stability: Float[Array, ""]


def follow(
    field: Callable[[Any, Any], Array], start: Float[Array, "..."], times: Float[Array, " T"]
) -> Float[Array, "T ..."]:
    """Integrate y' = field(t, y) and save at the flow times (tolerance 1e-9)."""
    return diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, args: field(t, y)),
        diffrax.Tsit5(),
        t0=0.0,
        t1=times[-1],
        dt0=None,
        y0=start,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=1e-9, atol=1e-10),
        max_steps=100_000,
    ).ys


@eqx.filter_jit
def lemma_ratios(key: AnyKey, *, cases: int = 200, n: int = 4, horizon: float = 6.0, points: int = 600) -> Ratios:
    r"""Both lemmas on drawn metrics, starts and log-cosh weights (kappa up to 9): each ratio has shape (cases,).

    The supremum K of Lemma B.2 is taken over the saved flow times, so its bound is, if anything, too small.
    """
    times = jnp.linspace(0.0, horizon, points)

    def one(key: AnyKey) -> Ratios:
        key_metric, key_start, key_weight = jax.random.split(key, 3)
        metric = draw_metric(key_metric, n=n)
        weight = jax.random.uniform(key_weight, (), dtype=float, maxval=8.0)
        gradient = jax.grad(log_cosh_loss(jnp.zeros(n), weight))
        start = 2.0 * jax.random.normal(key_start, (n,), dtype=float)
        first = metric(jnp.zeros(()))

        def field(t: Array, both: Array) -> Array:
            return -jnp.stack([metric(t) @ gradient(both[0]), first @ gradient(both[1])])

        y, ybar = jnp.moveaxis(follow(field, jnp.stack([start, start]), times), 1, 0)
        allowed = jnp.sqrt(1 + weight) * jnp.linalg.norm(start) * jnp.exp(-metric.least * times)
        forcing = jax.vmap(lambda t, at: jnp.linalg.norm((metric(t) - first) @ gradient(at)))(times, y)
        bound = jnp.max(forcing) * jnp.sqrt(jnp.linalg.norm(first, 2)) / metric.least**1.5
        gap = jnp.linalg.norm(y - ybar, axis=1)
        decay = jnp.where(metric.least * times >= 0.1, jnp.linalg.norm(y, axis=1) / allowed, 0.0)
        return Ratios(jnp.max(decay), jnp.max(gap) / bound)

    return jax.vmap(one)(jax.random.split(key, cases))


def rotation_ratio(slope: float, *, kappa: float = 9.0, turn_time: float = 1e-3) -> float:
    r"""Lemma B.1 at its worst: a fast metric turns y from the stiff axis to the soft one along a level line of R.

    $R = \frac12(\kappa y_1^2 + y_2^2)$, start (1, 0), $\lambda = 1$. In $z = (\sqrt\kappa y_1, y_2)$ the metric adds
    $c\, n n^\top$ with n at the angle $\beta$ from the circle, $\tan\beta$ = `slope`: z turns by $\pi/2$ and shrinks by
    $e^{-(\pi/2)\tan\beta}$. Returns measured over bound at the end of the turn: it tends to 1 as `slope`, `turn_time`
    tend to 0.
    """
    scale = np.sqrt([kappa, 1.0])
    sine, cosine = slope / np.sqrt(1 + slope**2), 1 / np.sqrt(1 + slope**2)
    strength = (np.pi / 2) / (turn_time * sine * cosine)

    def field(t: float, y: np.ndarray) -> np.ndarray:
        angle = np.pi / 2 * t / turn_time
        radial, tangent = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        normal = (sine * radial - cosine * tangent) / scale
        gradient = scale**2 * y
        return -gradient - strength * normal * (normal @ gradient)

    end = solve_ivp(field, (0.0, turn_time), [1.0, 0.0], method="LSODA", rtol=1e-9, atol=1e-10).y[:, -1]
    return float(np.linalg.norm(end) / (np.sqrt(kappa) * np.exp(-turn_time)))


def constant_push_ratio(start: float, *, push: float = 1.0) -> float:
    r"""Lemma B.2 at its worst, in one dimension: $\Sigma(t) = 1 + K/y(t)$ until y = K, with $R = y^2/2$.

    Sigma grows, so $\lambda = \Sigma(0)$, and for a large y(0) the forcing $(\Sigma(t) - \Sigma(0))\, y$ is almost the
    constant K for a long time. Returns measured over bound at the end: it tends to 1 as `start` grows.
    """
    end, first = np.log((1 + start / push) / 2), 1 + push / start

    def field(t: float, both: np.ndarray) -> np.ndarray:
        return np.array([-(1 + push / both[0]) * both[0], -first * both[1]])

    times = np.linspace(0.0, end, 200)
    y, ybar = solve_ivp(field, (0.0, end), [start, start], method="DOP853", t_eval=times, rtol=1e-10, atol=1e-10).y
    forcing = np.abs((1 + push / y - first) * y)
    return float(np.max(np.abs(y - ybar)) / (np.max(forcing) * first**0.5 / first**1.5))
