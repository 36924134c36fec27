"""The first correction against the gap of the two flows, which is computed by other equations."""

import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.expansion import first_correction
from lazy_course.flows import flow_gap, linearized_flow_closed_form, norm_over_time
from lazy_course.losses import square_loss
from tests.shared.flow_problems import TIMES, diagonal_problem, difference, tanh_problem

PROBLEMS = {
    "tanh, square loss": tanh_problem,
    "tanh, log-cosh loss": lambda: tanh_problem("log cosh"),
    "diagonal with generic weights": diagonal_problem,
}


def largest(tree):
    return float(jnp.max(norm_over_time(tree)))


@pytest.mark.parametrize("name", PROBLEMS)
def test_gap_tends_to_the_correction(name):
    h, params0, loss = PROBLEMS[name]()
    first = first_correction(h, params0, loss, times=TIMES)
    limit, output_limit = largest(first.correction), largest({"y": first.output_correction})
    assert min(limit, output_limit) > 1e-3
    # The next term of the expansion is O(1/alpha) against this one; 1e8 shows the floor of the solver.
    for alpha, tolerance in [(1e4, 1e-3), (1e6, 1e-5), (1e8, 1e-6)]:
        gap = flow_gap(h, params0, loss, alpha=alpha, times=TIMES)
        assert largest(difference(gap.scaled_parameter_gap, first.correction)) < tolerance * limit
        assert largest({"y": gap.scaled_output_gap - first.output_correction}) < tolerance * output_limit
        assert largest(gap.scaled_parameter_gap) == pytest.approx(limit, rel=tolerance)


def test_order_zero_is_the_linearized_flow():
    h, params0, loss = tanh_problem()
    first = first_correction(h, params0, loss, times=TIMES)
    linear = linearized_flow_closed_form(h, params0, loss.target, alpha=1.0, times=TIMES)
    assert largest(difference(first.displacement, linear.displacement)) < 1e-8
    np.testing.assert_allclose(first.outputs, linear.outputs, atol=1e-8)


def test_correction_of_a_parabola_by_hand():
    r"""h(w) = w + w^2/2, w0 = 0, R = (y - 1)^2/2: v0 = 1 - exp(-t), and v1' = -v1 - v0^2/2 + v0 exp(-t)."""
    first = first_correction(
        lambda w: w + 0.5 * w**2, jnp.zeros(1), square_loss([1.0]), times=np.linspace(0.0, 5.0, 11)
    )
    t, q = first.times, jnp.exp(-first.times)
    # With v0 = 1 - q the right side is -v1 - 1/2 + 2 q - (3/2) q^2.
    v1 = -0.5 + 2 * t * q + 1.5 * q**2 - q
    np.testing.assert_allclose(first.correction[:, 0], v1, atol=1e-8)
    np.testing.assert_allclose(first.output_correction[:, 0], v1 + 0.5 * (1 - q) ** 2, atol=1e-8)


def test_offset_is_held_fixed():
    """With offset c the models are h - h(w0) + c/alpha: equivalently, the square loss of the target minus c."""
    h, params0, loss = tanh_problem()
    offset = 0.3 * jnp.ones_like(loss.target)
    moved = first_correction(h, params0, loss, times=TIMES, offset=offset)
    shifted = first_correction(h, params0, square_loss(loss.target - offset), times=TIMES)
    assert largest(difference(moved.correction, shifted.correction)) < 1e-9
    np.testing.assert_allclose(moved.outputs, shifted.outputs + offset[None], atol=1e-9)


def test_refuses_a_model_that_does_not_vanish():
    h, params0, loss = tanh_problem(centred=False)
    with pytest.raises(ValueError, match=r"h: expected h\(params0\) = 0.*models.centred"):
        first_correction(h, params0, loss, times=TIMES)
    with pytest.raises(ValueError, match="offset: expected the shape"):
        first_correction(h, params0, loss, times=TIMES, offset=jnp.zeros(1))
