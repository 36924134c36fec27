"""Every problem set of the course: solved 100 %, untouched 0 %, planted mistakes cost their own question alone.

What is covered where, so that nothing is run twice:

- every set, replayed in one process without a kernel (lint): references, stubs, each planted mistake;
- every set, without running it: the notebooks on disk have the cells of the source, and each probe has its values;
- every set, executed from its notebook on disk: `pytest --nbval solutions`, a step of `make test` of its own;
- the smallest set through the whole generator;
- every set, graded within the sandbox, solved and untouched; the smallest also with one mistake.
"""

import nbformat
import pytest

from lazy_course.grading import generate, grade, notebooks, release, source
from lazy_course.grading.lint import lint
from lazy_course.grading.sandbox import Bubblewrap
from lazy_course.grading.values import MIME
from tests.grading import tiny

ROOT = tiny.DATA.parents[2]
SOURCES = sorted((ROOT / "solutions").glob("*.md"))
SMALLEST = ROOT / "solutions" / "preliminaries.md"
each_set = pytest.mark.parametrize("path", SOURCES, ids=[path.stem for path in SOURCES])


def test_there_are_problem_sets():
    """Without this the tests of each set would be none, and pass."""
    assert len(SOURCES) >= 1
    assert SMALLEST in SOURCES


@pytest.mark.slow
@each_set
def test_a_problem_set_is_sound(path):
    """lint: two seeds differ, stubs raise, each planted wrong answer fails its own question and no other."""
    assert lint(path, selfchecks=False) == []  # the notebooks on disk hold what the self-checks say


@each_set
def test_the_notebooks_on_disk_have_the_cells_of_the_source(path):
    problems = source.read(path)
    exercise = (ROOT / "exercises" / f"{path.stem}.ipynb").read_bytes()
    same = exercise == notebooks.to_bytes(notebooks.exercise(problems))  # pytest would take minutes to show the bytes
    assert same, "run `make exercises`"
    stored = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    probes = [cell for cell in stored.cells if cell.metadata.get("lazy_course", {}).get("role") == "probe"]
    assert len(probes) == len(problems.automatic)
    assert [cell.id for cell in probes if not any(MIME in item.get("data", {}) for item in cell.outputs)] == []
    for cell in stored.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    same = notebooks.to_bytes(stored) == notebooks.to_bytes(notebooks.solution(problems))
    assert same, "run `make exercises`"


def test_the_generator_makes_the_smallest_set_as_it_is_on_disk():
    assert generate.check(SMALLEST, ROOT) == []


@each_set
def test_the_exercise_gives_nothing_away(path):
    content = (ROOT / "exercises" / f"{path.stem}.ipynb").read_text()
    assert release.leaks(content, source.read(path)) == []


@pytest.fixture(scope="module")
def records(tmp_path_factory, walls):
    """By set and student: every set solved and untouched, the smallest with one mistake, all within the sandbox."""
    folder = tmp_path_factory.mktemp("sets")
    for path in SOURCES:
        problems = source.read(path)
        handed_in = {"solved": notebooks.solution(problems), "blank": notebooks.exercise(problems)}
        if path == SMALLEST:
            handed_in["wrong"] = notebooks.solution(problems)
            first = problems.automatic[0]
            cell = next(cell for cell in handed_in["wrong"].cells if cell.id == f"{first.id}-answer")
            cell.source = first.wrongs[0].source
        for student, notebook in handed_in.items():
            target = folder / "submissions" / student / f"{path.stem}.ipynb"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(notebooks.to_bytes(notebook))
    settings = grade.Settings(
        course=ROOT, submissions=folder / "submissions", out=folder / "out", isolation=walls, workers=2
    )
    return {(record["stem"], record["student"]): record for record in grade.grade(settings, lambda line: None)}


@pytest.mark.slow
@each_set
def test_solved_has_all_points_and_untouched_has_none(records, path):
    points = sum(question.points for question in source.read(path).automatic)
    solved, blank = records[path.stem, "solved"], records[path.stem, "blank"]
    assert solved["total"] == points, solved
    assert blank["total"] == 0
    assert blank["complete"]
    assert solved["isolation"] == Bubblewrap.name


@pytest.mark.slow
def test_a_mistake_costs_its_own_question_alone(records):
    record = records[SMALLEST.stem, "wrong"]
    lost = {name for name, mark in record["marks"].items() if mark["points"] == 0}
    assert lost == {source.read(SMALLEST).automatic[0].id}, record
