"""Predicates for answers that are not unique, and the words on what wrong values have in common."""

import numpy as np
import pytest

from lazy_course.grading import predicates, source
from lazy_course.grading.compare import payload_difference
from lazy_course.grading.lint import lint
from lazy_course.grading.values import decode, encode
from tests.grading import tiny

V = np.array([3.0, -1.0, 2.0])
M = np.array([[1.0, 2.0], [0.0, 1.0], [-1.0, 4.0]])
Q = np.linalg.qr(M)[0]
TURN = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
SYSTEM = {"matrix": np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]), "right": np.array([2.0, 3.0])}
CUBIC = np.array([1.0, -6.0, 11.0, -6.0])  # roots 1, 2, 3
GIVEN = {"answer": np.zeros(3), "given": SYSTEM}
ROOT = {"answer": 1.0, "given": CUBIC}


def judged(name, got, wanted, rtol=1e-6, atol=1e-9):
    return predicates.reason(name, decode(encode(got)), decode(encode(wanted)), rtol=rtol, atol=atol)


@pytest.mark.parametrize(
    ("name", "got", "wanted"),
    [
        ("proportional", -7 * V, V),
        ("proportional", 1e200 * V, V),
        ("proportional", [6.0, -2.0, 4.0], V),
        ("proportional", -M, M),
        ("up-to-sign", -V, V),
        ("up-to-sign", -2.0, 2.0),
        ("columns-up-to-sign", Q * [1, -1], Q),
        ("permutation", V[::-1], V),
        ("permutation", np.array([1, 1, 2]), np.array([2, 1, 1])),
        ("permutation", M[[2, 0, 1]], M),
        ("same-span", M @ [[1.0, 5.0], [2.0, -1.0]], M),
        ("same-span", M * [1e-9, 1e9], M),
        ("same-span", 3 * V, V),
        ("orthonormal-basis", Q @ TURN, Q),
        ("root-of-polynomial", {"answer": 3.0, "given": None}, ROOT),
        ("root-of-polynomial", {"answer": 2, "more": "text"}, ROOT),
        ("solution-of-system", {"answer": np.array([0.0, 2.0, 1.0])}, GIVEN),
        ("solution-of-system", {"answer": [1e3, 2.0 - 1e3, 1.0 + 1e3]}, GIVEN),
    ],
)
def test_each_right_answer_is_taken(name, got, wanted):
    assert judged(name, got, wanted) is None
    if name not in predicates.WITH_GIVEN:
        assert judged(name, wanted, wanted) is None


@pytest.mark.parametrize(
    ("name", "got", "wanted", "reason"),
    [
        ("proportional", V + np.array([0, 0, 1e-4]), V, "direction"),
        ("proportional", 0 * V, V, "it is zero"),
        ("proportional", V[:2], V, "shape (2,)"),
        ("proportional", V * np.nan, V, "not a number"),
        ("proportional", "V", V, "not a number"),
        ("proportional", None, V, "not a number"),
        ("proportional", V > 0, V, "not a number"),
        ("up-to-sign", 2 * V, V, "nor its negative"),
        ("up-to-sign", V * [1, -1, 1], V, "nor its negative"),
        ("columns-up-to-sign", Q[:, ::-1], Q, "2 of 2 columns"),
        ("columns-up-to-sign", Q * [[1, 1], [1, 1], [1, -1]], Q, "1 of 2 columns"),
        ("permutation", V[[0, 0, 1]], V, "1 of 3 entries"),
        ("permutation", M[:, ::-1], M, "rows"),
        ("permutation", M[[0, 0, 1]], M, "1 of 3 rows"),
        ("same-span", M + np.eye(3)[:, 1:] * [0, 1], M, "another space"),
        ("same-span", M[:, [0, 0]], M, "not linearly independent"),
        ("same-span", 0 * M, M, "not linearly independent"),
        ("orthonormal-basis", M, Q, "not orthonormal"),
        ("orthonormal-basis", np.eye(3)[:, :2], Q, "another space"),
        ("orthonormal-basis", 1e200 * Q, Q, "not orthonormal"),
        ("root-of-polynomial", {"answer": 2.5, "given": [0.0, 0.0]}, ROOT, "no root"),
        ("root-of-polynomial", {"answer": 1e300}, ROOT, "no root"),
        ("root-of-polynomial", {"answer": [1.0, 2.0]}, ROOT, "one number"),
        ("root-of-polynomial", 1.0, ROOT, "not a number"),
        ("solution-of-system", {"answer": np.array([1.0, 1.0, 1.0])}, GIVEN, "does not solve"),
        ("solution-of-system", {"answer": 1e9 * np.array([1.0, -1.0, 1.0]) + 0.1}, GIVEN, "does not solve"),
        ("solution-of-system", {"answer": np.zeros(2), "given": {"matrix": [], "right": []}}, GIVEN, "shape (2,)"),
    ],
)
def test_each_wrong_answer_is_named(name, got, wanted, reason):
    assert reason in str(judged(name, got, wanted))


@pytest.mark.parametrize(
    ("name", "reference", "fault"),
    [
        ("proportional", np.zeros(3), "other than 0"),
        ("proportional", 2.0, "every number"),
        ("up-to-sign", "text", "finite numbers"),
        ("permutation", 2.0, "shape ()"),
        ("permutation", np.zeros((301, 2)), "at most 300"),
        ("same-span", np.eye(2), "the whole space"),
        ("root-of-polynomial", 2.0, "answer"),
        ("root-of-polynomial", {"answer": 1.0, "given": [0.0, 3.0]}, "coefficients"),
        ("solution-of-system", {"answer": 1.0, "given": {"matrix": [1.0], "right": 1.0}}, "rows"),
        ("solution-of-system", {"answer": 1.0, "given": [1.0]}, "matrix"),
    ],
)
def test_a_solution_that_a_predicate_cannot_judge_is_a_fault_of_the_set(name, reference, fault):
    assert fault in predicates.fault(name, decode(encode(reference)))


def test_the_solutions_of_these_tests_can_be_judged():
    pairs = [("proportional", V), ("permutation", M), ("same-span", M), ("orthonormal-basis", Q)]
    for name, reference in [*pairs, ("root-of-polynomial", ROOT), ("solution-of-system", GIVEN), ("", "anything")]:
        assert predicates.fault(name, decode(encode(reference))) == ""


def test_lint_holds_planted_answers_against_the_predicate(tmp_path):
    """The sign that was dropped is right once the question asks for a direction; the transposed one stays wrong."""
    text = tiny.TINY.read_text()
    statement = '"question": "gradient", "points": 3,'
    assert statement in text
    path = tmp_path / "tiny.md"
    path.write_text(text.replace(statement, statement + ' "predicate": "proportional",'))
    assert lint(path) == ['gradient: the planted answer "drops the sign" is marked right']
    question = source.read(path).questions[1]
    assert question.rule == {"rtol": 1e-6, "atol": 1e-9, "predicate": "proportional"}
    path.write_text(text.replace(statement, statement + ' "predicate": "root-of-polynomial",'))
    assert "gradient: the predicate root-of-polynomial needs a probe that shows" in "\n".join(lint(path))
    path.write_text(text.replace(statement, statement + ' "predicate": "eval",'))
    with pytest.raises(source.SourceError, match="predicate is 'eval'; it is one of proportional, up-to-sign"):
        source.read(path)


def payload(*values):
    return {"question": "q", "cases": [encode(value) for value in values]}


RIGHT = (np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[2.0, -7.0], [1.0, 4.0]]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: -a, "case 1 of 2: 4 of 4 entries are not right: every value has the right size and the wrong sign"),
        (lambda a: a.T, "the transpose"),
        (lambda a: a / 2, "one and the same factor"),
        (lambda a: a + 0.25, "one and the same constant"),
        (lambda a: a * (1 + 1e-5), "not to the relative tolerance 1e-06"),
        (lambda a: a * (1 + 1e-4 * np.arange(4).reshape(2, 2)), "not to the relative tolerance 1e-06"),
    ],
)
def test_what_wrong_values_have_in_common_is_said(change, said):
    assert said in str(payload_difference(payload(*map(change, RIGHT)), payload(*RIGHT), rtol=1e-6, atol=0.0))


def test_nothing_is_said_of_values_that_have_nothing_in_common():
    wrong = (RIGHT[0] ** 2, RIGHT[1])
    said = payload_difference(payload(*wrong), payload(*RIGHT), rtol=1e-6, atol=0.0)
    assert said == "case 1 of 2 (1 of 2 are right): 3 of 4 entries are not right"
    for got, wanted in [(0.0, 2.0), (3.0, 2.0), ([1.0, "a"], [2.0, "b"]), ({"a": 1.0}, {"a": 2.0})]:
        said = payload_difference(payload(got), payload(wanted), rtol=1e-6, atol=0.0)
        assert str(said).count(":") == 1 + isinstance(got, list | dict), said
    said = payload_difference(payload(np.array([1.0, np.nan])), payload(np.ones(2)), rtol=1e-6, atol=0.0)
    assert str(said).startswith(
        "case 1 of 1: 1 of 2 entries are not finite (nan or infinity): look for a division by 0"
    )
    said = payload_difference(payload(None), payload(1.0), rtol=1e-6, atol=0.0)
    assert said == "case 1 of 1: the answer is None, but a number is needed (does the function end with `return`?)"
    turned = payload_difference(payload(np.ones((2, 3))), payload(np.ones((3, 2))), rtol=1e-6, atol=0.0)
    assert "shape (2, 3), but (3, 2) is needed (is it transposed?)" in str(turned)
