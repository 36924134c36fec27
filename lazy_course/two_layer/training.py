r"""Gradient descent of a stack of runs, cut into pieces that can be stopped, kept and taken up again.

A piece is one compiled program: `count` times (measure both losses, then `every` steps). Cutting a training into more
or fewer pieces changes no bit of it, as the pieces begin where losses are measured.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazy_course.models import AnyKey
from lazy_course.two_layer.numerics import Data, Rates, Teacher, Weights, loss, moved_from, step


class Losses(NamedTuple):
    """Training and test loss of each run where they were measured."""

    train: Float[Array, "times R"]
    test: Float[Array, "times R"]


@partial(jax.jit, static_argnames=("every", "count"))
def descend(
    start: Weights, way: Weights, rates: Rates, data: Data, *, every: int, count: int
) -> tuple[Weights, Losses]:
    """`count` times: measure the losses, then make `every` steps of full-batch descent; returns the new way."""

    def piece(now: Weights, _: None) -> tuple[Weights, Losses]:
        seen = measure(start, now, rates, data)
        return jax.lax.fori_loop(0, every, lambda i, w: step(start, w, rates, data.x, data.y), now), seen

    return jax.lax.scan(piece, way, None, length=count)


@partial(jax.jit, static_argnames=("every", "count", "batch"))
def descend_population(
    start: Weights,
    way: Weights,
    rates: Rates,
    data: Data,
    teacher: Teacher,
    key: AnyKey,
    first: int | Array,
    *,
    every: int,
    count: int,
    batch: int,
) -> tuple[Weights, Losses]:
    """The same by stochastic gradient descent: step i sees `batch` fresh points, drawn from `key` and i alone.

    The runs of the stack see the same points. `first` is the number of steps made before; `data` serves to measure.
    """
    d, dtype = data.x.shape[1], data.x.dtype

    def stochastic(i: Array, now: Weights) -> Weights:
        x = jax.random.normal(jax.random.fold_in(key, i), (batch, d), dtype=dtype)
        x = x / jnp.linalg.norm(x, axis=1, keepdims=True)
        return step(start, now, rates, x, teacher(x))

    def piece(now: Weights, begin: Array) -> tuple[Weights, Losses]:
        seen = measure(start, now, rates, data)
        return jax.lax.fori_loop(begin, begin + every, stochastic, now), seen

    return jax.lax.scan(piece, way, first + every * jnp.arange(count))


@jax.jit
def measure(start: Weights, way: Weights, rates: Rates, data: Data) -> Losses:
    """Both losses of every run."""
    now = moved_from(start, way)
    return Losses(loss(now, rates.scale, data.x, data.y), loss(now, rates.scale, data.x_test, data.y_test))
