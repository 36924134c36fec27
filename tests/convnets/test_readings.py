"""What the page reads off the records, sets as tables and lets a reader move."""

import html
import json
import re

import numpy as np
import pytest

from lazy_course.convnets import experiment, figures, figures_live, live, readings, sliders, summary
from lazy_course.rounding import percent, short

MADE = {
    "settings": {"widths": [2, 4]},
    "jobs": [
        {"run": run, "width": width, "alphas": [1.0, 10.0, 100.0], "linearized": False, "remainder": [4.0, 0.4, 0.04]}
        for width in (2, 4)
        for run in range(2)
    ],
}


def test_slopes_and_parts_of_a_study():
    part = readings.of_width(MADE, 4)
    assert [job["width"] for job in part["jobs"]] == [4, 4]
    assert readings.slope(part, "remainder", 1, 100) == pytest.approx(-1)
    assert readings.slope(part, "remainder", 10, 100) == pytest.approx(-1)


def test_the_onset_at_every_width_agrees_with_that_of_figure_3a():
    trained, others, kappa = (experiment.load(name) for name in ("fig3a", "fig3a-widths", "convnets-kappa"))
    rows = readings.at_widths(trained, others, kappa)
    assert [row.width for row in rows] == [6, 12, 25, 50]
    alphas, remainders = readings.finite(trained["studies"][0], "remainder")
    for found, level in ((rows[2].onset.half, 0.5), (rows[2].onset.tenth, 0.1)):
        assert remainders.mean(axis=0)[alphas < 0.9 * found].min() > level
        assert remainders.mean(axis=0)[alphas > 1.1 * found].max() < level
    for row in rows:
        assert 1 < row.onset.half < row.onset.tenth < 100
        # The criterion's order of magnitude: between kappa = 1 and a few hundredths.
        assert row.onset.kappa[0] / row.onset.tenth > 0.01
        assert row.onset.kappa[1] / row.onset.half < 1
    table = readings.onsets(trained, others, kappa).splitlines()
    assert len(table) == 2 + 4
    assert table[4].startswith("| 25 | ")
    with pytest.raises(ValueError, match="no vgg11 of 3, 4, 0 was measured"):
        readings.kappa_of(kappa, "vgg11", 3, 4)


def test_the_table_of_kappa_has_every_network():
    kappa = experiment.load("convnets-kappa")
    lines = readings.kappas(kappa).splitlines()
    kinds = {(row["network"], row["width"], row["n"], row["sharpness"]) for row in kappa["rows"]}
    assert len(lines) == 2 + len(kinds)
    (full,) = [line for line in lines if line.startswith("| VGG-11, width 1 |")]
    assert "9\u202f225\u202f610" in full


def test_live_tables_say_what_was_found():
    steps = live.Steps((1.0, 3.0), (1.0, 1e7), 2, np.asarray([[0.05, 0.07], [0.09, 2.5e9]]))
    assert figures_live.steps_table(steps).splitlines()[2:] == [
        "| 1 | 0.05 | 0.07 |",
        r"| 3 | 0.09 | $2.5 \cdot 10^{9}$ |",
    ]
    kinks = live.Kinks((1e3, 1e7), np.asarray([0.1, 0.2]), np.full((2, 2), 0.5), np.full((2, 2), 0.25))
    assert figures_live.kinks_table(kinks).splitlines()[3] == "| second | 20 % | 0.5 | 0.5 | 25 % |"


def test_the_slider_shows_the_means_of_the_record():
    record = experiment.load("fig3a")
    page = sliders.curves(record, alt="a", twin="b").data
    drawn = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.S)[1])
    values = json.loads(html.unescape(re.search(r'data-values="([^"]*)"', page)[1]))
    assert (values[0], values[-1], len(values)) == ("1", "10^7", 12)
    place = values.index("10")
    (shown,) = [
        trace
        for trace, group in zip(drawn["data"], drawn["groups"], strict=True)
        if group == place and trace["name"] == "test"
    ]
    alphas, tests = readings.finite(record["studies"][0], "test_accuracy")
    assert alphas[place] == 10
    assert shown["y"][-1] == pytest.approx(100 * tests[:, place].mean(), rel=1e-4)


def test_numbers_of_the_text_are_those_of_the_records():
    found = summary.drop() | summary.slow() | summary.spectra()
    (study,) = experiment.load("fig3a")["studies"]
    ends = [job["test_accuracy"][0][-1] for job in study["jobs"]]
    assert found["standard-test"] == percent(np.mean(ends[::2]))
    assert found["lazy-test"] == percent(np.mean(ends[1::2]))
    exact = experiment.load("fig3a-exact")
    assert found["limit"] == short(3.8 / exact["rates"][0], 3)
    learned = [i for i, rate in zip(exact["indices"], exact["rates"], strict=True) if rate * found["time"] > 1]
    assert learned[-1] < found["modes"] < exact["indices"][exact["indices"].index(learned[-1]) + 1]
    assert found["photographs-gap"] == 5.6


def test_figures_of_the_page_are_drawn():
    assert len(figures_live.examples().axes) == 10
    twins = figures.twins(experiment.load("fig3a"), experiment.load("fig3a-smooth"))
    assert len(twins.axes[0].lines) == 4
