"""The numbers of the text, each computed from the records; losses are in units of 1e-3."""

import numpy as np

from lazy_course import benchmarks
from lazy_course.rounding import percent, short
from lazy_course.two_layer import experiment, readings, trajectories
from lazy_course.two_layer.numerics import Weights

Numbers = dict[str, float | int]


def plane() -> Numbers:
    """Figures 1(a, b): signs, neurons that may change them, what the linearized model can fit, and other draws."""
    record, other = experiment.load("fig1a"), experiment.load("fig1a-draws")
    small, large = (readings.case_at(record, tau) for tau in (0.1, 2.0))
    scene = trajectories.scene(trajectories.PLANES["fig1a"]["paper"])
    start = Weights(scene.weights.inputs[:1], scene.weights.outputs[:1])
    rank, limit = trajectories.capacity(start, scene.data)
    may = np.abs(np.asarray(start.outputs[0])) < np.linalg.norm(np.asarray(start.inputs[0]), axis=1)
    limits = np.asarray(other["linearized_limit"])
    shares, ends = np.asarray(other["aligned"]), np.asarray(other["train_end"])
    return {
        "neurons": len(may),
        "may-flip": int(may.sum()),
        "flips": record["flips"][small],
        "large-train": short(1e3 * record["train_end"][large]),
        "rank": int(rank),
        "unfit": short(1e3 * float(limit)),
        "draws": other["count"],
        "draws-small-median": percent(np.median(shares[:, 0])),
        "draws-small-least": percent(shares[:, 0].min()),
        "draws-large-median": percent(np.median(shares[:, 1])),
        "draws-large-most": percent(shares[:, 1].max()),
        "draws-unfit": int(np.sum(limits > 1e-4)),
        "draws-large-unfit": int(np.sum(ends[:, 1] > 1e-4)),
        "draws-small-unfit": int(np.sum(ends[:, 0] > 1e-4)),
    }


def transition() -> Numbers:
    """Figure 1(c): where kappa calls it lazy, where the loss rises, and what the plateau is."""
    record, linearized = experiment.load("fig1c"), experiment.load("fig1c-linearized")
    tau, kappa = readings.taus(record), readings.kappas(record, linearized)
    end, linear = readings.band(record, "test_end"), readings.band(linearized, "test_end")
    half, lazy = readings.half_way(record), readings.lazy_from(record, linearized)
    limit = np.mean([job["test_limit"] for job in linearized["jobs"]])
    one = float(kappa[0] ** 0.5 * tau[0])

    def at(place: float, values: np.ndarray) -> float:
        return float(np.exp(np.interp(np.log(place), np.log(tau), np.log(values))))

    tenth = float((kappa[0] / 0.1) ** 0.5 * tau[0])
    return {
        "kappa-one": short(one),
        "share-at-one": percent(at(one, end.mean) / end.mean[-1]),
        "linear-at-one": percent(at(one, end.mean) / at(one, linear.mean)),
        "kappa-tenth": short(tenth),
        "share-at-tenth": percent(at(tenth, end.mean) / end.mean[-1]),
        "half": short(half),
        "kappa-half": short(at(half, kappa)),
        "lazy": short(lazy),
        "kappa-lazy": short(at(lazy, kappa)),
        "least": short(1e3 * end.mean[0]),
        "least-deviation": short(1e3 * end.deviation[0]),
        "plateau": short(1e3 * end.mean[-1], 3),
        "plateau-deviation": short(1e3 * end.deviation[-1]),
        "linearized": short(1e3 * linear.mean[-1], 3),
        "best": short(1e3 * readings.band(record, "test_best").mean[-1], 3),
        "ratio": round(float(end.mean[-1] / end.mean[0])),
        "gap": short(100 * abs(readings.gaps(record, linearized)[-1])),
        "limit": round(float(100 * (limit / linear.mean[-1] - 1))),
        "overfit": short(1e3 * (end.mean[-1] - readings.band(record, "test_best").mean[-1])),
    }


def cost() -> Numbers:
    """Figure 1(c): gradient evaluations of the plain runs and of both faster roads, and how well they agree."""
    record, step = experiment.load("fig1c"), benchmarks.load()["descent"]["milliseconds"]["float32"]["ours"]
    found: Numbers = {
        "evaluations": short(record["gradient_evaluations"] / 1e6),
        "minutes": round(record["seconds"] / 60),
        "step": short(np.median(step)),
        "steps-alone": round(record["gradient_evaluations"] * float(np.median(step)) / 6e4),
    }
    for name in ("finish", "road"):
        road = experiment.load(f"fig1c-{name}")
        plain, spent = readings.evaluations(record, road)
        of_means, of_runs = readings.road_gaps(record, road)
        found |= {
            f"{name}-runs": len(road["jobs"]),
            f"{name}-saved": short(plain / spent),
            f"{name}-mean-gap": short(100 * np.abs(of_means).max()),
            f"{name}-run-gap": short(100 * np.abs(of_runs).max()),
            f"{name}-lazy": round(float(np.mean([job["evaluations"][-1] for job in road["jobs"]]))),
            f"{name}-active": round(float(np.mean([job["evaluations"][0] for job in road["jobs"]]))),
        }
    return found


def population() -> Numbers:
    """Figure 2(b): the plateau beside the linearized model, and the slow region."""
    record, plateau = experiment.load("fig2b"), experiment.load("fig2b-plateau")
    tau, floor = readings.taus(record), float(np.mean(plateau["values"]))
    end, linear = readings.band(record, "test_end"), np.mean(plateau["test_end"], axis=0)
    slow = np.flatnonzero(readings.still_falling(record, floor))
    return {
        "population-plateau": short(1e3 * end.mean[-1], 3),
        "population-deviation": short(1e3 * end.deviation[-1]),
        "population-linearized": short(1e3 * linear[-1], 3),
        "population-gap": short(100 * abs(end.mean[-1] / linear[-1] - 1)),
        "population-floor": short(1e3 * floor, 3),
        "population-above": short(100 * (linear[-1] / floor - 1)),
        "population-small": short(1e8 * end.mean[tau < 0.101].max()),
        "population-half": short(readings.half_way(record)),
        "slow-low": short(tau[slow[0]]),
        "slow-high": short(tau[slow[-1]]),
        "slow-count": len(slow),
        "population-still": short(100 * readings.fallen(record)[-1]),
    }


def widths() -> Numbers:
    """Figure 2(a): the end losses of both scales at the least and at the largest width."""
    m, bands = readings.widths(experiment.load("fig2a"))
    root, mean = bands["root"], bands["mean"]
    return {
        "width": int(m[-1]),
        "root-end": short(1e3 * root.mean[-1]),
        "root-deviation": short(1e3 * root.deviation[-1]),
        "mean-end": short(1e3 * mean.mean[-1]),
        "mean-deviation": short(1e3 * mean.deviation[-1]),
        "width-ratio": short(root.mean[-1] / mean.mean[-1]),
        "mean-best-width": int(m[np.argmin(mean.mean)]),
        "hump": int(m[m >= 16][np.argmax(mean.mean[m >= 16])]),
    }
