"""The traces of the chapters' sliders against what computes them."""

import html
import json
import re

import jax
import numpy as np
import pytest

from lazy_course.criterion import sliders as criterion
from lazy_course.criterion import training
from lazy_course.ntk import numerics, random_features
from lazy_course.ntk import sliders as ntk
from lazy_course.preliminaries import numerics as valley
from lazy_course.preliminaries import sliders as preliminaries
from lazy_course.uniform_bounds import sliders as uniform_bounds
from lazy_course.uniform_bounds.surface import Settled

WORDS = {"alt": "what is seen", "twin": "See above."}


def places(shown):
    """The places of a slider, and the traces at each by name."""
    page = shown.data
    drawn = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.S)[1])
    values = json.loads(html.unescape(re.search(r'data-values="([^"]*)"', page)[1]))
    found = [{} for _ in values]
    for group, trace in zip(drawn["groups"], drawn["data"], strict=True):
        if group >= 0:
            found[group][trace["name"]] = {k: np.array(trace[k], dtype=float) for k in ("x", "y")}
    return dict(zip(values, found, strict=True))


def test_kernels_of_every_depth_are_the_closed_forms():
    """The slider's own recursion against the kernels of the chapter, sigma_w^2 = 2 and inputs of length sqrt(2)."""
    shown = places(ntk.depths((1, 4), **WORDS, count=7))
    angles = np.linspace(0, np.pi, 7)
    x = 2**0.5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for depth, traces in shown.items():
        options = {"activation": "relu", "depth": int(depth), "sigma_w": 2**0.5, "sigma_b": 0.0}
        exact = [np.asarray(kernel)[0] for kernel in numerics.infinite_width_kernels(x[:1], x, **options)]
        for trace, kernel in zip(traces.values(), exact, strict=True):
            np.testing.assert_allclose(trace["y"], kernel / kernel[0], atol=6e-5)


def test_the_band_holds_nine_tenths_of_the_draws():
    section = random_features.kernels_on_a_section(jax.random.key(0), (64, 256), draws=40, count=5)
    shown = places(ntk.random_kernels(section, **WORDS, drawn=3))
    for traces, draws in zip(shown.values(), np.asarray(section.draws), strict=True):
        band = traces["90 % of the draws"]["y"]
        inside = (draws <= band[:5] + 1e-4) & (draws >= band[:4:-1] - 1e-4)
        assert np.all(np.mean(inside, axis=0)[:-1] == pytest.approx(0.9, abs=0.01))
        np.testing.assert_allclose(traces["3 draws"]["y"].reshape(3, 6)[:, :5], draws[:3], atol=6e-5)


def test_descent_is_cut_at_its_horizon():
    shown = places(preliminaries.descents((0.1, 0.35), **WORDS, horizon=2.0))
    assert [trace["gradient descent"]["x"].size for trace in shown.values()] == [21, 7]
    start = np.asarray(valley.valley_start())
    step = start - 0.35 * np.asarray(jax.grad(valley.Objective(valley.valley, valley.valley_loss()))(start))
    second = [shown["0.35"]["gradient descent"][axis][1] for axis in "xy"]
    np.testing.assert_allclose(second, step, atol=6e-5)


def test_fits_and_gaps_are_drawn_as_given():
    grid = np.linspace(-1, 1, 4)
    run = training.Opening(np.zeros((5, 2)), grid, 2 * grid, 3 * grid, np.zeros((1, 2)), np.zeros((1, 2)), 0.0, 0.0)
    fit = places(criterion.fits({0.5: run, 2.0: run}, **WORDS))["0.5"]
    np.testing.assert_allclose(fit["trained"]["y"], 2 * grid, rtol=5e-5)
    np.testing.assert_allclose(fit["linearized twin"]["y"], 3 * grid, rtol=5e-5)
    times = np.linspace(0, 6, 7)[None] * np.ones((2, 1))
    zero, two = np.zeros((2, 7, 2)), np.zeros((2, 7, 1))
    settled = Settled(np.array([2.0, 10.0]), times, zero + 0.3, zero, two, two, two[..., 0])
    gaps = places(uniform_bounds.two_starts(settled, settled, **WORDS))
    assert gaps["10"]["1/α²"]["y"] == pytest.approx([0.01, 0.01])
    assert gaps["2"]["start (1, 0): rank 2"]["y"] == pytest.approx([0.3 * 2**0.5] * 2, rel=1e-3)
    assert gaps["2"]["start (1, 0): rank 2"]["x"] == pytest.approx([1, 4])


def test_the_film_begins_at_zero_and_learns():
    """A symmetrized network and its twin start at 0; the same steps, and the loss falls from frame to frame."""
    film = training.film(jax.random.key(0), alpha=2.0, save_at=[0, 10, 100], m=8)
    assert film.steps.tolist() == [0, 10, 100]
    assert np.max(np.abs([film.trained[0], film.twin[0]])) < 1e-14
    assert film.loss[0] == pytest.approx(film.twin_loss[0]) == pytest.approx(np.mean(film.data[:, 1] ** 2) / 2)
    for loss in (film.loss, film.twin_loss):
        assert loss[0] > loss[1] > loss[2]
    # The last fit, read at the data, has the loss that was recorded.
    at_data = np.interp(film.data[:, 0], film.grid, film.trained[-1])
    assert np.mean((at_data - film.data[:, 1]) ** 2) / 2 == pytest.approx(film.loss[-1], rel=5e-3)
