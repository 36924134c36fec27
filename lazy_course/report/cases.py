"""The case studies of the page on reports: one task, four starts, and the numbers read off their reports."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from lazy_course import models
from lazy_course.models import AnyKey
from lazy_course.report.monitor import LazinessMonitor

SAMPLES, INPUTS = 24, 6


class Case(NamedTuple):
    """What a report takes: a network, its start, samples x (n, d) and targets y (n, 1)."""

    f: Callable[..., Array]
    params: PyTree
    x: Float[Array, "n d"]
    y: Float[Array, "n 1"]


def task(
    key: AnyKey, *, samples: int = SAMPLES, inputs: int = INPUTS, turn: float = 0.0
) -> tuple[Float[Array, "n d"], Float[Array, "n 1"]]:
    r"""Inputs on the sphere of radius $\sqrt d$ and targets $\frac12\sin(2u_1) u_2$ of two turned coordinates.

    `turn` (radians) turns the plane of $u_1$ and $u_2$ towards two other coordinates: 0 gives the first task, and
    `turn` = pi/2 one that looks at other coordinates only. Raises `ValueError` for fewer than four inputs.
    """
    if inputs < 4:
        raise ValueError(f"inputs: expected at least 4 coordinates, got {inputs}; the targets look at 4 of them")
    x = jax.random.normal(key, (samples, inputs))
    x = inputs**0.5 * x / jnp.linalg.norm(x, axis=1, keepdims=True)
    u1 = np.cos(turn) * x[:, 0] + np.sin(turn) * x[:, 2]
    u2 = np.cos(turn) * x[:, 1] + np.sin(turn) * x[:, 3]
    return x, (0.5 * jnp.sin(2.0 * u1) * u2)[:, None]


def wide(key: AnyKey, *, width: int = 512, size: float = 1.0, symmetrized: bool = False) -> Case:
    r"""A net $m^{-1/2}\sum_i b_i\tanh(\langle a_i, x\rangle/\sqrt d)$ of normal weights of deviation `size`."""
    x, y = task(jax.random.fold_in(key, 0))
    params = models.init_two_layer(
        jax.random.fold_in(key, 1), INPUTS, width, input_std=size, output_std=size, symmetrized=symmetrized
    )
    return Case(models.two_layer("tanh", scale=width**-0.5), params, x / INPUTS**0.5, y)


def small(key: AnyKey, *, width: int = 512, size: float = 0.1) -> Case:
    """The same net on the same task with all its weights multiplied by `size`."""
    return wide(key, width=width, size=size)


def pretrained(key: AnyKey, *, width: int = 64, steps: int = 4000, samples: int = 400) -> eqx.nn.MLP:
    """An equinox net with two hidden tanh layers, trained by Adam's rule on 400 other samples of the first task."""
    x, y = task(jax.random.fold_in(key, 2), samples=samples)
    net = eqx.nn.MLP(INPUTS, 1, width, 2, activation=jnp.tanh, key=jax.random.fold_in(key, 3), dtype=float)
    params, rest = eqx.partition(net, eqx.is_inexact_array)

    def loss(params: PyTree) -> Array:
        return 0.5 * jnp.mean((jax.vmap(eqx.combine(params, rest))(x) - y) ** 2)

    return eqx.combine(_adam(loss, params, steps=steps), rest)


def _adam(loss: Callable[[PyTree], Array], params: PyTree, *, steps: int, size: float = 3e-3) -> PyTree:
    def one(i: Array, state: tuple[PyTree, PyTree, PyTree]) -> tuple[PyTree, PyTree, PyTree]:
        w, first, second = state
        g = jax.grad(loss)(w)
        first = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, first, g)
        second = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b * b, second, g)
        fair1, fair2 = 1.0 - 0.9 ** (i + 1.0), 1.0 - 0.999 ** (i + 1.0)
        w = jax.tree.map(lambda a, m, v: a - size * (m / fair1) / (jnp.sqrt(v / fair2) + 1e-8), w, first, second)
        return w, first, second

    zeros = jax.tree.map(jnp.zeros_like, params)
    trained: PyTree = jax.jit(lambda w: jax.lax.fori_loop(0, steps, one, (w, zeros, zeros)))(params)[0]
    return trained


def with_new_head(net: eqx.nn.MLP) -> eqx.nn.MLP:
    """The net with its last layer at zero: what fine-tuning starts from, with h(w0) = 0."""
    last = net.layers[-1]
    empty = jax.tree.map(lambda leaf: jnp.zeros_like(leaf) if eqx.is_array(leaf) else leaf, last)
    return eqx.tree_at(lambda n: n.layers[-1], net, empty)


def head_only(net: eqx.nn.MLP) -> tuple[Callable[..., Array], PyTree]:
    """(f, params) of the last layer alone; the body is held fixed."""
    is_head = jax.tree.map(lambda _: False, net)
    is_head = eqx.tree_at(lambda n: (n.layers[-1].weight, n.layers[-1].bias), is_head, (True, True))
    head, body = eqx.partition(net, is_head)
    return lambda params, x: jax.vmap(eqx.combine(params, body))(x), head


def watched(
    f: Callable[..., Array], case: Case, *, steps: int, size: float, every: int, live: bool = False
) -> LazinessMonitor:
    """Full-batch descent on half the mean square, in a loop of Python steps with a monitor; returns the monitor."""
    monitor = LazinessMonitor(f, case.params, case.x, samples=case.x.shape[0], probes=4, every=every, live=live)

    @jax.jit
    def step(params: PyTree) -> PyTree:
        slope = jax.grad(lambda w: 0.5 * jnp.mean((f(w, case.x) - case.y) ** 2))(params)
        return jax.tree.map(lambda w, g: w - size * g, params, slope)

    params = case.params
    for i in range(1, steps + 1):
        params = step(params)
        monitor(i, params)
    return monitor
