"""The algebra of the preliminaries, derived with sympy: the running example and each step of each proof.

The running example is the valley h(w) = (w1, w2 + w1^2 / 2) with the square loss and the target 0, started at
w0 = (3/2, 7/8). It is small enough for closed forms and has everything: a differential that is no isometry,
a second derivative, and an objective that is not convex.
"""

import sympy as sp

W1, W2 = sp.symbols("w_1 w_2", real=True)
START = {W1: sp.Rational(3, 2), W2: sp.Rational(7, 8)}
SLOPE = sp.Symbol("s", real=True)


def valley() -> sp.Matrix:
    """Return the running example h(w) = (w1, w2 + w1^2 / 2) as a column."""
    return sp.Matrix([W1, W2 + W1**2 / 2])


def valley_differential() -> sp.Matrix:
    """Return Dh(w) of the running example, rows for outputs."""
    return valley().jacobian([W1, W2])


def valley_objective() -> sp.Expr:
    """Return F(w) = norm(h(w))^2 / 2: the square loss of the running example with the target 0."""
    return valley().dot(valley()) / 2


def valley_gradient() -> sp.Matrix:
    """Return the gradient of F, differentiated without the chain rule of the text."""
    return sp.Matrix([sp.diff(valley_objective(), w) for w in (W1, W2)])


def valley_hessian() -> sp.Matrix:
    """Return the Hessian of F for the running example."""
    return sp.hessian(valley_objective(), (W1, W2))


def at_start(expression: sp.Expr | sp.Matrix) -> sp.Expr | sp.Matrix:
    """Evaluate an expression in w1 and w2 at w0 = (3/2, 7/8)."""
    return expression.subs(START)


def valley_singular_values() -> tuple[sp.Expr, sp.Expr]:
    """Return (largest, smallest) singular value of [[1, 0], [s, 1]], the differential at w1 = s >= 0.

    They are the positive roots of x^4 - (2 + s^2) x^2 + 1; their product is 1 and their difference s.
    """
    root = sp.sqrt(SLOPE**2 + 4)
    return (root + SLOPE) / 2, (root - SLOPE) / 2


def singular_value_polynomial(value: sp.Expr) -> sp.Expr:
    """Return det(A^T A - value^2 I) for A = [[1, 0], [s, 1]]: zero exactly for singular values."""
    matrix = sp.Matrix([[1, 0], [SLOPE, 1]])
    return sp.simplify((matrix.T * matrix - value**2 * sp.eye(2)).det())


def valley_rate(radius: sp.Expr) -> sp.Expr:
    """Return the least sigma_min^2 of Dh where norm(h(w)) <= radius: that of w1 = radius, as sigma_min falls in w1."""
    _, smallest = valley_singular_values()
    return sp.simplify(smallest.subs(SLOPE, radius) ** 2)


def weighted_gradient_gaps() -> tuple[sp.Matrix, sp.Matrix]:
    """Return two gaps, both zero, for the inner product <a, b>_n = (1/n) sum a_i b_i of R^n with n = 3.

    With R(y) = norm(y - y*)_n^2 / 2: the gradient of R in that product, minus (y - y*); and the adjoint J^T / n
    applied to it, minus J^T times the Euclidean gradient of R.
    """
    n = 3
    y, target = sp.Matrix(sp.symbols("y_1:4")), sp.Matrix(sp.symbols("t_1:4"))
    jacobian = sp.Matrix(n, 2, sp.symbols("J_1:7"))
    loss = (y - target).dot(y - target) / (2 * n)
    euclidean = sp.Matrix([sp.diff(loss, entry) for entry in y])
    weighted = n * euclidean  # <g, u>_n = (1/n) g.u must equal the derivative, which is euclidean.u
    adjoint_gap = (jacobian.T / n * weighted - jacobian.T * euclidean).applyfunc(sp.expand)
    return weighted - (y - target), adjoint_gap


def polarization_gap() -> sp.Expr:
    """Return B(u,v) - [B(u+v,u+v) - B(u-v,u-v)]/4 for a general symmetric form on R^3: zero."""
    entries = sp.symbols("b_1:7")
    a, b, c, d, e, f = entries
    form = sp.Matrix([[a, b, c], [b, d, e], [c, e, f]])
    u, v = sp.Matrix(sp.symbols("u_1:4")), sp.Matrix(sp.symbols("v_1:4"))

    def value(x: sp.Matrix, y: sp.Matrix) -> sp.Expr:
        return (x.T * form * y)[0, 0]

    return sp.expand(value(u, v) - (value(u + v, u + v) - value(u - v, u - v)) / 4)


def parallelogram_gap() -> sp.Expr:
    """Return norm(u+v)^2 + norm(u-v)^2 - 2 norm(u)^2 - 2 norm(v)^2 on R^3: zero."""
    u, v = sp.Matrix(sp.symbols("u_1:4")), sp.Matrix(sp.symbols("v_1:4"))
    return sp.expand((u + v).dot(u + v) + (u - v).dot(u - v) - 2 * u.dot(u) - 2 * v.dot(v))


def taylor_step_gap() -> sp.Expr:
    """Return d/ds [phi(s) + (1-s) phi'(s)] - (1-s) phi''(s) for an unknown function phi: zero.

    Integrated over [0, 1] it is phi(1) - phi(0) - phi'(0) = int_0^1 (1-s) phi''(s) ds.
    """
    s = sp.Symbol("s")
    phi = sp.Function("phi")(s)
    return sp.simplify(sp.diff(phi + (1 - s) * sp.diff(phi, s), s) - (1 - s) * sp.diff(phi, s, 2))


def least_squares_hessian_gap() -> sp.Matrix:
    """Return Hess(F_a) - [Dh^T Dh + (1/a) sum_i (a h - y*)_i Hess(h_i)] for general h: R^2 -> R^2: zero.

    F_a(w) = norm(a h(w) - y*)^2 / (2 a^2).
    """
    a = sp.Symbol("alpha", positive=True)
    target = sp.Matrix(sp.symbols("t_1 t_2"))
    h = sp.Matrix([sp.Function("h_1")(W1, W2), sp.Function("h_2")(W1, W2)])
    residual = a * h - target
    objective = residual.dot(residual) / (2 * a**2)
    jacobian = h.jacobian([W1, W2])
    second = sp.zeros(2, 2)
    for i in range(2):
        second += residual[i] * sp.hessian(h[i], (W1, W2)) / a
    return (sp.hessian(objective, (W1, W2)) - jacobian.T * jacobian - second).applyfunc(sp.simplify)


def energy_rate_gap() -> sp.Expr:
    """Return d/dt F(w(t)) + norm(grad F)^2 for a general F on R^2 along w' = -grad F: zero."""
    t = sp.Symbol("t")
    function = sp.Function("F")(W1, W2)
    gradient = [sp.diff(function, w) for w in (W1, W2)]
    path = [sp.Function("x_1")(t), sp.Function("x_2")(t)]
    place = {W1: path[0], W2: path[1]}
    along = [part.subs(place, simultaneous=True).doit() for part in gradient]
    rate = sp.diff(function.subs(place, simultaneous=True), t).doit()
    for point, slope in zip(path, along, strict=True):
        rate = rate.subs(sp.Derivative(point, t), -slope)
    return sp.simplify(rate + along[0] ** 2 + along[1] ** 2)


def integrating_factor_gap() -> sp.Expr:
    """Return d/dt[exp(-A) u] - exp(-A) (u' - a u) for unknown u and A with A' = a: zero."""
    t = sp.Symbol("t")
    u, big = sp.Function("u")(t), sp.Function("A")(t)
    left = sp.diff(sp.exp(-big) * u, t)
    return sp.simplify(left - sp.exp(-big) * (sp.diff(u, t) - sp.diff(big, t) * u))


def gronwall_constant_rate() -> sp.Expr:
    """Solve u' = a u + b, u(0) = u0 with constants a != 0 and b: the envelope u0 e^(at) + (b/a)(e^(at) - 1)."""
    t = sp.Symbol("t", nonnegative=True)
    a = sp.Symbol("a", nonzero=True)
    b, start = sp.symbols("b u_0", real=True)
    u = sp.Function("u")
    equation = sp.Eq(u(t).diff(t), a * u(t) + b)
    return sp.simplify(sp.dsolve(equation, u(t), ics={u(0): start}).rhs)


def named(name: str, value: sp.Expr | sp.Matrix) -> sp.Eq:
    """Return the equation name = value, to be printed: the left side is only a name."""
    left = sp.MatrixSymbol(name, *value.shape) if isinstance(value, sp.MatrixBase) else sp.Symbol(name)
    return sp.Eq(left, value, evaluate=False)


def adjoint_square_gap(rows: int = 2, columns: int = 3) -> sp.Expr:
    """Return norm(A^T r)^2 - <r, A A^T r> for a matrix of symbols: zero."""
    a = sp.Matrix(rows, columns, sp.symbols(f"a:{rows * columns}", real=True))
    r = sp.Matrix(sp.symbols(f"r:{rows}", real=True))
    return sp.expand((a.T * r).dot(a.T * r) - r.dot(a * a.T * r))


def gronwall_without_forcing() -> sp.Expr:
    """Return the limit of the constant-rate envelope as a -> 0: u0 + b t."""
    envelope = gronwall_constant_rate()
    a = next(symbol for symbol in envelope.free_symbols if symbol.name == "a")
    return sp.limit(envelope, a, 0)


def gronwall_integral_gap() -> sp.Expr:
    """Return the step of the integral form: with u <= b + v, v' = a u, the excess of v' over a v + a b.

    It equals a (u - b - v), which is <= 0 when a >= 0 and u <= b + v.
    """
    a, u, b, v = sp.symbols("a u b v", real=True)
    return sp.expand(a * u - (a * v + a * b) - a * (u - b - v))


def lower_model_minimum() -> tuple[sp.Expr, sp.Expr]:
    """Minimize F + <g, d> + (mu/2) norm(d)^2 over d in R^2; return (minimizer's gap to -g/mu, minimum)."""
    mu = sp.Symbol("mu", positive=True)
    value, g1, g2, d1, d2 = sp.symbols("F g_1 g_2 d_1 d_2", real=True)
    model = value + g1 * d1 + g2 * d2 + mu / 2 * (d1**2 + d2**2)
    solution = sp.solve([sp.diff(model, d1), sp.diff(model, d2)], [d1, d2], dict=True)[0]
    gap = sp.simplify((solution[d1] + g1 / mu) ** 2 + (solution[d2] + g2 / mu) ** 2)
    return gap, sp.factor(sp.simplify(model.subs(solution)))


def decay_under_polyak_lojasiewicz() -> sp.Expr:
    """Solve the extreme case E' = -2 mu E of the inequality: E0 exp(-2 mu t)."""
    t = sp.Symbol("t", nonnegative=True)
    mu, start = sp.symbols("mu E_0", positive=True)
    energy = sp.Function("E")
    equation = sp.Eq(energy(t).diff(t), -2 * mu * energy(t))
    return sp.dsolve(equation, energy(t), ics={energy(0): start}).rhs


def root_energy_speed() -> sp.Expr:
    """Return -d/dt sqrt(E) / g when E' = -g^2 and g^2 = 2 mu E (the extreme case): sqrt(mu / 2)."""
    t = sp.Symbol("t", nonnegative=True)
    mu, e = sp.symbols("mu e", positive=True)
    energy = sp.Function("E", positive=True)(t)
    speed = sp.diff(sp.sqrt(energy), t).subs(sp.diff(energy, t), -2 * mu * energy)
    return sp.simplify((-speed / sp.sqrt(2 * mu * energy)).subs(energy, e))


def upper_model_at_step() -> sp.Expr:
    """Return F - eta g^2 + (L/2) eta^2 g^2 at its best step eta = 1/L: F - g^2 / (2 L)."""
    lipschitz, eta = sp.symbols("L eta", positive=True)
    value, g = sp.symbols("F g", real=True)
    model = value - eta * g**2 + lipschitz * eta**2 * g**2 / 2
    best = sp.solve(sp.diff(model, eta), eta)[0]
    return sp.simplify(model.subs(eta, best))


def descent_recursion() -> sp.Expr:
    """Solve e_{k+1} = (1 + eta L) e_k + eta^2 M / 2, e_0 = 0: (eta M / (2 L)) ((1 + eta L)^k - 1)."""
    k = sp.Symbol("k", integer=True, nonnegative=True)
    eta, lipschitz, m = sp.symbols("eta L M", positive=True)
    closed = eta * m / (2 * lipschitz) * ((1 + eta * lipschitz) ** k - 1)
    step = closed.subs(k, k + 1) - ((1 + eta * lipschitz) * closed + eta**2 * m / 2)
    if sp.simplify(step) != 0 or closed.subs(k, 0) != 0:
        raise ArithmeticError("the closed form of the recursion does not solve it")
    return closed


def descent_gap_of_a_parabola() -> sp.Expr:
    """Return lim (e^(-t) - (1 - eta)^(t/eta)) / eta as eta -> 0: t e^(-t) / 2, for F(w) = w^2/2 from w0 = 1."""
    t, eta = sp.symbols("t eta", positive=True)
    # (1 - eta)^(t/eta) = exp(t log(1 - eta) / eta), expanded in eta.
    iterate = sp.exp(t * sp.series(sp.log(1 - eta), eta, 0, 4).removeO() / eta)
    return sp.simplify(sp.limit((sp.exp(-t) - iterate) / eta, eta, 0))
