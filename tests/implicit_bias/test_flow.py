"""The flow of all weights against its closed form, its conserved product, its two rates, and descents against it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course import models
from lazy_course.displacement import FlowError
from lazy_course.implicit_bias import bounds, curves, flow, numerics
from tests.implicit_bias.test_numerics import drawn

# As many as curves.fit_times saves: one compiled solver for both.
TIMES = np.concatenate([[0.0], np.geomspace(1e-3, 4.0, 199)])
ALPHAS = (1.0, 0.3, 0.05)


@pytest.fixture(scope="module")
def paths():
    """One instance: X, y and its integrated paths for three alphas."""
    x, y = drawn(11)
    return x, y, {alpha: flow.integrated_flow(x, y, alpha, TIMES) for alpha in ALPHAS}


def test_the_field_is_the_gradient_of_the_sum_of_squares(paths):
    """The first steps of the flow against jax's gradient of L = ||X (w+^2 - w-^2) - y||^2, without 1/2."""
    x, y, found = paths

    def loss(w):
        return jnp.sum((x @ (w["plus"] ** 2 - w["minus"] ** 2) - y) ** 2)

    start = models.init_diagonal(9, 1.0)
    slope = jax.grad(loss)(start)
    early = flow.integrated_flow(x, y, 1.0, TIMES * 1e-6)
    for name, path in (("plus", early.plus), ("minus", early.minus)):
        moved = (path[1] - path[0]) / (TIMES[1] * 1e-6)
        assert np.asarray(moved) == pytest.approx(-np.asarray(slope[name]), rel=1e-4, abs=1e-4)
    assert float(found[1.0].loss[0]) == pytest.approx(float(loss(start)))


def test_closed_form_along_the_integrated_flow(paths):
    """Equation (11) with the integral of r read off the weights, and the transposes where they belong, to 1e-9."""
    x, _, found = paths
    for alpha, path in found.items():
        # w+ = alpha exp(-2 X^T R): the logarithm of the weights is in the row space
        inside = -np.log(np.asarray(path.plus) / alpha) / 2
        integral = np.linalg.lstsq(x.T, inside.T, rcond=None)[0].T
        assert inside == pytest.approx(integral @ x, abs=1e-9)
        assert np.asarray(flow.closed_form(x, alpha, integral)) == pytest.approx(np.asarray(path.beta), abs=1e-9)


def test_the_product_is_conserved(paths):
    for alpha, path in paths[2].items():
        assert np.asarray(path.product) == pytest.approx(np.full((TIMES.size, 9), alpha**2), rel=1e-9)


def test_dual_flow_is_the_same_flow(paths):
    x, y, found = paths
    for alpha, path in found.items():
        dual = flow.flow(x, y, alpha, TIMES)
        assert np.asarray(dual.beta) == pytest.approx(np.asarray(path.beta), abs=2e-8)
        assert np.asarray(dual.loss) == pytest.approx(np.asarray(path.loss), abs=1e-7)


def test_loss_is_below_its_bound_and_the_bound_is_reached(paths):
    """L(t) <= L(0) exp(-32 alpha^2 sigma^2 t); for large alpha the late rate tends to the proved one."""
    x, y, found = paths
    for alpha, path in found.items():
        bound = float(path.loss[0]) * np.exp(-flow.loss_rate(x, alpha) * TIMES)
        assert np.all(np.asarray(path.loss) <= bound * (1 + 1e-9) + 1e-20)
    ratios = [flow.late_loss_rate(x, y, alpha) / flow.loss_rate(x, alpha) for alpha in (1.0, 3.0, 10.0)]
    assert ratios[0] > ratios[1] > ratios[2] > 1
    assert ratios[2] < 1.0001


def test_the_gradient_inequality_is_attained_at_the_start():
    """At w = alpha 1 with the residual in the weakest direction, ||grad L||^2 = 32 alpha^2 sigma^2 L."""
    x, _ = drawn(12)
    u, s, _ = np.linalg.svd(x)
    y = u[:, -1]

    def loss(w):
        return jnp.sum((x @ (w["plus"] ** 2 - w["minus"] ** 2) - y) ** 2)

    start = models.init_diagonal(9, 0.3)
    slope = jax.grad(loss)(start)
    squared = sum(float(jnp.sum(entry**2)) for entry in slope.values())
    assert squared == pytest.approx(32 * 0.09 * s[-1] ** 2 * float(loss(start)))
    assert flow.loss_rate(x, 0.3) == pytest.approx(32 * 0.09 * s[-1] ** 2)


def test_the_late_rate_is_measured(paths):
    """The logarithmic slope of L at the end of the dual flow is twice the slowest rate of the residual."""
    x, y, _ = paths
    rate = flow.late_loss_rate(x, y, 0.3)
    assert rate == pytest.approx(2 * bounds.stiffness(x, numerics.minimum_q_interpolator(x, y, 0.3), 0.3).slowest)
    late = flow.flow(x, y, 0.3, np.linspace(8.0 / rate, 14.0 / rate, TIMES.size))
    slope = np.polyfit(np.asarray(late.times), np.log(np.asarray(late.loss)), 1)[0]
    assert slope == pytest.approx(-rate, rel=0.02)


def test_dual_flow_reaches_a_trillionth():
    """alpha = 1e-12 in the smallest example: the end is the exact limit."""
    x, y = curves.SMALLEST
    end = flow.flow(x, y, 1e-12, 2.5 * TIMES)
    assert np.asarray(end.beta[-1]) == pytest.approx(np.asarray(numerics.minimum_q_interpolator(x, y, 1e-12)), rel=1e-8)


def test_no_entry_comes_before_the_earliest_time(paths):
    x, y, found = paths
    for alpha, path in found.items():
        for at in (20, 100, 199):
            size = float(jnp.max(jnp.abs(path.beta[at])))
            if size > alpha**2:
                assert bounds.earliest_time(x, y, alpha, size) <= TIMES[at]


def test_small_steps_follow_the_flow(paths):
    """The error of descent at flow time 0.4 halves with the step: Euler's method."""
    x, y, _ = paths
    end = np.asarray(flow.integrated_flow(x, y, 0.3, np.concatenate([[0.0], np.linspace(0.01, 0.4, 199)])).beta[-1])
    errors = [
        np.linalg.norm(flow.descent(x, y, 0.3, step_size=0.4 / n, save_at=[0, n]).path.beta[-1] - end)
        for n in (800, 1600, 3200)
    ]
    assert errors[1] / errors[0] == pytest.approx(0.5, abs=0.05)
    assert errors[2] / errors[1] == pytest.approx(0.5, abs=0.05)


def test_batches_are_unbiased_and_reproducible():
    """The mean of one step over many keys is the full step; the same key gives the same path."""
    x, y = drawn(13)
    keys = jax.random.split(jax.random.key(0), 300)
    full = flow.descent(x, y, 0.5, step_size=1e-3, save_at=[1]).path.plus[-1]
    start = jnp.full(9, 0.5)
    steps = jax.vmap(
        lambda key: flow.solve_descent(
            jnp.asarray(x), jnp.asarray(y), start, start, jnp.asarray(1e-3), jnp.asarray([1]), jnp.asarray(2), key
        )[0][0]
    )(keys)
    spread = np.std(np.asarray(steps), axis=0) / np.sqrt(300)
    assert np.all(np.abs(np.mean(np.asarray(steps), axis=0) - np.asarray(full)) < 4 * spread + 1e-12)
    twice = [flow.descent(x, y, 0.5, step_size=1e-3, save_at=[5, 9], batch=2, key=keys[0]).path.beta for _ in range(2)]
    assert np.array_equal(*twice)
    assert not np.allclose(twice[0][-1], flow.descent(x, y, 0.5, step_size=1e-3, save_at=[5, 9]).path.beta[-1])


def test_bad_input_is_named():
    x, y = drawn(0)
    with pytest.raises(ValueError, match="save_at: expected increasing step numbers"):
        flow.descent(x, y, 1.0, step_size=0.1, save_at=[3, 2])
    with pytest.raises(ValueError, match="batch: expected a number from 1 to N = 4"):
        flow.descent(x, y, 1.0, step_size=0.1, save_at=[3], batch=5, key=jax.random.key(0))
    with pytest.raises(ValueError, match="key: expected a key"):
        flow.descent(x, y, 1.0, step_size=0.1, save_at=[3], batch=2)
    with pytest.raises(FlowError, match="take step_size below 10"):
        flow.descent(x, y, 1.0, step_size=10.0, save_at=[0, 50])
    with pytest.raises(ValueError, match="times: expected strictly increasing"):
        flow.flow(x, y, 1.0, [0.0, 2.0, 1.0])
