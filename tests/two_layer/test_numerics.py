"""Gradient, linearization, kappa and the stabilized method against first principles."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from lazy_course import models, norms
from lazy_course.two_layer import comparisons, linearized, numerics, panels, stabilized, training
from lazy_course.two_layer.numerics import Weights
from lazy_course.two_layer.panels import AgainstTau, Population
from tests.benchmarks import descent, descent_peer

SMALL = AgainstTau(d=7, n=30, n_test=20, m=6, logs=(-1.0, 0.0, 1.0), runs=1, iterations=400, every=100, dtype="float64")


@pytest.fixture(scope="module")
def job():
    return SMALL.job(0)


def scattered(job, key):
    """A stack that has left its symmetric start."""
    shift = jax.random.normal(key, job.weights.inputs.shape)
    return Weights(job.weights.inputs + 0.1 * shift, job.weights.outputs + 0.1 * shift[:, :, 0])


def test_gradient_is_that_of_the_loss(job, key):
    """d/dw of sum_r R_r / alpha_r^2, by automatic differentiation."""
    weights, scale = scattered(job, key), jnp.asarray([1.0, 0.5, 2.0])
    found = numerics.gradient(weights, scale, job.data.x, job.data.y)
    total = jax.grad(lambda w: jnp.sum(numerics.loss(w, scale, job.data.x, job.data.y) / scale**2))(weights)
    for ours, expected in zip(found, total, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-14)


def test_stack_predicts_as_the_course_model_does(job, key):
    weights = scattered(job, key)
    f = models.two_layer("relu")
    each = [f({"input": b, "output": a[None]}, job.data.x)[:, 0] for b, a in zip(*weights, strict=True)]
    np.testing.assert_allclose(numerics.predict(weights, jnp.ones(3), job.data.x), jnp.stack(each), rtol=1e-12)


def test_symmetrized_start_is_zero_and_the_teacher_has_unit_neurons(job):
    assert jnp.max(jnp.abs(numerics.predict(job.weights, jnp.ones(3), job.data.x))) < 1e-13
    np.testing.assert_allclose(jnp.linalg.norm(job.teacher.inputs, axis=1), 1.0, rtol=1e-14)
    assert set(np.asarray(job.teacher.outputs)) <= {-1.0, 1.0}


def test_absolute_values_permute_neurons_and_change_no_run(job):
    """The code's |a_j| in the first half: the same losses, to rounding, on the way and at the end."""
    coded = dataclasses.replace(SMALL, positive=True).job(0)
    curves = [
        training.descend(j.weights, numerics.still(j.weights), j.rates, j.data, every=100, count=4)[1].test
        for j in (job, coded)
    ]
    assert jnp.any(coded.weights.outputs != job.weights.outputs)
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-9)
    with pytest.raises(ValueError, match="positive"):
        numerics.draw_student(jax.random.key(0), 3, 4, symmetrized=False, positive=True)


def test_neurons_of_weight_zero_stay(job):
    wide = panels.padded(job.weights, 9)
    way, seen = training.descend(wide, numerics.still(wide), job.rates, job.data, every=100, count=4)
    plain = training.descend(job.weights, numerics.still(job.weights), job.rates, job.data, every=100, count=4)[1]
    assert not np.any(np.asarray(way.inputs)[:, 6:])
    np.testing.assert_allclose(seen.test, plain.test, rtol=1e-10)


def test_teacher_times_c_is_tau_over_root_c_and_step_times_c(job):
    """With w = sqrt(c) u: descent to c f* from tau is descent to f* from tau/sqrt(c) with c times the step."""
    c = 100.0
    large = job.data._replace(y=c * job.data.y, y_test=c * job.data.y_test)
    rates = numerics.Rates(job.rates.scale, job.rates.input_step / c, job.rates.output_step / c)
    start = numerics.scaled_weights(job.weights, jnp.full(3, c**0.5))
    there = training.descend(start, numerics.still(start), rates, large, every=100, count=4)[1]
    here = training.descend(job.weights, numerics.still(job.weights), job.rates, job.data, every=100, count=4)[1]
    np.testing.assert_allclose(there.test, c**2 * here.test, rtol=1e-9)


def test_kernel_is_that_of_the_jacobian(job):
    one = Weights(job.weights.inputs[1:2], job.weights.outputs[1:2])
    flat, unravel = ravel_pytree(one)
    jacobian = jax.jacobian(lambda w: numerics.predict(unravel(w), jnp.ones(1), job.data.x)[0])(flat)
    expected = jacobian @ jacobian.T
    np.testing.assert_allclose(linearized.kernel(one, job.data.x, job.data.x), expected, rtol=1e-10, atol=1e-12)


def test_closed_form_is_the_training_of_the_linearized_model(job):
    """Descent on the linear model itself, step by step, at odd and even steps; and the limit interpolates."""
    one = Weights(job.weights.inputs[1:2], job.weights.outputs[1:2])
    flat, unravel = ravel_pytree(one)
    features = [
        jax.jacobian(lambda w, x=x: numerics.predict(unravel(w), jnp.ones(1), x)[0])(flat)
        for x in (job.data.x, job.data.x_test)
    ]
    modes, v = linearized.modes(one, job.data), jnp.zeros_like(flat)
    step, seen = 0.3 / float(modes.rates[-1]), []
    for _ in range(7):
        v = v - step * features[0].T @ (features[0] @ v - job.data.y) / job.data.x.shape[0]
        seen.append([0.5 * jnp.mean((j @ v - y) ** 2) for j, y in zip(features, job.data[1::2], strict=True)])
    found = linearized.losses(modes, jnp.asarray(step), np.arange(1.0, 8.0))
    np.testing.assert_allclose(np.stack(found, axis=1), np.asarray(seen), rtol=1e-9)
    pinv = jnp.linalg.pinv(features[0], rtol=1e-10) @ job.data.y
    limit = linearized.losses(modes, jnp.asarray(step), np.array([np.inf]))[1][0]
    assert float(limit) == pytest.approx(float(0.5 * jnp.mean((features[1] @ pinv - job.data.y_test) ** 2)), rel=1e-6)


def test_kappa_is_that_of_the_course(job, key):
    """The closed form is inside the bracket of `norms`, and kappa falls like 1/tau^2."""
    unit = comparisons.unit_start(SMALL, job)
    h = models.as_map(models.two_layer("relu"), job.data.x)
    params = {"input": unit.inputs[0], "output": unit.outputs}
    low, high = norms.inverse_relative_scale(h, params, job.data.y, key=key)
    found = float(linearized.unit_kappa(unit, job.data))
    assert float(low) * (1 - 1e-9) <= found <= float(high) * (1 + 1e-9)
    assert found == pytest.approx(float(low), rel=1e-3)
    ten = numerics.scaled_weights(unit, 10.0)
    assert float(linearized.unit_kappa(ten, job.data)) == pytest.approx(found / 100, rel=1e-9)


def test_best_tangent_fit_is_that_of_many_points(key):
    """Least squares on 20 000 points, to their sampling error; and 0 if the student has the teacher's neurons."""
    settings = Population(d=4, m=6, n_test=20, dtype="float64")
    job = settings.job(0)
    inputs = comparisons.unit_start(settings, job).inputs[0][:3]
    found = float(comparisons.best_tangent_fit(inputs, job.teacher))
    x = numerics.sphere(key, 20_000, 4)
    design = ((x @ inputs.T > 0)[:, :, None] * x[:, None, :]).reshape(20_000, 12)
    left = job.teacher(x) - design @ jnp.linalg.lstsq(design, job.teacher(x))[0]
    assert found == pytest.approx(float(0.5 * jnp.mean(left**2)), rel=0.05)
    assert float(comparisons.best_tangent_fit(job.teacher.inputs, job.teacher)) == pytest.approx(0.0, abs=1e-10)


def test_single_precision_keeps_small_steps():
    """At tau = 31.6 steps that are rounded into the weights stall; in the coordinate w - w0 they do not."""
    settings = dataclasses.replace(SMALL, d=20, n=100, m=10, logs=(1.5,))
    double, single = settings.job(0), dataclasses.replace(settings, dtype="float32").job(0)
    ends = [
        training.measure(j.weights, way, j.rates, j.data).train[0]
        for j in (double, single)
        for way in [training.descend(j.weights, numerics.still(j.weights), j.rates, j.data, every=4000, count=1)[0]]
    ]
    assert float(ends[1]) == pytest.approx(float(ends[0]), rel=1e-3)

    def rounded(i, weights):
        way = numerics.step(weights, numerics.still(weights), single.rates, single.data.x, single.data.y)
        return numerics.moved_from(weights, way)

    stalled = jax.lax.fori_loop(0, 4000, rounded, single.weights)
    left = numerics.loss(stalled, single.rates.scale, single.data.x, single.data.y)[0]
    assert float(left) > 1.05 * float(ends[0])


def test_stabilized_method_follows_the_flow(job):
    """Against descent with a tenth of the step, to the same flow time, at tau = 1 and tau = 10.

    Kinks make the error of the method one of first order: with a tenth of the tolerance a tenth of the error.
    """
    for place in (1, 2):
        one = Weights(job.weights.inputs[place : place + 1], job.weights.outputs[place : place + 1])
        step = job.rates.input_step[place : place + 1]
        rates = numerics.Rates(jnp.ones(1), 0.1 * step, 0.1 * step)
        way, _ = training.descend(one, numerics.still(one), rates, job.data, every=4000, count=1)
        fine = training.measure(one, way, rates, job.data)
        roads = [stabilized.follow(one, job.data, 400 * step[0], tolerance, step[0]) for tolerance in (1e-2, 1e-4)]
        coarse, close = (abs(float(road.test) / float(fine.test[0]) - 1) for road in roads)
        assert close < 2e-3
        assert close < coarse
        assert float(roads[1].best) <= float(roads[1].test)


def test_stack_makes_the_steps_of_a_numpy_loop():
    """At the paper's size, against a loop that shares no code; the timings of the benchmark compare the same work."""
    found = descent.ours("float64", runs=2, steps=20)["loss"]
    assert found == pytest.approx(descent_peer.by_numpy(20, np.float64), rel=1e-10)
