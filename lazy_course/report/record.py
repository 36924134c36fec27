"""The records of a report: they print as a table, show as HTML, draw themselves, and go to JSON and back."""

import dataclasses
import html
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Pair = tuple[float, float]
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Predicted:
    r"""What the linearized model says before any training: where it ends, and how wrong it is there. No bounds.

    `time` is the flow time at which the linearized flow of the square loss has lost the share `fit` of the loss that
    it can lose (None for another loss, where the linearized model makes `steps` of descent). There $\bar w$ is
    reached: `displacement` $\|\bar w - w_0\|$; `gap` $\|\alpha h(\bar w) - \alpha\bar h(\bar w)\|$ over
    $\|\alpha\bar h(\bar w) - \alpha h(w_0)\|$; `curvature_gap` the same from $\frac12D^2h[v, v]/\alpha$;
    `kernel_drift`, `kernel_turned` and `jacobian_drift` compare $K(\bar w)$ with $K(w_0)$; `loss_left` is the loss of
    the *nonlinear* model at $\bar w$ over its loss at $w_0$.
    """

    time: float | None
    steps: int | None
    fit: float
    displacement: float
    relative_displacement: float
    gap: float
    curvature_gap: float
    kernel_drift: float
    kernel_turned: float
    jacobian_drift: float
    loss_left: float


@dataclasses.dataclass(frozen=True)
class Certified:
    r"""What is proved for the gradient flow of $R(\alpha h)/\alpha^2$ for all times, given a proved L = Lip(Dh).

    `threshold_24` and `threshold_path` are the alpha from which Theorem 2.4 and the path-length theorem apply (inf:
    never). The bounds are those of the path-length theorem at the report's alpha, None where it does not apply:
    `displacement` of $\|w - w_0\|$, `output_gap` of $\|y - \bar y\|$ over D, `parameter_gap` of $\|w - \bar w\|$.
    """

    lip_dh: float
    threshold_24: float
    threshold_path: float
    applies_24: bool
    applies_path: bool
    displacement: float | None
    output_gap: float | None
    parameter_gap: float | None
    reason: str


@dataclasses.dataclass(frozen=True)
class Measured:
    r"""What training did. `source` says how the parameters w were found.

    `gap` is $\|\alpha h(w) - \alpha\bar h(w)\|/\|\alpha h(w) - \alpha h(w_0)\|$ at the same w. `function_gap` is
    $\|y - \bar y\|/D$ with $\bar y$ the linearized model trained on its own: for as many steps, or (given
    parameters, square loss) until its residual is as large; None if neither is possible. `largest_function_gap` is the
    largest on the way, which is what a theorem bounds, if a budget was trained. `parameter_gap` is
    $\|w - \bar w\|/\|w - w_0\|$ then. `activation_stability` is the share of pre-activations that keep their sign.
    """

    source: str
    displacement: float
    relative_displacement: float
    gap: float
    function_gap: float | None
    largest_function_gap: float | None
    parameter_gap: float | None
    kernel_drift: float
    kernel_turned: float
    jacobian_drift: float
    loss_start: float
    loss_end: float
    activation_stability: float | None


@dataclasses.dataclass(frozen=True)
class LazinessReport:
    r"""What `laziness_report` found. `str` gives a table, a notebook shows it as HTML, `plot` draws it.

    `jacobian_norm`, `hessian_norm` and `kappa` are pairs (lower, upper); the norms are those of h, kappa that of
    alpha h. `sigma_min` is $\sigma_{\min}(Dh(w_0)^\top)$, `condition_number` that of the kernel, $(S/\sigma)^2$ (inf if
    the rank is not full). `eigenvalues` are those of the kernel at $w_0$, descending. `verdict` is "lazy", "partly
    lazy" or "not lazy", with its `reasons` and its `limits`.
    """

    samples: int
    samples_given: int
    outputs: int
    parameters: int
    dtype: str
    loss: str
    alpha: float
    residual: float
    initial_output: float
    jacobian_norm: Pair
    hessian_norm: Pair
    kappa: Pair
    sigma_min: float
    rank: int
    condition_number: float
    eigenvalues: tuple[float, ...]
    predicted: Predicted
    certified: Certified | None
    measured: Measured | None
    verdict: str
    reasons: tuple[str, ...]
    limits: tuple[str, ...]
    seconds: float
    versions: dict[str, str]

    def rows(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """The report as titled lists of (what, value), all text."""
        parts = [("At the start", _start_rows(self)), ("Predicted by the linearized model", _predicted(self.predicted))]
        if self.certified is not None:
            parts.append(("Proved for the gradient flow", _certified_rows(self.certified)))
        if self.measured is not None:
            parts.append((f"Measured: {self.measured.source}", _measured_rows(self.measured)))
        return parts

    def __str__(self) -> str:
        """A table in plain text."""
        parts = self.rows()
        wide = max(len(name) for _, rows in parts for name, _ in rows)
        lines = [f"Laziness report: {self.verdict.upper()}"]
        lines += [f"  because {reason}" for reason in self.reasons]
        for title, rows in parts:
            lines += ["", title, *(f"  {name:<{wide}}  {value}" for name, value in rows)]
        return "\n".join([*lines, "", "What this does not say", *(f"  - {limit}" for limit in self.limits)])

    def _repr_html_(self) -> str:
        """The table that a notebook shows."""
        reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in self.reasons)
        tables = "".join(
            f'<tr><th colspan="2" scope="colgroup" style="text-align:left">{html.escape(title)}</th></tr>'
            + "".join(
                f'<tr><td style="text-align:left">{html.escape(name)}</td>'
                f'<td style="text-align:right">{html.escape(value)}</td></tr>'
                for name, value in rows
            )
            for title, rows in self.rows()
        )
        limits = "".join(f"<li>{html.escape(limit)}</li>" for limit in self.limits)
        return (
            f"<div><p><strong>Laziness report: {html.escape(self.verdict)}</strong></p><ul>{reasons}</ul>"
            f"<table>{tables}</table><p>What this does not say:</p><ul>{limits}</ul></div>"
        )

    def plot(self) -> "Figure":
        """A figure: the kernel's eigenvalues, and each share that is predicted, measured or bounded."""
        from lazy_course.report import figures

        return figures.report(self)

    def to_json(self, path: str | Path | None = None) -> str:
        """The report as JSON text (strict: inf and nan are text), written to `path` if one is given."""
        text = json.dumps({"format": FORMAT, **_encoded(dataclasses.asdict(self))}, indent=1, allow_nan=False)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    @classmethod
    def from_json(cls, source: str | Path) -> "LazinessReport":
        """The report that `to_json` wrote: a `Path` to a file, or the text itself.

        Raises `ValueError` for text that is no report, or one of another format.
        """
        text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"source: expected the JSON text of a report or a Path, got {text[:40]!r}") from error
        if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
            raise ValueError(f"source: expected a report of format {FORMAT}; make it again with this version")
        records = {"predicted": Predicted, "certified": Certified, "measured": Measured}
        values = {}
        for name, value in found.items():
            plain = _decoded(value, text_too=name not in ("versions",))
            values[name] = records[name](**plain) if name in records and plain is not None else plain
        names = {field.name for field in dataclasses.fields(cls)}
        if set(values) != names:
            raise ValueError(f"source: fields missing or unknown: {sorted(names ^ set(values))}")
        return cls(**values)


def _encoded(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _encoded(item) for key, item in value.items()}
    return [_encoded(item) for item in value] if isinstance(value, list | tuple) else value


def _decoded(value: Any, *, text_too: bool) -> Any:
    if text_too and value in ("inf", "-inf", "nan"):
        return float(value)
    if isinstance(value, dict):
        return {key: _decoded(item, text_too=text_too) for key, item in value.items()}
    return tuple(_decoded(item, text_too=text_too) for item in value) if isinstance(value, list) else value


def _number(value: float | None) -> str:
    return "not known" if value is None or math.isnan(value) else f"{value:.3g}"


def _share(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "not known"
    return f"{100 * value:.3g} %"


def _pair(pair: Pair) -> str:
    if math.isinf(pair[1]):
        return f"at least {pair[0]:.3g}"
    return (
        _number(pair[0])
        if math.isnan(pair[0]) or math.isclose(*pair, rel_tol=1e-3)
        else f"{pair[0]:.3g} to {pair[1]:.3g}"
    )


def _threshold(alpha: float) -> str:
    return "never" if math.isinf(alpha) else _number(alpha)


def _start_rows(r: LazinessReport) -> list[tuple[str, str]]:
    size = f"{r.samples}" + (f" of {r.samples_given}" if r.samples < r.samples_given else "")
    return [
        ("samples, outputs of one, parameters", f"{size}, {r.outputs}, {r.parameters}"),
        ("precision; loss; scale alpha", f"{r.dtype}; {r.loss}; {r.alpha:g}"),
        ("distance to the target |alpha h(w0) - y|", _number(r.residual)),
        ("initial output |alpha h(w0)|", _number(r.initial_output)),
        ("|Dh(w0)|", _pair(r.jacobian_norm)),
        ("|D2h(w0)|", _pair(r.hessian_norm)),
        ("kappa of alpha h at w0", _pair(r.kappa)),
        ("sigma_min of Dh(w0)^T; rank", f"{_number(r.sigma_min)}; {r.rank} of {r.samples * r.outputs}"),
        ("condition number of the kernel", _number(r.condition_number)),
    ]


def _predicted(p: Predicted) -> list[tuple[str, str]]:
    when = f"flow time {p.time:.3g}" if p.time is not None else f"{p.steps} steps"
    return [
        (f"its end ({100 * p.fit:g} % of the loss gone)", when),
        ("displacement |w - w0|; over |w0|", f"{_number(p.displacement)}; {_share(p.relative_displacement)}"),
        ("linearization gap there", _share(p.gap)),
        ("the same from curvature alone", _share(p.curvature_gap)),
        ("kernel drift; turned", f"{_share(p.kernel_drift)}; {_share(p.kernel_turned)}"),
        ("drift of Dh (Frobenius)", _share(p.jacobian_drift)),
        ("loss that the model itself has there", _share(p.loss_left)),
    ]


def _certified_rows(c: Certified) -> list[tuple[str, str]]:
    rows = [
        ("Lip(Dh) used", _number(c.lip_dh)),
        ("Theorem 2.4 from alpha", f"{_threshold(c.threshold_24)} ({'applies' if c.applies_24 else 'does not apply'})"),
        (
            "path-length theorem from alpha",
            f"{_threshold(c.threshold_path)} ({'applies' if c.applies_path else 'does not apply'})",
        ),
    ]
    if c.applies_path:
        rows += [
            ("bound of |w - w0|", _number(c.displacement)),
            ("bound of |y - ybar| over |alpha h(w0) - y|", _share(c.output_gap)),
            ("bound of |w - wbar|", _number(c.parameter_gap)),
        ]
    return rows


def _measured_rows(m: Measured) -> list[tuple[str, str]]:
    rows = [
        ("loss, start to end", f"{_number(m.loss_start)} to {_number(m.loss_end)}"),
        ("displacement |w - w0|; over |w0|", f"{_number(m.displacement)}; {_share(m.relative_displacement)}"),
        ("linearization gap at the same w", _share(m.gap)),
        ("gap to the linearized model trained alone", _share(m.function_gap)),
        ("the largest such gap on the way", _share(m.largest_function_gap)),
        ("|w - wbar| over |w - w0|", _share(m.parameter_gap)),
        ("kernel drift; turned", f"{_share(m.kernel_drift)}; {_share(m.kernel_turned)}"),
        ("drift of Dh (Frobenius)", _share(m.jacobian_drift)),
    ]
    if m.activation_stability is not None:
        rows.append(("pre-activations that keep their sign", _share(m.activation_stability)))
    return rows
