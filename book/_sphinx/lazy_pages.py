"""What the built pages need beyond their extensions: no script from another host, no page error, valid roles."""

import re
import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

PLOTLY = "plotly.min.js"
# A page with such an element gets the script that makes it move.
SCRIPTS = {
    'class="lazy-slider"': "lazy-slider.js",
    'class="lazy-moving"': "lazy-moving.js",
    'class="math': "lazy-math.js",
}

BUNDLE = re.compile(r"mathjax/((?:tex|mml|node)-[\w-]+\.js)")
ICONS = re.compile(r'<(?:script|link)[^>]*fontawesome/[^"]*/js/[^>]*>(?:</script>)?\s*')


def mend(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Leave out thebe's loader, which names another host and declares THEBE_JS_URL twice; mend the bibliography.

    A page with a figure that moves gets the script for it. Plotly's own, which is large, lies in the book's folder; the
    page asks for it when a figure comes near the window. Formulas are set some at a time.
    """
    body = context.get("body", "")
    for element, script in SCRIPTS.items():
        if element in body:
            _copy_plotly(Path(app.outdir) / "_static")
            app.add_js_file(script, loading_method="defer")
    scripts = context.get("script_files", [])
    # MathJax, which works longest, runs after all others.
    context["script_files"] = sorted((s for s in scripts if not _unwanted(s)), key=lambda s: "mathjax" in _name(s))
    if "body" in context:
        # docutils calls the bibliography a list, but its entries are no list items.
        context["body"] = body.replace('role="list" class="citation-list"', 'class="citation-list"')


def lighten(app: Sphinx, exception: Exception | None) -> None:
    """Take out the script of the icons, 1.5 MB before the first letter is drawn: the style sheet draws the same icons.

    The theme's template names it, so it is taken out of the pages that are written. MathJax comes as a dozen bundles,
    one for each kind of input and output, and a page loads one; those that no page names are 14 MB.
    """
    if exception is None and app.builder.format == "html":
        named = set()
        for page in Path(app.outdir).rglob("*.html"):
            text = page.read_text(encoding="utf-8")
            named |= set(BUNDLE.findall(text))
            lighter = ICONS.sub("", text)
            if lighter != text:
                page.write_text(lighter, encoding="utf-8")
        for bundle in (Path(app.outdir) / "_static" / "mathjax").glob("*.js"):
            if BUNDLE.search(f"mathjax/{bundle.name}") and bundle.name not in named:
                bundle.unlink()


def _copy_plotly(static: Path) -> None:
    """Put the script of the installed plotly, which made the figures of the pages, beside the other scripts."""
    static.mkdir(parents=True, exist_ok=True)
    with as_file(files("plotly") / "package_data" / PLOTLY) as script:
        shutil.copyfile(script, static / PLOTLY)


def _name(script: Any) -> str:
    return str(getattr(script, "filename", script) or "")


def _unwanted(script: Any) -> bool:
    name = _name(script)
    body = str(getattr(script, "attributes", {}).get("body", ""))
    return "thebe" in name or "THEBE" in body or name.startswith(("http://", "https://", "//"))


def setup(app: Sphinx) -> dict[str, bool]:
    # After the theme and the extensions have added theirs, hence the high priority.
    app.connect("html-page-context", mend, priority=900)
    app.connect("build-finished", lighten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
