"""The convnets problem set: its shape, its key against answers found by other means and the chapter, its checks."""

import dataclasses
import re

import jax
import numpy as np
import pytest

from lazy_course.convnets import activations, derivation, experiment, linearized, models, panels, runs
from tests.convnets import independent_answers
from tests.grading.shared_tests import ProblemSetTests
from tests.grading.workbook import Workbook

BOOK = Workbook("convnets")


class TestProblemSet(ProblemSetTests):
    book, answers = BOOK, independent_answers
    questions, automatic, points = 9, 8, 32


def test_the_stability_is_that_of_the_chapter():
    """Two draws of a small net: the answer on its pre-activations, and `activation_stability`."""
    f = models.sequence_net(channels=3)
    rng, shapes = (
        np.random.default_rng(0),
        jax.eval_shape(lambda key: models.init_sequence_net(key, f), jax.random.key(0)),
    )
    one, two = (jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), shapes) for _ in range(2))
    x = rng.normal(size=(6, 40))
    layers = [[np.asarray(z, dtype=float) for z in activations.gates(f, params, x)] for params in (one, two)]
    stability, _ = BOOK.solution("signs-that-stay")["signs_that_stay"](*layers)
    assert float(activations.activation_stability(f, one, two, x)) == pytest.approx(
        stability, rel=1e-6
    )  # a mean in float32
    assert 0.3 < stability < 0.7


def test_the_answers_are_the_chapters_formulas():
    """Flow, gap, limit of the step, time of a schedule and kink of `lazy_course.convnets`, at drawn numbers."""
    solutions = {name: BOOK.solution(name)[BOOK.function(name)] for name in BOOK.automatic}
    rng = np.random.default_rng(3)
    matrix, targets = rng.normal(size=(6, 4)), rng.normal(size=6)
    rates, vectors = np.linalg.eigh(matrix.T @ matrix)
    ways = linearized.flow(
        linearized.Quadratic(rates, vectors, vectors.T @ matrix.T @ targets), np.array([0.4, np.inf])
    )
    shares = np.sum((targets - ways @ matrix.T) ** 2, axis=1) / np.sum(targets**2)
    values, left = np.linalg.eigh(matrix @ matrix.T)
    values[:2] = 0.0
    got = solutions["what-time-leaves"](values, left.T @ targets, 0.4, 0.5)
    np.testing.assert_allclose(got[:2], shares, rtol=1e-9)
    largest, tenth, other, _ = solutions["why-ten"](50, 10, 2.0, 0.3, 0.0)
    numbers = {derivation.n: 50, derivation.c: 2.0, derivation.rho: 0.3}
    assert largest == tenth
    assert tenth / other == pytest.approx(float(derivation.equicorrelated_gap().subs(numbers)), rel=1e-12)
    limit = float(derivation.stability_limit().subs(derivation.momentum, 0.9))
    assert solutions["largest-step"](np.array([0.1, 2.5]), 1.0, 0.9)[0] == pytest.approx(limit / 2.5, rel=1e-12)
    study = panels.PANELS["fig3a"]["laptop"][0]
    first = solutions["epochs-needed"](study.epochs, 1.0, 1.0, study.decay, study.momentum, 31, 0.5)[0]
    time = linearized.descent_time(study, 31 * study.batch)
    assert 31 * first * study.linear_rate / (1 - study.momentum) == pytest.approx(time, rel=1e-12)
    constant = float(derivation.kink_ratio().subs(derivation.s, 1.0))
    relative = solutions["kinks"](0.0, 1.0, 0.3, 50.0)
    assert relative[2] == pytest.approx(constant, rel=1e-12)
    assert relative[3] ** 2 == pytest.approx(float(derivation.softplus_curvature().subs(derivation.b, 50)), rel=2e-3)


def test_what_the_statements_say_of_the_published_and_the_laptop_runs():
    paper, laptop = (panels.PANELS["fig3a"][preset][0] for preset in ("paper", "laptop"))
    assert (paper.epochs, paper.decay) == (70, 1 / 3)
    assert (laptop.epochs, laptop.decay, laptop.momentum) == (80, 0.02, 0.9)
    (study,) = experiment.load("fig3a")["studies"]
    ends = {linear: [job for job in study["jobs"] if job["linearized"] == linear] for linear in (True, False)}

    def mean(linear, name):
        return np.mean([job[f"{name}_accuracy"][0][-1] for job in ends[linear]])

    said = [mean(linear, name) for linear in (True, False) for name in ("train", "test")]
    np.testing.assert_allclose(said, [0.66, 0.52, 0.99, 0.97], atol=5e-3)
    assert np.mean([job["stability"][0] for job in ends[False]]) == pytest.approx(0.60, abs=5e-3)
    assert {job["stability"][0] for job in ends[True]} == {1.0}
    assert experiment.load("fig3a-exact")["rates"][0] == pytest.approx(1.75, abs=5e-3)


def test_the_numbers_of_the_written_answer_are_computed_again():
    """Times, accuracies and eigenvalues from the record of the exact flow, epochs from the key."""
    answer, exact = BOOK.questions["lazy-end"].answer, experiment.load("fig3a-exact")
    needed = BOOK.solution("epochs-needed")["epochs_needed"]
    once = needed(80, 1.0, 1.0, 0.02, 0.9, 31, 0.5)[0]
    epochs = needed(80, np.log(2.0) * 0.1 / (31 * 10 * once), 1.0, 0.02, 0.9, 31, 0.5)[1]
    first, same, wanted = re.search(
        r"are \$([\d.]+)\$ epochs .*; \$(\d+)\$ of those need about \$(\d+)\$", answer
    ).groups()
    np.testing.assert_allclose([float(first), float(same)], [once, 10 * once], rtol=1e-3)
    assert float(wanted) == pytest.approx(epochs, rel=1e-3)
    ended, later = len(exact["times"]) - 2, exact["times"].index(100_000.0)
    assert exact["times"][later] / exact["times"][ended] == pytest.approx(7, rel=0.05)
    rows = [
        [exact[name][at] for at in (ended, later, -1)] for name in ("train_accuracy", "test_accuracy", "train_loss")
    ]
    said = re.search(
        r"epochs (\d+) % .* and ([\d.]+) % .* time (\d+) % and (\d+) %; for ever (\d+) % and (\d+) %", answer
    )
    numbers = [float(number) / 100 for number in said.groups()]
    np.testing.assert_allclose(numbers[::2], rows[0], atol=5.1e-3)
    np.testing.assert_allclose(numbers[1::2], rows[1], atol=5.1e-3)
    losses = re.search(r"goes from \$([\d.]+)\$ through \$([\d.]+)\$ to \$([\d.]+)\$", answer).groups()
    np.testing.assert_allclose([float(loss) for loss in losses], rows[2], atol=5.1e-4)
    losses = re.search(r"The test loss is \$([\d.]+)\$, \$([\d.]+)\$ and \$([\d.]+)\$", answer).groups()
    found = [exact["test_loss"][at] for at in (ended, later, -1)]
    np.testing.assert_allclose([float(loss) for loss in losses], found, atol=5.1e-5)
    above = np.interp(1 / exact["times"][ended], exact["rates"][::-1], exact["indices"][::-1])
    assert float(re.search(r"some \$(\d+)\$ of the \$5210\$ eigenvalues", answer)[1]) == pytest.approx(above, rel=0.02)


def test_what_the_written_answer_says_of_other_widths():
    """Parameters by the formula and by the record, ends of the linearized models and stabilities from the records."""
    answer, channels = BOOK.questions["lazy-end"].answer, np.arange(1, 200)
    parameters = 6 * channels**2 + 58 * channels + 10
    assert {m: int(parameters[m - 1]) for m in (25, 100)} == {25: 5210, 100: 65810}
    assert channels[np.argmax(parameters >= 40_000)] == 77
    assert "From $m = 77$ on these are at least $40000$; for $m = 100$ they are $65810$" in answer
    assert experiment.load("fig3a-exact")["parameters"] == 5210
    studies = experiment.load("fig3a-widths")["studies"] + experiment.load("fig3a")["studies"]
    jobs = [(job["width"], job) for study in studies for job in study["jobs"]]

    def lazy(width, name):
        return np.mean([job[name][0][-1] for m, job in jobs if m == width and job["linearized"]])

    def stability(width):
        rows = [job["stability"][job["alphas"].index(10.0)] for m, job in jobs if m == width and not job["linearized"]]
        return np.mean(rows)

    rows = re.findall(r"\| (\d+) \| ([\d.]+) \| (\d+) % \| (\d+) % \|", BOOK.cells["lazy-end", "statement"])
    assert [int(row[0]) for row in rows] == [12, 25, 50]
    names = ("train_loss", "train_accuracy", "test_accuracy")
    ends = np.array([[lazy(int(row[0]), name) for name in names] for row in rows])
    said = np.array([[float(row[1]), float(row[2]) / 100, float(row[3]) / 100] for row in rows])
    np.testing.assert_allclose(said[:, 0], ends[:, 0], atol=5.1e-4)
    np.testing.assert_allclose(said[:, 1:], ends[:, 1:], atol=5.1e-3)
    shrinking = ends[2] + (ends[2] - ends[1]) ** 2 / (ends[1] - ends[0])
    said = re.search(r"would give (\d+) % and (\d+) %, and the loss \$([\d.]+)\$", answer).groups()
    np.testing.assert_allclose([float(n) / 100 for n in said[:2]], shrinking[1:], atol=5.1e-3)
    assert float(said[2]) == pytest.approx(shrinking[0], abs=5.1e-4)
    time = experiment.load("fig3a-exact")["times"][-2]
    assert time == pytest.approx(float(re.search(r"\\approx (\d+)\$, and what counts", answer)[1]), rel=5e-3)
    said = re.search(r"stability is (\d+) % with 50 channels, (\d+) % with 25 and (\d+) % with 6", answer).groups()
    np.testing.assert_allclose([float(n) / 100 for n in said], [stability(m) for m in (50, 25, 6)], atol=5.1e-3)


@pytest.mark.slow
def test_the_first_epoch_of_a_hundred_channels_is_computed_again():
    """The code that the written answer shows, stopped after one of its 80 epochs."""
    answer = BOOK.questions["lazy-end"].answer
    code = re.search(r"^study = (.*)$", answer, re.MULTILINE)[1]
    study = eval(code, {"dataclasses": dataclasses, "panels": panels})
    assert (study.widths, study.epochs, study.loss, study.linear_rate) == ((100,), 80, "square", 1.0)
    found = runs.run_job(dataclasses.replace(study, epochs=1), 0, study.split())
    said = float(re.search(r"After the first epoch the training loss is \$([\d.]+)\$", answer)[1])
    assert found["train_loss"][-1, 0] == pytest.approx(said, abs=5.1e-5)
    assert found["stability"] == [1.0]
