"""The algebra of the first correction, the smallest example, the change of time and the generalization bound.

EPS stands for 1/alpha. The scaled displacement is u = alpha (w - w0) and the model in these coordinates is
H(u, eps) = (h(w0 + eps u) - h(w0)) / eps; its flow is u' = -Dh(w0 + eps u)^T grad R(H(u, eps)).
"""

from itertools import combinations_with_replacement

import sympy as sp
from sympy import Eq, Expr, Function, Matrix, Rational, Symbol, exp, sqrt

from lazy_course.derived import Derived, Rows
from lazy_course.finite_horizon.derivation import ALPHA, ELL, LIP, TIME, M

EPS = Symbol("varepsilon", positive=True)
TARGET = Symbol(r"y^\star", positive=True)
DEGREE = Symbol("q", positive=True)


def _jet(name: str, x: Matrix, order: int) -> Expr:
    """A polynomial with free coefficients, the Taylor polynomial of any function up to the order, without constant."""
    terms = []
    for degree in range(1, order + 1):
        for index in combinations_with_replacement(range(len(x)), degree):
            terms.append(Symbol(name + "".join(map(str, index))) * sp.prod(x[i] for i in index))
    return sum(terms)


def _scaled_model(u: Matrix) -> tuple[Matrix, Matrix]:
    """Return H(u, eps) and Dh(w0 + eps u) for any h up to third order, two outputs."""
    x = Matrix(sp.symbols(f"x0:{len(u)}"))
    h = Matrix([_jet(f"h{n}_", x, 3) for n in range(2)])
    moved = dict(zip(x, EPS * u, strict=True))
    scaled = (h.subs(moved, simultaneous=True) / EPS).applyfunc(sp.expand)
    return scaled, h.jacobian(x).subs(moved, simultaneous=True)


def first_correction(*, force_sign: int = -1) -> Derived:
    """Put u = v0 + eps v1 into the flow and collect the powers of eps, for any h and R of two variables each.

    `force_sign` is the sign claimed for (D2h[v0, .])^T grad R; with +1 the checks must fail, which a test asserts.
    """
    v0, v1 = Matrix(sp.symbols("a0 a1")), Matrix(sp.symbols("b0 b1"))
    model, differential = _scaled_model(v0 + EPS * v1)
    y = Matrix(sp.symbols("y0 y1"))
    # R enters only through its gradient and Hessian at ybar = J0 v0, so its jet is taken there.
    gradient = Matrix(sp.symbols("g0 g1"))
    hessian = Matrix(2, 2, lambda i, j: Symbol(f"H{min(i, j)}{max(i, j)}"))
    ybar = model.subs(EPS, 0)
    residual = gradient + hessian * (y - ybar)
    residual += Matrix([_jet(f"c{n}_", y - ybar, 2) - _jet(f"c{n}_", y - ybar, 1) for n in range(2)])
    speed = -differential.T * residual.subs(dict(zip(y, model, strict=True)), simultaneous=True)
    zeroth = speed.subs(EPS, 0)
    first = speed.diff(EPS).subs(EPS, 0)
    jacobian = differential.subs(EPS, 0)
    curvature = _second_differential(v0)
    by_hand = -jacobian.T * hessian * (jacobian * v1 + curvature * v0 / 2) + force_sign * curvature.T * gradient
    checks = {f"order 0, entry {i}": sp.expand((zeroth + jacobian.T * gradient)[i]) for i in range(2)}
    checks |= {f"order 1, entry {i}": sp.expand((first - by_hand)[i]) for i in range(2)}
    outputs = (model.diff(EPS).subs(EPS, 0) - jacobian * v1 - curvature * v0 / 2).applyfunc(sp.expand)
    checks |= {f"output at order 1, entry {i}": outputs[i] for i in range(2)}
    left, right = Symbol(r"{\dot v_1}"), Symbol(r"{J_0^\top H_R(\bar y)}")
    inner = Symbol(r"{\left[J_0v_1+\tfrac12D^2h[v_0,v_0]\right]}")
    force = Symbol(r"{\left(D^2h[v_0,\cdot\,]\right)^\top\nabla R(\bar y)}")
    return Derived(Eq(left, -right * inner - force, evaluate=False), checks)


def _second_differential(v: Matrix) -> Matrix:
    """The matrix of u -> D2h(w0)[v, u], read off the differential of the jet."""
    _, differential = _scaled_model(v)
    return differential.diff(EPS).subs(EPS, 0)


def example_flows() -> tuple[Expr, Expr]:
    """Outputs y(t) and ybar(t) of the smallest example, h(w) = w + w^2/2 at w0 = 0, square loss, target y*."""
    rate = 1 + 2 * EPS * TARGET
    decay = exp(-rate * TIME)
    return TARGET * (1 - decay) / (1 + 2 * EPS * TARGET * decay), TARGET * (1 - exp(-TIME))


def example_displacement() -> Expr:
    """alpha (w - w0) along the flow of the smallest example: w = sqrt(1 + 2 h) - 1."""
    y, _ = example_flows()
    return (sqrt(1 + 2 * EPS * y) - 1) / EPS


def example_solution() -> Derived:
    """The closed form of y(t) solves y' = -(1 + w)^2 (y - y*) with (1 + w)^2 = 1 + 2 y / alpha."""
    y, ybar = example_flows()
    u = example_displacement()
    speed = -(1 + EPS * u) * (u + EPS * u**2 / 2 - TARGET)
    return Derived(
        Eq(Function("y")(TIME), y.subs(EPS, 1 / ALPHA), evaluate=False),
        {
            "y' = -Sigma (y - y*)": sp.together(sp.diff(y, TIME) + (1 + 2 * EPS * y) * (y - TARGET)),
            "y(0)": y.subs(TIME, 0),
            "linearized": sp.diff(ybar, TIME) + ybar - TARGET,
            "w solves its own flow": sp.simplify(sp.diff(u, TIME) - speed),
        },
    )


def example_correction() -> Derived:
    """v1 of the smallest example: solved by sympy from its ODE, and again as the limit of the exact flow."""
    v = Function("v")
    v0 = TARGET * (1 - exp(-TIME))
    right = -(v(TIME) + v0**2 / 2) - v0 * (v0 - TARGET)
    solved = sp.dsolve(Eq(v(TIME).diff(TIME), right), v(TIME), ics={v(0): 0}).rhs
    printed = TARGET**2 * (2 * exp(-TIME) * (TIME - 1 + exp(-TIME)) - (1 - exp(-TIME)) ** 2 / 2)
    y, _ = example_flows()
    limit = sp.diff(y, EPS).subs(EPS, 0) - v0**2 / 2
    return Derived(
        Eq(Symbol("v_1"), printed, evaluate=False),
        {
            "from the ODE": sp.expand(solved - printed),
            "from the exact flow": sp.expand(limit - printed),
            "t^2/2 for small t": sp.limit(printed / TIME**2, TIME, 0) - TARGET**2 / 2,
        },
    )


def example_output_correction() -> Derived:
    """alpha (y - ybar) -> 2 y*^2 e^-t (t - 1 + e^-t), which is y*^2 t^2 for small t: Theorem 2.3 is sharp there."""
    y, ybar = example_flows()
    limit = sp.diff(y, EPS).subs(EPS, 0)
    printed = 2 * TARGET**2 * exp(-TIME) * (TIME - 1 + exp(-TIME))
    gap = Symbol(r"{\lim_{\alpha\to\infty}\alpha\,(y-\bar y)}")
    return Derived(
        Eq(gap, printed, evaluate=False),
        {
            "limit": sp.expand(limit - printed),
            "y = ybar at 1/alpha = 0": sp.simplify(y.subs(EPS, 0) - ybar),
            "ratio to K^2 y*^2 / alpha": sp.limit(printed / TIME**2, TIME, 0) - TARGET**2,
        },
    )


def exponential_gap() -> Derived:
    """h = (w1, w2 + w1^2/2), R = (y1 - 1)^2/2 + 1 + cos y2: M = S = 1, and alpha (y2 - ybar2) grows like e^t / 6."""
    v = Function("v")
    v01 = 1 - exp(-TIME)
    # J0 = Id, ybar = (v01, 0), H_R = diag(1, -cos 0), grad R = (v01 - 1, 0), D2h[v0, v0] = (0, v01^2).
    correction = sp.dsolve(Eq(v(TIME).diff(TIME), v(TIME) + v01**2 / 2), v(TIME), ics={v(0): 0}).rhs
    printed = exp(TIME) / 6 - exp(-TIME) / 2 + exp(-2 * TIME) / 3
    gap = Symbol(r"{\lim_{\alpha\to\infty}\alpha\,(y_2-\bar y_2)}")
    return Derived(
        Eq(gap, printed, evaluate=False),
        {
            "output correction": sp.expand(correction + v01**2 / 2 - printed),
            "starts at 0": printed.subs(TIME, 0),
            "e^t / 6 for large t": sp.limit(printed * exp(-TIME), TIME, sp.oo) - Rational(1, 6),
        },
    )


def odd_symmetry() -> Derived:
    """A doubled pair h = b s(a x) + c s(d x), any s, with P (a, b, d, c) = (d, -c, a, -b): h(P w) = -h(w)."""
    a, b, d, c, x = sp.symbols("a b d c x", real=True)
    w, swapped = Matrix([a, b, d, c]), Matrix([d, -c, a, -b])
    swap = swapped.jacobian(w)
    activation = Function("s")
    h = b * activation(a * x) + c * activation(d * x)
    to_swapped = dict(zip(w, swapped, strict=True))
    gradient = Matrix([sp.diff(h, variable) for variable in w])
    at_swapped = gradient.subs(to_swapped, simultaneous=True).doit()
    turned = swap * gradient + at_swapped
    checks = {f"P Dh(w)^T = -Dh(P w)^T, entry {i}": sp.simplify(turned[i].doit()) for i in range(4)}
    checks["h(P w) = -h(w)"] = h.subs(to_swapped, simultaneous=True) + h
    checks["P is orthogonal"] = sum(abs(entry) for entry in swap.T * swap - sp.eye(4))
    fixed = {d: a, c: -b}
    checks["the doubled start is fixed"] = sum(abs(entry) for entry in (swapped - w).subs(fixed))
    return Derived(Eq(Function("h")(Symbol("{Pw}")), -Function("h")(Symbol("w")), evaluate=False), checks)


def certified_block() -> Derived:
    """The norm of [[beta, gamma], [gamma, 0]], and sup |tanh''| = 4 / (3 sqrt 3) at tanh^2 = 1/3."""
    beta, gamma = sp.symbols("beta gamma", positive=True)
    largest = (beta + sqrt(beta**2 + 4 * gamma**2)) / 2
    block = Matrix([[beta, gamma], [gamma, 0]])
    z = Symbol("z", real=True)
    second = sp.diff(sp.tanh(z), z, 2)
    top = sp.atanh(1 / sqrt(3))
    return Derived(
        Eq(Symbol(r"{\mathrm{Lip}(Dh)}"), largest, evaluate=False),
        {
            "eigenvalue": sp.expand((block - largest * sp.eye(2)).det()),
            "the other one is smaller in size": largest + (beta - sqrt(beta**2 + 4 * gamma**2)) / 2 - beta,
            "stationary": sp.simplify(sp.diff(second, z).subs(z, top)),
            "value": sp.simplify(sp.Abs(second.subs(z, top)) - 4 / (3 * sqrt(3))),
        },
    )


def smoothness_of_objective() -> Derived:
    """One parameter, one output: F_alpha'' = R'' h'^2 + h'' R' / alpha; the second term is what (C7) forgets."""
    w = Symbol("w", real=True)
    h, loss = Function("h")(w), Function("R")
    objective = loss(ALPHA * h) / ALPHA**2
    slope = Function("r")  # r stands for R', a function of the output
    first = slope(ALPHA * h) * h.diff(w) / ALPHA
    second = h.diff(w) ** 2 * slope(ALPHA * h).fdiff(1) + h.diff(w, 2) * slope(ALPHA * h) / ALPHA
    residual = Symbol(r"{\sup\lVert\nabla R(\alpha h)\rVert}")
    return Derived(
        Eq(Symbol(r"{\mathrm{Lip}(\nabla F_\alpha)}"), M * ELL**2 + LIP * residual / ALPHA, evaluate=False),
        {
            "first derivative": sp.diff(objective, w) - loss(ALPHA * h).fdiff(1) * h.diff(w) / ALPHA,
            "second derivative": sp.expand(sp.diff(first, w) - second),
        },
    )


def change_of_time() -> Derived:
    """For h of degree q, u = alpha^(1/q) w: du/dt = alpha^(2/q - 2) (-Dh(u)^T grad R(h(u)))."""
    w1, w2 = sp.symbols("w1 w2", positive=True)
    w = Matrix([w1, w2])
    h = w1**DEGREE * Function("f")(w2 / w1)
    scale = ALPHA ** (1 / DEGREE)
    moved = {w1: scale * w1, w2: scale * w2}
    residual = Function("r")(ALPHA * h)
    checks = {}
    for variable in w:
        speed = -h.diff(variable).doit() * residual / ALPHA
        at_u = -h.diff(variable).doit().subs(moved, simultaneous=True).doit()
        # grad R(h(u)) is grad R(alpha h(w)), since h(u) = alpha h(w).
        wanted = ALPHA ** (2 / DEGREE - 2) * at_u * residual
        checks[f"speed of u, {variable}"] = sp.powsimp(sp.expand(scale * speed - wanted), force=True)
    checks["h(u) = alpha h(w)"] = h.subs(moved, simultaneous=True) - ALPHA * h
    clock = Symbol("s")
    return Derived(Eq(clock, ALPHA ** (2 / DEGREE - 2) * TIME, evaluate=False), checks)


def generalization_gap() -> Derived:
    """Prop. A.1 repaired: travel c0 and gap c1 give (1/alpha)(M1 c1 + M2 c0^2 / 2), with logs as printed."""
    m1, m2, c0, c1 = sp.symbols("M_1 M_2 c_0 c_1", positive=True)
    log = sp.log(ALPHA)
    curved = ALPHA / 2 * m2 * (c0 / ALPHA) ** 2
    straight = ALPHA * m1 * c1 / ALPHA**2
    printed = (m1 * c1 + m2 * c0**2 / 2) / ALPHA
    with_logs = (curved + straight).subs({c0: c0 * log, c1: c1 * log}, simultaneous=True)
    return Derived(
        Eq(Symbol(r"{\sup_x\lVert\alpha f-\alpha\bar f\rVert}"), printed, evaluate=False),
        {
            "sum": sp.expand(curved + straight - printed),
            "with logarithms the rate is log^2/alpha": sp.limit(with_logs * ALPHA / log**2, ALPHA, sp.oo)
            - m2 * c0**2 / 2,
        },
    )


def relu_modulus() -> Derived:
    """ReLU in L2 of a Gaussian plane: ||Dh(a) - Dh(b)||^2 = (theta + sin theta) / pi at angle theta."""
    angle, phi, radius = sp.symbols("theta phi r", positive=True)
    # x = r (cos phi, sin phi) around the middle of the double wedge where exactly one of the gates is on.
    density = radius * exp(-(radius**2) / 2) / (2 * sp.pi)
    along = sp.integrate(radius**2 * density, (radius, 0, sp.oo))
    best = 2 * along * sp.integrate(sp.cos(phi) ** 2, (phi, -angle / 2, angle / 2))
    across = 2 * along * sp.integrate(sp.sin(phi) ** 2, (phi, -angle / 2, angle / 2))
    printed = (angle + sp.sin(angle)) / sp.pi
    squared = Symbol(r"{\lVert Dh(a)-Dh(b)\rVert^2}")
    return Derived(
        Eq(squared, printed, evaluate=False),
        {
            "integral": sp.simplify(best - printed),
            "the middle direction is the best one": sp.simplify(best - across - 2 * sp.sin(angle) / sp.pi),
            "Hölder exponent 1/2": sp.limit(sqrt(printed / angle), angle, 0) - sqrt(2 / sp.pi),
        },
    )


def all_expansions() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(
        first_correction,
        example_solution,
        example_correction,
        example_output_correction,
        exponential_gap,
        odd_symmetry,
        certified_block,
        smoothness_of_objective,
        change_of_time,
        generalization_gap,
        relu_modulus,
    )
