"""The one source: what is read from it, what is refused, and what is made of it."""

import json
import shutil
import subprocess
import sys
import tomllib
import zipfile

import nbformat
import pytest

from lazy_course.grading import generate, notebooks, release, selfcheck, source
from lazy_course.grading.source import SourceError
from tests.grading import tiny

TEXT = tiny.TINY.read_text()


def test_a_problem_set_is_read_with_its_questions():
    problems = tiny.problems()
    assert [(q.id, q.points, q.marking) for q in problems.questions] == [
        ("double", 2.0, "auto"),
        ("gradient", 3.0, "auto"),
        ("is-lazy", 1.0, "auto"),
        ("proof", 4.0, "hand"),
    ]
    assert [len(q.wrongs) for q in problems.automatic] == [2, 2, 2]
    assert problems.questions[3].rubric == ("3: the argument", "1: the constant")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    ### BEGIN SOLUTION\n    secret", "    secret", "question double: END SOLUTION without BEGIN"),
        ("* x\n    ### END SOLUTION", "* x", "question double: its answer needs its solution between"),
        ("<!-- END SOLUTION -->", "", "question proof: its answer needs"),
        ("<!-- END SOLUTION -->", "<!-- END SOLUTION -->\n\n## Next", "question proof: '## Next' follows the solution"),
        ('"points": 2', '"points": "two"', "question double: points is 'two'"),
        ('"points": 2', '"points": true', "points is True"),
        ('"points": 2, ', "", "points is None"),
        ("{role: probe, question: double}", "{role: wrong, question: double}", "no cell has the role probe"),
        ("{role: check, question: double}", "{role: wrong, question: double}", "no cell has the role check"),
        ("{role: answer, question: double}", "{role: answer, question: gradient}", "no cell has the role answer"),
        ('"question": "gradient"', '"question": "double"', "2 cells have the role statement"),
        ("{role: wrong, question: double, m", "{role: wrong, question: gradient, m", "0 planted wrong answers"),
        ('mistake: "triples"', 'mistake: ""', "does not say its"),
        ('"role": "statement", "question": "double"', '"role": "sttement", "question": "double"', "role 'sttement'"),
        ('"question": "double", "points"', '"question": "Double!", "points"', "question 'Double!'"),
        ('probe.show("double"', 'probe.show("dbl"', 'does not call probe.show("double"'),
        (', "hint": "Twice a number is the number plus itself."', "", "no hint"),
        (', "rubric": ["3: the argument", "1: the constant"]', "", "needs a rubric"),
        ('"marking": "hand"', '"marking": "robot"', "marking is 'robot'"),
    ],
)
def test_a_mistake_in_the_source_is_named(old, new, message):
    assert old in TEXT
    text = TEXT.replace(old, new, 2 if "wrong" in old else 1)
    with pytest.raises(SourceError, match=r"^tiny") as caught:
        source.parse(text, stem="tiny")
    assert message in str(caught.value)


def test_a_text_without_questions_is_no_problem_set():
    with pytest.raises(SourceError, match="no question found"):
        source.parse("# Only text\n", stem="tiny")


def test_the_exercise_has_stubs_and_no_trace_of_a_solution():
    content = notebooks.to_bytes(notebooks.exercise(tiny.problems()))
    notebook = nbformat.reads(content.decode(), as_version=4)
    cells = {cell.id: cell for cell in notebook.cells}
    assert 'raise NotImplementedError("Write your answer to double here")' in cells["double-answer"].source
    assert '"""Twice x."""' in cells["double-answer"].source
    assert "*Write your answer here.*" in cells["proof-written"].source
    assert not any(cell.get("outputs") for cell in notebook.cells)
    text = content.decode()
    for secret in ("secret_factor_tiny", "secret_distributivity_tiny", "triples", "3 * x", "SOLUTION", "hint", "rtol"):
        assert secret not in text
    assert release.leaks(text, tiny.problems()) == []


def test_a_leak_is_seen():
    problems = tiny.problems()
    solution = notebooks.to_bytes(notebooks.solution(problems)).decode()
    leaked = release.leaks(solution, problems)
    assert "secret_factor_tiny = 2.0" in leaked
    assert any("secret_distributivity_tiny" in line for line in leaked)
    assert release.leaks("### BEGIN SOLUTION", problems) == ["### BEGIN SOLUTION"]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    root = tmp_path_factory.mktemp("course")
    (root / "solutions").mkdir()
    (root / "solutions" / "tiny.md").write_text(TEXT)
    generate.write(root / "solutions" / "tiny.md", root)
    return root


def test_making_again_changes_nothing(course):
    paths = [course / "exercises" / "tiny.ipynb", course / "solutions" / "tiny.ipynb"]
    before = [path.read_bytes() for path in paths]
    assert generate.write(course / "solutions" / "tiny.md", course) == []
    assert [path.read_bytes() for path in paths] == before


def test_the_executed_solution_stores_its_probes_and_nothing_of_the_machine(course):
    text = (course / "solutions" / "tiny.ipynb").read_text()
    notebook = nbformat.reads(text, as_version=4)
    probes = [cell for cell in notebook.cells if cell.id.endswith("-probe")]
    assert len(probes) == 3
    assert all(len(cell.outputs) == 1 and "rtol" in cell.metadata["lazy_course"] for cell in probes)
    assert notebook.metadata == notebooks._NOTEBOOK_METADATA
    assert "self-check double: the check agrees" in text
    assert str(course) not in text


def test_check_forgives_a_last_digit_and_nothing_more(course):
    path = course / "solutions" / "tiny.ipynb"
    made = nbformat.read(path, as_version=4)

    def changed(change):
        notebook = nbformat.read(path, as_version=4)
        change({cell.id: cell for cell in notebook.cells})
        return generate._difference(made, notebooks.to_bytes(notebook))

    def scale(cells, factor):
        case = cells["double-probe"].outputs[0].data[generate.MIME]["cases"][0]
        case["value"] *= factor

    assert changed(lambda cells: None) is None
    assert changed(lambda cells: scale(cells, 1 + 1e-12)) is None
    assert "case 1 of 3" in (changed(lambda cells: scale(cells, 1.001)) or "")
    assert changed(lambda cells: cells["double-answer"].update(source="x = 1")) is not None
    assert changed(lambda cells: cells["double-check"].update(outputs=[])) is not None
    assert changed(lambda cells: cells["double-probe"].update(outputs=[])) is not None


def test_a_solution_that_fails_is_not_stored():
    problems = source.parse(TEXT.replace("return secret_factor_tiny * x", "return unknown * x"), stem="tiny")
    with pytest.raises(SourceError, match="cell double-probe: the solution gives NameError"):
        generate.execute(problems)


def test_the_command_says_what_is_wrong_in_one_line(tmp_path, capsys):
    (tmp_path / "solutions").mkdir()
    assert generate.main(["--course", str(tmp_path), "nope"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("generate: ")
    assert said.count("\n") == 1


def test_a_selfcheck_prints_what_is_off_and_never_raises(capsys):
    with selfcheck("q") as check:
        check.close([1.0, 2.0], [1.0, 2.5], says="the second entry")
        check.close([1.0], [[1.0]], says="the shape")
        check.close(float("nan"), 1.0)
        check.that(False, says="the sign")
        check.close(1.0, 1.0 + 1e-9)
    printed = capsys.readouterr().out
    assert printed.count("not yet") == 4
    assert "the second entry" in printed
    assert "4 of 5 checks" in printed
    with selfcheck("q") as check:
        raise NotImplementedError("Write your answer to q here")
    with selfcheck("q") as check:
        check.close(1 / 0, 1.0)
    with selfcheck("q"):
        pass
    assert capsys.readouterr().out.splitlines() == [
        "self-check q: Write your answer to q here",
        "self-check q: your code stopped with ZeroDivisionError: division by zero",
        "self-check q: nothing was checked",
    ]


@pytest.mark.parametrize(
    ("got", "wanted", "said"),
    [
        (3.0, 1.0, "3 came, 1 is needed (gap 2) (ratio 3)"),
        (1.0, -3, "1 came, -3 is needed (gap 4) (ratio -0.333)"),
        (1.0, 0.0, "1 came, 0 is needed (gap 1)"),
        (1.0001, 1.0, "1.0001 came, 1 is needed (gap 0.0001)"),
        (0.5e-3, 1.0, "0.0005 came, 1 is needed (gap 1)"),
        (-2e3, 1.0, "-2000 came, 1 is needed (gap 2e+03)"),
        ([1.0], [2.0], "[1.] came, [2.] is needed (gap 1)"),
        (float("nan"), 1.0, "nan or inf came, 1 is needed"),
        ([1.0, float("inf")], [1.0, 2.0], "nan or inf came, [1., 2.] is needed"),
        (float("-inf"), float("inf"), "nan or inf came, inf is needed"),
        (2.0, float("inf"), "2 came, inf is needed"),
        (None, 1.0, "None came: does the function end with `return`?"),
        ("2.0", 2.0, "str came, numbers are needed"),
        ([[1.0], [1.0, 2.0]], [1.0, 2.0], "lists of different lengths came, an array is needed"),
    ],
)
def test_a_selfcheck_says_how_far_a_number_is_off(got, wanted, said, capsys):
    with selfcheck("q") as check:
        check.close(got, wanted, rtol=0)
    assert capsys.readouterr().out.splitlines()[0] == f"  not yet: {said}"


def test_a_tolerance_may_be_an_integer_and_an_infinity_may_be_right(capsys):
    with selfcheck("q") as check:
        check.close(1.0, 2.0, rtol=0, atol=1)
        check.close(float("inf"), float("inf"))
        check.close([], [], rtol=0)
    assert capsys.readouterr().out == "self-check q: all 3 checks agree\n"


def _installable(root):
    (root / "lazy_course" / "chapter" / "__pycache__").mkdir(parents=True)
    for name in (
        *release.INSTALL,
        "lazy_course/__init__.py",
        "lazy_course/py.typed",
        "lazy_course/chapter/claims.toml",
    ):
        (root / name).write_text("\n")
    (root / "lazy_course" / "chapter" / "__pycache__" / "a.pyc").write_bytes(b"")


def test_the_released_archive_is_the_same_each_time_and_not_overwritten(course, tmp_path):
    _installable(course)
    first = release.release(course, tmp_path / "a")
    second = release.release(course, tmp_path / "b.zip")
    assert first.read_bytes() == second.read_bytes()
    with pytest.raises(release.GradingError, match="--force"):
        release.release(course, tmp_path / "a")
    release.release(course, tmp_path / "a", force=True)
    names = zipfile.ZipFile(first).namelist()
    package = ("lazy_course/__init__.py", "lazy_course/chapter/claims.toml", "lazy_course/py.typed")
    expected = sorted(["START.md", "exercises/tiny.ipynb", *release.INSTALL, *package])
    assert names == [f"lazy-course/{name}" for name in expected]


def test_the_courses_own_archive_installs_without_the_repository_and_holds_no_solution(tmp_path):
    """All that pyproject.toml names is there, and so is every file of the package; START.md says how to begin."""
    root = tiny.DATA.parents[2]
    with zipfile.ZipFile(release.release(root, tmp_path / "course.zip")) as packed:
        packed.extractall(tmp_path)
    made = tmp_path / "lazy-course"
    names = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert {name.split("/")[0] for name in names} == {"START.md", "exercises", "lazy_course", *release.INSTALL}
    stems = {path.stem for path in (root / "solutions").glob("*.md")}
    assert {name for name in names if name.startswith("exercises/")} == {f"exercises/{stem}.ipynb" for stem in stems}
    project = tomllib.loads((made / "pyproject.toml").read_text())
    assert {project["project"]["readme"], *project["project"]["license-files"]} <= names
    patterns = ["**/*.py", *project["tool"]["setuptools"]["package-data"]["lazy_course"]]
    package = {path.relative_to(root).as_posix() for each in patterns for path in (root / "lazy_course").glob(each)}
    assert {name for name in names if name.startswith("lazy_course/")} == package
    start = (made / "START.md").read_text()
    steps = ["python3 -m venv .venv", "pip install -r requirements.lock", "pip install --no-deps -e .", "jupyter lab"]
    assert [start.find(step) for step in steps] == sorted(start.index(step) for step in steps)
    code = "import lazy_course; from lazy_course.grading import probe, selfcheck; print(lazy_course.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=made, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(made / "lazy_course" / "__init__.py")


def test_an_archive_that_cannot_be_installed_is_not_made(course, tmp_path):
    (tmp_path / "part").mkdir()
    for name in ("solutions", "exercises"):
        shutil.copytree(course / name, tmp_path / "part" / name)
    with pytest.raises(release.GradingError, match="LICENSE is missing, and students need it"):
        release.release(tmp_path / "part", tmp_path / "x.zip")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"START.md": b"    secret_factor_tiny = 2.0\n"}, "give away the solution"),
        ({"START.md": b"probe.set_seed(7)"}, "a seed"),
        (
            {"a.ipynb": json.dumps({"cells": [{"cell_type": "code", "outputs": [1], "execution_count": 1}]}).encode()},
            "out",
        ),
    ],
)
def test_an_archive_that_gives_something_away_is_refused(content, message):
    with pytest.raises(release.GradingError, match=message):
        release.verify(content, [tiny.problems()])


def test_an_exercise_that_is_out_of_date_is_not_released(course, tmp_path):
    old = tmp_path / "old"
    (old / "solutions").mkdir(parents=True)
    (old / "solutions" / "tiny.md").write_text(TEXT)
    (old / "environment.yml").write_text("name: lazy-course\n")
    with pytest.raises(release.GradingError, match="make exercises"):
        release.release(old, tmp_path / "x.zip")
