"""The verdict of a report in plain words: a convention about shares, its reasons, and what it does not say."""

import math
from typing import NamedTuple

from lazy_course.report.record import Certified, LazinessReport, Measured, Predicted

SMALL = 0.1  # up to this share of gap and drift a model is called lazy: a convention
LARGE = 0.5  # from this share on, not lazy
LEARNED = 0.5  # share of the loss that must be gone before a measurement says something


class Verdict(NamedTuple):
    """`word` is "lazy", "partly lazy", "not lazy" or "unknown"; with its reasons."""

    word: str
    reasons: tuple[str, ...]


def verdict(
    predicted: Predicted, measured: Measured | None, certified: Certified | None, kappa_upper: float
) -> Verdict:
    """The verdict from the largest of linearization gap and kernel drift; a measurement goes before a prediction."""
    at: Predicted | Measured = predicted if measured is None else measured
    worst = max(at.gap, at.kernel_drift)
    how = "predicted" if measured is None else "measured"
    if not math.isfinite(worst):
        return Verdict("unknown", ("the outputs did not move, or not to finite values: there is nothing to compare",))
    word = "lazy" if worst <= SMALL else "partly lazy" if worst < LARGE else "not lazy"
    first = (
        f"the {how} linearization gap is {100 * at.gap:.3g} % and the {how} kernel drift {100 * at.kernel_drift:.3g} % "
        f"(lazy: both at most {100 * SMALL:g} %; not lazy: one of {100 * LARGE:g} % or more)"
    )
    return Verdict(word, (first, *_second_thoughts(predicted, measured, certified, kappa_upper, worst)))


def _second_thoughts(
    predicted: Predicted, measured: Measured | None, certified: Certified | None, kappa_upper: float, worst: float
) -> list[str]:
    words = []
    if measured is not None and not measured.loss_end <= (1 - LEARNED) * measured.loss_start:
        gone = 1 - measured.loss_end / measured.loss_start
        words.append(f"only {100 * gone:.3g} % of the loss is gone: a model that has hardly trained looks lazy")
    if measured is None and predicted.loss_left > LARGE:
        words.append(
            f"where the linearized model ends, the model itself still has {100 * predicted.loss_left:.3g} % of its loss"
        )
    if certified is not None and certified.applies_path:
        words.append("the path-length theorem applies at this alpha: bounds below")
    elif certified is not None:
        words.append(f"no theorem applies at this alpha: {certified.reason}")
    if kappa_upper < SMALL and worst > SMALL:
        words.append(
            f"kappa is small (at most {kappa_upper:.3g}), and that alone does not decide: see the condition number"
        )
    return words


def limits(r: LazinessReport, kinks: tuple[str, ...], certified_words: str, rounding: float) -> tuple[str, ...]:
    """What the report does not say, as far as its own numbers tell."""
    words = ["it speaks of the samples it was given; on other inputs gap and drift can be larger"]
    if r.samples < r.samples_given:
        words.append(
            f"it was computed on {r.samples} samples drawn from {r.samples_given}; sigma_min of all is at most that"
        )
    if r.certified is None:
        words.append(f"nothing is proved: {certified_words}")
    if r.measured is None:
        words.append(
            "nothing was trained: the prediction looks at the linearized model's end, and can be wrong beyond it"
        )
    elif "given" in r.measured.source:
        words.append(
            "for another optimizer than gradient descent the linearized model trained alone is only a yardstick"
        )
    if kinks:
        words.append(
            f"f uses {', '.join(kinks)}: if that is a kink (ReLU), D2h and kappa do not see it; gap and drift do"
        )
    if math.isinf(r.kappa[1]):
        words.append("|D2h| and kappa are known from below only (effort='quick')")
    elif r.kappa[1] > 2 * r.kappa[0]:
        words.append("the upper ends of |D2h| and kappa are coarse; they hold with probability 1 - 1e-6 over the key")
    if r.rank < r.samples * r.outputs:
        words.append(
            f"the kernel has rank {r.rank} of {r.samples * r.outputs} to {r.dtype} precision: no theorem for the "
            "over-parameterized case applies, and the linearized model need not fit"
        )
    if rounding > 1e-3 * r.residual:
        words.append(
            f"in {r.dtype} at this alpha, differences of outputs below about {rounding:.1g} are rounding: gaps of less "
            "mean nothing (a smaller alpha, a centred model or double precision helps)"
        )
    return tuple(words)
