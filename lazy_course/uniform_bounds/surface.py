r"""Theorem 2.5 computed: maps whose rank is below dim F, the surface that they trace, and where their flows end.

All maps vanish at their start, and the loss is the square loss.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.optimize import brentq

from lazy_course.flows import linearized_flow_closed_form, solve_gradient_flow
from lazy_course.losses import SquareLoss, square_loss
from lazy_course.models import AnyKey, Function
from lazy_course.trajectory import FlowSettings


class Neuron(Function):
    r"""$h(a, b, c) = (bc \tanh(a x_i) - \tanh x_i)_i$ for three inputs: three parameters, rank 2, h(1, 1, 1) = 0."""

    x: Float[Array, " n"]

    def __call__(self, params: Float[Array, "3"]) -> Float[Array, " n"]:
        a, b, c = params
        return b * c * jnp.tanh(a * self.x) - jnp.tanh(self.x)


class FigureEight(Function):
    r"""$h(w) = (\sin w, \sin 2w)$: rank 1 everywhere; the curve passes through 0 at w = 0 and again at $w = \pi$."""

    def __call__(self, params: Float[Array, "1"]) -> Float[Array, "2"]:
        return jnp.concatenate([jnp.sin(params), jnp.sin(2 * params)])


class Smallest(Function):
    r"""The smallest example, $h(w) = (w_1 - s, w_1 w_2)$ from (s, 0): rank 2, or 1 at the start if s = 0."""

    s: Float[Array, ""]

    def __call__(self, params: Float[Array, "2"]) -> Float[Array, "2"]:
        return jnp.stack([params[0] - self.s, params[0] * params[1]])


class Case(NamedTuple):
    """A map, its start and a loss."""

    h: Callable[[Array], Array]
    start: Float[Array, " p"]
    loss: SquareLoss


def neuron() -> Case:
    """The neuron at (1, 1, 1) with a target off its surface."""
    return Case(Neuron(jnp.asarray([0.4, 1.0, 2.5])), jnp.ones(3), square_loss([-0.5, 0.4, 0.9]))


def figure_eight() -> Case:
    """The figure eight at 0; the target is the unit tangent of the other passage through 0."""
    return Case(FigureEight(), jnp.zeros(1), square_loss(np.array([-1.0, 2.0]) / 5**0.5))


def smallest(s: float = 1.0) -> Case:
    """The smallest example from (s, 0), target (1, 1): over-parameterized if s = 1, and its rank jumps if s = 0."""
    return Case(Smallest(jnp.asarray(s)), jnp.asarray([s, 0.0]), square_loss([1.0, 1.0]))


def ranks(case: Case, key: AnyKey, *, radius: float = 0.3, count: int = 200) -> Int[np.ndarray, " count"]:
    """The numerical rank of Dh (tolerance 1e-10) at the start and at random points within the radius of it."""
    away = radius * jax.random.uniform(key, (count, case.start.size), minval=-1.0, maxval=1.0, dtype=float)
    points = case.start[None] + jnp.concatenate([jnp.zeros_like(away[:1]), away[1:]])
    values = jnp.linalg.svd(jax.vmap(jax.jacfwd(case.h))(points), compute_uv=False)
    return np.asarray(jnp.sum(values > 1e-10, axis=1))


class Settled(NamedTuple):
    r"""Flows and linearized flows of a case, one for each alpha: flow times (A, T), parameters w (A, T, p) and
    $\bar w$, outputs y (A, T, n) and $\bar y$, losses (A, T)."""

    alphas: np.ndarray
    times: np.ndarray
    params: np.ndarray
    linearized_params: np.ndarray
    outputs: np.ndarray
    linearized_outputs: np.ndarray
    loss: np.ndarray


@eqx.filter_jit
def _flows(case: Case, alphas: Array, times: Array) -> tuple[Array, Array, Array]:
    def one(alpha: Array, times: Array) -> tuple[Array, Array, Array]:
        settings = FlowSettings(rtol=1e-10, atol=1e-11, remainder="difference")
        flow, _ = solve_gradient_flow(case.h, case.start, case.loss, alpha, times, settings=settings)
        return flow.params, flow.outputs, flow.loss

    return jax.vmap(one)(alphas, times)


def settle(case: Case, alphas: list[float], *, end: float | np.ndarray = 600.0, count: int = 400) -> Settled:
    """Both flows for many alpha, up to the flow time `end` (one, or one for each alpha); compiled once for a case."""
    scales = np.asarray(alphas, dtype=float)
    shape = np.append(0.0, np.geomspace(1e-5, 1.0, count - 1))
    times = np.broadcast_to(end, scales.shape)[:, None] * shape[None]
    params, outputs, loss = _flows(case, jnp.asarray(scales), jnp.asarray(times))
    # h vanishes at the start, so the linearized flow is the same for every alpha, in v and in y.
    moments, place = np.unique(times, return_inverse=True)
    linear = linearized_flow_closed_form(case.h, case.start, case.loss.target, alpha=1.0, times=moments)
    place = place.reshape(times.shape)
    displacement, tangent_outputs = np.asarray(linear.displacement)[place], np.asarray(linear.outputs)[place]
    return Settled(
        scales,
        times,
        np.asarray(params),
        np.asarray(case.start) + displacement / scales[:, None, None],
        np.asarray(outputs),
        tangent_outputs,
        np.asarray(loss),
    )


def tangent_rate(case: Case) -> float:
    r"""The rate $m\sigma_+^2$ of the linearized flow, $\sigma_+$ the smallest positive singular value of $Dh(w_0)$."""
    values = np.linalg.svd(np.asarray(jax.jacfwd(case.h)(case.start)), compute_uv=False)
    return float(np.min(values[values > 1e-10]) ** 2)


def late_rates(settled: Settled) -> np.ndarray:
    r"""The slope of $-\log\|y - y(\infty)\|$ for each alpha, read between $10^{-3}$ and $10^{-7}$ of its start."""
    slopes = []
    for times, outputs in zip(settled.times, settled.outputs, strict=True):
        distance = np.linalg.norm(outputs - outputs[-1:], axis=1)
        late = (distance < 1e-3 * distance[0]) & (distance > 1e-7 * distance[0])
        slopes.append(-np.polyfit(times[late], np.log(distance[late]), 1)[0])
    return np.asarray(slopes)


def scaled_gaps(settled: Settled) -> np.ndarray:
    r"""$\alpha^2\sup_t\|w_\alpha - \bar w_\alpha\|$ for each alpha."""
    gaps = np.linalg.norm(settled.params - settled.linearized_params, axis=2)
    return settled.alphas**2 * np.max(gaps, axis=1)


class Surface(NamedTuple):
    """A patch of the surface alpha h and of its tangent plane at 0, both over the same grid: (3, k, k) each."""

    image: np.ndarray
    plane: np.ndarray


def surface(case: Case, alpha: float, *, low: float = -1.4, high: float = 2.2, count: int = 25) -> Surface:
    r"""The points $\alpha h(w_0 + v/\alpha)$ and $J_0 v$ for v in the first two parameters, on a square of outputs."""
    j0 = np.asarray(jax.jacfwd(case.h)(case.start))[:, :2]
    _, s, vt = np.linalg.svd(j0, full_matrices=False)
    first, second = np.meshgrid(np.linspace(low, high, count), np.linspace(low, high, count), indexing="ij")
    across = (vt.T / s) @ np.stack([first.ravel(), second.ravel()])
    moves = jnp.asarray(np.concatenate([across, np.zeros((case.start.size - 2, across.shape[1]))]).T)
    image = alpha * jax.vmap(case.h)(case.start[None] + moves / alpha)
    return Surface(np.asarray(image).T.reshape(3, count, count), (j0 @ across).reshape(3, count, count))


def fibre_loss(case: Case, alpha: float, limit: np.ndarray, *, spread: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """The loss along the fibre (a, b s, c / s) through a limit of the neuron's flow: factors s and values of R."""
    a, b, c = limit
    factors = np.exp(np.linspace(-spread, spread, 21))
    points = jnp.asarray(np.stack([np.full_like(factors, a), b * factors, c / factors], axis=1))
    return factors, np.asarray(jax.vmap(lambda w: case.loss(alpha * case.h(w)))(points))


class Slide(NamedTuple):
    """A path of one parameter downhill: parameters (k,), outputs (k, n) and losses (k,)."""

    alpha: float
    params: np.ndarray
    outputs: np.ndarray
    loss: np.ndarray


def slide(alpha: float, *, step: float = 1e-3) -> Slide:
    r"""The path of the figure eight's flow from 0, without its clock.

    One parameter can only go downhill until the derivative of the loss vanishes: the flow ends at the first critical
    point on its way, which is bracketed on a grid and found by Brent's method.
    """
    case = figure_eight()
    loss = jax.jit(lambda w: case.loss(alpha * case.h(w[None])))
    slope = jax.jit(jax.grad(loss))
    side = -float(np.sign(slope(0.0)))
    grid = side * step * np.arange(1, 2000)
    downhill = side * np.asarray(jax.vmap(slope)(jnp.asarray(grid))) < 0
    far = int(np.argmin(downhill))
    end = brentq(lambda w: float(slope(w)), grid[far - 1] if far else 0.0, grid[far], xtol=1e-14)
    params = np.linspace(0.0, end, 60)
    outputs = alpha * jax.vmap(case.h)(jnp.asarray(params)[:, None])
    return Slide(alpha, params, np.asarray(outputs), np.asarray(jax.vmap(case.loss)(outputs)))


def loss_along_the_eight(alpha: float, *, count: int = 4001) -> tuple[np.ndarray, np.ndarray]:
    """The loss of the figure eight on [-1, 4]: parameters and values of R(alpha h)."""
    case, w = figure_eight(), np.linspace(-1.0, 4.0, count)
    return w, np.asarray(jax.vmap(lambda p: case.loss(alpha * case.h(p)))(jnp.asarray(w)[:, None]))


class Wander(NamedTuple):
    r"""For each alpha: $\alpha^2 \|w - \bar w\|$ at the early time, and both limits of the parameters."""

    alphas: np.ndarray
    early_gap: np.ndarray
    limit: np.ndarray
    linearized_limit: np.ndarray


def wander(alphas: list[float], *, early: float = 5.0) -> Wander:
    r"""Y4: a gap of order $1/\alpha^2$ at flow time `early`, and limits (at time $30 \alpha^2$) that are 1 apart."""
    scales = np.asarray(alphas, dtype=float)
    soon = settle(smallest(0.0), alphas, end=early)
    late = settle(smallest(0.0), alphas, end=30 * scales**2)
    gap = np.linalg.norm(soon.params - soon.linearized_params, axis=2)[:, -1]
    return Wander(scales, scales**2 * gap, late.params[:, -1], late.linearized_params[:, -1])
