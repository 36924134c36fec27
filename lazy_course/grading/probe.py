"""The probe: evaluates an answer at drawn inputs and shows the values, with no word on whether they are right.

For the grader the inputs are drawn anew for each student and attempt (`set_seed`, in a cell that the grader puts
first); a student at home sees those of seed 0. Case i of a question draws from a NumPy generator whose
`SeedSequence` is (seed, attempt, CRC-32 of the question's name, i): the same inputs for the student and for the
solution, other ones for every question. Each case has a generator of its own, so an answer that changes its inputs
spoils no other case.
"""

import contextlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lazy_course.grading.values import MIME, Budget, encode, short_text

_state = {"seed": 0, "attempt": 0}
_sinks: list[list[dict[str, Any]]] = []


def set_seed(seed: int, attempt: int = 0) -> None:
    """Draw the inputs of all later probes from `seed` and `attempt`, both integers >= 0."""
    for name, value in (("seed", seed), ("attempt", attempt)):
        if not isinstance(value, int) or value < 0:
            raise ValueError(f"{name} must be an integer >= 0, got {value!r}; the default is 0")
    _state.update(seed=seed, attempt=attempt)


def case_generator(question: str, case: int) -> np.random.Generator:
    """The generator from which case number `case` of a question draws its inputs."""
    crc = zlib.crc32(question.encode())
    return np.random.default_rng(np.random.SeedSequence([_state["seed"], _state["attempt"], crc, case]))


def show(question: str, answer: Callable[[np.random.Generator], Any], *, cases: int = 5) -> None:
    """Evaluate `answer(rng)` in `cases` drawn cases and display the values under the course's MIME type.

    An exception in a case is shown in place of its value; nothing is raised, so that the cells below still run.
    """
    budget = Budget()
    shown = [_one_case(question, answer, case, budget) for case in range(cases)]
    payload = {"question": question, "cases": shown}
    if _sinks:
        _sinks[-1].append(payload)
        return
    distinct = list(dict.fromkeys(short_text(case) for case in shown))
    text = f"probe {question}: " + "; ".join(distinct)
    try:
        from IPython.core.getipython import get_ipython
        from IPython.display import display
    except ImportError:
        print(text)
        return
    if get_ipython() is None:
        print(text)
    else:
        display({MIME: payload, "text/plain": text}, raw=True)


def _one_case(question: str, answer: Callable[[np.random.Generator], Any], case: int, budget: Budget) -> dict[str, Any]:
    try:
        return encode(answer(case_generator(question, case)), budget)
    except Exception as error:
        return {"kind": "error", "name": type(error).__name__[:80], "message": str(error)[:200]}


@contextlib.contextmanager
def collecting() -> Iterator[list[dict[str, Any]]]:
    """Collect what probes show in a list instead of displaying it (for authors' tools, not for grading)."""
    sink: list[dict[str, Any]] = []
    _sinks.append(sink)
    try:
        yield sink
    finally:
        _sinks.remove(sink)
