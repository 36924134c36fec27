"""The author's tools and the command line."""

import importlib
import subprocess
import sys

import pytest

from lazy_course import cli
from lazy_course.grading.lint import lint
from tests.grading import tiny

ROOT = tiny.DATA.parents[2]


def test_the_tiny_set_is_clean():
    assert lint(tiny.TINY) == []


def test_lint_finds_each_planted_fault(tmp_path):
    text = tiny.TINY.read_text()
    for old, new in [
        ("double(rng.uniform(1, 10))", "double(3.0)"),  # the inputs are not drawn
        ("    return 3 * x\n", "    return 2 * x\n"),  # a planted answer that is right
        ("### Question 3 — a threshold (1 point)", "### Question 3 — a threshold (2 points)"),
        ("Three questions that need no theory", "There are 12 points in all"),
        # a planted answer that breaks another question
        ("    return matrix.T @ (target - matrix @ point)\n", "    return 0.0\n\n\nmath = None\n"),
    ]:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "tiny.md"
    path.write_text(text)
    found = "\n".join(lint(path))
    for fault in [
        "double: two seeds give the same references",
        "double: the probe shows one value in all cases",
        'double: the planted answer "triples" is marked right',
        'is-lazy: its heading must say "(1 points)"',
        "the text says 12 points in all, but they sum to 10",
        'gradient: the planted answer "drops the sign" also fails is-lazy',
    ]:
        assert fault in found
    assert len(found.splitlines()) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing command"),
        (["grde"], "grde"),
        (["grade"], "Missing argument"),
        (["grade", "there", "--out", "here", "--no-sandbox"], "there is not a folder"),
        (["grade", "no-such-folder", "--out", "here", "--no-sandbox"], "no-such-folder is not a folder"),
        (["grade", "there", "--out", "here", "--no-sandbox", "--workers", "x"], "--workers"),
        (["grade", "there", "--out", "here", "--no-sandbox", "--workers", "0"], "--workers must be at least 1"),
        (["release"], "Missing argument"),
        (["release", "there", "--course", "no-such-course"], "no-such-course"),
        (["lint", "no-such-stem"], "no-such-stem"),
        (
            ["reproduce", "nothing"],
            "no computation 'nothing'; there are convnets-kappa, criterion-map, ",
        ),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments, message, tmp_path, monkeypatch, capsys):
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions" / "tiny.md").write_bytes(tiny.TINY.read_bytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    said = capsys.readouterr()
    assert left.value.code == 2
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_the_recorded_computations_are_listed_and_run_by_name(monkeypatch, capsys):
    for arguments in (["reproduce"], ["reproduce", "--list"], ["reproduce", "finite-horizon", "--list"]):
        with pytest.raises(SystemExit) as left:
            cli.main(arguments)
        assert left.value.code == 0
        names = capsys.readouterr().out.split()
        assert {"criterion-map", "criterion-widths", "finite-horizon", "uniform-bounds"} <= set(names)
    ran = []
    monkeypatch.setattr(cli, "_experiments", lambda: {name: lambda name=name: ran.append(name) for name in names})
    with pytest.raises(SystemExit) as left:
        cli.main(["reproduce", "criterion-map"])
    assert left.value.code == 0
    assert ran == ["criterion-map"]


def test_every_experiment_of_a_chapter_can_be_reproduced():
    """Each experiment.py has a REGISTRY; all of its names are known to the command, and none stands twice."""
    stems = [path.parent.name for path in (ROOT / "lazy_course").glob("*/experiment.py")]
    names = [list(importlib.import_module(f"lazy_course.{stem}.experiment").REGISTRY) for stem in stems]
    assert len(stems) >= 5
    assert all(names)
    assert sorted(name for group in names for name in group) == list(cli._experiments())


def test_help_is_no_mistake(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    assert left.value.code == 0
    assert "release" in capsys.readouterr().out


def test_a_students_kernel_imports_no_tool_of_the_grader():
    code = (
        "import sys, lazy_course.grading; "
        "print([name for name in ('jupytext', 'nbval', 'pytest', 'nbclient', 'typer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_plain_nbval_has_the_courses_tolerance(tmp_path):
    """A probe passes if its stored value is right to its tolerance, whatever its line of text; and fails if not."""
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    cells = []
    for number, factor in enumerate([1.0, 1 + 1e-12, 1.001], start=1):
        case = {"kind": "float", "value": 0.1 * 3 * factor}
        payload = {"question": "q", "cases": [case]}
        data = {"application/vnd.lazy-course.probe+json": payload, "text/plain": "another text"}
        cell = new_code_cell("from lazy_course.grading import probe\nprobe.show('q', lambda rng: 0.1 * 3, cases=1)")
        cell.outputs, cell.execution_count = [new_output("display_data", data)], number
        cells.append(cell)
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    nbformat.write(new_notebook(cells=cells), tmp_path / "three.ipynb")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env"]
    done = subprocess.run([*command, "three.ipynb"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 failed, 2 passed" in done.stdout, done.stdout
    assert "probe q: case 1 of 1: the value is not the right one" in done.stdout
