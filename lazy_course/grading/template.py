"""The notebooks that are run: rebuilt from the released exercise, with a student's answer cells put in.

Only the source of an answer cell is the student's. Self-checks are left out (they only print). A first cell sets
the seed. No reference value is in these notebooks, which a kernel might read from disk.
"""

from collections.abc import Iterable

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from lazy_course.grading import notebooks
from lazy_course.grading.source import ProblemSet


def graded(problems: ProblemSet, answers: dict[str, str], *, seed: int, attempt: int) -> nbformat.NotebookNode:
    """The notebook of one student: `answers` maps questions to sources; the others are left out."""
    return new_notebook(cells=list(_cells(problems, answers, seed=seed, attempt=attempt, index=0)))


def references(problems: ProblemSet, seeds: list[int], *, attempt: int) -> nbformat.NotebookNode:
    """The solution, once for each seed, one after the other in one kernel."""
    solved = {question.id: notebooks.answer_source(question, solved=True) for question in problems.automatic}
    cells: list[nbformat.NotebookNode] = []
    for index, seed in enumerate(seeds):
        cells += _cells(problems, solved, seed=seed, attempt=attempt, index=index)
    return new_notebook(cells=cells)


def _cells(
    problems: ProblemSet, answers: dict[str, str], *, seed: int, attempt: int, index: int
) -> Iterable[nbformat.NotebookNode]:
    yield _cell("seed", "", index, f"__import__('lazy_course.grading').grading.probe.set_seed({seed}, {attempt})")
    for cell in problems.cells:
        if cell.kind != "code" or cell.role in ("check", "wrong"):
            continue
        if cell.role == "answer" and cell.question in answers:
            yield _cell("answer", cell.question, index, answers[cell.question])
        elif cell.role == "probe" and cell.question in answers:
            yield _cell("probe", cell.question, index, cell.source)
        elif not cell.role:
            yield _cell("setup", "", index, cell.source)


def _cell(role: str, question: str, index: int, source: str) -> nbformat.NotebookNode:
    metadata = {"lazy_course": {"role": role, "question": question, "index": index}}
    return new_code_cell(source, metadata=metadata)
