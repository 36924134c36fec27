"""The doors out of a page: its notebook, Binder, Colab and JupyterHub, edit and issue, search engines and previews.

The address of the repository stands in one place, `repository: url:` of _config.yml. While it is empty no button that
would need it is shown. In the same way `html: baseurl:` switches on the site map and the absolute addresses that a
social card needs.
"""

import html
import re
import unicodedata
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import jupytext
import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

PICTURE = "_static/lazy.png"
SOURCE_BUTTONS = ("use_repository_button", "use_edit_page_button", "use_issues_button")
LENGTH = 200  # characters of a description: about what a list of search results shows


def open_or_close(app: Sphinx, config: Config) -> None:
    """Offer the buttons that need a repository where its address is known, and only there."""
    options = config.html_theme_options
    known = bool(options.get("repository_url"))
    for button in SOURCE_BUTTONS:
        options[button] = known
    if not known:
        options["launch_buttons"] = {}


def notebook(source: str) -> nbformat.NotebookNode:
    """Return a page's MyST text as a notebook without outputs, as JupyterLab with jupytext opens the page itself."""
    made = jupytext.reads(source, fmt="md:myst")
    made.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(made.cells):
        cell["id"] = f"cell-{number}"
    made.nbformat, made.nbformat_minor = 4, 5
    return made


def add_doors(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Put the page's notebook beside its source, mend the buttons, and describe the page to those who link to it."""
    if doctree is None:
        return
    buttons = context.get("header_buttons", [])
    if "kernelspec" in app.env.metadata[page] and context.get("page_source_suffix") == ".md":
        file = Path(app.outdir) / "_sources" / f"{page}.ipynb"
        file.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook(Path(app.env.doc2path(page)).read_text(encoding="utf-8")), file)
        _offer(buttons, f"{context['pathto']('_sources', 1)}/{page}.ipynb")
        # Colab opens notebooks only, and a page is a text.
        _forget(buttons, "Colab")
    context["metatags"] = context.get("metatags", "") + card(app, page, str(context.get("title", "")), doctree)


def _offer(buttons: list[dict[str, Any]], address: str) -> None:
    for group in buttons:
        if group.get("label") == "download-buttons" and not any(b["text"] == ".ipynb" for b in group["buttons"]):
            text = {"text": ".ipynb", "tooltip": "Download this page as a notebook", "icon": "fas fa-code"}
            group["buttons"].insert(0, {"type": "link", "url": address, "label": "download-notebook-button"} | text)


def _forget(buttons: list[dict[str, Any]], text: str) -> None:
    for group in buttons:
        if group.get("label") == "launch-buttons":
            group["buttons"] = [button for button in group["buttons"] if button.get("text") != text]


def card(app: Sphinx, page: str, title: str, doctree: nodes.document) -> str:
    """Return the meta elements of a page: its description, and what a social card shows."""
    words = html.escape(description(doctree))
    name = html.unescape(re.sub(r"<[^>]+>", "", title))
    tags = {
        "og:title": html.escape(name),
        "og:type": "article",
        "og:site_name": html.escape(app.config.html_title or ""),
    }
    if words:
        tags["og:description"] = words
    if base := app.config.html_baseurl:
        tags["og:url"] = f"{base.rstrip('/')}/{page}.html"
        tags["og:image"] = f"{base.rstrip('/')}/{PICTURE}"
        tags["og:image:alt"] = "The same network on the same data, trained at a small and at a large scale."
        tags["twitter:card"] = "summary_large_image"
    described = f'\n<meta name="description" content="{words}" />' if words else ""
    return described + "".join(f'\n<meta property="{key}" content="{value}" />' for key, value in tags.items()) + "\n"


def description(doctree: nodes.document) -> str:
    """Return the first sentences of a page whose formulas are letters, up to LENGTH characters."""
    for paragraph in doctree.findall(nodes.paragraph):
        if not isinstance(paragraph.parent, nodes.section | nodes.document):
            continue
        formulas = [_unicode(formula.astext()) for formula in paragraph.findall(nodes.math)]
        if None in formulas:
            continue
        text = re.sub(r"\s+", " ", re.sub(r"\s*\[[A-Z][^\]]*\]", "", _words(paragraph))).strip()
        if len(text) > LENGTH:
            whole = text[: LENGTH + 1].rfind(". ")
            text = text[: whole + 1] if whole > LENGTH // 3 else text[:LENGTH].rsplit(" ", 1)[0] + " …"
        if len(text) > 30:
            return text
    return ""


def _words(node: nodes.Node) -> str:
    if isinstance(node, nodes.math):
        return _unicode(node.astext()) or ""
    return node.astext() if isinstance(node, nodes.Text) else "".join(_words(child) for child in node.children)


def _unicode(formula: str) -> str | None:
    r"""A formula that is one letter, as that letter (\alpha as α); None for others."""
    if name := re.fullmatch(r"\\([a-z]+)", formula):
        try:
            return unicodedata.lookup(f"GREEK SMALL LETTER {name.group(1)}")
        except KeyError:
            return None
    return formula if re.fullmatch(r"\w", formula) else None


def write_sitemap(app: Sphinx, error: Exception | None) -> None:
    """Write sitemap.xml where the address of the site is known."""
    base = app.config.html_baseurl.rstrip("/")
    if error or not base or app.builder.format != "html":
        return
    pages = "".join(f"<url><loc>{escape(f'{base}/{page}.html')}</loc></url>\n" for page in sorted(app.env.all_docs))
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    (Path(app.outdir) / "sitemap.xml").write_text(f"{head}{pages}</urlset>\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    # Before the theme reads its options.
    app.connect("config-inited", open_or_close, priority=100)
    app.connect("html-page-context", add_doors, priority=860)
    app.connect("build-finished", write_sitemap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
