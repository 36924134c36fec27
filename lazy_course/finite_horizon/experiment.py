"""What the page reads instead of measuring again: made by `lazy-course reproduce finite-horizon`.

A test measures all of it afresh and compares.
"""

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lazy_course.finite_horizon import cases
from lazy_course.finite_horizon.draws import drawn
from lazy_course.finite_horizon.numerics import exact_constants

SEED, COUNT = 20190607, 208
FILE = "measured.json"
KINDS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "diagonal": (cases.diagonal_problem, cases.diagonal_lipschitz),
    "tanh": (cases.tanh_problem, cases.two_layer_lipschitz),
}
MODELS: dict[str, Callable[..., Any]] = {
    "diagonal": cases.diagonal_problem,
    "tanh": cases.tanh_problem,
    "deep linear": cases.deep_linear_problem,
}
LOSSES = {"square": 0.0, "log-cosh": 1.0}


def draw_record(kind: str) -> dict[str, Any]:
    """K, alpha, and measured over bound (at T, and the largest up to T) for `COUNT` drawn problems of one kind."""
    make, lipschitz = KINDS[kind]
    found = drawn(jax.random.key(SEED), make, lipschitz, count=COUNT)
    ratios = found.ratios()
    return {
        "K": found.iterations,
        "alpha": found.measured.alphas,
        "at T": {name: ratio[:, -1] for name, ratio in ratios.items()},
        "largest": {name: ratio.max(1) for name, ratio in ratios.items()},
    }


def constant_record(model: str) -> dict[str, dict[str, float]]:
    """`exact_constants` at alpha = 1e4 for one model and both losses."""
    make, key = MODELS[model], jax.random.key(SEED)
    return {loss: exact_constants(make(key, weight=weight)) for loss, weight in LOSSES.items()}


def read() -> dict[str, Any]:
    """Return the committed record: {"draws": {kind: draw_record}, "constants": {model: constant_record}}."""
    return json.loads(files("lazy_course").joinpath("finite_horizon", FILE).read_text(encoding="utf-8"))


def table(constants: dict[str, dict[str, dict[str, float]]]) -> str:
    """The exact constants as a Markdown table: measured at alpha = 1e4 beside predicted."""
    lines = [
        "| model | loss | parameters: measured | predicted | outputs: measured | predicted |",
        "|---|---|---|---|---|---|",
    ]
    for model, losses in constants.items():
        for loss, row in losses.items():
            cells = [
                f"{row[f'{what} {how}']:.6f}" for what in ("parameters", "outputs") for how in ("measured", "predicted")
            ]
            lines.append("| " + " | ".join([model, loss, *cells]) + " |")
    return "\n".join(lines)


def tightness_table(draws: dict[str, Any]) -> str:
    """Best (largest), median and worst ratio of measured to bound at T, for every bound and kind of model."""
    lines = ["| bound | model | tightest | median | loosest |", "|---|---|---|---|---|"]
    for name in next(iter(draws.values()))["at T"]:
        for kind, record in draws.items():
            ratio = np.asarray(record["at T"][name])
            lines.append(f"| {name} | {kind} | {ratio.max():.2f} | {np.median(ratio):.1e} | {ratio.min():.1e} |")
    return "\n".join(lines)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    return np.vectorize(lambda number: float(f"{number:.8g}"))(np.asarray(value)).tolist()


def main() -> None:
    """Measure everything and write it beside this file."""
    record = {
        "draws": {kind: draw_record(kind) for kind in KINDS},
        "constants": {model: constant_record(model) for model in MODELS},
    }
    Path(str(files("lazy_course").joinpath("finite_horizon", FILE))).write_text(json.dumps(_rounded(record)) + "\n")


REGISTRY: dict[str, Callable[[], object]] = {"finite-horizon": main}


if __name__ == "__main__":
    main()
