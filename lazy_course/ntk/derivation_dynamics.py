r"""Training of the linearized model in closed form, the flow and the steps of descent, derived in sympy.

The loss is $\frac c2\|f-y\|^2$ and the flow $\dot f = -c\Theta(f-y)$. Every symmetric 2 x 2 matrix is V diag(l1, l2)
V^T with a rotation V, and every Jacobian with this kernel is V diag(sqrt l1, sqrt l2) [I 0] after a rotation of the
parameters. So two samples and three parameters, with free symbols for the rest, show each identity for eigenvectors
in general position.
"""

import sympy as sp
from sympy import Eq, Expr, Matrix, Rational, Symbol, cos, diag, exp, sin, sqrt

from lazy_course.derived import Derived, Rows

TIME, C = Symbol("t", positive=True), Symbol("c", positive=True)
STEP, STEPS = Symbol("eta", positive=True), Symbol("k", positive=True, integer=True)
LAM = Symbol("lambda", positive=True)
L1, L2 = Symbol("lambda_1", positive=True), Symbol("lambda_2", positive=True)
LEAST, LARGEST = Symbol(r"\lambda_{\min}", positive=True), Symbol(r"\lambda_{\max}", positive=True)

THETA = Symbol(r"{\Theta}")
CROSS = Symbol(r"{\Theta_{xX}}", commutative=False)
LEVER = Symbol("{L_t}", commutative=False)
START = Symbol("{(f_0-y)}", commutative=False)


def _rotation() -> Matrix:
    angle = Symbol("tau", real=True)
    return Matrix([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])


def _of_kernel(first: Expr, second: Expr) -> Matrix:
    """V diag(first, second) V^T: a function of the kernel, from its values at both eigenvalues."""
    rotation = _rotation()
    return rotation * diag(first, second) * rotation.T


def _kernel() -> Matrix:
    return _of_kernel(L1, L2)


def _jacobian(second: Expr = L2) -> Matrix:
    """J with J J^T = V diag(L1, second) V^T, three parameters."""
    return _rotation() * Matrix([[sqrt(L1), 0, 0], [0, sqrt(second), 0]])


def _decay(eigenvalue: Expr) -> Expr:
    return exp(-C * eigenvalue * TIME)


def lever(eigenvalue: Expr) -> Expr:
    """(1 - e^(-c lambda t)) / lambda."""
    return (1 - _decay(eigenvalue)) / eigenvalue


def _entries(name: str, matrix: Matrix) -> dict[str, Expr]:
    return {f"{name}, entry {i + 1}": sp.simplify(sp.expand(entry)) for i, entry in enumerate(matrix)}


def _start() -> Matrix:
    return Matrix(sp.symbols("r1:3"))  # f0 - y


def offset_regression() -> Derived:
    """From the linearized model to a kernel method with an offset: w - w0 = J^T beta, and beta' = (y - f0) - K beta.

    Two samples, three parameters. J has the gradients of f at the samples as rows, j is the gradient at x.
    """
    jacobian = Matrix(2, 3, sp.symbols("j11 j12 j13 j21 j22 j23"))
    at_x = Matrix(1, 3, sp.symbols("j1 j2 j3"))
    beta, y, f0 = Matrix(sp.symbols("beta1:3")), Matrix(sp.symbols("y1:3")), Matrix(sp.symbols("f1:3"))
    kernel, cross = jacobian * jacobian.T, at_x * jacobian.T
    displacement = jacobian.T * beta
    speed = -jacobian.T * (f0 + jacobian * displacement - y)
    in_beta = jacobian.T * ((y - f0) - kernel * beta)
    shifted = -jacobian.T * (jacobian * displacement - (y - f0))
    name, total = Symbol("{f_\\infty(x)}"), Symbol(r"{\sum_i\beta_iK(x_i,x)}")
    checks = {f"flow, entry {i + 1}": sp.expand((speed - in_beta)[i]) for i in range(3)}
    checks |= {f"the same flow on (Df, y - f0), entry {i + 1}": sp.expand((speed - shifted)[i]) for i in range(3)}
    checks["predictor"] = sp.expand((at_x * displacement)[0] - sum(beta[i] * cross[i] for i in range(2)))
    return Derived(Eq(name, Symbol("{f_0(x)}") + total, evaluate=False), checks)


def training_outputs() -> Derived:
    """f_t - y = e^(-c Theta t)(f0 - y) solves the flow on the training set and starts at f0 - y."""
    residual = _of_kernel(_decay(L1), _decay(L2)) * _start()
    flow = residual.diff(TIME) + C * _kernel() * residual
    checks = _entries("flow", flow) | _entries("start", residual.subs(TIME, 0) - _start())
    decay = Symbol(r"{e^{-c\Theta t}}", commutative=False)
    return Derived(Eq(Symbol("{f_t}"), Symbol("y") + decay * START, evaluate=False), checks)


def integral_of_exponential() -> Derived:
    """The lever: int_0^t c e^(-c lambda s) ds, its limit ct at lambda = 0, and its series, which needs no inverse."""
    s, order = Symbol("s", positive=True), 6
    integral = sp.integrate(C * exp(-C * LAM * s), (s, 0, TIME))
    series = sum((-C * TIME) ** j * LAM ** (j - 1) / sp.factorial(j) for j in range(1, order + 1))
    expanded = sp.series(lever(LAM), LAM, 0, order).removeO()
    printed = (1 - exp(-C * LAM * TIME)) / LAM
    return Derived(
        Eq(Symbol(r"{\int_0^tc\,e^{-c\lambda s}ds}"), printed, evaluate=False),
        {
            "integral": sp.simplify(integral - printed),
            "singular kernel: ct at 0": sp.limit(printed, LAM, 0) - C * TIME,
            "series": sp.expand(expanded + series),
            "limit t to infinity": sp.limit(printed, TIME, sp.oo) - 1 / LAM,
        },
    )


def parameters() -> Derived:
    """omega_t = -J^T L_t (f0 - y) solves omega' = -c J^T (f0 + J omega - y), omega_0 = 0."""
    jacobian = _jacobian()
    omega = -jacobian.T * _of_kernel(lever(L1), lever(L2)) * _start()
    flow = omega.diff(TIME) + C * jacobian.T * (_start() + jacobian * omega)
    moved = _start() + jacobian * omega - _of_kernel(_decay(L1), _decay(L2)) * _start()
    checks = _entries("flow", flow) | _entries("start", omega.subs(TIME, 0))
    transposed = Symbol(r"{J^\top}", commutative=False)
    checks |= _entries("J omega is what the outputs moved", moved)
    return Derived(Eq(Symbol(r"{\omega_t}"), -transposed * LEVER * START, evaluate=False), checks)


def off_training_outputs() -> Derived:
    """f_t(x) = f0(x) - Theta(x, X) L_t (f0 - y) is f0(x) + j omega_t: j the gradient at x, Theta(x, X) = j J^T."""
    jacobian, at_x = _jacobian(), Matrix(1, 3, sp.symbols("j1:4"))
    levers = _of_kernel(lever(L1), lever(L2))
    omega = -jacobian.T * levers * _start()
    cross = at_x * jacobian.T
    speed = -C * cross * _of_kernel(_decay(L1), _decay(L2)) * _start()
    checks = _entries("j omega", at_x * omega + cross * levers * _start())
    checks |= _entries("flow at x", (-cross * levers * _start()).diff(TIME) - speed)
    return Derived(Eq(Symbol("{f_t(x)}"), Symbol("{f_0(x)}") - CROSS * LEVER * START, evaluate=False), checks)


def null_space() -> Derived:
    """Theta v = 0 gives |J^T v|^2 = v^T Theta v = 0: no parameter and no output sees the component along v."""
    v = _rotation()[:, 1]
    at_x = Matrix(1, 3, sp.symbols("j1:4"))
    singular = _jacobian(sp.Integer(0))
    residual = _of_kernel(_decay(L1), sp.Integer(1)) * _start()
    checks = _entries("J^T v", singular.T * v) | _entries("Theta(x, X) v", at_x * singular.T * v)
    checks |= _entries("v^T (f_t - y) stays", v.T * residual - v.T * _start())
    checks |= _entries("and the flow holds", residual.diff(TIME) + C * _of_kernel(L1, sp.Integer(0)) * residual)
    return Derived(Eq(Symbol(r"{\langle v,f_t-y\rangle}"), Symbol(r"{\langle v,f_0-y\rangle}"), evaluate=False), checks)


def descent_outputs() -> Derived:
    """f_(k+1) = f_k - eta c Theta (f_k - y): the residual is multiplied by I - eta c Theta, k times."""
    powers = [(1 - STEP * C * value) ** STEPS for value in (L1, L2)]
    residual = _of_kernel(*powers) * _start()
    following = _of_kernel(*[power * (1 - STEP * C * value) for power, value in zip(powers, (L1, L2), strict=True)])
    step = residual - STEP * C * _kernel() * residual
    power = Symbol(r"{(I-\eta c\,\Theta)^k}", commutative=False)
    return Derived(
        Eq(Symbol("{f_k}"), Symbol("y") + power * START, evaluate=False),
        _entries("one step", step - following * _start())
        | _entries("start", residual.subs(STEPS, 0) - _start())
        | {
            "the flow in the limit eta to 0, eta k = t": sp.simplify(
                sp.limit((1 - STEP * C * LAM) ** (TIME / STEP), STEP, 0) - exp(-C * LAM * TIME)
            )
        },
    )


def descent_lever() -> Derived:
    """The lever of descent: eta c sum_(j<k) (1 - eta c lambda)^j, a geometric sum; eta c k at lambda = 0."""
    j, ratio = Symbol("j", integer=True, nonnegative=True), Symbol("x", positive=True)
    closed = (1 - (1 - ratio) ** STEPS) / ratio
    printed = (1 - (1 - STEP * C * LAM) ** STEPS) / LAM
    following = closed.subs(STEPS, STEPS + 1) - closed
    return Derived(
        Eq(Symbol(r"{\eta c\sum_{j<k}(1-\eta c\lambda)^j}"), printed, evaluate=False),
        {
            "each step adds its term": sp.simplify(sp.expand_power_exp(sp.expand(following - (1 - ratio) ** STEPS))),
            "no step, no lever": closed.subs(STEPS, 0),
            "in eta c lambda": sp.simplify(STEP * C * closed.subs(ratio, STEP * C * LAM) - printed),
            "at lambda = 0, five steps": sp.limit(printed.subs(STEPS, 5), LAM, 0) - 5 * STEP * C,
            "five terms": sp.expand(closed.subs(STEPS, 5) * ratio - ratio * sp.summation((1 - ratio) ** j, (j, 0, 4))),
        },
    )


def stability_limit() -> Derived:
    """|1 - eta c lambda| < 1 for every eigenvalue, the largest deciding: eta < 2 / (c lambda_max)."""
    printed = 2 / (C * LARGEST)
    excess = sp.factor((1 - STEP * C * LAM) ** 2 - 1)
    return Derived(
        sp.Lt(STEP, printed, evaluate=False),
        {
            "square minus 1": sp.expand(excess - STEP * C * LAM * (STEP * C * LAM - 2)),
            "at the limit the largest factor is -1": (1 - STEP * C * LARGEST).subs(STEP, printed) + 1,
        },
    )


def rate_optimal_step() -> Derived:
    """The worst factor max(1 - eta c l_min, eta c l_max - 1) is least where both agree; below it is the first."""
    slow, fast = 1 - STEP * C * LEAST, STEP * C * LARGEST - 1
    printed = 2 / (C * (LEAST + LARGEST))
    quotient = LARGEST / LEAST
    return Derived(
        Eq(Symbol(r"{\eta_\star}"), printed, evaluate=False),
        {
            "both factors agree": sp.simplify((slow - fast).subs(STEP, printed)),
            "their value (q - 1) / (q + 1)": sp.simplify(slow.subs(STEP, printed) - (quotient - 1) / (quotient + 1)),
            "slow >= fast exactly below": sp.expand(slow - fast - C * (LEAST + LARGEST) * (printed - STEP)),
            "stability limit over it: 1 + l_min / l_max": sp.simplify(
                2 / (C * LARGEST) / printed - 1 - LEAST / LARGEST
            ),
        },
    )


def norm_of_a_step() -> Derived:
    """||I - eta c Theta|| is the larger of both factors; eq. (67) of the notes has the first alone (erratum L10).

    The counterexample: eigenvalues 1 and 3 and eta = 0.6, below the stability limit 2/3 and above 2/(1 + 3).
    """
    eta = Rational(3, 5)
    printed = sp.Max(1 - STEP * C * LEAST, STEP * C * LARGEST - 1)
    case = {STEP: eta, C: 1, LEAST: 1, LARGEST: 3}
    return Derived(
        Eq(Symbol(r"{\lVert I-\eta c\,\Theta\rVert}"), printed, evaluate=False),
        {
            "the norm, from the matrix": (sp.eye(2) - eta * diag(1, 3)).norm(2) - printed.subs(case),
            "it is 0.8": printed.subs(case) - Rational(4, 5),
            "the notes have 0.4": (1 - STEP * C * LEAST).subs(case) - Rational(2, 5),
        },
    )


def all_dynamics() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(
        offset_regression,
        training_outputs,
        integral_of_exponential,
        parameters,
        off_training_outputs,
        null_space,
        descent_outputs,
        descent_lever,
        stability_limit,
        rate_optimal_step,
        norm_of_a_step,
    )
