"""Marks by hand, late submissions and the page on the class: what is done with records, without any kernel."""

import datetime
import json
import os

import pytest

from lazy_course.grading import class_page, grade, hand, late, report, schema
from lazy_course.grading.errors import GradingError
from tests.grading import desk, tiny

SETS = {"tiny": tiny.problems()}


def mark(points, out_of, *, marking="auto", cause="", answer="def f(): ..."):
    return {
        "points": points, "out_of": out_of, "marking": marking, "cause": cause, "note": "", "written": bool(answer),
        "answer": answer,
    }  # fmt: skip


def record(student, double=2.0, proof=None, came=True):
    marks = {
        "double": mark(double, 2.0, cause="" if double else "case 1 of 3: the value is not the right one"),
        "gradient": mark(3.0, 3.0),
        "is-lazy": mark(0, 1.0, cause="no answer was written", answer=""),
        "proof": mark(proof, 4.0, marking="hand", cause="to be marked by hand (4 points)", answer="<b>Because</b>"),
    }
    total = sum(item["points"] or 0 for item in marks.values())
    return {
        "student": student, "stem": "tiny", "came": came, "marks": marks, "total": total, "waiting": 4.0 if came else 0,
        "trouble": "", "isolation": "none", "complete": True,
    }  # fmt: skip


def test_each_waiting_answer_gets_one_row_and_a_mark_is_never_taken_back(tmp_path):
    path = tmp_path / "hand_marks.csv"
    records = [record("ada"), record("=bob"), record("nobody", came=False)]
    hand.update(path, records)
    text = path.read_text()
    assert text.splitlines()[1:] == ["ada,tiny,proof,4,,", "'=bob,tiny,proof,4,,"]
    path.write_text(text.replace("ada,tiny,proof,4,,", 'ada,tiny,proof,4,"2,5","short, but right"'))
    kept = path.read_bytes()
    marked = hand.update(path, records)
    assert path.read_bytes() == kept
    assert marked[0]["marks"]["proof"] | {"answer": ""} == mark(2.5, 4.0, marking="hand", answer="x") | {
        "cause": "marked by hand", "note": "short, but right", "answer": "",
    }  # fmt: skip
    assert (marked[0]["total"], marked[0]["waiting"]) == (7.5, 0)
    assert (marked[1]["total"], marked[1]["waiting"]) == (5.0, 4.0)
    more = [*records, record("eve")]
    hand.update(path, more)
    assert path.read_text() == kept.decode() + "eve,tiny,proof,4,,\n"
    assert hand.update(path, more)[0]["marks"]["proof"]["points"] == 2.5


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("ada,tiny,proof,4,5,", "from 0 to 4"),
        ("ada,tiny,proof,4,nan,", "from 0 to 4"),
        ("ada,tiny,proof,4,two,", "'two'"),
        ("adda,tiny,proof,4,2,", "no such answer"),
        ("ada,tiny,double,2,2,", "no such answer"),
        ("ada,tiny,proof,4,2,\nada,tiny,proof,4,1,", "twice"),
    ],
)
def test_a_mark_that_cannot_be_is_named_and_the_file_stays(row, message, tmp_path):
    path = tmp_path / "hand_marks.csv"
    path.write_text(",".join(hand.COLUMNS) + "\n" + row + "\n")
    before = path.read_bytes()
    with pytest.raises(GradingError, match=message):
        hand.update(path, [record("ada")])
    assert path.read_bytes() == before


def test_further_columns_stay_and_a_comment_that_lost_its_quotes_is_named(tmp_path):
    path = tmp_path / "hand_marks.csv"
    path.write_text(",".join([*hand.COLUMNS, "reader"]) + '\nada,tiny,proof,4,2,"-1, no constant",eve\n')
    hand.update(path, [record("ada"), record("bob")])
    lines = path.read_text().splitlines()
    assert lines[0].endswith("comment,reader")
    assert lines[1:] == ['ada,tiny,proof,4,2,"\'-1, no constant",eve', "bob,tiny,proof,4,,,"]
    assert hand.read(path)["ada", "tiny", "proof"]["comment"] == "-1, no constant"
    path.write_text(",".join(hand.COLUMNS) + "\nada,tiny,proof,4,2,short, but right\n")
    with pytest.raises(GradingError, match="row 2 has more cells than columns; put a comment with commas into quotes"):
        hand.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda grades: grades["records"][0]["marks"]["proof"].update(points="4"),
            r"\$.records\[0\].marks.proof.points",
        ),
        (lambda grades: grades["records"][0].update(seed=2**53), "seed"),
        (lambda grades: grades["records"][0].pop("trouble"), "trouble"),
        (lambda grades: grades["settings"].update(secret="x"), "secret"),
        (lambda grades: grades.update(schema="urn:lazy-course:grades:0"), "grades:1"),
    ],
)
def test_grades_that_are_not_in_the_form_of_their_schema_are_refused(change, message, tmp_path):
    marks, _ = desk.folder(tmp_path)
    grades = schema.read_grades(marks)
    change(grades)
    (marks / "grades.json").write_text(json.dumps(grades))
    with pytest.raises(GradingError, match=message):
        schema.read_grades(marks)


def test_the_schema_is_itself_sound_and_says_its_name():
    validator = schema.validator()
    validator.check_schema(validator.schema)
    assert validator.schema["$id"] == schema.NAME == validator.schema["properties"]["schema"]["const"]


@pytest.mark.parametrize("content", [b"student,points\nada,2\n", b"\xff\xfe", b'student,"problem'])
def test_a_file_that_is_no_such_table_is_refused(content, tmp_path):
    (tmp_path / "hand_marks.csv").write_bytes(content)
    with pytest.raises(GradingError, match=r"column|CSV"):
        hand.read(tmp_path / "hand_marks.csv")


TABLE = """policy = [[0, 1.0], [2, 0.8], [7, 0.5]]
[due]
tiny = 2026-11-20T12:00:00+01:00
[days]
eve = 0
"""


def test_late_days_are_counted_up_and_cost_what_the_table_says(tmp_path):
    (tmp_path / "late.toml").write_text(TABLE)
    table = late.read(tmp_path / "late.toml")
    due = datetime.datetime(2026, 11, 20, 11, 0, tzinfo=datetime.UTC).timestamp()
    hours = {-100: (0, 1.0), 0: (0, 1.0), 0.1: (1, 0.8), 24: (1, 0.8), 48: (2, 0.8), 48.1: (3, 0.5), 169: (8, 0.0)}
    for late_by, (days, factor) in hours.items():
        found = table.applied(record("ada"), due + 3600 * late_by)
        assert found["late"] == {"days": days, "factor": factor}
        assert found["total"] == 5.0 * factor
    assert table.applied(record("eve"), due + 1e7)["total"] == 5.0
    assert late.read(None).applied(record("ada"), due + 1e7)["late"] == {"days": 0, "factor": 1.0}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[2, 0.8]", "[0, 0.8]", "rising"),
        ("0.8", "1.8", "0 to 1"),
        ("+01:00", "", "zone"),
        ("eve = 0", "eve = -1", "days >= 0"),
        ("[days]", "[day]", "'day'"),
        ("policy = ", "policy : ", "not TOML"),
    ],
)
def test_a_table_of_late_days_that_cannot_be_used_says_why(old, new, message, tmp_path):
    (tmp_path / "late.toml").write_text(TABLE.replace(old, new))
    with pytest.raises(GradingError, match=message):
        late.read(tmp_path / "late.toml")


def test_gradebook_and_feedback_say_what_late_days_cost():
    on_time, after = (
        late.Late(((0.0, 1.0), (9.0, 0.5)), {}, {"bob": 3.0}).applied(record(n), 0.0) for n in ("ada", "bob")
    )
    table = report.gradebook(SETS, {"ada": [on_time], "bob": [after]}).splitlines()
    assert table[0].endswith("tiny late factor,total,out of")
    assert [line.split(",")[-3:] for line in table[1:]] == [["1", "5", "10"], ["0.5", "2.5", "10"]]
    said = report.feedback("bob", [after], SETS)
    assert "3 days late and counts 0.5 times" in said
    assert "days late" not in report.feedback("ada", [on_time], SETS)
    assert "&lt;b&gt;Because&lt;/b&gt;" in said
    assert "<b>Because" not in said


def test_the_page_on_the_class_counts_and_names_nobody():
    records = [record("ada"), record("bob", double=0), record("eve", double=0, proof=1.0)]
    page = class_page.class_page(SETS, [late.Late().applied(each, 0.0) for each in records])
    assert "3 submissions" in page
    assert [part.split("</li>")[0] for part in page.split("<li>")[1:]] == [
        "is-lazy: 0% of the points",
        "proof: 25% of the points",
        "double: 33% of the points; most often: the value is not the right one (2)",
    ]
    for words, count in [("all", 1), ("none", 2), ("1", 1), ("4", 0), ("open", 2), ("5 to 6", 1)]:
        assert f'<dt>{words}</dt><dd><span class="bar" style="width:' in page
        assert page.split(f"<dt>{words}</dt>")[1].split("<dd>")[2].startswith(f"{count}</dd>")
    assert "2 &times; the value is not the right one" in page
    assert "3 of them wrote nothing" in page
    assert not any(name in page for name in ("ada", "bob", "eve"))
    empty = class_page.class_page(SETS, [])
    assert "0 submissions" in empty


def test_the_page_on_the_class_tells_nothing_written_from_nothing_readable():
    records = [record("ada"), record("bob"), record("eve")]
    lost = {"points": 0, "written": False, "answer": ""}
    records[0]["marks"]["double"] |= lost | {"cause": "the file is not valid JSON"}
    records[1]["marks"]["double"] |= lost | {"cause": "the answer cell of double is missing"}
    records[2]["marks"]["double"] |= lost | {"cause": "no answer was written"}
    page = class_page.class_page(SETS, records)
    assert "1 of them wrote nothing, of 2 no answer could be read" in page
    assert page.count("could be read") == 1


@pytest.mark.parametrize(
    "comment", ["'=no", "''=no", "'quoted'", "=2+2", "'", "''", "@you", "'-1", "- a list\n- of two"]
)
def test_a_comment_is_read_as_it_was_written_and_saved_twice(comment, tmp_path):
    path, key = tmp_path / "hand_marks.csv", ("ada", "tiny", "proof")
    given, nothing = {"points": "1", "comment": comment}, {"points": "", "comment": ""}
    hand.save(path, key, given, nothing, 4.0)
    assert hand.read(path)[key]["comment"] == comment
    hand.save(path, key, given, nothing, 4.0)  # the same once more is no clash
    hand.save(path, key, given | {"points": "2"}, given, 4.0)
    assert hand.read(path)[key]["points"] == "2"
    cell = path.read_text().splitlines()[1].partition(",2,")[2]
    assert not cell.strip('"').startswith(("=", "+", "-", "@"))


def test_the_time_of_a_file_is_when_it_was_handed_in(tmp_path):
    folder = tmp_path / "submissions" / "ada"
    folder.mkdir(parents=True)
    (folder / "tiny.ipynb").write_bytes(b"{}")
    os.utime(folder / "tiny.ipynb", (0, 1_000_000_000))
    (found,) = grade.submissions.discover(tmp_path / "submissions", ["tiny"])
    assert found.modified() == 1_000_000_000
