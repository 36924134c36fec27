"""Plain `pytest --nbval` with the course's tolerance: probe values are compared as numbers, the rest as nbval does."""

from typing import Any

import nbval.plugin

from lazy_course.grading.compare import payload_difference
from lazy_course.grading.stand_in import stand_in
from lazy_course.grading.values import MIME


class TolerantCell(nbval.plugin.IPyNbCell):
    """nbval's cell, which takes probe messages out of the comparison of text and compares their values."""

    def compare_outputs(self, test: Any, ref: Any, skip_compare: Any = None) -> bool:
        """True if the probe values agree within the cell's rtol and atol and all other outputs agree as text."""
        got, wanted = _payloads(test), _payloads(ref)
        if len(got) != len(wanted):
            self.comparison_traceback = [f"{len(got)} probe messages came, {len(wanted)} are stored"]
            return False
        course = self.cell.metadata.get("lazy_course", {})
        rule = {"rtol": 1e-6, "atol": 1e-9} | {k: course[k] for k in ("rtol", "atol", "predicate") if k in course}
        for one, other in zip(got, wanted, strict=True):
            reason = payload_difference(one, other, **rule)
            if reason:
                self.comparison_traceback = [f"probe {other['question']}: {reason}"]
                return False
        return super().compare_outputs(_others(test), _others(ref), skip_compare)


def _is_probe(output: Any) -> bool:
    return MIME in output.get("data", {})


def _payloads(outputs: Any) -> list[Any]:
    return [output["data"][MIME] for output in outputs or [] if _is_probe(output)]


def _others(outputs: Any) -> list[Any]:
    return [output for output in outputs or [] if not _is_probe(output)]


def install() -> None:
    """Let nbval make tolerant cells; called from the conftest.py at the root of the repository."""
    stand_in(nbval.plugin.IPyNbCell, TolerantCell)
