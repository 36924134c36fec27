"""The source of the package and of the tests that the registers name, as plain pages of the built book.

A link to a function or a test leads to its line, without a repository on the web and without a server.
"""

import ast
import functools
import html
import re
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "code"
LIGHT, DARK = "a11y-high-contrast-light", "a11y-high-contrast-dark"
CITED = re.compile(r"tests/[\w/]+/test_\w+\.py")
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title><link rel="icon" href="{up}_static/favicon.svg">
<link rel="stylesheet" href="{up}{folder}/code.css">
</head><body><header><a href="{up}index.html">Lazy training</a></header>
<main><h1>{name}</h1>{code}</main></body></html>
"""
CSS = """
body {{ margin: 0 auto; max-width: 76rem; padding: 1rem; font-family: system-ui, sans-serif; }}
body {{ background: #fff; color: #111; }}
h1 {{ font: 600 1.1rem ui-monospace, monospace; overflow-wrap: anywhere; }} a {{ color: #0a4f9e; }}
pre {{ overflow: auto; padding: 0.8rem; font-size: 0.9rem; line-height: 1.45; }}
pre > span:target {{ outline: 2px solid #0a4f9e; }}
{light}
@media (prefers-color-scheme: dark) {{
body {{ background: #14181e; color: #eee; }} a {{ color: #8ab8f5; }} pre > span:target {{ outline-color: #8ab8f5; }}
{dark}
}}
"""


def files(root: Path = ROOT) -> list[Path]:
    """The modules of the package, and the test files that a row of a register names."""
    modules = sorted((root / "lazy_course").rglob("*.py"))
    registers = sorted((root / "lazy_course").glob("*/*.toml"))
    cited = {name for register in registers for name in CITED.findall(register.read_text())}
    return modules + [root / name for name in sorted(cited) if (root / name).is_file()]


@functools.cache
def lines(file: Path) -> dict[str, int]:
    """Name -> line for the functions and classes of a module, methods as Class.method."""
    found = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node.lineno
            for inner in node.body if isinstance(node, ast.ClassDef) else []:
                if isinstance(inner, ast.FunctionDef):
                    found[f"{node.name}.{inner.name}"] = inner.lineno
    return found


def address(path: str, name: str = "", *, page: str) -> str | None:
    """The relative address of a function in the source page of a file, as seen from a page; None if it is not there."""
    file = ROOT / path
    if not file.is_file():
        return None
    line = lines(file).get(name)
    up = "../" * page.count("/")
    return f"{up}{FOLDER}/{path.removesuffix('.py')}.html" + (f"#line-{line}" if line else "")


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the page of each file that is newer than its page."""
    if error or app.builder.format != "html":
        return
    folder = Path(app.outdir) / FOLDER
    folder.mkdir(exist_ok=True)
    styles = {name: HtmlFormatter(style=name).get_style_defs("pre") for name in (LIGHT, DARK)}
    (folder / "code.css").write_text(CSS.format(light=styles[LIGHT], dark=styles[DARK]))
    for file in files():
        name = file.relative_to(ROOT).as_posix()
        page = folder / f"{name.removesuffix('.py')}.html"
        if not page.exists() or page.stat().st_mtime < file.stat().st_mtime:
            page.parent.mkdir(parents=True, exist_ok=True)
            code = highlight(file.read_text(), PythonLexer(), HtmlFormatter(linespans="line", cssclass="code"))
            up = "../" * (name.count("/") + 1)
            # A line that is wider than the window is scrolled to, with the keys too.
            code = code.replace("<pre>", '<pre tabindex="0">', 1)
            page.write_text(PAGE.format(name=html.escape(name), up=up, folder=FOLDER, code=code))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
