"""An author's check of a problem set before students see it."""

import re
from pathlib import Path
from typing import Any

from lazy_course.grading import notebooks, predicates, source
from lazy_course.grading.compare import finite_enough, payload_difference
from lazy_course.grading.replay import cells, replay
from lazy_course.grading.source import ProblemSet, Question
from lazy_course.grading.values import decode

_SEEDS = (101, 202)


def lint(path: Path, *, selfchecks: bool = True) -> list[str]:
    """What is wrong with the problem set in a file, one sentence each; empty if nothing is."""
    return lint_set(source.read(path), selfchecks=selfchecks)


def lint_set(problems: ProblemSet, *, selfchecks: bool = True) -> list[str]:
    """What is wrong with a problem set, one sentence each; empty if nothing is.

    Two seeds must give different references, no probe may show one value in all cases, each planted wrong answer
    must fail its own question and no other, each stub must raise, points must be stated as the metadata say, and the
    self-check of each question must agree with the solution (left out where `selfchecks` is false: it takes longest).
    """
    automatic = problems.automatic
    stubs = {item.id: notebooks.answer_source(item, solved=False) for item in automatic}
    planted = [(item, wrong) for item in automatic for wrong in item.wrongs]
    variants = [{"seed": seed, "cells": cells(problems, {})} for seed in _SEEDS]
    variants.append({"seed": _SEEDS[0], "cells": cells(problems, stubs)})
    variants += [
        {"seed": _SEEDS[0], "cells": cells(problems, {item.id: wrong.source}, probes_from=item.id)}
        for item, wrong in planted
    ]
    if selfchecks:
        variants.append({"seed": _SEEDS[0], "cells": cells(problems, {}, selfchecks=True)})
    replayed = replay(variants)
    (one, two, blank, *wrongs), printed = [each.payloads for each in replayed], replayed[-1].printed
    found = _stated_points(problems)
    if selfchecks:
        wrongs.pop()
        found += [fault for question in automatic if (fault := disagreement(question.id, printed))]
    for question in automatic:
        found += [f"{question.id}: {fault}" for fault in _references(question, one, two)]
        if question.id in one:
            found += [f"{question.id}: {fault}" for fault in _stub(blank.get(question.id))]
    for (question, wrong), payloads in zip(planted, wrongs, strict=True):
        for other in automatic[automatic.index(question) :]:
            fault = _planted(question, other, one, payloads)
            if fault:
                found.append(f'{question.id}: the planted answer "{wrong.mistake}" {fault}')
    return found


def disagreement(question: str, printed: str) -> str:
    """What a self-check has against the solution, by what the cells of a solved set printed; "" if nothing."""
    begin = f"self-check {question}: "
    faults: list[str] = []
    for line in printed.splitlines():
        if line.startswith(begin):
            verdict = line.removeprefix(begin)
            agrees = verdict.endswith((" agree", " agrees"))
            return (
                "" if agrees else f"{question}: its self-check says of the solution: {(faults or [verdict])[0].strip()}"
            )
        faults = [*faults, line] if line.startswith("  not yet: ") else []
    return f"{question}: its self-check says nothing"


def _references(question: Question, one: dict[str, Any], two: dict[str, Any]) -> list[str]:
    if question.id not in one or question.id not in two:
        return ["its probe shows nothing for the solution"]
    shown = one[question.id]["cases"]
    errors = [case for case in shown + two[question.id]["cases"] if case["kind"] == "error"]
    if errors:
        return [f"the solution stops with {errors[0]['name']}: {errors[0]['message']}"]
    found = []
    if not finite_enough([decode(case) for case in shown]):
        found.append("the solution gives nan, which nothing equals")
    if question.predicate:
        unfit = [predicates.fault(question.predicate, decode(case)) for case in shown]
        if any(unfit):
            return [*found, f"the predicate {next(filter(None, unfit))}"]
    if payload_difference(one[question.id], two[question.id], **question.rule) is None:
        found.append("two seeds give the same references: let the probe draw its inputs from rng")
    if len(shown) < 2 or all(case == shown[0] for case in shown):
        found.append("the probe shows one value in all cases: let it show several that differ")
    return found


def _stub(payload: Any) -> list[str]:
    cases = payload["cases"] if payload else []
    if all(case["kind"] == "error" for case in cases):  # also if the stub stopped its whole cell
        return []
    return ["the untouched exercise gives a value; the stub must raise NotImplementedError"]


def _planted(question: Question, other: Question, one: dict[str, Any], got: dict[str, Any]) -> str:
    if other.id not in one:
        return ""
    reason = payload_difference(got.get(other.id), one[other.id], **other.rule)
    if other.id == question.id:
        return "is marked right" if reason is None else ""
    return f"also fails {other.id} ({reason})" if reason else ""


def _stated_points(problems: ProblemSet) -> list[str]:
    found = []
    for question in problems.questions:
        statement = next(c for c in problems.cells if c.role == "statement" and c.question == question.id)
        stated = re.search(r"\((\d+(?:\.\d+)?) points?[,)]", statement.source)
        if not stated or float(stated.group(1)) != question.points:
            found.append(f'{question.id}: its heading must say "({question.points:g} points)", as the metadata do')
    total = sum(question.points for question in problems.questions)
    text = "\n".join(cell.source for cell in problems.cells if cell.kind == "markdown")
    for sum_stated in re.findall(r"(\d+(?:\.\d+)?) points in (?:all|total)", text):
        if float(sum_stated) != total:
            found.append(f"the text says {sum_stated} points in all, but they sum to {total:g}")
    return found
