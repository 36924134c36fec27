"""A deck of slides for each chapter, made from its built page: its own statements and figures, and nothing new.

The decks are plain pages of the book in `slides/`: without JavaScript, and in print, one slide stands below the
other; with it, one is shown and the keys move (slides/deck.js). Pictures, MathJax and links are the book's own.
"""

import copy
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

import yaml
from bs4 import BeautifulSoup, Tag
from sphinx.application import Sphinx

HERE = Path(__file__).parent / "slides"
ROOT = Path(__file__).resolve().parents[2]
NO_SLIDES = {"problem-set", "sources", "ten-questions-to-test-yourself", "how-to-work-through-a-problem-set"}
STATEMENTS = ("theorem", "lemma", "proposition", "corollary", "definition")
MOST_ITEMS = 5  # of a list on one slide
MOST_LETTERS = 900  # of the beginning of a section on one slide


def stems(root: Path = ROOT) -> list[str]:
    """The chapters in the order of the book: the pages with a problem set."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    listed = [Path(chapter["file"]) for part in toc["parts"] for chapter in part["chapters"]]
    exercises = {path.name for path in listed if path.parent.name == "exercises"}
    return [path.name for path in listed if path.parent.name == "book" and path.name in exercises]


def deck(page: str, stem: str) -> str:
    """The deck of a chapter as HTML, from the HTML of its built page."""
    article = BeautifulSoup(page, "html.parser").select_one("article.bd-article")
    if article is None or article.h1 is None:
        raise ValueError(f"the page of {stem} has no article with a heading; was the theme changed?")
    for element in article.select("a.headerlink, script, style, button"):
        element.decompose()
    title = article.h1.get_text().strip()
    slides = [*_opening(article, title), *_sections(article), _last(stem)]
    body = "\n".join(
        f'<section class="slide {kind}" id="slide-{number}" tabindex="-1">\n<div class="fit">{content}</div>\n'
        f'<p class="foot"><span>{escape(title)}</span> <span>{number} / {len(slides)}</span></p></section>'
        for number, (kind, content) in enumerate(slides, start=1)
    )
    template = (HERE / "deck.html").read_text(encoding="utf-8")
    return template.replace("{title}", escape(title)).replace("{stem}", stem).replace("{slides}", _mended(body, stem))


def _opening(article: Tag, title: str) -> Iterator[tuple[str, str]]:
    """The title with the question of the chapter, the picture before the first section, and what will be known."""
    top = article.section
    before = [item for item in top.find_all(["p", "ul", "figure"]) if item.find_parent("section") is top] if top else []
    question = next((item for item in before if item.name == "p" and item.find_parent("li") is None), None)
    yield "title", f"<h1>{escape(title)}</h1>{question or ''}"
    yield from (_figure(item, title) for item in before if item.name == "figure" and item.img)
    yield from (("", f"<h2>What you will know</h2>{item}") for item in before if item.name == "ul")


def _sections(article: Tag) -> Iterator[tuple[str, str]]:
    for section in article.select("section > section"):
        heading = section.find(["h2", "h3"], recursive=False)
        if heading is None or section.get("id") in NO_SLIDES or "theorem-content" in section.get("class", []):
            continue
        name = heading.decode_contents()
        shown = list(_of_section(section, name))
        yield from shown or _beginning(section, name)


def _of_section(section: Tag, name: str) -> Iterator[tuple[str, str]]:
    """The statements and the figures of a section, without those of the sections in it, in their order."""
    for item in section.find_all(["div", "figure"]):
        if item.find_parent("section", id=True) is not section:
            continue
        kinds = [kind for kind in STATEMENTS if kind in item.get("class", [])]
        if item.name == "figure" and item.img:
            yield _figure(item, name)
        elif "proof" in item.get("class", []) and kinds:
            why = _why(item)
            yield "statement", f"<h2>{name}</h2>{_own_ids(item)}{why}"


def _why(statement: Tag) -> str:
    """The paragraph behind a statement that says why one should believe it, if there is one."""
    following = statement.find_next_sibling()
    said = following.get_text().strip() if following is not None and following.name == "p" else ""
    return f'<div class="why">{following}</div>' if said.startswith("Why believe") else ""


def _beginning(section: Tag, name: str) -> Iterator[tuple[str, str]]:
    """A section without statement or figure: its list, or what it begins with, up to a number of letters."""
    items = section.find_all("li", recursive=True)
    lists = [item for item in items if item.find_parent("section") is section]
    if len(lists) > 1 and (section.get("id") == "summary" or str(section.get("id")).endswith("not-say")):
        for start in range(0, len(lists), MOST_ITEMS):
            chunk = "".join(map(str, lists[start : start + MOST_ITEMS]))
            yield "", f"<h2>{name}</h2><ul>{chunk}</ul>"
        return
    kept, letters = [], 0
    for child in section.find_all(True, recursive=False):
        if not (child.name in ("p", "ul", "ol") or (child.name == "div" and "math" in child.get("class", []))):
            if child.name in ("h2", "h3", "span"):
                continue
            break
        letters += len(child.get_text())
        if letters > MOST_LETTERS and kept:
            break
        kept.append(str(child))
    if kept:
        yield "", f"<h2>{name}</h2>{''.join(kept)}"


def _figure(figure: Tag, name: str) -> tuple[str, str]:
    return "picture", f"<h2>{name}</h2>{_own_ids(figure)}"


def _own_ids(element: Tag) -> Tag:
    """A copy without ids of its own, as two slides may quote the same place; the links lead to the page."""
    found = copy.copy(element)
    for item in [found, *found.find_all(True)]:
        item.attrs.pop("id", None)
        item.attrs.pop("style", None)
    return found


def _last(stem: str) -> tuple[str, str]:
    return "title", (
        f'<h2>Read, run, solve</h2><ul><li><a href="../book/{stem}.html">The chapter, with all proofs</a></li>'
        f'<li><a href="../exercises/{stem}.html">The problem set</a></li></ul>'
    )


def _mended(body: str, stem: str) -> str:
    """Links to a place of the page lead to the page; the ids of the quoted parts are left to it."""
    body = re.sub(r'href="#(?!slide-)', f'href="../book/{stem}.html#', body)
    body = re.sub(r'href="(?!https?:|\.\./|#|mailto:)([^"]+)"', r'href="../book/\1"', body)
    return re.sub(r' id="(?!slide-)[^"]*"', "", body)


def write(out: Path) -> list[Path]:
    """Write the decks of all chapters whose pages are built, and what they need; return their paths."""
    folder, made = out / "slides", []
    folder.mkdir(exist_ok=True)
    for name in ("deck.css", "deck.js"):
        (folder / name).write_text((HERE / name).read_text(encoding="utf-8"), encoding="utf-8")
    for stem in stems():
        page = out / "book" / f"{stem}.html"
        if page.exists():
            made.append(folder / f"{stem}.html")
            made[-1].write_text(deck(page.read_text(encoding="utf-8"), stem), encoding="utf-8")
    return made


def finish(app: Sphinx, problem: Exception | None) -> None:
    """After the pages are written."""
    if problem is None and app.builder.name == "html":
        write(Path(app.outdir))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
