"""The loop of a side: reads a task's name from standard input, then "run" or "end" for that task."""

import json
import sys
import time


def serve(tasks, versions):
    """Each task is made by a function of no arguments that returns (work, sample).

    `work()` does all of the task and waits for its result; `sample(result)` are a few of its numbers, so that both
    sides can be compared. Answers are lines of JSON: the first run with its compilation, then one run each.
    """
    print(json.dumps({"versions": versions}), flush=True)
    for line in sys.stdin:
        name = line.strip()
        work, sample = tasks[name]()
        start = time.perf_counter()
        result = work()
        first = time.perf_counter() - start
        print(json.dumps({"first": first, "sample": [float(v) for v in sample(result)]}), flush=True)
        for command in sys.stdin:
            if command.strip() != "run":
                break
            start = time.perf_counter()
            work()
            print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)
        del work, sample, result
