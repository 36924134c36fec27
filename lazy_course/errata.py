"""The register of errata: one row for each mistake found in the documents that the course is built on."""

from dataclasses import dataclass

from lazy_course import registers

KINDS = ("wrong", "imprecise", "misprint", "sharper")


@dataclass(frozen=True)
class Erratum:
    """One mistake: where it stands, what is printed, what should be, and the check that runs or the argument."""

    id: str
    source: str
    where: str
    says: str
    should_say: str
    kind: str
    check: str = ""
    argument: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"erratum {self.id}, kind: expected one of {KINDS}, got {self.kind!r}")
        if bool(self.check) == bool(self.argument):
            raise ValueError(
                f"erratum {self.id}: expected either check (a pytest node id) or argument, got both or none"
            )


def load(stem: str) -> tuple[Erratum, ...]:
    """Return the errata met in a chapter in the order of its file; ValueError for an unknown chapter."""
    return registers.read(Erratum, stem, file="errata.toml", table="erratum")


def as_markdown(stem: str) -> str:
    """Return the errata of a chapter as MyST text, a definition list with an anchor `erratum-<id>` for each."""
    return "\n\n".join(_entry(row) for row in load(stem))


def _entry(row: Erratum) -> str:
    how = f"*Check.* `{row.check}`" if row.check else f"*Argument.* {row.argument}"
    return "\n".join(
        [
            f"[{row.id}]{{#erratum-{row.id}}} — {registers.cited(row.source)}, {row.where} ({row.kind})",
            f": *Printed.* {row.says}",
            f": *Should be.* {row.should_say}",
            f": {how}",
        ]
    )
