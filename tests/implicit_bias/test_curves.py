"""What the figures draw: paths and level sets in the plane, slopes, and times between their proved bounds."""

import html

import numpy as np
import pytest
from matplotlib.figure import Figure

from lazy_course.implicit_bias import curves, figures, flow, numerics, rates, sliders
from lazy_course.implicit_bias.curves import SMALLEST
from tests.implicit_bias.test_flow import TIMES
from tests.implicit_bias.test_numerics import drawn

FIVE = np.array([1.0, 0.1, 0.01])


def test_path_in_the_plane_is_that_of_the_flow():
    """The curve drawn without time: every point of the flow lies on it, to a few thousandths of its length."""
    for alpha in (2.0, 0.1):
        plane = curves.plane(alpha)
        beta = np.asarray(flow.flow(*SMALLEST, alpha, TIMES).beta)
        gaps = np.linalg.norm(beta[:, None] - plane.path[None], axis=2).min(axis=1)
        assert np.max(gaps) < 0.004
        assert plane.path[0] == pytest.approx([0, 0])
        assert plane.path[-1] == pytest.approx(plane.limit)
        assert SMALLEST[0] @ plane.limit == pytest.approx(SMALLEST[1])


def test_paths_go_to_both_sides():
    plane = curves.plane(0.1, np.array([[1.0, -0.5]]), np.array([-1.0]))
    assert plane.limit[0] < 0 < plane.limit[1]


@pytest.mark.parametrize(("alpha", "shape"), [(30.0, 2), (1e-9, 1)])
def test_level_sets_go_from_circle_to_diamond(alpha, shape):
    """All points have the value of Q; for a large alpha they have one l2 norm, for a small one nearly one l1 norm."""
    through = np.array([0.9, 0.2])
    points = curves.level_set(alpha, through)
    level = float(numerics.potential(through, alpha))
    assert np.asarray(numerics.potential(points, alpha)) == pytest.approx(np.full(len(points), level), rel=1e-10)
    norms = np.linalg.norm(points, ord=shape, axis=1)
    spread = (norms.max() - norms.min()) / norms.mean()
    assert spread < (1e-5 if shape == 2 else 0.03)
    assert points[0] == pytest.approx(points[-1])


def test_slopes_on_both_kinds_of_data():
    """A generic instance with c near 1 is slow; slopes at depth 2, and at depth 3 on the smallest example."""
    fast = curves.excess(*SMALLEST, np.array([1e-3, 1e-4]))
    assert fast.slope() == pytest.approx(1.0, abs=1e-3)
    deep = curves.excess(*SMALLEST, np.array([1e-2, 1e-3]), D=3)
    assert deep.slope() == pytest.approx(3.0, abs=0.02)
    with pytest.raises(ValueError, match="c: expected a number between 0 and 1"):
        curves.two_inputs(1.0)


def test_times_lie_between_the_proved_ones():
    """Fitted before the proved bound and not before the first escape; the time grows like a logarithm of alpha."""
    found = curves.fit_times(*SMALLEST, FIVE)
    assert np.all(found.fitted <= found.latest)
    assert np.all(found.fitted >= found.earliest)
    # ln(1/alpha^2) / (8 x_1^T y) to leave the saddle, at x_1^T y = 1; then L falls at the rate 16
    assert found.fitted[2] - found.fitted[1] == pytest.approx(np.log(100) / 8, rel=0.03)
    assert found.late_rate[2] == pytest.approx(16, rel=0.01)


def test_sparse_data_settle_late():
    """One nonzero of four samples: the time to settle grows about like 1/excess, by a power of alpha."""
    x, y = drawn(2, nonzeros=1)
    c = numerics.minimum_l1(x, y).largest
    found = curves.fit_times(x, y, np.array([1e-2, 1e-3, 1e-4]))
    slopes = np.diff(np.log(found.settled)) / np.diff(np.log(found.alphas))
    assert np.all(slopes < -(2 * (1 - c)))
    assert np.all(slopes > -1.5 * 2 * (1 - c))
    assert np.all(found.settled < found.latest)


def test_figures_are_drawn():
    """Every live figure from small inputs: a figure with labelled axes."""
    planes = [curves.plane(alpha) for alpha in (2.0, 0.1)]
    curve = curves.excess(*SMALLEST, np.array([1e-2, 1e-3]))
    constants = rates.excess_constants(SMALLEST[0], numerics.minimum_l1(*SMALLEST))
    drawn = [
        figures.opening(planes),
        figures.zero_error({0.1: flow.flow(*SMALLEST, 0.1, TIMES)}, {0.1: flow.loss_rate(SMALLEST[0], 0.1)}),
        figures.power({"two": curve}, {"two": constants}, [(1e-2, 0.1), (1e-3, 0.07)]),
        figures.solver(FIVE, numerics.minimum_q_solution(*SMALLEST, FIVE)),
        figures.times({"smallest": curves.fit_times(*SMALLEST, FIVE)}),
        figures.depth({2: curve}, {2: constants}),
    ]
    for figure in drawn:
        assert isinstance(figure, Figure)
        assert all(axis.get_xlabel() and axis.lines for axis in figure.axes)
        assert figure.axes[0].get_ylabel()


def test_the_slider_has_a_place_for_every_alpha():
    """Three places, the start of the range and its end, and the axes hold still."""
    shown = sliders.paths([curves.plane(alpha) for alpha in (1.0, 0.1, 0.01)], alt="paths", twin="see above").data
    assert 'max="2"' in shown
    assert html.escape('["1", "0.1", "0.01"]') in shown
    assert "level set of Q" in shown
