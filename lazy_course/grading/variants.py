"""Ready variants of the public problem sets: `lazy-course variant SECRET FOLDER`.

The solutions of the course are public. Beside each source stands a table, `solutions/variants/<stem>.toml`, that says
for every question which of its constants and models may be others, and which words of the question change with them:

    [energy-rate]
    draw.c = [3, 5, 7]                    # the values that a secret chooses from; the public one is not among them
    swap = [
      ['F(w) = \\frac{1}{2n}', 'F(w) = \\frac{<<c>>}{2n}'],
      ['/ inputs.size', '* <<c>> / inputs.size'],
    ]

A swap puts its second text in place of its first, wherever this stands in the question: statement, hint, solution,
self-check, probe and planted answers; the swaps are done one after the other. `<<c>>` is the drawn value. A value may
be a small table of spellings, such as {tex = '\\tfrac32', code = '1.5'}; then <<c.tex>> and <<c.code>> are its parts.
Which value is drawn depends on the secret, the set, the question and the parameter, and on nothing else (HMAC with
SHA-256). What is written is an ordinary source, with no trace of the table; the public solution is added to each
question as a planted wrong answer, so `lazy-course lint` shows that it fails.
"""

import hashlib
import hmac
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jupytext
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from lazy_course.files import write_atomically
from lazy_course.grading import source
from lazy_course.grading.errors import GradingError
from lazy_course.grading.files import outside_the_package, sets_folder, sources

PUBLIC = "the public solution, unchanged"
LEAST_SECRET = 16  # bytes
_PLACE = re.compile(r"<<([a-z_]+(?:\.[a-z_]+)?)>>")

Table = dict[str, Any]
Choose = Callable[[str, str, int], int]  # question, parameter, number of values -> which of them


class TableError(GradingError):
    """A table of variants that cannot be used, with the file, the question and what to mend."""


def write(
    root: Path, secret_file: Path, out: Path, stems: list[str] | None = None, *, force: bool = False
) -> list[Path]:
    """Write a variant of each public set (or of `stems`) to `out`/<stem>.md and return the paths.

    The same secret gives the same bytes. GradingError if the secret is shorter than 16 bytes, if `out` is a folder
    of the course that students or readers get, if a file there differs and not `force`, or if a table is not sound.
    """
    secret = read_secret(secret_file)
    public = sets_folder(root)
    outside_the_package(out)
    if out.resolve().is_relative_to(public.resolve()):
        raise GradingError(f"{out} lies in the folder of the public sets; choose one outside the course")
    texts = {}
    for path in sources(public, stems):
        target = out / path.name
        texts[target] = vary(path, drawn(secret, path.stem)).encode()
        if target.exists() and target.read_bytes() != texts[target] and not force:
            raise GradingError(
                f"{target} exists and differs (another secret, or your own edits); --force writes over it"
            )
    for target, content in texts.items():
        write_atomically(target, content)
    return list(texts)


def read_secret(path: Path) -> bytes:
    """The bytes of a secret's file without white space at its ends; GradingError if there are fewer than 16."""
    secret = path.read_bytes().strip()
    if len(secret) < LEAST_SECRET:
        raise GradingError(
            f"{path} holds {len(secret)} bytes, and a secret needs {LEAST_SECRET} or more; make one with "
            "python -c 'import secrets; print(secrets.token_hex())'"
        )
    return secret


def drawn(secret: bytes, stem: str) -> Choose:
    """The choice that a secret makes for each parameter of a set."""

    def choose(question: str, parameter: str, count: int) -> int:
        text = json.dumps(["variant", stem, question, parameter])
        return int.from_bytes(hmac.digest(secret, text.encode(), hashlib.sha256), "big") % count

    return choose


def every(path: Path) -> Iterator[str]:
    """As few variants of a public set as show each value of each parameter at least once."""
    table = read_table(path)
    most = max(len(values) for entry in table.values() for values in entry["draw"].values())
    for turn in range(most):
        yield vary(path, _in_turn(turn))


def _in_turn(turn: int) -> Choose:
    return lambda question, parameter, count: turn % count


def vary(path: Path, choose: Choose) -> str:
    """The text of a variant of the public set at `path`; TableError or SourceError if it would not be sound."""
    table = read_table(path)
    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="md:myst")
    automatic = {question.id: question for question in source.of_notebook(notebook, stem=path.stem).automatic}
    where = f"{path.stem}.toml"
    _demand_same(where, set(table), set(automatic))
    cells: list[NotebookNode] = []
    for question, own in _runs(notebook.cells):
        if question in automatic:
            _swap(own, _filled(table[question], question, choose, where), f"{where}, question {question}")
            answer = source.cut(automatic[question].answer, question, None)
            course = {"role": "wrong", "question": question, "mistake": PUBLIC}
            own.append(new_code_cell(answer, metadata={"lazy_course": course}))
        cells += own
    notebook.cells = cells
    source.of_notebook(notebook, stem=path.stem)  # a swap may have taken away what a question needs
    text: str = jupytext.writes(notebook, fmt="md:myst")
    return text


def read_table(path: Path) -> Table:
    """The checked table of the public set at `path`: question -> {"draw": {name: [value]}, "swap": [[old, new]]}."""
    file = path.parent / "variants" / f"{path.stem}.toml"
    if not file.is_file():
        raise TableError(f"{path.stem} has no table of variants, {file}")
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise TableError(f"{file} is not TOML: {error}") from error
    for question, entry in table.items():
        _demand_entry(entry, f"{file.name}, question {question}")
    return table


def _demand_entry(entry: Any, where: str) -> None:
    if not isinstance(entry, dict) or set(entry) != {"draw", "swap"}:
        raise TableError(f"{where}: it needs draw (the values) and swap (pairs of texts), and nothing else")
    draw, swap = entry["draw"], entry["swap"]
    if not isinstance(draw, dict) or not draw:
        raise TableError(f"{where}: draw needs a name with its values, such as draw.c = [3, 5, 7]")
    for name, values in draw.items():
        if not isinstance(values, list) or len(values) < 2 or any(values.count(value) > 1 for value in values):
            raise TableError(f"{where}: draw.{name} needs a list of two or more different values, got {values!r}")
        parts = {tuple(value) if isinstance(value, dict) else () for value in values}
        if len(parts) > 1:
            raise TableError(f"{where}: the values of draw.{name} do not all have the same parts")
    pairs = isinstance(swap, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in swap)
    if not pairs or not swap or not all(isinstance(text, str) and text for pair in swap for text in pair):
        raise TableError(f"{where}: swap needs pairs of texts, ['old', 'new']")


def _demand_same(where: str, tabled: set[str], automatic: set[str]) -> None:
    if tabled - automatic:
        raise TableError(f"{where}: the set has no question {sorted(tabled - automatic)[0]} that the grader marks")
    if automatic - tabled:
        raise TableError(f"{where}: no variant of question {sorted(automatic - tabled)[0]}")


def _runs(cells: list[NotebookNode]) -> Iterator[tuple[str, list[NotebookNode]]]:
    """The cells in order, those of one question that follow each other together."""
    run: list[NotebookNode] = []
    last = ""
    for cell in cells:
        question = cell.metadata.get("lazy_course", {}).get("question", "")
        if run and question != last:
            yield last, run
            run = []
        run, last = [*run, cell], question
    yield last, run


def _filled(entry: Table, question: str, choose: Choose, where: str) -> list[tuple[str, str]]:
    """The swaps of a question with the chosen values in their places."""
    words: dict[str, str] = {}
    for name, values in entry["draw"].items():
        value = values[choose(question, name, len(values))]
        parts = {f"{name}.{part}": text for part, text in value.items()} if isinstance(value, dict) else {name: value}
        words |= {key: str(text) for key, text in parts.items()}
    used = {place for _, new in entry["swap"] for place in _PLACE.findall(new)}
    for place in sorted(used ^ set(words)):
        trouble = "stands in a swap, but no draw gives it" if place in used else "is drawn, but stands in no swap"
        raise TableError(f"{where}, question {question}: <<{place}>> {trouble}")
    return [(old, _PLACE.sub(lambda match: words[match[1]], new)) for old, new in entry["swap"]]


def _swap(cells: list[NotebookNode], swaps: list[tuple[str, str]], where: str) -> None:
    """Swap texts in the sources and the hint of a question's cells; TableError if one stands nowhere."""
    for old, new in swaps:
        found = False
        for cell in cells:
            course = cell.metadata["lazy_course"]
            found = found or old in cell.source or any(old in course.get(key, "") for key in ("hint", "mistake"))
            cell.source = cell.source.replace(old, new)
            course.update({key: course[key].replace(old, new) for key in ("hint", "mistake") if key in course})
        if not found:
            raise TableError(f"{where}: {old!r} stands nowhere in the question (did its source change?)")
