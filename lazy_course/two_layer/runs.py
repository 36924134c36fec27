"""A panel from its jobs: here, one after the other and resumable, or on the workers of a Dask cluster."""

import time
from dataclasses import asdict
from typing import Any

import jax.numpy as jnp
import numpy as np

from lazy_course.store import Arrays, Store, Tell, digits, quiet, versions
from lazy_course.two_layer import training
from lazy_course.two_layer.numerics import Weights, still
from lazy_course.two_layer.panels import Job, Panel

PIECES = 10  # measurements in one compiled piece
SECONDS = 30.0  # between two checkpoints


def advance(job: Job, way: Weights, step: int, every: int, count: int) -> tuple[Weights, training.Losses]:
    """One piece of a job: `count` measurements with `every` steps after each."""
    if job.batch:
        return training.descend_population(
            job.weights,
            way,
            job.rates,
            job.data,
            job.teacher,
            job.key,
            step,
            every=every,
            count=count,
            batch=job.batch,
        )
    return training.descend(job.weights, way, job.rates, job.data, every=every, count=count)


def run_job(
    settings: Panel, index: int, *, store: Store | None = None, seconds: float = SECONDS, tell: Tell = quiet
) -> Arrays:
    """The losses of one stack: `train` and `test` (times, R) after `steps` (times,) iterations, and its `seconds`.

    With a store the state is kept every `seconds`; a job that was stopped goes on from there, to the same bits.
    """
    job, name = settings.job(index), f"job-{index:03d}"
    kept = store.load(f"{name}.checkpoint") if store else None
    every, measurements = settings.every, settings.iterations // settings.every
    count = np.gcd(measurements, PIECES).item()
    way, done, spent = still(job.weights), 0, 0.0
    curves: list[np.ndarray] = []
    if kept is not None:
        way = Weights(jnp.asarray(kept["inputs"]), jnp.asarray(kept["outputs"]))
        done, spent, curves = int(kept["done"]), float(kept["seconds"]), [kept["curves"]]
    start = saved = time.monotonic()
    while done < measurements:
        way, seen = advance(job, way, done * every, every, count)
        curves.append(np.stack(seen))
        done += count
        tell(done, measurements)
        now = time.monotonic()
        if store and now - saved > seconds and done < measurements:
            state = {"inputs": np.asarray(way.inputs), "outputs": np.asarray(way.outputs)}
            curves = [np.concatenate(curves, axis=1)]
            numbers = {"done": np.asarray(done), "seconds": np.asarray(spent + now - start), "curves": curves[0]}
            store.save(f"{name}.checkpoint", state | numbers)
            saved = now
    curves.append(np.stack(training.measure(job.weights, way, job.rates, job.data))[:, None, :])
    train, test = np.concatenate(curves, axis=1)
    spent += time.monotonic() - start
    steps = every * np.arange(measurements + 1)
    return {"steps": steps, "train": train, "test": test, "seconds": np.asarray(spent)}


def here(settings: Panel, store: Store, tell: Tell = quiet) -> list[Arrays]:
    """All jobs of a panel, one after the other; those that are in the store are taken from there."""
    found = []
    for index in range(settings.jobs):
        name = f"job-{index:03d}"
        kept = store.load(name)
        if kept is None:
            part = _share(tell, index, settings.jobs)
            kept = run_job(settings, index, store=store, tell=part)
            store.save(name, kept)
            store.drop(f"{name}.checkpoint")
        tell(1000 * (index + 1), 1000 * settings.jobs)
        found.append(kept)
    return found


def _share(tell: Tell, index: int, jobs: int) -> Tell:
    return lambda done, of: tell(1000 * index + 1000 * done // of, 1000 * jobs)


def on_cluster(
    settings: Panel, store: Store, scheduler: str, tell: Tell = quiet, *, patience: float = 10.0
) -> list[Arrays]:
    """The same on the workers of a Dask scheduler: the same keys, so the same numbers. Finished jobs are kept here.

    Raises `ConnectionError` if no scheduler answers at the address for `patience` seconds, or if it has no worker.
    """
    from distributed import Client, as_completed

    try:
        client = Client(scheduler, timeout=patience)
    except (OSError, ValueError, TimeoutError) as error:
        raise ConnectionError(
            f"no scheduler answers at {scheduler} ({type(error).__name__}); start one with `dask scheduler`, workers "
            "with `dask worker ADDRESS --nthreads 1`, and give its address such as tcp://10.0.0.1:8786"
        ) from error
    found: dict[int, Arrays] = {}
    with client:
        if not client.scheduler_info()["workers"]:
            raise ConnectionError(f"the scheduler at {scheduler} has no worker; start some with `dask worker`")
        for index in range(settings.jobs):
            if (kept := store.load(f"job-{index:03d}")) is not None:
                found[index] = kept
        waiting = {
            client.submit(run_job, settings, index, pure=False): index
            for index in range(settings.jobs)
            if index not in found
        }
        for future in as_completed(waiting):
            index = waiting[future]
            found[index] = future.result()
            store.save(f"job-{index:03d}", found[index])
            tell(len(found), settings.jobs)
            future.release()
    return [found[index] for index in range(settings.jobs)]


def record(settings: Panel, found: list[Arrays], *, points: int = 31) -> dict[str, Any]:
    """What is committed of a panel: ends, bests and thinned curves of every run, with how they were made.

    The curves keep about `points` measurements, evenly spaced in log time; numbers have six digits.
    """
    steps = found[0]["steps"]
    chosen = sorted({0, *np.unique(np.round(np.geomspace(1, len(steps) - 1, points))).astype(int).tolist()})
    evaluations = sum(settings.iterations * part["train"].shape[1] for part in found)
    return {
        "settings": asdict(settings),
        "versions": versions(),
        "seconds": round(sum(float(part["seconds"]) for part in found), 1),
        "gradient_evaluations": evaluations,
        "steps": steps[chosen].tolist(),
        "jobs": [_job(part, chosen) for part in found],
    }


def _job(part: Arrays, chosen: list[int]) -> dict[str, Any]:
    best = np.argmin(part["test"], axis=0)
    return {
        "train_end": digits(part["train"][-1]),
        "test_end": digits(part["test"][-1]),
        "test_best": digits(np.min(part["test"], axis=0)),
        "best_at": part["steps"][best].tolist(),
        "train": [digits(row) for row in part["train"][chosen].T],
        "test": [digits(row) for row in part["test"][chosen].T],
    }
