"""`{claims-graph} ntk`: which statement of a chapter rests on which, drawn as SVG when the book is built.

The arrows are those of the register (`depends` in claims.toml). Where a proof names the statement by its label, the
arrow is drawn through; where the proof uses it in other words ("the last proof", a numbered formula) it is dashed.
Every box is a link. A list below the drawing says the same in words. The layout is the plain layered one: a statement
stands below all that it rests on, and each row is ordered by the mean place of what it rests on.
"""

import html
import re
import textwrap
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^(`{3,}|:{3,})\{prf:(\w+)\}(.*?)^\1\s*$", re.M | re.S)
CITED = re.compile(r"\{prf:ref\}`(?:[^`<]*<)?([\w-]+)>?`")
WIDTH, HEIGHT, GAP, ROW = 128, 76, 10, 128
ARROW = (
    '<defs><marker id="arrow-{stem}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0 0 8 4 0 8z" fill="currentColor"/></marker></defs>'
)


class claims_graph(nodes.General, nodes.Element):
    """The place of a drawing; the addresses of the statements are known only when all pages have been read."""


class ClaimsGraph(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        stem = self.arguments[0]
        for name in (f"lazy_course/{stem}/claims.toml", f"book/{stem}.md"):
            self.env.note_dependency(str(ROOT / name))
        return [claims_graph(stem=stem)]


def rows(stem: str) -> dict[str, dict[str, Any]]:
    """The rows of a chapter's register, by id."""
    text = (ROOT / "lazy_course" / stem / "claims.toml").read_text()
    return {row["id"]: row for row in tomllib.loads(text)["claim"]}


def cited(stem: str) -> dict[str, set[str]]:
    """Statement -> the statements that its proof names by their labels."""
    found: dict[str, set[str]] = {}
    last = ""
    for _, kind, text in BLOCK.findall((ROOT / "book" / f"{stem}.md").read_text()):
        if kind == "proof":
            found.setdefault(last, set()).update(set(CITED.findall(text)) - {last})
        elif label := re.search(r":label:\s*(\S+)", text):
            last = label.group(1)
    return found


def layers(edges: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Rows of statements, each below all that it rests on; `edges` are statement -> what it rests on."""
    names = list(dict.fromkeys([other for others in edges.values() for other in others] + list(edges)))
    depth: dict[str, int] = {}

    def deep(name: str, path: tuple[str, ...] = ()) -> int:
        if name in path:
            raise ValueError(f"claims.toml: {' rests on '.join([*path, name])}; a proof cannot go round")
        if name not in depth:
            depth[name] = 1 + max((deep(other, (*path, name)) for other in edges.get(name, ())), default=-1)
        return depth[name]

    for name in names:
        deep(name)
    table: list[list[str]] = [[n for n in names if depth[n] == level] for level in range(max(depth.values()) + 1)]
    place = {name: i for row in table for i, name in enumerate(row)}
    for row in table[1:]:
        row.sort(key=lambda n: sum(place[o] for o in edges.get(n, ())) / max(1, len(edges.get(n, ()))))
        place |= {name: i for i, name in enumerate(row)}
    return table


def drawing(stem: str, titles: Mapping[str, tuple[str, str]], links: Mapping[str, str]) -> str:
    """The SVG of a chapter: `titles` are statement -> (Theorem 3, its name), `links` statement -> address."""
    register, named = rows(stem), cited(stem)
    edges = {name: row.get("depends", []) for name, row in register.items() if row.get("depends")}
    table = layers(edges)
    width = max(len(row) for row in table) * (WIDTH + GAP) + GAP
    at = {}
    for level, row in enumerate(table):
        start = (width - len(row) * (WIDTH + GAP) + GAP) / 2
        at |= {name: (start + i * (WIDTH + GAP), 12 + level * ROW) for i, name in enumerate(row)}
    lines = [_arrow(at[o], at[n], o in named.get(n, set()), stem) for n, others in edges.items() for o in others]
    boxes = [_box(name, at[name], titles[name], links[name], name in register) for name in at]
    size = f'viewBox="0 0 {width:.0f} {len(table) * ROW - ROW + HEIGHT + 24}" width="{width:.0f}"'
    label = f"What rests on what: {len(at)} statements, {len(lines)} arrows. The list below says the same in words."
    return (
        f'<div class="claims-graph" tabindex="0" role="region" aria-label="{label}">'
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{ARROW.format(stem=stem)}{"".join(lines + boxes)}</svg></div>'
    )


def _arrow(start: tuple[float, float], end: tuple[float, float], through: bool, stem: str) -> str:
    (x0, y0), (x1, y1) = start, end
    x0, x1, y0 = x0 + WIDTH / 2, x1 + WIDTH / 2, y0 + HEIGHT
    bend = (y1 - y0) / 2
    dash = "" if through else ' stroke-dasharray="5 4"'
    path = f"M{x0:.0f} {y0:.0f}C{x0:.0f} {y0 + bend:.0f} {x1:.0f} {y1 - bend:.0f} {x1:.0f} {y1:.0f}"
    return f'<path d="{path}" fill="none" stroke="currentColor" opacity="0.6"{dash} marker-end="url(#arrow-{stem})"/>'


def _box(name: str, at: tuple[float, float], title: tuple[str, str], link: str, own: bool) -> str:
    x, y = at
    number, words = (html.escape(text) for text in title)
    parts = textwrap.wrap(html.unescape(words), 18, max_lines=3, placeholder=" …")
    text = "".join(f'<tspan x="{x + WIDTH / 2:.0f}" dy="16">{html.escape(part)}</tspan>' for part in parts)
    kind = "own" if own else "other"
    return (
        f'<a href="{link}"><title>{number}: {words}</title>'
        f'<rect class="{kind}" x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
        f'<text x="{x + WIDTH / 2:.0f}" y="{y + 18:.0f}" text-anchor="middle"><tspan font-weight="600">{number}</tspan>'
        f"{text}</text></a>"
    )


def draw(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the drawings and their lists in their places."""
    for place in list(doctree.findall(claims_graph)):
        stem = place["stem"]
        register = rows(stem)
        known = app.env.proof_list  # type: ignore[attr-defined]
        used = {o for row in register.values() for o in row.get("depends", [])} | set(register)
        every = {n: row for s in {known[n]["docname"].rpartition("/")[2] for n in used} for n, row in rows(s).items()}
        titles = {name: (_number(app, known[name]), every[name]["title"]) for name in used}
        links = {n: f"{app.builder.get_relative_uri(docname, known[n]['docname'])}#{n}" for n in used}
        svg = nodes.raw("", drawing(stem, titles, links), format="html")
        place.replace_self([svg, _list(register, titles, links)])


def _number(app: Sphinx, entry: Mapping[str, Any]) -> str:
    numbers = app.env.toc_fignumbers.get(entry["docname"], {}).get(entry["countertype"], {})
    number = ".".join(map(str, numbers.get(entry["ids"][0], ())))
    return f"{entry['realtype'].title()} {number}".strip()


def _list(register: Mapping[str, Any], titles: Mapping[str, Any], links: Mapping[str, str]) -> nodes.bullet_list:
    """In words: each statement, and what it rests on."""
    found = nodes.bullet_list()
    for name, row in register.items():
        others = row.get("depends", [])
        line: list[nodes.Node] = [_link(titles[name][0], links[name]), nodes.Text(f", {titles[name][1]}: ")]
        for i, other in enumerate(others):
            line += [nodes.Text(", " if i else "rests on "), _link(titles[other][0], links[other])]
        line.append(nodes.Text("." if others else "rests on no other statement."))
        found += nodes.list_item("", nodes.paragraph("", "", *line))
    return found


def _link(text: str, address: str) -> nodes.reference:
    return nodes.reference("", text, refuri=address, internal=True)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("claims-graph", ClaimsGraph)
    app.connect("doctree-resolved", draw, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
