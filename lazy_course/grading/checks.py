"""The self-check: tests an answer against first principles at once, and says what is off.

    with selfcheck("rescaled-kappa") as check:
        check.close(rescaled_kappa(2.0), brute_force(2.0), rtol=1e-5, says="kappa against a grid search")

It only prints. An answer that is not written yet, or that raises, gives one friendly line.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np


class Check:
    """Counts comparisons and prints those that fail; made by `selfcheck`."""

    def __init__(self, question: str) -> None:
        self.question = question
        self.passed = 0
        self.failed = 0

    def close(
        self, got: Any, wanted: Any, *, rtol: int | float = 1e-6, atol: int | float = 0.0, says: str = ""
    ) -> None:
        """Test |got - wanted| <= atol + rtol |wanted| for every entry, with equal shapes.

        Of two numbers, of which the wanted one is not 0, the ratio got / wanted is said too: a factor that was lost.
        It is left out where it says nothing: if it rounds to 1, or if its size is not between 1e-3 and 1e3.
        """
        if (fault := _no_numbers(got)) is not None:
            self._record(False, says, fault)
            return
        got_array, wanted_array = np.asarray(got), np.asarray(wanted)
        if got_array.shape != wanted_array.shape:
            self._record(False, says, f"shape {got_array.shape} came, shape {wanted_array.shape} is needed")
            return
        kind = _real_or_complex(got_array, wanted_array)
        finite = np.isfinite(got_array.astype(kind)), np.isfinite(wanted_array.astype(kind))
        if not np.all(finite):
            same = np.array_equal(got_array, wanted_array)  # an infinity where one is wanted
            came = _brief(got_array) if np.all(finite[0]) else "nan or inf"
            self._record(same, says, f"{came} came, {_brief(wanted_array)} is needed")
            return
        difference = np.abs(np.subtract(got_array, wanted_array, dtype=kind))
        good = bool(np.all(difference <= atol + rtol * np.abs(wanted_array)))
        gap = float(np.max(difference, initial=0.0))
        detail = f"{_brief(got_array)} came, {_brief(wanted_array)} is needed (gap {gap:.2g})"
        self._record(good, says, detail + _ratio(got_array, wanted_array))

    def that(self, condition: Any, *, says: str = "") -> None:
        """Test that a condition holds."""
        self._record(bool(condition), says, "the condition does not hold")

    def _record(self, good: bool, says: str, detail: str) -> None:
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"  not yet: {says + ': ' if says else ''}{detail}")


def _no_numbers(value: Any) -> str | None:
    """Why a value cannot be compared with numbers; None if it can."""
    if value is None:
        return "None came: does the function end with `return`?"
    try:
        kind = np.asarray(value).dtype.kind
    except ValueError:
        return "lists of different lengths came, an array is needed"
    return None if kind in "biufc" else f"{type(value).__name__} came, numbers are needed"


def _real_or_complex(got: np.ndarray, wanted: np.ndarray) -> type:
    return complex if "c" in got.dtype.kind + wanted.dtype.kind else float


def _ratio(got: np.ndarray, wanted: np.ndarray) -> str:
    """The words " (ratio 3)" for two real numbers, where they say something."""
    if got.ndim or not wanted or not set(got.dtype.kind + wanted.dtype.kind) <= set("fiu"):
        return ""
    ratio = float(got) / float(wanted)
    rounded = f"{ratio:.3g}"
    return f" (ratio {rounded})" if rounded != "1" and 1e-3 <= abs(ratio) <= 1e3 else ""


def _brief(array: np.ndarray) -> str:
    return f"{array.item():.6g}" if array.ndim == 0 and array.dtype.kind in "fiu" else _entries(array)


def _entries(array: np.ndarray) -> str:
    text = np.array2string(array, precision=4, threshold=6, separator=", ").replace("\n", "")
    return text if len(text) <= 90 else text[:87] + "..."


@contextlib.contextmanager
def selfcheck(question: str) -> Iterator[Check]:
    """Collect the checks of one question, print what is off, and never raise an answer's error."""
    check = Check(question)
    try:
        yield check
    except NotImplementedError as error:
        print(f"self-check {question}: {error or 'not written yet'}")
        return
    except NameError as error:
        print(f"self-check {question}: {error}; run the cells above first, the answer cell among them")
        return
    except Exception as error:
        message = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        print(f"self-check {question}: your code stopped with {message}")
        return
    total = check.passed + check.failed
    if total == 0:
        print(f"self-check {question}: nothing was checked")
    elif check.failed:
        print(f"self-check {question}: {check.failed} of {total} checks say that something is off")
    else:
        print(f"self-check {question}: " + ("the check agrees" if total == 1 else f"all {total} checks agree"))
