"""The register of claims: one row for each theorem, lemma, proposition and corollary of the book."""

from dataclasses import dataclass

from lazy_course import registers

EVIDENCE = ("derived", "measured", "cited")


@dataclass(frozen=True)
class Claim:
    """One numbered statement of the book.

    `derived`: sympy checks its algebra. `measured`: JAX evaluates both sides. `cited`: shown elsewhere.
    """

    id: str
    title: str
    statement: str
    hypotheses: str
    source: str
    evidence: tuple[str, ...]
    tests: tuple[str, ...]
    depends: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        wrong = set(self.evidence) - set(EVIDENCE)
        if wrong or not self.evidence:
            raise ValueError(f"claim {self.id}, evidence: expected some of {EVIDENCE}, got {self.evidence}")
        if not self.tests:
            raise ValueError(f"claim {self.id}, tests: expected at least one pytest node id, got none")


def load(stem: str) -> tuple[Claim, ...]:
    """Return the claims of a chapter in the order of its file; ValueError for an unknown chapter."""
    return registers.read(Claim, stem, file="claims.toml", table="claim")


def as_markdown(stem: str) -> str:
    """Return the claims of a chapter as MyST text: a definition list whose terms link to the book."""
    return "\n\n".join(_entry(claim) for claim in load(stem))


def _entry(claim: Claim) -> str:
    lines = [f"{{prf:ref}}`{claim.id}` — {claim.title}", f": {claim.statement}"]
    lines.append(f": *Hypotheses.* {claim.hypotheses}")
    lines.append(f": *Evidence.* {', '.join(claim.evidence)}. *Source.* {registers.cited(claim.source)}.")
    if claim.depends:
        lines.append(": *Rests on.* " + ", ".join(f"{{prf:ref}}`{other}`" for other in claim.depends))
    lines.append(": *Shown by.* " + ", ".join(f"`{test}`" for test in claim.tests))
    return "\n".join(lines)
