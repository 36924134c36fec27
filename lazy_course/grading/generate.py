"""Make the notebooks from the sources: `python -m lazy_course.grading.generate [--check] [STEM ...]`.

For each `solutions/<stem>.md` this writes `exercises/<stem>.ipynb` and the executed `solutions/<stem>.ipynb`. On one
machine the same source gives the same bytes. `--check` writes nothing and fails on a difference. It compares bytes,
except for what may differ in the last digits from one machine to the next: the values of a probe are compared with
their question's tolerance, a probe's line of text and the pixels of pictures are not compared. With `--sets FOLDER`
the sources are FOLDER/<stem>.md, and the notebooks are FOLDER/exercises/<stem>.ipynb and FOLDER/<stem>.ipynb.
"""

import argparse
import copy
import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

from lazy_course.files import write_atomically
from lazy_course.grading import notebooks, source
from lazy_course.grading.compare import payload_difference
from lazy_course.grading.errors import GradingError
from lazy_course.grading.files import course_root, sets_folder, sources
from lazy_course.grading.source import ProblemSet, Rule, SourceError
from lazy_course.grading.values import MIME

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{6,}")
_PICTURES = ("image/png", "image/jpeg", "image/svg+xml", "application/pdf")


def execute(problems: ProblemSet, timeout: float = 600.0) -> nbformat.NotebookNode:
    """Run the solved notebook from top to bottom and keep its outputs without anything that changes from run to run."""
    notebook = notebooks.solution(problems)
    with tempfile.TemporaryDirectory(prefix="lc") as folder:
        sockets = Config(ConnectionFileMixin={"transport": "ipc", "ip": f"{folder}/k"})
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, config=sockets, timeout=timeout, record_timing=False, resources=resources)
        try:
            client.execute(env={**os.environ, "JAX_PLATFORMS": "cpu"})
        except CellExecutionError as error:
            raise SourceError(f"{problems.stem}: the solution stops with {error.ename}: {error.evalue}") from error
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            _settle(cell, problems.stem)
    return notebook


def _settle(cell: nbformat.NotebookNode, stem: str) -> None:
    """Merge a cell's streams and refuse outputs that would not come out the same again."""
    merged: list[nbformat.NotebookNode] = []
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stderr":
            raise SourceError(f"{stem}: cell {cell.id} writes to stderr: {output.text[:300]}")
        if output.output_type == "stream" and merged and merged[-1].output_type == "stream":
            merged[-1].text += output.text
            continue
        for payload in output.get("data", {}).get(MIME, {}).get("cases", []):
            if payload["kind"] == "error":
                raise SourceError(f"{stem}: cell {cell.id}: the solution gives {payload['name']}: {payload['message']}")
        if _ADDRESS.search(str(output.get("data", {}).get("text/plain", ""))):
            raise SourceError(f"{stem}: cell {cell.id} shows an object with its address; end the line with ;")
        merged.append(output)
    cell.outputs = merged


def make(path: Path, root: Path) -> dict[Path, nbformat.NotebookNode]:
    """Both notebooks of one source: the exercise, which belongs into `root`/exercises, and the solution beside it."""
    problems = source.read(path)
    return {
        root / "exercises" / f"{path.stem}.ipynb": notebooks.exercise(problems),
        path.with_suffix(".ipynb"): execute(problems),
    }


def write(path: Path, root: Path) -> list[Path]:
    """Write both notebooks of one source; return those that changed."""
    changed = []
    for target, notebook in make(path, root).items():
        content = notebooks.to_bytes(notebook)
        if not target.exists() or target.read_bytes() != content:
            write_atomically(target, content)
            changed.append(target)
    return changed


def check(path: Path, root: Path) -> list[str]:
    """What differs between the notebooks of one source and the files on disk, one line each; empty if nothing."""
    differences = []
    for target, made in make(path, root).items():
        if not target.exists():
            differences.append(f"{target} is missing")
            continue
        reason = _difference(made, target.read_bytes())
        if reason:
            differences.append(f"{target}: {reason}")
    return differences


def _difference(made: nbformat.NotebookNode, stored_bytes: bytes) -> str | None:
    if notebooks.to_bytes(made) == stored_bytes:
        return None
    try:
        stored = nbformat.reads(stored_bytes.decode(), as_version=4)
    except ValueError:
        return "it is not a notebook"
    made_cells, stored_cells = copy.deepcopy(made), copy.deepcopy(stored)
    if len(made.cells) == len(stored.cells):
        for one, other in zip(made_cells.cells, stored_cells.cells, strict=True):
            reason = _take_out(one, other)
            if reason:
                return reason
    if notebooks.to_bytes(made_cells) != notebooks.to_bytes(stored_cells):
        return "it was not made from the source as it stands; run `make exercises`"
    return None


def _take_out(one: nbformat.NotebookNode, other: nbformat.NotebookNode) -> str | None:
    """Compare the probe values of two cells with tolerance, and take from both what need not be equal."""
    rule = {key: value for key, value in one.metadata.get("lazy_course", {}).items() if key in Rule.__annotations__}
    outputs = list(zip(one.get("outputs", []), other.get("outputs", []), strict=False))
    for made, stored in outputs:
        made_data, stored_data = made.get("data", {}), stored.get("data", {})
        if MIME in made_data and MIME in stored_data:
            reason = payload_difference(stored_data[MIME], made_data[MIME], **rule)
            if reason:
                return f"cell {one.id}: {reason}"
            for data in (made_data, stored_data):
                data.pop(MIME)
                data.pop("text/plain", None)
        for kind in _PICTURES:
            if kind in made_data and kind in stored_data:
                made_data[kind] = stored_data[kind] = ""
    return None


def main(arguments: list[str] | None = None) -> int:
    """The command line; a mistake is one line on stderr and exit status 2."""
    parser = argparse.ArgumentParser(prog="python -m lazy_course.grading.generate", description=__doc__)
    parser.add_argument("stems", nargs="*", metavar="STEM", help="problem sets to make (default: all)")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file on disk differs")
    parser.add_argument("--course", type=Path, default=None, help="folder with solutions/ (default: this course)")
    parser.add_argument("--sets", type=Path, default=None, help="folder with problem sets of your own, <stem>.md")
    options = parser.parse_args(arguments)
    try:
        folder = sets_folder(course_root(options.course), options.sets)
        root, status = options.sets or folder.parent, 0
        for path in sources(folder, options.stems):
            if options.check:
                differences = check(path, root)
                print("\n".join(differences) or f"{path.stem}: nothing differs")
                status = max(status, int(bool(differences)))
            else:
                changed = write(path, root)
                print(f"{path.stem}: " + (", ".join(str(item) for item in changed) or "nothing changed"))
        return status
    except (GradingError, OSError, UnicodeError) as error:
        print(f"generate: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
