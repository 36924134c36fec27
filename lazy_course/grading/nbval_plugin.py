"""nbval's part in grading: its file and its cell, replaced by ones that compare probe values and survive a kernel.

nbval collects the rebuilt notebook and runs it cell by cell. A mark falls only where a probe's values were compared
and found right; an error, a timeout, a dead kernel, a skip or silence leave none. When the kernel is lost, the
question at fault is set aside and the cells before it are run again in a fresh kernel without it.
"""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbval.plugin
import pytest

from lazy_course.grading import isolation
from lazy_course.grading.compare import PROBE_IS_OURS, payload_difference, stopped
from lazy_course.grading.files import fonts_in, put_fonts
from lazy_course.grading.kernel import IsolatedKernel, KernelLost, Outcome
from lazy_course.grading.stand_in import stand_in

_MAX_KERNELS = 200
_SETS_ENVIRONMENT = re.compile(r"environ|putenv|setenv|set_env|%\s*env|dotenv")


@dataclasses.dataclass
class Job:
    """What the grader sends to this process, through a pipe: references are nowhere else."""

    notebook: str
    folder: str
    isolation: str
    timeout: float
    references: dict[str, Any] | None  # question -> payload, rtol, atol; None: report the payloads themselves


class Graded:
    """A pytest plugin that puts the two classes in nbval's place and reports through `tell`."""

    def __init__(self, job: Job, tell: Callable[[dict[str, Any]], None]) -> None:
        self.job = job
        self.tell = tell

    def pytest_configure(self, config: pytest.Config) -> None:
        """Let nbval make the two classes below."""
        config.lazy_course_grading = self  # type: ignore[attr-defined]
        stand_in(nbval.plugin.IPyNbFile, GradedFile)
        stand_in(nbval.plugin.IPyNbCell, GradedCell)


class GradedFile(nbval.plugin.IPyNbFile):
    """The rebuilt notebook: owns the kernel, and knows which questions are out."""

    kernel: IsolatedKernel | None = None

    def setup(self) -> None:
        """Prepare the run; the kernel starts with the first cell."""
        plugin: Graded = self.config.lazy_course_grading
        self.job, self.tell = plugin.job, plugin.tell
        self.out: set[str] = set()
        self.last_question = ""
        self.kernels = 0
        # Where JAX is loaded, its settings in the environment are read: who may make some gets a kernel without it.
        self.split = not any(_SETS_ENVIRONMENT.search(cell.source) for cell in self.nb.cells)

    def teardown(self) -> None:
        """End the kernel."""
        if self.kernel is not None:
            if self.job.references is None:  # the solution ran: its home can be trusted
                put_fonts(Path(self.job.folder) / "home", fonts_in(self.kernel.folder / "home"))
            self.kernel.kill()
            self.kernel = None

    def run(self, cell: Any, number: int) -> Outcome:
        """Run a cell; KernelLost, with the kernel gone and the question at fault out, if it took the kernel down."""
        if self.kernel is not None and not self.kernel.is_alive():  # it went between two cells
            self._drop("your code ended the Python process that it ran in")
        if self.kernel is None:
            self._revive(number)
        assert self.kernel is not None
        course = cell.metadata["lazy_course"]
        self.last_question = course["question"] or self.last_question
        try:
            return self.kernel.run(cell.source, self.job.timeout)
        except KernelLost as loss:
            self._drop(str(loss))
            raise

    def _drop(self, cause: str) -> None:
        """End the kernel, and set aside the question that ran in it last."""
        if self.kernel is not None:
            self.kernel.kill()
            self.kernel = None
        self.lose(self.last_question, cause)

    def _revive(self, number: int) -> None:
        """Start a kernel and run again what came before cell `number`, as far as it is not out."""
        code = [cell for cell in self.nb.cells if cell.cell_type == "code"]
        while self.kernel is None:
            self.kernels += 1
            if self.kernels > _MAX_KERNELS:
                raise KernelLost("too many kernels were lost")
            try:
                walls = isolation.by_name(self.job.isolation)
                self.kernel = IsolatedKernel(walls, Path(self.job.folder), split=self.split)
            except (RuntimeError, OSError) as error:
                if self.split:  # not every system lets a process enter walls; behind them it starts everywhere
                    self.split = False
                    continue  # no cell is at fault: say so, and let the grader decide
                pytest.exit(f"a kernel did not start: {error}", returncode=3)
            for cell in code[:number]:
                course = cell.metadata["lazy_course"]
                if course["role"] == "probe" or course["question"] in self.out:
                    continue
                try:
                    self.run(cell, 0)
                except KernelLost:
                    break

    def lose(self, question: str, cause: str) -> None:
        """Set a question aside; if it has its verdict already, that one stands."""
        if question in self.out or not question:
            raise RuntimeError(cause if not question else "a question that is out was run again")
        self.out.add(question)
        self.tell({"question": question, "right": False, "cause": cause})


class GradedCell(nbval.plugin.IPyNbCell):
    """One cell of the rebuilt notebook; only a probe can earn a mark."""

    parent: GradedFile

    def setup(self) -> None:
        """nothing: nbval would expect failure after a timeout, here the rest is run again."""

    def runtest(self) -> None:
        """Run the cell, judge it by its role, and fail the item if a question was lost."""
        course = self.cell.metadata["lazy_course"]
        question, role = course["question"], course["role"]
        if question and question in self.parent.out:
            self.raise_cell_error("this question is out already")
        try:
            outcome = self.parent.run(self.cell, self.cell_num)
        except KernelLost as loss:
            self.raise_cell_error(str(loss))
        if question in self.parent.out and question:
            self.raise_cell_error("this question went out while earlier cells were run again")
        if role == "answer" and outcome.error:
            self.lose(question, stopped("your cell", outcome.error))
        elif role == "probe":
            self.judge(question, course["index"], outcome)
        elif outcome.error and self.parent.job.references is None:
            self.lose(question or role, f"stopped with {outcome.error}")

    def lose(self, question: str, cause: str) -> None:
        """Set the question aside and fail this item."""
        self.parent.lose(question, cause)
        self.raise_cell_error(cause)

    def judge(self, question: str, index: int, outcome: Outcome) -> None:
        """Compare the one message of a probe with the reference."""
        if outcome.error:
            self.lose(question, stopped("the probe", outcome.error))
        if len(outcome.payloads) != 1:
            self.lose(question, f"the probe sent {len(outcome.payloads)} messages, and one is needed{PROBE_IS_OURS}")
        references = self.parent.job.references
        if references is None:
            self.parent.tell({"question": question, "index": index, "payload": outcome.payloads[0]})
            return
        rule = dict(references[question])
        wanted = rule.pop("payload")
        cause = payload_difference(outcome.payloads[0], wanted, **rule)
        if cause:
            self.lose(question, cause)
        self.parent.tell({"question": question, "right": True, "cause": ""})
