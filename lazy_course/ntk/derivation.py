r"""The kernels of infinitely wide networks, derived in sympy: the Gaussian integrals, and layer by layer.

u and v are the pre-activations of one neuron at x and x': normal with variances Q, QQ and covariance K; PHI is the
angle of the two vectors behind them, $\cos\varphi = k/\sqrt{qq'}$. Every function returns a `Derived`: the equation
that the book prints, and checks that must simplify to zero.
"""

import sympy as sp
from sympy import Eq, Expr, Matrix, Rational, Symbol, asin, cos, exp, pi, sin, sqrt

from lazy_course.derived import Derived, Rows

PHI = Symbol("varphi", positive=True)
Q, QQ = Symbol("q", positive=True), Symbol("q'", positive=True)
K = Symbol("k", real=True)
SIGMA_W, SIGMA_B = Symbol("sigma_w", positive=True), Symbol("sigma_b", nonnegative=True)

PAIR = Symbol(r"{\mathbb{E}[\sigma(u)\sigma(v)]}")
GATES = Symbol(r"{\mathbb{E}[\sigma'(u)\sigma'(v)]}")


def relu_pair_over_lengths(angle: Expr = PHI) -> Expr:
    """E[s(u) s(v)] / sqrt(q q') for ReLU: (sin + (pi - angle) cos) / (2 pi)."""
    return (sin(angle) + (pi - angle) * cos(angle)) / (2 * pi)


def relu_gate_product(angle: Expr = PHI) -> Expr:
    """E[s'(u) s'(v)] for ReLU: (pi - angle) / (2 pi)."""
    return (pi - angle) / (2 * pi)


def erf_pair_product(q: Expr = Q, qq: Expr = QQ, k: Expr = K) -> Expr:
    """E[erf(u) erf(v)]: (2 / pi) arcsin(2 k / sqrt((1 + 2q)(1 + 2q')))."""
    return 2 / pi * asin(2 * k / sqrt((1 + 2 * q) * (1 + 2 * qq)))


def erf_gate_product(q: Expr = Q, qq: Expr = QQ, k: Expr = K) -> Expr:
    """E[erf'(u) erf'(v)]: (4 / pi) / sqrt((1 + 2q)(1 + 2q') - 4 k^2)."""
    return 4 / pi / sqrt((1 + 2 * q) * (1 + 2 * qq) - 4 * k**2)


def _polar(radial_power: int, angular: Expr, theta: Symbol) -> Expr:
    """Integrate rho^power times an angular part over the wedge where u, v > 0, against the standard normal density.

    In the plane of x and x', a = rho (cos theta, sin theta) with density e^(-rho^2/2) rho / (2 pi); x lies at the
    angle 0 and x' at phi, so u ~ cos theta and v ~ cos(theta - phi) are both positive for phi - pi/2 < theta < pi/2.
    """
    rho = Symbol("rho", positive=True)
    radial = sp.integrate(rho ** (radial_power + 1) * exp(-(rho**2) / 2), (rho, 0, sp.oo))
    return radial * sp.integrate(angular, (theta, PHI - pi / 2, pi / 2)) / (2 * pi)


def relu_pair() -> Derived:
    """The integral behind K^(b) for ReLU, in polar coordinates of the plane of x and x'."""
    theta = Symbol("theta", real=True)
    integral = _polar(2, cos(theta) * cos(theta - PHI), theta)
    printed = relu_pair_over_lengths()
    return Derived(
        Eq(PAIR, sqrt(Q * QQ) * printed, evaluate=False),
        {
            "polar integral": sp.simplify(sp.expand_trig(integral - printed)),
            "parallel: E[s(u)^2] = q/2": printed.subs(PHI, 0) - Rational(1, 2),
            "opposite: never both active": printed.subs(PHI, pi),
        },
    )


def relu_gates() -> Derived:
    """The integral behind K^(a) for ReLU: the share of the circle where both neurons are active."""
    theta = Symbol("theta", real=True)
    integral = _polar(0, sp.Integer(1), theta)
    printed = relu_gate_product()
    return Derived(
        Eq(GATES, printed, evaluate=False),
        {
            "polar integral": sp.simplify(integral - printed),
            "Price: derivative of the pair in k": sp.simplify(
                sp.diff(relu_pair_over_lengths(), PHI) / sp.diff(cos(PHI), PHI) - printed
            ),
        },
    )


def two_layer_relu() -> tuple[Derived, Derived]:
    """Eq. (8): K^(a) and K^(b) for ReLU and any rotation-invariant law of the input weights.

    Such a = |a| s with s uniform on the sphere of R^d. The two coordinates of a in the plane of x and x' have a uniform
    angle theta and a length rho with E rho^2 = 2 E|a|^2 / d, as the d coordinates of s share the sum 1.
    """
    theta, d = Symbol("theta", real=True), Symbol("d", positive=True)
    b2, a2 = Symbol(r"{\mathbb{E}[b^2]}", positive=True), Symbol(r"{\mathbb{E}\lVert a\rVert^2}", positive=True)
    inner, lengths = Symbol(r"{\langle x,x'\rangle}"), Symbol(r"{\lVert x\rVert\lVert x'\rVert}")
    wedge = (theta, PHI - pi / 2, pi / 2)
    first = inner * b2 * sp.integrate(1, wedge) / (2 * pi)
    second = lengths * (2 * a2 / d) * sp.integrate(cos(theta) * cos(theta - PHI), wedge) / (2 * pi)
    gates = inner * b2 / (2 * pi) * (pi - PHI)
    pairs = lengths * a2 / (2 * pi * d) * ((pi - PHI) * cos(PHI) + sin(PHI))
    normal = {a2: d, b2: 1}
    return (
        Derived(
            Eq(Symbol("{K^{(a)}(x,x')}"), gates, evaluate=False),
            {
                "angular integral": sp.simplify(first - gates),
                "normal weights": sp.simplify(gates.subs(normal) - inner * relu_gate_product()),
            },
        ),
        Derived(
            Eq(Symbol("{K^{(b)}(x,x')}"), pairs, evaluate=False),
            {
                "angular integral": sp.simplify(sp.expand_trig(second - pairs)),
                "normal weights": sp.simplify(pairs.subs(normal) - lengths * relu_pair_over_lengths()),
            },
        ),
    )


def _density(u: Symbol, v: Symbol) -> Expr:
    """The density of (u, v): centred, variances Q and QQ, covariance K."""
    determinant = Q * QQ - K**2
    form = (QQ * u**2 - 2 * K * u * v + Q * v**2) / determinant
    return exp(-form / 2) / (2 * pi * sqrt(determinant))


def price() -> Derived:
    """Price's theorem: the normal density p solves dp/dk = d2p/(du dv); integrate by parts twice against s(u) s(v)."""
    u, v = sp.symbols("u v", real=True)
    p = _density(u, v)
    ratio = (sp.diff(p, K) - sp.diff(p, u, v)) / p
    return Derived(
        Eq(Symbol(r"{\frac{\partial}{\partial k}\mathbb{E}[\sigma(u)\sigma(v)]}"), GATES, evaluate=False),
        {"the density's equation": sp.simplify(ratio)},
    )


def erf_gates() -> Derived:
    """The Gaussian integral over u, then v, of erf'(u) erf'(v) = (4/pi) e^(-u^2 - v^2); both sides are positive."""
    u, v = sp.symbols("u v", real=True)
    stiff, tilt = Symbol("A", positive=True), Symbol("B", real=True)
    one = sp.integrate(exp(-stiff * u**2 + tilt * u), (u, -sp.oo, sp.oo))
    determinant = Q * QQ - K**2
    first = {stiff: 1 + QQ / (2 * determinant), tilt: K * v / determinant}
    density = _density(u, v) * exp(-(u**2) - v**2)
    exponent = sp.expand(sp.expand_log(sp.log(density * 2 * pi * sqrt(determinant)), force=True))
    by_hand = -first[stiff] * u**2 + first[tilt] * u - (1 + Q / (2 * determinant)) * v**2
    left = 1 + Q / (2 * determinant) - (K / determinant) ** 2 / (4 * first[stiff])
    second = sp.integrate(exp(-stiff * v**2), (v, -sp.oo, sp.oo)).subs(stiff, left)
    integral = 4 / pi * sqrt(pi / first[stiff]) * second / (2 * pi * sqrt(determinant))
    printed = erf_gate_product()
    return Derived(
        Eq(GATES, printed, evaluate=False),
        {
            "exponent": sp.simplify(exponent - by_hand),
            "integral over u": sp.simplify(one - sqrt(pi / stiff) * exp(tilt**2 / (4 * stiff))),
            "both integrals, squared": sp.simplify(integral**2 - printed**2),
            "derivative of erf": sp.diff(sp.erf(u), u) * sp.diff(sp.erf(v), v) - 4 / pi * exp(-(u**2) - v**2),
        },
    )


def erf_pair() -> Derived:
    """Integrate Price's identity in k from 0, where u and v are independent and E[erf(u)] = 0."""
    u, at = Symbol("u", real=True), Symbol("kappa", real=True)
    size = Symbol("S", positive=True)  # sqrt((1 + 2q)(1 + 2q'))
    integral = sp.integrate(4 / pi / sqrt(size**2 - 4 * at**2), at)
    printed = erf_pair_product()
    return Derived(
        Eq(PAIR, printed, evaluate=False),
        {
            "antiderivative": sp.simplify(sp.diff(integral, at) - 4 / pi / sqrt(size**2 - 4 * at**2)),
            "derivative in k": sp.simplify(sp.diff(printed, K) ** 2 - erf_gate_product() ** 2),
            "start, k = 0": printed.subs(K, 0),
            "erf is odd: no mean": sp.integrate(sp.erf(u) * exp(-(u**2) / (2 * Q)), (u, -sp.oo, sp.oo)),
        },
    )


def tangent_layer() -> Derived:
    """One more layer: split the tangent kernel of f = sigma_w / sqrt(m) sum_i w_i s(h_i) + sigma_b beta by parameters.

    Two neurons stand for m. The parameters of the layer itself give the covariance K^(l+1) in the making; those below
    act through h_i, whose tangent kernel becomes diagonal in i, and E[w_i w_j] is 1 for i = j, else 0.
    """
    m = 2
    s = sp.Function("s")
    w, beta = Matrix(sp.symbols("w1:3")), Symbol("beta")
    h, hh = Matrix(sp.symbols("h1:3")), Matrix(sp.symbols("g1:3"))
    theta = Symbol("theta")

    def output(pre: Matrix) -> Expr:
        return SIGMA_W / sqrt(m) * sum(w[i] * s(pre[i]) for i in range(m)) + SIGMA_B * beta

    own = sum(sp.diff(output(h), p) * sp.diff(output(hh), p) for p in (*w, beta))
    below = sum(sp.diff(output(h), h[i]) * sp.diff(output(hh), hh[i]) * theta for i in range(m))
    pairs = sum(s(h[i]) * s(hh[i]) for i in range(m)) / m
    gates = sum(sp.diff(s(h[i]), h[i]) * sp.diff(s(hh[i]), hh[i]) for i in range(m)) / m
    averaged = sp.expand(below).subs({w[0] ** 2: 1, w[1] ** 2: 1})
    above, here = Symbol(r"{K^{l+1}}"), Symbol(r"{\Theta^{l}}")
    return Derived(
        Eq(Symbol(r"{\Theta^{l+1}}"), above + SIGMA_W**2 * GATES * here, evaluate=False),
        {
            "the layer's own parameters: the next covariance": sp.expand(own - SIGMA_W**2 * pairs - SIGMA_B**2),
            "the parameters below, averaged over w": sp.expand(averaged - SIGMA_W**2 * gates * theta),
        },
    )


def covariance_layer() -> Derived:
    """One more layer of the covariance: the second moment of f = sigma_w / sqrt(m) sum_i w_i s_i + sigma_b beta."""
    m = 2
    w, beta = Matrix(sp.symbols("w1:3")), Symbol("beta")
    s, ss = Matrix(sp.symbols("s1:3")), Matrix(sp.symbols("r1:3"))
    product = sp.expand(
        (SIGMA_W / sqrt(m) * w.dot(s) + SIGMA_B * beta) * (SIGMA_W / sqrt(m) * w.dot(ss) + SIGMA_B * beta)
    )
    ones = {w[0] ** 2: 1, w[1] ** 2: 1, beta**2: 1}
    # What is left after the squares are replaced is odd in a standard normal variable: its mean is zero.
    mean = product.subs(ones).subs({w[0]: 0, w[1]: 0, beta: 0})
    return Derived(
        Eq(Symbol(r"{K^{l+1}}"), SIGMA_W**2 * PAIR + SIGMA_B**2, evaluate=False),
        {"mean over w and beta": sp.expand(mean - SIGMA_W**2 * s.dot(ss) / m - SIGMA_B**2)},
    )


def kernels_at_depth(activation: str, depth: int, inner: Expr, square: Expr, other: Expr) -> tuple[Expr, Expr]:
    """(nngp, ntk) after `depth` hidden layers, from <x, x'>/d, |x|^2/d and |x'|^2/d: the recursion written out.

    sigma_w and sigma_b are SIGMA_W and SIGMA_B. Substitute numbers, then evaluate to as many digits as are wanted.
    """
    k, q, qq = (SIGMA_W**2 * entry + SIGMA_B**2 for entry in (inner, square, other))
    theta = k
    for _ in range(depth):
        if activation == "relu":
            angle = sp.acos(k / sqrt(q * qq))
            pair, gate = sqrt(q * qq) * relu_pair_over_lengths(angle), relu_gate_product(angle)
            squares = q / 2, qq / 2
        else:
            pair, gate = erf_pair_product(q, qq, k), erf_gate_product(q, qq, k)
            squares = erf_pair_product(q, q, q), erf_pair_product(qq, qq, qq)
        k = SIGMA_W**2 * pair + SIGMA_B**2
        q, qq = (SIGMA_W**2 * entry + SIGMA_B**2 for entry in squares)
        theta = k + SIGMA_W**2 * gate * theta
    return k, theta


def all_kernels() -> Rows:
    """Run every derivation of this file, by name."""
    return Rows(
        relu_pair,
        relu_gates,
        price,
        erf_gates,
        erf_pair,
        covariance_layer,
        tangent_layer,
        two_layer_relu_inputs=lambda: two_layer_relu()[0],
        two_layer_relu_outputs=lambda: two_layer_relu()[1],
    )
