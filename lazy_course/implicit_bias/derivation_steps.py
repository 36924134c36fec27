r"""Steps of the chapter's proofs that print no formula of their own, in sympy: kappa, duality, convexity, projections.

Matrix identities are checked for N = d = 2 with free entries, or for one sample of three inputs.
"""

import sympy as sp
from sympy import Eq, Ge, Le, Matrix, Rational, Symbol, diff, log, sqrt

from lazy_course.derived import Derived, Rows
from lazy_course.implicit_bias.derivation import ALPHA, BETA, MINUS, PLUS, X2, Y2, Z, q, squares

B = Symbol("b", positive=True)


def inverse_relative_scale() -> Derived:
    """At alpha 1: Dh Dh^T = 8 alpha^2 X X^T, and D2h[u, u] = 2 X (u+^2 - u-^2), for h = X (w+^2 - w-^2)."""
    weights = [*PLUS, *MINUS]
    h = X2 * (squares(PLUS) - squares(MINUS))
    jacobian = h.jacobian(weights)
    product = (jacobian * jacobian.T).subs(dict.fromkeys(weights, ALPHA)) - 8 * ALPHA**2 * X2 * X2.T
    u = Matrix(sp.symbols("u1:5", real=True))
    bent = Matrix([(u.T * sp.hessian(entry, weights) * u)[0] for entry in h])
    bent -= 2 * X2 * (squares(u[:2, :]) - squares(u[2:, :]))
    checks = {f"Dh Dh^T, entry {i + 1}": sp.expand(product[i]) for i in range(4)}
    checks |= {f"D2h[u, u], entry {i + 1}": sp.expand(bent[i]) for i in range(2)}
    name, norm = Symbol(r"{Dh\,Dh^\top}"), Symbol(r"{XX^\top}")
    return Derived(Eq(name, 8 * ALPHA**2 * norm, evaluate=False), checks)


def linearized_flow() -> Derived:
    """The linearized predictor 2 alpha (w+ - w-) follows beta' = -16 alpha^2 X^T (X beta - y)."""
    weights = Matrix([*PLUS, *MINUS])
    beta = 2 * ALPHA * (PLUS - MINUS)
    rho = X2 * beta - Y2
    objective = sum(squares(rho))
    moved = -Matrix([diff(objective, w) for w in weights])
    along = 2 * ALPHA * (moved[:2, :] - moved[2:, :]) + 16 * ALPHA**2 * X2.T * rho
    model = squares(PLUS) - squares(MINUS)
    slope = model.jacobian(weights).subs(dict.fromkeys(weights, ALPHA)) * (weights - ALPHA * sp.ones(4, 1))
    checks = {f"the first-order model, entry {i + 1}": sp.expand((slope - beta)[i]) for i in range(2)}
    checks |= {f"flow, entry {i + 1}": sp.expand(along[i]) for i in range(2)}
    right = Symbol(r"{-16\alpha^2X^\top(X\bar\beta-y)}")
    return Derived(Eq(Symbol(r"{\bar\beta'}"), right, evaluate=False), checks)


def duality() -> Derived:
    """Why stationarity is enough: <X^T mu, gamma - beta> = <mu, X gamma - X beta>, and q grows faster than |z|."""
    gamma, beta = Matrix(sp.symbols("c1 c2", real=True)), Matrix(sp.symbols("b1 b2", real=True))
    mu = Matrix(sp.symbols("mu1 mu2", real=True))
    left = (X2.T * mu).dot(gamma - beta) - mu.dot(X2 * gamma - X2 * beta)
    z = Symbol("z", positive=True)
    return Derived(
        Ge(Symbol(r"{Q_\alpha(\gamma)}"), Symbol(r"{Q_\alpha(\beta)}"), evaluate=False),
        {
            "convexity: q'' = 1/sqrt(4 + z^2)": sp.simplify(diff(q(Z), Z, 2) - 1 / sqrt(4 + Z**2)),
            "convexity: |z|/q(z) tends to 0": sp.limit((z / q(z)).rewrite(log), z, sp.oo),
            "the linear term sees X gamma - X beta only": sp.expand(left),
        },
    )


def least_slope() -> Derived:
    """Large scale: s' = 1/sqrt(1 + (u/2 alpha^2)^2), and 24/21 of ||beta_2^3||/(24 alpha^4) is the theorem's bound."""
    ratio = Symbol("x", nonnegative=True)  # u / (2 alpha^2)
    value = 2 * ALPHA**2 * sp.asinh(BETA / (2 * ALPHA**2))
    slope = 1 / sqrt(1 + ratio**2)
    cube = Symbol(r"{\lVert\beta_2^3\rVert}", positive=True)
    printed = cube / (21 * ALPHA**4)
    name = Symbol(r"{\lVert\beta_\alpha-\beta_2\rVert}")
    step = Rational(22, 21)
    second = 3 * step**2 * printed / (24 * ALPHA**4)
    return Derived(
        Le(name, printed, evaluate=False),
        {
            "slope of s": sp.simplify(diff(value, BETA).subs(BETA, 2 * ALPHA**2 * ratio) - slope),
            "it falls in |u|": sp.simplify(diff(slope, ratio) + ratio / (1 + ratio**2) ** Rational(3, 2)),
            "divide by 21/24": sp.simplify(Rational(24, 21) * cube / (24 * ALPHA**4) - printed),
            "the change of the cubes, 3 (22/21)^2 / (24 21)": sp.simplify(second - step**2 / 168 * cube / ALPHA**8),
        },
    )


def entropy() -> Derived:
    """Jensen: b log b is convex, so a sum over two with the total M is least at M/2; and 2 alpha^2 >= alpha^4/b."""
    mass, part = Symbol("M", positive=True), Symbol("p", positive=True)
    total = part * log(part) + (mass - part) * log(mass - part)
    size, other = Symbol("m", positive=True), Symbol("n", positive=True)
    return Derived(
        Ge(sp.Sum(Symbol("m_j") * log(Symbol("m_j")), (Symbol("j"), 1, Symbol("d"))), mass * log(mass / Symbol("d"))),
        {
            "b log b is convex": diff(B * log(B), B, 2) - 1 / B,
            "stationary at M/2": sp.simplify(diff(total, part).subs(part, mass / 2)),
            "with the value M log(M/2)": sp.simplify(total.subs(part, mass / 2) - mass * log(mass / 2)),
            "and convex in between": sp.simplify(
                diff(total, part, 2).subs(mass, size + other).subs(part, size) - 1 / size - 1 / other
            ),
            "2 alpha^2 - alpha^4/b is alpha^2 (2 b - alpha^2)/b": sp.simplify(
                2 * ALPHA**2 - ALPHA**4 / B - ALPHA**2 * (2 * B - ALPHA**2) / B
            ),
        },
    )


def mobility() -> Derived:
    """sqrt(beta^2 + 4 alpha^4) <= |beta| + 2 alpha^2: the squares differ by 4 alpha^2 |beta|."""
    size = Symbol(r"{\lvert\beta_i\rvert}", nonnegative=True)
    p = sqrt(size**2 + 4 * ALPHA**4)
    return Derived(
        Le(Symbol("p_i"), size + 2 * ALPHA**2, evaluate=False),
        {"squares": sp.expand((size + 2 * ALPHA**2) ** 2 - p**2 - 4 * ALPHA**2 * size)},
    )


def row_space() -> Derived:
    """The projection on the row space of any 2 x 3 matrix: its trace is 2, and |b - P b|^2 = <b, (1 - P) b>."""
    x = Matrix(2, 3, sp.symbols("x1:7", real=True))
    projection = x.T * (x * x.T).inv() * x
    b = Matrix(sp.symbols("b1:4", real=True))
    rest = b - projection * b
    share, samples, inputs = Symbol(r"{\mathbb{E}P}"), Symbol("N", positive=True), Symbol("d", positive=True)
    return Derived(
        Eq(share, samples / inputs * Symbol(r"{\mathrm{Id}}"), evaluate=False),
        {
            "trace": sp.cancel(projection.trace() - 2),
            "what is left": sp.cancel(rest.dot(rest) - b.dot(rest)),
        },
    )


def all_steps() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(inverse_relative_scale, linearized_flow, duality, least_slope, entropy, mobility, row_space)
