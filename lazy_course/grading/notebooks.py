"""Notebooks made from a `ProblemSet`: the exercise that students open and the solution, the latter not yet executed.

Cell ids are "<question>-<role>" and "text-<n>", so the same source gives the same bytes. The exercise carries a
question's name and points, and nothing else of its metadata.
"""

from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from lazy_course.grading.source import Cell, ProblemSet, Question, cut

ANSWER_MARK = "# Answer to {question} (keep this line)"
WRITTEN_MARK = "<!-- Answer to {question} (keep this line) -->"
_NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def to_bytes(notebook: nbformat.NotebookNode) -> bytes:
    """The one spelling of a notebook: sorted keys, an indent of one, UTF-8, one line feed at the end."""
    return (nbformat.writes(notebook, version=4, ensure_ascii=False, sort_keys=True).rstrip("\n") + "\n").encode()


def exercise(problems: ProblemSet) -> nbformat.NotebookNode:
    """The notebook for students: each solution replaced by a stub that raises NotImplementedError."""
    return _build(problems, with_solutions=False)


def solution(problems: ProblemSet) -> nbformat.NotebookNode:
    """The solved notebook, without outputs; its probe cells carry the question's tolerances."""
    return _build(problems, with_solutions=True)


def answer_source(question: Question, *, solved: bool) -> str:
    """The source of an answer cell, solved or as a stub, with the line by which it is found again."""
    mark = (ANSWER_MARK if question.marking == "auto" else WRITTEN_MARK).format(question=question.id)
    stub = f'raise NotImplementedError("Write your answer to {question.id} here")'
    if question.marking == "hand":
        stub = "*Write your answer here.*"
    return mark + "\n" + cut(question.answer, question.id, None if solved else stub)


def _build(problems: ProblemSet, *, with_solutions: bool) -> nbformat.NotebookNode:
    questions = {question.id: question for question in problems.questions}
    cells, texts = [], 0
    for cell in problems.cells:
        if cell.role == "wrong":
            continue
        texts += not cell.role
        name = f"{cell.question}-{cell.role}" if cell.role else f"text-{texts}"
        source = cell.source
        if cell.role in ("answer", "written"):
            source = answer_source(questions[cell.question], solved=with_solutions)
        metadata = _metadata(cell, questions.get(cell.question), with_solutions)
        make = new_code_cell if cell.kind == "code" else new_markdown_cell
        cells.append(make(source, id=name, metadata=metadata))
    notebook = new_notebook(cells=cells, metadata=_NOTEBOOK_METADATA)
    nbformat.validate(notebook)
    return notebook


def _metadata(cell: Cell, question: Question | None, with_solutions: bool) -> dict[str, Any]:
    metadata = {key: value for key, value in cell.metadata.items() if key != "lazy_course"}
    if question is None:
        return metadata
    course: dict[str, Any] = {"role": cell.role, "question": cell.question}
    if cell.role == "statement":
        course["points"] = int(question.points) if question.points.is_integer() else question.points
    if with_solutions and cell.role == "probe":
        course |= {name: value for name, value in question.rule.items() if value != ""}
    locks = {"deletable": False} | ({} if cell.role in ("answer", "written") else {"editable": False})
    return metadata | {"lazy_course": course} | ({} if with_solutions else locks)
