"""What the pages that the grader writes have in common: one file, no script, nothing fetched."""

from html import escape

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
table{border-collapse:collapse;width:100%;margin:0 0 1.5rem}th,td{text-align:left;vertical-align:top;
padding:.4rem .6rem;border-bottom:1px solid #999}caption{text-align:left;font-weight:bold;padding:.4rem 0}
td.points{white-space:nowrap}pre{background:#f4f4f4;padding:.6rem;overflow-x:auto;font-size:14px}
.bar{display:inline-block;height:.8em;background:#0072b2}"""


def page(title: str, body: str) -> str:
    """A page as HTML with a title that is also its heading; `body` is HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n{body}</body></html>\n"
    )


def bar(counts: dict[str, int]) -> str:
    """A bar a count, with its words: nothing is said by colour alone."""
    most = max(counts.values(), default=1)
    return "<br>".join(
        f'<span class="bar" style="width:{6 * count / most:.2f}rem"></span> {count} {escape(words)}'
        for words, count in counts.items()
    )
