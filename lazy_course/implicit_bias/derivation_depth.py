r"""Depth D and the shape of the initialization, in sympy: their potentials, zero error, and both ends of alpha.

The model is $\langle w_+^D - w_-^D, x\rangle$ from $w_\pm = \alpha s$, the loss $L = \|X\beta - y\|^2$. D > 2 unless it
is said to be 2. One coordinate: R is that of $X^\top\!\int r$, z = -D (D - 2) alpha^(D-2) R, so that z = X^T nu again.
"""

import sympy as sp
from sympy import Eq, Expr, Function, Ge, Integral, Rational, Symbol, asinh, diff, exp, log, sinh, sqrt

from lazy_course.derived import Derived, Rows
from lazy_course.implicit_bias.derivation import ALPHA, GRADIENT, SIGMA

D = Symbol("D", positive=True)
EPS = Symbol("varepsilon", positive=True)  # D - 2
U, S, SIZE = (Symbol(name, positive=True) for name in ("z", "s", "b"))


def link(z: Expr, depth: Expr = D) -> Expr:
    """h_D(z) = (1 - z)^(-D/(D-2)) - (1 + z)^(-D/(D-2)): beta = alpha^D h_D(X^T nu)."""
    return (1 - z) ** (-depth / (depth - 2)) - (1 + z) ** (-depth / (depth - 2))


def conjugate(z: Expr, depth: Expr = D) -> Expr:
    """H_D(z), the integral of h_D from 0."""
    power = -2 / (depth - 2)
    return (depth - 2) / 2 * ((1 - z) ** power + (1 + z) ** power - 2)


def weights() -> Derived:
    """w = i^(-1/(D-2)) with i = alpha^(2-D) +- D (D-2) R(t) solves w' = -+D w^(D-1) R', w(0) = alpha."""
    inner = Symbol("i", positive=True)
    w = inner ** (-1 / (D - 2))
    checks = {
        f"equation over R', sign {s}": diff(w, inner) * s * D * (D - 2) + s * D * inner ** (-(D - 1) / (D - 2))
        for s in (1, -1)
    }
    checks["w^(D-1)"] = sp.powdenest(w ** (D - 1), force=True) - inner ** (-(D - 1) / (D - 2))
    checks["start"] = sp.powdenest(w.subs(inner, ALPHA ** (2 - D)), force=True) - ALPHA
    pair = Symbol(r"{\Bigl(1\pm D(D-2)\alpha^{D-2}X^\top\int_0^tr(s)\,ds\Bigr)}", positive=True)
    return Derived(Eq(Symbol(r"{w_\pm(t)}"), ALPHA * pair ** (-1 / (D - 2)), evaluate=False), checks)


def conserved_sum() -> Derived:
    """w+^(2-D) + w-^(2-D) = 2 alpha^(2-D): the pair (w+, w-) moves on a curve, as w+ w- = alpha^2 at D = 2."""
    plus, minus, slope = Symbol("p", positive=True), Symbol("m", positive=True), Symbol("g", real=True)
    moved = (2 - D) * plus ** (1 - D) * (-D * plus ** (D - 1) * slope)
    moved += (2 - D) * minus ** (1 - D) * (D * minus ** (D - 1) * slope)
    at_two = sp.limit((plus**-EPS + minus**-EPS - 2 * ALPHA**-EPS) / EPS, EPS, 0)
    return Derived(
        Eq(Symbol("w_{+,i}^{2-D}+w_{-,i}^{2-D}"), 2 * ALPHA ** (2 - D), evaluate=False),
        {
            "derivative": sp.powsimp(sp.expand(moved)),
            "D = 2: the product": sp.expand_log(at_two + log(plus * minus) - 2 * log(ALPHA), force=True),
        },
    )


def gradient_bound() -> Derived:
    """||grad L||^2 = 4 D^2 sum (w+^(2D-2) + w-^(2D-2)) (X^T rho)^2, at least 8 D^2 alpha^(2D-2) sigma^2 L.

    With a = (w+/alpha)^(2-D), b = (w-/alpha)^(2-D), a + b = 2: the sum of a^-p + b^-p, p = (2D-2)/(D-2), is convex in
    a and symmetric, so least at a = b = 1.
    """
    w, g, rho = Symbol("w", positive=True), Symbol("g", real=True), Symbol("r", real=True)
    slope = diff(w**D, w) * 2 * g  # dL/dw = 2 X^T rho dbeta/dw
    a, p = Symbol("a", positive=True), (2 * D - 2) / (D - 2)
    total = a**-p + (2 - a) ** -p
    least = 4 * D**2 * ALPHA ** (2 * D - 2) * total.subs(a, 1) * SIGMA**2 * rho**2
    printed = 8 * D**2 * ALPHA ** (2 * D - 2) * SIGMA**2 * Symbol("L(w)")
    convex = p * (p + 1) * (a ** (-p - 2) + (2 - a) ** (-p - 2))
    return Derived(
        Ge(GRADIENT, printed, evaluate=False),
        {
            "one weight": sp.simplify(slope**2 - 4 * D**2 * w ** (2 * D - 2) * g**2),
            "stationary at 1": sp.simplify(diff(total, a).subs(a, 1)),
            "convex": sp.simplify(diff(total, a, 2) - convex),
            "power of w": sp.simplify((2 - D) * (-p) - (2 * D - 2)),
            "least value": sp.simplify(least - printed.subs(Symbol("L(w)"), rho**2)),
            "D = 2: 32 alpha^2 sigma^2": sp.simplify(printed.subs(D, 2) - 32 * ALPHA**2 * SIGMA**2 * Symbol("L(w)")),
        },
    )


def predictor() -> Derived:
    """beta = w+^D - w-^D = alpha^D h_D(z), and for D to 2 with z = (D - 2) u / 2 it is 2 alpha^2 sinh(u)."""
    plus, minus = ALPHA * (1 - U) ** (-1 / (D - 2)), ALPHA * (1 + U) ** (-1 / (D - 2))
    u = Symbol("u", positive=True)
    # the limit through logarithms: log (1 - eps u / 2)^(-(2 + eps)/eps) tends to u
    up = sp.limit(-(2 + EPS) / EPS * log(1 - EPS * u / 2), EPS, 0)
    down = sp.limit(-(2 + EPS) / EPS * log(1 + EPS * u / 2), EPS, 0)
    return Derived(
        Eq(Function("h_D")(U), link(U), evaluate=False),
        {
            "difference of powers": sp.powdenest(sp.expand((plus**D - minus**D) / ALPHA**D - link(U)), force=True),
            "D to 2": sp.simplify((exp(up) - exp(down) - 2 * sinh(u)).rewrite(exp)),
        },
    )


def potential() -> Derived:
    """q_D' is the inverse of h_D, which rises from -oo to oo on (-1, 1): q_D(h_D(z)) = z h_D(z) - H_D(z) (Legendre)."""
    value = U * link(U) - conjugate(U)
    low, high = Symbol("p", positive=True), Symbol("m", positive=True)
    z = Symbol("z")
    left = Function("q_D")(Function("h_D")(z))
    printed = z * Function("h_D")(z) - Integral(Function("h_D")(S), (S, 0, z))
    rising = D / (D - 2) * ((1 - U) ** (-D / (D - 2) - 1) + (1 + U) ** (-D / (D - 2) - 1))
    return Derived(
        Eq(left, printed, evaluate=False),
        {
            "H_D' = h_D": sp.simplify(diff(conjugate(U), U) - link(U)),
            "H_D(0)": conjugate(U).subs(U, 0),
            "dq/dz = z dh/dz, so q_D'(h_D(z)) = z": sp.simplify(diff(value, U) - U * diff(link(U), U)),
            "h_D is increasing": sp.powsimp(sp.expand((diff(link(U), U) - rising).xreplace({1 - U: low, 1 + U: high}))),
        },
    )


def depth_four() -> Derived:
    """D = 4: h_4(z) = 4 z / (1 - z^2)^2, and q_4(h_4(z)) = 2 z^2 (1 + z^2) / (1 - z^2)^2."""
    printed = 4 * U / (1 - U**2) ** 2
    value = 2 * U**2 * (1 + U**2) / (1 - U**2) ** 2
    return Derived(
        Eq(Function("h_4")(U), printed, evaluate=False),
        {
            "h_4": sp.simplify(link(U, sp.Integer(4)) - printed),
            "q_4": sp.simplify(U * link(U, sp.Integer(4)) - conjugate(U, sp.Integer(4)) - value),
        },
    )


def large_scale() -> Derived:
    """h_D(z) = 2D z/(D-2) + O(z^3), so Q tends to (D - 2) ||beta||^2 / (4 D alpha^(2D)): l2 again, whatever D."""
    slope = diff(link(U), U).subs(U, 0)
    printed = (D - 2) / (4 * D) * Symbol(r"{\lVert\beta\rVert_2^2}")
    name = Symbol(r"{\lim_{\alpha\to\infty}\alpha^{2D}Q_{\alpha,D}(\beta)}")
    return Derived(
        Eq(name, printed, evaluate=False),
        {
            "slope of h_D": sp.simplify(slope - 2 * D / (D - 2)),
            "h_D is odd": sp.simplify(link(U) + link(-U)),
            "q = b^2 / (2 slope)": sp.simplify(1 / (2 * slope) - (D - 2) / (4 * D)),
        },
    )


def small_scale() -> Derived:
    """alpha^D q_D(b / alpha^D) = b - (D/2) alpha^(D-2) b^(2/D) + ...: to l1 by a power of alpha, not by a logarithm.

    Near z = 1, h_D = y^-D - 2^(-D/(D-2)) + ... with 1 - z = y^(D-2); then b = alpha^D y^-D.
    """
    y = Symbol("y", positive=True)
    leading = y**-D  # h_D without the bounded term
    value = (1 - y ** (D - 2)) * leading - (D - 2) / 2 * y**-2
    printed = SIZE - D / 2 * ALPHA ** (D - 2) * SIZE ** (2 / D)
    scaled = ALPHA**D * value.subs(y, ALPHA * SIZE ** (-1 / D))
    name = Symbol(r"{\alpha^Dq_D(\lvert\beta_i\rvert/\alpha^D)}")
    size = Symbol(r"{\lvert\beta_i\rvert}", positive=True)
    return Derived(
        Eq(name, printed.subs(SIZE, size) + Symbol(r"{O(\alpha^D)}"), evaluate=False),
        {
            "(1 - z)^(-D/(D-2)) = y^-D": sp.powdenest((y ** (D - 2)) ** (-D / (D - 2)), force=True) - y**-D,
            "(1 - z)^(-2/(D-2)) = y^-2": sp.powdenest((y ** (D - 2)) ** (-2 / (D - 2)), force=True) - y**-2,
            "Legendre": sp.simplify(sp.powsimp(sp.expand(scaled - printed), force=True)),
        },
    )


def damped_step() -> Derived:
    r"""Newton's method for the dual at depth D: the part t of a step that needs no line search, p = D/(D-2).

    Distances to the ends shrink by 1 - tM at most, M = max |x_j^T delta| / distance: so phi'' <= phi''(0)
    (1 - tM)^(-p-1), and phi'(0) = -phi''(0). phi' is negative up to t. For p to infinity, M = m/p: t = ln(1 + m)/m.
    """
    p, m, t, later = (Symbol(name, positive=True) for name in ("p", "M", "t", "tau"))
    slope = -1 + ((1 - t * m) ** -p - 1) / (p * m)
    printed = (1 - (1 + p * m) ** (-1 / p)) / m
    y = Symbol("y", positive=True)  # 1 / p
    at_two = ((1 - (1 + m) ** -y) / (m * y)).subs(m, 3)
    return Derived(
        Eq(Symbol("t"), printed, evaluate=False),
        {
            "integral": sp.simplify(diff(slope.subs(t, later), later) - (1 - later * m) ** (-p - 1)),
            "starts at -1": slope.subs(t, 0) + 1,
            "zero at t": sp.powdenest(sp.simplify(slope.subs(t, printed)), force=True),
            "stays inside": sp.simplify(1 - printed * m - (1 + p * m) ** (-1 / p)),
            "D to 2, at m = 3": sp.limit(at_two, y, 0) - log(4) / 3,
        },
    )


def excess_off_the_support() -> Derived:
    r"""z stays below 1 off S: uhat_j tends to c_j, so an entry off S is alpha^D h_D(c_j), whatever c < 1.

    The bound of derivation_rate with H_D for F*: theta excess <= alpha^D sum of H_D(|c_j| + theta (1 - |c_j|)) for
    theta < 1, in the limit; D = 2 had alpha^(2 (1 - c)). The constant grows like (1 - c)^(-2/(D-2)).
    """
    c, theta = Symbol("c", positive=True), Symbol("theta", positive=True)
    inner = 1 - (c + theta * (1 - c))
    name = Symbol(r"{\limsup_{\alpha\to0}\alpha^{-D}\bigl(\lVert\beta_\alpha\rVert_1-\lVert\beta_1\rVert_1\bigr)}")
    total = Symbol(r"{\sum_{j\notin S}H_D\bigl(\lvert c_j\rvert+\theta(1-\lvert c_j\rvert)\bigr)}")
    power = ((1 - c) * (1 - theta)) ** (-2 / (D - 2)) - (1 - theta) ** (-2 / (D - 2)) * (1 - c) ** (-2 / (D - 2))
    return Derived(
        sp.Le(name, total / Symbol("theta"), evaluate=False),
        {
            "distance to 1": sp.expand(inner - (1 - c) * (1 - theta)),
            "growth of the constant": sp.simplify(sp.expand_power_base(power, force=True)),
        },
    )


def excess_on_the_floor() -> Derived:
    """As at D = 2, max |z_j| off S is at least <lambda, z_S>, which tends to c: an entry of size alpha^D h_D(c)."""
    c, y = Symbol("c", positive=True), Symbol("y", positive=True)
    name = Symbol(r"{\liminf_{\alpha\to0}\alpha^{-D}\bigl(\lVert\beta_\alpha\rVert_1-\lVert\beta_1\rVert_1\bigr)}")
    near = 1 - y ** (D - 2)  # z on the support: |beta| = (alpha / y)^D up to a bounded term
    return Derived(
        Ge(name, (1 - c) * Function("h_D")(c), evaluate=False),
        {
            "z tends to 1 on S": sp.limit(near.subs(D, 2 + EPS), y, 0) - 1,
            "h_D is continuous below 1": sp.limit(link(c * near.subs(D, 3), sp.Integer(3)), y, 0)
            - link(c, sp.Integer(3)),
        },
    )


def shape_of_two() -> Derived:
    """D = 2 from w = alpha s: beta = 2 alpha^2 s^2 sinh(u), so Q = sum s^2 q(beta / (alpha^2 s^2)); s leaves the limit.

    alpha to oo: beta^2 / (4 alpha^4 s^2), weights 1/s^2. alpha to 0: |b| (ln(1/alpha^2) + ln|b| - 1 - ln s^2).
    """
    b, total = Symbol("b", positive=True), S**2

    def term(scale: Expr) -> Expr:
        z = b / scale
        return scale * (z * asinh(z / 2) - sqrt(z**2 + 4) + 2)

    one, shaped = term(ALPHA**2), term(ALPHA**2 * total)
    # In x = 1/alpha^2.
    x = Symbol("x", positive=True)
    large = (shaped / ALPHA**2).subs(ALPHA, x ** Rational(-1, 2))
    gap = sp.limit((shaped - one).subs(ALPHA, x ** Rational(-1, 2)).rewrite(log), x, sp.oo)
    printed = Symbol("s_i") ** 2 * Function("q")(Symbol(r"\beta_i") / (ALPHA**2 * Symbol("s_i") ** 2))
    return Derived(
        Eq(Symbol(r"{Q_{\alpha,s}(\beta)}"), sp.Sum(printed, (Symbol("i"), 1, Symbol("d"))), evaluate=False),
        {
            "slope is alpha^-2 u": sp.simplify(diff(shaped, b) - asinh(b / (2 * ALPHA**2 * total))),
            "alpha to infinity": sp.limit(large / x**2, x, 0) - b**2 / (4 * total),
            "alpha to 0: the shape enters at the second order": sp.simplify(
                sp.expand_log(gap + b * log(total), force=True)
            ),
        },
    )


def shape_of_depth() -> Derived:
    """D > 2 from w = alpha s: beta = (alpha s)^D h_D(s^(D-2) z), so the slope of Q is s^(2-D) times h_D's inverse.

    It tends to s^(2-D) as alpha falls: a weighted l1 norm. The shape stays, which it does not at D = 2.
    """
    inner = (ALPHA * S) ** (2 - D) - ALPHA ** (2 - D) * U  # w^(2-D)
    claimed = (ALPHA * S) ** (2 - D) * (1 - S ** (D - 2) * U)
    weight = Symbol("s_i", positive=True) ** (2 - D)
    name = Symbol(r"{\lim_{\alpha\to0}\alpha^DQ_{\alpha,s,D}(\beta)}")
    printed = sp.Sum(weight * Symbol(r"{\lvert\beta_i\rvert}"), (Symbol("i"), 1, Symbol("d")))
    return Derived(
        Eq(name, printed, evaluate=False),
        {
            "w^(2-D)": sp.powsimp(sp.expand(sp.expand_power_base(inner - claimed, force=True))),
            "z reaches s^(2-D)": sp.simplify((1 - S ** (D - 2) * U).subs(U, S ** (2 - D))),
            "at D = 2 all weights are 1": (S ** (2 - D)).subs(D, 2) - 1,
        },
    )


def all_derivations() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(
        weights,
        conserved_sum,
        gradient_bound,
        predictor,
        potential,
        depth_four,
        large_scale,
        small_scale,
        damped_step,
        excess_off_the_support,
        excess_on_the_floor,
        shape_of_two,
        shape_of_depth,
    )
