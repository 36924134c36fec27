"""Random damage: whatever was done to a notebook, it is read without a traceback, and only answers come from it."""

import json
import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lazy_course.grading import grade, isolation, notebooks, submissions, template
from lazy_course.grading.compare import payload_difference
from tests.grading import tiny

PROBLEMS = tiny.problems()
SOLVED = json.loads(tiny.submission(tiny.solved()))
TRUSTED = {cell.source for cell in PROBLEMS.cells if cell.kind == "code" and cell.role in ("", "probe")}
OFTEN = settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
places = st.integers(0, len(SOLVED["cells"]) - 1)
keys = st.sampled_from(["id", "cell_type", "source", "metadata", "outputs", "execution_count", "attachments"])
damages = st.one_of(
    st.tuples(st.just("drop"), places),
    st.tuples(st.just("double"), places, places),
    st.tuples(st.just("swap"), places, places),
    st.tuples(st.just("forget"), places, keys),
    st.tuples(st.just("set"), places, keys, json_values),
    st.tuples(st.just("replace"), places, json_values),
    st.tuples(st.just("id"), places, st.sampled_from([cell["id"] for cell in SOLVED["cells"]])),
    st.tuples(st.just("top"), st.sampled_from(["nbformat", "nbformat_minor", "metadata", "cells"]), json_values),
)


def damaged(steps):
    """The solved notebook after a list of damages."""
    notebook = json.loads(json.dumps(SOLVED))
    for kind, *rest in steps:
        cells = notebook["cells"]
        if kind == "top":
            notebook[rest[0]] = rest[1]
        elif isinstance(cells, list) and cells:
            _damage(cells, kind, rest[0] % len(cells), *rest[1:])
    return notebook


def _damage(cells, kind, place, *rest):
    if kind == "drop":
        del cells[place]
    elif kind == "double":
        cells.insert(rest[0], cells[place])
    elif kind == "swap":
        other = rest[0] % len(cells)
        cells[place], cells[other] = cells[other], cells[place]
    elif kind == "replace":
        cells[place] = rest[0]
    elif isinstance(cells[place], dict):
        cells[place] = dict(cells[place])
        if kind == "forget":
            cells[place].pop(rest[0], None)
        else:
            cells[place]["id" if kind == "id" else rest[0]] = rest[-1]


def rebuilt(content):
    """What the grader would run for a file's bytes; None if it says why there is nothing. Fails on any surprise."""
    cells = submissions.cells_of(content)
    if isinstance(cells, str):
        assert cells.startswith("the ")
        return None
    answers = submissions.answers(cells, PROBLEMS)
    assert set(answers) == {question.id for question in PROBLEMS.questions}
    assert all(answer.source is not None or answer.cause for answer in answers.values())
    automatic = [question.id for question in PROBLEMS.automatic]
    sources = {name: answers[name].source for name in automatic if answers[name].source is not None}
    notebook = template.graded(PROBLEMS, sources, seed=1, attempt=0)
    notebooks.to_bytes(notebook)
    return notebook


def is_trusted(notebook):
    """Whether all cells but the answers are the course's own, in its own order."""
    others = [cell for cell in notebook.cells if cell.metadata["lazy_course"]["role"] not in ("answer", "seed")]
    order = [cell.source for cell in PROBLEMS.cells if cell.kind == "code" and cell.role in ("", "probe")]
    found = [cell.source for cell in others]
    return set(found) <= TRUSTED and found == [source for source in order if source in found]


@OFTEN
@given(st.lists(damages, min_size=1, max_size=6))
def test_a_damaged_notebook_is_read_or_refused_in_words(steps):
    notebook = rebuilt(json.dumps(damaged(steps)).encode())
    assert notebook is None or is_trusted(notebook)


@OFTEN
@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from("xid"), st.binary(max_size=5)), max_size=5))
def test_damaged_bytes_are_read_or_refused_in_words(edits):
    content = bytearray(json.dumps(SOLVED).encode())
    for place, kind, new in edits:
        place %= len(content)
        content[place : place + {"x": len(new), "i": 0, "d": 50}[kind]] = new
    notebook = rebuilt(bytes(content))
    assert notebook is None or is_trusted(notebook)


REFERENCE = {
    "question": "q",
    "cases": [
        {"kind": "float", "value": 1.5},
        {"kind": "array", "dtype": "float", "shape": [2], "data": [1.0, -2.0]},
        {"kind": "list", "items": [{"kind": "int", "value": 3}, {"kind": "bool", "value": True}]},
    ],
}


def numbers(value):
    """All numbers of a payload in order, by a walk that knows nothing of the grader's own reading."""
    if isinstance(value, dict):
        return [x for key in sorted(value) if key not in ("shape", "dtype", "kind") for x in numbers(value[key])]
    if isinstance(value, list):
        return [x for item in value for x in numbers(item)]
    return [float(value)] if isinstance(value, int | float) else []


@OFTEN
@given(st.data())
def test_a_damaged_message_never_earns_a_mark_without_the_right_numbers(data):
    payload = json.loads(json.dumps(REFERENCE))
    for _ in range(data.draw(st.integers(1, 3))):
        holder = payload
        for _ in range(data.draw(st.integers(0, 4))):
            inner = [item for item in (holder.values() if isinstance(holder, dict) else holder) if item]
            inner = [item for item in inner if isinstance(item, dict | list)]
            if not inner:
                break
            holder = data.draw(st.sampled_from(inner))
        place = data.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
        holder[place] = data.draw(json_values)
        if not holder[place]:
            break
    if payload_difference(payload, REFERENCE, rtol=1e-6, atol=1e-9) is None:
        got, wanted = numbers(payload["cases"]), numbers(REFERENCE["cases"])
        assert len(got) == len(wanted)
        assert all(math.isclose(x, y, rel_tol=2e-6, abs_tol=2e-9) for x, y in zip(got, wanted, strict=True))


def test_damaged_notebooks_through_a_kernel(tmp_path):
    """A few of them are graded for real: marks only where the right answer is still in its cell."""
    drops = {f"without-{i}": [("drop", i)] for i in range(1, len(SOLVED["cells"]), 3)}
    swaps = {f"swapped-{i}": [("swap", i, i + 3), ("forget", i, "metadata")] for i in range(0, 12, 4)}
    for name, steps in (drops | swaps).items():
        (tmp_path / "submissions" / name).mkdir(parents=True)
        (tmp_path / "submissions" / name / "tiny.ipynb").write_text(json.dumps(damaged(steps)))
    (tmp_path / "course" / "solutions").mkdir(parents=True)
    (tmp_path / "course" / "solutions" / "tiny.md").write_bytes(tiny.TINY.read_bytes())
    cohort = grade.Settings(
        tmp_path / "course", tmp_path / "submissions", tmp_path / "out", isolation.Unprotected(), workers=2
    )
    records = grade.grade(cohort, lambda line: None)
    assert len(records) == len(drops) + len(swaps)
    for record in records:
        cells = submissions.cells_of((tmp_path / "submissions" / record["student"] / "tiny.ipynb").read_bytes())
        answers = submissions.answers(cells, PROBLEMS)
        for question in PROBLEMS.automatic:
            kept = answers[question.id].source == tiny.solved()[question.id]
            assert (record["marks"][question.id]["points"] > 0) == kept, (record["student"], question.id)
