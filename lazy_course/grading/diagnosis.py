"""What the wrong values of all cases have in common, in words that teach and hold no expected value.

A sign, one factor in every entry, a transposed matrix, a value that is close and no more: each points to a kind of
mistake. Such words are given only where they hold in every case.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

_SAME = 1e-6  # how well a relation must hold to be named
_CLOSE = 1e-3
_SIGN = "every value has the right size and the wrong sign"
_TURNED = "each matrix is the transpose of the one that is needed"
_FACTOR = "all values are off by one and the same factor: a constant was lost, or came in twice"
_SHIFT = "all values are off by one and the same constant that was added or left out"


def diagnosis(cases: list[list[Any]], *, rtol: float) -> str:
    """The relation between values and references, pairs [value, reference] of all cases, or "" if none is known."""
    pairs = [_numbers(value, reference) for value, reference in cases]
    if not pairs or any(pair is None for pair in pairs):
        return ""
    arrays = [pair for pair in pairs if pair is not None]
    got, wanted = (np.concatenate([pair[side].ravel() for pair in arrays]) for side in (0, 1))
    with np.errstate(all="ignore"):
        if not (np.all(np.isfinite(got)) and np.all(np.isfinite(wanted)) and np.any(wanted)):
            return ""
        return _relation(got, wanted, arrays, rtol)


def _relation(got: np.ndarray, wanted: np.ndarray, arrays: list[tuple[np.ndarray, np.ndarray]], rtol: float) -> str:
    scale = float(np.max(np.abs(wanted)))
    tests: list[tuple[str, Callable[[], bool]]] = [
        (_SIGN, lambda: _same(-got, wanted)),
        (_TURNED, lambda: all(_is_turned(*pair) for pair in arrays)),
        (_FACTOR, lambda: _is_one_factor(got, wanted)),
        (_SHIFT, lambda: _is_one_shift(got - wanted, scale) and np.ptp(wanted) > _CLOSE * scale),
        (_close_words(rtol), lambda: rtol < _CLOSE and bool(np.all(np.abs(got - wanted) <= _CLOSE * np.abs(wanted)))),
    ]
    return next((words for words, holds in tests if holds()), "")


def _close_words(rtol: float) -> str:
    return (
        f"the values are close, but not to the relative tolerance {rtol:g}: look for a rounded constant, or for an "
        "approximation where a closed form is asked for"
    )


def _same(got: np.ndarray, wanted: np.ndarray) -> bool:
    return bool(np.all(np.abs(got - wanted) <= _SAME * np.abs(wanted)))


def _is_turned(got: np.ndarray, wanted: np.ndarray) -> bool:
    return got.ndim == wanted.ndim == 2 and got.shape == wanted.shape[::-1] and _same(got.T, wanted)


def _is_one_factor(got: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether got = c * wanted with one c other than 0, in at least two values that are not 0."""
    factor = float(got @ wanted / (wanted @ wanted))
    if not np.isfinite(factor) or abs(factor) <= _SAME or abs(factor - 1) <= _CLOSE:
        return False
    return bool(np.sum(wanted != 0) > 1 and _same(got / factor, wanted))


def _is_one_shift(gap: np.ndarray, scale: float) -> bool:
    """Whether all values are off by the same amount, which is not small, in at least two values."""
    return bool(len(gap) > 1 and np.ptp(gap) <= _SAME * scale and abs(gap[0]) > _CLOSE * scale)


def _numbers(value: Any, reference: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Both as arrays of real numbers of the same size (a matrix may be turned); None for anything else."""
    got, wanted = (_array(item) for item in (value, reference))
    if got is None or wanted is None or (got.shape != wanted.shape and got.shape != wanted.shape[::-1]):
        return None
    return got, wanted


def _array(value: Any) -> np.ndarray | None:
    if isinstance(value, list):
        value = [_array(item) for item in value]
        if not value or any(item is None for item in value):
            return None
        return value[0] if len(value) == 1 else np.concatenate([item.ravel() for item in value])
    if isinstance(value, bool) or not isinstance(value, int | float | np.ndarray):
        return None
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind in "fiu" else None
