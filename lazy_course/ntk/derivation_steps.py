r"""Steps of the proofs on wide networks that print no formula of their own, in sympy: splits, tails, small integrals.

Symbols as in derivation_wide.py; a layer has two units.
"""

import sympy as sp
from sympy import Eq, Le, Symbol, exp, log, sqrt

from lazy_course.derived import Derived, Rows
from lazy_course.ntk.derivation_wide import LAM, R0, TIME, WIDTH, matrix


def two_layer_shares() -> Derived:
    """A rotation-invariant a: d equal shares of |a|^2, two of them in the plane of x and x', at a uniform angle."""
    d, angle = Symbol("d", positive=True), Symbol("theta", real=True)
    phi = Symbol("varphi", positive=True)
    square = sp.integrate(sp.cos(angle) ** 2, (angle, 0, 2 * sp.pi)) / (2 * sp.pi)
    radius = 2 / d  # of E|a|^2
    wedge = sp.integrate(sp.Integer(1), (angle, phi - sp.pi / 2, sp.pi / 2))
    return Derived(
        Eq(Symbol(r"{\mathbb{E}r^2}"), 2 / d * Symbol(r"{\mathbb{E}\lVert a\rVert^2}"), evaluate=False),
        {
            "plane: one coordinate has half of r^2, which is 1/d": sp.simplify(square * radius - 1 / d),
            "wedge: its angle is pi - phi": sp.expand(wedge - (sp.pi - phi)),
        },
    )


def layer_splits() -> Derived:
    """Lemma 1: differences of products, forth through a layer and back, split so that each term has one difference."""
    old, new = matrix("w"), matrix("v")
    x, y = matrix("x", 2, 1), matrix("y", 2, 1)
    s, t = matrix("s", 2, 1), matrix("t", 2, 1)
    forth = old * x - new * y - (old - new) * x - new * (x - y)
    gates = s.multiply_elementwise(x) - t.multiply_elementwise(y)
    gates -= (s - t).multiply_elementwise(x) + t.multiply_elementwise(x - y)
    back = old.T * x - new.T * y - (old - new).T * x - new.T * (x - y)
    checks = {f"forth, unit {i + 1}": sp.expand(forth[i]) for i in range(2)}
    checks |= {f"gates, unit {i + 1}": sp.expand(gates[i]) for i in range(2)}
    checks |= {f"back, unit {i + 1}": sp.expand(back[i]) for i in range(2)}
    name = Symbol(r"{Wx-\tilde W\tilde x}")
    return Derived(Eq(name, Symbol(r"{(W-\tilde W)x+\tilde W(x-\tilde x)}"), evaluate=False), checks)


def largest_entry() -> Derived:
    """m normal entries: by P(|b| > t) <= 2 e^(-t^2/2) and the union bound, t = 2 sqrt(log m) fails with 2/m at most."""
    t, u = Symbol("t", positive=True), Symbol("u", positive=True)
    bound = WIDTH * 2 * exp(-(t**2) / 2)
    # The tail from t on, with u = t + s: e^(-(t+s)^2/2) is e^(-t^2/2) times e^(-ts) e^(-s^2/2).
    rest = log(exp(-((t + u) ** 2) / 2)) - log(exp(-(t**2) / 2)) + t * u + u**2 / 2
    half = sp.integrate(sqrt(2 / sp.pi) * exp(-(u**2) / 2), (u, 0, sp.oo))
    return Derived(
        Le(Symbol(r"{\mathbb{P}(\max_i\lvert b_i\rvert>2\sqrt{\log m})}"), 2 / WIDTH, evaluate=False),
        {
            "tail: the density from t on, over that at t": sp.expand(sp.expand_log(rest, force=True)),
            "tail: without e^(-ts) both tails are e^(-t^2/2)": sp.simplify(half - 1),
            "union bound at 2 sqrt(log m)": sp.simplify(bound.subs(t, 2 * sqrt(log(WIDTH))) - 2 / WIDTH),
        },
    )


def where_parameters_go() -> Derived:
    """w' = -J^T g split in -J0^T g and -(J - J0)^T g; the integral of the residual's bound is 3 R0/lambda."""
    s = Symbol("s", positive=True)
    start, moved, g = matrix("a", 2, 3), matrix("b", 2, 3), matrix("g", 2, 1)
    split = -moved.T * g + start.T * g + (moved - start).T * g
    waited = sp.integrate(R0 * exp(-LAM * s / 3), (s, 0, sp.oo))
    early = sp.integrate(exp(-LAM * s / 3), (s, 0, TIME))
    name = Symbol(r"{\int_0^\infty\lVert g\rVert\,dt}")
    checks = {f"split of the velocity, entry {i + 1}": sp.expand(split[i]) for i in range(3)}
    return Derived(
        Le(name, 3 * R0 / LAM, evaluate=False),
        checks
        | {
            "the integral of the residual": sp.simplify(waited - 3 * R0 / LAM),
            "up to t it is smaller": sp.simplify(early - 3 / LAM * (1 - exp(-LAM * TIME / 3))),
        },
    )


def all_steps() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(two_layer_shares, layer_splits, largest_entry, where_parameters_go)
