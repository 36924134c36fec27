"""The five figures of the preliminaries, all of the running example h(w) = (w1, w2 + w1^2 / 2)."""

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from lazy_course import style
from lazy_course.preliminaries import numerics


@style.styled
def ellipse() -> Figure:
    """Draw the unit circle and its image under Dh(w0), with the singular directions."""
    matrix = np.asarray(jax.jacobian(numerics.valley)(numerics.valley_start()))
    left, values, right = np.linalg.svd(matrix)
    angles = np.linspace(0, 2 * np.pi, 400)
    circle = np.stack([np.cos(angles), np.sin(angles)])
    fig, (before, after) = style.figure(2, height=4.0)
    before.plot(*circle, color=style.COLOURS["black"], linestyle="-")
    after.plot(*(matrix @ circle), color=style.COLOURS["black"], linestyle="-")
    signs = np.sign(right[:, 0])  # the pair (u, v) of a singular value is defined up to a common sign
    for i, colour in enumerate((style.COLOURS["vermilion"], style.COLOURS["blue"])):
        length = f"length {values[i]:g}"
        for ax, vector, label in ((before, right[i], f"direction {i + 1}"), (after, values[i] * left[:, i], length)):
            tip = signs[i] * vector
            ax.annotate("", tip, (0, 0), arrowprops={"arrowstyle": "->", "color": colour, "lw": 2})
            ax.annotate(label, tip, xytext=(8, -4), textcoords="offset points", color=colour)
    before.set(title="parameters: directions $u$, length 1", xlabel="$u_1$", ylabel="$u_2$")
    after.set(title="outputs: $Dh(w_0)u$", xlabel="$y_1$", ylabel="$y_2$")
    for ax in (before, after):
        ax.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), aspect="equal")
    return fig


@style.styled
def valley_paths() -> Figure:
    """Draw the level lines of F with the flow and two gradient descents from w0."""
    loss, start = numerics.valley_loss(), numerics.valley_start()
    fig, ax = style.figure(height=5.0)
    first, second = np.meshgrid(np.linspace(-2.8, 2.8, 161), np.linspace(-5.4, 2.8, 161))
    points = jnp.stack([jnp.asarray(first.ravel()), jnp.asarray(second.ravel())], axis=1)
    values = np.asarray(numerics.energies(numerics.valley, points, loss)).reshape(first.shape)
    ax.contour(first, second, values, levels=[0.05, 0.25, 0.75, 1.75], colors="0.6", linewidths=0.9, linestyles="-")
    ax.contour(first, second, values, levels=[float(loss(numerics.valley(start)))], colors="0.2", linewidths=1.5)
    flow = numerics.flow_path(numerics.valley, start, loss, times=jnp.linspace(0.0, 8.0, 321))
    ax.plot(*np.asarray(flow).T, label="gradient flow, $0 \\leq t \\leq 8$", linewidth=2.4)
    for step, steps, marker in ((0.175, 40, "o"), (0.35, 20, "s")):
        path = numerics.descent_path(numerics.valley, start, loss, step=step, steps=steps)
        ax.plot(*np.asarray(path).T, marker=marker, markersize=4, linewidth=1.2, label=f"descent, step {step:g}")
    ax.plot(*np.asarray(start), "ks", markersize=7)
    ax.annotate("$w_0$", np.asarray(start), xytext=(8, 0), textcoords="offset points")
    ax.plot(0, 0, "k*", markersize=11)
    ax.annotate("minimum", (0, 0), xytext=(-14, 10), textcoords="offset points", ha="right")
    ax.set(xlabel="$w_1$ (dimensionless)", ylabel="$w_2$ (dimensionless)")
    ax.legend(loc="lower left")
    return fig


@style.styled
def descent_error(horizon: float = 2.0) -> Figure:
    """Draw the distance of descent from the flow against the step, with its bound and a slope of one."""
    counts = (10, 20, 40, 80, 160, 320)
    measured, bound = numerics.descent_gaps(
        numerics.valley, numerics.valley_start(), numerics.valley_loss(), horizon=horizon, counts=counts
    )
    sizes = np.array([horizon / count for count in counts])
    fig, ax = style.figure()
    ax.loglog(sizes, bound, marker="s", label="bound of the proposition")
    ax.loglog(sizes, measured, marker="o", label="measured")
    style.slope_guide(ax, (sizes[-1], sizes[0]), float(measured[-1]) / 2, 1.0, "slope 1")
    ax.set(
        xlabel="step $\\eta$ (flow time)",
        ylabel=f"$\\max_k\\,\\|w_k - w(k\\eta)\\|$, $k\\eta\\leq{horizon:g}$",
        xlim=(sizes[-1] / 1.4, sizes[0] * 2.2),
    )
    ax.legend(loc="center left")
    return fig


@style.styled
def envelopes() -> Figure:
    """Draw the distance of two flows with two envelopes: the rate with its sign, and the Lipschitz constant."""
    times = jnp.linspace(0.0, 4.0, 321)
    start = numerics.valley_start()
    distance, rate, lipschitz = numerics.flow_separation(
        numerics.valley, start, start + jnp.array([0.0, -0.5]), numerics.valley_loss(), times=times
    )
    sharp = numerics.gronwall_envelope(distance[0], rate, jnp.zeros_like(times), times)
    crude = distance[0] * jnp.exp(lipschitz * times)
    fig, ax = style.figure()
    ax.semilogy(times, crude, label=f"$\\exp(Lt)$ with $L = {float(lipschitz):.2f}$", color=style.COLOURS["blue"])
    ax.semilogy(times, sharp, label="rate $a(t)$ with its sign", color=style.COLOURS["orange"])
    ax.semilogy(times, distance, label="measured distance", color=style.COLOURS["green"])
    ax.set(
        xlabel="flow time $t$",
        ylabel="distance of the two flows\n(dimensionless)",
        ylim=(float(distance[-1]) / 3, 1e3),
    )
    ax.legend()
    return fig


@style.styled
def decay() -> Figure:
    """Draw F along the flow with the bound F(0) exp(-2 mu t)."""
    times = jnp.linspace(0.0, 6.0, 321)
    loss, start = numerics.valley_loss(), numerics.valley_start()
    path = numerics.flow_path(numerics.valley, start, loss, times=times)
    energy = numerics.energies(numerics.valley, path, loss)
    rate = numerics.polyak_lojasiewicz_rate(numerics.valley, numerics.valley_level(2.5))
    along = numerics.polyak_lojasiewicz_rate(numerics.valley, path)
    fig, ax = style.figure()
    ax.semilogy(
        times,
        energy[0] * jnp.exp(-2 * rate * times),
        label=f"bound, $\\mu = {float(rate):.3f}$ (sublevel set)",
    )
    ax.semilogy(
        times,
        energy[0] * jnp.exp(-2 * along * times),
        label=f"bound, $\\mu = {float(along):.3f}$ (along the path)",
    )
    ax.semilogy(times, energy, label="measured $F(w(t))$")
    ax.set(xlabel="flow time $t$", ylabel="objective (dimensionless)")
    ax.legend()
    return fig
