"""A cohort through nbval from end to end: right, blank, broken and hostile notebooks, graded in one batch."""

import csv
import json
import shutil
from html import escape

import pytest

from lazy_course.grading import grade, probe, runner, schema, submissions
from lazy_course.grading.errors import GradingError
from tests.grading import tiny
from tests.grading.broken import EXPECTED, HOSTILE, NOTEBOOKS, SOLVED


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    root = tmp_path_factory.mktemp("cohort")
    (root / "course" / "solutions").mkdir(parents=True)
    shutil.copy(tiny.TINY, root / "course" / "solutions" / "tiny.md")
    (root / "seed").write_text("a secret of the tests\n")
    for student, content in NOTEBOOKS.items():
        folder = root / "submissions" / student.replace("/", "_")
        folder.mkdir(parents=True)
        (folder / "tiny.ipynb").write_bytes(content)
    (root / "submissions" / "nobody").mkdir()
    (root / "submissions" / "blank" / "conftest.py").write_text(f"open({str(root / 'trap')!r}, 'w')")
    (root / "submissions" / "link").mkdir()
    (root / "submissions" / "linked-folder").symlink_to(root / "submissions" / "solved")
    (root / "submissions" / "link" / "tiny.ipynb").symlink_to(root / "submissions" / "solved" / "tiny.ipynb")
    said: list[str] = []
    records = grade.grade(tiny.settings(root), said.append)
    return root, {record["student"]: record for record in records}, said


def _cause(cohort, student, question):
    return cohort[1][student]["marks"][question]["cause"]


@pytest.mark.parametrize("student", NOTEBOOKS)
def test_marks_are_those_of_right_values_and_no_others(cohort, student):
    marks = cohort[1][student.replace("/", "_")]["marks"]
    given = {name: mark["points"] for name, mark in marks.items() if mark["points"]}
    assert given == EXPECTED[student], marks


@pytest.mark.parametrize(
    ("student", "question", "cause"),
    [
        ("blank", "double", "no answer was written"),
        ("wrong", "double", "case 1 of 3: the value is not the right one"),
        ("wrong", "gradient", "SyntaxError"),
        ("hush", "gradient", "a number, but an array of numbers is needed"),
        ("equal", "double", "not the right one"),
        ("exit", "gradient", "ended the Python process"),
        ("loop", "double", "not done after 6 seconds"),
        ("mute", "gradient", "another number of cases"),
        ("mute", "is-lazy", "not in the form that a probe writes"),
        ("loud", "double", "sent 4 messages"),
        ("loud", "is-lazy", r"your cell stopped with ValueError: \x1b[31m<b>"),
        ("damaged", "gradient", "the answer cell of gradient is missing"),
        ("damaged", "is-lazy", "2 times with different content"),
        (
            "copied",
            "double",
            "no answer was written; there are two answer cells of double; the one with the original id",
        ),
        (
            "copied",
            "gradient",
            "your code stopped with NameError: name 'my_helper' is not defined (only answer cells and the notebook's "
            "own cells are run; helpers in cells of your own are not)",
        ),
        ("copied", "proof", "nothing was written"),
        ("blank", "proof", "nothing was written"),
        ("solved", "proof", "to be marked by hand (4 points)"),
        ("text", "double", "valid JSON"),
        ("text", "proof", "valid JSON"),
        ("empty", "double", "the file is empty"),
        ("half", "double", "valid JSON"),
        ("latin", "double", "not UTF-8"),
        ("old", "double", "format 3, and 4 is needed"),
        ("number", "double", "no notebook format"),
        ("deep", "double", "valid JSON"),
        ("zip", "double", "not UTF-8"),
        ("large", "double", "larger than 20 MB"),
        ("digits", "double", "valid JSON"),
        ("quarrel", "double", "100001 times with different content"),
        ("markup", "double", HOSTILE),
        ("shapeless", "double", "is missing"),
        ("nobody", "double", "no file tiny.ipynb was handed in"),
        ("link", "double", "link"),
        ("linked-folder", "double", "link"),
        ("x..", "double", "valid JSON"),
    ],
)
def test_each_lost_mark_has_its_cause(cohort, student, question, cause):
    assert cause in _cause(cohort, student, question)


def test_a_cell_that_lost_its_id_is_found_by_its_marker_and_that_is_said(cohort):
    assert "found by its marker" in cohort[1]["damaged"]["marks"]["double"]["note"]


def test_a_copy_beside_an_answer_is_said_also_with_full_marks(cohort):
    root, records, said = cohort
    notice = "there are two answer cells of is-lazy; the one with the original id was graded"
    assert records["copied"]["marks"]["is-lazy"] == {
        "out_of": 1.0, "marking": "auto", "note": notice, "written": True, "points": 1.0, "cause": "",
        "answer": SOLVED["is-lazy"],
    }  # fmt: skip
    page = (root / "out" / "feedback" / "copied.html").read_text()
    assert f'<p class="why">right</p><p class="why">{notice}</p>' in page
    assert page.count("there are two answer cells of double") == 1
    assert any(notice in line for line in said)


def test_two_written_answers_are_both_read(cohort):
    notebook = json.loads(NOTEBOOKS["blank"])
    cell = next(cell for cell in notebook["cells"] if cell["id"] == "proof-written")
    notebook["cells"].append(cell | {"id": "another", "source": "A proof."})

    def found():
        return submissions.answers(submissions.cells_of(json.dumps(notebook).encode()), tiny.problems())["proof"]

    assert found() == submissions.Answer("A proof.", written=True)  # the other cell is as it came
    cell["source"] = "".join(cell["source"]) + "\nMore."
    said = "there are two answer cells of proof; all of them are read"
    assert found() == submissions.Answer(f"{cell['source']}\n\n---\n\nA proof.", note=said, written=True)
    del notebook["cells"][-1]
    cell["cell_type"] = "code"
    assert found().source == cell["source"]
    assert found().note == "the answer cell of proof is no longer a markdown cell"


def test_a_conftest_beside_a_submission_is_not_run(cohort):
    assert not (cohort[0] / "trap").exists()


def test_the_gradebook_is_a_table_without_formulas(cohort):
    root, records, _ = cohort
    with open(root / "out" / "gradebook.csv", newline="") as file:
        head, *rows = list(csv.reader(file))
    assert head == [
        "student", "tiny/double (2)", "tiny/gradient (3)", "tiny/is-lazy (1)", "tiny/proof (4, by hand)", "total",
        "out of",
    ]  # fmt: skip
    table = {row[0]: row[1:] for row in rows}
    assert table["solved"] == ["2", "3", "1", "", "6", "10"]
    assert table["blank"] == ["0", "0", "0", "0", "0", "10"]
    assert table["text"] == ["0", "0", "0", "", "0", "10"]
    assert table["nobody"] == ["", "", "", "", "", "10"]
    assert len(rows) == len(NOTEBOOKS) + 3 == len(records)
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)


def test_feedback_is_escaped_teaches_and_gives_no_value(cohort):
    root, _, _ = cohort
    page = (root / "out" / "feedback" / "wrong.html").read_text()
    assert "Hint: Twice a number is the number plus itself." in page
    assert "Hint: Small is lazy." not in page
    assert "4 points wait for a mark by hand" in page
    blank = (root / "out" / "feedback" / "blank.html").read_text()
    assert "no answer was written" in blank
    assert "Hint" not in blank
    nobody = (root / "out" / "feedback" / "nobody.html").read_text()
    assert "no file came" in nobody
    assert "double" not in nobody
    damaged = (root / "out" / "feedback" / "damaged.html").read_text()
    assert "Hint: The gradient" not in damaged  # its cell is missing: nothing was attempted
    assert "none (unprotected)" in page
    assert "<summary>Your answer</summary><pre>def double(x):\n    return 3 * x" in page
    pages = list((root / "out" / "feedback").iterdir())
    assert len(pages) == len(NOTEBOOKS) + 3
    assert not any(tag in each.read_text() for each in pages for tag in ("<script", "<img"))
    assert escape(HOSTILE) in (root / "out" / "feedback" / "markup.html").read_text()


def test_grades_json_has_what_a_regrade_needs(cohort):
    root, records, _ = cohort
    grades = json.loads((root / "out" / "grades.json").read_text())
    assert list(schema.validator().iter_errors(grades)) == []
    assert grades["settings"] == {
        "isolation": "none (unprotected)", "attempt": 0, "cell_timeout": 6.0, "show_expected": False,
    }  # fmt: skip
    assert {"jax", "nbval", "python"} <= set(grades["versions"])
    assert {record["student"]: record for record in grades["records"]} == records
    assert len({record["seed"] for record in grades["records"]}) == len(records)
    assert records["solved"]["waiting"] == 4.0


def test_a_second_run_grades_only_what_is_new(cohort, monkeypatch, tmp_path):
    root, _, _ = cohort
    out = tmp_path / "out"
    shutil.copytree(root / "out", out)
    calls = []

    def run(notebook, *arguments, **keywords):
        calls.append(notebook)
        return [], "not run in this test", {}

    monkeypatch.setattr(runner, "run", run)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    grade.grade(tiny.settings(root, out=out), lambda line: None)
    assert calls == []
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    (out / "records" / "tiny" / "solved.json").write_text('{"half":')  # what no run leaves behind
    with pytest.raises(GradingError, match="did not run to its end"):
        grade.grade(tiny.settings(root, out=out), lambda line: None)
    assert len(calls) == 1
    with pytest.raises(GradingError, match="did not run to its end"):
        grade.grade(tiny.settings(root, out=out, attempt=1, only="blank"), lambda line: None)


def test_expected_values_are_shown_where_the_instructor_says_so_and_nowhere_else(cohort, monkeypatch, tmp_path):
    """Nothing is graded again, no record holds a value, and without the flag the pages are as they were."""
    root, records, _ = cohort
    shutil.copytree(root / "out", tmp_path / "out")
    kept = [path.read_bytes() for path in sorted((tmp_path / "out" / "records").rglob("*.json"))]
    monkeypatch.setattr(grade, "run_all", lambda client, work: iter(()))
    settings = tiny.settings(root, out=tmp_path / "out", show_expected=True)
    grade.grade(settings, lambda line: None)
    page = (tmp_path / "out" / "feedback" / "wrong.html").read_text()
    seed = records["wrong"]["seed"]
    probe.set_seed(seed)
    inputs = [probe.case_generator("double", case).uniform(1, 10) for case in range(3)]
    probe.set_seed(0)
    values = "".join(f"case {number}: {2 * x:.6g}\n" for number, x in enumerate(inputs, start=1))
    assert f"<summary>Expected values</summary><pre>{values}" in page
    assert f"run probe.set_seed({seed}, 0) in a cell" in page
    assert "lets this page show expected values" in page
    assert "Expected values" not in (tmp_path / "out" / "feedback" / "solved.html").read_text()
    assert json.loads((tmp_path / "out" / "grades.json").read_text())["settings"]["show_expected"] is True
    assert [path.read_bytes() for path in sorted((tmp_path / "out" / "records").rglob("*.json"))] == kept
    without = (root / "out" / "feedback" / "wrong.html").read_text()
    assert "xpected" not in without
    assert not any(f"{2 * x:.5g}" in without for x in inputs)
    grade.grade(tiny.settings(root, out=tmp_path / "out"), lambda line: None)
    assert (tmp_path / "out" / "feedback" / "wrong.html").read_text() == without


def test_a_worker_that_dies_costs_marks_but_is_not_final(cohort, monkeypatch, tmp_path):
    root, _, _ = cohort
    said: list[str] = []
    monkeypatch.setattr(grade._Batch, "_references", lambda self, chunk, fonts: ([{}] * len(chunk), {}))
    monkeypatch.setattr(
        runner, "run", lambda *a, **k: ([{"question": "double", "right": True, "cause": ""}], "lost", {})
    )
    records = grade.grade(tiny.settings(root, out=tmp_path, only="solved"), said.append)
    assert [record["student"] for record in records] == ["solved"]
    assert records[0]["marks"]["double"]["points"] == 2.0
    assert records[0]["marks"]["gradient"] == {
        "out_of": 3.0, "marking": "auto", "note": "", "written": True, "points": 0, "cause": "lost",
        "answer": SOLVED["gradient"],
    }  # fmt: skip
    assert records[0]["complete"] is False


def test_a_solution_that_fails_stops_grading_as_the_instructors_error(cohort, tmp_path):
    root, _, _ = cohort
    solutions = tmp_path / "course" / "solutions"
    solutions.mkdir(parents=True)
    text = tiny.TINY.read_text().replace("return secret_factor_tiny * x", "return unknown * x")
    (solutions / "tiny.md").write_text(text)
    with pytest.raises(GradingError, match="solution of tiny fails: double"):
        grade.grade(tiny.settings(root, course=tmp_path / "course", out=tmp_path / "out"), lambda line: None)
