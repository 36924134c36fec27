r"""The algebra of the path-length theorem, in sympy: convergence from a sharp threshold, and all gaps without kappa.

The unknown is s, the length of the path of w_alpha. E is sqrt(2 (R(y(0)) - min R)/m): D <= E <= sqrt(kappa) D.
OMEGA = sqrt(1 - alpha_1/alpha) with alpha_1 = 2 L E/SIGMA^2; PATH bounds alpha s. Symbols as in derivation.py.
"""

import sympy as sp
from sympy import Eq, Expr, Le, Matrix, Rational, Symbol, diff, sqrt

from lazy_course.derived import Derived, Rows
from lazy_course.uniform_bounds.derivation import (
    ALPHA,
    C0,
    CHI,
    CONVEX,
    DISCREPANCY,
    DISTANCE,
    KAPPA,
    OUTPUT_GAP,
    PARAMETER_GAP,
    SIGMA,
    D,
    L,
    S,
    small,
)

E = Symbol("E", positive=True)
LENGTH = Symbol("s", positive=True)
OMEGA = Symbol("omega", positive=True)
PATH = Symbol(r"\ell", positive=True)
THRESHOLD = Symbol(r"\alpha_1", positive=True)
ROOT_LOSS = Symbol(r"{\sqrt{R(y)-R(y^\star)}}")


def omega() -> Expr:
    """The square root of 1 - 2 L E / (alpha sigma^2)."""
    return sqrt(1 - 2 * L * E / (ALPHA * SIGMA**2))


def path() -> Expr:
    """The bound on alpha times the path length: 2 E / ((1 + omega) sigma)."""
    return 2 * E / ((1 + OMEGA) * SIGMA)


def loss_along_the_path() -> Derived:
    """With q^2 = R - min R, g = ||Dh^T grad R||: dq/ds = -alpha g/(2q), and g >= (sigma - L s) sqrt(2m) q."""
    q, g = Symbol("q", positive=True), Symbol("g", positive=True)
    speed_of_w, speed_of_loss = g / ALPHA, -(g**2)
    slope = speed_of_loss / (2 * q) / speed_of_w
    steepest = slope.subs(g, (SIGMA - L * LENGTH) * sqrt(2 * CONVEX) * q)
    printed = sqrt(CONVEX / 2) * (E - ALPHA * (SIGMA * LENGTH - L * LENGTH**2 / 2))
    return Derived(
        Le(ROOT_LOSS, printed, evaluate=False),
        {
            "slope is -alpha g / (2 q)": slope + ALPHA * g / (2 * q),
            "slope of the bound": sp.simplify(diff(printed, LENGTH) - steepest),
            "starts at q(0)": printed.subs(LENGTH, 0) - sqrt(CONVEX / 2) * E,
        },
    )


def path_bound() -> Derived:
    """Where the bound on the loss reaches 0: s = (sigma/L)(1 - omega) = 2 E / ((1 + omega) sigma alpha)."""
    root = SIGMA / L * (1 - omega())
    level = loss_along_the_path().equation.rhs
    return Derived(
        Le(DISTANCE, path() / ALPHA, evaluate=False),
        {
            "is a root": sp.simplify(level.subs(LENGTH, root)),
            "other form": sp.simplify(root - (path() / ALPHA).subs(OMEGA, omega())),
            "Weyl at that length": sp.simplify(SIGMA - L * root - omega() * SIGMA),
            "omega = 0 at the threshold": omega().subs(ALPHA, 2 * L * E / SIGMA**2),
        },
    )


def residual() -> Derived:
    """q' <= -m sigma^2 omega^2 q with g >= omega sigma ||grad R||, and ||y - y*|| <= sqrt(2/m) q."""
    time, q = Symbol("t", positive=True), Symbol("q", positive=True)
    slowest = -((OMEGA * SIGMA) ** 2) * 2 * CONVEX * q**2 / (2 * q)
    printed = E * sp.exp(-CONVEX * SIGMA**2 * OMEGA**2 * time)
    norm = Symbol(r"{\lVert y-y^\star\rVert}")
    return Derived(
        Le(norm, printed, evaluate=False),
        {
            "rate": sp.simplify(slowest / q - diff(printed, time) / printed),
            "start": sp.simplify(sqrt(2 / CONVEX) * (sqrt(CONVEX / 2) * E) - printed.subs(time, 0)),
        },
    )


def inside_the_papers_hypothesis() -> Derived:
    """If ||h(w0)|| <= C0, alpha > ||y*||/C0: E <= sqrt(kappa) 2 alpha C0, so 1 - omega^2 <= 1/(8 kappa chi)."""
    share = (2 * L * E / (ALPHA * SIGMA**2)).subs(E, sqrt(KAPPA) * 2 * ALPHA * C0)
    centred = (2 * L * E / (ALPHA * SIGMA**2)).subs(E, sqrt(KAPPA) * D).subs(ALPHA, D / C0)
    return Derived(
        Le(1 - OMEGA**2, 1 / (8 * KAPPA * CHI), evaluate=False),
        {
            "share": small(share, 1 / (8 * KAPPA * CHI)),
            "half of it if h(w0) = 0": small(centred, 1 / (16 * KAPPA * CHI)),
        },
    )


def sharp_example() -> Derived:
    """h = sigma w - L w^2/2, square loss, target D > 0: the threshold, the path and the rate are attained."""
    w = Symbol("w", positive=True)
    h = SIGMA * w - L * w**2 / 2
    limit = (path() / ALPHA).subs(OMEGA, omega()).subs(E, D)
    gap = sp.series(limit.subs(ALPHA, 1 / LENGTH), LENGTH, 0, 3).removeO().coeff(LENGTH, 2)
    printed = 2 * L * D / SIGMA**2
    return Derived(
        Eq(THRESHOLD, printed, evaluate=False),
        {
            "fits the target at the end of the bound": sp.simplify(ALPHA * h.subs(w, limit) - D),
            "slope there is omega sigma": sp.simplify(diff(h, w).subs(w, limit) - SIGMA * omega().subs(E, D)),
            "at the threshold the target is the top of alpha h": sp.simplify(printed * h.subs(w, SIGMA / L) - D),
            "alpha^2 (w - wbar) at infinity tends to L D^2 / (2 sigma^3)": sp.simplify(gap - L * D**2 / (2 * SIGMA**3)),
        },
    )


def operator_split() -> Derived:
    """Sigma - Sigma0 = J0 (J - J0)^T + (J - J0) J^T, for any 2 x 3 matrices."""
    start = Matrix(2, 3, sp.symbols("a0:6", real=True))
    moved = Matrix(2, 3, sp.symbols("b0:6", real=True))
    change = moved - start
    left = moved * moved.T - start * start.T
    right = start * change.T + change * moved.T
    checks = {f"entry {i + 1}": sp.expand((left - right)[i]) for i in range(4)}
    split = Symbol(r"{J_0(J-J_0)^\top+(J-J_0)J^\top}")
    return Derived(Eq(Symbol(r"{\Sigma-\Sigma_0}"), split, evaluate=False), checks)


def half_square() -> Expr:
    """L PATH^2 / (2 alpha sigma), the unit in which every term of the gap is counted."""
    return L * PATH**2 / (2 * ALPHA * SIGMA)


def path_discrepancy() -> Derived:
    """Integrate (L/(alpha sigma)) (1/omega + 1) l dl over the path, l = alpha s from 0 to PATH."""
    length = Symbol("l", positive=True)
    reached = sp.integrate(L / (ALPHA * SIGMA) * (1 / OMEGA + 1) * length, (length, 0, PATH))
    printed = (1 + 1 / OMEGA) * half_square()
    return Derived(Le(DISCREPANCY, printed, evaluate=False), {"integral": sp.simplify(reached - printed)})


def path_output_gap() -> Derived:
    """S times the discrepancy, with PATH = 2 E / ((1 + omega) sigma)."""
    reached = (S * path_discrepancy().equation.rhs).subs(PATH, path())
    printed = 2 * CHI * L * E**2 / (SIGMA**2 * OMEGA * (1 + OMEGA) * ALPHA)
    limit = printed.subs(OMEGA, 1)
    return Derived(
        Le(OUTPUT_GAP, printed, evaluate=False),
        {
            "constants": small(reached, printed),
            "at omega = 1": small(limit, CHI * L * E**2 / (SIGMA**2 * ALPHA)),
        },
    )


def path_parameter_gap() -> Derived:
    """Three terms of one unit: 1/omega from (J - J0)^T grad R, 1 from (J - J0) J^T, 1 from the remainder of h."""
    reached = ((1 / OMEGA + 1 + 1) * half_square() / ALPHA).subs(PATH, path())
    printed = 2 * (1 + 2 * OMEGA) / (OMEGA * (1 + OMEGA) ** 2) * L * E**2 / (SIGMA**3 * ALPHA**2)
    final = (sqrt(1 + 1 / OMEGA**2) * half_square() / ALPHA).subs(PATH, path()).subs(OMEGA, 1)
    return Derived(
        Le(PARAMETER_GAP, printed, evaluate=False),
        {
            "constants": small(reached, printed),
            "3/2 at omega = 1": small(printed.subs(OMEGA, 1), Rational(3, 2) * L * E**2 / (SIGMA**3 * ALPHA**2)),
            "sqrt(2)/2 for the limits in time": small(final, sqrt(2) / 2 * L * E**2 / (SIGMA**3 * ALPHA**2)),
        },
    )


def all_path_bounds() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(
        loss_along_the_path,
        path_bound,
        residual,
        inside_the_papers_hypothesis,
        sharp_example,
        operator_split,
        path_discrepancy,
        path_output_gap,
        path_parameter_gap,
    )
