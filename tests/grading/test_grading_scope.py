"""Which problem sets, students and files are graded, where some are absent; and the seed of each."""

import json
import shutil

import pytest

from lazy_course.grading import grade, submissions
from lazy_course.grading.errors import GradingError
from tests.grading import tiny


@pytest.fixture
def two_sets(tmp_path, monkeypatch):
    """A course of two sets, of which ann handed in the first and bob none; no kernel is needed for these files."""
    for name in ("other", "tiny"):
        (tmp_path / "course" / "solutions").mkdir(parents=True, exist_ok=True)
        shutil.copy(tiny.TINY, tmp_path / "course" / "solutions" / f"{name}.md")
    for student in ("ann", "bob"):
        (tmp_path / "submissions" / student).mkdir(parents=True)
    (tmp_path / "submissions" / "ann" / "tiny.ipynb").write_bytes(b"7")
    (tmp_path / "seed").write_text("a secret of the tests\n")
    monkeypatch.setattr(grade._Batch, "_references", lambda self, chunk, fonts: ([{}] * len(chunk), {}))
    return tmp_path


def test_a_set_that_nobody_handed_in_is_left_out(two_sets):
    records = grade.grade(tiny.settings(two_sets), lambda line: None)
    assert {record["stem"] for record in records} == {"tiny"}
    head, ann, bob = (two_sets / "out" / "gradebook.csv").read_text().splitlines()
    assert "other/" not in head
    assert ann == "ann,0,0,0,,0,10"
    assert bob == "bob,,,,,,10"
    assert "other" not in (two_sets / "out" / "feedback" / "ann.html").read_text()


def test_a_set_that_is_asked_for_stays_and_an_absent_file_is_no_zero(two_sets):
    grade.grade(tiny.settings(two_sets, stems=("other", "tiny")), lambda line: None)
    _, ann, bob = (two_sets / "out" / "gradebook.csv").read_text().splitlines()
    assert ann == "ann,,,,,0,0,0,,0,20"
    assert bob == "bob,,,,,,,,,,20"
    page = (two_sets / "out" / "feedback" / "ann.html").read_text()
    assert "<h2>other</h2>\n<p>no file came" in page
    kept = json.loads((two_sets / "out" / "grades.json").read_text())["records"]
    absent = [record for record in kept if not record["came"]]
    assert len(absent) == 3
    assert {mark["points"] for record in absent for mark in record["marks"].values()} == {None}
    assert {record["waiting"] for record in absent} == {0}


def test_folders_without_any_file_are_a_mistake_of_the_command(two_sets):
    (two_sets / "submissions" / "ann" / "tiny.ipynb").rename(two_sets / "submissions" / "ann" / "Tiny (1).ipynb")
    with pytest.raises(GradingError, match=r"no file of a problem set; expected <student>/ with some of other.ipynb"):
        grade.grade(tiny.settings(two_sets), lambda line: None)


def test_seeds_differ_between_students_attempts_sets_and_secrets():
    changes = [("s", "a", "x", 0), ("s", "a", "y", 0), ("s", "a", "x", 1), ("s", "b", "x", 0), ("t", "a", "x", 0)]
    seeds = {grade.student_seed(*arguments) for arguments in changes}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**53 for seed in seeds)


def test_a_loose_file_is_a_submission_where_one_set_is_graded(tmp_path):
    (tmp_path / "ann.ipynb").write_bytes(b"")
    (tmp_path / ".hidden").mkdir()
    assert [item.student for item in submissions.discover(tmp_path, ["tiny"])] == ["ann"]
    with pytest.raises(GradingError, match="holds no submissions"):
        submissions.discover(tmp_path, ["tiny", "other"])
    (tmp_path / "ann").mkdir()
    with pytest.raises(GradingError, match="keep one of the two"):
        submissions.discover(tmp_path, ["tiny"])
