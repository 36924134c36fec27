r"""The flow of the diagonal network and the potential that its limit minimizes, step by step, in sympy.

The loss is $L(w) = \|X\beta - y\|^2$ and $r = 2(X\beta - y)$; matrix identities are checked for N = d = 2 with free
entries. One coordinate of $X^\top\!\int_0^t r$ is R, one of $X^\top\nu$ is U. Every function returns a `Derived`.
"""

import sympy as sp
from sympy import Eq, Expr, Function, Ge, Integral, Le, Lt, Matrix, Symbol, asinh, cosh, diff, exp, sinh, sqrt

from lazy_course.derived import Derived, Rows

ALPHA, TIME, SIGMA = (Symbol(name, positive=True) for name in ("alpha", "t", "sigma"))
BETA, NU, Z, U, R = (Symbol(name, real=True) for name in (r"\beta_i", r"\nu", "z", "u", "R"))
LOSS, LOSS0, GRADIENT = Symbol("L(t)"), Symbol("L(0)", positive=True), Symbol(r"{\lVert\nabla L(w)\rVert^2}")
TARGET = Symbol(r"{\lVert y\rVert}", positive=True)

X2 = Matrix(2, 2, sp.symbols("x11 x12 x21 x22", real=True))
Y2 = Matrix(sp.symbols("y1 y2", real=True))
PLUS, MINUS = Matrix(sp.symbols("p1 p2", real=True)), Matrix(sp.symbols("m1 m2", real=True))


def squares(entries: Matrix) -> Matrix:
    """The entrywise square."""
    return entries.applyfunc(lambda entry: entry**2)


def residual(plus: Matrix = PLUS, minus: Matrix = MINUS) -> Matrix:
    """X beta - y for beta = w+^2 - w-^2, two samples and two inputs."""
    return X2 * (squares(plus) - squares(minus)) - Y2


def loss() -> Expr:
    """L = ||X beta - y||^2."""
    return sum(squares(residual()))


def kernel() -> Derived:
    """The tangent kernel sum_w df(w, x)/dw df(w, x')/dw at w = alpha 1, for two inputs."""
    x, other = Matrix(sp.symbols("x1 x2")), Matrix(sp.symbols("x1' x2'"))
    weights = [*PLUS, *MINUS]

    def slopes(point: Matrix) -> list[Expr]:
        f = (squares(PLUS) - squares(MINUS)).dot(point)
        return [diff(f, w) for w in weights]

    anywhere = sum(a * b for a, b in zip(slopes(x), slopes(other), strict=True))
    written = 4 * sum((PLUS[i] ** 2 + MINUS[i] ** 2) * x[i] * other[i] for i in range(2))
    at_start = anywhere.subs(dict.fromkeys(weights, ALPHA))
    return Derived(
        Eq(Symbol(r"K_{\alpha 1}(x,x')"), 8 * ALPHA**2 * Symbol(r"{\langle x,x'\rangle}"), evaluate=False),
        {
            "anywhere: 4 sum (w+^2 + w-^2) x x'": sp.expand(anywhere - written),
            "at alpha 1": sp.expand(at_start - 8 * ALPHA**2 * x.dot(other)),
        },
    )


def gradient() -> Derived:
    """-grad L = -2 (Xtilde^T r) o w with Xtilde = [X, -X] and r = 2 (X beta - y): equation (10) with its transpose."""
    weights = Matrix([*PLUS, *MINUS])
    tilde = X2.row_join(-X2)
    inner = tilde.T * (2 * residual())
    flow = [-2 * inner[i] * weights[i] for i in range(4)]
    checks = {f"entry {i + 1}": sp.expand(flow[i] + diff(loss(), weights[i])) for i in range(4)}
    checks["residual in the doubled form"] = sum(sp.expand(e) for e in tilde * squares(weights) - Y2 - residual())
    right = Symbol(r"{-2\,\bigl(\tilde X^\top r(t)\bigr)\circ w(t)}")
    return Derived(Eq(Symbol(r"{\dot w(t)}"), right, evaluate=False), checks)


def weights() -> Derived:
    """One coordinate: w = alpha exp(-+2 R(t)) solves w' = -+2 R'(t) w, w(0) = alpha, for any R with R(0) = 0."""
    integral = Function("R")(TIME)
    solved = {sign: ALPHA * exp(-2 * sign * integral) for sign in (1, -1)}
    checks = {f"equation, sign {s}": diff(w, TIME) + 2 * s * diff(integral, TIME) * w for s, w in solved.items()}
    checks |= {f"start, sign {s}": w.subs(integral, 0) - ALPHA for s, w in solved.items()}
    right = ALPHA * exp(Symbol(r"{\mp2X^\top\int_0^tr(s)\,ds}"))
    return Derived(Eq(Symbol(r"{w_\pm(t)}"), right, evaluate=False), checks)


def closed_form() -> Derived:
    """beta = w+^2 - w-^2 = alpha^2 (exp(-4R) - exp(4R)) = 2 alpha^2 sinh(X^T nu), nu = -4 times the integral of r."""
    plus, minus = ALPHA * exp(-2 * R), ALPHA * exp(2 * R)
    printed = ALPHA**2 * (exp(-4 * R) - exp(4 * R))
    exponent = Symbol(r"{4X^\top\int_0^tr(s)\,ds}", real=True)
    return Derived(
        Eq(Symbol(r"\beta(t)"), ALPHA**2 * sp.Add(exp(-exponent), -exp(exponent), evaluate=False), evaluate=False),
        {
            "difference of squares": sp.expand(plus**2 - minus**2 - printed),
            "as a hyperbolic sine": sp.simplify((printed - 2 * ALPHA**2 * sinh(-4 * R)).rewrite(exp)),
        },
    )


def slope_of_q() -> Expr:
    """What stationarity leaves for q': solve z = 2 sinh(u) = e - 1/e for u = ln(e), with z = beta / alpha^2."""
    e = Symbol("e")
    lower, upper = sp.solve(e**2 - Z * e - 1, e)
    if sp.expand(lower * upper) != -1:
        raise ArithmeticError("the roots e should have the product -1, so that exactly one is positive")
    return sp.log(upper)


def q(z: Expr) -> Expr:
    """q(z) = z arcsinh(z/2) - sqrt(z^2 + 4) + 2, which `potential` derives."""
    return z * asinh(z / 2) - sqrt(z**2 + 4) + 2


def potential() -> Derived:
    """Erratum P1. Stationarity asks q'(beta_i / alpha^2) to be a row of X^T mu, and u_i = (X^T nu)_i is one: q' = u."""
    slope = slope_of_q()
    u = Symbol("u", positive=True)
    integrated = sp.integrate(asinh(u / 2), (u, 0, Symbol("z", positive=True)))
    printed = q(Z)
    left = Eq(Function("q")(Z), Integral(asinh(U / 2), (U, 0, Z)), evaluate=False)
    positive = Symbol("z", positive=True)
    return Derived(
        Eq(left.lhs, printed, evaluate=False),
        {
            "u as a function of z = beta / alpha^2": sp.simplify((slope - asinh(Z / 2)).rewrite(sp.log)),
            "integral": sp.simplify(integrated - printed.subs(Z, positive)),
            "derivative": sp.simplify(diff(printed, Z) - asinh(Z / 2)),
            "q(0)": printed.subs(Z, 0),
            "q is even": sp.simplify((printed - printed.subs(Z, -Z)).rewrite(sp.log)),
            "second derivative 1/sqrt(z^2 + 4)": sp.simplify(diff(printed, Z, 2) - 1 / sqrt(Z**2 + 4)),
        },
    )


def stationarity() -> Derived:
    """The gradient of Q_alpha at beta = 2 alpha^2 sinh(u) is u / alpha^2: in the row space, with mu = nu / alpha^2."""
    q = potential().equation.rhs
    slope = diff(q.subs(Z, BETA / ALPHA**2), BETA)
    at_limit = slope.subs(BETA, 2 * ALPHA**2 * sinh(U))
    left = Symbol(r"{\frac{1}{\alpha^2}\operatorname{arsinh}\frac{\beta_i}{2\alpha^2}}")
    return Derived(
        Eq(left, Symbol(r"{(X^\top\mu)_i}"), evaluate=False),
        {
            "gradient of Q": sp.simplify(slope - asinh(BETA / (2 * ALPHA**2)) / ALPHA**2),
            "at the limit of the flow": sp.simplify(sinh(ALPHA**2 * at_limit) - sinh(U)),
        },
    )


def conserved_product() -> Derived:
    """d/dt (w+ w-) = 0 along the flow, for two coordinates and any data."""
    moved = {w: -diff(loss(), w) for w in (*PLUS, *MINUS)}
    checks = {f"coordinate {i + 1}": sp.expand(moved[PLUS[i]] * MINUS[i] + PLUS[i] * moved[MINUS[i]]) for i in range(2)}
    return Derived(Eq(Symbol(r"{w_+(t)\circ w_-(t)}"), Symbol(r"{\alpha^2\mathbf 1}"), evaluate=False), checks)


def sum_of_squares() -> Derived:
    """w+^2 + w-^2 = sqrt(beta^2 + 4 alpha^4), at least 2 alpha^2, since the product is alpha^2."""
    plus = Symbol("w_+", positive=True)
    minus = ALPHA**2 / plus
    beta, total = plus**2 - minus**2, plus**2 + minus**2
    return Derived(
        Eq(Symbol("w_{+,i}^2+w_{-,i}^2"), sqrt(BETA**2 + 4 * ALPHA**4), evaluate=False),
        {
            "squares": sp.expand(total**2 - beta**2 - 4 * ALPHA**4),
            "above 2 alpha^2 by a square": sp.expand(total - 2 * ALPHA**2 - (plus - minus) ** 2),
        },
    )


def gradient_bound() -> Derived:
    """||grad L||^2 = 16 sum (w+^2 + w-^2) (X^T rho)^2, rho = X beta - y: at least 32 alpha^2 sigma^2 L in the range."""
    pulled = X2.T * residual()
    squared = sum(diff(loss(), w) ** 2 for w in (*PLUS, *MINUS))
    written = 16 * sum((PLUS[i] ** 2 + MINUS[i] ** 2) * pulled[i] ** 2 for i in range(2))
    left = 16 * sum((PLUS[i] - MINUS[i]) ** 2 * pulled[i] ** 2 for i in range(2))
    products = 32 * sum(PLUS[i] * MINUS[i] * pulled[i] ** 2 for i in range(2))
    return Derived(
        Ge(GRADIENT, 32 * ALPHA**2 * SIGMA**2 * Symbol("L(w)"), evaluate=False),
        {
            "gradient": sp.expand(squared - written),
            "what is dropped: 16 sum (w+ - w-)^2 (X^T rho)^2": sp.expand(written - products - left),
        },
    )


def zero_error() -> Derived:
    """L' = -||grad L||^2 <= -rate L gives L(t) <= L(0) exp(-rate t); r = 2 sqrt(L) has a finite integral."""
    rate = 32 * ALPHA**2 * SIGMA**2
    falling = Function("L")(TIME)
    grown = diff(exp(rate * TIME) * falling, TIME).subs(diff(falling, TIME), -rate * falling)
    path = sp.integrate(2 * sqrt(LOSS0) * exp(-rate / 2 * TIME), (TIME, 0, sp.oo))
    return Derived(
        Le(LOSS, LOSS0 * exp(-rate * TIME), evaluate=False),
        {
            "exp(rate t) L does not grow": sp.expand(grown),
            "integral of ||r||": sp.simplify(path - sqrt(LOSS0) / (8 * ALPHA**2 * SIGMA**2)),
        },
    )


def residual_path() -> Derived:
    """With L(0) = ||y||^2, as beta(0) = 0: the integral of ||r|| over all times."""
    rate = 32 * ALPHA**2 * SIGMA**2
    path = sp.integrate(2 * TARGET * exp(-rate / 2 * TIME), (TIME, 0, sp.oo))
    printed = TARGET / (8 * ALPHA**2 * SIGMA**2)
    name = Symbol(r"{\int_0^\infty\lVert r(t)\rVert\,dt}")
    return Derived(Le(name, printed, evaluate=False), {"integral": sp.simplify(path - printed)})


def late_flow() -> Derived:
    """rho = X beta - y follows rho' = -8 X diag(w+^2 + w-^2) X^T rho: from beta' = 2 w+ w+' - 2 w- w-'."""
    rho = residual()
    moved = Matrix([-2 * PLUS[i] * diff(loss(), PLUS[i]) + 2 * MINUS[i] * diff(loss(), MINUS[i]) for i in range(2)])
    metric = sp.diag(*(PLUS[i] ** 2 + MINUS[i] ** 2 for i in range(2)))
    difference = X2 * moved + 8 * X2 * metric * X2.T * rho
    right = Symbol(r"{-8\,X\operatorname{diag}(w_+^2+w_-^2)\,X^\top\varrho}")
    checks = {f"entry {i + 1}": sp.expand(difference[i]) for i in range(2)}
    return Derived(Eq(Symbol(r"{\dot\varrho}"), right, evaluate=False), checks)


def earliest_time() -> Derived:
    """The loss falls, so ||r|| <= 2 ||y|| and |(X^T nu)_j| <= 8 ||x_j|| ||y|| t: b needs u >= ln(b / alpha^2)."""
    column, b = Symbol(r"{\lVert x_j\rVert}", positive=True), Symbol("b", positive=True)
    exponent = 4 * column * 2 * TARGET * TIME
    reached = sp.solve(Eq(ALPHA**2 * exp(exponent), b), TIME)[0]
    printed = sp.log(b / ALPHA**2) / (8 * column * TARGET)
    gap = ALPHA**2 * exp(U) - 2 * ALPHA**2 * sinh(U)
    return Derived(
        Ge(TIME, printed, evaluate=False),
        {
            "alpha^2 e^u is above |beta|": sp.simplify((gap - ALPHA**2 * exp(-U)).rewrite(exp)),
            "time": sp.simplify(sp.expand_log(reached - printed, force=True)),
        },
    )


def newton_step() -> Derived:
    r"""A Newton step cut to max |X^T delta| <= s lowers the dual if 1 + s + s^2 > e^s; M is max |X^T delta| before.

    Along the step, phi(t) = g(nu + t delta) has phi'' <= phi''(0) e^(Mt), since cosh' <= cosh, and
    phi'(0) = -phi''(0). Integrate twice up to t = s/M <= 1.
    """
    s, m, t, later = (Symbol(name, positive=True) for name in ("s", "M", "t", "tau"))
    slope = -1 + sp.integrate(exp(m * t), (t, 0, later))
    change = sp.integrate(slope, (later, 0, s / m))
    printed = (sp.exp(s) - 1 - s - s * m) / m**2
    return Derived(
        Lt(sp.exp(s), 1 + s + s**2, evaluate=False),
        {
            "change over phi''(0)": sp.simplify(sp.expand(change - printed)),
            "largest at M = s": sp.simplify(printed.subs(m, s) * s**2 - (sp.exp(s) - 1 - s - s**2)),
            "cosh' <= cosh": sp.simplify((cosh(U) - diff(cosh(U), U) - exp(-U)).rewrite(exp)),
            "second derivative of 1 + s + s^2 - e^s changes sign once": diff(1 + s + s**2 - sp.exp(s), s, 2)
            - (2 - sp.exp(s)),
        },
    )


def all_derivations() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(
        kernel,
        gradient,
        weights,
        closed_form,
        potential,
        stationarity,
        conserved_product,
        sum_of_squares,
        gradient_bound,
        zero_error,
        residual_path,
        late_flow,
        earliest_time,
        newton_step,
    )
