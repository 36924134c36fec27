"""Every step of the chapter's algebra is an expression that simplifies to zero, and a wrong constant is seen."""

import pytest
import sympy as sp

from lazy_course.two_layer import derivation
from tests.derivations import assert_balanced, assert_zero

DERIVED = derivation.all_derivations()


@pytest.mark.parametrize("name", sorted(DERIVED))
def test_every_step_is_zero(name):
    assert_zero(DERIVED[name])


def test_printed_equations_are_balanced_latex():
    assert_balanced(DERIVED)


def test_without_the_change_of_step_the_units_do_not_match():
    """The factor c/s of the step is needed: with the same step in both units the checks leave something."""
    factor = sp.sqrt(derivation.TEACHER / derivation.SCALE)
    w = derivation.A[0]
    inside = {v: factor * v for v in derivation.weights()}
    objective = (derivation.SCALE * derivation.network() - derivation.TEACHER * derivation.TARGET) ** 2
    plain = (derivation.network() - derivation.TARGET) ** 2 / 2
    moved = sp.diff(objective / (2 * derivation.SCALE**2), w).subs(inside, simultaneous=True) / factor
    assert sp.expand(moved - sp.diff(plain, w)) != 0
    assert sp.expand(moved - derivation.TEACHER / derivation.SCALE * sp.diff(plain, w)) == 0
