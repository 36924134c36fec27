"""Rules for answers that are not unique: a question names one of them, `"predicate": "proportional"`.

The first six compare with the solution's value; n numbers are a vector, and a matrix is read by its columns:

    proportional            a multiple of the solution other than 0: a direction, an eigenvector of any length
    up-to-sign              the solution or its negative
    columns-up-to-sign      each column of the solution or its negative: normalized eigenvectors
    permutation             the entries of a vector, or the rows of a matrix, in any order
    same-span               columns that span what the columns of the solution span: any basis
    orthonormal-basis       the same, and the columns are orthonormal

The others need what was given in the case. The probe shows {"answer": ..., "given": ...}; what the solution's probe
shows as given is used, that of a student is not even read:

    root-of-polynomial      given the coefficients, highest power first: any real root
    solution-of-system      given {"matrix": A, "right": b}: any x with A x = b

Each works on plain numbers, after they came out of the student's kernel. Where a length or a gap is compared, the
tolerance is rtol times the size of what is compared, plus atol.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from lazy_course.grading.values import rectangular

Rule = Callable[[np.ndarray, np.ndarray, float, float], str | None]
_MOST_ROWS = 300  # of a matrix whose rows may come in any order
_NOT_NUMBERS = "the answer is not a number or an array of numbers, and one is needed"


def reason(name: str, got: Any, wanted: Any, *, rtol: float, atol: float) -> str | None:
    """Why the decoded value `got` does not fulfil the predicate; None if it does."""
    try:
        return _reason(name, got, wanted, rtol, atol)
    except np.linalg.LinAlgError:
        return "the numbers are too large or too small to be judged"


def _reason(name: str, got: Any, wanted: Any, rtol: float, atol: float) -> str | None:
    if name in WITH_GIVEN:
        answer = _numbers(got.get("answer")) if isinstance(got, dict) else None
        if answer is None or not isinstance(wanted, dict) or "given" not in wanted:
            return _NOT_NUMBERS
        return WITH_GIVEN[name](answer, wanted["given"], rtol, atol)
    value, reference = _numbers(got), _numbers(wanted)
    if value is None or reference is None:
        return _NOT_NUMBERS
    if value.shape != reference.shape:
        return f"the answer has shape {value.shape}, but {reference.shape} is needed"
    return COMPARED[name](value, reference, rtol, atol)


def _numbers(value: Any) -> np.ndarray | None:
    """Finite real numbers as an array of floats; None for anything else."""
    if isinstance(value, list):
        value = rectangular(value)
    if value is None or isinstance(value, bool | str | dict):
        return None
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        return None
    array = array.astype(np.float64)
    return array if np.all(np.isfinite(array)) else None


def _near(got: np.ndarray, wanted: np.ndarray, rtol: float, atol: float) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.abs(got - wanted) <= atol + rtol * np.abs(wanted)


def _unit(array: np.ndarray) -> np.ndarray:
    """The array divided by its norm, without overflow on the way; 0 stays 0."""
    largest = np.max(np.abs(array), initial=0.0)
    scaled = array / largest if largest else array
    return scaled / (np.linalg.norm(scaled) or 1.0)


def _proportional(got: np.ndarray, wanted: np.ndarray, rtol: float, atol: float) -> str | None:
    if not np.any(wanted):
        return None if np.all(np.abs(got) <= atol) else "it is not a multiple of the right one"
    if not np.any(got):
        return "it is zero, and a direction is needed"
    one, other = _unit(got), _unit(wanted)
    gap = min(np.linalg.norm(one - other), np.linalg.norm(one + other))
    return None if gap <= rtol + atol else "it is not a multiple of the right one: the direction is another"


def _up_to_sign(got: np.ndarray, wanted: np.ndarray, rtol: float, atol: float) -> str | None:
    one, other = np.atleast_1d(got), np.atleast_1d(wanted)
    good = any(np.all(_near(sign * one, other, rtol, atol)) for sign in (1, -1))
    return None if good else "it is neither the right value nor its negative"


def _columns_up_to_sign(got: np.ndarray, wanted: np.ndarray, rtol: float, atol: float) -> str | None:
    signed = [np.all(_near(sign * got, wanted, rtol, atol), axis=0) for sign in (1, -1)]
    wrong = int(np.sum(~(signed[0] | signed[1])))
    return f"{wrong} of {wanted.shape[-1]} columns are not right, with either sign" if wrong else None


def _permutation(got: np.ndarray, wanted: np.ndarray, rtol: float, atol: float) -> str | None:
    """Sorting pairs numbers best; rows are paired so that the fewest are wrong."""
    if wanted.ndim == 1:
        wrong = int(np.sum(~_near(np.sort(got), np.sort(wanted), rtol, atol)))
        words = "entries"
    else:
        flat = [array.reshape(len(array), -1) for array in (got, wanted)]
        bad = ~np.all(_near(flat[0][:, None], flat[1][None], rtol, atol), axis=-1)
        wrong, words = int(bad[linear_sum_assignment(bad)].sum()), "rows"
    return f"{wrong} of {len(wanted)} {words} are not right, whatever their order" if wrong else None


def _same_span(got: np.ndarray, wanted: np.ndarray, rtol: float, atol: float) -> str | None:
    one, other = (_columns(array) for array in (got, wanted))
    basis, space = (np.linalg.svd(array, full_matrices=False) for array in (one, other))
    if basis[1][-1] <= (rtol + atol + 1e-12) * basis[1][0]:
        return "the columns are not linearly independent"
    gap = np.linalg.norm(basis[0] - space[0] @ (space[0].T @ basis[0]), 2)
    return None if gap <= rtol + atol else "the columns span another space than the right ones"


def _orthonormal_basis(got: np.ndarray, wanted: np.ndarray, rtol: float, atol: float) -> str | None:
    columns = got.reshape(len(got), -1)
    with np.errstate(over="ignore", invalid="ignore"):
        gap = np.max(np.abs(columns.T @ columns - np.eye(columns.shape[1])))
    if not gap <= rtol + atol:
        return "the columns are not orthonormal"
    return _same_span(got, wanted, rtol, atol)


def _columns(array: np.ndarray) -> np.ndarray:
    """A vector as one column; each column divided by its norm, so that no length counts."""
    return np.stack([_unit(column) for column in array.reshape(len(array), -1).T], axis=1)


def _root(answer: np.ndarray, given: Any, rtol: float, atol: float) -> str | None:
    if answer.ndim:
        return f"the answer has shape {answer.shape}, but one number is needed"
    coefficients = np.asarray(given, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        value = abs(np.polyval(coefficients, answer))
        good = value <= atol + rtol * np.polyval(np.abs(coefficients), abs(answer))
    return None if good and np.isfinite(value) else "it is no root of the equation"


def _solution(answer: np.ndarray, given: Any, rtol: float, atol: float) -> str | None:
    matrix, right = (np.asarray(given[name], dtype=np.float64) for name in ("matrix", "right"))
    if answer.shape != (needed := (matrix.shape[1], *right.shape[1:])):
        return f"the answer has shape {answer.shape}, but {needed} is needed"
    with np.errstate(over="ignore", invalid="ignore"):
        gap = np.linalg.norm(matrix @ answer - right)
    # The length of the answer must not count: it may be made as large as one likes.
    return None if gap <= atol + rtol * np.linalg.norm(right) else "it does not solve the equations"


COMPARED: dict[str, Rule] = {
    "proportional": _proportional,
    "up-to-sign": _up_to_sign,
    "columns-up-to-sign": _columns_up_to_sign,
    "permutation": _permutation,
    "same-span": _same_span,
    "orthonormal-basis": _orthonormal_basis,
}
WITH_GIVEN: dict[str, Callable[[np.ndarray, Any, float, float], str | None]] = {
    "root-of-polynomial": _root,
    "solution-of-system": _solution,
}
NAMES = (*COMPARED, *WITH_GIVEN)
_DIMENSIONS = {"columns-up-to-sign": (2,), "permutation": (1, 2), "same-span": (1, 2), "orthonormal-basis": (1, 2)}


def fault(name: str, reference: Any) -> str:
    """Why the solution's decoded value is none that the predicate can judge; "" if it can, or if there is no name."""
    if not name:
        return ""
    if name in WITH_GIVEN:
        if not (isinstance(reference, dict) and set(reference) == {"answer", "given"}):
            return f'{name} needs a probe that shows {{"answer": ..., "given": ...}}'
        return _given_fault(name, reference["given"])
    array = _numbers(reference)
    if array is None or not array.size:
        return f"{name} needs finite numbers, and the solution shows something else"
    if array.ndim not in _DIMENSIONS.get(name, (array.ndim,)):
        return f"{name} cannot judge an array of shape {array.shape}"
    if name == "permutation" and array.ndim == 2 and len(array) > _MOST_ROWS:
        return f"permutation pairs at most {_MOST_ROWS} rows"
    if name in ("proportional", "up-to-sign") and not np.any(array):
        return f"{name} needs a solution other than 0"
    if name == "proportional" and array.size == 1:
        return "proportional takes every number for a multiple of one number"
    if name in ("same-span", "orthonormal-basis") and array.reshape(len(array), -1).shape[1] >= len(array):
        return f"{name} needs fewer columns than rows: any basis spans the whole space"
    return ""


def _given_fault(name: str, given: Any) -> str:
    if name == "root-of-polynomial":
        coefficients = _numbers(given)
        good = coefficients is not None and coefficients.ndim == 1 and bool(np.any(coefficients[:-1]))
        return "" if good else "root-of-polynomial needs the coefficients as given, not all but the last 0"
    parts = [_numbers(given.get(part)) for part in ("matrix", "right")] if isinstance(given, dict) else [None]
    if any(part is None for part in parts):
        return 'solution-of-system needs {"matrix": A, "right": b} as given'
    matrix, right = (part for part in parts if part is not None)
    good = matrix.ndim == 2 and right.ndim in (1, 2) and len(matrix) == len(right)
    return "" if good else "solution-of-system needs a matrix and a right side with as many rows"
