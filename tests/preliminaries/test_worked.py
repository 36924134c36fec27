"""The question that the page solves: its first attempt is off by the factor n, and its answer is right."""

import numpy as np

from lazy_course.preliminaries import worked

CASE = (worked.WEIGHTS, worked.INPUTS, worked.TARGETS)


def test_first_attempt_is_off_by_the_number_of_samples():
    ratio = worked.first_attempt(*CASE) / worked.central_differences(*CASE)
    np.testing.assert_allclose(ratio, worked.INPUTS.size, rtol=1e-8)


def test_answer_agrees_with_differences_for_any_number_of_samples():
    draw = np.random.default_rng(3)
    for n in (1, 5):
        case = (draw.normal(size=2), draw.normal(size=n), draw.normal(size=n))
        np.testing.assert_allclose(worked.answer(*case), worked.central_differences(*case), rtol=1e-7, atol=1e-9)
