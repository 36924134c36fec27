"""The exact minimizer at every scale: against the flow, its two ends, its conditions, and bad input."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from lazy_course.implicit_bias import curves, dual, experiment, flow, numerics

SCALES = np.logspace(1, -8, 19)


def drawn(seed, n=4, d=9, nonzeros=9):
    """Normal data and a target of few entries."""
    generator = np.random.default_rng(seed)
    target = np.zeros(d)
    target[:nonzeros] = generator.normal(size=nonzeros)
    data = generator.normal(size=(n, d))
    return data, data @ target


def test_q_is_the_integral_of_arcsinh():
    for z in (-3.0, 1e-3, 0.4, 20.0):
        assert float(numerics.q(z)) == pytest.approx(quad(lambda u: np.arcsinh(u / 2), 0, z)[0], rel=1e-10)
    assert float(numerics.q(1e-9)) == pytest.approx(0.25e-18, rel=1e-12)
    big = 1e200
    assert float(numerics.q(big)) == pytest.approx(big * (np.log(big) - 1), rel=1e-12)
    assert float(jax.grad(numerics.q)(jnp.asarray(5.0))) == pytest.approx(np.arcsinh(2.5), rel=1e-12)


def test_the_potential_sums_q():
    beta = np.array([0.3, -2.0])
    total = float(numerics.q(0.3 / 0.25) + numerics.q(8.0))
    assert float(numerics.potential(beta, 0.5)) == pytest.approx(total)


def test_the_minimizer_is_where_the_flow_ends():
    """Integrated in all 2d weights, alpha = 1 and 0.4: the limits agree to 1e-8."""
    x, y = drawn(3)
    for alpha in (1.0, 0.4):
        end = flow.integrated_flow(x, y, alpha, np.linspace(0.0, 60.0, 200))
        assert float(end.loss[-1]) < 1e-18
        assert np.asarray(end.beta[-1]) == pytest.approx(
            np.asarray(numerics.minimum_q_interpolator(x, y, alpha)), abs=1e-8
        )


def test_conditions_hold_from_a_million_to_a_trillionth():
    """d = 1000, N = 100, fifteen alphas: residual and stationarity below 1e-10, on sparse and on dense targets.

    Timed on the processor's clock, so that a busy machine does not matter: less than a second on two cores, which is
    half a second on the wall.
    """
    x, sparse, _ = experiment.problem(0)
    dense = sparse + np.asarray(jax.random.normal(jax.random.key(1), sparse.shape))
    scales = np.geomspace(1e6, 1e-12, 15)
    for y in (sparse, dense):
        found = numerics.minimum_q_solution(x, y, scales)
        assert np.max(np.abs(np.asarray(found.beta) @ x.T - y)) < 1e-10
        rows = np.arcsinh(np.asarray(found.beta) / (2 * scales[:, None] ** 2))
        # the slope is in the row space: its part in the kernel of X is zero
        kernel = rows - np.linalg.lstsq(x, x @ rows.T, rcond=None)[0].T
        assert np.max(np.abs(kernel)) < 1e-10
        assert np.max(np.asarray(found.stationarity)) < 1e-10
        assert np.max(np.asarray(found.steps)) < 80
    begin = time.process_time()
    jax.block_until_ready(numerics.minimum_q_interpolator(x, dense, scales))
    assert time.process_time() - begin < 1.0


def test_multiplier_is_that_of_the_data():
    x, y = drawn(1)
    found = numerics.minimum_q_solution(x, y, 0.3)
    assert np.asarray(found.beta) == pytest.approx(2 * 0.09 * np.sinh(x.T @ np.asarray(found.multiplier)), abs=1e-12)


def test_every_other_solution_is_worse(key):
    """Q grows in the directions of the kernel, by at least a quadratic amount."""
    x, y = drawn(2)
    for alpha in (2.0, 0.1, 1e-3):
        beta = np.asarray(numerics.minimum_q_interpolator(x, y, alpha))
        steps = 0.1 * np.asarray(jax.random.normal(key, (20, 9)))
        inside = steps - np.linalg.lstsq(x, x @ steps.T, rcond=None)[0].T
        least = numerics.potential(beta, alpha)
        assert np.all(np.asarray(numerics.potential(beta[None] + inside, alpha)) > float(least))


def test_order_and_company_of_the_scales_do_not_matter():
    x, y = drawn(4)
    mixed = np.array([1e-6, 3.0, 1e-2])
    together = np.asarray(numerics.minimum_q_interpolator(x, y, mixed))
    for i, alpha in enumerate(mixed):
        assert np.asarray(numerics.minimum_q_interpolator(x, y, alpha)) == pytest.approx(together[i], abs=1e-11)


def test_scale_and_labels_enter_together():
    r"""$\beta_\alpha(y) = \alpha^2\beta_1(y/\alpha^2)$."""
    x, y = drawn(5)
    one = np.asarray(numerics.minimum_q_interpolator(x, y / 0.01, 1.0))
    assert np.asarray(numerics.minimum_q_interpolator(x, y, 0.1)) == pytest.approx(0.01 * one, abs=1e-12)


def test_first_correction_of_the_lazy_end():
    """P5: alpha^4 (beta_alpha - beta_2) tends to P_ker(beta_2^3)/24, and the rest falls with slope -8."""
    x, y = drawn(6)
    scales = np.array([3.0, 6.0, 12.0])
    least = np.asarray(numerics.minimum_l2(x, y))
    gap = np.asarray(numerics.minimum_q_interpolator(x, y, scales)) - least[None]
    cube = least**3
    correction = (cube - np.linalg.lstsq(x, x @ cube, rcond=None)[0]) / 24
    first = np.linalg.norm(gap, axis=1)
    rest = np.linalg.norm(gap - correction[None] / scales[:, None] ** 4, axis=1)
    assert np.polyfit(np.log(scales), np.log(first), 1)[0] == pytest.approx(-4, abs=0.02)
    assert np.polyfit(np.log(scales), np.log(rest), 1)[0] == pytest.approx(-8, abs=0.06)
    # the smallest example: 2 (1, -2) / 625
    two = (np.asarray(numerics.minimum_q_interpolator(*curves.SMALLEST, 20.0)) - [0.8, 0.4]) * 20.0**4
    assert two == pytest.approx([2 / 625, -4 / 625], rel=1e-4)


def test_both_ends():
    x, y = drawn(7)
    ends = np.asarray(numerics.minimum_q_interpolator(x, y, [1e6, 1e-12]))
    assert ends[0] == pytest.approx(np.linalg.pinv(x) @ y, abs=1e-12)
    l1 = numerics.minimum_l1(x, y)
    assert np.sum(np.abs(ends[1])) == pytest.approx(np.sum(np.abs(l1.beta)), rel=0.05)
    assert float(numerics.excess(ends[1], l1)) >= 0


@pytest.mark.parametrize("nonzeros", [1, 2, 9])
def test_the_l1_solution_has_its_certificate(nonzeros):
    """Feasible, a dual certificate of the same value, and the exchange of the second program with the value c."""
    for seed in range(6):
        x, y = drawn(seed, nonzeros=nonzeros)
        l1 = numerics.minimum_l1(x, y)
        on, signs = l1.support, np.sign(l1.beta)
        assert x @ l1.beta == pytest.approx(y, abs=1e-12)
        assert x.T @ l1.certificate == pytest.approx(l1.correlations, abs=1e-9)
        assert l1.correlations[on] == pytest.approx(signs[on], abs=1e-9)
        assert np.max(np.abs(l1.correlations[~on])) == pytest.approx(l1.largest, abs=1e-9)
        assert l1.largest < 1
        assert l1.certificate @ y == pytest.approx(np.sum(np.abs(l1.beta)), abs=1e-9)
        # X_S lambda = X mu with a mu off S of l1 norm 1, the least among those that reach X_S lambda
        assert l1.exchange @ signs == pytest.approx(l1.largest, abs=1e-9)
        assert not np.any(l1.exchange[~on])
        back = numerics.minimum_l1(x[:, ~on], x @ l1.exchange)
        assert np.sum(np.abs(back.beta)) == pytest.approx(1.0, abs=1e-7)


def test_excess_does_not_cancel():
    """The sum with the certificate is the difference of the norms, and is right where that difference is rounding."""
    x, y = curves.two_inputs(0.1)
    l1 = numerics.minimum_l1(x, y)
    found = numerics.minimum_q_interpolator(x, y, [0.1, 1e-10])
    plain = np.sum(np.abs(np.asarray(found)), axis=1) - np.sum(np.abs(l1.beta))
    exact = np.asarray(numerics.excess(found, l1))
    assert exact[0] == pytest.approx(plain[0], rel=1e-10)
    # 0.9 alpha^1.8: twelve digits below what the difference of the norms can show
    assert exact[1] == pytest.approx(0.9e-18, rel=1e-3)
    assert abs(plain[1] - exact[1]) > 10 * exact[1] or plain[1] == 0


def test_redundant_rows_change_nothing():
    """Rank 2 of three samples: the third row is the sum of the others."""
    x, y = drawn(8)
    more = np.vstack([x[:2], x[0] + x[1]]), np.append(y[:2], y[0] + y[1])
    for alpha in (1.0, 1e-4):
        pair = np.asarray(numerics.minimum_q_interpolator(x[:2], y[:2], alpha))
        assert np.asarray(numerics.minimum_q_interpolator(*more, alpha)) == pytest.approx(pair, abs=1e-12)


def test_zero_labels_give_zero():
    x, _ = drawn(9)
    assert not np.any(np.asarray(numerics.minimum_q_interpolator(x, np.zeros(4), [1.0, 1e-6])))
    assert not np.any(numerics.minimum_l1(x, np.zeros(4)).beta)


def test_bad_input_is_named():
    x, y = drawn(0)
    more = np.vstack([x[:2], x[0] + x[1]])
    with pytest.raises(ValueError, match=r"y: expected a vector in the range of X \(rank 2, 3 samples\)"):
        numerics.minimum_q_interpolator(more, np.array([1.0, 1.0, 3.0]), 1.0)
    nearest = more @ np.asarray(numerics.minimum_l2(more, np.array([1.0, 1.0, 3.0])))
    assert np.all(np.isfinite(np.asarray(numerics.minimum_q_interpolator(more, nearest, 1.0))))
    for alpha in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="alpha: expected a positive finite number"):
            numerics.minimum_q_interpolator(x, y, alpha)
    with pytest.raises(ValueError, match="X: expected a matrix that is not zero"):
        numerics.minimum_l1(np.zeros((2, 3)), np.zeros(2))
    with pytest.raises(ValueError, match="expected finite numbers"):
        numerics.minimum_q_interpolator(np.where(x > 1, np.nan, x), y, 1.0)
    with pytest.raises(ValueError, match=r"expected shapes \(N, d\) and \(N,\)"):
        dual.row_space(np.zeros((0, 3)), np.zeros(0))


def test_cut_steps_descend(key):
    """The dual falls at every step of the limited Newton method from far away, as the lemma says."""
    x, y = drawn(1)
    space = dual.row_space(x, y)
    rows, goal = jnp.asarray(space.rows), jnp.asarray(space.target)
    log_scale = 2 * np.log(1e-3)

    def value(nu):
        u = np.asarray(nu) @ space.rows
        return float(np.sum(np.exp(log_scale + u) + np.exp(log_scale - u)) - np.asarray(nu) @ space.target)

    flat = jnp.zeros(9)
    state = dual.State(
        jnp.asarray(log_scale),
        5 * jax.random.normal(key, (4,)),
        jnp.zeros(4),
        jnp.asarray(jnp.inf),
        jnp.asarray(False),
        jnp.asarray(0),
    )
    values, step = [value(state.nu)], jax.jit(dual.newton_step)
    for _ in range(25):
        state = step(rows, goal, flat, flat, state)
        values.append(value(state.nu))
    falls = -np.diff(values)
    assert np.all(falls[:8] > 0)
    assert np.all(falls > -1e-13 * max(np.abs(values)))
    assert float(state.move) < 1e-8
