"""The committed record: its settings are those of the programs, its ratios meet the targets, and a part comes again."""

import statistics
import sys
from importlib.metadata import version

import nbformat
import numpy as np
import pytest

from lazy_course import benchmarks
from lazy_course.grading import notebooks, source
from lazy_course.grading.sandbox import Bubblewrap
from tests.benchmarks import cohort, course, descent, descent_peer, problems, questions, run
from tests.house import rules

RECORD = benchmarks.load()


def test_the_record_has_the_present_settings():
    assert RECORD["settings"]["tasks"] == problems.SETTINGS
    assert RECORD["settings"]["repeats"] >= 5
    assert RECORD["settings"]["dtype"] == "float32"
    assert set(RECORD["tasks"]) == set(run.TARGETS)
    assert {"processor", "cores", "memory_gib"} <= set(RECORD["machine"])
    assert RECORD["versions"]["peer"]["neural-tangents"] == "0.6.5"


@pytest.mark.parametrize("name", run.TARGETS)
def test_ratios_meet_the_targets(name):
    """The ratio is that of the medians of the recorded runs; both sides found the same numbers."""
    task = RECORD["tasks"][name]
    medians = {side: statistics.median(task[side]["runs"]) for side in ("ours", "peer")}
    assert all(len(task[side]["runs"]) == RECORD["settings"]["repeats"] for side in medians)
    assert task["ratio"] == pytest.approx(medians["peer"] / medians["ours"], rel=2e-2)
    assert task["ratio"] >= task["target"] == run.TARGETS[name]
    np.testing.assert_allclose(task["sample"]["ours"], task["sample"]["peer"], rtol=2e-3, atol=run.TOLERANCE)


def test_a_part_of_the_record_comes_again():
    """Our program still finds the numbers that the peer found, and answers a second run."""
    side = run.Side(sys.executable, "ours.py")
    try:
        assert side.versions["jax"] == version("jax")
        found = side.ask("two-layer")["sample"]
        assert 0 < side.ask("run")["seconds"] < 60
    finally:
        side.close()
    np.testing.assert_allclose(found, RECORD["tasks"]["two-layer"]["sample"]["peer"], rtol=1e-4)


def test_layers_are_never_slower_where_it_matters():
    """At width 256 and more, with all other sizes as they are, layers beat Jacobians; both grow with the width."""
    sweep = RECORD["costs"]["sweeps"]["width"]
    pairs = zip(sweep["values"], sweep["layers"]["seconds"], sweep["jacobian"]["seconds"], strict=True)
    compared = [(ours, plain) for width, ours, plain in pairs if width >= 256 and plain is not None]
    assert compared
    assert all(ours < plain for ours, plain in compared)


def test_tables_show_every_task():
    table = benchmarks.table()
    descents = RECORD["descent"]["targets"]["float32"]
    rows = [*run.TARGETS, *cohort.MODES, *descents, *course.FLOWS["alphas"], "build"]
    assert table.count("\n") == 1 + len(rows)
    assert all(f"**{task['ratio']:.3g}**" in table for task in RECORD["tasks"].values())
    assert "neural-tangents 0.6.5" in benchmarks.circumstances()
    ways = [line.split("|")[-2].strip() for line in benchmarks.ways_of_vgg11().splitlines()[2:10]]
    assert ways == ["jacobian"] * 2 + ["pairs"] * 4 + ["gram"] * 2


def test_the_graders_part_is_of_the_present_questions():
    """The ratio is that of the recorded seconds; a submission adds less than 0.01 MiB to the memory."""
    found = RECORD["grading"]
    settings = found["settings"]
    assert (settings["questions"], settings["cases"]) == (len(questions.QUESTIONS), questions.CASES)
    assert (settings["workers"], settings["processes"]) == (2, cohort.MODES)
    assert settings["submissions"] >= 500
    assert settings["sample"] >= 20
    assert settings["isolation"] == Bubblewrap.name
    assert found["versions"]["peer"]["nbgrader"] == "0.9.6"
    for mode, parts in found["parts"].items():
        assert found["seconds"][mode] == pytest.approx(statistics.mean(parts), rel=2e-3)
    assert found["ratio"] == pytest.approx(found["seconds"]["peer"] / found["seconds"]["ours"], rel=2e-2)
    assert found["target"] == cohort.TARGET
    assert found["ratio"] >= found["target"]
    _, second, *_, last = found["memory"]["grader"]  # MiB; what is loaded once, is loaded in the first fifth
    assert 0 < last < second + 0.01 * 0.6 * settings["submissions"]
    assert "nbgrader 0.9.6" in benchmarks.grading()


def test_a_part_of_the_cohort_is_graded_again(tmp_path, walls):
    """The recorded command on four students, of whom one has wrong answers and one left some out."""
    cohort.prepare_ours(tmp_path, 4)
    ours = cohort.grade_ours(tmp_path, 2)
    cohort.demand_right(ours)
    assert sorted(ours["totals"].values()) == [4, 4, 6, 6]
    assert ours["looks"][-1][1] > 0
    assert ours["isolation"] == walls.name


def test_marks_that_are_not_right_stop_the_measurement():
    with pytest.raises(ArithmeticError, match="s0001"):
        cohort.demand_right({"totals": {"s0000": 6.0, "s0001": 6.0}})


def test_both_forms_of_the_questions_hold_the_same_answers(tmp_path):
    """What a student hands in to either grader has the same source in the answer cells."""
    path = tmp_path / f"{questions.STEM}.md"
    path.write_text(questions.source())
    exercise = tmp_path / "exercise.ipynb"
    exercise.write_bytes(notebooks.to_bytes(notebooks.exercise(source.read(path))))
    peer = tmp_path / "peer.ipynb"
    peer.write_text(nbformat.writes(questions.for_nbgrader()))
    for student in range(6):
        both = [{c.source for c in nbformat.reads(questions.handed_in(form, student).decode(), 4).cells}
                for form in (exercise, peer)]  # fmt: skip
        assert all(set(questions.chosen(student).values()) <= cells for cells in both)


def test_the_part_of_descent_meets_its_targets():
    """The ratios are those of the recorded rounds, and all sides ended with the same loss."""
    found = RECORD["descent"]
    sizes = {
        "n": descent_peer.N,
        "d": descent_peer.D,
        "m": descent_peer.M,
        "runs": descent.RUNS,
        "steps": descent.STEPS,
    }
    assert found["settings"] == sizes
    assert found["targets"] == descent.TARGETS
    assert descent.missed(found) == []
    for dtype, times in found["milliseconds"].items():
        assert {len(rounds) for rounds in times.values()} == {descent.ROUNDS}
        assert found["ratios"][dtype] == descent.ratios(times)
        descent.demand_same(found["loss"][dtype], descent.AGREE[dtype])
    shown = benchmarks.descent()
    assert all(f"**{ratio:.3g}**" in shown for row in found["ratios"].values() for ratio in row.values())
    with pytest.raises(ArithmeticError, match="torch"):
        descent.demand_same({"numpy": 1.0, "torch": 1.1}, 1e-3)


def test_a_part_of_descent_comes_again():
    """A NumPy loop of the recorded length ends with the recorded loss."""
    loss = descent_peer.by_numpy(descent.STEPS, np.float64)
    assert loss == pytest.approx(RECORD["descent"]["loss"]["float64"]["ours"], rel=1e-9)


def test_a_side_that_fails_says_why():
    with pytest.raises(ChildProcessError, match="No such file"):
        run.Side(sys.executable, "absent.py")


def test_the_courses_part_comes_again():
    """Settings and pages are the present ones, the build keeps its promise, and one gap is found again."""
    found = RECORD["course"]
    assert found["settings"] == course.FLOWS
    assert set(found["build"]["pages"]) == {
        str(path.relative_to(course.ROOT))[:-3] for path in rules.extension("build").pages(course.ROOT)
    }
    assert found["build"]["seconds"] < found["target"]["build"]
    assert [float(alpha) for alpha in found["gaps"]] == course.FLOWS["alphas"]
    np.testing.assert_allclose(course.here(1e5)(), found["gaps"]["100000"]["gap"], rtol=1e-6)
    np.testing.assert_allclose(course.plain(1e2, 1e-6)(), found["gaps"]["100"]["gap"], rtol=course.FLOWS["accuracy"])
