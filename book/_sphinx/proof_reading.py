"""Proofs that fold step by step, and previews of statements: what the built pages give to _static/proof_reading.js.

A proof of the book has named steps, each a paragraph that begins with an emphasized "Step 1, ...". Each becomes a
`details` element, open at first, so that a page without JavaScript, a search in the page and a print show all of it.
A folded cell below a proof whose first line is the comment "Check of step 1" (or "of the proof") goes into that step.

A preview is a statement, a numbered equation or an erratum as HTML, its formulas still TeX. Those of one page stand in
one small script beside the page's own files: a script can be loaded from a folder (file://) too, where fetch is
forbidden, and a page that is built again writes its own script again and no other.
"""

import json
import re
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator
from sphinx_proof.nodes import proof_node

STEP = re.compile(r"Steps? (\d+)")
CHECK = re.compile(r"# Check of (?:step (\d+)|the proof)\n")
STATEMENT = "div.proof.admonition[id]:not(.proof .proof)"
MARKS = ('class="proof ', 'id="equation-', 'id="erratum-')
NOTATION = "book/notation"


class proof_step(nodes.General, nodes.Element):
    """A named step of a proof, which a reader can fold."""


class proof_step_name(nodes.Part, nodes.TextElement):
    """The name of the step, always in sight."""


def _open_step(self: HTML5Translator, node: nodes.Element) -> None:
    self.body.append('<details class="proof-step" open="open">\n')


def _close_step(self: HTML5Translator, node: nodes.Element) -> None:
    self.body.append("</details>\n")


def _open_name(self: HTML5Translator, node: nodes.Element) -> None:
    self.body.append("<summary>")


def _close_name(self: HTML5Translator, node: nodes.Element) -> None:
    self.body.append("</summary>\n")


def fold_proofs(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put each named step of each proof into a node of its own, and give each proof an id that no other has."""
    if app.builder.format != "html":
        return
    for number, proof in enumerate(doctree.findall(proof_node), start=1):
        body = proof[0]
        body["ids"] = [f"proof-{number}"]
        body.children = _in_steps(body.children)
        for child in body.children:
            child.parent = body
    for content in doctree.findall(nodes.section):
        # sphinx-proof calls the content of every statement by the same id.
        content["ids"] = [name for name in content["ids"] if name != "proof-content"]
    for section in [*doctree.findall(nodes.section)]:
        _move_checks(section)
    for cell in doctree.findall(_is_hidden_check):
        cell["prompt_show"], cell["prompt_hide"] = "Show the check by sympy", "Hide the check by sympy"


def _is_hidden_check(node: nodes.Node) -> bool:
    """Whether MyST-NB folds this cell as a whole, and it calls a derivation or checks a step, as its toggle can say."""
    folded = isinstance(node, nodes.Element) and "content" in node.get("prompt_show", "")
    if not folded or type(node).__name__ != "HideCodeCellNode":
        return False
    text = node.astext()
    return "derivation" in text or CHECK.match(text) is not None


def _move_checks(section: nodes.section) -> None:
    """Put each check below a proof into the step that it names."""
    proof: nodes.Element | None = None
    for child in [*section.children]:
        if isinstance(child, proof_node):
            proof = child[0]
        # MyST-NB wraps all of a folded cell's content in one node inside the cell.
        check = CHECK.match(child.astext()) if any(map(_is_hidden_check, child.children)) else None
        if check and proof is not None:
            section.remove(child)
            _place_of(proof, check.group(1)).append(child)


def _place_of(proof: nodes.Element, number: str | None) -> nodes.Element:
    """The step of a proof that has this number; the proof itself without a number."""
    if number is None:
        return proof
    for step in proof.findall(proof_step):
        if STEP.match(step[0].astext()).group(1) == number:  # type: ignore[union-attr]
            return step
    raise ValueError(f"check of step {number}: the proof above it has no such step; give the number of one that it has")


def _in_steps(children: list[nodes.Node]) -> list[nodes.Node]:
    """Gather the nodes of a proof: those before the first step stay, the others go into their step."""
    gathered: list[nodes.Node] = []
    step: proof_step | None = None
    for child in children:
        name = _step_name(child)
        if name is not None:
            step = proof_step()
            step += name
            gathered.append(step)
        if step is None:
            gathered.append(child)
        elif child.children or not isinstance(child, nodes.paragraph):
            step += child
    return gathered


def _step_name(node: nodes.Node) -> proof_step_name | None:
    """Take the name from the head of a step's first paragraph ("Proof." may stand before it); None for other nodes."""
    if not isinstance(node, nodes.paragraph):
        return None
    lead, *rest = node.children or [nodes.Text("")]
    if isinstance(lead, nodes.Text) and lead.astext().strip() == "Proof." and rest:
        node.remove(lead)
        lead = rest[0]
    if not (isinstance(lead, nodes.emphasis) and STEP.match(lead.astext())):
        return None
    node.remove(lead)
    if node.children and isinstance(node[0], nodes.Text):
        node.replace(node[0], nodes.Text(node[0].astext().lstrip()))
    return proof_step_name("", "", *lead.children)


def write_previews(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Write the statements, equations and errata of a page into a script of their own; offer the notation."""
    if "header_buttons" in context:
        button = {"type": "link", "url": context["pathto"](NOTATION), "icon": "fas fa-square-root-variable"}
        context["header_buttons"].append(button | {"tooltip": "Notation", "label": "notation-button"})
    if doctree is None:
        return
    found = previews(context.get("body", ""), whole=page == NOTATION)
    file = Path(app.outdir) / "_static" / "previews" / f"{page}.js"
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, ensure_ascii=False)
    file.write_text(f"(window.lazyPreviews ??= {{}})[{json.dumps(page)}] = {text};\n", encoding="utf-8")


def previews(body: str, *, whole: bool = False) -> dict[str, str]:
    """Return id -> HTML for what can be previewed in a page; with `whole` also its tables, under the key "tables"."""
    if not whole and not any(mark in body for mark in MARKS):
        return {}
    soup = BeautifulSoup(body, "html.parser")
    found = {str(tag["id"]): [tag] for tag in soup.select(f"{STATEMENT}, div.math[id^=equation-]")}
    for anchor in soup.select("dt [id^=erratum-]"):
        term = anchor.find_parent("dt")
        found[str(anchor["id"])] = [term, *_definitions(term)]
    cleaned = {name: "".join(_plain(tag) for tag in tags) for name, tags in found.items()}
    if whole:
        cleaned["tables"] = "".join(str(tag) for tag in soup.select("h2, table"))
    return cleaned


def _definitions(term: Tag) -> list[Tag]:
    """The definitions that follow a term, up to the next term."""
    found = []
    for other in term.find_next_siblings():
        if other.name != "dd":
            break
        found.append(other)
    return found


def _plain(tag: Tag) -> str:
    """A copy of an element that has no id of its own and nothing to press: it is shown beside the original."""
    copy = BeautifulSoup(str(tag), "html.parser")
    for link in copy.select("a.headerlink, script, button"):
        link.decompose()
    for element in copy.find_all(True):
        element.attrs.pop("id", None)
        if element.name in ("a", "dt", "dd"):
            element.name = "span" if element.name == "a" else "div"
            element.attrs.pop("href", None)
            element.attrs.pop("title", None)
    return str(copy)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_node(proof_step, html=(_open_step, _close_step))
    app.add_node(proof_step_name, html=(_open_name, _close_name))
    app.connect("doctree-resolved", fold_proofs)
    # After the theme made its buttons.
    app.connect("html-page-context", write_previews, priority=850)
    app.add_js_file("proof_reading.js", loading_method="defer")
    app.add_css_file("proof_reading.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
