"""Measures the kernels and, where it is given, the peer, in turns; `make bench`, or python -m tests.benchmarks.run.

With --peer (a Python that has neural-tangents) both sides of each task are compiled first, then run one after the
other, five times and more: what the machine does beside them meets both. Without it only our side is measured, and
nothing is written but to the screen. With --nbgrader (a Python that has nbgrader) the grader is measured beside it,
which takes some ten minutes, and that part of the record alone is written; so it is with --torch (a Python that has
PyTorch) and a step of descent, for some two minutes. Files that it writes: lazy_course/benchmarks.json.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks import cohort, course, descent
from tests.benchmarks.problems import SETTINGS

HERE = Path(__file__).parent
RECORD = HERE.parents[1] / "lazy_course" / "benchmarks.json"
TARGETS = {"two-layer": 30.0, "vgg11": 15.0, "closed forms": 4.0, "predictions": 2.0}
TOLERANCE = 2e-3
PATIENCE = 120


class Side:
    """A program that answers through worker.py."""

    def __init__(self, python: str, file: str) -> None:
        command = [python, str(HERE / file)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.versions = self._answer()["versions"]

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            said = self.process.stderr.read().strip().splitlines()
            self.close()
            raise ChildProcessError(said[-1] if said else "the program ended without a word")
        return json.loads(line)

    def ask(self, text: str) -> dict:
        """Send a line and wait for the answer."""
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self._answer()

    def end_task(self) -> None:
        """Let the present task go."""
        self.process.stdin.write("end\n")
        self.process.stdin.flush()

    def close(self) -> None:
        """End the program."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def machine() -> dict:
    """The processor, its cores and the memory; no name of the machine itself."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def in_turns(sides: dict[str, tuple[Side, str]], repeats: int) -> dict:
    """First runs, then `repeats` runs of each side in turns; fails where the results differ."""
    found = {name: {"first": 0.0, "runs": []} for name in sides}
    samples = {}
    for name, (side, task) in sides.items():
        answer = side.ask(task)
        found[name]["first"], samples[name] = round(answer["first"], 3), answer["sample"]
    if len(samples) == 2:
        ours, peer = samples["ours"], samples["peer"]
        size = max(abs(v) for v in peer)
        worst = max(abs(a - b) for a, b in zip(ours, peer, strict=True)) / size
        if not worst < TOLERANCE:
            raise ArithmeticError(f"the sides disagree by {worst:.1e}: {ours} against {peer}")
        found["difference"], found["sample"] = worst, samples
    for _ in range(repeats):
        for name, (side, _) in sides.items():
            found[name]["runs"].append(round(side.ask("run")["seconds"], 5))
    for name, (side, _) in sides.items():
        side.end_task()
        found[name]["median"] = statistics.median(found[name]["runs"])
    return found


def once(python: str, task: str) -> dict:
    """One run of a task of the peer after its compilation, in a program of its own, waited for at most PATIENCE."""
    lines = f"{task}\nrun\nend\n"
    command = [python, str(HERE / "peer.py")]
    # Unfiltered, the last line of a traceback is the exception.
    environment = {**os.environ, "JAX_TRACEBACK_FILTERING": "off"}
    options: dict = {"capture_output": True, "text": True, "timeout": PATIENCE, "env": environment}
    try:
        done = subprocess.run(command, input=lines, check=False, **options)
    except subprocess.TimeoutExpired:
        return {"longer_than": PATIENCE}
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode or not answers or "seconds" not in answers[-1]:
        return {"fails": done.stderr.strip().splitlines()[-1].split(":")[0] if done.stderr.strip() else "killed"}
    return {"seconds": round(answers[-1]["seconds"], 3)}


def measure(peer: str | None, repeats: int, others: bool) -> dict:
    """The whole record."""
    start = time.perf_counter()
    ours = Side(sys.executable, "ours.py")
    other = Side(peer, "peer.py") if peer else None
    record: dict = {
        "machine": machine(),
        "versions": {"ours": ours.versions, **({"peer": other.versions} if other else {})},
        "settings": {"repeats": repeats, "dtype": "float32", "tasks": SETTINGS},
        "tasks": {},
    }
    for name, target in TARGETS.items():
        sides = {"ours": (ours, name)}
        if other:
            sides["peer"] = (other, name if name not in ("two-layer", "vgg11") else f"{name}, jacobian")
        found = in_turns(sides, repeats)
        if other:
            found["ratio"] = round(found["peer"]["median"] / found["ours"]["median"], 2)
            found["target"] = target
        record["tasks"][name] = found
        print(name, json.dumps(found), flush=True)
    for side in (ours, other):
        if side:
            side.close()
    if peer and others:
        for name in ("two-layer", "vgg11"):
            methods = {method: once(peer, f"{name}, {method}") for method in ("products", "structured")}
            record["tasks"][name]["peer"]["other_methods"] = methods
            print(name, methods, flush=True)
    costs = subprocess.run([sys.executable, str(HERE / "costs.py")], capture_output=True, text=True, check=True)
    record["costs"] = json.loads(costs.stdout)
    record["seconds"] = round(time.perf_counter() - start, 1)
    return record


def measure_grading(peer: str, students: int, sample: int) -> None:
    """Put the grader's part into the record, whose other parts stay."""
    found = cohort.measure(peer, students, sample, machine())
    print(json.dumps(found, indent=1))
    keep({"grading": found})
    print(f"ratio {found['ratio']}, asked for {found['target']}; written to {RECORD.name}, which the book reads")


def measure_descent(torch: str) -> None:
    """Put the part of descent into the record, whose other parts stay."""
    found = descent.measure(torch, machine())
    keep({"descent": found})
    print(f"written to {RECORD.name}, which the book reads; targets missed: {descent.missed(found) or 'none'}")


def measure_course() -> None:
    """Put the part of flows and of the build into the record, whose other parts stay."""
    found = course.measure(machine())
    print(json.dumps(found, indent=1))
    keep({"course": found})
    print(f"written to {RECORD.name}, which the book reads")


def keep(part: dict) -> None:
    """Write a part of the record, whose other parts stay."""
    record = json.loads(RECORD.read_text(encoding="utf-8")) | part
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="a Python in whose environment neural-tangents 0.6.5 is installed")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--fast", action="store_true", help="leave out the peer's slower methods")
    parser.add_argument("--nbgrader", help="a Python in whose environment nbgrader 0.9.6 and jax are installed")
    parser.add_argument("--students", type=int, default=500, help="submissions that our side grades")
    parser.add_argument("--sample", type=int, default=20, help="those of them that nbgrader grades, in either mode")
    parser.add_argument("--torch", help="a Python in whose environment PyTorch and NumPy are installed")
    parser.add_argument("--course", action="store_true", help="time flows and a cold build of the book")
    arguments = parser.parse_args()
    if arguments.course:
        measure_course()
        return
    if arguments.torch:
        measure_descent(arguments.torch)
        return
    if arguments.nbgrader:
        measure_grading(arguments.nbgrader, arguments.students, arguments.sample)
        return
    record = measure(arguments.peer, arguments.repeats, not arguments.fast)
    if arguments.peer:
        keep(record)
        print(f"written to {RECORD.name}; the book reads it", flush=True)
    else:
        print("no peer was given (PEER=/path/to/its/python): the record is left as it is")
    missed = [
        name
        for name, task in record["tasks"].items()
        if task.get("ratio", task.get("target", 0)) < task.get("target", 0)
    ]
    print(f"targets missed: {missed}" if missed else "no target is missed")


if __name__ == "__main__":
    main()
