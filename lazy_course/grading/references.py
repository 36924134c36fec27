"""What the solution gives at the inputs of each student: run alone, before any student's code, and kept in memory."""

from typing import Any

from lazy_course.grading import predicates, runner, template
from lazy_course.grading.errors import GradingError
from lazy_course.grading.notebooks import to_bytes
from lazy_course.grading.source import ProblemSet
from lazy_course.grading.values import decode

References = dict[str, Any]  # by question: the payload, and the rule by which it is compared


def run(
    problems: ProblemSet, seeds: list[int], *, attempt: int, isolation: str, timeout: float, fonts: dict[str, bytes]
) -> tuple[list[References], dict[str, bytes]]:
    """The references for each seed, and lists of fonts; GradingError if the solution fails or cannot be judged."""
    notebook = template.references(problems, seeds, attempt=attempt)
    lines, trouble, made = runner.run(to_bytes(notebook), isolation, timeout=timeout, fonts=fonts)
    rules = {question.id: question.rule for question in problems.automatic}
    references: list[References] = [{} for _ in seeds]
    for line in lines:
        fault = line.get("cause") or _fault(line, rules)
        if fault:
            raise GradingError(f"the solution of {problems.stem} fails: {line['question']}: {fault}")
        if "payload" in line:
            references[line["index"]][line["question"]] = {"payload": line["payload"], **rules[line["question"]]}
    if trouble or any(set(each) != set(rules) for each in references):
        raise GradingError(f"the solution of {problems.stem} did not run to its end: {trouble or 'a probe is missing'}")
    return references, fonts | made


def _fault(line: dict[str, Any], rules: dict[str, Any]) -> str:
    """What is wrong with the payload of a line: an error, or a value that the question's predicate cannot judge."""
    cases = line["payload"]["cases"] if "payload" in line else []
    if any(case["kind"] == "error" for case in cases):
        return str(cases)
    found = (predicates.fault(rules[line["question"]]["predicate"], decode(case)) for case in cases)
    return next(filter(None, found), "")
