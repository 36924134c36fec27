"""The two-layer problem set: its shape, its key against answers found by other means and the chapter, its checks."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.two_layer import comparisons, linearized, numerics
from tests.grading.shared_tests import ProblemSetTests
from tests.grading.workbook import Workbook
from tests.two_layer import independent_answers

BOOK = Workbook("two_layer")


class TestProblemSet(ProblemSetTests):
    book, answers = BOOK, independent_answers
    questions, automatic, points = 8, 5, 29


@pytest.fixture(scope="module")
def drawn():
    """A problem as the set draws it, and the instruments of its first cell."""
    names = BOOK.namespace_with("")
    return names, names["drawn_problem"](np.random.default_rng(11), d=4, n=9, m=6)


def test_the_run_of_the_first_cell_is_that_of_the_chapter(drawn):
    """Gradient, linearized losses and kappa of `lazy_course.two_layer`, on a drawn problem."""
    names, (inputs, outputs, *data) = drawn
    one, tau, step = numerics.Weights(jnp.asarray(inputs)[None], jnp.asarray(outputs)[None]), 0.7, 0.2
    start, rate = numerics.scaled_weights(one, tau), jnp.full(1, step)
    way = numerics.step(
        start, numerics.still(start), numerics.Rates(jnp.ones(1), rate, rate), *map(jnp.asarray, data[:2])
    )
    moved = numerics.moved_from(start, way)
    for ours, theirs in zip(names["descended"](tau * inputs, tau * outputs, *data[:2], step, 1), moved, strict=True):
        np.testing.assert_allclose(ours, theirs[0], rtol=1e-12, atol=1e-14)
    both = numerics.Data(*map(jnp.asarray, data))
    found = linearized.losses(linearized.modes(one, both), step * tau**2, np.array([25.0, np.inf]))
    got = BOOK.solution("linearized-losses")["linearized_losses"](inputs, outputs, tau, *data, step, 25)
    np.testing.assert_allclose(got, [found[0][0], *found[1]], rtol=1e-7)
    turn = BOOK.solution("criterion-turns")["criterion_turns"](inputs, outputs, *data[:2], 0.3)[2]
    assert float(linearized.unit_kappa(one, both)) / turn**2 == pytest.approx(0.3, rel=1e-9)


def test_the_tangent_fit_is_that_of_the_chapter():
    rows = np.random.default_rng(12).normal(size=(5, 4))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    teacher = numerics.Teacher(jnp.asarray(rows[3:]), jnp.asarray([1.0, -1.0]))
    _, random, tangent = BOOK.solution("still-neurons")["still_neurons"](rows[:3], rows[3:], np.array([1.0, -1.0]))
    # The chapter takes the arccosine of a cosine near 1, and so has half of the digits on the diagonal.
    assert tangent == pytest.approx(float(comparisons.best_tangent_fit(jnp.asarray(rows[:3]), teacher)), rel=1e-6)
    assert tangent < random


def test_what_the_written_solution_says_of_one_step_and_of_the_plane(drawn):
    """a^2 - |b|^2 grows by eta^2 times a difference of squares; and 29 of 100 normal neurons in the plane qualify."""
    names, (inputs, outputs, x, y, *_) = drawn
    b, a = names["descended"](inputs, outputs, x, y, 0.3, 1)
    by_b, by_a = (inputs - b) / 0.3, (outputs - a) / 0.3
    grown = (a**2 - np.sum(b**2, axis=1)) - (outputs**2 - np.sum(inputs**2, axis=1))
    np.testing.assert_allclose(grown, 0.09 * (by_a**2 - np.sum(by_b**2, axis=1)), rtol=1e-9, atol=1e-12)
    assert np.max(np.abs(grown)) > 1e-4
    draws = np.random.default_rng(0).normal(size=(100_000, 3)) ** 2
    assert np.mean(draws[:, 0] >= draws[:, 1] + draws[:, 2]) == pytest.approx(1 - 0.5**0.5, abs=5e-3)
    b, a = names["descended"](np.ones((1, 1)), np.array([0.5]), np.ones((1, 1)), -np.ones(1), 1e-3, 600)
    assert a[0] < 0 < b[0, 0]


def test_the_numbers_of_the_written_prediction_are_computed_again(drawn):
    """Its table, row by row, in one run of all draws and tau; and the ratios that question 1 makes exact."""
    names, _ = drawn
    taus = np.logspace(-1.5, 1, 8)

    def ended(change="", m=16, c=1.0, tau=taus, steps=1500):
        found = []
        for seed in range(10):
            b, a, x, y, x_test, y_test = names["drawn_problem"](np.random.default_rng(seed), d=6, n=40, m=m)
            if change == "not symmetrized":
                draws = np.random.default_rng([seed, 1])
                b, a = draws.normal(size=b.shape), draws.normal(size=a.shape)
            step = np.minimum(3, 0.12 * 16 * c / (m * tau**2)) / c
            last = names["descended"](tau[:, None, None] * b, tau[:, None] * a, x, c * y, step, steps)
            found.append(np.mean((names["network"](*last, x_test) - c * y_test) ** 2, axis=1) / 2)
        return np.array(found)

    def passes(losses, half, tau=taus):
        each, at = np.arange(10), np.argmax(losses > half[:, None], axis=1)
        share = (half - losses[each, at - 1]) / (losses[each, at] - losses[each, at - 1])
        return tau[at - 1] * (tau[at] / tau[at - 1]) ** share

    def read(losses, tau=taus):
        return np.stack([losses[:, 0], losses[:, -1], passes(losses, losses[:, [0, -1]].mean(axis=1), tau)], axis=1)

    def agree(ratios, words):
        said = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", words)]
        logs = np.log(ratios)
        np.testing.assert_allclose([np.exp(logs.mean()), logs.std(ddof=1)], said, rtol=0.05)

    text = BOOK.questions["then-run"].answer
    first = ended()
    old = read(first)
    plateau, turn = re.search(r"the plateau is (.*?), the turn is at (.*?), as", text).groups()
    agree(old[:, 1], plateau)
    agree(old[:, 2], turn)
    losses = {}
    one, with_half = taus[:1], np.append(taus[0] / 2, taus)
    changes = {"teacher times 9": {"c": 9.0}, "not symmetrized": {}, "width 64": {"m": 64, "tau": with_half}}
    for change, options in changes.items():
        losses[change] = ended(change, **options)
        cells = re.search(rf"\| {change} \|(.*)\|\n", text)[1].split("|")
        for ratios, cell in zip((read(losses[change][:, -8:]) / old).T, cells, strict=True):
            agree(ratios, cell)
    uneven, wide = losses["not symmetrized"], losses["width 64"][:, 1:]
    low, high = map(float, re.search(r"a power from ([\d.]+) to ([\d.]+) in all", text).groups())
    powers = np.log(uneven[:, -1] / uneven[:, -2]) / np.log(taus[-1] / taus[-2])
    np.testing.assert_allclose([powers.min(), powers.max()], [low, high], atol=0.05)
    least = float(re.search(r"a factor of only (\d+)", text)[1])
    assert np.min(uneven[:, -1] / first[:, -1]) == pytest.approx(least, rel=0.05)
    agree(passes(uneven, first[:, [0, -1]].mean(axis=1)) / old[:, 2], re.search(r"passed at (\S+ \S+) times", text)[1])
    half = wide[:, [0, -1]].mean(axis=1)
    agree(passes(wide, half) / passes(first, half), re.search(r"its \$\\tau\$ is (\S+ \S+) times", text)[1])
    late, earlier = ended(m=64, tau=one, steps=6000), losses["width 64"]
    for words, end in (("leave a factor of", late), ("the factor is", earlier)):
        agree(end[:, 0] / first[:, 0], re.search(rf"{words} ([\d.]+ \([\d.]+\))", text)[1])
    moved = taus * 5**0.5
    exact = read(ended(c=5.0, tau=moved, steps=100), moved) / read(ended(steps=100))
    said = [float(number) for number in re.search(r"they are (\d+), (\d+) and ([\d.]+)\.\n", text).groups()]
    np.testing.assert_allclose(exact, np.tile([25, 25, 5**0.5], (10, 1)), rtol=1e-8)
    np.testing.assert_allclose(said, exact[0], rtol=1e-3)
