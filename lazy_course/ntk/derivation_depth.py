"""What layers do to angles, derived in sympy: a ReLU layer and a bias without cancellation, and the limit of depth."""

import sympy as sp
from sympy import Eq, Rational, Symbol, cos, pi, sin, sqrt

from lazy_course.derived import Derived, Rows
from lazy_course.ntk.derivation import PHI, relu_gate_product, relu_pair_over_lengths

DELTA = Symbol("delta", nonnegative=True)


def angle_step() -> Derived:
    """The ReLU layer, kappa = 2 E[s(u) s(v)] / sqrt(q q'), in delta = 1 - cos(phi): no number near 1 is subtracted."""
    kappa = 2 * relu_pair_over_lengths()
    integral = sin(PHI) - PHI * cos(PHI)
    printed = DELTA - (sin(PHI) - PHI * cos(PHI)) / pi
    slope = sp.diff(integral, PHI) / sp.diff(1 - cos(PHI), PHI)
    return Derived(
        Eq(Symbol(r"{1-\kappa}"), printed, evaluate=False),
        {
            "1 - kappa": sp.expand(1 - kappa - printed.subs(DELTA, 1 - cos(PHI))),
            "the angle is the derivative of sin - phi cos": sp.simplify(slope - PHI),
            "and it starts at 0": integral.subs(PHI, 0),
        },
    )


def bias_tilt() -> Derived:
    """A bias tilts vectors of lengths r, r' towards a common axis: the law of cosines on the sphere."""
    a, b = Symbol("a", positive=True), Symbol("b", nonnegative=True)
    r, rr, c = Symbol("r", positive=True), Symbol("r'", positive=True), Symbol("c", real=True)
    length, other = sqrt(a * r**2 + b), sqrt(a * rr**2 + b)
    cosines = sqrt(a) * r / length, sqrt(a) * rr / other
    sines = sqrt(b) / length, sqrt(b) / other
    psi, psi2 = Symbol("psi", real=True), Symbol(r"\psi'", real=True)
    half = cosines[0] * cosines[1] + sines[0] * sines[1]  # cos(psi - psi') = 1 - 2 sin^2((psi - psi')/2)
    new = 1 - (a * r * rr * c + b) / (length * other)
    printed = cos(psi) * cos(psi2) * DELTA + 2 * sin((psi - psi2) / 2) ** 2
    return Derived(
        Eq(Symbol(r"{\delta'}"), printed, evaluate=False),
        {
            "law of cosines": sp.simplify(cosines[0] * cosines[1] * (1 - c) + (1 - half) - new),
            "half angle": sp.simplify(
                sp.expand_trig(1 - cos(psi - psi2)) - (2 * sin((psi - psi2) / 2) ** 2).rewrite(cos)
            ),
            "psi is an angle": sp.simplify(cosines[0] ** 2 + sines[0] ** 2 - 1),
        },
    )


def deep_diagonal() -> Derived:
    """ReLU with sigma_w^2 = 2, sigma_b = 0: K^l(x, x) stays and the tangent kernel grows by K a layer."""
    q, layer = Symbol("K^1", positive=True), Symbol("l", positive=True, integer=True)
    parallel = {PHI: 0}
    return Derived(
        Eq(Symbol(r"{\Theta^{l}(x,x)}"), layer * Symbol("{K^1(x,x)}"), evaluate=False),
        {
            "K stays": 2 * q * relu_pair_over_lengths().subs(parallel) - q,
            "Theta^(l+1) = K + Theta^l": sp.expand(
                q + 2 * relu_gate_product().subs(parallel) * layer * q - (layer + 1) * q
            ),
        },
    )


def deep_angle() -> Derived:
    """The same network: all angles close like delta_l ~ 9 pi^2 / (2 l^2).

    delta_l falls to 0, as delta' < delta for delta > 0. In 1 / sqrt(delta) a layer then adds a constant in the limit,
    and Stolz and Cesaro's lemma turns the constant step c into 1 / sqrt(delta_l) ~ c l.
    """
    small = Symbol("epsilon", positive=True)
    delta, integral = 1 - cos(small), sin(small) - small * cos(small)
    after = sp.series((delta - integral / pi) / small**2, small, 0, 3).removeO()
    step = sp.series(1 / sqrt(after) - 1 / sqrt(sp.series(delta / small**2, small, 0, 3).removeO()), small, 0, 2)
    constant = sp.limit(step.removeO() / small, small, 0)
    limit = Rational(9, 2) * pi**2
    return Derived(
        Eq(Symbol(r"{\lim_{l\to\infty}l^2\delta_l}"), limit, evaluate=False),
        {
            "step in 1 / sqrt(delta)": sp.simplify(constant - sqrt(2) / (3 * pi)),
            "limit of l^2 delta": sp.simplify(1 / constant**2 - limit),
        },
    )


def all_depths() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(angle_step, bias_tilt, deep_diagonal, deep_angle)
