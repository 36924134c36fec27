r"""The problems of the chapter, the gap for many alpha at once, and every step of the proofs measured.

All models are centred, so $h(w_0) = 0$. The loss is $\frac12\|z\|^2 + c\sum_i \log\cosh z_i$, $z = y - y^\star$: weight
c = 0 is the square loss. So one compiled solver serves every alpha and both losses.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from lazy_course import expansion, models
from lazy_course.certificate import Certificate, certificate
from lazy_course.flows import GapTrajectory, flow_gap, norm_over_time, solve_flow_gap
from lazy_course.lipschitz import SLOPES, lipschitz_of_differential
from lazy_course.losses import LogCoshLoss, log_cosh_loss
from lazy_course.models import AffineMap, AnyKey, Function, RealArray, Scalar
from lazy_course.trajectory import FlowSettings


class InputTrained(Function):
    r"""The network $m^{-1/2} \sum_j b_j \tanh\langle a_j, x\rangle$ with b fixed; params {"input": (m, d)}."""

    output: Float[Array, " m"]

    def __call__(self, params: PyTree, x: Float[RealArray, "n d"]) -> Float[Array, "n 1"]:
        hidden = jnp.tanh(jnp.asarray(x) @ params["input"].T)
        return (hidden @ self.output / self.output.size**0.5)[:, None]

    def differential_lipschitz(self, params0: PyTree, x: RealArray, radius: Scalar) -> float:
        r"""$\max_j |b_j|\, \sup|\tanh''|\, \|X\| \max_i \|x_i\| / \sqrt m$, on any ball."""
        del params0, radius
        size = float(jnp.max(jnp.abs(self.output))) / self.output.size**0.5
        return size * SLOPES["tanh"][1] * float(np.linalg.norm(x, 2) * np.max(np.linalg.norm(x, axis=1)))


class Problem(eqx.Module):
    """A centred model h, its start w0, and a loss."""

    h: AffineMap
    params0: PyTree
    loss: LogCoshLoss


def diagonal_problem(key: AnyKey, *, n: int = 3, d: int = 6, weight: Scalar = 0.0) -> Problem:
    """A diagonal linear network from a generic start (w+ and w- independent), normal data and targets."""
    key_x, key_w, key_y = jax.random.split(key, 3)
    params0 = models.init_diagonal(d, 1.0, jax.random.normal(key_w, (2, d), dtype=float))
    x = jax.random.normal(key_x, (n, d), dtype=float)
    return _problem(models.diagonal(), x, params0, key_y, weight)


def tanh_problem(key: AnyKey, *, n: int = 3, d: int = 4, m: int = 32, weight: Scalar = 0.0) -> Problem:
    r"""A tanh network with both layers trained, scale $m^{-1/2}$, normal data, weights and targets."""
    key_x, key_w, key_y = jax.random.split(key, 3)
    x = jax.random.normal(key_x, (n, d), dtype=float)
    params0 = models.init_two_layer(key_w, d, m)
    return _problem(models.two_layer("tanh", scale=m**-0.5), x, params0, key_y, weight)


def input_problem(key: AnyKey, *, n: int = 3, d: int = 4, m: int = 32, weight: Scalar = 0.0) -> Problem:
    """A tanh network whose input weights alone are trained; output weights are random signs."""
    key_x, key_w, key_y, key_b = jax.random.split(key, 4)
    x = jax.random.normal(key_x, (n, d), dtype=float)
    params0 = {"input": jax.random.normal(key_w, (m, d), dtype=float)}
    return _problem(InputTrained(jax.random.rademacher(key_b, (m,), dtype=float)), x, params0, key_y, weight)


def _problem(f: Callable[..., Array], x: Array, params0: PyTree, key: AnyKey, weight: Scalar) -> Problem:
    h = models.centred(models.as_map(f, x), params0)
    return Problem(h, params0, log_cosh_loss(jax.random.normal(key, (x.shape[0],), dtype=float), weight))


def problems(key: AnyKey) -> dict[str, Problem]:
    """The three models on which the chapter measures, with the square loss."""
    return {
        "diagonal": diagonal_problem(key),
        "tanh, both layers": tanh_problem(key),
        "tanh, input layer": input_problem(key),
    }


def with_weight(problem: Problem, weight: Scalar) -> Problem:
    """The same problem with another weight of the log-cosh term (0: square loss)."""
    return Problem(problem.h, problem.params0, log_cosh_loss(problem.loss.target, weight))


def certified(problem: Problem) -> Certificate:
    """The certificate of a problem, with a proved bound of Lip(Dh)."""
    lipschitz = lipschitz_of_differential(problem.h, problem.params0)
    return certificate(problem.h, problem.params0, problem.loss, lip_dh=lipschitz)


def long_times(c: Certificate, *, count: int = 200, decades: float = 30.0) -> np.ndarray:
    r"""Flow times from 0 to `decades` / ($m\sigma^2$), dense at the beginning."""
    end = decades / (c.strong_convexity * c.sigma_min**2)
    return np.concatenate([[0.0], np.geomspace(end * 1e-4, end, count - 1)])


class Sweep(NamedTuple):
    r"""$\alpha^2 \sup_t\|w - \bar w\|$ and $\alpha \sup_t \|y - \bar y\|$ for each weight and alpha."""

    parameter_gap: Float[Array, "W A"]
    output_gap: Float[Array, "W A"]


@eqx.filter_jit
def _sweep(h: AffineMap, params0: PyTree, target: Array, weights: Array, alphas: Array, times: Array) -> Sweep:
    def one(weight: Array, alpha: Array) -> Sweep:
        flow, _ = solve_flow_gap(
            h, params0, log_cosh_loss(target, weight), alpha, times, settings=FlowSettings(rtol=1e-8, atol=1e-8)
        )
        gaps = norm_over_time(flow.scaled_parameter_gap), norm_over_time(flow.scaled_output_gap)
        return Sweep(jnp.max(gaps[0]), jnp.max(gaps[1]))

    return jax.vmap(lambda weight: jax.vmap(lambda alpha: one(weight, alpha))(alphas))(weights)


def gap_sweep(
    problem: Problem,
    alphas: RealArray | list[float],
    *,
    weights: tuple[float, ...] = (0.0, 3.0),
    times: np.ndarray | None = None,
) -> Sweep:
    r"""The scaled gaps of a problem for many alpha and log-cosh weights; flow times up to $30/\sigma^2$ by default."""
    times = long_times(certified(problem)) if times is None else times
    return _sweep(
        problem.h,
        problem.params0,
        problem.loss.target,
        jnp.asarray(weights, dtype=float),
        jnp.asarray(alphas, dtype=float),
        jnp.asarray(times),
    )


def limiting_gap(problem: Problem) -> float:
    r"""$\sup_t\|v_1(t)\|$, the limit of $\alpha^2\sup_t\|w - \bar w\|$; flow times up to $30/(m\sigma^2)$."""
    times = long_times(certified(problem))
    first = expansion.first_correction(problem.h, problem.params0, problem.loss, times=times)
    return float(jnp.max(norm_over_time(first.correction)))


class Step(NamedTuple):
    """One step of a proof: what it bounds, what was measured, what the proof allows."""

    name: str
    measured: float
    bound: float

    @property
    def factor(self) -> float:
        """How many times the bound exceeds the measurement."""
        return self.bound / self.measured


class Along(NamedTuple):
    """Quantities along one flow at times t, all scaled to be O(1) in alpha, arrays of shape (T,)."""

    speed: np.ndarray
    travel: np.ndarray
    gradient: np.ndarray
    forcing: np.ndarray
    discrepancy: np.ndarray
    output_gap: np.ndarray
    turned: np.ndarray
    pulled: np.ndarray
    remainder: np.ndarray
    parameter_gap: np.ndarray


@eqx.filter_jit
def _along(problem: Problem, flow: GapTrajectory) -> Along:
    start, unravel = ravel_pytree(problem.params0)
    moved = jax.vmap(lambda tree: ravel_pytree(tree)[0])(flow.displacement)
    gap = jax.vmap(lambda tree: ravel_pytree(tree)[0])(flow.scaled_parameter_gap)
    jacobian = jax.jacrev(lambda w: problem.h(unravel(w)))
    j0 = jacobian(start)
    u, s, vt = jnp.linalg.svd(j0, full_matrices=False)
    gradient = jax.grad(problem.loss)

    def at(v: Array, e: Array, y: Array, ybar: Array, d: Array) -> tuple[Array, ...]:
        j = jacobian(start + v / flow.alpha)
        slope = gradient(y)
        turned = flow.alpha * ((j - j0).T @ slope)
        forced = flow.alpha * (j @ (j.T @ slope) - j0 @ (j0.T @ slope))
        remainder = (vt @ e) * s - u.T @ d  # U^T (J0 e - d): minus the remainder of h, in the left singular basis
        change = flow.alpha * (j0.T @ (slope - gradient(ybar)))
        entries = (j.T @ slope, v, slope, forced, (u.T @ d) / s, d, turned, change, remainder / s, e)
        return tuple(jnp.linalg.norm(entry) for entry in entries)

    states = (moved, gap, flow.outputs, flow.linearized_outputs, flow.scaled_output_gap)
    return Along(*jax.lax.map(lambda state: at(*state), states))


def along(problem: Problem, alpha: Scalar, *, count: int = 600) -> tuple[np.ndarray, Along]:
    """Run both flows and evaluate every quantity that the proofs bound; flow times and an `Along`."""
    times = long_times(certified(problem), count=count)
    flow = flow_gap(problem.h, problem.params0, problem.loss, alpha=alpha, times=times)
    return times, Along(*(np.asarray(entry) for entry in _along(problem, flow)))


def uniform_steps(problem: Problem, alpha: float) -> list[Step]:
    """Each step of the proof with the constants 6, 15, 12, 30, measured on one flow (alpha above its threshold)."""
    c, (times, seen) = certified(problem), along(problem, alpha)
    kappa, s, sigma, lip = c.condition_number, c.jacobian_norm, c.sigma_min, c.lip_dh
    d = float(jnp.linalg.norm(problem.loss.minimizer))
    travel = 6 * kappa**1.5 * s * d / sigma**2
    k = 15 * kappa**2 * c.smoothness * s**2 * lip * d**2 / sigma**2
    unit = lip * d**2 / sigma**3
    first, second = 12 * kappa**3 * c.conditioning * unit, 30 * (kappa * c.conditioning) ** 4 * unit
    return [
        Step(r"way, $\alpha\sup_t\lVert w_\alpha-w_0\rVert$", float(np.max(seen.travel)), travel),
        Step(r"$\int\lVert\nabla R(y)\rVert$", _integral(times, seen.gradient), c.smoothness * kappa**0.5 * d / c.rate),
        Step(
            r"$\alpha\int\lVert(\Sigma(t)-\Sigma_0)\nabla R(y)\rVert$", _integral(times, seen.forcing), k / (2 * c.rate)
        ),
        Step(r"$\alpha\int e$", _integral(times, seen.discrepancy), k / (8 * c.rate**2 * sigma)),
        Step(r"first integral of step 6, times $\alpha$", _integral(times, seen.turned), first),
        Step(r"second integral, times $\alpha$", _integral(times, seen.pulled), second),
        Step(
            r"gap, $\alpha^2\sup_t\lVert w_\alpha-\bar w_\alpha\rVert$",
            float(np.max(seen.parameter_gap)),
            first + second,
        ),
    ]


def path_steps(problem: Problem, alpha: float) -> list[Step]:
    """Each step of the path-length proof, measured on one flow (alpha above its threshold)."""
    c, (times, seen) = certified(problem), along(problem, alpha)
    energy = c.loss_distance
    omega = float(np.sqrt(1 - 2 * c.lip_dh * energy / (alpha * c.sigma_min**2)))
    length = 2 * energy / ((1 + omega) * c.sigma_min)
    unit = c.lip_dh * length**2 / (2 * c.sigma_min)
    gap = float(np.max(seen.parameter_gap))
    # kappa = 1: the loss is a multiple of the square loss, and the sharp bound holds.
    quadratic = [Step("the same gap, for a quadratic loss", gap, unit * float(np.hypot(1, 1 / omega)))]
    return [
        Step(r"length of the path, $\alpha s$", _integral(times, seen.speed), length),
        Step(r"$\alpha\int\lVert(J-J_0)^\top\nabla R(y)\rVert$", _integral(times, seen.turned), unit / omega),
        Step(r"$\alpha\sup_t e$", float(np.max(seen.discrepancy)), unit * (1 + 1 / omega)),
        Step(r"remainder of $h$, $\alpha\sup_t\lVert J_0^\dagger\rho\rVert$", float(np.max(seen.remainder)), unit),
        Step(r"gap, $\alpha^2\sup_t\lVert w_\alpha-\bar w_\alpha\rVert$", gap, unit * (2 + 1 / omega)),
        *(quadratic if c.condition_number == 1 else []),
    ]


def _integral(times: np.ndarray, values: np.ndarray) -> float:
    return float(np.trapezoid(values, times))
