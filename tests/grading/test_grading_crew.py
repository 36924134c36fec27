"""One path for one machine and many: a cluster of two processes, a killed run, a scheduler that is not there."""

import shutil
import signal
import subprocess
import sys
import time

import pytest
from distributed import LocalCluster

from lazy_course.grading import grade, isolation
from lazy_course.grading.errors import GradingError
from tests.grading import tiny

SOLVED = tiny.solved()
NOTEBOOKS = {
    "ada": tiny.submission(SOLVED),
    "bob": tiny.submission(),
    "eve": tiny.submission(SOLVED | {"double": "def double(x):\n    return 3 * x"}),
    "max": b"no notebook",
    "zoe": tiny.submission(SOLVED | {"gradient": "import os\nos._exit(1)"}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("crew")
    (root / "course" / "solutions").mkdir(parents=True)
    shutil.copy(tiny.TINY, root / "course" / "solutions" / "tiny.md")
    (root / "seed").write_text("a secret of the tests\n")
    for student, content in NOTEBOOKS.items():
        (root / "submissions" / student).mkdir(parents=True)
        (root / "submissions" / student / "tiny.ipynb").write_bytes(content)
    return root


def settings(root, out, **changes):
    base = {
        "course": root / "course", "submissions": root / "submissions", "out": root / out, "seed_file": root / "seed",
        "isolation": isolation.Unprotected(), "timeout": 20.0, "workers": 2,
    }  # fmt: skip
    return grade.Settings(**(base | changes))


def results(out):
    return {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def alone(folder):
    grade.grade(settings(folder, "alone"), lambda line: None)
    return results(folder / "alone")


def test_a_cluster_of_two_processes_gives_the_same_bytes(folder, alone):
    counted = []
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0") as cluster:
        far = settings(folder, "far", scheduler=cluster.scheduler_address)
        grade.grade(far, lambda line: None, lambda *numbers: counted.append(numbers))
    assert results(folder / "far") == alone
    assert {"gradebook.csv", "grades.json", "class.html"} <= {str(path) for path in alone}
    assert counted == [("tiny", done, len(NOTEBOOKS)) for done in range(len(NOTEBOOKS) + 1)]


def test_killed_runs_are_taken_up_and_end_with_the_same_bytes(folder, alone):
    code = (
        "import sys; from tests.grading import test_grading_crew as t; from pathlib import Path; "
        "t.grade.grade(t.settings(Path(sys.argv[1]), 'killed'), print)"
    )
    records = folder / "killed" / "records" / "tiny"
    for wanted in (0, 1, 3):  # killed before a record was there, and after the first and the third
        process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while len(list(records.glob("[!.]*.json"))) < wanted and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert len(list(records.glob("[!.]*.json"))) >= wanted
    said: list[str] = []
    grade.grade(settings(folder, "killed"), said.append)
    assert "0 done before" not in said[0]
    whole = {path: content for path, content in results(folder / "killed").items() if not path.name.startswith(".")}
    assert whole == alone


def test_a_scheduler_that_is_not_there_is_a_mistake_in_one_sentence(folder):
    with pytest.raises(GradingError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"):
        grade.grade(settings(folder, "nowhere", scheduler="tcp://127.0.0.1:9"), lambda line: None)
    with pytest.raises(GradingError, match="no scheduler answers"):
        grade.grade(settings(folder, "nowhere", scheduler="no address"), lambda line: None)


def test_a_cluster_without_workers_is_named(folder):
    with LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0", protocol="tcp") as cluster:
        bare = settings(folder, "bare", scheduler=cluster.scheduler_address)
        with pytest.raises(GradingError, match="has no worker"):
            grade.grade(bare, lambda line: None)
