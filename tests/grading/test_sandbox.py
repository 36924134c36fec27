"""The sandbox: hostile submissions, each contained, its cause named, no mark gained, nobody else disturbed."""

import dataclasses
import os
import re
import shutil
import socket
import subprocess
import sys
import time

import nbformat
import psutil
import pytest

from lazy_course import cli
from lazy_course.grading import grade, sandbox, template
from lazy_course.grading.errors import GradingError
from lazy_course.grading.sandbox import Bubblewrap
from tests.grading import tiny
from tests.grading.attacks import ATTACKS, OTHERS

NAP = "86413"  # seconds that a child of a student's sleeps: a number to find it by
SOLVED = tiny.solved()


@pytest.fixture(scope="module")
def cohort(tmp_path_factory, walls):
    root = tmp_path_factory.mktemp("attacked")
    (root / "course" / "solutions").mkdir(parents=True)
    shutil.copy(tiny.TINY, root / "course" / "solutions" / "tiny.md")
    (root / "seed").write_text("a secret of the tests\n")
    listener = socket.create_server(("127.0.0.1", 0))
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind("\0lazy-course-tests")
    abstract.listen()
    names = {
        "{solutions}": str(root / "course" / "solutions" / "tiny.md"),
        "{other}": str(root / "submissions" / "solved" / "tiny.ipynb"),
        "{seed}": str(root / "seed"),
        "{out}": str(root / "out"),
        "{port}": str(listener.getsockname()[1]),
        "{abstract}": "lazy-course-tests",
        "{nap}": NAP,
    }
    codes = {"solved": SOLVED["double"]} | {name: attack.code for name, attack in ATTACKS.items()}
    for student, code in codes.items():
        for name, value in names.items():
            code = code.replace(name, value)
        (root / "submissions" / student).mkdir(parents=True)
        (root / "submissions" / student / "tiny.ipynb").write_bytes(tiny.submission(SOLVED | {"double": code}))
    settings = grade.Settings(
        course=root / "course",
        submissions=root / "submissions",
        out=root / "out",
        isolation=walls,
        seed_file=root / "seed",
        workers=2,
        timeout=5.0,
    )
    os.environ["LAZY_COURSE_TEST_SECRET"] = "1"
    started = time.monotonic()
    records = grade.grade(settings, lambda line: None)
    del os.environ["LAZY_COURSE_TEST_SECRET"]
    print(f"{len(records)} submissions in {time.monotonic() - started:.0f} s")
    listener.close()
    abstract.close()
    return {record["student"]: record for record in records}


def _earned(record):
    return {name: mark["points"] for name, mark in record["marks"].items() if mark["points"]}


def test_who_does_nothing_wrong_has_full_marks(cohort):
    assert _earned(cohort["solved"]) == {"double": 2.0, "gradient": 3.0, "is-lazy": 1.0}
    assert cohort["solved"]["isolation"] == Bubblewrap.name


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_contained_and_costs_what_it_should(cohort, name):
    record, attack = cohort[name], ATTACKS[name]
    causes = {name: mark["cause"] for name, mark in record["marks"].items()}
    if attack.or_stopped and "double" not in _earned(record):  # a slow machine, on which it was not done in time
        assert _earned(record) == OTHERS, causes
        assert "was stopped" in causes["double"]
    else:
        assert _earned(record) == attack.marks, causes
        assert attack.cause in causes["double"]
    assert record["complete"]


def test_nothing_of_an_attack_is_left(cohort):
    left = [p for p in psutil.process_iter(["cmdline"]) if NAP in (p.info["cmdline"] or [])]
    assert left == []


def test_memory_of_several_processes_is_added_up(tmp_path):
    """Three processes of 60 MB each exceed 150 MB, and one alone does not; no walls are needed to look."""
    walls = Bubblewrap()
    walls.limits = dataclasses.replace(walls.limits, memory=150 * sandbox.MIB)
    code = "hoard = bytearray(b'x') * (60 * 2**20); print(flush=True); time.sleep(60)"
    for forks, found in ((0, ""), (2, "more than 150 MB of memory")):
        text = "import os, time; " + ("os.fork() and os.fork(); " if forks else "") + code
        with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE) as process:
            for _ in range(forks + 1):
                process.stdout.readline()
            assert found in walls.excess(process.pid, tmp_path)
            assert bool(walls.excess(process.pid, tmp_path)) == bool(found)
            for each in reversed(sandbox.family(process.pid)):
                each.kill()


def test_what_a_grader_started_ends_with_it(walls):
    """SIGKILL to a process that grades: the one that starts workers, the worker, the walls and the kernel all go."""
    loop = nbformat.writes(template.graded(tiny.problems(), {"double": "while True:\n    pass"}, seed=1, attempt=0))
    code = (
        "import sys; from lazy_course.grading.runner import run; run(sys.stdin.buffer.read(), sys.argv[1], timeout=60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, walls.name], stdin=subprocess.PIPE) as process:
        process.stdin.write(loop.encode())
        process.stdin.close()
        started, deadline = [], time.monotonic() + 60
        while len(started) < 5 and time.monotonic() < deadline:  # the kernel stands behind two processes of bubblewrap
            time.sleep(0.1)
            started = sandbox.family(process.pid)[1:]
        process.kill()
    assert len(started) >= 5
    assert psutil.wait_procs(started, timeout=20)[1] == []


@pytest.mark.parametrize("missing", ["bwrap", "prlimit", "setpriv"])
def test_without_its_programs_grading_is_refused_and_the_flag_named(missing, monkeypatch, tmp_path, capsys):
    found = shutil.which
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None if name == missing else found(name))
    with pytest.raises(SystemExit) as left:
        cli.main(["grade", str(tmp_path), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert missing in said
    assert "--no-sandbox" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_are_told_what_to_use(platform, monkeypatch):
    monkeypatch.setattr(sandbox.sys, "platform", platform)
    assert "container" in sandbox.trouble()
    assert "--no-sandbox" in sandbox.trouble()


def test_walls_that_do_not_stand_are_noticed(monkeypatch, tmp_path):
    """A machine that forbids namespaces: bwrap is there and fails."""
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    sandbox._probed.cache_clear()
    assert "Permission denied" in sandbox.trouble()
    sandbox._probed.cache_clear()


def test_secrets_in_a_folder_that_is_shown_are_refused(walls, tmp_path):
    assert sandbox.sees(sandbox.readable()[0] / "share")
    assert not sandbox.sees(tmp_path)
    shown = sandbox.readable()[0] / "share"
    settings = grade.Settings(course=tmp_path, submissions=shown, out=tmp_path / "out", isolation=walls)
    with pytest.raises(GradingError, match="move it elsewhere"):
        grade.grade(settings)


def _inside(walls, folder, code):
    (folder / "home").mkdir()
    return subprocess.run(walls.wrap(["sh", "-c", code], folder), capture_output=True, text=True, check=True).stdout


def test_what_is_inside_the_walls(walls, tmp_path):
    said = _inside(walls, tmp_path, "cat /proc/self/limits; id -u; ls /; ls /proc | grep -c '^[0-9]'")
    limits = walls.limits
    for name, value in [("processes", limits.processes), ("file size", limits.file), ("cpu time", limits.processor)]:
        assert re.search(rf"^Max {name} +{value} ", said, re.MULTILINE), said
    *_, processes = said.split()
    assert int(processes) < 10
    assert "\nhome\n" not in said


def test_an_ordinary_user_has_the_same_walls(walls, tmp_path):
    """Where root runs the tests, the walls are also tried as the user nobody, who needs a namespace of users."""
    if os.geteuid() != 0:
        pytest.skip("the tests run as an ordinary user: every other test here tries it")
    # What lies in root's own folders cannot be shown to nobody, so only the system is.
    code = """
import os, pathlib, subprocess, tempfile
from lazy_course.grading import sandbox
sandbox.readable = lambda: tuple(map(pathlib.Path, sandbox._SYSTEM))
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
tempfile.tempdir = "/tmp"
print("trouble:", sandbox.trouble())
with tempfile.TemporaryDirectory() as top:
    folder = pathlib.Path(top) / "s"
    (folder / "home").mkdir(parents=True)
    inside = "id -u; for i in $(seq 400); do sleep 2 & done; echo forked"
    done = subprocess.run(sandbox.Bubblewrap().wrap(["sh", "-c", inside], folder), capture_output=True, text=True)
print(done.stdout, done.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/")
    assert "trouble: \n" in done.stdout, done.stdout + done.stderr
    assert "Cannot fork" in done.stdout
    assert "forked" not in done.stdout
