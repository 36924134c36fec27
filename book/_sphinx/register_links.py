"""The pages of claims and errata: each test that a row names is a link, with its outcome where it ran on this tree.

The outcomes come from `_build/tests.json`, which a run of the tests writes (tests/status.py). They are shown only if
the fingerprint in it is that of this tree, so that no page says "passed" of another version. Without them the pages
show the names of the tests and say nothing about them.
"""

import ast
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))
import sources
from build import tree_fingerprint

PAGES = ("book/claims", "book/errata")
TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")
SHOWN = {"passed": "✓ passed", "failed": "✗ failed", "skipped": "– skipped"}


def outcomes(root: Path) -> dict[str, str]:
    """Return test -> outcome if a run of the tests of exactly this tree left them, else nothing."""
    file = root / "_build" / "tests.json"
    if not file.exists():
        return {}
    status = json.loads(file.read_text())
    return status["outcomes"] if status["tree"] == tree_fingerprint(root) else {}


def outdated(app: Sphinx, env: Any, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Ask for the two pages again when the outcomes are others than those that they show."""
    now = sorted(outcomes(sources.ROOT).items())
    app.config.lazy_outcomes = dict(now)
    if getattr(env, "lazy_outcomes", []) == now:
        return []
    env.lazy_outcomes = now
    return [page for page in PAGES if page in env.all_docs]


def link_tests(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Link each named test to its source and say how it went; link a row of claims to the derivation behind it."""
    if docname not in PAGES or app.builder.format != "html":
        return
    known = app.config.lazy_outcomes
    for literal in list(doctree.findall(nodes.literal)):
        match = TEST.fullmatch(literal.astext())
        where = match and sources.address(*match.groups(), page=docname)
        if where:
            literal.replace_self(_linked(literal, where, known.get(literal.astext())))
    if docname == "book/claims":
        for row in doctree.findall(nodes.definition_list_item):
            _add_derivations(row, docname)


def _linked(literal: nodes.literal, where: str, outcome: str | None) -> list[nodes.Node]:
    link = nodes.reference("", "", literal.deepcopy(), refuri=where, internal=False)
    if outcome is None:
        return [link]
    return [link, nodes.Text(" "), nodes.inline("", SHOWN[outcome], classes=["test-status", f"test-{outcome}"])]


def _add_derivations(row: nodes.definition_list_item, docname: str) -> None:
    """After the tests of a row, name the sympy modules that its tests check."""
    texts = [literal.astext() for literal in row.findall(nodes.literal)]
    files = [match.group(1) for match in map(TEST.fullmatch, texts) if match]
    found = list(dict.fromkeys(module for file in files for module in derivations(sources.ROOT / file)))
    if not found:
        return
    line: list[nodes.Node] = [nodes.emphasis("", "Derivation."), nodes.Text(" ")]
    for number, module in enumerate(found):
        where = sources.address(module, page=docname)
        line += [nodes.Text(", ")] if number else []
        line += [nodes.reference("", "", nodes.literal("", module), refuri=where, internal=False)]
    row += nodes.definition("", nodes.paragraph("", "", *line))


def derivations(test: Path) -> Iterable[str]:
    """The derivations that a file of derivation tests imports, as paths of modules."""
    if not test.name.startswith("test_derivation"):
        return
    for node in ast.walk(ast.parse(test.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lazy_course."):
            for alias in node.names:
                path = f"{node.module.replace('.', '/')}/{alias.name}.py"
                if (sources.ROOT / path).is_file():
                    yield path


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("lazy_outcomes", {}, "")
    app.connect("env-get-outdated", outdated)
    app.connect("doctree-resolved", link_tests)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
