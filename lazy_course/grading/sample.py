"""A made-up class to rehearse with: `python -m lazy_course.grading.sample FOLDER`.

Four students hand in the warm-up: one has all of it right, one a part, one handed in the exercise as it came, and the
upload of one ended early. With `--again` the second one hands in all of it right; with `--proof` the first one hands in
another set, whose proof waits to be marked by hand. Needs solutions/; nothing of it is for students.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from lazy_course.files import write_atomically
from lazy_course.grading import notebooks, source
from lazy_course.grading.errors import GradingError
from lazy_course.grading.files import course_root
from lazy_course.grading.source import ProblemSet

WARM_UP, WITH_PROOF = "preliminaries", "criterion"


def filled(problems: ProblemSet, answers: dict[str, str]) -> bytes:
    """The exercise with `answers`, sources of answer cells by question; the other answers stay as they came."""
    notebook = notebooks.exercise(problems)
    for cell in notebook.cells:
        course = cell.metadata.get("lazy_course", {})
        if course.get("role") in ("answer", "written") and course["question"] in answers:
            cell.source = answers[course["question"]]
    return notebooks.to_bytes(notebook)


def solved(problems: ProblemSet) -> dict[str, str]:
    """The solution of every question, as a student would write it."""
    return {item.id: notebooks.answer_source(item, solved=True) for item in problems.questions}


def the_class(problems: ProblemSet) -> dict[str, bytes]:
    """What each of the four students hands in: all right; one right and one wrong; nothing written; half a file."""
    right, (first, second, *_) = solved(problems), problems.automatic
    part = {first.id: right[first.id], second.id: _marked(right[second.id], second.wrongs[0].source)}
    untouched = filled(problems, {})
    broken = untouched[: len(untouched) // 2]
    return {"ada": filled(problems, right), "ben": filled(problems, part), "chi": untouched, "dee": broken}


def _marked(answer: str, wrong: str) -> str:
    """A planted wrong answer below the line that marks the answer cell."""
    return answer.splitlines()[0] + "\n" + wrong


def write(root: Path, folder: Path, *, again: bool = False, proof: bool = False) -> Iterator[Path]:
    """Write <student>/<stem>.ipynb below `folder` and yield the paths."""
    sets = {stem: source.read(root / "solutions" / f"{stem}.md") for stem in (WARM_UP, WITH_PROOF)}
    if proof:
        handed_in = {"ada": filled(sets[WITH_PROOF], solved(sets[WITH_PROOF]))}
    elif again:
        handed_in = {"ben": filled(sets[WARM_UP], solved(sets[WARM_UP]))}
    else:
        handed_in = the_class(sets[WARM_UP])
    for student, content in handed_in.items():
        path = folder / student / f"{WITH_PROOF if proof else WARM_UP}.ipynb"
        write_atomically(path, content)
        yield path


def main(arguments: list[str] | None = None) -> int:
    """The command line; a mistake is one line on stderr and exit status 2."""
    parser = argparse.ArgumentParser(prog="python -m lazy_course.grading.sample", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the submissions go")
    parser.add_argument("--again", action="store_true", help="one student hands in again, all of it right")
    parser.add_argument("--proof", action="store_true", help="one student hands in a set with a proof")
    options = parser.parse_args(arguments)
    try:
        for path in write(course_root(), options.folder, again=options.again, proof=options.proof):
            print(path)
    except (GradingError, OSError) as error:
        print(f"sample: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
