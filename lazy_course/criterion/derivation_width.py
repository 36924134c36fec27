"""The algebra behind wide two-layer models, in sympy: the second half of derivation.py."""

import sympy as sp
from sympy import Eq, Expr, Function, Matrix, Rational, Symbol, exp, log, sqrt

from lazy_course.criterion.derivation import ALPHA, TARGET_NORM, gradient_of
from lazy_course.derived import Derived, Rows

WIDTH = Symbol("m", positive=True)
DELTA = Symbol("delta", positive=True)

GAIN = Symbol("G", positive=True)
SECOND_MOMENT = Symbol("V", positive=True)
CURVATURE = Symbol("B_2", positive=True)
NEURON_NORM = Symbol(r"{\lVert\phi\rVert_{L^2}}", positive=True)


def block_diagonal() -> Derived:
    """D2 of alpha sum_i phi(theta_i) has no mixed blocks, so its norm is alpha max_i norm(D2phi(theta_i)).

    Three neurons with two parameters each, and an arbitrary phi. The last check is Lagrange's identity, hence
    sum_i |u_i| |v_i| <= |u| |v|.
    """
    phi = Function("phi")
    neurons = [sp.symbols(f"a{i} b{i}", real=True) for i in (1, 2, 3)]
    model = ALPHA * sum(phi(*neuron) for neuron in neurons)
    own, mixed = [], []
    for i, first in enumerate(neurons):
        for j, second in enumerate(neurons):
            block = Matrix(2, 2, lambda r, c, u=first, v=second: sp.diff(model, u[r], v[c]))
            if i == j:
                own.extend(block - ALPHA * sp.hessian(phi(*first), first))
            else:
                mixed.extend(block)
    u1, u2, v1, v2 = sp.symbols("u1 u2 v1 v2", nonnegative=True)
    lagrange = (u1**2 + u2**2) * (v1**2 + v2**2) - (u1 * v1 + u2 * v2) ** 2 - (u1 * v2 - u2 * v1) ** 2
    checks = {
        # Sums of squares: zero only if all the entries are.
        "mixed blocks are 0": sum(entry**2 for entry in mixed),
        "a neuron's own block is alpha D2phi": sum(entry**2 for entry in own),
        "Cauchy and Schwarz": lagrange,
    }
    largest = Symbol(r"{\max_i\lVert D^2\phi(\theta_i)\rVert}", positive=True)
    return Derived(Eq(Symbol(r"{\lVert D^2h_m(w)\rVert}"), ALPHA * largest, evaluate=False), checks)


def curvature_bound() -> Derived:
    """The largest eigenvalue behind the bound on norm(D2phi) of b tanh(a.x), and its simpler upper bound."""
    inner, slope = sp.symbols("A B", positive=True)
    matrix = Matrix([[inner, slope], [slope, 0]])
    largest = (inner + sqrt(inner**2 + 4 * slope**2)) / 2
    u, v = sp.symbols("u v", real=True)
    form = (Matrix([[u, v]]) * matrix * Matrix([u, v]))[0]
    return Derived(
        Eq(Symbol(r"{\lambda_{\max}}"), largest, evaluate=False),
        {
            "the quadratic form": form - (inner * u**2 + 2 * slope * u * v),
            "an eigenvalue": (matrix - largest * sp.eye(2)).det(),
            "the other one is negative": sp.expand(largest * (matrix.trace() - largest)) + slope**2,
            "at most A + B: the gap of the squares": (inner + 2 * slope) ** 2
            - (inner**2 + 4 * slope**2)
            - 4 * inner * slope,
        },
    )


def exponential_inequality() -> Derived:
    """e^-x <= 1 - x + x^2/2 for x >= 0: the gap starts at 0 with slope 0 and has curvature 1 - e^-x >= 0."""
    x = Symbol("x", nonnegative=True)
    gap = 1 - x + x**2 / 2 - exp(-x)
    return Derived(
        Eq(sp.Derivative(gap, (x, 2)), 1 - exp(-x), evaluate=False),
        {
            "starts at 0": gap.subs(x, 0),
            "with slope 0": sp.diff(gap, x).subs(x, 0),
            "second derivative is 1 - e^-x": sp.diff(gap, x, 2) - (1 - exp(-x)),
        },
    )


def lower_tail() -> Derived:
    """P(Z_1 + ... + Z_m <= m G / 2) <= exp(-m G^2 / (8 V)): the best t in Chernoff's bound, for Z_i >= 0."""
    t = Symbol("t", positive=True)
    exponent = t * GAIN / 2 + (-t * GAIN + t**2 * SECOND_MOMENT / 2)
    best = GAIN / (2 * SECOND_MOMENT)
    least = -(GAIN**2) / (8 * SECOND_MOMENT)
    return Derived(
        Eq(Symbol(r"{\min_t}"), least, evaluate=False),
        {
            "stationary at t = G / (2 V)": sp.diff(exponent, t).subs(t, best),
            "convex in t": sp.diff(exponent, t, 2) - SECOND_MOMENT,
            "least value": exponent.subs(t, best) - least,
        },
    )


def two_layer_bound() -> Derived:
    """The bound on kappa of a two-layer model: (2 B2 / G) (||phi|| / sqrt(delta m) + ||y*|| / (m alpha))."""
    output = ALPHA * sqrt(WIDTH / DELTA) * NEURON_NORM
    hessian = ALPHA * CURVATURE
    jacobian_squared = ALPHA**2 * WIDTH * GAIN / 2
    assembled = (output + TARGET_NORM) * hessian / jacobian_squared
    printed = 2 * CURVATURE / GAIN * (NEURON_NORM / sqrt(DELTA * WIDTH) + TARGET_NORM / (WIDTH * ALPHA))
    # Markov: P(||h|| >= s) <= E ||h||^2 / s^2, with E ||h||^2 = m alpha^2 E ||phi||^2.
    markov = WIDTH * ALPHA**2 * NEURON_NORM**2 / output**2
    return Derived(
        Eq(Symbol(r"{B}"), printed, evaluate=False),
        {"assembled": assembled - printed, "Markov's probability": markov - DELTA},
    )


def predicted_slope(scaling_exponent: Expr | float, *, centred: bool) -> Expr:
    """Return the exponent of m in m^-1/2 + 1/(m alpha(m)) for alpha(m) = m^scaling_exponent.

    With `centred` (symmetrized initialization) h(w0) = 0 and the first term is absent.
    """
    from_target = -1 - sp.nsimplify(scaling_exponent)
    return from_target if centred else sp.Max(Rational(-1, 2), from_target)


def largest_output_weight() -> Derived:
    """P(max |b_i| > t) <= 2 m e^(-t^2/2) = delta at t = sqrt(2 log(2 m/delta)), for m standard normal b_i."""
    level = sqrt(2 * log(2 * WIDTH / DELTA))
    return Derived(
        Eq(Symbol(r"{t_\delta}"), level, evaluate=False),
        {"the union bound equals delta": 2 * WIDTH * exp(-(level**2) / 2) - DELTA},
    )


def coin_kappa() -> Derived:
    """Kappa of h = alpha sum (theta_i^2 - 1/2), theta_i in {0, 1}, S of them 1: infinite at S = 0."""
    count, target = sp.symbols("S y", real=True)
    thetas = sp.symbols("t1:4", real=True)
    model = ALPHA * sum(theta**2 - Rational(1, 2) for theta in thetas)
    gradient = gradient_of(model, Matrix(thetas))
    hessian = sp.hessian(model, thetas)
    squares = sum(theta**2 for theta in thetas)
    kappa = sp.Abs(ALPHA * (count - WIDTH / 2) - target) * 2 * ALPHA / (4 * ALPHA**2 * count)
    printed = sp.Abs(ALPHA * (count - WIDTH / 2) - target) / (2 * ALPHA * count)
    return Derived(
        Eq(Symbol(r"{\kappa_h}"), printed, evaluate=False),
        {
            "|Dh|^2 = 4 alpha^2 S": (gradient.T * gradient)[0] - 4 * ALPHA**2 * squares,
            "D2h = 2 alpha Id": (hessian - 2 * ALPHA * sp.eye(3)).norm(),
            "kappa": kappa - printed,
        },
    )


def all_width_derivations() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(
        block_diagonal,
        curvature_bound,
        exponential_inequality,
        lower_tail,
        two_layer_bound,
        largest_output_weight,
        coin_kappa,
    )
