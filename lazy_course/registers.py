"""Read the registers of the course: each chapter keeps its claims.toml and errata.toml beside its code."""

import dataclasses
import re
import tomllib
from importlib.resources import files
from typing import TypeVar

Row = TypeVar("Row")
# Author, year, word, as in book/references.bib; the problem session has no author and no year.
KEY = re.compile(r"[a-z]+\d{4}[a-z]*|problems")


def chapters() -> tuple[str, ...]:
    """Return the stems of the chapters: the folders of lazy_course that keep a register of claims."""
    folders = files("lazy_course").iterdir()
    return tuple(sorted(f.name for f in folders if f.is_dir() and f.joinpath("claims.toml").is_file()))


def read(kind: type[Row], stem: str, *, file: str, table: str) -> tuple[Row, ...]:
    """Return the rows that the chapter `stem` keeps in `file` under [[table]], each as a `kind`.

    Raises:
        ValueError: the chapter is unknown, or a row lacks a field or has one too many.
    """
    if stem not in chapters():
        raise ValueError(f"stem: expected one of {', '.join(chapters())}, got {stem!r}")
    text = files("lazy_course").joinpath(stem, file).read_text(encoding="utf-8")
    return tuple(_row(kind, fields, f"{stem}/{file}") for fields in tomllib.loads(text).get(table, []))


def _row(kind: type[Row], fields: dict, where: str) -> Row:
    known = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    needed = {n for n, f in known.items() if f.default is dataclasses.MISSING}
    missing, unknown = needed - set(fields), set(fields) - set(known)
    if missing or unknown:
        raise ValueError(
            f"{where}, row {fields.get('id', '?')}: missing {sorted(missing)}, unknown {sorted(unknown)}; "
            f"expected the fields {sorted(known)}"
        )
    values = {n: tuple(v) if isinstance(v, list) else v for n, v in fields.items()}
    return kind(**values)


def cited(source: str) -> str:
    """Turn "key, place" into a citation of the book; words that are no key ("this course") stay as they are."""
    key, comma, place = source.partition(",")
    return f"{{cite}}`{key}`{comma}{place}" if KEY.fullmatch(key) else source
