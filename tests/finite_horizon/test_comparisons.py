"""The paths in a plane, plain and on a slider, and descent beside the flow."""

import html

import jax
import numpy as np
import pytest

from lazy_course.finite_horizon import cases, comparisons, sliders


@pytest.fixture(scope="module")
def tanh():
    return cases.tanh_problem(jax.random.key(3))


@pytest.mark.slow
def test_paths_close_up(tanh):
    alphas = np.array([1.0, 10.0, 100.0])
    linear, paths = comparisons.paths_in_plane(tanh, alphas, horizon=2.0)
    apart = np.linalg.norm(paths[:, -1] - linear[-1][None], axis=-1)
    assert apart[0] > 5 * apart[1] > 25 * apart[2] > 0
    assert abs(linear[-1][1]) < 1e-12
    assert linear[-1][0] > 0


def test_the_slider_joins_both_paths_at_equal_times():
    times = np.linspace(0, 1, 9)
    linear = np.stack([times, 0 * times], axis=1)
    paths = np.stack([linear, linear + np.stack([0 * times, times], axis=1)])
    page = sliders.paths(np.array([0.5, 100.0]), linear, paths, alt="Two paths.", twin="See the panels.").data
    assert html.escape('["0.5", "100"]') in page
    # At four equal times up to the end: a point of the linearization, the model's, a break.
    assert '"x":[0.25,0.25,null,0.5,0.5,null,0.75,0.75,null,1.0,1.0,null]' in page
    assert '"y":[0.0,0.25,null,0.0,0.5,null,0.0,0.75,null,0.0,1.0,null]' in page


@pytest.mark.slow
def test_descent_is_lazy_at_steps_that_do_not_follow_the_flow(tanh):
    """At equal flow time descent misses the flow by O(step); the gap of the two descents is that of the flows."""
    rows = comparisons.descent_rows(tanh, 100.0, horizon=8.0)
    off, gap = (np.array(rows[name]) for name in ("descent - flow", "gap of the descents"))
    assert off[-2] / off[-1] == pytest.approx(2, abs=0.05)
    assert off[0] > 20 * rows["gap of the flows"][0]
    # 8.8 %, 4.6 %, 2.3 %, 1.1 %: an error of order one in the step, too.
    excess = gap / np.array(rows["gap of the flows"]) - 1
    assert excess[0] == pytest.approx(0.088, abs=0.002)
    assert excess[-2] / excess[-1] == pytest.approx(2, abs=0.05)
    np.testing.assert_allclose(np.array(rows["steps"]) * rows["step size"], 8.0)


def test_the_table_of_the_descents_has_a_line_a_step_size():
    table = comparisons.descent_table({"steps": [5, 10], "step size": [1.6, 0.8]})
    assert table == "| steps | step size |\n|---|---|\n| 5 | 1.6 |\n| 10 | 0.8 |"
