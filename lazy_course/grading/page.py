"""What the pages that the grader writes have in common: one file, no script, nothing fetched."""

from html import escape

_STYLE = """:root{color-scheme:light dark;--text:#1a1a1a;--page:#fff;--soft:#f2f2f2;--line:#8a8a8a;--bar:#0072b2}
@media(prefers-color-scheme:dark){:root{--text:#e8e8e8;--page:#16181c;--soft:#24272d;--line:#8a8f98;--bar:#56b4e9}}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:var(--text);
background:var(--page);overflow-wrap:break-word}
table{border-collapse:collapse;width:100%;margin:0 0 1.5rem}th,td{text-align:left;vertical-align:top;
padding:.4rem .6rem;border-bottom:1px solid var(--line)}caption{text-align:left;font-weight:bold;padding:.4rem 0}
td.points{white-space:nowrap}p.why{margin:0 0 .3rem;white-space:pre-line}
pre{background:var(--soft);padding:.6rem;white-space:pre-wrap;overflow-wrap:anywhere;font-size:14px}summary{cursor:pointer}
.histogram{display:grid;grid-template-columns:max-content minmax(4rem,14rem) max-content;gap:.1rem .6rem;
align-items:center;margin:0}.histogram dt,.histogram dd{margin:0}.histogram dt{text-align:right}
.bar{display:block;height:.8em;background:var(--bar)}
@media(max-width:40rem){table,thead,tbody,tr,th,td,caption{display:block}thead{position:absolute;left:-99rem}
th,td{border:0;padding:.2rem 0}tr{border-bottom:1px solid var(--line);padding:.4rem 0}}"""


def page(title: str, body: str) -> str:
    """A page as HTML with a title that is also its heading; `body` is HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><main><h1>{escape(title)}</h1>\n{body}</main></body></html>\n"
    )


def histogram(counts: dict[str, int]) -> str:
    """A bar for each count, between its words and its number: nothing is said by colour or by length alone."""
    most = max([1, *counts.values()])
    bars = "".join(
        f'<dt>{escape(words)}</dt><dd><span class="bar" style="width:{100 * count / most:.4g}%"></span></dd>'
        f"<dd>{count}</dd>"
        for words, count in counts.items()
    )
    return f'<dl class="histogram">{bars}</dl>'
