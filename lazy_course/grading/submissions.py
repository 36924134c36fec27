"""Find submissions on disk and take the sources of their answer cells; whatever is wrong becomes a sentence.

A submission is `SUBMISSIONS/<student>/<stem>.ipynb`. Where one problem set is graded, `SUBMISSIONS/<student>.ipynb`
is taken as well. Nothing else of a student's notebook is used: not its other cells, tags, metadata or outputs.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from lazy_course.grading.errors import GradingError
from lazy_course.grading.notebooks import ANSWER_MARK, WRITTEN_MARK, answer_source
from lazy_course.grading.source import ProblemSet, Question

MAX_BYTES = 20_000_000
_NOT_OPENED = "the submission is a link or no ordinary file, and was not opened"


@dataclasses.dataclass(frozen=True)
class Submission:
    """One student's file for one problem set.

    `path` is None if there is none that can be read, and `trouble` then says why; `came` is false if none was there.
    """

    student: str
    stem: str
    path: Path | None
    trouble: str = ""
    came: bool = True

    def content(self) -> bytes:
        """The file's bytes; b"" where there is no usable file."""
        return self.path.read_bytes() if self.path else b""

    def modified(self) -> float:
        """When the file was last changed, in seconds since 1970; 0 where there is no usable file."""
        return self.path.stat().st_mtime if self.path else 0.0


@dataclasses.dataclass(frozen=True)
class Answer:
    """What was found for one question: a source to run, or the cause why there is none.

    `written` is false if no line was added to what the exercise holds, in any cell that belongs to the question.
    """

    source: str | None
    cause: str = ""
    note: str = ""
    written: bool = False


def discover(folder: Path, stems: list[str]) -> list[Submission]:
    """All submissions below `folder`, by student and problem set; GradingError if there is not one."""
    if not folder.is_dir():
        raise GradingError(f"{folder} is not a folder; it should hold one folder a student")
    found = []
    for entry in sorted(folder.iterdir(), key=lambda path: path.name):
        if entry.name.startswith(("~", "__")) or entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():
            found += [_in_folder(entry, stem) for stem in stems]
        elif entry.is_dir():
            found += [Submission(printable(entry.name), stem, None, _NOT_OPENED) for stem in stems]
        elif entry.suffix == ".ipynb" and len(stems) == 1:
            found.append(_file(printable(entry.stem), stems[0], entry))
    if not found:
        raise GradingError(f"{folder} holds no submissions; expected <student>/{stems[0]}.ipynb")
    names = [(item.student, item.stem) for item in found]
    twice = sorted({name for name, _ in names if names.count((name, stems[0])) > 1})
    if twice:
        raise GradingError(f"{folder} holds {twice[0]}/ and {twice[0]}.ipynb; keep one of the two")
    return found


def _in_folder(folder: Path, stem: str) -> Submission:
    student, path = printable(folder.name), folder / f"{stem}.ipynb"
    if path.exists() or path.is_symlink():
        return _file(student, stem, path)
    others = sorted(item.name for item in folder.iterdir() if item.is_file())[:3]
    seen = f"; the folder holds {', '.join(others)}" if others else ""
    return Submission(student, stem, None, printable(f"no file {stem}.ipynb was handed in{seen}"), came=False)


def printable(text: str) -> str:
    """Text that a terminal, a file and a page can show: control characters and half characters are spelled out."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _file(student: str, stem: str, path: Path) -> Submission:
    if path.is_symlink() or not path.is_file():
        return Submission(student, stem, None, _NOT_OPENED)
    if path.stat().st_size > MAX_BYTES:
        return Submission(student, stem, None, f"the file is larger than {MAX_BYTES // 1_000_000} MB")
    return Submission(student, stem, path)


def digest(content: bytes) -> str:
    """The fingerprint by which a submission is known again."""
    return hashlib.sha256(content).hexdigest()


def cells_of(content: bytes) -> list[dict[str, Any]] | str:
    """The cells of a notebook file as plain dictionaries, or a sentence that says why there are none."""
    if not content.strip():
        return "the file is empty"
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return "the file is not a notebook: its text is not UTF-8"
    except (ValueError, RecursionError):
        return "the file is not a notebook: it does not hold valid JSON"
    if not isinstance(notebook, dict) or not isinstance(notebook.get("nbformat"), int):
        return "the file is not a notebook: it has no notebook format"
    if notebook["nbformat"] != 4 or not isinstance(notebook.get("cells"), list):
        return f"the notebook has format {notebook['nbformat']}, and 4 is needed; open and save it in JupyterLab"
    cells = [_plain(cell) for cell in notebook["cells"]]
    return [cell for cell in cells if cell]


def _plain(cell: Any) -> dict[str, Any]:
    """A cell's type, id, source and course metadata, with every surprise taken out."""
    if not isinstance(cell, dict):
        return {}
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    metadata = cell.get("metadata")
    course = metadata.get("lazy_course") if isinstance(metadata, dict) else None
    return {
        "type": cell.get("cell_type"),
        "id": cell.get("id"),
        "source": _encodable(source) if isinstance(source, str) else "",
        "course": course if isinstance(course, dict) else {},
    }


def _encodable(text: str) -> str:
    """JSON can smuggle in half a surrogate pair, which no file and no socket takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def answers(cells: list[dict[str, Any]], problems: ProblemSet) -> dict[str, Answer]:
    """For each question its answer cell, found by cell id, then by metadata or the marker line."""
    return {question.id: _answer(cells, question) for question in problems.questions}


def _answer(cells: list[dict[str, Any]], question: Question) -> Answer:
    role, mark = ("answer", ANSWER_MARK) if question.marking == "auto" else ("written", WRITTEN_MARK)
    name, line = f"{question.id}-{role}", mark.format(question=question.id)
    by_id = [cell for cell in cells if cell["id"] == name]
    marked = [cell for cell in cells if cell["id"] != name and _is_marked(cell, question.id, role, line)]
    found = by_id or marked
    if not found:
        return Answer(None, f"the answer cell of {question.id} is missing")
    written = any(_adds_to_exercise(cell["source"], question) for cell in by_id + marked)
    if question.marking == "hand" and len(by_id + marked) > 1:
        return _all_of(by_id + marked, question, written)
    if len({cell["source"] for cell in found}) > 1:
        cause = f"the answer cell of {question.id} is there {len(found)} times with different content"
        return Answer(None, cause, written=written)
    kind = "code" if question.marking == "auto" else "markdown"
    if found[0]["type"] != kind:
        fault = f"the answer cell of {question.id} is no longer a {kind} cell"
        readable = question.marking == "hand"  # it is text in any case
        return (
            Answer(found[0]["source"], note=fault, written=written)
            if readable
            else Answer(None, fault, written=written)
        )
    copies = [cell for cell in marked if cell["source"] != found[0]["source"]]
    note = "" if by_id else "the cell's id was changed; it was found by its marker"
    if copies:
        note = _copies(question, len(copies) + 1)
    return Answer(found[0]["source"], note=note, written=written)


def _all_of(found: list[dict[str, Any]], question: Question, written: bool) -> Answer:
    """Several cells for one proof: whoever marks it reads all that differ, one after the other."""
    texts = list(dict.fromkeys(cell["source"] for cell in found))
    written_texts = [text for text in texts if _adds_to_exercise(text, question)] or texts[:1]
    note = _copies(question, len(texts)) if len(written_texts) > 1 else ""
    return Answer("\n\n---\n\n".join(written_texts), note=note, written=written)


def _is_marked(cell: dict[str, Any], question: str, role: str, line: str) -> bool:
    """Whether a cell carries a question's metadata or its marker line, as a copy in JupyterLab does."""
    course = cell["course"]
    return (course.get("question") == question and course.get("role") == role) or line in cell["source"]


def _copies(question: Question, count: int) -> str:
    """What to say where copies of an answer cell differ from it; Jupyter ran the last, which may be another one."""
    graded = "the one with the original id was graded" if question.marking == "auto" else "all of them are read"
    return f"there are {'two' if count == 2 else count} answer cells of {question.id}; {graded}"


def _adds_to_exercise(text: str, question: Question) -> bool:
    """Whether a line stands in `text` that the exercise's own cell does not have."""
    given = {line.strip() for line in answer_source(question, solved=False).splitlines()}
    return any(line.strip() not in given for line in text.splitlines() if line.strip())
