"""The instructors' guide: what it prints is what the commands say; its sample class is what it is said to be."""

import json
import os
import shlex

import pytest

from lazy_course import cli
from lazy_course.grading import guide, sample, source
from lazy_course.grading.hand import COLUMNS
from lazy_course.grading.release import leaks
from tests.house.rules import ROOT

RECORD = guide.load()["steps"]
AGAIN = ("secret", "sample", "grade", "gradebook", "resume")  # the others take the same roads


def said(command, capfd):
    """What a command of the guide says, run in this process where it is one of ours."""
    words = shlex.split(command)
    if words[0] == "lazy-course":
        with pytest.raises(SystemExit) as left:
            cli.main(words[1:])
        assert not left.value.code
    elif words[:3] == ["python", "-m", "lazy_course.grading.sample"]:
        assert sample.main(words[3:]) == 0
    else:
        assert os.system(command) == 0
    out, err = capfd.readouterr()
    return err + out


def test_the_record_is_what_the_commands_say(walls, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()
    for name in AGAIN:
        assert said(guide.STEPS[name], capfd) == RECORD[name]["said"], name
        for path, text in RECORD[name]["pages"].items():
            assert guide.without_answers((tmp_path / path).read_text()) == text, (
                f"{path}: run python -m lazy_course.grading.guide again"
            )


def test_the_record_has_every_step_and_its_marks_are_those_of_the_sets():
    assert list(RECORD) == list(guide.STEPS)
    criterion = source.read(ROOT / "solutions" / "criterion.md")
    head, *rows = RECORD["hand"]["said"].splitlines()
    assert head.split(",") == list(COLUMNS)
    assert rows == [f"ada,criterion,{question.id},{question.points:g},," for question in criterion.by_hand]
    out_of = sum(question.points for question in criterion.automatic)
    assert f"ada: {out_of:g} of {out_of:g}, 6 to be marked by hand" in RECORD["grade proof"]["said"]
    assert "ben,2,1,2,0.8,4,5" in RECORD["late gradebook"]["said"]


def test_the_record_gives_no_solution_away():
    text = json.dumps(RECORD, ensure_ascii=False)
    assert text.count("(the answer that was handed in)") > 0
    for stem in (sample.WARM_UP, sample.WITH_PROOF):
        assert leaks(text, source.read(ROOT / "solutions" / f"{stem}.md")) == []


def test_the_sample_class(tmp_path):
    paths = list(sample.write(ROOT, tmp_path))
    assert [path.parent.name for path in paths] == ["ada", "ben", "chi", "dee"]
    untouched = json.loads(paths[2].read_bytes())
    assert untouched == json.loads((ROOT / "exercises" / "preliminaries.ipynb").read_bytes())
    with pytest.raises(ValueError, match=r"."):
        json.loads(paths[3].read_bytes())
    before = paths[1].read_bytes()
    assert list(sample.write(ROOT, tmp_path, again=True)) == [paths[1]]
    assert paths[1].read_bytes() == paths[0].read_bytes() != before


def test_every_step_is_shown_in_the_guide():
    page = (ROOT / "book" / "grading.md").read_text()
    assert [name for name in guide.STEPS if f'"{name}"' not in page] == []
    assert guide.LATE in page
