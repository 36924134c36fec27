r"""Another road to the end of descent: train until the network is nearly linear around where it is, and solve the rest.

After T steps the network is replaced by its linearization at the weights of that time, whose remaining steps have a
closed form (`linearized`): the same step size, so the same end, without the steps. T doubles until two predictions in
a row agree. Lazy runs need little of the way; active ones end their active phase and are linear afterwards.
"""

import time
from dataclasses import asdict
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from lazy_course.store import digits, versions
from lazy_course.two_layer import linearized, training
from lazy_course.two_layer.numerics import Data, Rates, Weights, moved_from, predict, still
from lazy_course.two_layer.panels import AgainstTau, Job, cast


def ends(weights: Weights, data: Data, step: float | Array, left: int) -> tuple[float, float]:
    """Training and test loss after `left` more steps of one run (R = 1, scale 1), if it were linear from here on."""
    one = jnp.ones(1, dtype=data.x.dtype)
    shifted = data._replace(
        y=data.y - predict(weights, one, data.x)[0], y_test=data.y_test - predict(weights, one, data.x_test)[0]
    )
    train, test = linearized.losses(linearized.modes(weights, shifted), jnp.asarray(step), np.array([float(left)]))
    return float(train[0]), float(test[0])


def finish(settings: AgainstTau, index: int, *, first: int, near: float) -> dict[str, Any]:
    """The end losses of one repetition, and the steps of descent that were made for each tau.

    A run stops at T = `first`, 2 `first`, 4 `first`, ... as soon as its predicted end test loss is within a share
    `near` of the prediction before, or at the end of its training.
    """
    job = settings.job(index)
    count = len(settings.logs)
    found = {"train_end": np.zeros(count), "test_end": np.zeros(count)}
    spent, before = np.zeros(count, dtype=int), np.full(count, np.inf)
    places, way, done = np.arange(count), still(job.weights), 0
    while len(places):
        here = min(2 * done or first, settings.iterations)
        part = _chosen(job, places)
        way, _ = training.descend(part.weights, way, part.rates, part.data, every=here - done, count=1)
        done = here
        spent[places] = done
        if done == settings.iterations:
            seen = training.measure(part.weights, way, part.rates, part.data)
            found["train_end"][places], found["test_end"][places] = (np.asarray(row) for row in seen)
            break
        now, precise = moved_from(part.weights, way), cast(part, "float64")
        for at, place in enumerate(places):
            one = Weights(*(leaf[at : at + 1].astype(float) for leaf in now))
            pair = ends(one, precise.data, precise.rates.input_step[at], settings.iterations - done)
            found["train_end"][place], found["test_end"][place] = pair
        kept = np.abs(found["test_end"][places] / before[places] - 1) > near
        before[places] = found["test_end"][places]
        way = Weights(*(leaf[kept] for leaf in way))
        places = places[kept]
    return {name: digits(row) for name, row in found.items()} | {"evaluations": spent.tolist()}


def _chosen(job: Job, places: np.ndarray) -> Job:
    """The runs of a stack at some places."""
    return job._replace(
        weights=Weights(*(leaf[places] for leaf in job.weights)), rates=Rates(*(leaf[places] for leaf in job.rates))
    )


def by_finishing(settings: AgainstTau, *, runs: int = 4, first: int = 500, near: float = 0.005) -> dict[str, Any]:
    """The record of the first `runs` repetitions by this road."""
    start = time.monotonic()
    rows = [finish(settings, index, first=first, near=near) for index in range(min(runs, settings.runs))]
    described = {"settings": asdict(settings), "versions": versions()}
    return described | {"first": first, "near": near, "seconds": round(time.monotonic() - start, 1), "jobs": rows}
