"""The criterion problem set: its shape, its key against answers found by other means, and its self-checks."""

import numpy as np

from tests.criterion import independent_answers
from tests.grading.shared_tests import ProblemSetTests
from tests.grading.workbook import Workbook

BOOK = Workbook("criterion")


class TestProblemSet(ProblemSetTests):
    book, answers = BOOK, independent_answers
    questions, automatic, points = 13, 12, 40

    def far(self, question):
        """network-kappa draws harder cases."""
        if question.id == "network-kappa":
            return {"rtol": 30 * question.rtol, "atol": 0.0}
        return super().far(question)


def test_the_counterexample_of_the_statement():
    """kappa = 0.01 and right / left = 5 for h = (10 w1, 0.01 w2 + w2^2 / 2) and residual (0, -1)."""
    np.testing.assert_allclose(
        BOOK.solution("misled-model")["misled_model"](10.0, 1.0, 0.01, 5.0), [0.01, 1.0], rtol=1e-12
    )


def test_the_self_check_of_the_layers_compares_outputs_that_are_not_zero():
    """With dead ReLUs every answer would agree: an answer that returns 0 must fail in each of the four cases."""
    said = BOOK.said("rescaled-layers", "def rescaled_layers(output, factors, s):\n    return 0 * output")
    assert said.count("not yet: ") == 4
