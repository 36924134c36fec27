r"""The algebra of the explicit bounds, in sympy: both ends of alpha with their constants, the worst case, large steps.

phi(b) = alpha^2 q(b / alpha^2) is one term of alpha^2 Q_alpha and B stands for its argument, b > 0.
Every function returns a `Derived`: the equation that the book prints, and checks that must simplify to zero.
"""

import sympy as sp
from sympy import Eq, Expr, Le, Rational, Symbol, asinh, atanh, cosh, diff, exp, log, sinh, sqrt

from lazy_course.derived import Derived, Rows
from lazy_course.implicit_bias.derivation import ALPHA, q

B, X, LAM = (Symbol(name, positive=True) for name in ("b", "x", r"\lambda"))
S = Symbol("s", positive=True)


def phi(b: Expr) -> Expr:
    """One term of alpha^2 Q_alpha."""
    return b * asinh(b / (2 * ALPHA**2)) - sqrt(b**2 + 4 * ALPHA**4) + 2 * ALPHA**2


def conjugate() -> Derived:
    """phi*(s) = sup_b (s b - phi(b)) = 2 alpha^2 (cosh s - 1), attained at b = 2 alpha^2 sinh s."""
    best = 2 * ALPHA**2 * sinh(S)
    printed = 2 * ALPHA**2 * (cosh(S) - 1)
    root = {sqrt(4 * ALPHA**4 * sinh(S) ** 2 + 4 * ALPHA**4): 2 * ALPHA**2 * cosh(S)}
    inverse = {asinh(sinh(S)): S}
    return Derived(
        Eq(sp.Function(r"\varphi^*")(S), printed, evaluate=False),
        {
            "phi is alpha^2 q(b / alpha^2)": phi(B)
            - sp.expand(ALPHA**2 * q(B / ALPHA**2)).subs(
                sqrt(4 + B**2 / ALPHA**4), sqrt(B**2 + 4 * ALPHA**4) / ALPHA**2
            ),
            "slope of phi": diff(phi(B), B) - asinh(B / (2 * ALPHA**2)),
            "phi is convex": sp.simplify(diff(phi(B), B, 2) - 1 / sqrt(B**2 + 4 * ALPHA**4)),
            "value at the maximum": (S * best - phi(best)).subs(root).subs(inverse) - printed,
        },
    )


def functional() -> Derived:
    """0 <= b (log(b / alpha^2) - 1) + 2 alpha^2 - phi(b) <= alpha^4 / b, for every b > 0."""
    middle = B * (log(B / ALPHA**2) - 1) + 2 * ALPHA**2
    unit = X * log(X) - X + 2 - q(X)
    at = log(B / ALPHA**2)
    tangent = B * at - 2 * ALPHA**2 * (cosh(at) - 1).rewrite(exp)
    inverse = 1 / X
    return Derived(
        Le(middle - phi(B), ALPHA**4 / B, evaluate=False),
        {
            "in units of alpha^2": sp.expand_log(
                sp.expand(middle.subs(B, X * ALPHA**2) / ALPHA**2) - (X * log(X) - X + 2), force=True
            ),
            "the difference falls: log x < log of (x + sqrt(4 + x^2)) / 2": diff(unit, X) - (log(X) - asinh(X / 2)),
            "arcsinh(x/2) is that log": sp.expand_log(
                asinh(X / 2).rewrite(log) - log((X + sqrt(X**2 + 4)) / 2), force=True
            ).subs(sqrt(X**2 / 4 + 1), sqrt(X**2 + 4) / 2),
            "and tends to 0": sp.series(unit.subs(X, inverse).rewrite(log), X, 0, 1).removeO(),
            "the tangent at s = log(b / alpha^2) bounds phi from below": sp.simplify(tangent - (middle - ALPHA**4 / B)),
        },
    )


def arcsinh_bounds() -> Derived:
    """0 <= x - arcsinh x <= x^3/6, and x - arcsinh x >= x^3/6 - 3 x^5/40: slopes compared through y = 1 + x^2."""
    t = Symbol("t", positive=True)
    slope = 1 - 1 / sqrt(1 + X**2)
    # (1 + t)^(-1/2) against its Taylor polynomials: the squares of both sides.
    lower, upper = 1 - t / 2, 1 - t / 2 + 3 * t**2 / 8
    return Derived(
        Le(X - asinh(X), X**3 / 6, evaluate=False),
        {
            "slope": diff(X - asinh(X), X) - slope,
            "slopes of the cubic and the quintic": diff(X**3 / 6 - 3 * X**5 / 40, X) - (1 - upper).subs(t, X**2),
            "below: 1 - (1 + t) (1 - t/2)^2 = t^2 (3 - t) / 4": sp.expand(1 - (1 + t) * lower**2 - t**2 * (3 - t) / 4),
            "above: (1 + t) upper^2 - 1 is a positive cubic": sp.expand(
                (1 + t) * upper**2 - 1 - t**3 * (40 - 15 * t + 9 * t**2) / 64
            ),
            "its factor has no real root": sp.Integer(0) if sp.discriminant(40 - 15 * t + 9 * t**2, t) < 0 else t,
            "cubic term, z = b / alpha^2": sp.simplify(
                (2 * ALPHA**2 * Rational(1, 6) * (B / (2 * ALPHA**2)) ** 3) - B**3 / (24 * ALPHA**4)
            ),
            "quintic term": sp.simplify(
                2 * ALPHA**2 * Rational(3, 40) * (B / (2 * ALPHA**2)) ** 5 - 3 * B**5 / (640 * ALPHA**8)
            ),
        },
    )


def large_scale_constants() -> Derived:
    """The numbers 21 and 80: q(1.02) > 1/4, 24/21 above sqrt(1 + 1.02^2/4), and the remainder's constant below 1/80."""
    edge, stretch = Rational(102, 100), Rational(22, 21)
    remainder = Rational(3, 640) * stretch**5 + 3 * stretch**2 / (21 * 24)
    left, norm = Symbol(r"{\lVert\beta_\alpha-\beta_2\rVert}"), Symbol(r"{\lVert\beta_2^3\rVert}")
    return Derived(
        Le(left, norm / (21 * ALPHA**4), evaluate=False),
        {
            "q(1.02) > 1/4": sp.Integer(0) if (q(edge) - Rational(1, 4)).evalf(30) > 0 else edge,
            "24 / 21 is enough": sp.Integer(0) if (Rational(24, 21) ** 2 > 1 + edge**2 / 4) else edge,
            "1 / 80 is enough": sp.Integer(0) if remainder < Rational(1, 80) else remainder,
        },
    )


def logarithmic_bound() -> Derived:
    """G(M) = M (log(M / (d alpha^2)) - 1) is convex; with G(M) <= G(B) + B log d + 2 k alpha^2 it bounds M - B."""
    d, k, mass, least = (Symbol(name, positive=True) for name in ("d", "k", "M", "B"))
    g = mass * (log(mass / (d * ALPHA**2)) - 1)
    slope = log(least / (d * ALPHA**2))
    upper = least * (log(least / ALPHA**2) - 1) + 2 * k * ALPHA**2
    left = Symbol(r"{\frac{\lVert\beta_\alpha\rVert_1-B}{B}}")
    return Derived(
        Le(left, (log(d) + 2 * k * ALPHA**2 / least) / slope, evaluate=False),
        {
            "slope at B": sp.expand_log(diff(g, mass).subs(mass, least) - slope, force=True),
            "convex": diff(g, mass, 2) - 1 / mass,
            "what is to lose": sp.expand_log(
                sp.expand(upper - g.subs(mass, least) - (least * log(d) + 2 * k * ALPHA**2)), force=True
            ),
        },
    )


def excess_bound() -> Derived:
    """Fenchel with v = u + sign - c: |b| - c b <= (phi(b) + phi*(u) - u b) + phi*(v) - phi*(u), summed over j."""
    u, sign, corr = Symbol("u", real=True), Symbol("sigma", real=True), Symbol("c_j", real=True)
    value, size, f, f_u, f_v = sp.symbols("b_j a_j f f_u f_v", real=True)
    v = u + sign - corr
    gap = f + f_u - u * value
    # sign * b = |b|
    spare = (gap + f_v - f_u - (size - corr * value)).subs(size, sign * value)
    at = log(B / ALPHA**2)
    on_support = (B * (at - 1) + 2 * ALPHA**2) + 2 * ALPHA**2 * (cosh(at) - 1).rewrite(exp) - B * at
    far = Symbol("w", positive=True)
    name = Symbol(r"{e^2\sum_{j\notin S}\alpha^{2(1-|c_j|)}e^{|x_j^\top\xi|}}")
    rest = Symbol(r"{\sum_{j\in S}\frac1{|\beta_{1,j}|}}")
    left = Symbol(r"{\lVert\beta_\alpha\rVert_1-\lVert\beta_1\rVert_1}")
    return Derived(
        Le(left, name + ALPHA**4 * rest, evaluate=False),
        {
            "what is spare is Fenchel's f + f_v - v b": sp.expand(spare - (f + f_v - v * value)),
            "on S the gap is at most alpha^4 / b": sp.simplify(on_support - ALPHA**4 / B),
            "on S with the wrong sign: (u - 2)^2 <= u^2 from u = 1 on": sp.expand(
                (far - 2) ** 2 - far**2 + 4 * (far - 1)
            ),
            "off S: alpha^2 e^(lambda |c|) is a power": sp.simplify(
                ALPHA**2 * exp(corr * log(1 / ALPHA**2)) - ALPHA ** (2 * (1 - corr))
            ),
            "2 (cosh v - 1) <= e^v for v >= 0": sp.simplify((2 * cosh(X) - exp(X) - exp(-X)).rewrite(exp)),
        },
    )


def slowest_instance() -> Derived:
    """X = (1, c), y = 1, c = 1 - x/lambda: lambda times the excess tends to x/(1 + e^x), at most W(1/e) = 0.278...

    With b the first entry, the second is b^c alpha^(2(1-c)) up to a factor that tends to 1, and b + c times it is 1.
    """
    first, second = Symbol("b_1", positive=True), Symbol("b_2", positive=True)
    limit = X / (1 + exp(X))
    w = Symbol("W", positive=True)
    solved = sp.solve([first + second - 1, second - first * exp(-X)], [first, second], dict=True)[0]
    c = 1 - X / LAM
    slope = sp.numer(sp.together(diff(limit, X)))
    # W = W(1/e) solves W e^W = 1/e, so e^x = 1/W at x = 1 + W.
    at_best = {exp(X): 1 / w, X: 1 + w}
    return Derived(
        Eq(Symbol(r"{\lim_{\alpha\to0}\Lambda\bigl(\lVert\beta_\alpha\rVert_1-1\bigr)}"), limit, evaluate=False),
        {
            "alpha^(2(1-c)) = e^(-lambda (1-c)) = e^-x": exp(-LAM * (1 - c)) - exp(-X),
            "excess is (1 - c) times the second entry": sp.expand(
                (first + second - 1) - (1 - Symbol("c")) * second - (first + Symbol("c") * second - 1)
            ),
            "the limit": sp.simplify((LAM * (1 - c) * solved[second]) - limit),
            "stationary where 1 + e^x = x e^x": sp.simplify(slope - (1 + exp(X) - X * exp(X))),
            "at x = 1 + W": sp.simplify((1 + exp(X) - X * exp(X)).subs(at_best)),
            "e^x = 1/W": sp.simplify((exp(1 + w) * w).subs(exp(1 + w), exp(1) * exp(-1) / w) - 1),
            "value W": sp.simplify(limit.subs(at_best) - w),
        },
    )


def large_steps() -> Derived:
    """A descent step w+ (1 - e), w- (1 + e), e = eta g: the product shrinks, the log of the quotient is not linear."""
    e, plus, minus = Symbol("e", positive=True), Symbol("w_+", positive=True), Symbol("w_-", positive=True)
    before = log(plus / minus) / 2
    after = log(plus * (1 - e) / (minus * (1 + e))) / 2
    product, new = Symbol("{w_+w_-}"), Symbol("{w_+'w_-'}")
    beta = plus**2 - minus**2
    return Derived(
        Eq(new, (1 - e**2) * product, evaluate=False),
        {
            "product": sp.expand(plus * (1 - e) * minus * (1 + e) - (1 - e**2) * plus * minus),
            "quotient": sp.expand_log(after - before + atanh(e).rewrite(log), force=True),
            "beta = 2 a sinh(log(w+ / w-)) with a = w+ w-": sp.simplify(
                2 * plus * minus * sinh(log(plus / minus)).rewrite(exp) - beta
            ),
            "artanh e - e is of third order": sp.series(atanh(e), e, 0, 4).removeO() - e - e**3 / 3,
        },
    )


def all_bounds() -> Rows:
    """Every derivation of this module by its name."""
    return Rows(
        conjugate,
        functional,
        arcsinh_bounds,
        large_scale_constants,
        logarithmic_bound,
        excess_bound,
        slowest_instance,
        large_steps,
    )
