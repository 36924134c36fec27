"""What `make bench` measured: the record lazy_course/benchmarks.json as tables and figures of the book."""

import json
import textwrap
from importlib.resources import files
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from lazy_course import convolutional, kernel_blocks, kernel_plan, kernels, style

WHAT = {
    "two-layer": "tangent kernel of a two-layer ReLU network: n = {n}, d = {d}, width {width}, one output",
    "vgg11": "tangent kernel of VGG-11: {n} images of {pixels} x {pixels}, {k} outputs, all {k} x {k} blocks",
    "closed forms": "kernels of infinite width: n = {n}, d = {d}, {depth} hidden ReLU layers",
    "predictions": "mean and covariance at {times} times: {n} training and {m} test points, kernels included",
}
GRADED = (
    "one of {submissions} submissions graded in the sandbox, {workers} workers; {questions} one-line questions and an "
    "import of JAX; {peer}"
)
RUNS = {"peer": "the peer as it comes, one process", "peer_twice": "two processes of the peer side by side"}
LOOPS = {
    "numpy": "a loop in NumPy, products into given memory",
    "autograd": "the usual loop in PyTorch: autograd and SGD",
    "torch": "a loop in PyTorch by hand, without autograd",
}
STEP = "a step of descent of one of many two-layer networks on the same data, single precision"
GAP = "distance of a flow and its linearization at α = $10^{exponent}$; width {width}, n = {n}, to {accuracy:.1%}"
PLAIN = "both flows by diffrax, subtracted"
WAYS = ("jacobian", "pairs", "gram")


def load() -> dict[str, Any]:
    """The committed record: machine, versions, settings, tasks with every run, and costs."""
    return json.loads(files("lazy_course").joinpath("benchmarks.json").read_text(encoding="utf-8"))


def table() -> str:
    """The medians of both sides and their ratios, as MyST text."""
    record = load()
    lines = ["| task | peer | its time | here | ratio | asked for |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    name_of_peer = f"neural-tangents {record['versions']['peer']['neural-tangents']}"
    for name, task in record["tasks"].items():
        what = WHAT[name].format(**record["settings"]["tasks"][name])
        seconds = " | ".join(_seconds(task[side]["median"]) for side in ("peer", "ours"))
        lines.append(f"| {what} | {name_of_peer} | {seconds} | **{task['ratio']:.3g}** | {task['target']:g} |")
    grading = record["grading"]
    name_of_peer = f"nbgrader {grading['versions']['peer']['nbgrader']}"
    for mode, words in RUNS.items():
        what = GRADED.format(peer=words, **grading["settings"])
        seconds = " | ".join(_seconds(grading["seconds"][side]) for side in (mode, "ours"))
        asked = f"{grading['target']:g}" if mode == "peer" else ""
        lines.append(f"| {what} | {name_of_peer} | {seconds} | **{_ratio_of(grading, mode):.3g}** | {asked} |")
    return "\n".join([*lines, *_rows_of_descent(record["descent"]), *_rows_of_course(record["course"])])


def _rows_of_descent(found: dict[str, Any]) -> list[str]:
    rows = []
    for name, asked in found["targets"]["float32"].items():
        times = found["milliseconds"]["float32"]
        seconds = " | ".join(_seconds(min(times[side]) / 1000) for side in (name, "ours"))
        rows.append(f"| {STEP} | {LOOPS[name]} | {seconds} | **{found['ratios']['float32'][name]:.3g}** | {asked:g} |")
    return rows


def _rows_of_course(found: dict[str, Any]) -> list[str]:
    rows = []
    for alpha, one in found["gaps"].items():
        seconds = one["seconds"]
        what = GAP.format(exponent=round(np.log10(float(alpha))), **found["settings"])
        if seconds["peer"] is None:
            rows.append(f"| {what} | {PLAIN}, no tolerance is enough | – | {_seconds(seconds['ours'])} | – | |")
        else:
            times = " | ".join(_seconds(seconds[side]) for side in ("peer", "ours"))
            ratio = seconds["peer"] / seconds["ours"]
            rows.append(f"| {what} | {PLAIN}, tolerance {one['tolerance']:.0e} | {times} | **{ratio:.2g}** | |")
    cold = found["build"]
    what = f"cold build of the book, {len(cold['pages'])} pages executed"
    return [*rows, f"| {what} | – | – | {cold['seconds']:.0f} s | – | below {found['target']['build']} s |"]


def pages() -> str:
    """Where the build was timed, and the seconds of each page, as one paragraph."""
    found = load()["course"]
    machine, cold = found["machine"], found["build"]
    longest = sorted(cold["pages"].items(), key=lambda page: -page[1])
    each = ", ".join(f"{name.removeprefix('book/')} {seconds:.0f} s" for name, seconds in longest)
    return (
        f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB. Two pages execute "
        f"at a time: {each}."
    )


def _ratio_of(grading: dict[str, Any], mode: str) -> float:
    return float(grading["seconds"][mode] / grading["seconds"]["ours"])


def grading() -> str:
    """Where, with what and how the graders were compared, and the memory of ours over the cohort, as one paragraph."""
    found = load()["grading"]
    machine, versions, settings, memory = (found[key] for key in ("machine", "versions", "settings", "memory"))
    ours, peer = (", ".join(f"{name} {number}" for name, number in versions[side].items()) for side in ("ours", "peer"))
    grader, family = (" ".join(f"{value:.0f}" for value in memory[kind]) for kind in ("grader", "family"))
    halves = " and ".join(f"{part:.3g} s" for part in found["parts"]["peer"])
    return (
        f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}, "
        f"Python {machine['python']}. Here: {ours}. The peer: {peer}. Here all {settings['submissions']} submissions "
        f"were graded, {60 / found['seconds']['ours']:.0f} a minute, start and end of the command included. The peer "
        f"graded {settings['sample']} of them in either way, half before and half after; its start is not "
        f"counted; alone it took {halves} "
        f"in the two halves. "
        f"Both gave every student the points that the answers are worth. In the fifths of the cohort the "
        f"grader's memory was {grader} MiB; with its workers and the students' kernels {family} MiB."
    )


def descent() -> str:
    """A step of descent of a stack of runs beside loops over single runs, and how it was measured, as MyST text."""
    found = load()["descent"]
    machine, versions, settings = found["machine"], found["versions"], found["settings"]
    lines = ["| precision | peer | its time | here | ratio | asked for |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    for dtype, times in found["milliseconds"].items():
        for name, words in LOOPS.items():
            each = " | ".join(_seconds(min(times[side]) / 1000) for side in (name, "ours"))
            asked = found["targets"][dtype].get(name, "")
            lines.append(f"| {dtype} | {words} | {each} | **{found['ratios'][dtype][name]:.3g}** | {asked} |")
    rounds = len(found["milliseconds"]["float32"]["ours"])
    lines += [
        "",
        f"Milliseconds of a full-batch step and run: n = {settings['n']}, d = {settings['d']}, m = {settings['m']}. "
        f"Here {settings['runs']} runs stand in one stack; a loop trains one. The least of {rounds} rounds in turns, "
        f"of three times {settings['steps']} steps each; all sides end with the same loss. Machine: "
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}. "
        f"JAX {versions['ours']['jax']}, "
        f"NumPy {versions['numpy']['numpy']}, PyTorch {versions['torch']['torch']}.",
    ]
    return "\n".join(lines)


def circumstances() -> str:
    """Where, with what and how the kernels' part of the record was made, as one paragraph."""
    record = load()
    machine, versions, settings = record["machine"], record["versions"], record["settings"]
    ours, peer = (", ".join(f"{name} {number}" for name, number in versions[side].items()) for side in ("ours", "peer"))
    worst = max(task["difference"] for task in record["tasks"].values())
    return (
        f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}, "
        f"Python {machine['python']}. Here: {ours}. The peer: {peer}. Single precision ({settings['dtype']}) on both "
        f"sides; medians of {settings['repeats']} runs after compilation, the sides in turns. Sampled entries of the "
        f"results agree to {worst:.0e} of the largest."
    )


def other_methods() -> str:
    """What the peer's other two methods did, once, for both finite kernels, as MyST text."""
    record = load()
    lines = [
        "| task | Jacobian contraction (median) | products | structured derivatives |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name in ("two-layer", "vgg11"):
        peer = record["tasks"][name]["peer"]
        others = [_outcome(peer["other_methods"][method]) for method in ("products", "structured")]
        lines.append(f"| {name} | {_seconds(peer['median'])} | {others[0]} | {others[1]} |")
    return "\n".join(lines)


def _outcome(outcome: dict[str, Any]) -> str:
    if "seconds" in outcome:
        return _seconds(outcome["seconds"])
    if "longer_than" in outcome:
        return f"not done after {outcome['longer_than']} s"
    return f"fails ({outcome['fails']})"


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"


def ways_of_vgg11(n: int = 16, pixels: int = 32, k: int = 10) -> str:
    """For each convolution of VGG-11, the sizes and the counted cost of the three ways, and of all passes, as MyST."""
    f = convolutional.vgg11()
    params = jax.eval_shape(
        lambda key: convolutional.init_convolutional(key, f, (pixels, pixels, 3), k), jax.random.key(0)
    )
    images = jax.ShapeDtypeStruct((n, pixels, pixels, 3), np.float32)
    sizes, _ = kernel_blocks.measure(f, params, images)
    lines = [
        "| convolution | positions P | inputs q | outputs c | Jacobian | pairs | Gram | taken |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    total = 0.0
    for number, shape in enumerate(sizes.shapes[:8], start=1):
        parts = kernel_plan.ways(shape, n, n, k, True, 2**32)
        costs = {part.tiles.way: part.cost / 1e9 for part in parts}
        counts = " | ".join(f"{costs[way]:.2f}" for way in WAYS)
        best = min(costs, key=lambda way: costs[way])
        lines.append(f"| {number} | {shape.positions} | {shape.inputs} | {shape.outputs} | {counts} | {best} |")
        total += costs[best]
    passes = (k + 1) * n * sizes.passes / 1e9
    lines += ["", f"Together the ways taken count {total:.1f}; the passes that give the gradients count {passes:.1f}."]
    return "\n".join(lines)


def refusal(n: int, memory: int) -> str:
    """What `tangent_kernel` answers to a request for VGG-11 on n images in too few bytes, in lines for a page."""
    f = convolutional.vgg11()
    params = convolutional.init_convolutional(jax.random.key(0), f)
    try:
        kernels.tangent_kernel(f, params, np.zeros((n, 32, 32, 3)), memory=memory)
    except ValueError as error:
        return textwrap.fill(str(error), 100)
    raise ValueError(f"memory: expected too few bytes for {n} images, got {memory}, which are enough")


@style.styled
def costs() -> Figure:
    """Seconds of one kernel against samples, outputs, width and depth: by layers and by Jacobians."""
    record = load()["costs"]
    labels = {"n": "samples n", "k": "outputs k", "width": "width", "depth": "hidden layers"}
    fig, axes = style.figure(2, 2, height=3.3)
    looks = {"layers": ("by layers", "blue", "o"), "jacobian": ("by Jacobians", "vermilion", "s")}
    for axis, (name, sweep) in zip(axes.ravel(), record["sweeps"].items(), strict=True):
        for method, (label, colour, marker) in looks.items():
            seconds = np.asarray([np.nan if s is None else s for s in sweep[method]["seconds"]])
            axis.loglog(sweep["values"], 1000 * seconds, label=label, color=style.COLOURS[colour], marker=marker)
        axis.set(xlabel=labels[name], ylabel="milliseconds")
        axis.set_xticks(sweep["values"], [str(v) for v in sweep["values"]])
        axis.minorticks_off()
    axes[0, 0].legend()
    return fig
