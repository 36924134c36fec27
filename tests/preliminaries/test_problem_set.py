"""The warm-up set: its self-checks say yes to the solution, wait for an answer, and catch every planted mistake."""

from tests.grading.shared_tests import SelfChecks
from tests.grading.workbook import Workbook


class TestProblemSet(SelfChecks):
    book = Workbook("preliminaries")
    questions, automatic, points = 3, 3, 5
