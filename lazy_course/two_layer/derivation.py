r"""Units, what a neuron keeps, kernel and curvature, and training of the linearized model, step by step, in sympy.

A network of two neurons with two inputs each; where the gate of a ReLU is open its output is $a \langle b, x\rangle$,
where it is closed 0. Every function returns a `Derived`.
"""

import sympy as sp
from sympy import Eq, Expr, Matrix, Symbol, diff, expand, sqrt, symbols

from lazy_course.derived import Derived, Rows

TAU, ETA, SCALE, TEACHER, LAM = (Symbol(name, positive=True) for name in ("tau", "eta", "s", "c", "lambda"))
G, T = Symbol("g", real=True), Symbol("t", integer=True, nonnegative=True)
A = Matrix(symbols("a1 a2", real=True))
B = Matrix(2, 2, symbols("b11 b12 b21 b22", real=True))
X = Matrix(symbols("x1 x2", real=True))
OTHER = Matrix(symbols("z1 z2", real=True))
TARGET = Symbol("f^*", real=True)


def network(outputs: Matrix = A, inputs: Matrix = B, point: Matrix = X, gates: tuple[int, int] = (1, 1)) -> Expr:
    """The sum of a_j <b_j, x> over the neurons whose gate is open."""
    return sum(gates[j] * outputs[j] * (inputs.row(j) * point)[0] for j in range(2))


def weights() -> list[Expr]:
    """All six weights."""
    return [*A, *B]


def units() -> Derived:
    """A step on R/s^2 for s f against c f*, in w = (c/s)^(1/2) u, is one on R for f and f* in u, c/s times as long."""
    factor = sqrt(TEACHER / SCALE)
    inside = {w: factor * w for w in weights()}
    objective = (SCALE * network() - TEACHER * TARGET) ** 2 / (2 * SCALE**2)
    plain = (network() - TARGET) ** 2 / 2
    checks = {
        f"step of {w}": expand(
            (w * factor - ETA * diff(objective, w).subs(inside, simultaneous=True)) / factor
            - (w - ETA * TEACHER / SCALE * diff(plain, w))
        )
        for w in weights()
    }
    checks["loss"] = expand((objective * SCALE**2).subs(inside, simultaneous=True) - TEACHER**2 * plain)
    left = Symbol(r"{L_t(s,\,c\,;\ \tau,\,\eta)}")
    right = Symbol(r"{c^2\,L_t\Bigl(1,\,1\,;\ \tau\sqrt{\tfrac sc},\ \tfrac cs\,\eta\Bigr)}")
    return Derived(Eq(left, right, evaluate=False), checks)


def scale() -> Derived:
    """Descent on R from tau w0 with step eta is descent on F_alpha from w0, alpha = tau^2, with step eta tau^2."""
    alpha = TAU**2
    inside = {w: TAU * w for w in weights()}
    plain, scaled = (network() - TARGET) ** 2 / 2, (alpha * network() - TARGET) ** 2 / (2 * alpha**2)
    checks = {
        f"step of {w}": expand(
            (w * TAU - ETA * diff(plain, w).subs(inside, simultaneous=True)) / TAU - (w - ETA * alpha * diff(scaled, w))
        )
        for w in weights()
    }
    return Derived(Eq(Symbol(r"\alpha"), alpha, evaluate=False), checks)


def balance() -> Derived:
    """A step changes a^2 - |b|^2 by eta^2 (<b, g>^2 - a^2 |g|^2): nothing of first order, so the flow keeps it."""
    a, b, g = A[0], B.row(0), Matrix([symbols("g1 g2", real=True)])
    inner = (b * g.T)[0]
    after = (a - ETA * inner) ** 2 - sum((b[i] - ETA * a * g[i]) ** 2 for i in range(2))
    change = expand(after - (a**2 - (b * b.T)[0]))
    gap = inner**2 - a**2 * (g * g.T)[0]
    slopes = [diff(network(gates=(1, 0)), w) for w in (a, *b)]
    checks = {
        "one step": expand(change - ETA**2 * gap),
        "nothing of first order": diff(change, ETA).subs(ETA, 0),
        "Euler's identity": expand(a * slopes[0] - (b * Matrix(slopes[1:]))[0]),
    }
    left = Symbol(r"{\Delta\bigl(a_j^2-\lVert b_j\rVert^2\bigr)}")
    right = Symbol(r"{\eta^2\bigl(\langle b_j,g_j\rangle^2-a_j^2\lVert g_j\rVert^2\bigr)}")
    return Derived(Eq(left, right, evaluate=False), checks)


def kernel() -> Derived:
    """K(x, z) = sum over j open at both points of a_j^2 <x, z> + <b_j, x> <b_j, z>, for all gates of both points."""
    checks = {}
    for gates in ((1, 1), (1, 0), (0, 1), (0, 0)):
        for others in ((1, 1), (1, 0)):
            rows = [
                Matrix([diff(network(point=p, gates=g), w) for w in weights()])
                for p, g in ((X, gates), (OTHER, others))
            ]
            both = [gates[j] * others[j] for j in range(2)]
            written = sum(
                both[j] * (A[j] ** 2 * X.dot(OTHER) + (B.row(j) * X)[0] * (B.row(j) * OTHER)[0]) for j in range(2)
            )
            checks[f"gates {gates}, {others}"] = expand(rows[0].dot(rows[1]) - written)
    right = Symbol(
        r"{\sum_{j\,:\,\langle b_j,x\rangle>0,\ \langle b_j,z\rangle>0}"
        r"\bigl(a_j^2\langle x,z\rangle+\langle b_j,x\rangle\langle b_j,z\rangle\bigr)}"
    )
    return Derived(Eq(Symbol("K(x,z)"), right, evaluate=False), checks)


def curvature() -> Derived:
    """D^2 h[u, u] at x is 2 sum of da_j <db_j, x>; its norm, for one neuron at unit |da|^2 + |db|^2, is that of X_j."""
    move = Matrix(symbols("p1 p2 q11 q12 q21 q22", real=True))
    second = sp.hessian(network(), weights())
    bent = (move.T * second * move)[0]
    written = 2 * sum(move[j] * (move[2 + 2 * j] * X[0] + move[3 + 2 * j] * X[1]) for j in range(2))
    angle, size = Symbol("theta", real=True), Symbol("S", positive=True)
    product = 2 * sp.cos(angle) * sp.sin(angle) * size
    checks = {
        "couples a_j with b_j alone": expand(bent - written),
        "largest at equal shares": sp.simplify(product.subs(angle, sp.pi / 4) - size),
        "where it is stationary": sp.simplify(diff(product, angle).subs(angle, sp.pi / 4)),
    }
    right = Symbol(r"\max_j\,\sigma_{\max}(X_j)")
    return Derived(Eq(Symbol(r"{\lVert D^2h(w_0)\rVert}"), right, evaluate=False), checks)


def linearized() -> Derived:
    """A mode of the residual after t steps, (1 - eta lambda)^t r_0, and the sum of its past, which predicts."""
    start = Symbol("r_0", real=True)
    mode = (1 - ETA * LAM) ** T * start
    past = start * (1 - (1 - ETA * LAM) ** T) / LAM
    checks = {
        "recursion": expand(mode.subs(T, T + 1)) - expand((1 - ETA * LAM) * mode),
        "sum of the past": sp.simplify(past.subs(T, T + 1) - past - ETA * mode),
        "start of the sum": past.subs(T, 0),
        "a mode of rate 0": sp.limit(past.subs(T, 3), LAM, 0) - 3 * ETA * start,
    }
    return Derived(Eq(Symbol("r_t"), Symbol(r"{\bigl(I-\tfrac{\eta}{n}K\bigr)^t\,r_0}"), evaluate=False), checks)


def population() -> Derived:
    """What t steps from output 0 take from a mode of the population loss: g^2/lambda (1 - (1 - eta lambda)^(2t))."""
    learned = G * (1 - (1 - ETA * LAM) ** T) / LAM
    taken = 2 * G * learned - LAM * learned**2
    factor = Symbol("q", real=True)
    closed = G**2 / LAM * (1 - (1 - ETA * LAM) ** (2 * T))
    powers = {(1 - ETA * LAM) ** T: factor, (1 - ETA * LAM) ** (2 * T): factor**2}
    checks = {
        "recursion": sp.simplify(learned.subs(T, T + 1) - (learned - ETA * (LAM * learned - G))),
        "what is taken": expand(taken.subs(powers) - expand(closed.subs(powers))),
        "the limit": expand(closed.subs(powers).subs(factor, 0) - G**2 / LAM),
    }
    left = Symbol("L_t")
    right = Symbol(
        r"{\tfrac12\,E f^\star(x)^2-\tfrac12\sum_i\frac{g_i^2}{\lambda_i}\bigl(1-(1-\eta\lambda_i)^{2t}\bigr)}"
    )
    return Derived(Eq(left, right, evaluate=False), checks)


def doubled() -> Derived:
    """A student that has each neuron twice, with opposite outputs: output 0, and twice the kernel of its half."""
    twin = Matrix([-a for a in A])
    whole = network() + network(outputs=twin)
    slopes = [diff(network(), w) for w in weights()]
    other = [diff(network(outputs=OTHER), w) for w in B]
    at_twin = [slope.subs(dict(zip(OTHER, twin, strict=True)), simultaneous=True) for slope in other]
    checks = {
        "output": expand(whole),
        "input weights feel the opposite sign": expand(
            sum((p + q) ** 2 for p, q in zip(slopes[2:], at_twin, strict=True))
        ),
        "output weights feel the same": expand(slopes[0] - (B.row(0) * X)[0]),
    }
    return Derived(Eq(Symbol("K"), 2 * Symbol(r"K_{\text{half}}"), evaluate=False), checks)


def all_derivations() -> Rows:
    """Every derivation of the chapter by name."""
    return Rows(units, scale, balance, kernel, curvature, linearized, population, doubled)
