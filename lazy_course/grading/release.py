"""The archive that students get: `lazy-course release DEST`."""

import io
import json
import zipfile
from pathlib import Path

from lazy_course.files import write_atomically
from lazy_course.grading import notebooks, source
from lazy_course.grading.errors import GradingError
from lazy_course.grading.files import sets_folder, sources
from lazy_course.grading.source import BEGIN, END, WRITTEN_BEGIN, WRITTEN_END, ProblemSet

NAME = "lazy-course-exercises.zip"
# pyproject.toml names README.md and LICENSE, so an installation needs them too.
INSTALL = ("LICENSE", "README.md", "environment.yml", "pyproject.toml", "requirements.lock")
PACKAGED = (
    ".css",
    ".js",
    ".json",
    ".npz",
    ".py",
    ".toml",
    ".typed",
)  # the code, and the package-data of pyproject.toml
START = """# How to start

1. Set up, once, with Python 3.11 or newer, in the folder that holds this file:

   ```
   python3 -m venv .venv
   . .venv/bin/activate                # Windows: .venv\\Scripts\\activate
   pip install -r requirements.lock
   pip install --no-deps -e .
   ```

   (Or with conda: `conda env create -f environment.yml`, then `conda activate lazy-course`.)
2. Open the notebooks: `jupyter lab exercises`. On another day, activate the environment first, as above.
3. Write each answer into its answer cell, the one that begins with "Answer to ... (keep this line)". Keep that line.
   All that an answer needs, helper functions and imports too, belongs into this one cell: no other cell of yours is
   read by the grader.
   Do not copy it either: of two cells for one question, the one that came with the notebook is graded.
4. Run the cells below it. The self-check tests your answer against first principles and says what is off. The probe
   shows values of your answer; the grader looks at such values, for inputs of its own.
5. Hand in the notebook under the name that it has. Outputs do not matter.
"""


def release(root: Path, destination: Path, *, force: bool = False, sets: Path | None = None) -> Path:
    """Write the archive with all exercises, what installs the course, its package and START.md; return its path.

    Of the package come the files that are installed; nothing below solutions/ or tests/ is in it. `destination` is
    the archive (a name that ends with .zip) or the folder for it. GradingError if it exists and not `force`, if a file
    that students need is missing, if the exercises on disk are not those of the sources, or if anything but the
    package, which is for everybody, gives a solution away.

    With `sets`, a folder of an instructor's own problem sets, the exercises are those of its sources and no others.
    The public solutions, of which such sets may be variants, are looked for too. Nothing else of the folder is read.
    """
    target = destination if destination.suffix == ".zip" else destination / NAME
    if target.exists() and not force:
        raise GradingError(f"{target} exists; --force writes over it")
    read = [source.read(path) for path in sources(sets_folder(root, sets))]
    files = {"START.md": START.encode()}
    for problems in read:
        path = root / "exercises" / f"{problems.stem}.ipynb"
        content = notebooks.to_bytes(notebooks.exercise(problems))
        if sets is None and (not path.is_file() or path.read_bytes() != content):
            raise GradingError(f"{path} was not made from its source as it stands; run `make exercises` first")
        files[f"exercises/{problems.stem}.ipynb"] = content
    verify(files, read)
    if sets is not None:
        verify(files, [source.read(path) for path in sources(sets_folder(root))])
    write_atomically(target, archive(files | _course(root)))
    return target


def _course(root: Path) -> dict[str, bytes]:
    """What `pip install -e .` needs, and the package, which is the same for everybody: no set's answers are in it."""
    missing = [name for name in (*INSTALL, "lazy_course/__init__.py") if not (root / name).is_file()]
    if missing:
        raise GradingError(f"{root / missing[0]} is missing, and students need it")
    package = [path for path in (root / "lazy_course").rglob("*") if path.is_file() and path.suffix in PACKAGED]
    names = [*INSTALL, *(path.relative_to(root).as_posix() for path in package)]
    return {name: (root / name).read_bytes() for name in names}


def archive(files: dict[str, bytes]) -> bytes:
    """A zip archive whose bytes depend on the names and the contents alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"lazy-course/{name}", date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            packed.writestr(entry, files[name])
    return buffer.getvalue()


def verify(files: dict[str, bytes], sets: list[ProblemSet]) -> None:
    """GradingError if a file holds a solution, a planted answer, an output or a seed."""
    given = "\n".join(line for problems in sets for line in _lines(problems)[0])
    for name, content in files.items():
        text = content.decode("utf-8")
        for problems in sets:
            leaked = leaks(text, problems, given)
            if leaked:
                raise GradingError(f"{name} would give away the solution of {problems.stem}: {leaked[0]!r}")
        if "set_seed" in text:
            raise GradingError(f"{name} would give away a seed")
        if name.endswith(".ipynb"):
            cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
            if any(cell["outputs"] or cell["execution_count"] for cell in cells):
                raise GradingError(f"{name} holds outputs")


def leaks(text: str, problems: ProblemSet, given: str = "") -> list[str]:
    """The lines of a set's solutions and planted answers that `text` holds (in a notebook's JSON or as they are).

    A line counts if it has ten characters or more and stands neither in a part that students are given anyway nor in
    `given`, such as the open parts of other sets.
    """
    open_lines, hidden = _lines(problems)
    given = "\n".join([*open_lines, given])
    secret = [line for line in dict.fromkeys(hidden) if len(line) >= 10 and line not in given]
    return [line for line in secret if line in text or json.dumps(line, ensure_ascii=False)[1:-1] in text]


def _lines(problems: ProblemSet) -> tuple[set[str], list[str]]:
    """The lines of a set that students are given, and those of its solutions and planted answers."""
    open_lines: set[str] = set()
    hidden: list[str] = []
    for cell in problems.cells:
        inside = cell.role == "wrong"
        for line in map(str.strip, cell.source.splitlines()):
            if line in (BEGIN, WRITTEN_BEGIN, END, WRITTEN_END):
                inside = line in (BEGIN, WRITTEN_BEGIN)
                hidden.append(line)
            elif inside:
                hidden.append(line)
            else:
                open_lines.add(line)
    return open_lines, hidden
