r"""Every step of the chapter's proofs as a check that must be zero, in sympy; formulas as the page prints them.

Symbols and plain formulas are those of derivation.py. Matrices are free: two samples or two outputs.
"""

import sympy as sp
from sympy import Eq, Expr, Le, Lt, Matrix, Rational, Symbol, diff, exp, sqrt

from lazy_course.convnets import derivation
from lazy_course.convnets.derivation import alpha, b, c, eta, momentum, n, rate, rho, s, t
from lazy_course.derived import Derived, Rows

W = Matrix(sp.symbols("w1 w2", real=True))
START = Matrix(sp.symbols("p1 p2", real=True))
U = Symbol("u", positive=True)


def named(text: str) -> Symbol:
    """A left or right side as it is printed."""
    return Symbol("{" + text + "}")


def model(w: Matrix) -> Matrix:
    """A model with two parameters and two outputs, by its coefficients up to second order."""
    g = sp.symbols("g0:6", real=True)
    k = sp.symbols("k0:6", real=True)
    powers = (1, w[0], w[1], w[0] ** 2, w[0] * w[1], w[1] ** 2)
    return Matrix([sum(a * p for a, p in zip(row, powers, strict=True)) for row in (g, k)])


def centring() -> Derived:
    """Centring leaves Dh and D2h as they are, and makes kappa of alpha h fall like 1/alpha from the start."""
    centred = model(W) - model(START)
    first = (alpha * centred).jacobian(W) - alpha * model(W).jacobian(W)
    second = [sp.hessian(alpha * centred[i], W) - alpha * sp.hessian(model(W)[i], W) for i in range(2)]
    bend, slope, target = sp.symbols("B S y", positive=True)  # norms of D2h, Dh and y*
    at_start = centred.subs(dict(zip(W, START, strict=True)))
    output, angle = sp.symbols("z theta", positive=True)  # the norm of h(w0), and its angle with y*
    distance = sqrt((alpha * output) ** 2 - 2 * alpha * output * target * sp.cos(angle) + target**2)
    plain = distance * alpha * bend / (alpha * slope) ** 2
    left = named(r"\kappa_{\alpha h_c}(w_0)")
    right = named(r"\frac1\alpha\,\frac{\lVert y^\star\rVert\,\lVert D^2h(w_0)\rVert}{\lVert Dh(w_0)\rVert^2}")
    return Derived(
        Eq(left, right, evaluate=False),
        {
            **{f"derivatives: entry {i + 1} of D(alpha h_c) - alpha Dh": sp.expand(first[i]) for i in range(4)},
            **{
                f"derivatives: D2 of output {i + 1}, entry {j + 1}": sp.expand(second[i][j])
                for i in range(2)
                for j in (0, 1, 3)
            },
            **{f"centred: output {i + 1} at the start": sp.expand(at_start[i]) for i in range(2)},
            "centred: kappa is a quotient over alpha": sp.simplify(
                target * alpha * bend / (alpha * slope) ** 2 - target * bend / slope**2 / alpha
            ),
            "not centred: the limit": sp.simplify(sp.limit(plain, alpha, sp.oo) - output * bend / slope**2),
        },
    )


def displacement() -> Derived:
    """A step with momentum on R(alpha h_c)/alpha^2 in w, times alpha, is a step on R(alpha h_c(w0 + v/alpha)) in v."""
    v = Matrix(sp.symbols("v1 v2", real=True))
    target = Matrix(sp.symbols("y1 y2", real=True))
    inside = {w: p + x / alpha for w, p, x in zip(W, START, v, strict=True)}
    residual = alpha * (model(W) - model(START)) - target
    scaled = residual.dot(residual) / alpha**2
    plain = residual.dot(residual).subs(inside, simultaneous=True)
    memory = Matrix(sp.symbols("m1 m2", real=True))  # of the descent in w; that in v is alpha times as large
    checks = {}
    for i in range(2):
        here = diff(scaled, W[i]).subs(inside, simultaneous=True)
        there = diff(plain, v[i])
        checks[f"gradient: alpha times that in w, entry {i + 1}"] = sp.expand(alpha * here - there)
        speed, other = momentum * memory[i] + here, momentum * alpha * memory[i] + there
        checks[f"step: the memory, entry {i + 1}"] = sp.expand(alpha * speed - other)
        moved = (START[i] + v[i] / alpha) - eta * speed
        checks[f"step: alpha (w - w0), entry {i + 1}"] = sp.expand(alpha * (moved - START[i]) - (v[i] - eta * other))
        linear = model(W).jacobian(W).subs(dict(zip(W, START, strict=True))) * v - target
        limit = sp.limit(sp.expand(there), alpha, sp.oo) - diff(linear.dot(linear), v[i])
        checks[f"limit: the gradient of the linearized model, entry {i + 1}"] = sp.expand(limit)
    left = named(r"\nabla_vR\bigl(\alpha h_c(w_0+v/\alpha)\bigr)")
    right = named(r"\alpha\,\nabla_w\Bigl[\tfrac1{\alpha^2}R\bigl(\alpha h_c(w)\bigr)\Bigr]_{w=w_0+v/\alpha}")
    return Derived(Eq(left, right, evaluate=False), checks)


def stable_steps() -> Derived:
    """Momentum is a two-term recursion; its characteristic polynomial at 1 and -1, and its slow root."""
    z = Symbol("z")
    p = derivation.momentum_polynomial
    roots = sp.solve(p(z), z)
    slow = sp.series(1 - eta * rate / (1 - momentum), eta, 0, 2).removeO()
    trial = sp.series(p(slow), eta, 0, 2).removeO()
    printed = 2 * (1 + momentum)
    return Derived(
        Lt(named(r"\eta\,\lambda_{\max}"), named(r"2(1+\mu)"), evaluate=False),
        {
            "recursion: the memory is eliminated": derivation.momentum_recursion_defect(),
            "roots: their product is mu": sp.simplify(roots[0] * roots[1] - momentum),
            "roots: the polynomial at 1 is eta lambda": sp.expand(p(sp.Integer(1)) - eta * rate),
            "roots: at -1 it is 2 (1 + mu) - eta lambda": sp.expand(p(sp.Integer(-1)) - (printed - eta * rate)),
            "limit: where it vanishes": sp.expand(derivation.stability_limit() - printed),
            "slow: 1 - eta lambda / (1 - mu) is a root to first order": sp.simplify(trial),
        },
    )


def flow() -> Derived:
    """A mode of the linearized flow, and what is left of the loss at time t."""
    moment = Symbol("beta", positive=True)
    v = moment * derivation.flow_of_a_mode()
    loss = rate * v**2 / 2 - moment * v
    left = loss + moment**2 / (2 * rate)
    printed = named(r"\tfrac12\sum_i\frac{\langle q_i,b\rangle^2}{\lambda_i}\,e^{-2\lambda_it}")
    return Derived(
        Eq(named(r"R-\inf R"), printed, evaluate=False),
        {
            "mode: v' = beta - lambda v": sp.simplify(diff(v, t) - (moment - rate * v)),
            "mode: it starts at 0": sp.simplify(v.subs(t, 0)),
            "mode: a rate of 0 leaves beta t": sp.limit(v, rate, 0) - moment * t,
            "loss: beta^2 exp(-2 lambda t)/(2 lambda) is left": sp.simplify(
                left - moment**2 / (2 * rate) * exp(-2 * rate * t)
            ),
        },
    )


def product() -> Derived:
    """Theta (x) I: eigenvectors u (x) a; and what a perturbation does to an eigenvector, after projecting."""
    theta = Matrix(2, 2, sp.symbols("t11 t12 t12 t22", real=True))
    u, a = Matrix(sp.symbols("u1 u2", real=True)), Matrix(sp.symbols("a1 a2", real=True))
    left = sp.kronecker_product(theta, sp.eye(2)) * sp.kronecker_product(u, a)
    checks = {f"product: entry {i + 1}": sp.expand(e) for i, e in enumerate(left - sp.kronecker_product(theta * u, a))}
    m1, m2, value = sp.symbols("mu1 mu2 lambda", real=True)
    flat, project = sp.diag(m1, m1, m2, m2), sp.diag(0, 0, 1, 1)  # I - P, in the eigenvectors of Theta (x) I
    v = Matrix(sp.symbols("v1:5", real=True))
    moved = value * v - flat * v  # E v, for an eigenvector v of Theta (x) I + E
    split = (value * sp.eye(4) - flat) * project * v - project * moved
    checks |= {
        f"vectors: (lambda - Theta (x) I)(I - P)v = (I - P)Ev, entry {i + 1}": sp.expand(split[i]) for i in (2, 3)
    }
    tangent = named(r"\lVert(I-P)v\rVert")
    return Derived(Le(tangent, named(r"\frac{\varepsilon}{\lambda-\mu_2}"), evaluate=False), checks)


def equicorrelated() -> Derived:
    """c((1 - rho) I + rho 1 1^T): constant vector and differences for three samples, quotient for any n."""
    matrix, ones, difference = derivation.equicorrelated(3), Matrix([1, 1, 1]), Matrix([1, -1, 0])
    largest, other = derivation.equicorrelated_eigenvalues()
    printed = 1 + n * rho / (1 - rho)
    checks = {
        f"alike: the constant vector, entry {i + 1}": sp.expand((matrix * ones - largest.subs(n, 3) * ones)[i])
        for i in range(3)
    }
    checks |= {
        f"alike: a difference, entry {i + 1}": sp.expand((matrix * difference - other * difference)[i])
        for i in range(3)
    }
    checks["alike: the trace is c n"] = sp.expand(largest + (n - 1) * other - c * n)
    checks["alike: the quotient"] = sp.simplify(largest / other - printed)
    checks["alike: as derived"] = sp.simplify(derivation.equicorrelated_gap() - printed)
    return Derived(Eq(named(r"\frac{\mu_1}{\mu_2}"), named(r"1+\frac{n\rho}{1-\rho}"), evaluate=False), checks)


def flips() -> Derived:
    """The gate of one unit whose bias moves by s."""
    z = Symbol("z")
    density = exp(-(z**2) / 2) / sqrt(2 * sp.pi)
    share = sp.integrate(density, (z, 0, s))
    printed = named(r"\mathbb P(-s<z\le0)")
    return Derived(
        Le(printed, named(r"\frac{s}{\sqrt{2\pi}}"), evaluate=False),
        {
            "flips: the density at 0, times s": sp.simplify(derivation.kink_change() - density.subs(z, 0) * s),
            "flips: the density falls, from 0 on": sp.simplify(diff(density, z) + z * density),
            "flips: to first order": sp.simplify(sp.series(share, s, 0, 2).removeO() - s / sqrt(2 * sp.pi)),
            "flips: the quotient": sp.simplify(derivation.kink_ratio() - (2 * sp.pi) ** Rational(-1, 4) / sqrt(s)),
        },
    )


def remainder() -> Derived:
    """What linearization leaves out at a kink, in mean square."""
    x = Symbol("x", positive=True)
    integral = sp.integrate((U - alpha * x) ** 2, (x, 0, U / alpha))
    printed = U**3 / (3 * sqrt(2 * sp.pi) * alpha)
    u = next(iter(derivation.kink_remainder().free_symbols - {alpha}))
    return Derived(
        Eq(named(r"\mathbb E\,\rho_\alpha^2"), named(r"\theta\,\frac{u^3}{3\sqrt{2\pi}\,\alpha}"), evaluate=False),
        {
            "kink: below the kink the remainder is alpha z + u": sp.expand(alpha * (-x + U / alpha) - (U - alpha * x)),
            "kink: the integral": sp.simplify(integral - U**3 / (3 * alpha)),
            "kink: times the density at 0": sp.simplify(integral / sqrt(2 * sp.pi) - printed),
            "kink: as derived to first order": sp.simplify(derivation.kink_remainder().subs(u, U) - printed),
        },
    )


def smooth() -> Derived:
    """The same for a softplus of sharpness b, from Taylor's integral and the square of its second derivative."""
    p, weight = sp.symbols("p q", positive=True)
    z = Symbol("z", real=True)
    curved = derivation.softplus_second_derivative(z)
    share = 1 / (1 + exp(-b * z))
    square = derivation.softplus_curvature()
    bound = (U**2 / (2 * alpha)) ** 2 * square
    printed = b * U**4 / (24 * sqrt(2 * sp.pi) * alpha**2)
    crossing = U * b / 8
    return Derived(
        Le(named(r"\mathbb E\,\rho_\alpha^2"), named(r"\frac{b\,u^4}{24\sqrt{2\pi}\,\alpha^2}"), evaluate=False),
        {
            "smooth: the second derivative is b p (1 - p)": sp.simplify(
                (curved - b * share * (1 - share)).rewrite(exp)
            ),
            "smooth: dp = b p (1 - p) dz": sp.simplify((diff(share, z) - b * share * (1 - share)).rewrite(exp)),
            "smooth: the integral of its square is b/6": b * sp.integrate(p * (1 - p), (p, 0, 1)) - b / 6,
            "smooth: times the density at 0": sp.simplify(square - b / 6 / sqrt(2 * sp.pi)),
            "smooth: the weight of Taylor's integral": sp.integrate(1 - weight, (weight, 0, 1)) - Rational(1, 2),
            "smooth: the bound": sp.simplify(bound - printed),
            "crossing: both bounds are equal at alpha = u b/8": sp.simplify(
                (bound - U**3 / (3 * sqrt(2 * sp.pi) * alpha)).subs(alpha, crossing)
            ),
        },
    )


def dead() -> Derived:
    """A unit on its kink: alpha times its change is the same at every scale, and not linear."""
    move = Symbol("s", real=True)
    unit = alpha * sp.Max(0, move / alpha)
    signs = {"up": U, "down": -U}
    checks: dict[str, Expr] = {
        f"one side: {name}": sp.simplify(unit.subs(move, sign) - sp.Max(0, sign)) for name, sign in signs.items()
    }
    checks["not linear: up and down add up to the step"] = sp.Max(0, U) + sp.Max(0, -U) - U
    left, right = named(r"\alpha\bigl(\tfrac s\alpha\bigr)_+"), named("s_+")
    return Derived(Eq(left, right, evaluate=False), checks)


def all_steps() -> Rows:
    """Every row by name."""
    return Rows(
        centring,
        displacement,
        stable_steps,
        flow,
        product,
        equicorrelated,
        flips,
        remainder,
        smooth,
        dead,
    )
