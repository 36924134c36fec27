"""Times `lazy-course grade` with its sandbox against `nbgrader autograde`: the same questions, the same answers.

The whole cohort is graded here, by one command with `--workers 2`; of it the peer grades a sample, half of it before
and half after. Its command runs one submission at a time, and has no option for more. So a second number is taken with
two processes of it side by side, each with a course folder of its own. The peer's rate is counted from its first
finished submission to its last, so that its start does not count; ours is that of the whole command.
"""

import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from lazy_course.grading import notebooks, source
from tests.benchmarks import questions

MODES = {"peer": 1, "peer_twice": 2}  # how many processes of the peer run at a time
TARGET = 2.0
LOOK = 2.0  # seconds between two looks at the memory
PACKAGES = {
    "ours": ("jax", "nbval", "pytest", "ipykernel", "jupyter-client", "distributed"),
    "peer": ("nbgrader", "jax", "nbconvert", "ipykernel", "jupyter-client"),
}
_VERSIONS = "import sys, json, importlib.metadata as m; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"


def versions(python: str, side: str) -> dict[str, str]:
    """What is installed in the environment of a Python."""
    command = [python, "-c", _VERSIONS, *PACKAGES[side]]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def name(student: int) -> str:
    """A student's name."""
    return f"s{student:04d}"


def environment(*without: str) -> dict[str, str]:
    """The environment as an instructor has it, without options that tests set for themselves."""
    left_out = {"XLA_FLAGS", "PYTHONDONTWRITEBYTECODE", *without}
    return {key: value for key, value in os.environ.items() if key not in left_out}


def prepare_ours(folder: Path, students: int) -> None:
    """A course with the problem set, and the submissions."""
    (folder / "course" / "solutions").mkdir(parents=True)
    path = folder / "course" / "solutions" / f"{questions.STEM}.md"
    path.write_text(questions.source(), encoding="utf-8")
    released = folder / "released.ipynb"
    released.write_bytes(notebooks.to_bytes(notebooks.exercise(source.read(path))))
    for student in range(students):
        own = folder / "submissions" / name(student)
        own.mkdir(parents=True)
        (own / f"{questions.STEM}.ipynb").write_bytes(questions.handed_in(released, student))


def grade_ours(folder: Path, workers: int) -> dict:
    """Grade all of them by the command, and look at its memory meanwhile."""
    command = [sys.executable, "-m", "lazy_course.cli", "grade", str(folder / "submissions")]
    command += ["--out", str(folder / "out"), "--course", str(folder / "course"), "--workers", str(workers)]
    start, looks = time.perf_counter(), []
    records = folder / "out" / "records" / questions.STEM
    with open(folder / "said", "w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment())
        while process.poll() is None:
            looks.append((len(list(records.glob("[!.]*.json"))) if records.exists() else 0, *memory(process.pid)))
            try:
                process.wait(LOOK)
            except subprocess.TimeoutExpired:
                continue
    seconds = time.perf_counter() - start
    if process.returncode:
        raise ChildProcessError((folder / "said").read_text()[-500:])
    grades = json.loads((folder / "out" / "grades.json").read_text())
    totals = {record["student"]: record["total"] for record in grades["records"]}
    return {"seconds": seconds, "totals": totals, "looks": looks, "isolation": grades["settings"]["isolation"]}


def memory(process: int) -> tuple[float, float]:
    """MiB of a process, and of it and all that it started; what several share counts once (PSS)."""
    try:
        members = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    except psutil.Error:
        return 0.0, 0.0
    shares = []
    for member in members:
        try:
            shares.append(member.memory_full_info().pss / 2**20)
        except psutil.Error:  # it ended between two looks
            shares.append(0.0)
    return shares[0], sum(shares)


def by_fifths(looks: list[tuple[int, float, float]], students: int) -> dict[str, list[float]]:
    """Medians of the memory of the grader and of the whole family, in each fifth of the cohort."""
    fifths: dict[str, list[float]] = {"grader": [], "family": []}
    for i in range(5):
        own = [look for look in looks if i * students / 5 < look[0] <= (i + 1) * students / 5 and look[1]]
        for column, kind in enumerate(fifths, start=1):
            fifths[kind].append(round(statistics.median(look[column] for look in own), 1) if own else 0.0)
    return fifths


def prepare_peer(python: str, folder: Path, students: list[int]) -> None:
    """A course folder of nbgrader with the released assignment and the submissions of some students."""
    (folder / "source" / "ps").mkdir(parents=True)
    (folder / "source" / "ps" / "ps.ipynb").write_text(json.dumps(questions.for_nbgrader()))
    _nbgrader(python, folder, "generate_assignment", "ps").communicate()
    released = folder / "release" / "ps" / "ps.ipynb"
    for student in students:
        own = folder / "submitted" / name(student) / "ps"
        own.mkdir(parents=True)
        (own / "ps.ipynb").write_bytes(questions.handed_in(released, student))


def _nbgrader(python: str, folder: Path, *arguments: str) -> subprocess.Popen:
    command = [python, "-m", "nbgrader", *arguments, f"--CourseDirectory.root={folder}"]
    own = environment("PYTHONPATH")
    own["PATH"] = f"{Path(python).parent}:{own['PATH']}"  # nbgrader starts alembic by its name
    with open(folder / "said", "a") as said:
        return subprocess.Popen(command, cwd=folder, env=own, stdout=said, stderr=said)


def grade_peer(python: str, folder: Path, students: list[int], processes: int) -> dict:
    """Autograde them in processes that run at the same time; submissions a second of all processes together."""
    shares = [students[i::processes] for i in range(processes)]
    folders = [folder / f"course{i}" for i in range(processes)]
    for own, share in zip(folders, shares, strict=True):
        prepare_peer(python, own, share)
    running = [_nbgrader(python, own, "autograde", "ps") for own in folders]
    ends = [process.wait() for process in running]
    if any(ends):
        raise ChildProcessError((folders[0] / "said").read_text()[-500:])
    rate, totals = 0.0, {}
    for own, share in zip(folders, shares, strict=True):
        done = sorted(path.stat().st_mtime for path in own.glob("autograded/*/ps/ps.ipynb"))
        if len(done) != len(share):
            raise ChildProcessError(f"{len(done)} of {len(share)} were graded: {(own / 'said').read_text()[-500:]}")
        rate += (len(done) - 1) / (done[-1] - done[0])
        _nbgrader(python, own, "export").communicate()
        with open(own / "grades.csv", newline="") as table:
            totals |= {row["student_id"]: float(row["score"]) for row in csv.DictReader(table)}
    return {"rate": rate, "totals": totals}


def measure(peer: str, students: int, sample: int, machine: dict, workers: int = 2) -> dict:
    """The record of one run: the peer in both modes, our cohort, and the peer in both modes again."""
    start, parts = time.perf_counter(), {mode: [] for mode in MODES}
    halves = {"before": list(range(sample // 2)), "after": list(range(sample // 2, sample))}

    def let_peer_grade(top: Path, half: str) -> None:
        for mode, processes in MODES.items():
            parts[mode].append(grade_peer(peer, top / half / mode, halves[half], processes))
            print(mode, half, f"{60 * parts[mode][-1]['rate']:.1f} a minute", flush=True)

    with tempfile.TemporaryDirectory(prefix="cohort") as name_of_top:
        top = Path(name_of_top)
        prepare_ours(top / "ours", students)
        let_peer_grade(top, "before")
        ours = grade_ours(top / "ours", workers)
        print("ours", f"{60 * students / ours['seconds']:.1f} a minute", flush=True)
        let_peer_grade(top, "after")
    demand_right(ours, *(part for runs in parts.values() for part in runs))
    seconds = {"ours": ours["seconds"] / students}
    seconds |= {mode: statistics.mean(1 / part["rate"] for part in runs) for mode, runs in parts.items()}
    return {
        "machine": machine,
        "versions": {"ours": versions(sys.executable, "ours"), "peer": versions(peer, "peer")},
        "settings": {
            "submissions": students, "workers": workers, "sample": sample, "processes": MODES,
            "questions": len(questions.QUESTIONS), "cases": questions.CASES, "isolation": ours["isolation"],
        },
        "seconds": {side: round(value, 3) for side, value in seconds.items()},
        "parts": {mode: [round(1 / part["rate"], 3) for part in runs] for mode, runs in parts.items()},
        "memory": by_fifths(ours["looks"], students),
        "ratio": round(seconds["peer"] / seconds["ours"], 2),
        "ratio_twice": round(seconds["peer_twice"] / seconds["ours"], 2),
        "target": TARGET,
        "took": round(time.perf_counter() - start, 1),
    }  # fmt: skip


def demand_right(*sides: dict) -> None:
    """ArithmeticError if a side gave a student other points than its answers are worth."""
    for side in sides:
        wrong = {who: total for who, total in side["totals"].items() if total != questions.points(int(who[1:]))}
        if wrong:
            raise ArithmeticError(f"these marks are not right: {wrong}")
