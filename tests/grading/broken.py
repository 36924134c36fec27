"""Notebooks as they are handed in: right, blank, broken and hostile, and the marks that each of them is worth."""

import io
import zipfile

from tests.grading import tiny

SOLVED = tiny.solved()
FULL = {"double": 2.0, "gradient": 3.0, "is-lazy": 1.0}


def _answers(**changes):
    return SOLVED | {name.replace("_", "-"): text for name, text in changes.items()}


def _damage(notebook):
    """Lose one answer cell, double another, forget the id of a third, and turn the order round."""
    cells = [cell for cell in notebook["cells"] if cell["id"] != "gradient-answer"]
    twin = next(cell for cell in cells if cell["id"] == "is-lazy-answer")
    cells.append(twin | {"source": "def is_lazy(scale):\n    return 0, True"})
    double = next(cell for cell in cells if cell["id"] == "double-answer")
    del double["id"], double["metadata"]
    notebook["cells"] = cells[::-1]


def _copy(notebook):
    """Answer double in a copy, leave the original as it came; put a wrong copy beside a right answer."""
    for name, text in [("double", SOLVED["double"]), ("is-lazy", "def is_lazy(scale):\n    return 0, True")]:
        place = next(i for i, cell in enumerate(notebook["cells"]) if cell["id"] == f"{name}-answer")
        copy = notebook["cells"][place] | {"id": f"copy-of-{name}", "source": text}
        notebook["cells"].insert(place + 1, copy)


def _tamper(notebook):
    """Tag and rewrite what is not the student's: it must not matter."""
    for cell in notebook["cells"]:
        cell["metadata"]["tags"] = ["nbval-skip", "nbval-ignore-output", "raises-exception"]
        if cell["id"].endswith("-probe"):
            cell["source"] = "# NBVAL_SKIP"


NOISY = """import sys, warnings
print("text on stderr", file=sys.stderr)
warnings.warn("a warning")
def double(x):
    print("x" * 10_000)
    print("and on stderr", file=sys.stderr)
    return x + x
double"""
HUSH = "get_ipython().showtraceback = lambda *a, **k: None\nassert False\n"
EQUAL = """class Right(float):
    def __eq__(self, other): return True
    __hash__ = float.__hash__
    __ne__ = lambda self, other: False
def double(x):
    return Right(7.0)
"""
MASKED = "\nprint = sum = np = probe = display = None\ndef range(*a): raise SystemExit\n"
MUTE = """import IPython.display, lazy_course.grading.probe as stolen
stolen.show = lambda question, answer, **k: IPython.display.display(
    {"application/vnd.lazy-course.probe+json": {"question": question, "cases": [{"kind": "right"}] * 8}}, raw=True)
"""
LOUD = """from IPython.display import display
def double(x):
    display({"application/vnd.lazy-course.probe+json": {"question": "double", "cases": []}}, raw=True)
    return 2 * x
"""
HELPED = "def gradient(*arguments):\n    return my_helper(*arguments)"
BOMB = io.BytesIO()
with zipfile.ZipFile(BOMB, "w", zipfile.ZIP_DEFLATED) as bomb:
    bomb.writestr("tiny.ipynb", bytes(50_000_000))
HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>"


def _twin(notebook, source=None):
    """What counts of the answer to double, in as few bytes as can be."""
    found = next(cell for cell in notebook["cells"] if cell["id"] == "double-answer")
    return {"cell_type": "code", "id": found["id"], "source": source or found["source"]}


def _crowd(notebook):
    """100 000 cells, half of them empty, half of them an answer again."""
    notebook["cells"] += [{"cell_type": "code", "source": ""}] * 50_000 + [_twin(notebook)] * 50_000


def _quarrel(notebook):
    """100 000 copies of an answer, each another one."""
    notebook["cells"] += [_twin(notebook, f"def double(x):\n    return {i} * x") for i in range(100_000)]


COPIED = {name: text for name, text in SOLVED.items() if name == "is-lazy"} | {"gradient": HELPED}
NOTEBOOKS = {
    "solved": tiny.submission(SOLVED),
    "blank": tiny.submission(),
    "wrong": tiny.submission(_answers(double="def double(x):\n    return 3 * x", gradient="def gradient(: pass")),
    "hush": tiny.submission(_answers(double=HUSH, gradient="# NBVAL_SKIP\ndef gradient(*a):\n    return 0.0"), _tamper),
    "equal": tiny.submission(_answers(double=EQUAL, gradient=SOLVED["gradient"] + MASKED)),
    "exit": tiny.submission(_answers(gradient="def gradient(*a):\n    import os\n    os._exit(0)")),
    "loop": tiny.submission(_answers(double="while True:\n    pass")),
    "noisy": tiny.submission(_answers(double=NOISY)),
    "mute": tiny.submission(_answers(double=SOLVED["double"] + "\n" + MUTE)),
    "loud": tiny.submission(_answers(double=LOUD, is_lazy="raise ValueError('\\x1b[31m<b>')")),
    "damaged": tiny.submission(SOLVED, _damage),
    "copied": tiny.submission(COPIED, _copy),
    "text": b"Dear instructor, my answers are attached.",
    "empty": b"",
    "half": tiny.submission(SOLVED)[:700],
    "latin": "\xe9t\xe9".encode("latin-1"),
    "old": tiny.submission(SOLVED, lambda notebook: notebook.update(nbformat=3)),
    "number": b"7",
    "deep": b"[" * 100_000,
    "zip": BOMB.getvalue(),
    "large": b'{"cells": [' + b" " * 20_000_000 + b"]}",
    "digits": b'{"nbformat": 4, "cells": [], "metadata": ' + b"9" * 100_000 + b"}",
    "crowd": tiny.submission(SOLVED, _crowd),
    "quarrel": tiny.submission(SOLVED, _quarrel),
    "markup": tiny.submission(_answers(double=f"raise ValueError({HOSTILE!r})", proof=f"=1+1 {HOSTILE}")),
    "shapeless": b'{"nbformat": 4, "cells": [1, null, {"source": 3}, {"source": [4], "metadata": []}]}',
    "x..": b"<",
    "=cmd|' /C calc'!A0<script>alert(1)</script>": b"{}",
}
EXPECTED: dict[str, dict[str, float]] = {name: {} for name in NOTEBOOKS} | {
    "solved": FULL,
    "wrong": {"is-lazy": 1.0},
    "hush": {"is-lazy": 1.0},
    "equal": {"gradient": 3.0, "is-lazy": 1.0},
    "exit": {"double": 2.0, "is-lazy": 1.0},
    "loop": {"gradient": 3.0, "is-lazy": 1.0},
    "noisy": FULL,
    "loud": {"gradient": 3.0},
    "damaged": {"double": 2.0},
    "copied": {"is-lazy": 1.0},
    "crowd": FULL,
    "quarrel": {"gradient": 3.0, "is-lazy": 1.0},
    "markup": {"gradient": 3.0, "is-lazy": 1.0},
}
