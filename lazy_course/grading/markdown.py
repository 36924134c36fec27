"""Markdown with formulas as HTML that is safe to show: a student's text is hostile until it is escaped.

HTML is shown as it was typed. Links and pictures are not made: what stands in the text is what is read, and nothing is
fetched. Formulas come out between \\( \\) and \\[ \\] in elements of the class "math", for MathJax.
"""

from html import escape
from typing import Any

from markdown_it import MarkdownIt
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

MOST_CHARACTERS = 50_000


def _formula(text: str, options: dict[str, Any]) -> str:
    return escape(f"\\[{text}\\]" if options["display_mode"] else f"\\({text}\\)")


def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.disable(["link", "image", "autolink", "reference", "html_block", "html_inline"])
    dollarmath_plugin(reader, allow_labels=False, double_inline=True, renderer=_formula)
    amsmath_plugin(reader, renderer=escape)
    return reader


_READER = _reader()


def to_html(text: str) -> str:
    """The text as HTML; what is longer than MOST_CHARACTERS is cut, and that is said."""
    rest = len(text) - MOST_CHARACTERS
    cut = f"<p><em>{rest} more characters are not shown; open the notebook.</em></p>" if rest > 0 else ""
    return str(_READER.render(text[:MOST_CHARACTERS])) + cut
