"""What the tests of the chapters' problem sets share: a set, and its cells run in one namespace after another."""

import contextlib
import inspect
import io
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat

from lazy_course.grading import notebooks, probe, source
from lazy_course.grading.compare import payload_difference
from lazy_course.grading.source import Question

ROOT = Path(__file__).parents[2]


def run(namespace: dict[str, Any], code: str) -> str:
    """Execute a cell and return what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, namespace)
    return printed.getvalue()


def probed(namespace: dict[str, Any], question: Question) -> Any:
    """What the question's probe shows for the answer that stands in the namespace."""
    with probe.collecting() as shown:
        exec(question.probe, namespace)
    return shown[0]


class Workbook:
    """A problem set by its stem: questions by name, and the sources of its statements and self-checks."""

    def __init__(self, stem: str) -> None:
        self.stem = stem
        self.problems = source.read(ROOT / "solutions" / f"{stem}.md")
        self.questions = {question.id: question for question in self.problems.questions}
        self.automatic = [question.id for question in self.problems.automatic]
        cells = self.problems.cells
        self.setup = "\n".join(cell.source for cell in cells if cell.kind == "code" and not cell.role)
        self.cells = {(cell.question, cell.role): cell.source for cell in cells if cell.role in ("statement", "check")}

    def namespace_with(self, answer: str) -> dict[str, Any]:
        """The notebook's names after its first cell and one answer cell."""
        namespace: dict[str, Any] = {}
        exec(self.setup, namespace)
        exec(answer, namespace)
        return namespace

    def solution(self, name: str) -> dict[str, Any]:
        """The notebook's names after its first cell and the solution of one question."""
        return self.namespace_with(notebooks.answer_source(self.questions[name], solved=True))

    def said(self, name: str, answer: str) -> str:
        """What the self-check of a question prints after an answer cell."""
        return run(self.namespace_with(answer), self.cells[name, "check"])

    def function(self, name: str) -> str:
        """The name of the function that a question asks for."""
        found = re.search(r"^def (\w+)\(", self.questions[name].answer, re.MULTILINE)
        assert found, f"{name}: its answer cell defines no function"
        return found[1]

    def points_in_text(self) -> tuple[list[float], list[tuple[int, float]]]:
        """The points of the table in the opening, and number and points in the heading of each question."""
        table = re.findall(r"^\| \d+ \|.*\| (\d+) \|$", self.problems.cells[0].source, re.MULTILINE)
        headings = []
        for question in self.problems.questions:
            title = re.match(r"### Question (\d+): .* \((\d+) points\)", self.cells[question.id, "statement"])
            assert title, f"{question.id}: its statement begins with another heading"
            headings.append((int(title[1]), float(title[2])))
        return [float(points) for points in table], headings

    def differences(self, name: str, answers: list[str], *, rtol: float, atol: float) -> list[str | None]:
        """Why the probe would refuse each of the answers at the seed that is set; None where it would not."""
        question = self.questions[name]
        reference = probed(self.solution(name), question)
        shown = [probed(self.namespace_with(answer), question) for answer in answers]
        rule = question.rule | {"rtol": rtol, "atol": atol}
        return [payload_difference(one, reference, **rule) for one in shown]

    def unnoticed(self, name: str, *, rtol: float, atol: float) -> list[str]:
        """The planted mistakes of a question that the probe would let pass at this tolerance."""
        wrongs = self.questions[name].wrongs
        found = self.differences(name, [wrong.source for wrong in wrongs], rtol=rtol, atol=atol)
        return [wrong.mistake for wrong, reason in zip(wrongs, found, strict=True) if reason is None]

    def work_through(self, answers: ModuleType) -> tuple[str, list[str]]:
        """Run the exercise from the first cell to the last in one namespace, with the functions of a module as answers.

        Returns what was printed, and the names of the probed questions.
        """
        notebook = nbformat.read(ROOT / "exercises" / f"{self.stem}.ipynb", as_version=4)
        namespace: dict[str, Any] = {}
        printed = ""
        with probe.collecting() as shown:
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    name = cell.id.removesuffix("-answer")
                    answer = cell.id.endswith("-answer")
                    code = inspect.getsource(getattr(answers, self.function(name))) if answer else cell.source
                    printed += run(namespace, code)
        return printed, [payload["question"] for payload in shown]
