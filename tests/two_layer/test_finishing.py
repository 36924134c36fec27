"""The road that trains until the network is linear where it is, and solves the rest; and the numbers of the text."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.two_layer import experiment, finishing, numerics, panels, readings, summary, training, trajectories
from lazy_course.two_layer.numerics import Weights
from lazy_course.two_layer.panels import AgainstTau

SMALL = AgainstTau(d=7, n=30, n_test=20, m=6, logs=(-1.0, 0.5), runs=1, iterations=1600, every=100, dtype="float64")


@pytest.fixture(scope="module")
def plain():
    """The losses of plain descent after 100 steps and at the end."""
    job = SMALL.job(0)
    way, _ = training.descend(job.weights, numerics.still(job.weights), job.rates, job.data, every=100, count=1)
    end, _ = training.descend(job.weights, way, job.rates, job.data, every=100, count=15)
    return job, way, training.measure(job.weights, end, job.rates, job.data)


def test_a_lazy_run_is_finished_from_the_first_hundred_steps(plain):
    """At tau = 3.2, with residual and kernel of that time: to less than a tenth of what stopping there costs."""
    job, way, end = plain
    at = numerics.moved_from(job.weights, way)
    one = Weights(at.inputs[1:], at.outputs[1:])
    train, test = finishing.ends(one, job.data, job.rates.input_step[1], 1500)
    assert test == pytest.approx(float(end.test[1]), rel=5e-3)
    assert train == pytest.approx(float(end.train[1]), rel=5e-2)
    stopped = float(numerics.loss(one, jnp.ones(1), job.data.x, job.data.y)[0])
    assert abs(stopped - float(end.train[1])) > 10 * abs(train - float(end.train[1]))


def test_the_road_ends_where_plain_descent_ends(plain):
    found = finishing.finish(SMALL, 0, first=100, near=0.002)
    np.testing.assert_allclose(found["test_end"], np.asarray(plain[2].test), rtol=1e-2)
    assert found["evaluations"][1] < SMALL.iterations
    assert max(found["evaluations"]) <= SMALL.iterations


def test_without_agreement_it_is_plain_descent(plain):
    """No prediction is accepted with a share of 0: then every step is made."""
    found = finishing.finish(SMALL, 0, first=1000, near=0.0)
    assert found["evaluations"] == [1600, 1600]
    np.testing.assert_allclose(found["test_end"], np.asarray(plain[2].test), rtol=1e-5)


def test_recorded_ends_for_a_third_of_the_gradients():
    """At full size, all tau of the recorded repetitions: the means, which the figure shows, are within 1 %."""
    record, road = experiment.load("fig1c"), experiment.load("fig1c-finish")
    assert road["settings"] == record["settings"]
    plain, spent = readings.evaluations(record, road)
    of_means, of_runs = readings.road_gaps(record, road)
    assert 3 * spent <= plain
    assert np.abs(of_means).max() < 0.01
    assert np.abs(of_runs).max() < 0.02


def test_recorded_draws_are_recomputed_in_part():
    """Rank and least loss of the linearized model do not need the training; and alignment is lost for large tau."""
    kept = experiment.load("fig1a-draws")
    assert kept["count"] == len(kept["aligned"]) >= 20
    settings = trajectories.PLANES["fig1a"]["paper"]
    for index in (0, 7):
        drawn = trajectories.scene(dataclasses.replace(settings, cases=((0.0, True),), seed=100 + index))
        rank, limit = trajectories.capacity(drawn.weights, drawn.data)
        assert int(rank) == kept["rank"][index]
        assert float(limit) == pytest.approx(kept["linearized_limit"][index], rel=1e-3, abs=1e-20)
    shares = np.asarray(kept["aligned"])
    assert np.all(shares[:, 0] > shares[:, 1])
    assert np.median(shares[:, 0]) > 0.5


def test_the_numbers_of_the_text_are_those_of_the_records():
    found = summary.plane() | summary.transition() | summary.cost() | summary.population() | summary.widths()
    record = experiment.load("fig1c")
    ends = np.mean([job["test_end"] for job in record["jobs"]], axis=0)
    assert found["ratio"] == round(ends[-1] / ends[0])
    assert found["plateau"] == pytest.approx(1e3 * ends[-1], rel=5e-3)
    assert found["flips"] <= found["may-flip"] < found["neurons"] == 20
    assert found["slow-low"] < found["slow-high"]
    assert found["mean-end"] < found["root-end"]
    assert found["hump"] > found["mean-best-width"]
    m, bands = readings.widths(experiment.load("fig2a"), "train_end")
    falls = {name: bands[name].mean[m == 8][0] / bands[name].mean[-1] for name in ("root", "mean")}
    assert falls["mean"] > 1e8
    assert falls["root"] < 100
    assert panels.PANELS["fig2a"]["paper"].widths[-1][-1] == found["width"]
