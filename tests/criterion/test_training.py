"""Trained models of the chapter: the exactly linear one, the misleading one, and the recorded map."""

import numpy as np
import pytest

from lazy_course.criterion import experiment, training


def test_exactly_linear_example_has_no_gap():
    path = training.example_path(1.0, 0.5, 100.0, (1.0, 0.0), steps=40)
    assert np.all(path.gap == 0.0), "kappa = 100, and not one bit of difference"
    assert path.residual[-1] < 1e-4


def test_line_of_the_example_attracts():
    """Started beside the line, the example comes back to it: the gap stays small although kappa = 100."""
    path = training.example_path(1.0, 0.5, 100.0, (1.0, 0.0), steps=200, start=(0.0, 1e-4))
    assert path.residual[-1] < 1e-3
    assert path.gap.max() < 1e-3


def test_small_kappa_does_not_make_the_example_lazy():
    """kappa = 0.01, but the model arrives while its linearization has not moved."""
    path = training.example_path(10.0, 0.01, 1.0, (0.0, 1.0), steps=4000)
    assert path.residual[-1] < 1e-3
    assert path.linearized[-1] > 0.99


def test_map_is_lazy_above_the_line_and_silent_below():
    _, columns = experiment.load_map()
    kappa, gap = columns["kappa"].ravel(), columns["gap"].ravel()
    assert np.all(gap[kappa < 0.01] < 2e-3)
    assert np.all(gap[kappa < 0.1] < 0.15)
    beyond = gap[kappa > 3]
    assert np.median(beyond) > 0.1
    # Silent: kappa spreads over more than a decade there and does not order the gaps.
    assert abs(np.corrcoef(np.log(kappa[kappa > 3]), np.log(beyond))[0, 1]) < 0.5


@pytest.mark.slow
def test_recorded_map_is_reproduced():
    """One draw of two cells, trained again: the flow is followed to 1e-6 a step."""
    settings, columns = experiment.load_map()
    for row, column in ((2, 5), (4, 2)):
        alpha = 10.0 ** settings.log10_alphas[column]
        again = experiment.compute_cell(settings, settings.widths[row], alpha)
        for name, values in again.items():
            assert values == pytest.approx(columns[name][row, column], rel=1e-3, abs=1e-6), name
