"""What the tests of marking by hand and of exports share: a folder of marks, made without any kernel."""

import shutil
from pathlib import Path
from typing import Any

from lazy_course.grading import late, notebooks, report
from tests.grading import tiny

HOSTILE = """<script>document.title = "script"</script><img src=x onerror="document.title = 'img'">
[a](javascript:alert(1)) ![b](http://evil.example/b.png) $\\href{javascript:document.title='href'}{x}$
$\\def\\frac#1#2{0}$ $\\style{position:fixed;inset:0}{x}$ $\\rule{200em}{200em}$

```js"><script>document.title = "fence"</script>
```
"""
ANSWERS = {"ada": "By distributivity, $2 (x + y) = 2 x + 2 y$.", "=bob": "It is **clear**.", "mallory": HOSTILE}


def record(student: str, answer: str, *, points: float | None = None, came: bool = True) -> dict[str, Any]:
    """A record as `grade` writes it, with full marks from the grader and a written answer."""

    def mark(points: float | None, out_of: float, answer: str, **more: Any) -> dict[str, Any]:
        base = {"points": points, "out_of": out_of, "marking": "auto", "cause": "", "note": "", "written": True}
        return base | {"answer": answer} | more

    proof = notebooks.WRITTEN_MARK.format(question="proof") + "\n" + answer
    marks = {
        "double": mark(2.0, 2.0, "def double(x): ..."),
        "gradient": mark(3.0, 3.0, "def gradient(): ..."),
        "is-lazy": mark(0, 1.0, "def is_lazy(): ...", cause="case 1 of 8: it is not the right answer"),
        "proof": mark(points, 4.0, proof, marking="hand", cause="to be marked by hand (4 points)"),
    }
    if not came:
        marks = {name: each | {"points": None, "written": False} for name, each in marks.items()}
    about = {"isolation": "none (unprotected)", "attempt": 0, "cell_timeout": 60.0}
    total = sum(each["points"] or 0 for each in marks.values())
    made = {
        "format": 3, "student": student, "stem": "tiny", "came": came, "complete": True, "submission_sha256": "0" * 64,
        "problem_set_sha256": "1" * 64, "seed": 7, "trouble": "", "marks": marks, "total": total,
        "waiting": 4.0 if came and points is None else 0, **about,
    }  # fmt: skip
    return late.Late().applied(made, 0.0)


def folder(root: Path, records: list[dict[str, Any]] | None = None) -> tuple[Path, Path]:
    """Write what `grade` writes below `root`; return the folder of the marks and that of the problem sets."""
    (root / "sets").mkdir(parents=True)
    shutil.copy(tiny.TINY, root / "sets" / "tiny.md")
    if records is None:
        records = [record(student, answer) for student, answer in ANSWERS.items()]
    about = {"isolation": "none (unprotected)", "attempt": 0, "cell_timeout": 60.0, "show_expected": False}
    report.write(root / "marks", {"tiny": tiny.problems()}, records, about)
    return root / "marks", root / "sets"
