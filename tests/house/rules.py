"""The rules of the house as functions of a checkout, so that each is also run on a planted fault."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
NOT_CHAPTERS = {"grading", "report"}
CELL = re.compile(r"^(`{3,})\{code-cell\}[^\n]*\n(.*?)^\1\s*$", re.M | re.S)
STATEMENT = re.compile(r"\{prf:(theorem|lemma|proposition|corollary)\}[^\n]*\n((?::[^\n]*\n)*)")


def extension(name: str) -> ModuleType:
    """A file of book/_sphinx, which is no package, as a module."""
    spec = importlib.util.spec_from_file_location(f"book_{name}", ROOT / "book" / "_sphinx" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def chapters(root: Path) -> set[str]:
    """Folders of lazy_course that are a chapter: all but the grader and the report."""
    folders = (root / "lazy_course").iterdir()
    return {f.name for f in folders if (f / "__init__.py").exists() and f.name not in NOT_CHAPTERS}


def stems(root: Path) -> dict[str, set[str]]:
    """The stems of the chapters as each tree has them."""
    in_book = {p.stem for p in (root / "book").glob("*.md")}
    return {
        "lazy_course": chapters(root),
        "solutions": {p.stem for p in (root / "solutions").glob("*.md")},
        "executed solutions": {p.stem for p in (root / "solutions").glob("*.ipynb")},
        "exercises": {p.stem for p in (root / "exercises").glob("*.ipynb")},
        # Guides and registers are pages without a stem, so the book may have more.
        "book": in_book & chapters(root),
        "tests": {p.name for p in (root / "tests").iterdir() if p.name in chapters(root)},
    }


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def import_faults(root: Path) -> list[str]:
    """Break of: ground floor and chapters, two witnesses, public APIs only, no relative imports."""
    package, names, faults = root / "lazy_course", chapters(root), []
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        home = relative.parts[0] if len(relative.parts) > 1 else ""
        for name in imports(path):
            parts = name.split(".")
            if name.startswith("."):
                faults.append(f"{relative}: relative import of {name}")
            chapter = parts[1] if parts[0] == "lazy_course" and len(parts) > 1 else ""
            # The command line is the door to everything, so it alone may reach into chapters.
            if chapter in names and chapter != home and relative.name != "cli.py":
                faults.append(f"{relative}: imports the chapter {chapter}")
            if relative.name.startswith("derivation") and parts[0] in {"jax", "diffrax", "equinox", "numpy"}:
                faults.append(f"{relative}: a derivation imports {parts[0]}")
            if relative.name.startswith("derivation") and parts[-1] == "numerics":
                faults.append(f"{relative}: a derivation imports numerics")
            if relative.name.startswith("numerics") and (parts[0] == "sympy" or parts[-1] == "derivation"):
                faults.append(f"{relative}: numerics import {name}")
            if any(part.startswith("_") and not part.startswith("__") for part in parts):
                faults.append(f"{relative}: imports the private {name}")
    return faults


def cells(page: Path) -> Iterator[str]:
    """The code of each code cell of a MyST page, without its options."""
    for match in CELL.finditer(page.read_text()):
        body = match.group(2)
        if body.startswith("---\n"):
            body = body.split("---\n", 2)[2]
        yield "\n".join(line for line in body.splitlines() if not re.match(r":[\w-]+:", line))


def page_faults(page: Path) -> list[str]:
    """Numerics defined in a page: a function, a class, a loop, or an import of jax's numpy."""
    faults = []
    for code in cells(page):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.For | ast.While):
                faults.append(f"{page.name}: a cell defines {type(node).__name__} at its line {node.lineno}")
    return faults


def figure_faults(page: Path) -> list[str]:
    """A figure without a caption or an alt text."""
    text = page.read_text()
    figures = len(re.findall(r"^\s*figure:", text, re.M))
    # A picture's alt text stands in the cell's options; that of a figure with a slider is an argument of its function.
    captions, alts = len(re.findall(r"caption:", text)), len(re.findall(r"\balt(?:: |=)", text))
    return [] if figures == captions == alts else [f"{page.name}: {figures} figures, {captions} captions, {alts} alts"]


def labels(page: Path) -> list[str]:
    """Labels of the theorems, lemmas, propositions and corollaries of a page; an unlabelled one is ''."""
    found = []
    for match in STATEMENT.finditer(page.read_text()):
        label = re.search(r":label:\s*(\S+)", match.group(2))
        found.append(label.group(1) if label else "")
    return found


def is_collected(node_id: str, root: Path) -> bool:
    """Whether pytest collects a node id of the form tests/.../test_x.py::test_y, by its default rules."""
    file, _, name = node_id.partition("::")
    path = root / file
    if not (file.startswith("tests/") and path.name.startswith("test_") and path.is_file()):
        return False
    functions = [n.name for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef)]
    return name.startswith("test_") and name in functions
