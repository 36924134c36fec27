"""One path for one machine and many: a cluster of two processes, a killed run, a scheduler that is not there."""

import gc
import random
import shutil
import signal
import subprocess
import sys

import pytest
from distributed import LocalCluster

from lazy_course.grading import crew, grade, isolation, runner
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


KILLS = 10
# A grader that ends itself with SIGKILL just before a step that can be seen from outside: the start of a process, the
# making of a file or folder, or its move into place. One process imports the grader and forks each run.
KILLED = """
import os, random, signal, sys, warnings
from pathlib import Path
from tests.grading import test_grading_crew as crew_tests
root, step = Path(sys.argv[1]), {"left": 0}
STEPS = {"subprocess.Popen", "tempfile.mkstemp", "tempfile.mkdtemp", "os.chmod", "os.rename"}
def watch(event, arguments):
    if event in STEPS and step["left"]:
        step["left"] -= 1
        if not step["left"]:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
warnings.simplefilter("ignore")  # JAX warns of forks; nothing of it runs here
for line in sys.stdin:
    print("run", flush=True)
    child = os.fork()
    if not child:
        step["left"] = int(line)
        crew_tests.grade.grade(crew_tests.settings(root, "killed"), lambda text: print(text, flush=True))
        os._exit(0)
    print("end", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def kept(out):
    """The records of a run that was ended, by file."""
    return {path.name: path.read_bytes() for path in (out / "records" / "tiny").glob("[!.]*.json")}


def ended(process, step):
    """Let one run end at a step: its lines, and its status."""
    process.stdin.write(f"{step}\n")
    process.stdin.flush()
    lines = [process.stdout.readline().strip()]
    while not lines[-1].startswith("end "):
        lines.append(process.stdout.readline().strip())
        assert lines[-1], lines
    return lines[1:-1], int(lines[-1].split()[1])


def test_ten_kills_lose_nothing_and_double_nothing(folder, alone):
    """One cohort, ended with SIGKILL at ten steps drawn from a seed, taken up each time: the same bytes at the end."""
    draws, out, statuses = random.Random(7), folder / "killed", []
    command = [sys.executable, "-c", KILLED, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        while statuses.count(-signal.SIGKILL) < KILLS:
            before = kept(out)
            # A run that is not ended takes some 50 steps; one with no submission left to run takes half as many.
            said, status = ended(process, draws.randint(4, 45))
            statuses.append(status)
            assert status in (0, -signal.SIGKILL)
            assert before.items() <= kept(out).items()
            if said:
                assert said[0].startswith(f"tiny: {len(NOTEBOOKS) - len(before)} to grade, {len(before)} done before")
                assert not any(f": {name[:-5]}: " in line for name in before for line in said)
        process.stdin.close()
    assert set(kept(out)) == {f"{name}.json" for name in NOTEBOOKS}
    said = []
    grade.grade(settings(folder, "killed"), said.append)
    assert said[0].startswith(f"tiny: 0 to grade, {len(NOTEBOOKS)} done before")
    whole = {path: content for path, content in results(out).items() if not path.name.startswith(".")}
    assert whole == alone


def test_a_scheduler_that_is_not_there_is_a_mistake_in_one_sentence(folder, monkeypatch):
    monkeypatch.setattr(crew, "PATIENCE", 0.5)
    with pytest.raises(GradingError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"):
        grade.grade(settings(folder, "nowhere", scheduler="tcp://127.0.0.1:9"), lambda line: None)
    with pytest.raises(GradingError, match="no scheduler answers"):
        grade.grade(settings(folder, "nowhere", scheduler="no address"), lambda line: None)


def test_a_cluster_without_workers_is_named(folder):
    with LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0", protocol="tcp") as cluster:
        bare = settings(folder, "bare", scheduler=cluster.scheduler_address)
        with pytest.raises(GradingError, match="has no worker"):
            grade.grade(bare, lambda line: None)


class _Notebook(bytes):
    """A notebook that counts how many of its kind there are."""

    alive = 0

    def __new__(cls, *arguments):
        cls.alive += 1
        return super().__new__(cls, *arguments)

    def __del__(self):
        _Notebook.alive -= 1


@pytest.mark.parametrize(("settings", "least", "most"), [(crew._PLAIN, 0, 60), ({}, 250, 1000)])
def test_the_crew_keeps_no_notebooks(settings, least, most, monkeypatch):
    """Of 300 jobs through Dask a few are kept in its logs; with its own settings nearly all are."""
    monkeypatch.setattr(crew, "_PLAIN", settings)
    monkeypatch.setattr(runner, "run", lambda **job: ([{"question": "a", "right": True}], "", {}))
    with crew.crew(2, None, "none (unprotected)") as client:
        for _ in range(3):
            jobs = ((i, {"notebook": _Notebook(bytes([i]))}) for i in range(100))
            assert len(list(crew.run_all(client, jobs))) == 100
        gc.collect()
        assert least <= _Notebook.alive <= most
    gc.collect()
