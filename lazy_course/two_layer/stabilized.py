r"""The faster road: gradient flow by a stabilized Runge-Kutta method, to the flow time that descent reaches.

Descent of step $\eta$ follows the flow, and its step is bounded by the stiffest direction, $\eta < 2/\lambda_{\max}$.
The Runge-Kutta-Chebyshev method of order two with s stages is stable up to a step of about $0.65 s^2/\lambda_{\max}$:
s gradients go as far as $s^2$ do otherwise. Step and number of stages adapt: the step to an error estimate, the
stages to $\lambda_{\max}$, which a power iteration on differences of gradients follows. Source: sommeijer1998rkc.
"""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.polynomial import chebyshev

from lazy_course.two_layer.numerics import Data, Weights, gradient, loss

STAGES = 60


class Road(NamedTuple):
    """Where the flow ended: weights (R = 1), both losses, the best test loss seen, gradients taken, steps made."""

    weights: Weights
    train: Float[Array, ""]
    test: Float[Array, ""]
    best: Float[Array, ""]
    evaluations: Int[Array, ""]
    steps: Int[Array, ""]


class State(NamedTuple):
    """Inside the loop: the flat weights, their slope -grad F, time, the next step, the stiff direction and its rate."""

    w: Array
    slope: Array
    time: Array
    size: Array
    direction: Array
    rate: Array
    best: Array
    evaluations: Array
    steps: Array


@lru_cache(maxsize=1)
def coefficients() -> np.ndarray:
    """(STAGES + 1, STAGES + 1, 5): for s stages and stage j the numbers mu, nu, mu~, gamma~ and, at j = 1, mu~_1."""
    table = np.zeros((STAGES + 1, STAGES + 1, 5))
    for s in range(2, STAGES + 1):
        at = 1 + (2 / 13) / s**2
        values, first, second = (
            np.array([chebyshev.chebval(at, chebyshev.chebder(np.eye(s + 1)[j], order)) for j in range(s + 1)])
            for order in (0, 1, 2)
        )
        b = np.ones(s + 1)
        b[2:] = second[2:] / first[2:] ** 2
        b[:2] = b[2]
        w1 = first[s] / second[s]
        table[s, 1, 4] = b[1] * w1
        for j in range(2, s + 1):
            mu, tilde = 2 * b[j] * at / b[j - 1], 2 * b[j] * w1 / b[j - 1]
            table[s, j] = mu, -b[j] / b[j - 2], tilde, -(1 - b[j - 1] * values[j - 1]) * tilde, 0.0
    return table


class Route(NamedTuple):
    """What stays the same on the way: where it began (for its shapes), data, coefficients, end and tolerance."""

    begun: Weights
    data: Data
    table: Array
    end: float | Array
    tolerance: float | Array

    @property
    def one(self) -> Array:
        """The scale of a single run."""
        return jnp.ones(1, dtype=self.data.x.dtype)

    def stacked(self, w: Array) -> Weights:
        """The flat weights as those of a network."""
        cut = self.begun.inputs.size
        return Weights(w[:cut].reshape(self.begun.inputs.shape), w[cut:][None])

    def slope(self, w: Array) -> Array:
        """-grad F."""
        g = gradient(self.stacked(w), self.one, self.data.x, self.data.y)
        return -jnp.concatenate([g.inputs.ravel(), g.outputs.ravel()])

    def test(self, w: Array) -> Array:
        """The test loss."""
        return loss(self.stacked(w), self.one, self.data.x_test, self.data.y_test)[0]


def _stiff(route: Route, w: Array, at: Array, direction: Array) -> tuple[Array, Array]:
    """One step of the power iteration: the stiff direction and its rate, from a difference of slopes."""
    small = 1e-4 * jnp.linalg.norm(w)
    change = (at - route.slope(w + small * direction)) / small
    size = jnp.linalg.norm(change)
    return change / size, size


def _attempt(route: Route, state: State) -> tuple[Array, Array, Array]:
    """The stages of one step: the weights that it reaches, its size and the number of stages."""
    stages = jnp.ceil(1 + jnp.sqrt(1 + 1.54 * state.size * 1.1 * state.rate)).astype(int)
    stages = jnp.clip(stages, 2, STAGES)
    reach = 0.653 * (stages + 1.0) ** 2 / (1.1 * state.rate)
    size = jnp.minimum(jnp.minimum(state.size, reach), route.end - state.time)
    row = route.table[stages]

    def stage(j: Array, pair: tuple[Array, Array]) -> tuple[Array, Array]:
        before, now = pair
        mu, nu, tilde, gamma = row[j, 0], row[j, 1], row[j, 2], row[j, 3]
        moved = size * (tilde * route.slope(now) + gamma * state.slope)
        return now, (1 - mu - nu) * state.w + mu * now + nu * before + moved

    started = state.w + row[1, 4] * size * state.slope
    _, w = jax.lax.fori_loop(2, stages + 1, stage, (state.w, started))
    return w, size, stages


def _advance(route: Route, state: State) -> State:
    """Try a step, keep it if its error is small enough, and choose the size of the next one."""
    w, size, stages = _attempt(route, state)
    after = route.slope(w)
    estimate = 0.8 * (state.w - w) + 0.4 * size * (state.slope + after)
    error = jnp.linalg.norm(estimate) / (route.tolerance * jnp.linalg.norm(w))
    good = error <= 1
    following = size * jnp.clip(0.8 * error ** (-1 / 3), 0.1, 5.0)
    kept = jnp.where(good, w, state.w)
    at = jnp.where(good, after, state.slope)
    direction, rate = _stiff(route, kept, at, state.direction)
    return State(
        kept,
        at,
        state.time + jnp.where(good, size, 0.0),
        following,
        direction,
        jnp.maximum(rate, 0.9 * state.rate),
        jnp.minimum(state.best, route.test(kept)),
        state.evaluations + stages + 1,
        state.steps + 1,
    )


def _begin(route: Route, first: float | Array) -> State:
    """The state at time 0, its stiff direction found in ten steps from a random one."""
    w = jnp.concatenate([route.begun.inputs.ravel(), route.begun.outputs.ravel()])
    direction = jax.random.normal(jax.random.key(0), w.shape, dtype=w.dtype)
    at = route.slope(w)
    begun = direction / jnp.linalg.norm(direction), route.one[0]
    direction, rate = jax.lax.fori_loop(0, 10, lambda i, pair: _stiff(route, w, at, pair[0]), begun)
    zero = jnp.zeros((), dtype=w.dtype)
    return State(w, at, zero, zero + first, direction, rate, route.test(w), jnp.asarray(11), jnp.asarray(0))


@jax.jit
def follow(weights: Weights, data: Data, end: float | Array, tolerance: float | Array, first: float | Array) -> Road:
    """The flow of one run with scale 1 from `weights` to flow time `end`; `first` is the first step that is tried.

    `tolerance` bounds the estimated error of a step relative to the size of the weights (root mean squares).
    """
    route = Route(weights, data, jnp.asarray(coefficients(), dtype=data.x.dtype), end, tolerance)
    begun = _begin(route, first)
    last = jax.lax.while_loop(lambda state: state.time < end * (1 - 1e-9), lambda s: _advance(route, s), begun)
    ended = route.stacked(last.w)
    train = loss(ended, route.one, data.x, data.y)[0]
    return Road(ended, train, route.test(last.w), last.best, last.evaluations, last.steps)
