r"""How fast the minimizer of Q_alpha reaches the l1 solution as alpha falls: excess of the order alpha^(2(1 - c)).

One coordinate: b is an entry of beta, u of X^T nu, F(b) = alpha^2 q(b / alpha^2) the potential times alpha^2, and
F*(u) = 2 alpha^2 (cosh u - 1) its conjugate. LAMBDA is ln(1/alpha^2). For the l1 norm: S the support, s = 1 or -1 a
sign, c_j = x_j^T rho the correlations of a dual certificate, c the largest |c_j| off S. uhat = X^T nuhat with
nuhat = Lambda rho + omega, where omega is such that betahat = 2 alpha^2 sinh(uhat) equals beta_1 on S.
"""

import sympy as sp
from sympy import Eq, Expr, Ge, Le, Matrix, Rational, Symbol, asinh, cosh, diff, exp, log, sinh, sqrt

from lazy_course.derived import Derived, Rows
from lazy_course.implicit_bias.derivation import ALPHA, q
from lazy_course.implicit_bias.derivation_limits import LAMBDA

B, V, HAT = Symbol("b", real=True), Symbol("v", real=True), Symbol(r"\hat u", real=True)
THETA, C = Symbol("theta", positive=True), Symbol("c", positive=True)
EXCESS = Symbol(r"{\lVert\beta_\alpha\rVert_1-\lVert\beta_1\rVert_1}")


def potential_of(b: Expr) -> Expr:
    """F(b) = alpha^2 q(b / alpha^2)."""
    return ALPHA**2 * q(b / ALPHA**2)


def potential_at(u: Expr) -> Expr:
    """F(b) at b = 2 alpha^2 sinh(u), with arsinh(sinh u) = u and sqrt(sinh^2 + 1) = cosh put in."""
    far = potential_of(B).subs(asinh(B / (2 * ALPHA**2)), u).subs(B, 2 * ALPHA**2 * sinh(u))
    return far.subs(sqrt(4 * sinh(u) ** 2 + 4), 2 * cosh(u))


def conjugate_of(u: Expr) -> Expr:
    """F*(u) = 2 alpha^2 (cosh u - 1), the conjugate of F: derivation_bounds.conjugate."""
    return 2 * ALPHA**2 * (cosh(u) - 1)


def three_points() -> Derived:
    r"""D(b, bhat) = F(b) - F(bhat) - uhat (b - bhat); summed over j, the linear terms of two solutions agree.

    Both solve X beta = y and uhat = X^T nuhat. So D(beta_alpha, betahat) - D(beta_1, betahat) = F(beta_alpha) -
    F(beta_1) <= 0. Where betahat = beta_1 on S, D(beta_1, betahat) is the sum of F*(uhat_j) over j not in S.
    """
    f_alpha, f_one, f_hat = sp.symbols("f_alpha f_1 f_hat", real=True)
    b_alpha, b_one, b_hat = sp.symbols("b_alpha b_1 b_hat", real=True)
    difference = (f_alpha - f_hat - HAT * (b_alpha - b_hat)) - (f_one - f_hat - HAT * (b_one - b_hat))
    at = 2 * ALPHA**2 * sinh(HAT)
    name = Symbol(r"{\sum_jD(\beta_{\alpha,j},\hat\beta_j)}")
    return Derived(
        Le(name, Symbol(r"{\sum_{j\notin S}2\alpha^2(\cosh\hat u_j-1)}"), evaluate=False),
        {
            "three points": sp.expand(difference - (f_alpha - f_one) + HAT * (b_alpha - b_one)),
            "D(0, bhat) = F*(uhat)": sp.simplify(0 - potential_at(HAT) - HAT * (0 - at) - conjugate_of(HAT)),
        },
    )


def upper_bound() -> Derived:
    r"""excess <= (1/theta) sum over j off S of 2 alpha^2 (max over s of cosh(uhat_j + theta (s - c_j)) - 1).

    Fenchel with v = uhat + theta (s - c_j), s the sign of b: theta (|b| - c_j b) <= D(b, bhat) + F*(v) - F*(uhat).
    On S, c_j is the sign of beta_1: no term where s = c_j, and F*(uhat - 2 theta s) <= F*(uhat) if |uhat| >= theta.
    """
    s, c_j = Symbol("s", real=True), Symbol("c_j", real=True)
    v = HAT + THETA * (s - c_j)
    size = s * B  # |b|
    young = B * v - B * HAT - THETA * (size - c_j * B)
    far = Symbol("u", positive=True)
    grown = (far + THETA * (1 - c_j)) - (THETA * (1 + c_j) - far)
    least = exp(THETA * (1 - C)) / THETA
    name = Symbol(r"{\sum_{j\notin S}\alpha^2e^{\lvert\hat u_j\rvert+\theta(1-\lvert c_j\rvert)}}")
    return Derived(
        Le(EXCESS, name / THETA, evaluate=False),
        {
            "b (v - uhat) = theta (|b| - c_j b)": sp.expand(young),
            "F*(uhat) of D cancels": conjugate_of(HAT) + (conjugate_of(V) - conjugate_of(HAT)) - conjugate_of(V),
            "on S with the other sign": sp.expand((HAT - 2 * THETA) ** 2 - HAT**2 - 4 * THETA * (THETA - HAT)),
            "off S the sign of c_j is worse if |uhat| >= theta |c_j|": sp.expand(grown - 2 * (far - THETA * c_j)),
            "2 (cosh x - 1) <= e^x for x >= 0": sp.simplify((2 * cosh(V) - exp(V) - exp(-V)).rewrite(exp)),
            "theta = 1/(1 - c) is the best": sp.simplify(diff(least, THETA).subs(THETA, 1 / (1 - C))),
            "and leaves e (1 - c)": sp.simplify(least.subs(THETA, 1 / (1 - C)) - sp.E * (1 - C)),
        },
    )


def lower_bound() -> Derived:
    r"""The exchange lambda: X_S lambda = X_off mu, ||mu||_1 = 1, <lambda, s> = c. No nu is small off S.

    <lambda, X_S^T nu> = <mu, X_off^T nu> <= max |x_j^T nu|, and X_S^T nu = arsinh(beta_S / (2 alpha^2)).
    The excess is at least (1 - c) times the largest entry off S, as |b| - c_j b >= (1 - c) |b|.
    """
    inner = Symbol(r"{\sum_{j\in S}\lambda_j\operatorname{arsinh}\frac{\beta_{\alpha,j}}{2\alpha^2}}", real=True)
    lam = Matrix(sp.symbols("l1 l2", real=True))
    on, off = Matrix(2, 2, sp.symbols("s11 s12 s21 s22")), Matrix(2, 2, sp.symbols("o11 o12 o21 o22"))
    nu, mu = Matrix(sp.symbols("n1 n2")), Matrix(sp.symbols("m1 m2"))
    pairing = (lam.T * on.T * nu)[0] - (mu.T * off.T * nu)[0]
    exchange = on * lam - off * mu
    sign, c_j = Symbol("s", real=True), Symbol("c_j", real=True)
    term = (1 - c_j * sign) - (1 - C) - (C - c_j * sign)
    return Derived(
        Ge(EXCESS, (1 - C) * 2 * ALPHA**2 * sinh(inner), evaluate=False),
        {
            "pairing": sp.expand(pairing - (nu.T * exchange)[0]),
            "a term over |b|": sp.expand(term),
        },
    )


def _on_the_support(b: Expr) -> Expr:
    """arsinh(b / (2 alpha^2)) written out, with alpha^2 = e^-LAMBDA and b > 0."""
    return log((b + sqrt(b**2 + 4 * exp(-2 * LAMBDA))) / 2) + LAMBDA


def excess_ceiling() -> Derived:
    r"""uhat_j = c_j Lambda + x_j^T xi + o(1): the upper bound is a constant times alpha^(2(1 - c)), for c > 0.

    On S, arsinh(b / (2 alpha^2)) - Lambda tends to ln b; xi solves X_S^T xi = sign(beta_1) ln|beta_1|. Terms with
    |c_j| < c are of a higher order.
    """
    b, xi = Symbol("b", positive=True), Symbol("xi", real=True)
    spelled = b * exp(LAMBDA) / 2
    entry = exp(-LAMBDA) * exp(C * LAMBDA + xi)
    constant = Symbol(
        r"{\sum_{\lvert c_j\rvert=c}\exp\bigl(\operatorname{sign}(c_j)\,x_j^\top\xi\bigr)}", positive=True
    )
    name = Symbol(r"{\limsup_{\alpha\to0}\alpha^{-2(1-c)}\bigl(\lVert\beta_\alpha\rVert_1-\lVert\beta_1\rVert_1\bigr)}")
    return Derived(
        Le(name, sp.E * (1 - C) * constant, evaluate=False),
        {
            "arsinh written out": sp.simplify(exp(_on_the_support(b)) - exp(log(spelled + sqrt(spelled**2 + 1)))),
            "on S": sp.limit(_on_the_support(b) - LAMBDA, LAMBDA, sp.oo) - log(b),
            "off S": sp.simplify(entry.subs(LAMBDA, log(1 / ALPHA**2)) - ALPHA ** (2 * (1 - C)) * exp(xi)),
        },
    )


def excess_floor() -> Derived:
    r"""2 alpha^2 sinh(sum lambda_j s_j (Lambda + ln|beta_1,j|) + o(1)), with sum lambda_j s_j = c > 0."""
    size, rest = Symbol("l", real=True), exp(-2 * LAMBDA)
    inner = C * LAMBDA + size
    product = Symbol(
        r"{\prod_{j\in S}\lvert\beta_{1,j}\rvert^{\lambda_j\operatorname{sign}\beta_{1,j}}}", positive=True
    )
    name = Symbol(r"{\liminf_{\alpha\to0}\alpha^{-2(1-c)}\bigl(\lVert\beta_\alpha\rVert_1-\lVert\beta_1\rVert_1\bigr)}")
    scaled = exp((1 - C) * LAMBDA) * exp(-LAMBDA) * (exp(inner) - exp(-inner))
    return Derived(
        Ge(name, (1 - C) * product, evaluate=False),
        {
            "alpha^(-2(1 - c)) 2 alpha^2 sinh": sp.simplify(scaled - exp(size) + exp(-size) * rest**C),
            "the rest tends to 0": sp.limit(rest, LAMBDA, sp.oo),
        },
    )


def smallest_example() -> Derived:
    """X = (1, 1/2), y = 1, c = 1/2: the excess is half the second entry, about alpha/2. With p = e^(u/2)."""
    u = Symbol("u", positive=True)
    first, second = 2 * ALPHA**2 * sinh(u), 2 * ALPHA**2 * sinh(u / 2)
    least = 1  # of the l1 norm, at (1, 0)
    fit = first + second / 2 - 1
    excess = first + second - least
    p = Symbol("p", positive=True)
    scale = 1 / sqrt(p**2 - p**-2 + (p - 1 / p) / 2)  # alpha as a function of p, from X beta = 1
    in_p = (scale**2 * (p - 1 / p) / 2) / scale
    return Derived(
        Eq(
            Symbol(r"{\lim_{\alpha\to0}\tfrac1\alpha\bigl(\lVert\beta_\alpha\rVert_1-1\bigr)}"),
            Rational(1, 2),
            evaluate=False,
        ),
        {
            "excess is half the second entry": sp.expand(excess - second / 2 - fit),
            "X beta = 1": sp.simplify((fit.subs(u, 2 * log(p)).subs(ALPHA, scale)).rewrite(exp)),
            "limit": sp.limit(sp.simplify(in_p), p, sp.oo) - Rational(1, 2),
        },
    )


def all_derivations() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(
        three_points,
        upper_bound,
        lower_bound,
        excess_ceiling,
        excess_floor,
        smallest_example,
    )
