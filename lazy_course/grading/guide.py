"""The commands of the instructors' guide with their real output: run once, recorded in guide.json, shown in the book.

`python -m lazy_course.grading.guide` runs them one after another in an empty folder and writes the record; a test runs
them again and compares. Nothing else of a run depends on time or place: the seed comes from a fixed text.
"""

import html
import json
import os
import platform
import re
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lazy_course.files import write_atomically

GRADE = "lazy-course grade submissions --out marks --seed-file secret.txt"
SAMPLE = "python -m lazy_course.grading.sample submissions"
NAMES = {"ada": ("Ada", "Ahlers"), "ben": ("Ben", "Bauer"), "chi": ("Chi", "Cao"), "dee": ("Dee", "Diaz")}
LATE = "policy = [[0, 1.0], [2, 0.8], [7, 0.5]]\n\n[days]\nben = 1\n"
STEPS = {
    "lint": "lazy-course lint preliminaries",
    "release": "lazy-course release handout",
    "secret": "echo 'nobody can guess this' > secret.txt",
    "sample": SAMPLE,
    "grade": GRADE,
    "gradebook": "cat marks/gradebook.csv",
    "resume": GRADE,
    "new file": f"{SAMPLE} --again",
    "regrade": f"{GRADE} --only ben",
    "late": f"{GRADE} --late late.toml",
    "late gradebook": "cat marks/gradebook.csv",
    "proof": f"{SAMPLE} --proof",
    "grade proof": GRADE,
    "hand": "cat marks/hand_marks.csv",
    "hand marked": "sed -i 's/,6,,$/,6,5,\"Step 2: say why the limit exists\"/' marks/hand_marks.csv",
    "marked": GRADE,
    "canvas": "lazy-course export canvas marks --roster canvas.csv --title preliminaries=Warm-up",
    "canvas file": "cat marks/canvas.csv",
    "moodle": "lazy-course export moodle marks --roster moodle.csv --student-column 'ID number'",
    "moodle file": "cat marks/moodle-preliminaries.csv",
    "variant": "lazy-course variant secret.txt mysets --stem preliminaries",
    "variant lint": "lazy-course lint --sets mysets",
}
PAGES = {"grade": ("marks/feedback/ben.html", "marks/class.html")}  # shown as they are after a step


def rosters() -> dict[str, str]:
    """The lists of the made-up class as Canvas and Moodle give them, by file name."""
    canvas = ["Student,ID,SIS User ID,SIS Login ID,Section,Warm-up (301)", "    Points Possible,,,,,5"]
    moodle = ["First name,Last name,ID number,Email address"]
    for number, (login, (first, last)) in enumerate(NAMES.items(), start=11):
        canvas.append(f'"{last}, {first}",{number},u{number},{login},Lazy training,')
        moodle.append(f"{first},{last},{login},{login}@example.org")
    return {"canvas.csv": "\n".join(canvas) + "\n", "moodle.csv": "\n".join(moodle) + "\n"}


def run(folder: Path, names: tuple[str, ...] = tuple(STEPS)) -> dict[str, dict[str, Any]]:
    """Run steps in a folder, in order: what each said, its seconds, and the pages that stand there afterwards."""
    place = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "120"}
    for file, text in {"late.toml": LATE, **rosters()}.items():
        (folder / file).write_text(text, encoding="utf-8")
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        start = time.monotonic()
        done = subprocess.run(
            STEPS[name],
            shell=True,
            cwd=folder,
            env=os.environ | place,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the step {name!r} of the guide failed: {done.stdout}")
        pages = {path: without_answers((folder / path).read_text(encoding="utf-8")) for path in PAGES.get(name, ())}
        found[name] = {"said": done.stdout, "seconds": round(time.monotonic() - start, 1), "pages": pages}
    return found


def without_answers(text: str) -> str:
    """A page without what a student wrote: the book and the package, which hold the record, give no solution away."""
    return re.sub(r"<pre>.*?</pre>", "<pre>(the answer that was handed in)</pre>", text, flags=re.DOTALL)


def load() -> dict[str, Any]:
    """The committed record: machine, and for each step what it said, its seconds and pages."""
    return json.loads(files("lazy_course").joinpath("grading", "guide.json").read_text(encoding="utf-8"))


def console(*names: str) -> str:
    """Steps as they look in a terminal, as MyST text."""
    steps = load()["steps"]
    lines = [line for name in names for line in (f"$ {STEPS[name]}", *steps[name]["said"].splitlines())]
    return "\n".join(["```console", *lines, "```"])


def roster(file: str) -> str:
    """The list of the made-up class as an LMS gives it, as MyST text."""
    return f"```text\n{rosters()[file]}```"


def page(path: str, title: str) -> str:
    """A page that the grader wrote, in a frame of its own, as HTML."""
    found = {name: text for step in load()["steps"].values() for name, text in step["pages"].items()}
    text = html.escape(found[path], quote=True)
    return f'<div><iframe class="lazy-guide" title="{html.escape(title)}" srcdoc="{text}"></iframe></div>'


def clock() -> str:
    """How long the steps of the record took by the clock, in one sentence."""
    record = load()
    words = {
        "lint": "checking a set",
        "release": "making the archive",
        "grade": "grading the four warm-ups",
        "resume": "grading again with nothing new",
        "grade proof": "grading one set with a proof",
    }
    said = ", ".join(f"{what} {record['steps'][name]['seconds']:.0f} s" for name, what in words.items())
    total = sum(step["seconds"] for step in record["steps"].values()) / 60
    return (
        f"By the clock, on a machine with {record['machine']} and other work: {said}; all commands of this "
        f"page together {total:.0f} minutes. The installation and your reading come on top."
    )


def main() -> int:
    """Run all steps in an empty folder and write the record."""
    with TemporaryDirectory(prefix="guide") as temporary:
        steps = run(Path(temporary))
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    content = json.dumps({"machine": machine, "steps": steps}, indent=1, ensure_ascii=False) + "\n"
    write_atomically(Path(__file__).with_name("guide.json"), content.encode())
    print("\n".join(f"{step['seconds']:6.1f} s  {name}" for name, step in steps.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
