"""The committed record: its settings are those of the programs, its ratios meet the targets, and a part comes again."""

import statistics
import sys
from importlib.metadata import version

import numpy as np
import pytest

from lazy_course import benchmarks
from tests.benchmarks import problems, run

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
    assert table.count("\n") == 1 + len(run.TARGETS)
    assert all(f"**{task['ratio']:.3g}**" in table for task in RECORD["tasks"].values())
    assert "neural-tangents 0.6.5" in benchmarks.circumstances()
    ways = [line.split("|")[-2].strip() for line in benchmarks.ways_of_vgg11().splitlines()[2:10]]
    assert ways == ["jacobian"] * 2 + ["pairs"] * 4 + ["gram"] * 2


def test_a_side_that_fails_says_why():
    with pytest.raises(ChildProcessError, match="No such file"):
        run.Side(sys.executable, "absent.py")
