"""A study from its jobs, one after the other: kept every few seconds, taken up again to the same bits, recorded."""

import time
from dataclasses import asdict
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from lazy_course.convnets import baselines, training
from lazy_course.convnets.activations import activation_stability, kink_share
from lazy_course.convnets.data import Split
from lazy_course.convnets.panels import Job, Study
from lazy_course.store import Arrays, Store, Tell, digits, quiet, versions

SECONDS = 30.0  # between two checkpoints
MEASURES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


def run_job(
    study: Study,
    index: int,
    split: Split,
    *,
    store: Store | None = None,
    name: str = "job",
    seconds: float = SECONDS,
    tell: Tell = quiet,
) -> Arrays:
    """Train one stack. What it returns is named in `MEASURES` (times, R), `epochs` (times,), and by `_end`.

    With a store the state is kept every `seconds`; a job that was stopped goes on from there, to the same bits.
    """
    job = study.job(index, split.x.shape[1:])
    x, y, x_test, y_test = (jnp.asarray(part) for part in split)
    steps = len(y) // study.batch
    state = training.begin(job.start, len(job.alphas), job.rule, steps)
    kept = store.load(f"{name}.checkpoint") if store else None
    done, spent, curves = 0, 0.0, [_measured(job, state, x, y, x_test, y_test)]
    if kept is not None:
        state = _unpacked(kept, state)
        done, spent, curves = int(kept["done"]), float(kept["seconds"]), list(kept["curves"])
    start = saved = time.monotonic()
    while done < study.epochs:
        key = jax.random.fold_in(job.key, done)
        state = training.epoch(job.f, job.rule, job.start, state, job.alphas, job.rates, x, y, key)
        done += 1
        if done % study.every == 0 or done == study.epochs:
            curves.append(_measured(job, state, x, y, x_test, y_test))
        jax.block_until_ready(state)
        tell(done, study.epochs)
        now = time.monotonic()
        if store and now - saved > seconds and done < study.epochs:
            numbers = {"done": np.asarray(done), "seconds": np.asarray(spent + now - start)}
            store.save(f"{name}.checkpoint", _packed(state) | numbers | {"curves": np.stack(curves)})
            saved = now
    end = _end(job, state.way, x_test)
    spent += time.monotonic() - start
    epochs = [0, *(t for t in range(1, study.epochs + 1) if t % study.every == 0 or t == study.epochs)]
    measured = dict(zip(MEASURES, np.stack(curves, axis=1), strict=True))
    return measured | end | {"epochs": np.asarray(epochs), "seconds": np.asarray(spent)}


def _packed(state: training.State) -> Arrays:
    return {f"leaf{i:03d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}


def _unpacked(kept: Arrays, like: training.State) -> training.State:
    leaves = [jnp.asarray(kept[f"leaf{i:03d}"]) for i in range(len(jax.tree.leaves(like)))]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _measured(job: Job, state: training.State, x: Array, y: Array, x_test: Array, y_test: Array) -> np.ndarray:
    rows = []
    for inputs, classes in ((x, y), (x_test, y_test)):
        z = training.predict(job.f, job.start, state.way, job.alphas, inputs, linear=job.rule.linear)
        rows += list(training.measure(z, classes, job.rule.loss))
    return np.stack([np.asarray(row, dtype=float) for row in rows])


def _end(job: Job, way: PyTree, x_test: Array) -> Arrays:
    r"""The end of a training, on test inputs: `outputs` (R, q, k), `stability` (R,), and `remainder` (R,).

    `remainder` is $\|\alpha (h(w) - h(w_0)) - Dh(w_0) v\| / \|Dh(w_0) v\|$: how far the trained network is from its
    own linearization. `displacement` is $\|w - w_0\| / \|w_0\|$.
    """
    z = training.predict(job.f, job.start, way, job.alphas, x_test, linear=job.rule.linear)
    tangent = training.predict(job.f, job.start, way, job.alphas, x_test, linear=True)
    members, inverse = range(len(job.alphas)), 1.0 / job.alphas
    stabilities, sizes = [], []
    for r in members:
        step = jax.tree.map(lambda v, r=r: v[r] * inverse[r].astype(v.dtype), way)
        now = jax.tree.map(jnp.add, job.start, step)
        stabilities.append(float(_stability(job.f, job.start, now, x_test)))
        sizes.append(float(optax.tree.norm(step) / optax.tree.norm(job.start)))
    gap = jnp.linalg.norm((z - tangent).reshape(len(members), -1), axis=1)
    size = jnp.linalg.norm(tangent.reshape(len(members), -1), axis=1)
    return {
        "outputs": np.asarray(z, dtype=np.float32),
        "stability": np.asarray(stabilities),
        "remainder": np.asarray(gap / size, dtype=float),
        "displacement": np.asarray(sizes),
    }


_stability = jax.jit(activation_stability, static_argnums=0)
_kink_share = jax.jit(kink_share, static_argnums=0)


def run(study: Study, store: Store, *, prefix: str = "", tell: Tell = quiet) -> list[Arrays]:
    """All jobs of a study; those that are in the store are taken from there."""
    split, found = study.split(), []
    for index in range(study.jobs):
        name = f"{prefix}job-{index:03d}"
        kept = store.load(name)
        if kept is None:
            kept = run_job(study, index, split, store=store, name=name, tell=_share(tell, index, study))
            store.save(name, kept)
            store.drop(f"{name}.checkpoint")
        tell((index + 1) * study.epochs, study.jobs * study.epochs)
        found.append(kept)
    return found


def _share(tell: Tell, index: int, study: Study) -> Tell:
    return lambda done, of: tell(index * study.epochs + done, study.jobs * study.epochs)


def record(study: Study, found: list[Arrays], *, with_baselines: bool = True) -> dict[str, Any]:
    r"""What is committed of a study: curves and ends of every run, baselines, and how all was made.

    `linearization_gap` is $\|z_\alpha - \bar z\| / \|\bar z\|$ on the test inputs, with $\bar z$ the outputs of the
    linearized model trained from the same start on the same batches; absent where the study has none.
    """
    split = study.split()
    described: dict[str, Any] = {
        "settings": asdict(study),
        "versions": versions("optax", "scikit-learn"),
        "devices": [device.device_kind for device in jax.devices()],
        "samples": [len(split.y), len(split.y_test)],
        "parameters": [_parameters(study, width, split) for width in study.widths],
        "kinks": [_kinks(study, width, split) for width in study.widths],
        "seconds": round(sum(float(part["seconds"]) for part in found), 1),
        "epochs": found[0]["epochs"].tolist(),
        "jobs": [_job(study, index, found) for index in range(study.jobs)],
    }
    if with_baselines:
        described["baselines"] = baselines.all_of(study, split)
    return described


def _first(study: Study, width: float | int, split: Split) -> Job:
    return study.job(study.index(width), split.x.shape[1:])


def _parameters(study: Study, width: float | int, split: Split) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(_first(study, width, split).start))


def _kinks(study: Study, width: float | int, split: Split) -> float:
    """The share of pre-activations on a kink at the start, of the first repetition on test inputs."""
    job = _first(study, width, split)
    return float(f"{float(_kink_share(job.f, job.start, jnp.asarray(split.x_test[:500]))):.6g}")


def _job(study: Study, index: int, found: list[Arrays]) -> dict[str, Any]:
    width, run, scales = study.place(index)
    part = found[index]
    described: dict[str, Any] = {"width": width, "run": run, "alphas": list(scales), "linearized": not scales}
    for name in ("stability", "remainder", "displacement"):
        described[name] = digits(part[name])
    described |= {name: [digits(row, 5) for row in part[name].T] for name in MEASURES}
    if study.linearized:
        bar = found[index - index % len(study.stacks) + len(study.stacks) - 1]["outputs"]
        gap = np.linalg.norm(part["outputs"] - bar, axis=(1, 2)) / np.linalg.norm(bar)
        described["linearization_gap"] = digits(gap)
    return described
