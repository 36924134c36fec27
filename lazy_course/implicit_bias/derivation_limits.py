r"""Both ends of alpha, in sympy: Q_alpha and its minimizer for alpha to infinity, and Q_alpha for alpha to 0.

LAMBDA is ln(1/alpha^2), which grows as alpha falls; EPS is alpha^-4. How fast the minimizer itself reaches the l1
solution is in derivation_rate.py.
"""

import sympy as sp
from sympy import Eq, Expr, Matrix, Rational, Symbol, diff, exp, log, sinh, sqrt

from lazy_course.derived import Derived, Rows
from lazy_course.implicit_bias.derivation import ALPHA, BETA, Z, potential

SIZE = Symbol(r"{\lvert\beta_i\rvert}", positive=True)
LAMBDA, EPS = Symbol(r"\Lambda", positive=True), Symbol("varepsilon", positive=True)


def large_q() -> Derived:
    """q(z) = z^2/4 - z^4/192 + O(z^6): the hint of Part II.5 with its next term."""
    printed = Z**2 / 4 - Z**4 / 192
    series = sp.series(potential().equation.rhs, Z, 0, 6).removeO()
    return Derived(
        Eq(Symbol("q(z)"), printed + sp.Order(Z**6), evaluate=False), {"series": sp.simplify(series - printed)}
    )


def large_scale() -> Derived:
    """Erratum P5: alpha^4 Q_alpha tends to ||beta||^2 / 4, and the next term of Q is -sum beta^4 / (192 alpha^8)."""
    q = potential().equation.rhs.subs(Z, BETA / ALPHA**2)
    leading = BETA**2 / (4 * ALPHA**4)
    total = Symbol(r"{\lVert\beta\rVert_2^2}")
    # In 1/alpha^4 = eps the limits are one-sided at 0.
    small = q.subs(ALPHA, EPS ** Rational(-1, 4))
    return Derived(
        Eq(Symbol(r"{\lim_{\alpha\to\infty}\alpha^4Q_\alpha(\beta)}"), total / 4, evaluate=False),
        {
            "limit": sp.limit(small / EPS, EPS, 0) - BETA**2 / 4,
            "next term": sp.limit((small - leading.subs(ALPHA, EPS ** Rational(-1, 4))) / EPS**2, EPS, 0)
            + BETA**4 / 192,
        },
    )


def _row_and_kernel() -> tuple[Matrix, Expr, Matrix, Matrix]:
    """One equation a b1 + b b2 = y: the minimum-norm solution and the projections on row space and kernel."""
    a, b, y = Symbol("a", positive=True), Symbol("b", positive=True), Symbol("y", positive=True)
    x = Matrix([[a, b]])
    onto_row = x.T * x / (a**2 + b**2)
    return x, y, onto_row, sp.eye(2) - onto_row


def first_correction() -> Derived:
    """beta = beta_2 + P_ker(beta_2^3) / (24 alpha^4) + O(alpha^-8), for one equation with free coefficients.

    With eps = alpha^-4 and X^T nu = (v0 + eps v1) / (2 alpha^2): beta = v + eps v^3/24 + O(eps^2), entry by entry.
    """
    x, y, onto_row, onto_kernel = _row_and_kernel()
    v0 = x.T * y / (x * x.T)[0]
    cubed = v0.applyfunc(lambda entry: entry**3)
    v1 = -onto_row * cubed / 24
    root = sqrt(EPS)
    beta = (v0 + EPS * v1).applyfunc(lambda v: sp.series(2 / root * sinh(root * v / 2), EPS, 0, 2).removeO())
    claimed = v0 + EPS * onto_kernel * cubed / 24
    v = Symbol("v", real=True)
    one = sp.series(2 / root * sinh(root * v / 2), EPS, 0, 3).removeO()
    fit = (x * beta)[0] - y
    kernel = Symbol(r"{P_{\ker X}\bigl(\beta_2^{\odot3}\bigr)}")
    order = Symbol(r"{O(\alpha^{-8})}")
    checks = {f"entry {i + 1}": sp.simplify(sp.expand(beta[i] - claimed[i]).coeff(EPS, 1)) for i in range(2)}
    checks |= {
        "one coordinate": sp.expand(one - v - EPS * v**3 / 24 - EPS**2 * v**5 / 1920),
        "X beta = y, order 0": sp.simplify(fit.subs(EPS, 0)),
        "X beta = y, order 1": sp.simplify(diff(fit, EPS).subs(EPS, 0)),
        "the correction is in the kernel": sp.simplify((x * onto_kernel * cubed)[0]),
    }
    return Derived(
        Eq(Symbol(r"\beta_\alpha"), Symbol(r"\beta_2") + kernel / (24 * ALPHA**4) + order, evaluate=False), checks
    )


def small_q() -> Derived:
    """alpha^2 q(b / alpha^2) = b (ln(1/alpha^2) + ln b - 1) + 2 alpha^2 - alpha^4 / b + ... for b > 0."""
    z = Symbol("z", positive=True)
    q = potential().equation.rhs.subs(Z, z).rewrite(log)
    leading = z * (log(z) - 1) + 2
    expanded = ALPHA**2 * leading.subs(z, SIZE / ALPHA**2)
    printed = SIZE * (log(1 / ALPHA**2) + log(SIZE) - 1) + 2 * ALPHA**2
    left = Symbol(r"{\alpha^2q(\beta_i/\alpha^2)}")
    y = Symbol("y", positive=True)
    return Derived(
        Eq(left, printed + sp.Order(ALPHA**4), evaluate=False),
        {
            "q(z) - z (ln z - 1) tends to 2": sp.limit(q - leading, z, sp.oo),
            "and then falls like -1/z": sp.limit(sp.simplify(((q - leading) / y).subs(z, 1 / y)), y, 0) + 1,
            "at z = b / alpha^2": sp.simplify(sp.expand_log(sp.expand(expanded - printed), force=True)),
        },
    )


def small_scale() -> Derived:
    """Erratum P6: alpha^2 Q / ln(1/alpha^2) tends to the l1 norm, and the difference is of order 1/ln(1/alpha^2)."""
    printed = SIZE * (LAMBDA + log(SIZE) - 1) + 2 * exp(-LAMBDA)
    name = Symbol(r"{\lim_{\alpha\to0}\frac{\alpha^2}{\ln(1/\alpha^2)}Q_\alpha(\beta)}")
    spelled = small_q().equation.rhs.removeO()
    return Derived(
        Eq(name, Symbol(r"{\lVert\beta\rVert_1}"), evaluate=False),
        {
            "limit": sp.limit(printed / LAMBDA, LAMBDA, sp.oo) - SIZE,
            "next order": sp.limit(printed - LAMBDA * SIZE, LAMBDA, sp.oo) - SIZE * (log(SIZE) - 1),
            "is the expansion": sp.simplify(
                sp.expand_log(sp.expand(printed.subs(LAMBDA, log(1 / ALPHA**2)) - spelled), force=True)
            ),
        },
    )


def all_derivations() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(
        large_q,
        large_scale,
        first_correction,
        small_q,
        small_scale,
    )
