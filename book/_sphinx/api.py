"""The reference of the package: `{api} lazy_course/ntk` documents the public names of the modules of a folder.

The text is read from the source with `ast`, so the build imports nothing for it. A docstring of the package is plain
text with `code` and $formulas$, which is Markdown. Each entry says which pages call it, and links to its source.
"""

import ast
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parent))
import sources

SECTION = re.compile(r"^(Args|Attributes|Parameters|Raises|Returns|Yields|Example|Examples|Note|Notes):\s*$")
ESCAPED = re.compile(r"\\([*_<>\[\]{}|#~])")
ITEM = re.compile(r"^`?([*\\\w, .\[\]]+?)`?(?: \([^)]*\))?:\s+(.*)$")
CELL = re.compile(r"^(`{3,})\{code-cell\}[^\n]*\n(.*?)^\1\s*$", re.M | re.S)
Definition = ast.FunctionDef | ast.ClassDef


def modules(root: Path = sources.ROOT) -> list[str]:
    """The modules with something public in them, as paths."""
    files = sorted((root / "lazy_course").rglob("*.py"))
    return [file.relative_to(root).as_posix() for file in files if public(file)]


@functools.cache
def public(file: Path) -> tuple[Definition, ...]:
    """The functions and classes of a module that have a docstring and no leading underscore."""
    body = ast.parse(file.read_text()).body
    found = (node for node in body if isinstance(node, Definition) and not node.name.startswith("_"))
    return tuple(node for node in found if ast.get_docstring(node))


def signature(node: Definition) -> str:
    """The signature as the source has it; a class has that of its fields or of its __init__."""
    if isinstance(node, ast.FunctionDef):
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return f"{node.name}({ast.unparse(node.args)}){returns}"
    return node.name


def markdown(docstring: str) -> str:
    """A docstring as Markdown: sections become lists, an angle bracket is no tag, and $$ stays as it is."""
    out: list[str] = []
    inside = False
    for line in _plain(docstring).splitlines():
        text = line.strip()
        if head := SECTION.match(text):
            out += ["", f"**{head.group(1)}**", ""]
            inside = True
        elif inside and text and (item := ITEM.match(text)):
            out.append("- `{}`: {}".format(item.group(1).replace("\\", ""), item.group(2)))
        elif inside and text and line.startswith(" "):
            # A line that goes on belongs to its item.
            out.append(f"  {text}")
        else:
            inside = inside and not text
            indented = line.startswith("    ") and text
            # An indented block is code: there the escapes would be seen.
            out.append("    " + ESCAPED.sub(r"\1", line[4:]) if indented else text)
    return "\n".join(out)


def _plain(text: str) -> str:
    """Escape what Markdown or HTML would read as markup, outside of `code` and $formulas$."""
    parts = re.split(r"(``[^`]+``|`[^`]+`|\$\$.+?\$\$|\$[^$]+\$)", text, flags=re.S)
    text = "".join(part if i % 2 else re.sub(r"([*_<>\[\]{}|#~])", r"\\\1", part) for i, part in enumerate(parts))
    return re.sub(r"^( *)\\\* (?=\S)", r"\1* ", text, flags=re.M)  # an item of a list


@functools.cache
def uses(root: Path = sources.ROOT) -> dict[str, tuple[str, ...]]:
    """Dotted name -> pages of the book whose cells call it."""
    found: dict[str, set[str]] = {}
    for page in sorted((root / "book").glob("*.md")):
        code = "\n".join(_code(match.group(2)) for match in CELL.finditer(page.read_text()))
        for name in _names(ast.parse(code)):
            found.setdefault(name, set()).add(page.stem)
    return {name: tuple(sorted(pages)) for name, pages in found.items()}


def _code(cell: str) -> str:
    if cell.startswith("---\n"):
        cell = cell.split("---\n", 2)[2]
    return "\n".join(line for line in cell.splitlines() if not re.match(r":[\w-]+:", line))


def _names(tree: ast.Module) -> Iterator[str]:
    """The dotted names of the package that a page's code reaches, through its imports."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lazy_course"):
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
            yield f"{known[node.value.id]}.{node.attr}"
        elif isinstance(node, ast.Name) and node.id in known:
            yield known[node.id]


def entry(path: str, node: Definition, page: str) -> str:
    """One function or class as MyST text."""
    dotted = f"{path.removesuffix('.py').replace('/', '.')}.{node.name}"
    kind = "class" if isinstance(node, ast.ClassDef) else "function"
    links = [f'<a class="reference" href="{sources.address(path, node.name, page=page)}">source</a>']
    links += [f"{{doc}}`/book/{stem}`" for stem in uses().get(dotted, ())]
    where = links[0] if len(links) == 1 else f"{links[0]}, used in {', '.join(links[1:])}"
    text = markdown(ast.get_docstring(node) or "")
    module = dotted.rpartition(".")[0]
    return f"`````{{py:{kind}}} {signature(node)}\n:module: {module}\n\n{text}\n\n{where}\n`````\n"


class Api(SphinxDirective):
    """`{api} lazy_course/ntk`: each module of the folder, with what it says of itself and its public names."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        folder = self.arguments[0].rstrip("/")
        inside = [path for path in modules() if path.rpartition("/")[0] == folder]
        if not inside:
            raise self.error(f"api: expected a folder with public modules, got {folder}")
        return [self._module(path) for path in inside]

    def _module(self, path: str) -> nodes.section:
        file = sources.ROOT / path
        self.env.note_dependency(str(file))
        dotted = path.removesuffix(".py").replace("/", ".")
        section = nodes.section(ids=[dotted.replace(".", "-").replace("_", "-")], names=[dotted])
        section += nodes.title("", "", nodes.literal("", dotted.removeprefix("lazy_course.")))
        lead = markdown(ast.get_docstring(ast.parse(file.read_text())) or "")
        text = "\n".join([lead, "", *(entry(path, node, self.env.docname) for node in public(file))])
        self.state.nested_parse(StringList(text.splitlines(), source=str(file)), 0, section)
        # A type in a signature is read as it stands: most belong to other packages, whose pages are on other hosts.
        for head in list(section.findall(addnodes.desc_signature)):
            for reference in list(head.findall(addnodes.pending_xref)):
                reference.replace_self(reference.children)
        return section


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("api", Api)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
