"""Exports for Canvas and Moodle: read back as their imports read them, with rosters in the form that they export."""

import csv
import io
import re

import pytest

from lazy_course import cli
from lazy_course.grading import export
from lazy_course.grading.errors import GradingError
from tests.grading import desk as made

CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,Notes,tiny (4711),Warm-up (4712),Current Score,Final Score
,,,,,,Manual Posting,,,
    Points Possible,,,,,,10.00,5.00,(read only),(read only)
"Lovelace, Ada",101,s1,ada,"Lecture, Monday",,,4.00,80.00,80.00
"=HYPERLINK(""http://evil.example"")",102,s2,bob,-Lab,,3.00,,60.00,60.00
"Noether, Emmy",103,s3,emmy,Lecture,,EX,5.00,100.00,100.00
"Turing, Alan",104,s4,alan,Lecture,,7.00,5.00,100.00,100.00
"Student, Test",105,,1f2e3d,Lecture,,,,,
"""
MOODLE = """\ufeff"First name","Last name","ID number","Email address",Groups
Ada,Lovelace,20261,ada@uni.example,
Bob,"=1+1",20262,bob@uni.example,"Group 1"
Emmy,Noether,20263,emmy@uni.example,
"""
EMAILS = {"ada": 4.0, "bob": 2.5}


def folder(tmp_path, students):
    records = [made.record(name, "A proof.", points=points) for name, points in students.items()]
    return made.folder(tmp_path, records)[0]


def roster(tmp_path, text):
    path = tmp_path / "roster.csv"
    path.write_text(text, encoding="utf-8")
    return path


def canvas_import(text, assignments):
    """What Canvas makes of a file, after its gradebook_importer: points by title, and grades by user and title."""
    head, possible, *rows = list(csv.reader(io.StringIO(text)))
    assert "Student" in head[0]
    assert "ID" in head[1]
    login = 3 if re.match("SIS User ID", head[2]) else 2
    assert re.match("SIS Login ID", head[login])
    assert head[login + 1] == "Section"
    columns = {}
    for place, title in enumerate(head[login + 2 :], start=login + 2):
        assert not re.search("Current Score|Final Score|Final Points|Final Grade|Override", title)
        found = re.search(r" \((\d+)\)$", title)
        columns[assignments[int(found[1])] if found else f"new: {title}"] = place
    assert "Points Possible" in possible[0]
    worth = {title: float(possible[place]) for title, place in columns.items()}
    return worth, {int(row[1]): {title: row[place] for title, place in columns.items()} for row in rows}


def moodle_import(text, users, mapped):
    """What Moodle makes of a file whose column `mapped` finds the user: one user that is not found ends it all."""
    rows = list(csv.DictReader(io.StringIO(text)))
    grades = {}
    for row in rows:
        *_, (title, value) = row.items()
        assert row[mapped] in users, "user mapping error"
        assert value != "", "an empty cell takes the grade away"
        grades[row[mapped]] = float(value)
    return title, grades


def test_canvas_takes_the_marks_into_the_assignment_of_its_gradebook(tmp_path):
    marks = folder(tmp_path, {"ada": 4.0, "bob": 2.5, "emmy": 1.0})
    paths, without = export.export("canvas", marks, roster(tmp_path, CANVAS))
    assert without == ["alan"]
    text = paths[0].read_text()
    worth, grades = canvas_import(text, {4711: "tiny", 4712: "Warm-up"})
    assert worth == {"tiny": 10.0}
    assert grades == {101: {"tiny": "9"}, 102: {"tiny": "7.5"}, 103: {"tiny": "EX"}}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in csv.reader(io.StringIO(text)) for cell in row)
    assert (marks / "gradebook.csv").exists()


def test_canvas_is_asked_for_a_new_assignment_or_one_with_another_title(tmp_path):
    marks, gradebook = folder(tmp_path, {"ada": 4.0}), roster(tmp_path, CANVAS.replace("tiny (4711)", "Proofs (4711)"))
    paths, _ = export.export("canvas", marks, gradebook)
    assert canvas_import(paths[0].read_text(), {})[1] == {101: {"new: tiny": "9"}}
    for title in ("Proofs", "Proofs (4711)"):
        paths, _ = export.export("canvas", marks, gradebook, titles={"tiny": title})
        assert canvas_import(paths[0].read_text(), {4711: "Proofs"})[1] == {101: {"Proofs": "9"}}
    semicolons = CANVAS.replace("Lecture, Monday", "Lecture").replace('"Lovelace, Ada"', "Ada").replace(",", ";")
    gradebook.write_text(semicolons.replace("10.00", "10,00"))
    paths, _ = export.export("canvas", marks, gradebook)
    assert canvas_import(paths[0].read_text(), {4711: "tiny"})[1] == {101: {"tiny": "9"}}


@pytest.mark.parametrize("column", ["Email address", "ID number"])
def test_moodle_finds_every_user_and_loses_no_grade(tmp_path, column):
    names = {"Email address": "ada@uni.example", "ID number": "20261"}
    records = [made.record(names[column], "A proof.", points=4.0), made.record("emmy", "", came=False)]
    marks, _ = made.folder(tmp_path, records)
    paths, without = export.export("moodle", marks, roster(tmp_path, MOODLE), column=column)
    assert paths == [marks / "moodle-tiny.csv"]
    assert len(without) == 2
    users = {"ada@uni.example", "bob@uni.example", "emmy@uni.example", "20261", "20262", "20263"}
    assert moodle_import(paths[0].read_text(), users, column) == ("tiny (10 points)", {names[column]: 9.0})


def test_a_name_that_is_a_formula_stays_text(tmp_path):
    marks = folder(tmp_path, {"bob@uni.example": 0.0})
    paths, _ = export.export("moodle", marks, roster(tmp_path, MOODLE))
    assert "Bob,'=1+1,20262,bob@uni.example,5\n" in paths[0].read_text()
    marks = folder(tmp_path / "other", {"-bob@uni.example": 0.0})
    with pytest.raises(GradingError, match=r"Email address '-bob@uni.example' begins like a formula"):
        export.export("moodle", marks, roster(tmp_path, MOODLE.replace("bob@", "-bob@")))


@pytest.mark.parametrize(
    ("lms", "students", "text", "more", "message"),
    [
        (
            "canvas",
            {"adda": 1, "zoe": 1},
            CANVAS,
            {},
            r"2 of 2 graded students are not in the column 'SIS Login ID'.*zoe",
        ),
        ("canvas", {"101": 1}, CANVAS, {}, r"the column 'ID' holds 1 of them: --student-column 'ID'"),
        ("canvas", {"ada": 1}, CANVAS, {"column": "Login"}, "no column 'Login'; it has Student, ID"),
        ("canvas", {"ada": 1}, CANVAS.replace("s2,bob", "s2,ada"), {}, "'ada' stands twice"),
        ("canvas", {"ada": 1}, CANVAS.replace(",10.00,", ",12.00,"), {}, "worth 12.00 points in Canvas and 10 here"),
        ("canvas", {"ada": 1}, CANVAS, {"titles": {"tiny": "The Final Score"}}, "does not import a column"),
        ("canvas", {"ada": 1}, CANVAS, {"titles": {"tinny": "x"}}, "--title names 'tinny'; there are marks of tiny"),
        ("canvas", {"ada": 1}, CANVAS, {"stems": ("tinny",)}, "holds no marks of tinny"),
        ("canvas", {"ada": 1}, CANVAS.replace("Warm-up (4712)", "tiny (4712)"), {}, "2 assignments 'tiny'"),
        ("canvas", {"ada@uni.example": 1}, MOODLE, {"column": "Email address"}, "as Canvas exports it"),
        ("moodle", {"ada": None}, MOODLE, {}, r"written answers without a mark: ada \(tiny/proof\)"),
        ("moodle", {"ada": 1}, "name\nada\n", {}, "not a table of students"),
        ("moodle", {"ada": 1}, 'a,b\n"ada,1', {}, "not a table in CSV"),
    ],
)
def test_what_cannot_be_exported_says_why_and_nothing_is_written(tmp_path, lms, students, text, more, message):
    marks = folder(tmp_path, students)
    with pytest.raises(GradingError, match=message):
        export.export(lms, marks, roster(tmp_path, text), **more)
    assert {path.name for path in marks.glob("*.csv")} == {"gradebook.csv"}


def test_marks_by_hand_that_grading_did_not_take_over_are_no_export(tmp_path):
    marks = folder(tmp_path, {"ada": 1.0})
    (marks / "hand_marks.csv").write_text(
        "student,problem set,question,out of,points,comment\nada,tiny,proof,4,3,more after all\n"
    )
    with pytest.raises(GradingError, match=r"has marks that grades.json does not have yet \(ada / tiny / proof\)"):
        export.export("canvas", marks, roster(tmp_path, CANVAS))


def test_the_command_says_what_it_wrote_and_who_has_no_line(tmp_path, capsys):
    marks = folder(tmp_path, {"ada": None})
    arguments = ["export", "canvas", str(marks), "--roster", str(roster(tmp_path, CANVAS)), "--unfinished"]
    with pytest.raises(SystemExit) as left:
        cli.main([*arguments, "--title", "tiny=Warm-up"])
    assert left.value.code == 2  # another number of points
    with pytest.raises(SystemExit) as left:
        cli.main([*arguments, "--title", "tiny"])
    assert "--title is STEM=TITLE" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    said = capsys.readouterr()
    assert (left.value.code, said.out) == (0, f"{marks / 'canvas.csv'}\n")
    assert said.err == "no marks, no line: bob, emmy, alan\n"
