r"""Steps of the chapter's proofs that print no formula of their own, in sympy: what happens between the bounds.

Symbols as in derivation.py. Matrices are free: two outputs, three parameters. Inequalities are shown by the sign of a
difference that is written out: a square, or a product of positive symbols.
"""

import sympy as sp
from sympy import Eq, Function, Le, Matrix, Rational, Symbol, diff, exp, sqrt

from lazy_course.derived import Derived, Rows
from lazy_course.uniform_bounds.derivation import (
    C0,
    CONVEX,
    KAPPA,
    LAM,
    R0,
    SIGMA,
    SMOOTH,
    TIME,
    A,
    D,
    K,
    L,
    S,
    small,
    spelled,
)
from lazy_course.uniform_bounds.path_length import E

START = Matrix(2, 3, sp.symbols("a0:6", real=True))


def contraction() -> Derived:
    """Lemma B.2: in z = Sigma0^(-1/2) y the first term contracts; the bound on e' is 0 at K/(m lambda^(3/2))."""
    root = Matrix(2, 2, sp.symbols("p11 p12 p12 p22", real=True))  # Sigma0^(1/2)
    z, other = Matrix(sp.symbols("z1 z2", real=True)), Matrix(sp.symbols("u1 u2", real=True))
    g, k = Matrix(sp.symbols("g1 g2", real=True)), Matrix(sp.symbols("k1 k2", real=True))
    outputs = root * (z - other)
    inner = ((z - other).T * (-root * (g - k)))[0]
    e, at = Function("e")(TIME), Symbol("e", positive=True)
    right = -CONVEX * LAM * at + K / sqrt(LAM)
    crossing = K / (CONVEX * LAM ** Rational(3, 2))
    name = Symbol(r"{\frac{d}{dt}\lVert z-\bar z\rVert}")
    return Derived(
        Le(name, right, evaluate=False),
        {
            "contraction: <z - zbar, -Sigma0^(1/2) (g - k)> is -<y - ybar, g - k>": sp.expand(
                inner + (outputs.T * (g - k))[0]
            ),
            "contraction: |y - ybar|^2 is |Sigma0^(1/2) (z - zbar)|^2": sp.expand(
                (outputs.T * outputs)[0] - ((z - other).T * root**2 * (z - other))[0]
            ),
            "norm: half the derivative of e^2, over e": sp.expand(diff(e**2, TIME) / (2 * e) - diff(e, TIME)),
            "crossing: the right side vanishes at K / (m lambda^(3/2))": sp.simplify(right.subs(at, crossing)),
            "crossing: and falls, with slope -m lambda": diff(right, at) + CONVEX * LAM,
        },
    )


def inside_the_ball() -> Derived:
    """Theorem 2.4 on its ball: ||Dh(w)|| <= S + sigma/2 <= 3S/2; Lemma B.1 with lambda = sigma^2/4 has the rate a."""
    excess = Symbol("x", nonnegative=True)  # S = sigma + x
    norm = S + L * R0
    return Derived(
        Le(Symbol(r"{\lVert Dh(w)\rVert}"), Rational(3, 2) * S, evaluate=False),
        {
            "norm: S + L r0 is S + sigma/2": small(norm, S + SIGMA / 2),
            "norm: 3 S/2 is more by (S - sigma)/2": sp.expand(
                (Rational(3, 2) * S - S - SIGMA / 2).subs(S, SIGMA + excess) - excess / 2
            ),
            "rate: m lambda is a at lambda = sigma^2/4": small((CONVEX * LAM).subs(LAM, SIGMA**2 / 4), A),
            "rate: the bound on the gradient, M sqrt(kappa) D e^(-a t)": sp.simplify(
                spelled(SMOOTH * sqrt(KAPPA) * D * exp(-CONVEX * LAM * TIME)).subs(LAM, SIGMA**2 / 4)
                - spelled(SMOOTH * sqrt(KAPPA) * D * exp(-A * TIME))
            ),
        },
    )


def late_motion() -> Derived:
    """After a time T the scaled gap moves by at most the integral of C e^(-a t) from T on: (C/a) e^(-a T)."""
    constant, late = Symbol("C", positive=True), Symbol("T", positive=True)
    moved = sp.integrate(constant * exp(-A * TIME), (TIME, late, sp.oo))
    printed = constant / A * exp(-A * late)
    name = Symbol(r"{\alpha^2\int_T^\infty\lVert w_\alpha'-\bar w_\alpha'\rVert\,dt}")
    return Derived(Le(name, printed, evaluate=False), {"integral": sp.simplify(moved - printed)})


def pseudo_inverse() -> Derived:
    """J0^+ = J0^T (J0 J0^T)^(-1), any 2 x 3 matrix of rank 2: J0^+ J0 = P is a projection, and ||J0^+ x|| is known."""
    metric = START * START.T
    inverse = START.T * metric.inv()
    projection = inverse * START
    x = Matrix(sp.symbols("x1 x2", real=True))
    squared = (inverse * x).dot(inverse * x) - (x.T * metric.inv() * x)[0]
    across = (sp.eye(3) - projection) * START.T
    checks = {f"P P = P, entry {i + 1}": sp.cancel((projection * projection - projection)[i]) for i in range(9)}
    checks |= {f"P is symmetric, entry {i + 1}": sp.cancel((projection - projection.T)[i]) for i in (1, 2, 5)}
    checks |= {f"(1 - P) J0^T = 0, entry {i + 1}": sp.cancel(across[i]) for i in range(6)}
    checks["||J0^+ x|| is ||Sigma0^(-1/2) x||, squared"] = sp.cancel(squared)
    name = Symbol(r"{\lVert J_0^\dagger x\rVert^2}")
    return Derived(Eq(name, Symbol(r"{\langle x,\Sigma_0^{-1}x\rangle}"), evaluate=False), checks)


def two_directions() -> Derived:
    """Along and across add up by Pythagoras: sqrt(1/omega^2 + 1) for the pair (A/omega, A), and the sum of squares."""
    omega, unit = Symbol("omega", positive=True), Symbol("A", positive=True)
    across, along = unit / omega, unit
    printed = sqrt(1 / omega**2 + 1) * unit
    one, two, left, right = sp.symbols("p q u v", positive=True)
    # The norm of two integrals is at most the integral of the norm: the integrand's direction is the worst one.
    gap = (one**2 + two**2) * (left**2 + right**2) - (one * left + two * right) ** 2
    return Derived(
        Le(Symbol(r"{\lVert\delta\rVert}"), printed, evaluate=False),
        {
            "Pythagoras": sp.simplify(across**2 + along**2 - printed**2),
            "Cauchy: what is left is a square": sp.expand(gap - (one * right - two * left) ** 2),
            "2 sqrt(2)/4 at omega = 1": sp.simplify(printed.subs(omega, 1) - sqrt(2) * unit),
        },
    )


def wider_start() -> Derived:
    """C1 = sigma^2/(4 sqrt(kappa) L) is 8 kappa chi C0, alpha_1/alpha = 1 there; omega > 1/2 keeps s_* below r0."""
    c1 = SIGMA**2 / (4 * sqrt(KAPPA) * L)
    share = 2 * L * E / SIGMA**2  # alpha_1
    alpha = Symbol("alpha", positive=True)
    at = (share / alpha).subs(E, sqrt(KAPPA) * 2 * alpha * c1)
    omega = Symbol("omega", positive=True)
    end = SIGMA / L * (1 - omega)
    return Derived(
        Eq(Symbol("C_1"), c1, evaluate=False),
        {
            "C1 over C0 is 8 kappa chi": small(c1 / C0, 8 * KAPPA * S / SIGMA),
            "alpha_1 / alpha is 1 at C1": small(at, sp.Integer(1)),
            "r0 - s_* is (sigma/L)(omega - 1/2)": small(R0 - end, SIGMA / L * (omega - Rational(1, 2))),
        },
    )


def all_steps() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(contraction, inside_the_ball, late_motion, pseudo_inverse, two_directions, wider_start)
