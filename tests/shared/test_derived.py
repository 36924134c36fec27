"""What a page shows for a step of a proof: the checks of that step, and nothing that is not zero."""

import re
from pathlib import Path

import pytest
import sympy as sp

from lazy_course.derived import Derived, Rows, zeros

ROOT = Path(__file__).resolve().parents[2]
X, Y = sp.symbols("x y")
ROW = Derived(
    sp.Eq(X, Y), {"split, entry 1": (X + 1) ** 2 - X**2 - 2 * X - 1, "bound": sp.sin(X) ** 2 + sp.cos(X) ** 2 - 1}
)
WRONG = Derived(sp.Eq(X, Y), {"off by one": X + 1 - X})
# Proofs of these pages that compute nothing: probability alone.
WITHOUT = {"ntk": {"ntk-rates"}, "uniform_bounds": set(), "implicit_bias": set(), "convnets": set()}


def test_rows_run_when_they_are_asked_for_and_once():
    """Names, their order and their number cost nothing; joined rows are as lazy, and a dictionary joins them too."""
    ran = []

    def one():
        ran.append("one")
        return ROW

    rows = Rows(one, two=lambda: ran.append("two") or WRONG)
    both = rows | Rows(three=lambda: ran.append("three") or ROW) | {"four": WRONG}
    assert list(both) == ["one", "two", "three", "four"]
    assert (len(rows), len(both), ran) == (2, 4, [])
    assert (both["one"], rows["one"], both["four"]) == (ROW, ROW, WRONG)
    assert ran == ["one"]
    assert [row.holds for row in both.values()] == [True, False, True, False]
    assert ran == ["one", "two", "three"]
    with pytest.raises(KeyError, match="five"):
        both["five"]


def test_a_step_shows_its_own_checks_each_in_a_line():
    assert zeros(ROW.only("split")) == {"split, entry 1": 0}
    assert repr(zeros(ROW)) == "0   split, entry 1\n0   bound"
    assert ROW.only("bound").equation == ROW.equation


def test_what_is_not_zero_or_not_there_is_refused():
    with pytest.raises(ArithmeticError, match="off by one: expected the remainder 0, got 1"):
        zeros(ROW, WRONG)
    with pytest.raises(ValueError, match=r"beginnings: expected the beginning of one of .*'bound'.*, got 'step'"):
        ROW.only("bound", "step")
    with pytest.raises(ValueError, match="got 'bound' twice"):
        zeros(ROW, ROW.only("bound"))
    with pytest.raises(ValueError, match="at least one check, got none"):
        zeros(Derived(sp.Eq(X, Y)))


@pytest.mark.parametrize("stem", WITHOUT)
def test_every_proof_of_the_page_has_a_check_below_it(stem):
    text = (ROOT / "book" / f"{stem}.md").read_text()
    label, without = "", set()
    for found in re.finditer(
        r":label: (\S+)|^````\{prf:proof\}\n.*?\n````\n(?P<after>\n```\{code-cell\}.*?```)?", text, re.M | re.S
    ):
        label = found.group(1) or label
        if found.group(0).startswith("````") and "# Check of " not in (found.group("after") or ""):
            without.add(label)
    assert without == WITHOUT[stem]
