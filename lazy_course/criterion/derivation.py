"""The algebra of the chapter on the criterion, step by step, in sympy.

Every function returns a `Derived`: the equation that the book prints, and named checks. A check is an
expression that must simplify to zero. No number computed elsewhere enters this file.
"""

from dataclasses import dataclass

import sympy as sp
from sympy import Eq, Expr, Function, Matrix, Symbol, sqrt

from lazy_course.derived import Derived, Rows

ETA = Symbol("eta", positive=True)
ALPHA = Symbol("alpha", positive=True)
LAMBDA = Symbol("lambda", positive=True)
RHO = Symbol("chi", positive=True)
DEGREE = Symbol("q", positive=True)

OBJECTIVE = Symbol(r"{F(w_0)}", positive=True)
GRADIENT_NORM = Symbol(r"{\lVert\nabla F(w_0)\rVert}", positive=True)
RESIDUAL_NORM = Symbol(r"{\lVert h(w_0)-y^\star\rVert}", positive=True)
OUTPUT_NORM = Symbol(r"{\lVert h(w_0)\rVert}", positive=True)
TARGET_NORM = Symbol(r"{\lVert y^\star\rVert}", positive=True)
JACOBIAN_NORM = Symbol(r"{\lVert Dh(w_0)\rVert}", positive=True)
HESSIAN_NORM = Symbol(r"{\lVert D^2h(w_0)\rVert}", positive=True)


def _general_model() -> tuple[Matrix, Matrix, Expr]:
    """Return w, h(w) and F(w) = R(h(w)) for arbitrary functions of two parameters with two outputs."""
    w = Matrix(sp.symbols("w1 w2", real=True))
    h = Matrix([Function("h1")(*w), Function("h2")(*w)])
    return w, h, Function("R")(*h)


def gradient_of(scalar: Expr, w: Matrix) -> Matrix:
    """Return the column of partial derivatives of a scalar."""
    return Matrix([sp.diff(scalar, variable) for variable in w])


def relative_change_of_objective() -> Derived:
    """Delta(F) = eta ||grad F||^2 / F + O(eta^2), for arbitrary smooth h: R^2 -> R^2 and R."""
    w, _, objective = _general_model()
    direction = Matrix(sp.symbols("g1 g2", real=True))
    moved = objective.subs(dict(zip(w, w - ETA * direction, strict=True)), simultaneous=True)
    slope = sp.diff(moved, ETA).subs(ETA, 0).doit()
    gradient = gradient_of(objective, w)
    along_gradient = slope.subs(dict(zip(direction, gradient, strict=True)), simultaneous=True)
    equation = Eq(Symbol(r"{\Delta(F)}"), ETA * GRADIENT_NORM**2 / OBJECTIVE + sp.Order(ETA**2), evaluate=False)
    return Derived(
        equation,
        {
            "slope of F along -g is -<grad F, g>": slope + (gradient.T * direction)[0],
            "with g = grad F it is -|grad F|^2": along_gradient + (gradient.T * gradient)[0],
        },
    )


def _general_polynomial() -> tuple[Matrix, Matrix]:
    """Return w and h(w), two cubic polynomials with free coefficients: any h up to third order at 0."""
    w = Matrix(sp.symbols("w1 w2", real=True))
    powers = [(i, j) for i in range(4) for j in range(4 - i)]
    outputs = [
        sum(Symbol(f"k{output}{i}{j}", real=True) * w[0] ** i * w[1] ** j for i, j in powers) for output in (1, 2)
    ]
    return w, Matrix(outputs)


def relative_change_of_differential() -> Derived:
    """Delta(Dh) = eta ||D2h[grad F, .]|| / ||Dh|| + O(eta^2), for a general h up to third order at w0 = 0."""
    w, h = _general_polynomial()
    direction = Matrix(sp.symbols("g1 g2", real=True))
    at_start = dict.fromkeys(w, 0)
    jacobian = h.jacobian(w)
    moved = jacobian.subs(dict(zip(w, -ETA * direction, strict=True)), simultaneous=True)
    slope = moved.diff(ETA).subs(ETA, 0)
    checks = {}
    for row in range(2):
        expected = -sp.hessian(h[row], list(w)).subs(at_start) * direction
        for column in range(2):
            name = f"slope of Dh, output {row + 1}, parameter {column + 1}, is -D2h[g]"
            checks[name] = slope[row, column] - expected[column]
    bilinear = Symbol(r"{\lVert D^2h(w_0)[\nabla F(w_0),\cdot\,]\rVert}", positive=True)
    equation = Eq(Symbol(r"{\Delta(Dh)}"), ETA * bilinear / JACOBIAN_NORM + sp.Order(ETA**2), evaluate=False)
    return Derived(equation, checks)


def inverse_relative_scale() -> Derived:
    """Kappa, and the identity kappa Gamma = 2 chi that ties it to the criterion.

    Gamma = (||grad F|| / F) / (||D2h|| / ||Dh||) is the criterion's ratio and
    chi = ||Dh^T r|| / (||Dh|| ||r||) the alignment of the residual r with Dh.
    """
    kappa = RESIDUAL_NORM * HESSIAN_NORM / JACOBIAN_NORM**2
    gradient_norm = RHO * JACOBIAN_NORM * RESIDUAL_NORM
    objective = RESIDUAL_NORM**2 / 2
    ratio = (gradient_norm / objective) / (HESSIAN_NORM / JACOBIAN_NORM)
    return Derived(
        Eq(Symbol(r"{\kappa_h(w_0)}"), kappa, evaluate=False),
        {"kappa Gamma = 2 chi": kappa * ratio - 2 * RHO},
    )


@dataclass(frozen=True)
class Example:
    """The smallest example h(w) = (a w1, b w2 + c w2^2 / 2) at w0 = 0, with a >= b > 0 and c > 0."""

    w: Matrix
    target: Matrix
    output: Matrix
    objective: Expr
    kappa: Expr
    ratio: Expr
    alignment: Expr


def example_symbols() -> tuple[Symbol, Symbol, Symbol]:
    """Return the constants a, b, c of the smallest example."""
    a, b, c = sp.symbols("a b c", positive=True)
    return a, b, c


def example() -> Example:
    """Return the smallest example with kappa, the criterion's ratio Gamma and the alignment chi at w0 = 0."""
    a, b, c = example_symbols()
    w = Matrix(sp.symbols("w1 w2", real=True))
    target = Matrix(sp.symbols("y1 y2", real=True))
    output = Matrix([a * w[0], b * w[1] + c * w[1] ** 2 / 2])
    difference = output - target
    objective = (difference.T * difference)[0] / 2
    at_start = {w[0]: 0, w[1]: 0}
    residual = difference.subs(at_start)
    residual_norm = sqrt((residual.T * residual)[0])
    gradient = gradient_of(objective, w).subs(at_start)
    gradient_norm = sqrt(sp.expand((gradient.T * gradient)[0]))
    # Dh(0) = diag(a, b) with a >= b, and D2h[u, v] = (0, c u2 v2).
    jacobian_norm, hessian_norm = a, c
    kappa = residual_norm * hessian_norm / jacobian_norm**2
    ratio = (gradient_norm / objective.subs(at_start)) / (hessian_norm / jacobian_norm)
    alignment = gradient_norm / (jacobian_norm * residual_norm)
    return Example(w, target, output, objective, kappa, ratio, alignment)


def example_kappa() -> Derived:
    """Kappa of the smallest example, c ||y*|| / a^2, and its identity kappa Gamma = 2 chi."""
    a, _, c = example_symbols()
    case = example()
    norm = sqrt(case.target[0] ** 2 + case.target[1] ** 2)
    return Derived(
        Eq(Symbol(r"{\kappa_h(0)}"), c * norm / a**2, evaluate=False),
        {
            "kappa": case.kappa - c * norm / a**2,
            "kappa Gamma = 2 chi": case.kappa * case.ratio - 2 * case.alignment,
        },
    )


def exactly_linear() -> Derived:
    """For y* = (y1, 0) the example never leaves the line w2 = 0, where h equals its linearization."""
    a, b, c = example_symbols()
    case = example()
    w1, w2 = case.w
    force = sp.diff(case.objective, w2)
    linearized = Matrix([a * w1, b * w2])
    on_line = {w2: 0, case.target[1]: 0}
    difference = (case.output - linearized).subs(on_line)
    linear_residual = linearized - case.target
    linear_force = sp.diff((linear_residual.T * linear_residual)[0] / 2, w2)
    curvature = sp.diff(case.objective, w2, 2).subs(on_line)
    return Derived(
        Eq(Symbol(r"{\kappa_h(0)}"), c * sp.Abs(case.target[0]) / a**2, evaluate=False),
        {
            "the gradient has no second component on the line": force.subs(on_line),
            "nor has the gradient of the linearized objective": linear_force.subs(on_line),
            "h and its linearization agree there, output 1": difference[0],
            "h and its linearization agree there, output 2": difference[1],
            "the line attracts: second derivative across it is b^2": curvature - b**2,
            "kappa": case.kappa.subs(case.target[1], 0) - c * sp.Abs(case.target[0]) / a**2,
        },
    )


def rescaled_kappa() -> Derived:
    """Kappa of alpha h: (1/alpha) ||alpha h(w0) - y*|| ||D2h|| / ||Dh||^2."""
    residual = Symbol(r"{\lVert\alpha h(w_0)-y^\star\rVert}", positive=True)
    kappa = residual * (ALPHA * HESSIAN_NORM) / (ALPHA * JACOBIAN_NORM) ** 2
    printed = residual * HESSIAN_NORM / (ALPHA * JACOBIAN_NORM**2)
    a, _, c = example_symbols()
    case = example()
    by_hand = case.kappa.subs({a: ALPHA * a, c: ALPHA * c}, simultaneous=True)
    return Derived(
        Eq(Symbol(r"{\kappa_{\alpha h}(w_0)}"), printed, evaluate=False),
        {"powers of alpha": kappa - printed, "the example, whose h(0) is 0": by_hand - case.kappa / ALPHA},
    )


def rescaled_limit() -> Derived:
    """The limit of kappa of alpha h as alpha grows: ||h(w0)|| ||D2h|| / ||Dh||^2, zero only if h(w0) = 0.

    Also the scale that makes kappa least when <h(w0), y*> > 0: alpha = ||y*||^2 / <h(w0), y*>.
    """
    inner = Symbol(r"{\langle h(w_0),y^\star\rangle}", positive=True)
    factor = HESSIAN_NORM / JACOBIAN_NORM**2
    squared = ALPHA**2 * OUTPUT_NORM**2 - 2 * ALPHA * inner + TARGET_NORM**2
    kappa_squared = squared * factor**2 / ALPHA**2
    best = TARGET_NORM**2 / inner
    distance = OUTPUT_NORM**2 - inner**2 / TARGET_NORM**2
    return Derived(
        Eq(
            sp.Limit(Symbol(r"{\kappa_{\alpha h}(w_0)}"), ALPHA, sp.oo, "-"),
            OUTPUT_NORM * factor,
            evaluate=False,
        ),
        {
            "limit": sp.limit(kappa_squared, ALPHA, sp.oo) - (OUTPUT_NORM * factor) ** 2,
            "rate 1/alpha when h(w0) = 0": (
                ALPHA**2 * kappa_squared.subs({OUTPUT_NORM: 0, inner: 0}) - (TARGET_NORM * factor) ** 2
            ),
            "stationary at the best scale": sp.diff(kappa_squared, ALPHA).subs(ALPHA, best),
            "least value: distance from h(w0) to the line of y*": kappa_squared.subs(ALPHA, best)
            - distance * factor**2,
        },
    )


def homogeneous_degrees() -> Derived:
    """For h(lambda w) = lambda^q h(w): Dh scales with degree q - 1 and D2h with degree q - 2.

    Checked on w1^q f(w2 / w1) with an arbitrary f: on w1 > 0 every q-homogeneous function of two parameters
    has this form.
    """
    w1, w2 = sp.symbols("w1 w2", positive=True)
    model = w1**DEGREE * Function("f")(w2 / w1)

    def after_scaling(expression: Expr, degree: Expr) -> Expr:
        moved = expression.doit().subs({w1: LAMBDA * w1, w2: LAMBDA * w2}, simultaneous=True).doit()
        return sp.simplify(moved - LAMBDA**degree * expression.doit())

    checks = {"h has degree q": after_scaling(model, DEGREE)}
    for variable in (w1, w2):
        checks[f"D{variable} h has degree q - 1"] = after_scaling(sp.diff(model, variable), DEGREE - 1)
    for first, second in ((w1, w1), (w1, w2), (w2, w2)):
        checks[f"D{first}{second} h has degree q - 2"] = after_scaling(sp.diff(model, first, second), DEGREE - 2)
    scaled = Symbol(r"{D^2h(\lambda w)}")
    return Derived(Eq(scaled, LAMBDA ** (DEGREE - 2) * Symbol(r"{D^2h(w)}"), evaluate=False), checks)


def homogeneous_kappa() -> Derived:
    """Kappa at lambda w0 of a q-homogeneous model: lambda^-q ||lambda^q h(w0) - y*|| ||D2h|| / ||Dh||^2."""
    residual = Symbol(r"{\lVert\lambda^q h(w_0)-y^\star\rVert}", positive=True)
    kappa = residual * (LAMBDA ** (DEGREE - 2) * HESSIAN_NORM) / (LAMBDA ** (DEGREE - 1) * JACOBIAN_NORM) ** 2
    printed = residual * HESSIAN_NORM / (LAMBDA**DEGREE * JACOBIAN_NORM**2)
    return Derived(
        Eq(Symbol(r"{\kappa_h(\lambda w_0)}"), printed, evaluate=False),
        {"(q - 2) - 2 (q - 1) = -q": kappa - printed},
    )


def all_derivations() -> Rows:
    """Run every derivation of the chapter, by name."""
    return Rows(
        relative_change_of_objective,
        relative_change_of_differential,
        inverse_relative_scale,
        example_kappa,
        exactly_linear,
        rescaled_kappa,
        rescaled_limit,
        homogeneous_degrees,
        homogeneous_kappa,
    )
