r"""The Gaussian of infinitely wide networks along training, derived in sympy.

At the start the outputs at two test points and two training points are centred normal variables with any covariance K.
Training is an affine map of them, from `derivation_dynamics`.
"""

import sympy as sp
from sympy import Eq, Expr, Matrix, Symbol, exp, sqrt

from lazy_course.derived import Derived, Rows
from lazy_course.ntk.derivation_dynamics import CROSS, LAM, LEVER, TIME, C, lever

# Blocks of the covariance at x, x' (test points) and X (training points), as the book prints them.
TEST, FROM_TEST, TO_TEST, TRAIN, INVERSE, THETA_TO_TEST = (
    Symbol(name, commutative=False)
    for name in ("{K_{xx'}}", "{K_{xX}}", "{K_{Xx'}}", "{K_{XX}}", "{K_{XX}^{-1}}", r"{\Theta_{Xx'}}")
)


def _start() -> tuple[Matrix, Matrix]:
    """The outputs at x, x', x_1, x_2 at the start, and their covariance, any symmetric matrix."""
    covariance = Matrix(4, 4, lambda i, j: Symbol(f"K{min(i, j)}{max(i, j)}"))
    return Matrix(sp.symbols("g0:4")), covariance


def mean(polynomial: Expr, variables: Matrix, covariance: Matrix) -> Expr:
    """The mean of a polynomial of degree at most 2 in centred variables of the given covariance."""
    total = sp.Integer(0)
    for powers, coefficient in sp.Poly(sp.expand(polynomial), *variables).terms():
        chosen = [i for i, power in enumerate(powers) for _ in range(power)]
        if len(chosen) > 2:
            raise ValueError(f"polynomial: expected a degree of at most 2, got {len(chosen)}")
        if len(chosen) == 2:
            total += coefficient * covariance[chosen[0], chosen[1]]
        elif not chosen:
            total += coefficient
    return total


def covariance_of_training() -> Derived:
    """f_t(x) = f0(x) - A (f0(X) - y), A = Theta(x, X) L_t: mean A y, and the covariance after centring (erratum L4)."""
    outputs, start = _start()
    rows = Matrix(2, 2, sp.symbols("A11 A12 A21 A22"))  # A at x and at x'
    y, train = Matrix(sp.symbols("y1:3")), outputs[2:, :]
    trained = outputs[:2, :] - rows * (train - y)
    means = Matrix([mean(entry, outputs, start) for entry in trained])
    centred = mean((trained[0] - means[0]) * (trained[1] - means[1]), outputs, start)
    uncentred = mean(trained[0] * trained[1], outputs, start)
    first, second = rows[0, :], rows[1, :]
    by_hand = start[0, 1] - (first * start[2:, 1])[0] - (start[0, 2:] * second.T)[0]
    by_hand += (first * start[2:, 2:] * second.T)[0]
    printed = TEST - CROSS * LEVER * TO_TEST - FROM_TEST * LEVER * THETA_TO_TEST
    printed += CROSS * LEVER * TRAIN * LEVER * THETA_TO_TEST
    return Derived(
        Eq(Symbol(r"{\Sigma_t(x,x')}"), printed, evaluate=False),
        {
            "mean at x": sp.expand(means[0] - (first * y)[0]),
            "mean at x'": sp.expand(means[1] - (second * y)[0]),
            "covariance": sp.expand(centred - by_hand),
            "the second moment has the means' product too": sp.expand(uncentred - centred - means[0] * means[1]),
        },
    )


def conditioning() -> Derived:
    """f(x) - K(x, X) K(X, X)^-1 f(X) is independent of f(X): the law of f(x) given f(X) = y (erratum L3)."""
    outputs, start = _start()
    weights = start[:2, 2:] * start[2:, 2:].inv()
    rest = outputs[:2, :] - weights * outputs[2:, :]
    checks = {
        f"uncorrelated, entry {i}{j}": sp.simplify(mean(rest[i] * outputs[2 + j], outputs, start))
        for i in range(2)
        for j in range(2)
    }
    left = mean(rest[0] * rest[1], outputs, start)
    checks["what is left"] = sp.simplify(left - start[0, 1] + (weights[0, :] * start[2:, 1])[0])
    printed = TEST - FROM_TEST * INVERSE * TO_TEST
    return Derived(Eq(Symbol(r"{\Sigma(x,x'\mid f(X)=y)}"), printed, evaluate=False), checks)


def readout_covariance() -> Derived:
    """Theta = K in the covariance: -2 L_t + L_t K L_t = -K^-1 (I - e^(-2cKt)), by eigenvalues (erratum L7)."""
    along = -2 * lever(LAM) + LAM * lever(LAM) ** 2
    e = exp(-C * LAM * TIME)
    printed, notes = -(1 - e**2) / LAM, -(1 - e) / LAM
    decay = Symbol(r"{\left(I-e^{-2cK_{XX}t}\right)}", commutative=False)
    return Derived(
        Eq(Symbol(r"{\Sigma_t(x,x')}"), TEST - FROM_TEST * INVERSE * decay * TO_TEST, evaluate=False),
        {
            "along an eigenvector": sp.simplify(along - printed),
            "the notes are off by e (1 - e) / lambda": sp.simplify(notes - printed - e * (1 - e) / LAM),
            "the posterior as t grows": sp.limit(printed, TIME, sp.oo) + 1 / LAM,
            "at t = 0 nothing is known": printed.subs(TIME, 0),
        },
    )


def readout_flow() -> Derived:
    """f = xbar theta is linear in theta: its kernel is xbar xbar^T, of the size of the data (erratum L5)."""
    features, weights = Matrix(2, 3, sp.symbols("x11:14 x21:24")), Matrix(sp.symbols("theta1:4"))
    y = Matrix(sp.symbols("y1:3"))
    speed = -C * features.T * (features * weights - y)
    along = features * speed + C * features * features.T * (features * weights - y)
    checks = {f"speed of output {i + 1}": sp.expand(along[i]) for i in range(2)}
    other_order = features.T * features
    checks["xbar^T xbar has the size of the parameters"] = sp.Integer(other_order.rows - weights.rows)
    product, residual = Symbol(r"{\bar x\,\bar x^\top}", commutative=False), Symbol("{(f-y)}", commutative=False)
    return Derived(Eq(Symbol(r"{\dot f}"), -C * product * residual, evaluate=False), checks)


def readout_scales() -> Derived:
    """xbar = [sigma_w x / sqrt(n), sigma_b] goes with [w; beta]: with [W; b] the scales count twice (erratum L17)."""
    sw, sb, n = sp.symbols("sigma_w sigma_b n", positive=True)
    x, w, beta = Matrix(1, 2, sp.symbols("x1:3")), Matrix(sp.symbols("w1:3")), Symbol("beta")
    output = (x * (sw / sqrt(n) * w))[0] + sb * beta
    features = (sw / sqrt(n) * x).row_join(Matrix([[sb]]))
    right, scaled = Matrix([*w, beta]), Matrix([*(sw / sqrt(n) * w), sb * beta])
    twice = sw**2 / n * (x * w)[0] + sb**2 * beta
    product = Symbol(r"{\bar x}", commutative=False) * Symbol(r"{[w;\beta]}", commutative=False)
    return Derived(
        Eq(Symbol("f"), product, evaluate=False),
        {
            "[w; beta] is right": sp.expand((features * right)[0] - output),
            "[W; b] squares the scales": sp.expand((features * scaled)[0] - twice),
        },
    )


def all_gaussians() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(covariance_of_training, conditioning, readout_covariance, readout_flow, readout_scales)
