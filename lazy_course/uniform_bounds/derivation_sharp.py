r"""The algebra of the sharp gap, in sympy: for a quadratic loss the parameter gap is sqrt(2)/2 L E^2/sigma^3 at most.

delta is alpha (w - wbar), u = (J - J0)^T grad R, beta the remainder of h pulled back, k an eigenvalue of J0^T H J0
with H the Hessian of the loss. Other symbols as in path_length.py.
"""

import sympy as sp
from sympy import Eq, Expr, Function, Le, Matrix, Symbol, diff, exp, eye, sqrt

from lazy_course.derived import Derived, Rows
from lazy_course.uniform_bounds.derivation import ALPHA, PARAMETER_GAP, SIGMA, TIME, D, L, small
from lazy_course.uniform_bounds.path_length import OMEGA, PATH, E, half_square, path

EARLIER = Symbol("tau", positive=True)
STIFFNESS = Symbol("k", positive=True)
TURNED, BENT = Function("u_i"), Function("beta_i")


def response() -> Derived:
    """Solve delta' = -u - k (delta + beta), delta(0) = beta(0) = 0: e^(-k (t - tau)) weighs u, the rest weighs beta'.

    delta = -int_0^t K dtau. By Leibniz delta' = -K(t, t) - int dK/dt dtau, and beta(t) = int beta' dtau.
    """
    fading = exp(-STIFFNESS * (TIME - EARLIER))
    kernel = fading * TURNED(EARLIER) + (1 - fading) * diff(BENT(EARLIER), EARLIER)
    under_the_integral = -diff(kernel, TIME) + STIFFNESS * (-kernel + diff(BENT(EARLIER), EARLIER))
    delta = Symbol(r"{\delta_i(t)}")
    short = {TURNED(EARLIER): Symbol("u_i"), diff(BENT(EARLIER), EARLIER): Symbol(r"{\beta_i'}")}
    printed = -sp.Integral(kernel.subs(short), (EARLIER, 0, TIME))
    return Derived(
        Eq(delta, printed, evaluate=False),
        {
            "at tau = t the kernel is u(t)": kernel.subs(EARLIER, TIME).doit() - TURNED(TIME),
            "under the integral": sp.simplify(under_the_integral),
        },
    )


def weighted_mean() -> Derived:
    """(theta a + (1 - theta) b)^2 <= a^2 + b^2 for 0 <= theta <= 1: the difference is a sum of squares."""
    a, b, theta = Symbol("a", real=True), Symbol("b", real=True), Symbol("theta", nonnegative=True)
    mean = theta * a + (1 - theta) * b
    difference = (1 - theta) * a**2 + theta * b**2 + theta * (1 - theta) * (a - b) ** 2
    return Derived(
        Le(mean**2, a**2 + b**2, evaluate=False), {"sum of squares": sp.expand(a**2 + b**2 - mean**2 - difference)}
    )


def sharp_gap() -> Derived:
    """Integrate sqrt(|u|^2 + |beta'|^2) <= (L/(alpha sigma)) sqrt(1/omega^2 + 1) l dl over l; divide by alpha."""
    reached = (sqrt(1 / OMEGA**2 + 1) * half_square() / ALPHA).subs(PATH, path())
    printed = 2 * sqrt(1 + OMEGA**2) / (OMEGA * (1 + OMEGA) ** 2) * L * E**2 / (SIGMA**3 * ALPHA**2)
    limit = sqrt(2) / 2 * L * E**2 / (SIGMA**3 * ALPHA**2)
    return Derived(
        Le(PARAMETER_GAP, printed, evaluate=False),
        {"constants": small(reached, printed), "sqrt(2)/2 at omega = 1": small(printed.subs(OMEGA, 1), limit)},
    )


def complex_square() -> tuple[Matrix, Matrix]:
    """The parameters and the model that attain the bound: sigma (w1, w2) plus the complex square of w1 + i w3."""
    w = Matrix(sp.symbols("w1:4", real=True))
    h = SIGMA * w[:2, :] + L * Matrix([w[0] * w[2], (w[0] ** 2 - w[2] ** 2) / 2])
    return w, h


def attained() -> Derived:
    """The complex square from 0, square loss, target (D, 0): Lip(Dh) = L, and |v1| tends to L D^2/(sqrt(2) sigma^3)."""
    w, h = complex_square()
    jacobian = h.jacobian(w)
    at_zero = dict.fromkeys(w, 0)
    j0 = jacobian.subs(at_zero)
    change = jacobian - j0
    v0 = Matrix([D / SIGMA * (1 - exp(-(SIGMA**2) * TIME)), 0, 0])
    slope = j0 * v0 - Matrix([D, 0])
    bent = Matrix([(v0.T * sp.hessian(entry, list(w)) * v0)[0] / 2 for entry in h])
    along = change.subs(dict(zip(w, v0, strict=True)), simultaneous=True)
    x = exp(-(SIGMA**2) * TIME)
    size = L * D**2 / (2 * SIGMA**3)
    v1 = Matrix([0, -size * (1 - x * (2 * SIGMA**2 * TIME + x)), size * (1 - x) ** 2])
    equation = diff(v1, TIME) + j0.T * (j0 * v1 + bent) + along.T * slope
    checks = {f"flow of v0, entry {i + 1}": sp.simplify((diff(v0, TIME) + j0.T * slope)[i]) for i in range(3)}
    checks |= {f"equation of v1, entry {i + 1}": sp.simplify(equation[i]) for i in range(3)}
    conformal = change * change.T - L**2 * (w[0] ** 2 + w[2] ** 2) * eye(2)
    checks["Dh - Dh(w0) is a multiple of an isometry, of norm L |(w1, w3)|"] = sp.simplify(conformal.norm())
    limit = sp.limit(v1.norm(), TIME, sp.oo)
    printed: Expr = L * D**2 / (sqrt(2) * SIGMA**3)
    checks["limit"] = sp.simplify(limit - printed)
    return Derived(Eq(Symbol(r"{\lim_{t\to\infty}\lVert v_1(t)\rVert}"), printed, evaluate=False), checks)


def all_sharp_bounds() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(response, weighted_mean, sharp_gap, attained)
