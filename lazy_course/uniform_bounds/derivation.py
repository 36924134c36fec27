r"""The algebra of the uniform bounds, step by step, in sympy: Lemmas B.1 and B.2, Theorem 2.4, the logarithm.

Constants at w0: S = ||Dh(w0)||, SIGMA the smallest singular value of its transpose, L = Lip(Dh), D = ||y(0) - y*||;
of the loss: m, M. KAPPA = M/m, CHI = S/SIGMA and A = m SIGMA^2/4 are abbreviations: `spelled` writes them out.
Every function returns a `Derived`: the equation that the book prints, and checks that must simplify to zero.
"""

import sympy as sp
from sympy import Eq, Expr, Function, Ge, Le, Matrix, Rational, Symbol, cosh, diff, exp, log, sqrt, tanh

from lazy_course.derived import Derived, Rows

ALPHA, TIME = Symbol("alpha", positive=True), Symbol("t", positive=True)
S, SIGMA, L, D = (Symbol(name, positive=True) for name in ("S", "sigma", "L", "D"))
SMOOTH, CONVEX = Symbol("M", positive=True), Symbol("m", positive=True)
KAPPA, CHI, A = Symbol("kappa", positive=True), Symbol("chi", positive=True), Symbol("a", positive=True)
LAM, K = Symbol("lambda", positive=True), Symbol("K", positive=True)
C0, R0 = Symbol("C_0", positive=True), Symbol("r_0", positive=True)

DISTANCE = Symbol(r"{\lVert w_\alpha-w_0\rVert}")
RESIDUAL = Symbol(r"{\lVert y-y^\star\rVert}")
OUTPUT_GAP = Symbol(r"{\lVert y-\bar y\rVert}")
PARAMETER_GAP = Symbol(r"{\lVert w_\alpha-\bar w_\alpha\rVert}")
FORCING = Symbol(r"{\lVert(\Sigma(t)-\Sigma_0)\nabla R(y)\rVert}")
DISCREPANCY = Symbol(r"{\lVert\Sigma_0^{-1/2}(y-\bar y)\rVert}")


def spelled(expression: Expr) -> Expr:
    """Write kappa, chi, a, C0 and r0 in terms of m, M, S, sigma, L."""
    long = {C0: SIGMA**3 / (32 * KAPPA ** Rational(3, 2) * S * L), R0: SIGMA / (2 * L)}
    short = {KAPPA: SMOOTH / CONVEX, CHI: S / SIGMA, A: CONVEX * SIGMA**2 / 4}
    return expression.subs(long).subs(short)


def small(bound: Expr, printed: Expr) -> Expr:
    """The difference of two expressions, spelled out and simplified."""
    return sp.simplify(sp.expand(spelled(bound) - spelled(printed)))


def log_cosh_constants() -> Derived:
    """The loss z^2/2 + c log cosh z: its second derivative runs from 1 (z -> oo) to 1 + c (z = 0)."""
    z, c = Symbol("z", real=True), Symbol("c", positive=True)
    second = diff(z**2 / 2 + c * log(cosh(z)), z, 2)
    printed = 1 + c * (1 - tanh(z) ** 2)
    return Derived(
        Eq(Symbol("R''(z)"), printed, evaluate=False),
        {
            "second derivative": sp.simplify((second - printed).rewrite(exp)),
            "largest, at 0": printed.subs(z, 0) - (1 + c),
            "infimum, at infinity": sp.limit(printed, z, sp.oo) - 1,
        },
    )


def gradient_domination() -> Derived:
    """Minimize the lower bound R(y) - g d + m d^2/2 of strong convexity over d: R(y) - min R <= ||grad R||^2 / (2m)."""
    g, d = Symbol("g", positive=True), Symbol("d", positive=True)
    lower = -g * d + CONVEX / 2 * d**2
    left, norm = Symbol(r"{R(y)-R(y^\star)}"), Symbol(r"{\lVert\nabla R(y)\rVert}")
    return Derived(
        Le(left, norm**2 / (2 * CONVEX), evaluate=False),
        {
            "stationary at d = g/m": diff(lower, d).subs(d, g / CONVEX),
            "least value": lower.subs(d, g / CONVEX) + g**2 / (2 * CONVEX),
        },
    )


def decay_of_the_loss() -> Derived:
    """Along y' = -Sigma grad R(y): dR/dt = -<grad R, Sigma grad R>, for any R of two variables and symmetric Sigma."""
    y = Matrix(sp.symbols("y1 y2", real=True))
    loss = Function("R")(*y)
    gradient = Matrix([diff(loss, entry) for entry in y])
    metric = Matrix(2, 2, sp.symbols("s11 s12 s12 s22", real=True))
    velocity = -metric * gradient
    along = sum(diff(loss, y[i]) * velocity[i] for i in range(2))
    decay = Function("q")(TIME)
    grown = diff(exp(2 * CONVEX * LAM * TIME) * decay, TIME).subs(diff(decay, TIME), -2 * CONVEX * LAM * decay)
    printed = sqrt(KAPPA) * D * exp(-CONVEX * LAM * TIME)
    squared = 2 / CONVEX * (SMOOTH / 2 * D**2) * exp(-2 * CONVEX * LAM * TIME)
    return Derived(
        Le(RESIDUAL, printed, evaluate=False),
        {
            "chain rule": sp.expand(along + (gradient.T * metric * gradient)[0]),
            "Gronwall: e^(2 m lambda t) times the loss does not grow": sp.expand(grown),
            "constants": sp.simplify(squared - spelled(printed) ** 2),
        },
    )


def stability() -> Derived:
    """Lemma B.2 in z = Sigma0^(-1/2) y: the split of z' - zbar', and where the right side changes its sign."""
    root = Matrix(2, 2, sp.symbols("p11 p12 p12 p22", real=True))
    moved = Matrix(2, 2, sp.symbols("s11 s12 s12 s22", real=True))
    at_y, at_ybar = Matrix(sp.symbols("g1 g2", real=True)), Matrix(sp.symbols("k1 k2", real=True))
    inverse = root.inv()
    difference = -inverse * moved * at_y + inverse * (root * root) * at_ybar
    split = -root * (at_y - at_ybar) - inverse * (moved - root * root) * at_y
    half = Symbol("h", positive=True)
    right = K * sqrt(2 * half / LAM) - 2 * LAM * CONVEX * half
    crossing = K**2 / (2 * LAM**3 * CONVEX**2)
    printed = K * S / (LAM ** Rational(3, 2) * CONVEX)
    checks = {f"split, entry {i + 1}": sp.simplify((difference - split)[i]) for i in range(2)}
    checks["sign changes at K^2 / (2 lambda^3 m^2)"] = sp.simplify(right.subs(half, crossing))
    checks["bound"] = sp.simplify(S * sqrt(2 * crossing) - printed)
    norm = Symbol(r"{\lVert\Sigma(0)\rVert^{1/2}}", positive=True)
    return Derived(Le(OUTPUT_GAP, printed.subs(S, norm), evaluate=False), checks)


def radius() -> Derived:
    """On the ball of radius r0 = sigma/(2L), Weyl leaves sigma_min(Dh(w)^T) >= sigma - L r0 = sigma/2."""
    w = Symbol("w", real=True)
    h = w + w**2 / 2
    reached = diff(h, w).subs(w, -Rational(1, 2)) ** 2
    return Derived(
        Ge(Symbol(r"{\sigma_{\min}(Dh(w)^\top)}"), SIGMA / 2, evaluate=False),
        {
            "sigma - L r0": spelled(SIGMA - L * R0) - SIGMA / 2,
            "h = w + w^2/2 reaches sigma^2/4 at the rim": reached - Rational(1, 4),
        },
    )


def paper_travel() -> Derived:
    """Integrate ||w'|| <= (2 M S / alpha) sqrt(kappa) D e^(-a t): the travel of Theorem 2.4, which ends before r0."""
    prefactor = 2 * SMOOTH * S * sqrt(KAPPA) * D / ALPHA
    reached = prefactor * sp.integrate(exp(-A * TIME), (TIME, 0, sp.oo))
    printed = 8 * KAPPA ** Rational(3, 2) * S * D / (ALPHA * SIGMA**2)
    in_the_supplement = 2 * SMOOTH ** Rational(3, 2) * S * D / (ALPHA * CONVEX)
    return Derived(
        Le(DISTANCE, printed, evaluate=False),
        {
            "integral": small(reached, printed),
            "equals r0 at D = 2 alpha C0": small(printed.subs(D, 2 * ALPHA * C0), R0),
            "the printed prefactor is off by sqrt(m)": small(in_the_supplement * sqrt(CONVEX), prefactor),
        },
    )


def travel() -> Derived:
    """With ||Dh(w)|| <= 3S/2 instead of 2S: rho = 6 kappa^(3/2) S D / sigma^2, and 12 in the condition on alpha."""
    speed = Rational(3, 2) * S * SMOOTH * sqrt(KAPPA) * D * exp(-A * TIME) / ALPHA
    later = Symbol("tau", positive=True)
    reached = sp.integrate(speed.subs(TIME, later), (later, 0, TIME))
    rho = 6 * KAPPA ** Rational(3, 2) * S * D / SIGMA**2
    printed = rho / ALPHA * (1 - exp(-A * TIME))
    least = 12 * KAPPA ** Rational(3, 2) * S * L * D / SIGMA**3
    return Derived(
        Le(DISTANCE, printed, evaluate=False),
        {
            "integral": small(reached, printed),
            "rho / alpha = r0 at the least alpha": small((rho / ALPHA).subs(ALPHA, least), R0),
            "which is 3/8 of the paper's": small(least, Rational(3, 8) * D / C0),
        },
    )


def forcing_constant() -> Expr:
    """The constant k of the forcing: 15 kappa^2 M S^2 L D^2 / sigma^2."""
    return 15 * KAPPA**2 * SMOOTH * S**2 * L * D**2 / SIGMA**2


def forcing() -> Derived:
    """||Sigma(t) - Sigma0|| <= (3S/2 + S) L ||w - w0||, times ||grad R|| <= M sqrt(kappa) D e^(-a t)."""
    moved = travel().equation.rhs
    reached = (Rational(3, 2) * S + S) * L * moved * SMOOTH * sqrt(KAPPA) * D * exp(-A * TIME)
    printed = forcing_constant() / ALPHA * (exp(-A * TIME) - exp(-2 * A * TIME))
    return Derived(
        Le(FORCING, printed, evaluate=False),
        {
            "product": small(reached, printed),
            "its supremum is k / (4 alpha)": small(printed.subs(TIME, log(2) / A), forcing_constant() / (4 * ALPHA)),
        },
    )


def discrepancy() -> Derived:
    """Solve e' = -4a e + E/sigma, e(0) = 0, and bound it by k e^(-a t) / (3 a sigma alpha)."""
    rate = forcing().equation.rhs / SIGMA
    unit = forcing_constant() / (A * SIGMA * ALPHA)
    x = exp(-A * TIME)
    solved = unit * (x / 3 - x**2 / 2 + x**4 / 6)
    dropped = unit * (x**2 / 2 - x**4 / 6)
    printed = unit * x / 3
    return Derived(
        Le(DISCREPANCY, printed, evaluate=False),
        {
            "solves the equation": sp.simplify(sp.expand(diff(solved, TIME) + 4 * A * solved - rate)),
            "starts at 0": sp.simplify(solved.subs(TIME, 0)),
            "what is dropped is positive: (x^2/6)(3 - x^2)": sp.simplify(dropped - unit * x**2 / 6 * (3 - x**2)),
            "its integral is k / (8 a^2 sigma alpha)": sp.simplify(
                sp.integrate(sp.expand(solved), (TIME, 0, sp.oo)) - unit / (8 * A)
            ),
        },
    )


def output_gap() -> Derived:
    """Multiply the discrepancy by S: 20 kappa^3 chi^3 (L D^2 / sigma^2) e^(-a t) / alpha."""
    reached = S * discrepancy().equation.rhs
    printed = 20 * KAPPA**3 * CHI**3 * (L * D**2 / SIGMA**2) * exp(-A * TIME) / ALPHA
    return Derived(Le(OUTPUT_GAP, printed, evaluate=False), {"constants": small(reached, printed)})


def uniform_output_gap() -> Derived:
    """Lemma B.2 with lambda = sigma^2 and K = k/(4 alpha): the uniform bound of Theorem 2.4 with its constant."""
    reached = stability_bound(forcing_constant() / (4 * ALPHA), SIGMA**2)
    printed = Rational(15, 4) * KAPPA**3 * CHI**3 * (L * D**2 / SIGMA**2) / ALPHA
    return Derived(Le(OUTPUT_GAP, printed, evaluate=False), {"constants": small(reached, printed)})


def stability_bound(forced: Expr, lower: Expr) -> Expr:
    """The bound of Lemma B.2, K S / (lambda^(3/2) m), with ||Sigma(0)||^(1/2) = S."""
    return forced * S / (lower ** Rational(3, 2) * CONVEX)


def first_integral() -> Derived:
    """The integral of L ||w - w0|| ||grad R(y)|| over all times."""
    rate = L * travel().equation.rhs * SMOOTH * sqrt(KAPPA) * D * exp(-A * TIME)
    reached = sp.integrate(sp.expand(rate), (TIME, 0, sp.oo))
    printed = 12 * KAPPA**3 * S * L * D**2 / (SIGMA**4 * ALPHA)
    name = Symbol(r"{\int_0^\infty L\lVert w_\alpha-w_0\rVert\,\lVert\nabla R(y)\rVert\,dt}")
    return Derived(Le(name, printed, evaluate=False), {"integral": small(reached, printed)})


def second_integral() -> Derived:
    """The integral of S M ||y - ybar|| over all times, without a logarithm, from the integral of the discrepancy."""
    unit = forcing_constant() / (8 * A**2 * SIGMA * ALPHA)
    reached = S * SMOOTH * S * unit
    printed = 30 * KAPPA**4 * S**4 * L * D**2 / (SIGMA**7 * ALPHA)
    name = Symbol(r"{\int_0^\infty SM\lVert y-\bar y\rVert\,dt}")
    return Derived(Le(name, printed, evaluate=False), {"integral": small(reached, printed)})


def logarithmic_integral() -> Derived:
    """The same integral as the sources bound it: split at t0 = log(alpha)/a, worked out in full (alpha > 1).

    On [0, t0]: S M times the uniform output gap. After t0: both gradients are at most M sqrt(kappa) D e^(-a t).
    """
    t0 = log(ALPHA) / A
    early = S * SMOOTH * uniform_output_gap().equation.rhs * t0
    gradients = 2 * SMOOTH * sqrt(KAPPA) * D * exp(-A * TIME)
    late = S * sp.integrate(gradients, (TIME, t0, sp.oo))
    first, second = 15 * KAPPA**4 * CHI**4 * L * D**2 / SIGMA**3, 8 * KAPPA ** Rational(3, 2) * CHI * D / SIGMA
    printed = (first * log(ALPHA) + second) / ALPHA
    name = Symbol(r"{\int_0^\infty S\lVert\nabla R(y)-\nabla R(\bar y)\rVert\,dt}")
    return Derived(
        Le(name, printed, evaluate=False),
        {
            "early": small(early, first * log(ALPHA) / ALPHA),
            "late, of order 1/alpha and not log(alpha)/alpha": small(late, second / ALPHA),
        },
    )


def parameter_gap() -> Derived:
    """Add the two integrals and divide by alpha: no logarithm."""
    reached = (first_integral().equation.rhs + second_integral().equation.rhs) / ALPHA
    printed = L * D**2 / (SIGMA**3 * ALPHA**2) * (12 * KAPPA**3 * CHI + 30 * KAPPA**4 * CHI**4)
    return Derived(Le(PARAMETER_GAP, printed, evaluate=False), {"sum": small(reached, printed)})


def all_bounds() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(
        log_cosh_constants,
        gradient_domination,
        decay_of_the_loss,
        stability,
        radius,
        paper_travel,
        travel,
        forcing,
        discrepancy,
        output_gap,
        uniform_output_gap,
        first_integral,
        second_integral,
        logarithmic_integral,
        parameter_gap,
    )
