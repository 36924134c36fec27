"""Values over the border: what is encoded comes back, what is forged is refused, and the comparison's table."""

import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.grading import probe
from lazy_course.grading.compare import difference, payload_difference
from lazy_course.grading.values import MAX_NUMBERS, decode, encode


class Liar(float):
    """A number that claims to equal everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -(2**70), 0.1, 1e-300, math.inf, "kappa", [1, [2.5, "a"]], {"b": 1, "a": [None]}],
)
def test_plain_values_come_back_as_they_were(value):
    assert decode(json.loads(json.dumps(encode(value)))) == value


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3), np.zeros((0, 2)), np.array([1, 2]), np.eye(2) > 0])
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_arrays_come_back_with_shape_and_kind(array, kind):
    back = decode(json.loads(json.dumps(encode(kind(array)))))
    assert back.shape == array.shape
    assert back.dtype.kind == array.dtype.kind
    np.testing.assert_array_equal(back, array)


def test_every_digit_crosses_the_border():
    value = np.float64(0.1) + np.float64(0.2)
    assert decode(json.loads(json.dumps(encode(value)))) == 0.30000000000000004


def test_values_that_are_not_finite_are_spelled_out():
    assert [encode(x)["value"] for x in (math.nan, math.inf, -math.inf)] == ["nan", "inf", "-inf"]
    assert json.dumps(encode(np.array([1.0, np.nan])), allow_nan=False)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "is a object"),
        (1j, "complex"),
        (np.array([1j]), "complex"),
        (np.zeros(MAX_NUMBERS + 1), "too large"),
        ([0] * (MAX_NUMBERS + 1), "too large"),
        ("a" * 20_000, "characters"),
        (2**5000, "bits"),
        ([[[[[[[[[[1]]]]]]]]]], "nests"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_a_reason(value, reason):
    with pytest.raises(ValueError, match=reason):
        encode(value)


@pytest.mark.parametrize(
    "forged",
    [
        None,
        7,
        {"kind": "float"},
        {"kind": "float", "value": True},
        {"kind": "float", "value": "1.0"},
        {"kind": "float", "value": 10**400},
        {"kind": "bool", "value": 1},
        {"kind": "int", "value": 1.0},
        {"kind": "array", "dtype": "float", "shape": [2], "data": [1.0]},
        {"kind": "array", "dtype": "float", "shape": [-1], "data": []},
        {"kind": "array", "dtype": "object", "shape": [1], "data": [{}]},
        {"kind": "array", "dtype": "int", "shape": [1], "data": [2**80]},
        {"kind": "list", "items": "ab"},
        {"kind": "right", "value": True},
    ],
)
def test_a_forged_value_is_refused(forged):
    with pytest.raises(ValueError, match=r"form|shape|entries|large"):
        decode(forged)


@pytest.mark.parametrize(
    ("got", "wanted"),
    [
        (0.1 + 0.2, 0.3),
        (1.0 + 9e-7, 1.0),
        (2, 2.0),
        (2.0, 2),
        ([1.0, 2.0], np.array([1.0, 2.0])),
        (np.array([1.0, 2.0]), [1.0, 2.0]),
        ([[1, 2], [3, 4]], np.array([[1.0, 2.0], [3.0, 4.0]])),
        (math.inf, math.inf),
        (True, True),
        ("lazy", "lazy"),
        (None, None),
        ({"a": 1.0}, {"a": 1.0 + 1e-9}),
        (0.0, 1e-10),
    ],
)
def test_right_answers_are_taken(got, wanted):
    assert difference(decode(encode(got)), decode(encode(wanted)), rtol=1e-6, atol=1e-9) is None


@pytest.mark.parametrize(
    ("got", "wanted", "reason"),
    [
        (1.0 + 2e-6, 1.0, "not the right one"),
        (1e-8, 0.0, "not the right one"),
        (True, 1.0, "true or false"),
        (1.0, True, "a number"),
        ("1.0", 1.0, "text"),
        (None, 1.0, "None"),
        (math.nan, 1.0, "not finite"),
        (math.inf, 1.0, "not finite"),
        (-math.inf, math.inf, "infinite"),
        (1e308, math.inf, "infinite"),
        (math.nan, math.nan, "infinite"),
        (3.0000001, 3, "not the right one"),
        (10**300, 1.0, "not the right one"),
        (np.ones(3), np.ones((3, 1)), "shape"),
        (1.0, np.ones(1), "an array"),
        (np.ones(1), 1.0, "an array"),
        ([1.0, [2.0]], np.array([1.0, 2.0]), "a list"),
        ([True, True], np.ones(2), "true and false"),
        (np.array([1.0, np.nan]), np.ones(2), "not finite"),
        (np.array([1.0, 2.0]), np.ones(2), "1 of 2 entries"),
        ([1, 2], [1], "length"),
        ([1, "a"], [1, "b"], "entry 1"),
        ({"a": 1}, {"b": 1}, "keys b"),
        ({"a": 1}, {"a": 2}, "entry a"),
        ([np.array([1.0, 2.0])], [np.ones(2)], "1 of 2 entries"),
        (False, True, "right answer"),
    ],
)
def test_wrong_answers_are_named_without_the_right_value(got, wanted, reason):
    said = difference(decode(encode(got)), decode(encode(wanted)), rtol=1e-6, atol=1e-9)
    assert said is not None
    assert reason in said


def test_a_list_of_one_is_spoken_of_as_its_entry():
    one, two = [[np.ones(2)], [np.zeros(2)]], [[np.ones(2), "a"], [np.zeros(2), "a"]]
    said = [difference(got, wanted, rtol=0.0, atol=0.0) for got, wanted in (one, two)]
    assert said == ["2 of 2 entries are not right", "entry 0: 2 of 2 entries are not right"]


def test_an_object_that_equals_everything_is_only_its_number():
    assert difference(decode(encode(Liar(2.0))), 3.0, rtol=1e-6, atol=0.0) is not None


def _payload(*values):
    return {"question": "q", "cases": [encode(value) for value in values]}


@pytest.mark.parametrize(
    ("got", "reason"),
    [
        (None, "form"),
        ({"question": "q"}, "form"),
        ({"question": "q", "cases": {}}, "form"),
        ({"question": "q", "cases": [None, None]}, "form"),
        ({"question": "other", "cases": _payload(1.0, 2.0)["cases"]}, "another question"),
        (_payload(1.0), "number of cases"),
        (_payload(1.0, 2.0, 3.0), "number of cases"),
        ({"question": "q", "cases": [{"kind": "right"}, encode(2.0)]}, "case 1 of 2"),
        (_payload(1.0, 2.5), "case 2 of 2"),
        ({"question": "q", "cases": [{"kind": "error", "name": "NotImplementedError"}] * 2}, "no answer was written"),
        (
            {"question": "q", "cases": [encode(1.0), {"kind": "error", "name": "NotImplementedError"}]},
            "case 2 of 2 (1 of 2 are right): no answer was written for this case",
        ),
        (
            {"question": "q", "cases": [{"kind": "error", "name": "NameError", "message": "no x"}] * 2},
            "NameError: no x (only answer cells and the notebook's own cells are run; helpers in cells of your own are",
        ),
        ({"question": "q", "cases": [{"kind": "error", "name": "KeyError", "message": "a"}] * 2}, "KeyError: a"),
    ],
)
def test_a_message_that_is_not_the_references_costs_the_question(got, reason):
    said = payload_difference(got, _payload(1.0, 2.0), rtol=1e-6, atol=0.0)
    assert said is not None
    assert reason in said
    assert payload_difference(_payload(1.0, 2.0), _payload(1.0, 2.0), rtol=1e-6, atol=0.0) is None


def test_the_size_of_a_whole_message_is_limited():
    many = {"question": "q", "cases": [encode(np.zeros(MAX_NUMBERS - 5))] * 2}
    said = payload_difference(many, many, rtol=0.0, atol=0.0)
    assert said is not None
    assert "too large" in said


@pytest.fixture
def seeds():
    yield probe.set_seed
    probe.set_seed(0)


def _shown(answer):
    with probe.collecting() as payloads:
        probe.show("q", answer, cases=4)
    return payloads[0]["cases"]


def test_inputs_depend_on_seed_attempt_question_and_case(seeds):
    first = _shown(lambda rng: rng.uniform())
    assert first == _shown(lambda rng: rng.uniform())
    assert len({case["value"] for case in first}) == 4
    for arguments in ((1, 0), (0, 1)):
        seeds(*arguments)
        assert _shown(lambda rng: rng.uniform()) != first
    seeds(0)
    assert probe.case_generator("q", 0).uniform() != probe.case_generator("p", 0).uniform()


def test_an_answer_that_raises_in_one_case_still_shows_the_others(seeds):
    cases = _shown(lambda rng: 1.0 if rng.uniform() > 2 else [][1])
    assert cases[0] == {"kind": "error", "name": "IndexError", "message": "list index out of range"}
    assert len(cases) == 4


def test_a_seed_that_is_none_is_refused(seeds):
    with pytest.raises(ValueError, match="seed must be an integer >= 0"):
        seeds(-1)
