"""Each mistake of the sources that the chapter names, shown by a computation."""

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from lazy_course import models
from lazy_course.flows import gradient_flow
from lazy_course.implicit_bias import derivation, derivation_limits, flow, numerics
from lazy_course.losses import square_loss

X = np.array([[1.0, 0.5]])
Y = np.array([1.0])


def test_P1_the_flow_meets_arsinh_and_not_arcsin():
    """At the end of the integrated flow q'(beta_i / alpha^2) must be a multiple of x_i, that is in the row space."""
    assert derivation.potential().holds
    for alpha, defined in ((0.9, True), (0.3, False)):
        rate = flow.loss_rate(X, alpha)
        beta = np.asarray(flow.integrated_flow(X, Y, alpha, [0.0, 60 / rate]).beta[-1])
        z = beta / alpha**2 / 2
        right = np.arcsinh(z)
        assert right[1] / right[0] == pytest.approx(0.5, abs=1e-9)
        assert (np.max(np.abs(z)) <= 1) == defined, "arcsin exists only for |z| <= 2"
        if defined:
            wrong = np.arcsin(z)
            assert abs(wrong[1] / wrong[0] - 0.5) > 0.02


def test_P4_only_the_transpose_is_the_gradient():
    assert derivation.gradient().holds
    tilde, residual = np.hstack([X, -X]), np.array([0.7])
    with pytest.raises(ValueError, match="matmul"):
        tilde @ residual
    assert (tilde.T @ residual).shape == (4,)


def test_P5_the_functional_tends_to_zero():
    assert derivation_limits.large_q().holds
    assert derivation_limits.large_scale().holds
    beta, values = np.array([3.0, -1.0]), []
    for alpha in (10.0, 100.0):
        values.append(float(numerics.potential(beta, alpha)) * 4 * alpha**4)
    assert values == pytest.approx([10.0, 10.0], rel=1e-3), "4 alpha^4 Q tends to |beta|^2 = 10, so Q tends to 0"


def test_P6_the_functional_needs_a_factor_and_keeps_a_logarithm():
    assert derivation_limits.small_q().holds
    assert derivation_limits.small_scale().holds
    beta = np.array([3.0, -1.0, 0.0])
    for alpha in (1e-4, 1e-8):
        value, scale = float(numerics.potential(beta, alpha)), np.log(1 / alpha**2)
        assert value > 1e8, "not near the l1 norm, which is 4"
        assert (value * alpha**2 / scale - 4) * scale == pytest.approx(3 * (np.log(3) - 1) - 1, rel=1e-5)


def test_P7_a_strict_saddle_can_be_the_limit():
    """X = y = 1: the Hessian at every critical point with error has a negative eigenvalue, and yet."""
    plus, minus = sp.symbols("p m", real=True)
    loss = (plus**2 - minus**2 - 1) ** 2
    critical = sp.solve([sp.diff(loss, plus), sp.diff(loss, minus)], [plus, minus], dict=True)
    saddles = [point for point in critical if loss.subs(point) != 0]
    assert saddles == [{plus: 0, minus: 0}]
    assert min(sp.hessian(loss, (plus, minus)).subs(saddles[0]).eigenvals()) < 0
    one = np.array([[1.0]])
    trapped = flow.integrated_flow(one, Y, 1.0, [0.0, 40.0], shape=np.array([[0.0], [1.0]]))
    assert float(trapped.loss[-1]) == pytest.approx(1.0, abs=1e-9)
    assert abs(float(trapped.minus[-1, 0])) < 1e-9
    free = flow.integrated_flow(one, Y, 1.0, [0.0, 2.0])
    assert float(free.loss[-1]) <= np.exp(-32 * 2.0) + 1e-20
    assert derivation.gradient_bound().holds


def test_P16_nothing_moves_from_zero():
    still = flow.integrated_flow(X, Y, 1.0, [0.0, 100.0], shape=np.zeros(2))
    assert np.all(np.asarray(still.beta) == 0.0)
    with pytest.raises(ValueError, match="alpha"):
        numerics.minimum_q_interpolator(X, Y, 0.0)


def test_P17_few_samples_may_contradict_each_other():
    twice, labels = np.vstack([X, X]), np.array([0.0, 1.0])
    with pytest.raises(ValueError, match="range"):
        numerics.minimum_q_interpolator(twice, labels, 0.5)
    end = flow.integrated_flow(twice, labels, 0.5, [0.0, 6.0])
    assert twice @ np.asarray(end.beta[-1]) == pytest.approx([0.5, 0.5], abs=1e-8)
    mean = numerics.minimum_q_interpolator(X, np.array([0.5]), 0.5)
    assert np.asarray(end.beta[-1]) == pytest.approx(np.asarray(mean), abs=1e-8)


def test_Y18_few_samples_do_not_give_the_sparse_target():
    d, target = 1000, np.zeros(1000)
    target[:5] = 5**-0.5
    data = np.random.default_rng(0).normal(size=(100, d))
    few, enough = (numerics.minimum_l1(data[:n], data[:n] @ target).beta for n in (20, 100))
    assert np.linalg.norm(few - target) > 0.5
    assert np.linalg.norm(enough - target) < 1e-9
    # As many samples as coordinates: lazy training attains the target as well.
    square = np.random.default_rng(1).normal(size=(12, 12))
    assert np.asarray(numerics.minimum_l2(square, square @ target[:12])) == pytest.approx(target[:12], abs=1e-9)


def test_Y23_the_output_scale_is_the_square():
    """The flow of R(a h)/a^2 from ones, as Section 2 of the report has it, ends at the minimizer of Q at sqrt(a)."""
    a = 0.25
    h = models.as_map(models.diagonal(), jnp.asarray(X))
    end = gradient_flow(h, models.init_diagonal(2, 1.0), square_loss(jnp.asarray(Y)), alpha=a, times=[0.0, 60.0])
    beta = a * np.asarray(end.params["plus"][-1] ** 2 - end.params["minus"][-1] ** 2)
    assert beta == pytest.approx(np.asarray(numerics.minimum_q_interpolator(X, Y, a**0.5)), abs=1e-7)
    assert np.linalg.norm(beta - np.asarray(numerics.minimum_q_interpolator(X, Y, a))) > 0.1
