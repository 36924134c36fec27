"""The ntk problem set: its shape, its key against answers found by other means and the chapter, and its self-checks."""

import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.ntk import dynamics, numerics, prediction
from tests.grading.shared_tests import ProblemSetTests
from tests.grading.workbook import Workbook
from tests.ntk import independent_answers

BOOK = Workbook("ntk")


class TestProblemSet(ProblemSetTests):
    book, answers = BOOK, independent_answers
    questions, automatic, points = 12, 11, 40


def test_the_two_integrals_are_those_of_the_chapter_where_nothing_leaks():
    """slope 0 is ReLU, slope 1 the identity."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 3))
    a, b, c = x[0] @ x[0], x[1] @ x[1], x[0] @ x[1]
    inner, outer = numerics.two_layer_limits(jnp.asarray(x), activation="relu", output_variance=1.0, input_variance=1.0)
    integrals = BOOK.solution("gaussian-integrals")["gaussian_integrals"]
    np.testing.assert_allclose(integrals(0.0, a, b, c), [outer[0, 1], inner[0, 1] / c], rtol=1e-12)
    np.testing.assert_allclose(integrals(1.0, a, b, c), [c, 1.0], rtol=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_two_integrals_of_parallel_and_of_opposite_inputs(sign):
    """A rounding error beyond |c| = sqrt(ab): the key, the other means, and what one normal number z gives."""
    slope, a, b = 0.3, 0.1, 0.7
    c = sign * np.sqrt(a * b) * (1 + 4e-16)
    wanted = {1: (1 + slope**2) / 2, -1: slope}[sign] * np.array([sign * np.sqrt(a * b), 1.0])
    key = BOOK.solution("gaussian-integrals")["gaussian_integrals"]
    for integrals in (key, independent_answers.gaussian_integrals):
        np.testing.assert_allclose(integrals(slope, a, b, c), wanted, rtol=1e-12)


def test_layers_on_layers_are_the_deep_kernels_of_the_chapter():
    x = np.random.default_rng(2).normal(size=(4, 3))
    sigma_w, sigma_b = 1.3, 0.4
    nngp = ntk = sigma_w**2 * x @ x.T / 3 + sigma_b**2
    step = BOOK.solution("one-layer-more")["one_layer_more"]
    for _ in range(3):
        nngp, ntk = step(nngp, ntk, sigma_w, sigma_b)
    wanted = numerics.infinite_width_kernels(
        jnp.asarray(x), activation="erf", depth=3, sigma_w=sigma_w, sigma_b=sigma_b
    )
    np.testing.assert_allclose([nngp, ntk], wanted, rtol=1e-10)


def test_the_steps_and_the_weights_are_those_of_the_chapter():
    rng = np.random.default_rng(3)
    jacobian, f0, y, c = rng.normal(size=(3, 5)), rng.normal(size=3), rng.normal(size=3), 0.4
    kernel = jacobian @ jacobian.T
    model = dynamics.linearized_dynamics(jnp.asarray(kernel), loss_factor=c)
    got = BOOK.solution("weights-in-time")["weights_in_time"](jacobian, f0, y, c, 0.7)
    np.testing.assert_allclose(got, model.parameters(jacobian, f0, y, [0.7, np.inf]), rtol=1e-10)
    values = model.eigenvalues
    best = dynamics.rate_optimal_step(values, loss_factor=c)
    wanted = [dynamics.stability_limit(values, loss_factor=c), best]
    wanted += [dynamics.contraction_factor(values, step, loss_factor=c) for step in (best, 0.3)]
    got = BOOK.solution("two-step-limits")["two_step_limits"](kernel, c, 0.3)
    np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_the_ensembles_are_those_of_the_chapter():
    rng = np.random.default_rng(4)
    x, y, c, t = rng.normal(size=(5, 3)), rng.normal(size=3), 0.5, 1.3
    blocks = prediction.kernel_blocks(x[:3], x[3:], activation="erf", depth=2, sigma_w=1.4, sigma_b=0.2)
    wanted = prediction.predict(blocks, y, [t], loss_factor=c)
    got = BOOK.solution("ensemble")["ensemble"](
        *map(np.asarray, (blocks.ntk_train, blocks.nngp_train, blocks.ntk_test_train, blocks.nngp_test_train)),
        np.asarray(blocks.nngp_test), y, c, t,
    )  # fmt: skip
    np.testing.assert_allclose(got[:, 0], wanted.mean[0], rtol=1e-9)
    np.testing.assert_allclose(got[:, 1:], wanted.covariance[0], rtol=1e-9, atol=1e-12)
    wanted = prediction.predict(blocks, y, [t], loss_factor=c, trained="nngp")
    cross, twice = np.asarray(blocks.nngp_test_train)[0], float(blocks.nngp_test[0, 0])
    variance, excess = BOOK.solution("read-out")["read_out"](np.asarray(blocks.nngp_train), cross, twice, c, t)
    assert variance == pytest.approx(float(wanted.covariance[0, 0, 0]), rel=1e-9)
    assert excess > 0


def test_the_read_out_error_is_largest_at_one_half_and_is_a_quarter():
    read_out = BOOK.solution("read-out")["read_out"]
    one = np.ones((1, 1))
    errors = [read_out(one, np.ones(1), 2.0, 1.0, np.log(2) * factor)[1] for factor in (0.9, 1.0, 1.1)]
    assert errors[1] == max(errors) == pytest.approx(0.25)
