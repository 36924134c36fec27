"""The algebra of the finite-horizon bounds, step by step, in sympy.

Constants, on the ball of radius r around w0: ELL = Lip(h), LIP = Lip(Dh); at w0: S = ||Dh(w0)||. For the
loss: M = Lip(grad R), E0 = R(y(0)) - inf R; for the square loss D = ||y(0) - y*||. Every function returns a
`Derived`: the equation that the book prints, and checks that must simplify to zero.
"""

import sympy as sp
from sympy import Eq, Expr, Function, Matrix, Rational, Symbol, exp, sqrt

from lazy_course.derived import Derived, Rows

ALPHA = Symbol("alpha", positive=True)
TIME, HORIZON = Symbol("t", positive=True), Symbol("T", positive=True)
ITERATIONS = Symbol("K", positive=True)
ELL, LIP, S = Symbol(r"\ell", positive=True), Symbol("L", positive=True), Symbol("S", positive=True)
M, E0, G = Symbol("M", positive=True), Symbol("E_0", positive=True), Symbol("G", positive=True)
D = Symbol("D", positive=True)
C1, C2 = Symbol("C_1", positive=True), Symbol("C_2", positive=True)
OUTPUT_GAP = Symbol(r"{\lVert y-\bar y\rVert}")
PARAMETER_GAP = Symbol(r"{\lVert w_\alpha-\bar w_\alpha\rVert}")


def integrated(rate: Expr, horizon: Expr = HORIZON) -> Expr:
    """Integrate a rate of growth from time 0 to the horizon."""
    return sp.integrate(rate, (TIME, 0, horizon))


def _model() -> tuple[Matrix, Matrix, Matrix]:
    """Return w, h(w) and the Jacobian for arbitrary functions of two parameters with two outputs."""
    w = Matrix(sp.symbols("w1 w2", real=True))
    h = Matrix([Function("h1")(*w), Function("h2")(*w)])
    return w, h, h.jacobian(w)


def energy_identity() -> Derived:
    """The gradient of F_alpha is Dh^T grad R(alpha h) / alpha, and dF/dt = -||grad F||^2 along the flow."""
    w, h, jacobian = _model()
    loss = Function("R")(*(ALPHA * h))
    gradient = Matrix([sp.diff(loss / ALPHA**2, variable) for variable in w])
    residual = Matrix([loss.fdiff(1), loss.fdiff(2)])
    by_hand = jacobian.T * residual / ALPHA
    output_speed = ALPHA * jacobian * (-gradient) + jacobian * jacobian.T * residual
    checks = {f"gradient of F, entry {i + 1}": sp.expand((gradient - by_hand)[i]) for i in range(2)}
    checks |= {f"y' = -Sigma grad R(y), entry {i + 1}": sp.expand(output_speed[i]) for i in range(2)}
    checks["dF/dt"] = sp.expand((gradient.T * (-gradient))[0] + (by_hand.T * by_hand)[0])
    objective = Symbol(r"{F_\alpha(w_\alpha)}")
    norm = Symbol(r"{\lVert\nabla F_\alpha(w_\alpha)\rVert}")
    return Derived(Eq(sp.Derivative(objective, TIME), -(norm**2), evaluate=False), checks)


def residual_identity() -> Derived:
    """Along the flow of the square loss, d/dt ||y - y*||^2 = -2 <Sigma (y - y*), y - y*>."""
    w, h, jacobian = _model()
    residual = ALPHA * h - Matrix(sp.symbols("s1 s2", real=True))
    pulled = jacobian.T * residual
    squared = (residual.T * residual)[0]
    change = sum(sp.diff(squared, w[i]) * (-pulled[i] / ALPHA) for i in range(2))
    norm, pulled_norm = Symbol(r"{\lVert y-y^\star\rVert^2}"), Symbol(r"{\lVert Dh^\top(y-y^\star)\rVert}")
    return Derived(
        Eq(sp.Derivative(norm, TIME), -2 * pulled_norm**2, evaluate=False),
        {"factor 2": sp.expand(change + 2 * (pulled.T * pulled)[0])},
    )


def gradient_bound() -> Derived:
    """||grad R(y)||^2 <= 2 M (R(y) - inf R): the best step c of R(y - c g) <= R - c g^2 + M c^2 g^2 / 2."""
    step, size = sp.symbols("c g", positive=True)
    decrease = step * size**2 - M * step**2 * size**2 / 2
    (best,) = sp.solve(sp.diff(decrease, step), step)
    (bound,) = sp.solve(Eq(decrease.subs(step, best), E0), size)
    return Derived(
        Eq(G, bound, evaluate=False),
        {"best step": best - 1 / M, "decrease": decrease.subs(step, best) - size**2 / (2 * M)},
    )


def gronwall() -> Derived:
    """The solution of u' = C1/alpha + C2 u, u(0) = 0, found by sympy."""
    u = Function("u")
    right = C1 / ALPHA + C2 * u(TIME)
    solution = sp.dsolve(Eq(u(TIME).diff(TIME), right), u(TIME), ics={u(0): 0}).rhs
    printed = C1 / (ALPHA * C2) * (exp(C2 * TIME) - 1)
    return Derived(
        Eq(u(TIME), printed, evaluate=False),
        {
            "dsolve": solution - printed,
            "the equation": printed.diff(TIME) - C1 / ALPHA - C2 * printed,
            "integrating factor": printed
            - exp(C2 * TIME) * integrated(C1 / ALPHA * exp(-C2 * TIME)).subs(HORIZON, TIME),
        },
    )


def general_constants() -> dict[Symbol, Expr]:
    """C1, C2 and G of the general theorem in terms of the constants of h and R."""
    travel, gradient = sqrt(HORIZON * E0), sqrt(2 * M * E0)
    return {C1: 2 * ELL * LIP * gradient * travel, C2: M * S**2, G: gradient}


def general_output_gap() -> Derived:
    """Theorem 2.2, outputs: the Gronwall envelope at T with every constant written out."""
    constants = general_constants()
    envelope = gronwall().equation.rhs.subs(TIME, HORIZON).subs(constants)
    printed = 2 * sqrt(2) * ELL * LIP * E0 * sqrt(HORIZON) / (ALPHA * sqrt(M) * S**2)
    printed *= exp(M * S**2 * HORIZON) - 1
    rate = sp.limit(sp.log(envelope.subs({ELL: 1, LIP: 1, E0: 1, M: 1, ALPHA: 1, S: 1})) / HORIZON, HORIZON, sp.oo)
    return Derived(
        Eq(OUTPUT_GAP, printed, evaluate=False),
        {"constants": envelope - printed, "grows like exp(M S^2 T)": rate - 1},
    )


def general_parameter_gap() -> Derived:
    """Theorem 2.2, parameters: integrate L ||w - w0|| G + S M ||y - ybar|| over [0, T], divide by alpha."""
    constants = general_constants()
    first = LIP * G * sqrt(TIME * E0) / ALPHA
    second = S * M * gronwall().equation.rhs
    total = (integrated(first) + integrated(second)) / ALPHA
    by_hand = Rational(2, 3) * LIP * G * sqrt(E0) * HORIZON ** Rational(3, 2)
    by_hand += S * M * C1 / C2 * ((exp(C2 * HORIZON) - 1) / C2 - HORIZON)
    printed = LIP * E0 * sqrt(2 * M * HORIZON)
    printed *= Rational(2, 3) * HORIZON + 2 * ELL / S * ((exp(M * S**2 * HORIZON) - 1) / (M * S**2) - HORIZON)
    return Derived(
        Eq(PARAMETER_GAP, printed / ALPHA**2, evaluate=False),
        {
            "integrals": total - by_hand / ALPHA**2,
            "constants": (by_hand.subs(constants) - printed).expand(),
        },
    )


def convex_parameter_gap() -> Derived:
    """Convex R: integrate L G rho + M S L rho^2 / 2 with rho = sqrt(t E0): no exponential."""
    travel = sqrt(TIME * E0)
    total = integrated(LIP * G * travel + M * S * LIP * travel**2 / 2) / ALPHA**2
    printed = LIP * E0 / ALPHA**2
    printed *= 2 * sqrt(2 * M) / 3 * HORIZON ** Rational(3, 2) + M * S * HORIZON**2 / 4
    return Derived(
        Eq(PARAMETER_GAP, printed, evaluate=False),
        {"integral": (total.subs(general_constants()) - printed).expand()},
    )


def convex_output_gap() -> Derived:
    """Convex R: ||y - ybar|| <= L rho^2 / (2 alpha) + S alpha ||w - wbar||."""
    total = LIP * HORIZON * E0 / (2 * ALPHA) + S * ALPHA * convex_parameter_gap().equation.rhs
    printed = LIP * E0 / ALPHA
    printed *= HORIZON / 2 + 2 * sqrt(2 * M) / 3 * S * HORIZON ** Rational(3, 2) + M * S**2 * HORIZON**2 / 4
    return Derived(Eq(OUTPUT_GAP, printed, evaluate=False), {"sum": (total - printed).expand()})


def square_travel() -> Derived:
    """Square loss: ||w - w0|| <= T ell D / alpha, which at T = K / ell^2 is K D / (alpha ell)."""
    reached = integrated(ELL * D / ALPHA).subs(HORIZON, ITERATIONS / ELL**2)
    printed = ITERATIONS * D / (ALPHA * ELL)
    return Derived(Eq(Symbol(r"{\lVert w_\alpha-w_0\rVert}"), printed, evaluate=False), {"integral": reached - printed})


def square_output_gap() -> Derived:
    """Theorem 2.3: integrate 2 ell L ||w - w0|| D with ||w - w0|| <= t ell D / alpha up to T = K / ell^2."""
    reached = integrated(2 * ELL * LIP * (TIME * ELL * D / ALPHA) * D)
    printed = ITERATIONS**2 / ALPHA * LIP / ELL**2 * D**2
    return Derived(
        Eq(OUTPUT_GAP, printed, evaluate=False),
        {"integral": reached.subs(HORIZON, ITERATIONS / ELL**2) - printed},
    )


def _parameter_unit() -> Expr:
    """The factor L D^2 / (alpha^2 ell^3) that all the square-loss bounds on ||w - wbar|| share."""
    return LIP * D**2 / (ALPHA**2 * ELL**3)


def square_parameter_gap() -> Derived:
    """The bound of B.2, step 3, with the factor that its own two integrals give: 1/2 + K/3."""
    change = TIME / ALPHA * ELL * LIP * D**2
    outputs = TIME**2 / ALPHA * ELL**3 * LIP * D**2
    reached = integrated(change + outputs) / ALPHA
    factor, printed_factor = Rational(1, 2) + ITERATIONS / 3, 2 + 4 * ITERATIONS / 3
    printed = ITERATIONS**2 * factor * _parameter_unit()
    return Derived(
        Eq(PARAMETER_GAP, printed, evaluate=False),
        {
            "integral": reached.subs(HORIZON, ITERATIONS / ELL**2) - printed,
            "the supplement's factor is four times this one": printed_factor - 4 * factor,
        },
    )


def contraction_parameter_gap() -> Derived:
    """Square loss by contraction in parameter space: the factor 1/2 + K/6."""
    travel = TIME * ELL * D
    reached = integrated(LIP * D * travel + ELL * LIP * travel**2 / 2) / ALPHA**2
    printed = ITERATIONS**2 * (Rational(1, 2) + ITERATIONS / 6) * _parameter_unit()
    return Derived(
        Eq(PARAMETER_GAP, printed, evaluate=False),
        {"integral": reached.subs(HORIZON, ITERATIONS / ELL**2) - printed},
    )


def _integrated_by_iterations(rate) -> Expr:
    """Integrate rate(rho) for rho = min(k, sqrt(k/2)) over 0 <= k <= K, for K >= 1/2."""
    k, half = Symbol("k", positive=True), Rational(1, 2)
    early = sp.integrate(rate(k), (k, 0, half))
    return sp.expand(early + sp.integrate(rate(sqrt(k / 2)), (k, half, ITERATIONS)))


def sharper_output_gap() -> Derived:
    """Square loss, K >= 1/2, energy bound on the travel: K^2 becomes (2 sqrt 2 / 3) K^(3/2) - 1/12."""
    factor = _integrated_by_iterations(lambda rho: 2 * rho)
    printed = 2 * sqrt(2) / 3 * ITERATIONS ** Rational(3, 2) - Rational(1, 12)
    half = Rational(1, 2)
    return Derived(
        Eq(OUTPUT_GAP, printed * (LIP * D**2 / (ALPHA * ELL**2)), evaluate=False),
        {
            "integral": factor - printed,
            "meets K^2 at K = 1/2": printed.subs(ITERATIONS, half) - half**2,
            "with the same slope": printed.diff(ITERATIONS).subs(ITERATIONS, half) - 1,
        },
    )


def sharper_parameter_gap() -> Derived:
    """Square loss, K >= 1/2: contraction and energy bound together."""
    factor = _integrated_by_iterations(lambda rho: rho + rho**2 / 2)
    printed = sqrt(2) / 3 * ITERATIONS ** Rational(3, 2) + ITERATIONS**2 / 8 - Rational(5, 96)
    half = Rational(1, 2)
    return Derived(
        Eq(PARAMETER_GAP, printed * _parameter_unit(), evaluate=False),
        {
            "integral": factor - printed,
            "meets K^2 (1/2 + K/6) at K = 1/2": printed.subs(ITERATIONS, half) - half**2 * (half + half / 6),
        },
    )


def self_consistent_radius() -> Derived:
    """The radius r with r (S + L r) = k D / alpha, and ell = S + L r: then nothing is asked of alpha."""
    radius, travel = Symbol("r", positive=True), Symbol("k", positive=True)
    ell = S / 2 * (1 + sqrt(1 + 4 * travel * LIP * D / (ALPHA * S**2)))
    solved = (ell - S) / LIP
    equation = radius * (S + LIP * radius) - travel * D / ALPHA
    return Derived(
        Eq(ELL, ell, evaluate=False),
        {
            "r solves it": sp.expand(equation.subs(radius, solved)),
            "r tends to 0 like k D / (alpha S)": sp.limit(ALPHA * solved, ALPHA, sp.oo) - travel * D / S,
        },
    )


def all_bounds() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(
        energy_identity,
        residual_identity,
        gradient_bound,
        gronwall,
        general_output_gap,
        general_parameter_gap,
        convex_parameter_gap,
        convex_output_gap,
        square_travel,
        square_output_gap,
        square_parameter_gap,
        contraction_parameter_gap,
        sharper_output_gap,
        sharper_parameter_gap,
        self_consistent_radius,
    )
