"""Compare what a probe showed with a reference: value by value, with a tolerance, and in words that teach.

A reason never holds an expected value. Where a question names a predicate, that decides (`predicates`). Else: kinds
must agree (no boolean or string for a number, but an integer may stand for a real number, and a real number for an
integer if it is equal to it); shapes must agree; a list of numbers may stand for an array; every number must be finite
where the reference is; then |got - wanted| <= atol + rtol |wanted|.
"""

import math
from typing import Any

import numpy as np

from lazy_course.grading import predicates
from lazy_course.grading.diagnosis import diagnosis
from lazy_course.grading.values import Budget, decode, rectangular

NO_ANSWER = "no answer was written"
_HINTS = {
    "NameError": "only answer cells and the notebook's own cells are run; helpers in cells of your own are not",
    "SyntaxError": "the cell cannot be read as Python: look for a bracket, a quote or a colon that is missing",
    "IndentationError": "the cell cannot be read as Python: look at the spaces at the beginning of its lines",
    "ModuleNotFoundError": "the packages of the course are there, and no others",
    "RecursionError": "a function calls itself without an end",
    "MemoryError": "it needs far more memory than the question does",
}
PROBE_IS_OURS = "; an answer must leave the probe and what it imports as they are"


def stopped(who: str, error: str) -> str:
    """The cause where `who` stopped with `error` ("NameError: ..."), and what to know about such an error."""
    hint = _HINTS.get(error.partition(":")[0])
    return f"{who} stopped with {error}" + (f" ({hint})" if hint else "")


def payload_difference(got: Any, wanted: Any, *, rtol: float, atol: float, predicate: str = "") -> str | None:
    """Why the payload `got` is not `wanted`, or None if it is right. `got` is not trusted in any way."""
    if not isinstance(got, dict) or not isinstance(got.get("cases"), list):
        return "the probe's message is not in the form that a probe writes" + PROBE_IS_OURS
    if got.get("question") != wanted["question"]:
        return "the probe's message names another question" + PROBE_IS_OURS
    count = len(wanted["cases"])
    if len(got["cases"]) != count:
        return "the probe's message has another number of cases" + PROBE_IS_OURS
    if got["cases"] and all(map(_is_stub, got["cases"])):
        return NO_ANSWER
    budget = Budget()
    both = zip(got["cases"], wanted["cases"], strict=True)
    pairs = [_case(*case, budget, rtol=rtol, atol=atol, predicate=predicate) for case in both]
    reasons = [reason for reason, *_ in pairs]
    first = next((number for number, reason in enumerate(reasons) if reason), None)
    if first is None:
        return None
    right = reasons.count(None)
    where = f"case {first + 1} of {count}" + (f" ({right} of {count} are right)" if right else "")
    more = "" if predicate else diagnosis([values for _, *values in pairs], rtol=rtol)
    return f"{where}: {reasons[first]}" + (f": {more}" if more else "")


def _is_stub(case: Any) -> bool:
    return isinstance(case, dict) and case.get("kind") == "error" and case.get("name") == "NotImplementedError"


def _case(
    case: Any, encoded: Any, budget: Budget, *, rtol: float, atol: float, predicate: str
) -> tuple[str | None, Any, Any]:
    """Why a case is not right, or None if it is; and the two values, where there are two."""
    reference = decode(encoded)
    if isinstance(case, dict) and case.get("kind") == "error":
        name, message = str(case.get("name"))[:80], str(case.get("message"))[:200]
        reason = f"{NO_ANSWER} for this case" if _is_stub(case) else stopped("your code", f"{name}: {message}")
        return reason, None, reference
    try:
        value = decode(case, budget)
    except ValueError as error:
        return str(error), None, reference
    if predicate:
        return predicates.reason(predicate, value, reference, rtol=rtol, atol=atol), value, reference
    return difference(value, reference, rtol=rtol, atol=atol), value, reference


def difference(got: Any, wanted: Any, *, rtol: float, atol: float) -> str | None:
    """Why the decoded value `got` is not `wanted`, or None if it is right."""
    got, wanted = _as_array_if_one_is(got, wanted)
    if _kind(got) != _kind(wanted):
        forgotten = " (does the function end with `return`?)" if got is None else ""
        return f"the answer is {_kind(got)}, but {_kind(wanted)} is needed{forgotten}"
    if isinstance(wanted, list):
        if len(got) != len(wanted):
            return f"the list has length {len(got)}, but {len(wanted)} is needed"
        pairs = zip(got, wanted, strict=True)
        reasons = (difference(one, other, rtol=rtol, atol=atol) for one, other in pairs)
        several = len(wanted) > 1  # a list of one stands for its entry: a student who returned one array made no list
        return next((f"entry {i}: {reason}" if several else reason for i, reason in enumerate(reasons) if reason), None)
    if isinstance(wanted, dict):
        return _dict_difference(got, wanted, rtol=rtol, atol=atol)
    if isinstance(wanted, (np.ndarray, int, float)) and not isinstance(wanted, bool):
        return _number_difference(np.asarray(got), np.asarray(wanted), rtol=rtol, atol=atol)
    return None if got == wanted else "it is not the right answer"


def _dict_difference(got: dict[str, Any], wanted: dict[str, Any], *, rtol: float, atol: float) -> str | None:
    if got.keys() != wanted.keys():
        return f"the dictionary must have the keys {', '.join(wanted)}"
    for key in wanted:
        reason = difference(got[key], wanted[key], rtol=rtol, atol=atol)
        if reason:
            return f"entry {key}: {reason}"
    return None


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return "an array of true and false" if value.dtype == np.bool_ else "an array of numbers"
    if isinstance(value, (bool, str, list, dict)):
        names: dict[type, str] = {bool: "true or false", str: "text", list: "a list", dict: "a dictionary"}
        return names[type(value)]
    return "a number"


def _as_array_if_one_is(got: Any, wanted: Any) -> tuple[Any, Any]:
    if isinstance(got, list) and isinstance(wanted, np.ndarray):
        array = rectangular(got)
        return (got if array is None else array), wanted
    if isinstance(wanted, list) and isinstance(got, np.ndarray):
        array = rectangular(wanted)
        return got, (wanted if array is None else array)
    return got, wanted


def _number_difference(got: np.ndarray, wanted: np.ndarray, *, rtol: float, atol: float) -> str | None:
    if got.shape != wanted.shape:
        turned = " (is it transposed?)" if got.ndim == wanted.ndim == 2 and got.shape == wanted.shape[::-1] else ""
        return f"the answer has shape {got.shape}, but {wanted.shape} is needed{turned}"
    if wanted.dtype.kind in "iuO":  # integers are exact; a float may stand for one
        if wanted.dtype.kind == "O" or got.dtype.kind == "O":
            return None if got.item() == wanted.item() else "the value is not the right one"
        if not np.array_equal(got, wanted):
            return _off(int(np.sum(got != wanted)), wanted.size)
        return None
    try:
        got_float = got.astype(np.float64)
    except OverflowError:
        return "the value is not the right one"
    finite = np.isfinite(wanted)
    lost = int(np.sum(~np.isfinite(got_float[finite])))
    if lost:
        many = "the value is" if wanted.size == 1 else f"{lost} of {wanted.size} entries are"
        return (
            f"{many} not finite (nan or infinity): look for a division by 0, an overflow, a root or log of a negative"
        )
    same = np.array_equal(got_float[~finite], wanted[~finite])  # nan equals nothing, not even nan
    if not same:
        return "a value that should be infinite is not"
    with np.errstate(over="ignore"):
        gap = np.abs(got_float[finite] - wanted[finite])
        off = ~(gap <= atol + rtol * np.abs(wanted[finite]))
    return _off(int(np.sum(off)), wanted.size) if np.any(off) else None


def _off(count: int, size: int) -> str:
    if size == 1:
        return "the value is not the right one"
    return f"{count} of {size} entries are not right"


def finite_enough(values: Any) -> bool:
    """Whether a decoded reference can be matched at all: nan cannot."""
    if isinstance(values, list):
        return all(finite_enough(value) for value in values)
    if isinstance(values, dict):
        return all(finite_enough(value) for value in values.values())
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        return not bool(np.isnan(values).any())
    return not (isinstance(values, float) and math.isnan(values))
