r"""The algebra of Theorem 2.5 (rank below dim F) and of the counterexamples of the chapter, in sympy."""

import sympy as sp
from sympy import Eq, Expr, Function, Ge, Le, Matrix, Rational, Symbol, cos, diff, exp, pi, sin, sqrt

from lazy_course.derived import Derived, Rows
from lazy_course.uniform_bounds.derivation import ALPHA, CONVEX, D

GAMMA, G, RATE = Symbol("Gamma", positive=True), Symbol("G", positive=True), Symbol("b", positive=True)
E = Symbol("E", positive=True)
CONVEX_ALPHA = Symbol(r"m_\alpha", positive=True)


def graph_over_the_tangent() -> Derived:
    """A Jacobian [[Id, 0], [gamma_x, gamma_z]] has rank r only if gamma_z = 0.

    Each entry of gamma_z is one of its minors of size r + 1. Here r = 2, with two more parameters and outputs.
    """
    along, across = Matrix(2, 2, sp.symbols("x0:4")), Matrix(2, 2, sp.symbols("z0:4"))
    jacobian = Matrix.vstack(Matrix.hstack(sp.eye(2), sp.zeros(2, 2)), Matrix.hstack(along, across))
    checks = {}
    for i in range(2):
        for j in range(2):
            minor = jacobian.extract([0, 1, 2 + i], [0, 1, 2 + j]).det()
            checks[f"minor of entry {i + 1}, {j + 1}"] = sp.expand(minor - across[i, j])
    return Derived(Eq(Symbol(r"{\partial_z\gamma}"), 0, evaluate=False), checks)


def restricted_convexity() -> Derived:
    """Write <grad R_alpha(X) - grad R_alpha(X'), X - X'> in terms of Y - Y' and the Taylor remainders of Y."""
    g, k = Matrix(sp.symbols("g1 g2")), Matrix(sp.symbols("k1 k2"))
    step = Matrix(sp.symbols("d1 d2"))
    at, other = Matrix(2, 2, sp.symbols("p0:4")), Matrix(2, 2, sp.symbols("q0:4"))
    moved = Matrix(sp.symbols("y1 y2"))
    remainder, other_remainder = moved - at * step, moved - other * step
    left = ((at.T * g - other.T * k).T * step)[0]
    right = ((g - k).T * moved)[0] - (g.T * remainder)[0] + (k.T * other_remainder)[0]
    printed = CONVEX - GAMMA * G / ALPHA
    return Derived(
        Ge(CONVEX_ALPHA, printed, evaluate=False),
        {
            "identity": sp.expand(left - right),
            "two remainders of Gamma d^2 / (2 alpha), times G": sp.expand(
                CONVEX - 2 * G * GAMMA / (2 * ALPHA) - printed
            ),
        },
    )


def under_parameterized_travel() -> Derived:
    """Path length: ||w'|| = g/alpha, g >= b sqrt(2 m_alpha) q, q' = -g^2/(2q), so alpha times the length is E_R / b."""
    q, g = Symbol("q", positive=True), Symbol("g", positive=True)
    excess = Symbol(r"{R(0)-\inf R}", positive=True)
    length_per_loss = (g / ALPHA) / (g**2 / (2 * q))
    largest = length_per_loss.subs(g, RATE * sqrt(2 * CONVEX_ALPHA) * q)
    printed = sqrt(2 * excess / CONVEX_ALPHA) / (ALPHA * RATE)
    return Derived(
        Le(Symbol(r"{\lVert w_\alpha-w_0\rVert}"), printed, evaluate=False),
        {"length": sp.simplify(largest * sqrt(excess) - printed)},
    )


def gradients_in_the_tangent_space() -> Derived:
    """grad R_alpha - Q grad R = Q (grad R(Y) - grad R(X)) + Dgamma^T grad R(Y), for DY = (Id; Dgamma), Q = (Id 0)."""
    at_y, at_x = Matrix(sp.symbols("g1:5")), Matrix(sp.symbols("k1:5"))
    slope = Matrix(2, 2, sp.symbols("c0:4"))
    rise, project = Matrix.vstack(sp.eye(2), slope), Matrix.hstack(sp.eye(2), sp.zeros(2, 2))
    left = rise.T * at_y - project * at_x
    right = project * (at_y - at_x) + slope.T * at_y[2:, :]
    checks = {f"entry {i + 1}": sp.expand((left - right)[i]) for i in range(2)}
    difference = Symbol(r"{\nabla R_\alpha(X)-Q\nabla R(X)}")
    split = Symbol(r"{Q(\nabla R(Y)-\nabla R(X))+D\gamma^\top\nabla R(Y)}")
    return Derived(Eq(difference, split, evaluate=False), checks)


def figure_eight() -> tuple[Symbol, Matrix]:
    """The immersed curve h(w) = (sin w, sin(2w)): it passes through 0 at w = 0 and at w = pi."""
    w = Symbol("w", real=True)
    return w, Matrix([sin(w), sin(2 * w)])


def local_minimum() -> Derived:
    """On the figure eight with target (-1, 2)/sqrt(5): rank 1 everywhere, and the tangent at 0 explains 9/25 of it."""
    w, h = figure_eight()
    speed = diff(h, w)
    target = Matrix([-1, 2]) / sqrt(5)
    tangent = speed.subs(w, 0) / speed.subs(w, 0).norm()
    across = speed.subs(w, pi) / speed.subs(w, pi).norm()
    explained = (tangent.T * target)[0] ** 2
    left = (1 - explained) / 2
    # cos w = 0 forces cos 2w = -1, so the speed never vanishes: its square is c^2 + 4 (2c^2 - 1)^2 with c = cos w.
    c = Symbol("c", real=True)
    square = sp.expand_trig((speed.T * speed)[0]).subs(cos(w), c)
    least = sp.minimum(c**2 + 4 * (2 * c**2 - 1) ** 2, c, sp.Interval(-1, 1))
    return Derived(
        Eq(Symbol(r"{R_{\mathrm{lazy}}}"), left, evaluate=False),
        {
            "back at 0": h.subs(w, pi).norm(),
            "tangent at 0 explains": explained - Rational(9, 25),
            "tangent at pi is the target": (across - target).norm(),
            "squared speed": sp.simplify(square - (c**2 + 4 * (2 * c**2 - 1) ** 2)),
            "which stays positive": least - Rational(31, 64),
        },
    )


def shrinking_domain() -> Derived:
    """S13: with psi^(-1)(g) = g + g^2, y* = 1, square loss: G_alpha''(g) = (1 + 2g)^2 + 2 (g + g^2 - 1/alpha)."""
    g = Symbol("g", real=True)
    objective = (ALPHA * (g + g**2) - 1) ** 2 / (2 * ALPHA**2)
    printed = (1 + 2 * g) ** 2 + 2 * (g + g**2 - 1 / ALPHA)
    there = printed.subs({g: -Rational(3, 10), ALPHA: 1000})
    return Derived(
        Eq(Function("G_alpha")(g).diff(g, 2), printed, evaluate=False),
        {
            "second derivative": sp.expand(diff(objective, g, 2) - printed),
            "negative at g = -0.3, alpha = 1000": there + Rational(131, 500),
        },
    )


def gradient_on_the_chart() -> Derived:
    """S15: psi = id, square loss: grad G_alpha = g - g*, with no 1/alpha, and w' = -grad G_alpha."""
    g = Symbol("g", real=True)
    objective = (ALPHA * g - D) ** 2 / (2 * ALPHA**2)
    slope = diff(objective, g)
    velocity = -(ALPHA * g - D) / ALPHA  # w' = -(1/alpha) Dh^T grad R(alpha h), h(w) = w
    return Derived(
        Eq(Symbol(r"{\nabla G_\alpha(g)}"), slope, evaluate=False),
        {"is g - g*": sp.simplify(slope - (g - D / ALPHA)), "w' = -grad G": sp.simplify(velocity + slope)},
    )


def wandering_example() -> Derived:
    """Y4: h = (w1, w1 w2), y* = (1, 1): the flows end at (1/alpha, 1) and (1/alpha, 0); the rank jumps at 0."""
    w1, w2 = sp.symbols("w1 w2", real=True)
    h = Matrix([w1, w1 * w2])
    jacobian = h.jacobian([w1, w2])
    residual = ALPHA * h - Matrix([1, 1])
    there = {w1: 1 / ALPHA, w2: 1}
    linear = jacobian.subs({w1: 0, w2: 0})
    linear_residual = ALPHA * linear * Matrix([w1, w2]) - Matrix([1, 1])
    pulled = (linear.T * linear_residual).subs({w1: 1 / ALPHA, w2: 0})
    checks = {f"the flow fits output {i + 1}": sp.simplify(residual.subs(there)[i]) for i in range(2)}
    checks |= {f"the linearized flow rests, entry {i + 1}": sp.simplify(pulled[i]) for i in range(2)}
    checks["rank 1 at 0"] = linear.det()
    checks["rank 2 beside it"] = jacobian.det() - w1
    gap = Symbol(r"{\lVert w_\alpha(\infty)-\bar w_\alpha(\infty)\rVert}")
    return Derived(Eq(gap, 1, evaluate=False), checks)


def missing_start() -> Derived:
    """Lemma B.2 without y(0) = ybar(0): Sigma = 1, R = y^2/2, starts 1 and 0. K = 0, and the gap is e^(-t)."""
    time = Symbol("t", positive=True)
    y, ybar = exp(-time), sp.Integer(0)
    return Derived(
        Eq(Symbol(r"{\lVert y-\bar y\rVert}"), y - ybar, evaluate=False),
        {"y flows": diff(y, time) + y, "ybar rests": diff(ybar, time) + ybar, "K": (1 - 1) * y},
    )


def not_strict() -> Derived:
    """C5: h = (w1 + w2, 0), square loss with target (1, 1): the loss does not change along (1, -1)."""
    w1, w2, s = sp.symbols("w1 w2 s", real=True)
    loss = ((ALPHA * (w1 + w2) - 1) ** 2 + 1) / (2 * ALPHA**2)
    moved = loss.subs({w1: w1 + s, w2: w2 - s}, simultaneous=True)
    return Derived(
        Eq(Symbol(r"{F_\alpha(w_1+s,w_2-s)}"), Symbol(r"{F_\alpha(w_1,w_2)}"), evaluate=False),
        {"flat": sp.expand(moved - loss)},
    )


def linearized_minimizer() -> Derived:
    """C6: h = w1 - w2, target D: the linearized flow from 0 ends at (D, -D)/(2 alpha), which moves with alpha."""
    w1, w2 = sp.symbols("w1 w2", real=True)
    at = {w1: D / (2 * ALPHA), w2: -D / (2 * ALPHA)}
    printed: Expr = D / (sqrt(2) * ALPHA)
    return Derived(
        Eq(Symbol(r"{\lVert\bar w_\alpha(\infty)-w_0\rVert}"), printed, evaluate=False),
        {
            "fits": (ALPHA * (w1 - w2)).subs(at) - D,
            "in the row space": (w1 + w2).subs(at),
            "its length": sp.simplify(sqrt(w1**2 + w2**2).subs(at) - printed),
        },
    )


def false_inequality() -> Derived:
    """Y1: ||a - b||^2 >= | ||a||^2 - ||b||^2 | fails at a = 2, b = 1, by 2; the right one has (||a|| - ||b||)^2."""
    a, b = Symbol("a", real=True), Symbol("b", real=True)
    short = (a - b) ** 2 - (a**2 - b**2)
    return Derived(
        Eq(Symbol(r"{(a-b)^2-(a^2-b^2)}"), 2 * b * (b - a), evaluate=False),
        {"difference": sp.expand(short - 2 * b * (b - a)), "at a = 2, b = 1": short.subs({a: 2, b: 1}) + 2},
    )


def all_examples() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(
        graph_over_the_tangent,
        restricted_convexity,
        under_parameterized_travel,
        gradients_in_the_tangent_space,
        local_minimum,
        shrinking_domain,
        gradient_on_the_chart,
        wandering_example,
        missing_start,
        not_strict,
        linearized_minimizer,
        false_inequality,
    )
