"""The numbers of the text, each computed from the records."""

from typing import Any

import numpy as np

from lazy_course.convnets import experiment, readings
from lazy_course.convnets.data import CLASSES
from lazy_course.convnets.readings import finite, lazy_end
from lazy_course.rounding import percent, short

Numbers = dict[str, float | int]


def drop() -> Numbers:
    """Figure 3(a): what is lost between the smallest scale and the linearized model, and what needs no features."""
    record = experiment.load("fig3a")
    (study,) = record["studies"]
    train, test = readings.drop(record, "train_accuracy"), readings.drop(record)
    alphas, tests = finite(study, "test_accuracy")
    _, stability = finite(study, "stability")
    _, remainder = finite(study, "remainder")
    bar = lazy_end(study, "test_accuracy")
    ten = int(np.argmin(abs(alphas - 10)))
    features = np.mean(study["baselines"]["random_features"], axis=0)
    return {
        "parameters": study["parameters"][0],
        "equations": CLASSES * study["samples"][0],
        "standard-test": percent(test.standard),
        "lazy-test": percent(test.linearized),
        "lost": percent(test.difference),
        "standard-train": percent(train.standard),
        "lazy-train": percent(train.linearized),
        "plateau": short(100 * abs(tests[:, alphas >= 1e3] - bar[:, None]).max()),
        "features": percent(features[1]),
        "feature-count": study["baselines"]["features"],
        "linear": percent(study["baselines"]["linear"][1]),
        "stable-one": percent(stability[:, 0].mean()),
        "stable-ten": percent(stability[:, ten].mean()),
        "off-ten": percent(remainder[:, ten].mean()),
        "kinks": percent(study["kinks"][0]),
    }


def losses() -> Numbers:
    """Figure 7(a): the means of the training losses at both ends."""
    rows = experiment.load("fig7a")["rows"]
    one, bar = (np.mean([row["train"] for row in rows if row["alpha"] == place]) for place in (1.0, "linearized"))
    return {"loss-train-one": short(one), "loss-train-bar": short(bar), "loss-ratio": short(bar / one)}


def slow() -> Numbers:
    """The linearized model solved exactly: its stable steps, its time, and what training leaves out."""
    kept, (study,) = experiment.load("fig3a-exact"), experiment.load("fig3a")["studies"]
    settings, run = study["settings"], kept["settings"]["run"]
    rates, indices = np.maximum(np.asarray(kept["rates"]), 1e-300), np.asarray(kept["indices"])
    time = kept["times"][-2]
    learned = float(np.interp(np.log(time), -np.log(rates), np.log(indices)))
    train, test = (np.asarray(kept[f"{part}_accuracy"]) for part in ("train", "test"))
    times = np.asarray(kept["times"][:-2])
    place = int(np.argmax(train[:-2] > train[-1] - 0.01))
    return {
        "rate": short(rates[0], 3),
        "limit": short(2 * (1 + settings["momentum"]) / rates[0], 3),
        "time": round(time),
        "modes": round(float(np.exp(learned))),
        "flow-train": percent(train[-2]),
        "descent-train": percent(lazy_end(study, "train_accuracy")[run]),
        "flow-test": percent(test[-2]),
        "descent-test": percent(lazy_end(study, "test_accuracy")[run]),
        "end-train": percent(train[-1]),
        "longer": short(times[place] / time),
        "longer-than": short(times[place - 1] / time),
        "net-gap": short(rates[9] / rates[10]),
        "count": int(round(rates[0] * time, -3)),
        "spread": round(float(np.log10(rates[0] / rates[-2]))),
        "spread-count": int(indices[-2]),
    }


def spectra() -> Numbers:
    """Figure 7(b): gaps, tails, shares, and what they cost."""
    kept = experiment.load("fig7b")
    found: Numbers = {"images": kept["settings"]["n"], "eigenvalues": CLASSES * kept["settings"]["n"]}
    for kind, part in kept["spectra"].items():
        values = dict(zip(part["indices"], part["values"], strict=True))
        found |= {
            f"{kind}-gap": short(part["gap"]),
            f"{kind}-slope": short(part["slope"]),
            f"{kind}-constant": short(100 * min(part["constant"][:CLASSES]), 4),
            f"{kind}-leading": short(100 * min(part["leading"][:CLASSES]), 4),
            f"{kind}-other": short(100 * max(part["constant"][CLASSES:])),
            f"{kind}-product": percent(part["product"]),
            f"{kind}-twenty": short(values[20] / values[21]),
            f"{kind}-thirty": short(values[30] / values[31]) if 31 in values else 0,
            f"{kind}-tenth": short(values[10]),
            f"{kind}-minutes": short((part["seconds_kernel"][0] + part["seconds_modes"][0]) / 60),
            f"{kind}-memory": short(part["peak_gib"]),
        }
    uniform = kept["spectra"]["uniform"]["values"]
    found |= {
        "uniform-condition": int(round(1 / uniform[-1], -3)),
        "uniform-tail": short(uniform[CLASSES] / uniform[-1]),
    }
    return found


def onset() -> Numbers:
    """Where training becomes lazy on Figure 3(a), beside kappa of its networks."""
    (study,) = experiment.load("fig3a")["studies"]
    found = readings.onset(study, experiment.load("convnets-kappa"), study["settings"]["widths"][0])
    low, high = found.kappa
    return {
        "onset-half": short(found.half),
        "onset-tenth": short(found.tenth),
        "kappa-low": short(low),
        "kappa-high": short(high),
        "kappa-half-low": short(low / found.half),
        "kappa-half-high": short(high / found.half),
        "kappa-tenth-low": short(low / found.tenth),
        "kappa-tenth-high": short(high / found.tenth),
    }


def onset_widths() -> Numbers:
    """How onset and kappa move from the smallest to the largest width, and kappa of the twins."""
    measured = experiment.load("convnets-kappa")
    rows = readings.at_widths(experiment.load("fig3a"), experiment.load("fig3a-widths"), measured)
    first, last = rows[0].onset, rows[-1].onset
    found: Numbers = {
        "width-first": int(rows[0].width),
        "width-last": int(rows[-1].width),
        "half-growth": short(last.half / first.half),
        "tenth-growth": short(last.tenth / first.tenth),
        "kappa-growth": short(last.kappa[0] / first.kappa[0]),
        "kappa-growth-high": short(last.kappa[1] / first.kappa[1]),
        "at-half-least": short(min(row.onset.kappa[0] / row.onset.half for row in rows)),
        "at-half-most": short(max(row.onset.kappa[1] / row.onset.half for row in rows)),
        "at-tenth-least": short(min(row.onset.kappa[0] / row.onset.tenth for row in rows)),
        "at-tenth-most": short(max(row.onset.kappa[1] / row.onset.tenth for row in rows)),
    }
    full = next(row for row in measured["rows"] if (row["network"], row["width"]) == ("vgg11", 1))
    found["vgg-parameters"] = short(full["parameters"] / 1e6)
    found["vgg-minutes"] = round(full["seconds"] / 60)
    for name, width in (("full", 1), ("narrow", 1 / 16)):
        low, high = readings.kappa_of(measured, "vgg11", width, 4)
        found |= {f"vgg-{name}-low": short(low), f"vgg-{name}-high": short(high)}
    for sharpness in (5, 20, 80):
        low, high = readings.kappa_of(measured, "sequence", 25, 100, sharpness)
        found |= {f"twin-{sharpness}-low": short(low), f"twin-{sharpness}-high": short(high)}
    alike = [row for row in measured["rows"] if (row["width"], row["n"], row["run"]) == (25, 100, 0)]
    changes = [row["change"][-1] for row in alike]
    found |= {"change-least": short(min(changes)), "change-most": short(max(changes))}
    (start,) = (row["kappa"] for row in alike if row["sharpness"] == 0)
    return found | {"first-low": short(start[0]), "first-high": short(start[1])}


def twins() -> Numbers:
    """Slopes of the remainder with kinks and without, and the drop of the smooth net."""
    trained, smooth = experiment.load("fig3a"), experiment.load("fig3a-smooth")
    (study,), (other,) = trained["studies"], smooth["studies"]
    lost = readings.drop(smooth)
    alphas, (remainders,) = finite(other, "remainder")
    half = readings.crossing(alphas, remainders, 0.5)
    return {
        "relu-slope": short(readings.slope(study, "remainder", 100, 1e4)),
        "relu-last": short(1e7 * finite(study, "remainder")[1][:, -1].max()),
        "smooth-slope": short(readings.slope(other, "remainder", 1e3, 1e6), 3),
        "sharpness": short(other["settings"]["sharpness"]),
        "smooth-half": short(half),
        "smooth-test": percent(lost.standard),
        "smooth-lazy-test": percent(lost.linearized),
    }


def wide() -> Numbers:
    """Figure 3(b): what width does to the linearized nets, and by how much the standard ones are ahead, in percent."""
    found: Numbers = {}
    for study in experiment.load("fig3b")["studies"]:
        name, sizes = study["settings"]["data"], study["settings"]["widths"]
        parts = [readings.of_width(study, width) for width in sizes]
        lazy = [lazy_end(part, "test_accuracy").mean() for part in parts]
        standard = [finite(part, "test_accuracy")[1].mean() for part in parts]
        ahead = np.subtract(standard, lazy)
        found |= {
            f"{name}-lazy-first": percent(lazy[0]),
            f"{name}-lazy-last": percent(lazy[-1]),
            f"{name}-standard-worst": percent(finite(parts[0], "test_accuracy")[1].min()),
            f"{name}-linear": percent(study["baselines"]["linear"][1]),
            f"{name}-ahead-least": percent(ahead.min()),
            f"{name}-ahead-most": percent(ahead.max()),
        }
    return found


def minutes() -> Numbers:
    """What each laptop computation took, in minutes of the clock."""
    seconds: dict[str, float] = {
        name: sum(study["seconds"] for study in experiment.load(name)["studies"])
        for name in ("fig3a", "fig3a-smooth", "fig3a-widths", "fig3b")
    }
    seconds["fig3a-exact"] = experiment.load("fig3a-exact")["seconds"]
    seconds["fig7b"] = sum(_clock(part) for part in experiment.load("fig7b")["spectra"].values())
    seconds["convnets-kappa"] = sum(row["seconds"] for row in experiment.load("convnets-kappa")["rows"])
    return {f"minutes-{name}": short(value / 60) for name, value in seconds.items()}


def _clock(part: dict[str, Any]) -> float:
    return float(part["seconds_kernel"][0] + part["seconds_modes"][0])
