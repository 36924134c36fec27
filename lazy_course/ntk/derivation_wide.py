r"""The algebra behind "wide networks are linearized networks": Theorems G.1 and H.1, for steps and for the flow.

B bounds the norm of the Jacobian (normalized, so that the kernel is J J^T) on a ball, L is its Lipschitz constant,
R0 the initial residual, LAM and TOP the ends of the spectrum of the limiting kernel, ETA the step, RHO its contraction.
Every function returns a `Derived`: what the book prints, and checks that must simplify to zero.
"""

import sympy as sp
from sympy import Eq, Expr, Function, Integral, Le, Matrix, Min, Rational, Symbol, diff, exp, sqrt

from lazy_course.derived import Derived, Rows

B, L, R0, LAM, TOP = (Symbol(name, positive=True) for name in ("B", "L", "R_0", r"\lambda_{\min}", r"\lambda_{\max}"))
ETA, RHO, WIDTH = Symbol("eta_0", positive=True), Symbol("rho", positive=True), Symbol("m", positive=True)
TIME, STEP = Symbol("t", positive=True), Symbol("k", positive=True, integer=True)
DRIFT = Symbol(r"\varepsilon", positive=True)
RADIUS = 3 * ETA * B * R0 / RHO


def matrix(name: str, rows: int = 2, columns: int = 2) -> Matrix:
    """A matrix of independent real symbols."""
    return Matrix(rows, columns, lambda i, j: Symbol(f"{name}_{i + 1}{j + 1}", real=True))


def dictionary() -> Derived:
    """With W = c w, a step eta in w moves W by c^2 eta times the gradient in W, and J_w J_w^T = c^2 J_W J_W^T."""
    w, c, eta = Symbol("w", real=True), Symbol("c", positive=True), Symbol("eta", positive=True)
    big, objective = Symbol("W", real=True), Function("F")
    in_w = diff(objective(c * w), w).doit().subs(w, big / c).doit()
    in_big = diff(objective(big), big)
    moved = c * (big / c - eta * in_w)
    return Derived(
        Eq(Symbol(r"\eta_W"), c**2 * Symbol(r"\eta_w"), evaluate=False),
        {
            "the step in W": sp.simplify(moved - (big - c**2 * eta * in_big)),
            "the kernel": sp.simplify(in_w**2 - c**2 * in_big**2),
        },
    )


def mean_value() -> Derived:
    """g(b) - g(a) is the mean of J over the segment times b - a; one point of it may not do: the circle."""
    s, t = Symbol("s", real=True), Symbol("t", real=True)
    start, move = matrix("a", 2, 1), matrix("d", 2, 1)
    x, y = sp.symbols("x y", real=True)
    g = Matrix([x**2 * y, x - x * y**2])
    along = {x: start[0] + s * move[0], y: start[1] + s * move[1]}
    mean = g.jacobian([x, y]).subs(along).applyfunc(lambda entry: sp.integrate(sp.expand(entry), (s, 0, 1)))
    change = g.subs({x: start[0] + move[0], y: start[1] + move[1]}) - g.subs({x: start[0], y: start[1]})
    circle = Matrix([sp.cos(t), sp.sin(t)])
    speed = circle.diff(t)
    point, step = Symbol(r"{\theta}"), Symbol(r"{\delta}")
    printed = Integral(Function("J")(point + s * step), (s, 0, 1)) * step
    checks = {f"the mean of J, entry {i + 1}": sp.expand((mean * move - change)[i]) for i in range(2)}
    checks["the circle returns"] = sum(abs(entry) for entry in circle.subs(t, 2 * sp.pi) - circle.subs(t, 0))
    checks["and never stands still"] = sp.simplify(speed.dot(speed)) - 1
    return Derived(Eq(Function("g")(point + step) - Function("g")(point), printed, evaluate=False), checks)


def contraction() -> Derived:
    """The norm of I - eta Theta is 1 - rho, rho = min(eta lam_min, 2 - eta lam_max); two steps are kept apart."""
    best, limit = 2 / (LAM + TOP), 2 / TOP
    low, high = ETA * LAM, 2 - ETA * TOP
    return Derived(
        Eq(RHO, Min(low, high, evaluate=False), evaluate=False),
        {
            "both ends are equal at the rate-optimal step": sp.simplify((low - high).subs(ETA, best)),
            "rho vanishes at the stability limit": high.subs(ETA, limit),
            "the best rho": sp.simplify(low.subs(ETA, best) - 2 * LAM / (LAM + TOP)),
            "eigenvalues 1, 3 and step 0.6: the norm is 0.8": (1 - high).subs({ETA: Rational(3, 5), TOP: 3})
            - Rational(4, 5),
            "which is not 1 - 0.6": (1 - low).subs({ETA: Rational(3, 5), LAM: 1}) - Rational(2, 5),
        },
    )


def path() -> Derived:
    """The steps are at most eta B R0 (1 - rho/3)^j, a geometric series."""
    ratio = 1 - RHO / 3
    partial = ETA * B * R0 * (1 - ratio**STEP) / (1 - ratio)
    way = Symbol(r"{\sum_{j\le k}\lVert w_j-w_{j-1}\rVert}")
    short = (1 - ratio**STEP) / (1 - ratio)
    return Derived(
        Le(way, RADIUS, evaluate=False),
        {
            "partial sums, by induction": sp.simplify(sp.expand(short.subs(STEP, STEP + 1) - short - ratio**STEP)),
            "first partial sum": sp.simplify(partial.subs(STEP, 1) - ETA * B * R0),
            "its limit": sp.simplify(ETA * B * R0 / (1 - ratio) - RADIUS),
            "small steps": sp.simplify(RADIUS.subs(RHO, ETA * LAM) - 3 * B * R0 / LAM),
            "the sum of three terms": sp.simplify(1 + ratio + ratio**2 - short.subs(STEP, 3)),
        },
    )


def kernel_split() -> Derived:
    """J0 J0^T - Jbar J^T = J0 (J0 - J)^T + (J0 - Jbar) J^T, so on the ball the norm is at most 2 B L radius."""
    first, middle, last = matrix("a", 2, 3), matrix("b", 2, 3), matrix("c", 2, 3)
    difference = first * first.T - middle * last.T - first * (first - last).T - (first - middle) * last.T
    left = Symbol(r"{\lVert J_0J_0^\top-\bar JJ_k^\top\rVert}")
    bound = 6 * ETA * B**2 * L * R0 / RHO
    checks = {f"entry {i + 1}{j + 1}": sp.expand(difference[i, j]) for i in range(2) for j in range(2)}
    checks["2 B L times the radius"] = sp.simplify(2 * B * L * RADIUS - bound)
    narrow = {L: B / sqrt(WIDTH), RHO: ETA * LAM}
    checks["in the notes"] = sp.simplify(bound.subs(narrow) - 6 * B**3 * R0 / (LAM * sqrt(WIDTH)))
    return Derived(Le(left, bound, evaluate=False), checks)


def width_condition() -> Derived:
    """The three parts of the contraction add up to 1 - rho/3 exactly at 18 eta^2 B^2 L R0 = rho^2."""
    parts = 1 - RHO + RHO / 3 + ETA * 6 * ETA * B**2 * L * R0 / RHO
    threshold = {L: RHO**2 / (18 * ETA**2 * B**2 * R0)}
    narrow = {L: B / sqrt(WIDTH), RHO: ETA * LAM}
    printed, right = (18 * B**3 * R0 / LAM) ** 2, (18 * B**3 * R0 / LAM**2) ** 2
    excess = (parts - (1 - RHO / 3)).subs(narrow)
    return Derived(
        Le(18 * ETA**2 * B**2 * L * R0, RHO**2, evaluate=False),
        {
            "parts": sp.simplify(parts.subs(threshold) - (1 - RHO / 3)),
            "the width of the notes, corrected": sp.simplify(excess.subs(WIDTH, right)),
            "as printed it leaves eta (1 - lam) / 3": sp.simplify(excess.subs(WIDTH, printed) - ETA * (1 - LAM) / 3),
        },
    )


def flow_path() -> Derived:
    """The flow: decay at the rate lam/3, a path of 3 B R0 / lam, the limits of the bounds for small steps."""
    way = Symbol(r"{\lVert w(t)-w_0\rVert}")
    s = Symbol("s", positive=True)
    travelled = sp.integrate(B * R0 * exp(-LAM * s / 3), (s, 0, TIME))
    steps = (1 - ETA * LAM / 3) ** (TIME / ETA)
    return Derived(
        Le(way, 3 * B * R0 / LAM, evaluate=False),
        {
            "the length of the path": sp.simplify(travelled - 3 * B * R0 / LAM * (1 - exp(-LAM * TIME / 3))),
            "steps become time": sp.simplify(sp.limit(steps, ETA, 0) - exp(-LAM * TIME / 3)),
            "what is left of the spectrum": LAM
            - LAM / 3
            - 2 * B * L * (3 * B * R0 / LAM).subs(R0, LAM**2 / (18 * B**2 * L))
            - LAM / 3,
        },
    )


def step_gap() -> Derived:
    """One step of e = g_lin - g: e' = (I - eta Theta0) e + eta (Thetabar - Theta0) g."""
    fixed, moving = matrix("a"), matrix("b")
    linear, g = matrix("u", 2, 1), matrix("v", 2, 1)
    one = sp.eye(2)
    after = (one - ETA * fixed) * linear - (one - ETA * moving) * g
    split = (one - ETA * fixed) * (linear - g) + ETA * (moving - fixed) * g
    fast, slow = 1 - 2 * RHO / 3, 1 - RHO / 3
    total = (slow**STEP - fast**STEP) / (slow - fast)
    checks = {f"split, entry {i + 1}": sp.expand((after - split)[i]) for i in range(2)}
    recursion = total.subs(STEP, STEP + 1) - fast * total - slow**STEP
    checks["the sum, by induction"] = sp.simplify(sp.expand(sp.powsimp(sp.expand(recursion))))
    checks["its start"] = sp.simplify(total.subs(STEP, 1) - 1)
    checks["slow is the mean of fast and 1"] = sp.expand((1 + fast) / 2 - slow)
    bound = Rational(3, 2) * ETA * DRIFT * R0 / RHO
    checks["at most half of 3/rho"] = sp.simplify(ETA * DRIFT * R0 * Rational(1, 2) / (slow - fast) - bound)
    return Derived(Le(Symbol(r"{\lVert g^{\mathrm{lin}}_k-g_k\rVert}"), bound, evaluate=False), checks)


def flow_gap() -> Derived:
    """The flow: the convolution of both decays, largest where exp(-lam t/3) = 1/2."""
    s = Symbol("s", positive=True)
    convolved = sp.integrate(sp.expand(exp(-2 * LAM * (TIME - s) / 3) * exp(-LAM * s / 3)), (s, 0, TIME))
    printed = 3 / LAM * (exp(-LAM * TIME / 3) - exp(-2 * LAM * TIME / 3))
    top = 3 * sp.log(2) / LAM
    low = Symbol(r"\lambda_0", positive=True)
    direct = exp(-(low - DRIFT) * TIME) - exp(-low * TIME)
    rates = sp.integrate(sp.expand(DRIFT * exp(-low * (TIME - s)) * exp(-(low - DRIFT) * s)), (s, 0, TIME))
    bound = Rational(3, 4) * DRIFT * R0 / LAM
    return Derived(
        Le(Symbol(r"{\lVert g^{\mathrm{lin}}(t)-g(t)\rVert}"), bound, evaluate=False),
        {
            "the convolution": sp.simplify(sp.expand(convolved - printed)),
            "with the rates of the notes": sp.simplify(sp.expand(rates - direct)),
            "its integral": sp.simplify(1 / (low - DRIFT) - 1 / low - DRIFT / (low * (low - DRIFT))),
            "stationary": sp.simplify(diff(printed, TIME).subs(TIME, top)),
            "largest value": sp.simplify(DRIFT * R0 * printed.subs(TIME, top) - bound),
            "in B, L": sp.simplify(
                bound.subs(DRIFT, 6 * B**2 * L * R0 / LAM) - Rational(9, 2) * B**2 * L * R0**2 / LAM**2
            ),
        },
    )


def gap_off_training() -> Derived:
    """Off the training points: the drift of the mixed kernel times the residual, and B^2 times the gap, summed."""
    slow, fast = 1 - RHO / 3, 1 - 2 * RHO / 3
    first = ETA * DRIFT * R0 / (1 - slow)
    second = ETA * B**2 * ETA * DRIFT * R0 * (1 / (1 - slow) - 1 / (1 - fast)) / (slow - fast)
    bound = 3 * ETA * DRIFT * R0 / RHO * (1 + Rational(3, 2) * ETA * B**2 / RHO)
    flow = 3 * DRIFT * R0 / LAM * (1 + Rational(3, 2) * B**2 / LAM)
    printed = 3 / LAM * (exp(-LAM * TIME / 3) - exp(-2 * LAM * TIME / 3))
    whole = DRIFT * R0 * (3 / LAM + B**2 * sp.integrate(printed, (TIME, 0, sp.oo)))
    return Derived(
        Le(Symbol(r"{\lvert f^{\mathrm{lin}}_k(x)-f_k(x)\rvert}"), bound, evaluate=False),
        {
            "both sums": sp.simplify(first + second - bound),
            "small steps": sp.simplify(bound.subs(RHO, ETA * LAM) - flow),
            "the flow's integrals": sp.simplify(whole - flow),
        },
    )


def gronwall_route() -> Derived:
    """The notes' way: S t exp(-(lam0 - S) t) R0 is at most S R0 / (e (lam0 - S)); and the exponent lost in (94)."""
    low, s = Symbol(r"\lambda_0", positive=True), Symbol("s", positive=True)
    gap = Symbol("delta", positive=True)  # lam0 - S > 0
    curve = DRIFT * R0 * TIME * exp(-gap * TIME)
    bound = DRIFT * R0 / (sp.E * (low - DRIFT))
    return Derived(
        Le(Symbol(r"{\lVert g^{\mathrm{lin}}(t)-g(t)\rVert}"), bound, evaluate=False),
        {
            "stationary at 1/(lam0 - S)": sp.simplify(diff(curve, TIME).subs(TIME, 1 / gap)),
            "largest value": sp.simplify(curve.subs(TIME, 1 / gap) - bound.subs(low, DRIFT + gap)),
            "(94) with exp(-lam0 s)": sp.simplify(exp(low * s) * exp(-low * s) - 1),
            "(94) as printed": sp.simplify(exp(low * s) * exp(-low * TIME) - exp(low * (s - TIME))),
        },
    )


def neuron_drift() -> Derived:
    """The first-order change of one neuron's kernel along J^T v is odd in the output weight b, for any activation."""
    a, b, x, y, z, v = sp.symbols("a b x y z v", real=True)
    phi = Function("phi")
    slope = lambda at: diff(phi(Symbol("u")), Symbol("u")).subs(Symbol("u"), a * at)  # noqa: E731
    kernel = b**2 * slope(x) * slope(y) * x * y + phi(a * x) * phi(a * y)
    moves = {a: v * b * slope(z) * z, b: v * phi(a * z)}
    change = sum(diff(kernel, name) * move for name, move in moves.items())
    return Derived(
        Eq(Function(r"\partial\psi")(-b), -Function(r"\partial\psi")(b), evaluate=False),
        {"odd": sp.simplify((change + change.subs(b, -b)).doit())},
    )


def all_wide() -> Rows:
    """Every derivation of this file by name."""
    return Rows(
        dictionary, mean_value, contraction, path, kernel_split, width_condition, flow_path,
        step_gap, flow_gap, gap_off_training, gronwall_route, neuron_drift,
    )  # fmt: skip


def spelled(expression: Expr) -> Expr:
    """Bounds in the terms of the notes: L = B / sqrt(m), rho = eta lam."""
    return sp.simplify(expression.subs({L: B / sqrt(WIDTH), RHO: ETA * LAM}))
