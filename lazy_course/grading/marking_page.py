"""The pages of the desk for marking by hand. Whatever is not ours is escaped; addresses are relative to the token."""

from html import escape

from lazy_course.grading.hand import Rows
from lazy_course.grading.markdown import to_html
from lazy_course.grading.marking import Desk, Entry

_KEYS = (
    "<kbd>0</kbd>&hellip;<kbd>9</kbd> points, <kbd>&uarr;</kbd> <kbd>&darr;</kbd> one more or less (<kbd>Shift</kbd>: "
    "half), <kbd>Enter</kbd> or <kbd>n</kbd> save and next unmarked, <kbd>&larr;</kbd> <kbd>&rarr;</kbd> previous and "
    "next, <kbd>c</kbd> comment, <kbd>Esc</kbd> out of a field, <kbd>Ctrl</kbd>+<kbd>Enter</kbd> save and next from "
    "the comment, <kbd>r</kbd> fold or unfold"
)


def _page(title: str, head: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title>"
        '<link rel="icon" href="data:,"><link rel="stylesheet" href="static/marking.css">'
        '<script src="static/marking.js" defer></script>'
        '<script src="mathjax/tex-chtml-full.js" defer></script></head>\n'
        f'<body class="no-math"><header><h1>{escape(title)}</h1>{head}</header>\n{body}</body></html>\n'
    )


def progress_words(desk: Desk, entry: Entry, rows: Rows) -> str:
    """How far the marking is, in words."""
    return "; ".join(f"{done} of {of} marked ({words})" for words, done, of in desk.progress(entry, rows))


def answer_page(desk: Desk, entry: Entry, rows: Rows) -> str:
    """One answer beside its rubric and the solution's text, with the fields for points and comment."""
    place = desk.entries.index(entry)
    following = desk.next_open(rows, after=entry)
    links = {
        "previous": desk.entries[place - 1] if place else None,
        "next": desk.entries[place + 1] if place + 1 < len(desk.entries) else None,
    }
    shown = [f'<a id="{name}" href="{each.id}">{name}</a>' for name, each in links.items() if each]
    shown.append(
        f'<a id="open" href="{following.id if following and following is not entry else "list"}">next unmarked</a>'
    )
    shown.append('<a href="list">all answers</a>')
    title = f"{entry.problems.stem} / {entry.question.id}: {desk.name(entry)}"
    body = (
        f'<main class="desk" data-save="{entry.id}" data-out-of="{entry.question.points:g}">\n'
        f'<section aria-label="Answer"><h2>Answer {place + 1} of {len(desk.entries)}</h2>{_trouble(entry)}'
        f'<div class="answer" tabindex="0">{to_html(entry.answer) or "<p>(empty)</p>"}</div></section>\n'
        f'<div class="side">{_form(desk, entry, rows)}{_rubric(entry)}{_texts(entry)}</div></main>\n'
    )
    return _page(title, f"<nav>{''.join(shown)}</nav>", body)


def _trouble(entry: Entry) -> str:
    words = [entry.mark["note"]] if entry.mark["note"] and entry.mark["cause"] != "marked by hand" else []
    if not entry.mark["answer"]:
        words.append(entry.mark["cause"])
    return "".join(f'<p class="notice">{escape(word)}</p>' for word in words if word)


def _form(desk: Desk, entry: Entry, rows: Rows) -> str:
    row, lost = desk.row(entry, rows), desk.overwritten(entry, rows)
    notice = ""
    if lost is not None:
        said = f"{lost['points'] or 'no'} points" + (f" and “{lost['comment']}”" if lost["comment"] else "")
        notice = (
            f'<p class="notice" id="notice">You gave {escape(said)} here; the file says something else now. '
            f'Was it saved from a spreadsheet? <button type="button" id="mine" data-points="{escape(lost["points"])}" '
            f'data-comment="{escape(lost["comment"])}">Write mine again</button></p>'
        )
    return (
        f'<section class="marks" aria-label="Marks">{notice}'
        f'<div><label for="points">Points</label> <input id="points" inputmode="decimal" autocomplete="off" '
        f'value="{escape(row["points"])}" aria-describedby="state"> of {entry.question.points:g}</div>'
        '<label for="comment">Comment for the student</label>'
        f'<textarea id="comment">\n{escape(row["comment"])}</textarea>'
        '<p id="state" class="state" role="status" aria-live="polite"></p>'
        f'<p id="progress" class="progress">{escape(progress_words(desk, entry, rows))}</p></section>\n'
    )


def _rubric(entry: Entry) -> str:
    items = "".join(f"<li>{escape(item)}</li>" for item in entry.question.rubric)
    return f'<section class="trusted"><h2>Rubric (points: what for)</h2><ul class="rubric">{items}</ul></section>\n'


def _texts(entry: Entry) -> str:
    return (
        f'<section class="trusted"><details open><summary>Solution</summary>{to_html(entry.reference)}</details>'
        f"<details><summary>Question</summary>{to_html(entry.statement)}</details><details><summary>Keys</summary>"
        f"<p>{_KEYS}</p></details></section>\n"
    )


def list_page(desk: Desk, rows: Rows) -> str:
    """All answers with their marks, and what a spreadsheet has written over."""
    lines = []
    for entry in desk.entries:
        row = desk.row(entry, rows)
        changed = " (changed in the file since you gave it)" if desk.overwritten(entry, rows) is not None else ""
        mark = f"{row['points']} of {entry.question.points:g}" if row["points"] else "open"
        name = escape(f"{entry.problems.stem} / {entry.question.id}: {desk.name(entry)}")
        lines.append(
            f'<tr><th scope="row"><a href="{entry.id}">{name}</a></th><td>{escape(mark + changed)}</td>'
            f"<td>{escape(row['comment'][:200])}</td></tr>\n"
        )
    marked = sum(desk.is_marked(entry, rows) for entry in desk.entries)
    following = desk.next_open(rows)
    go_on = f'<nav><a id="open" href="{following.id}">next unmarked</a></nav>' if following else ""
    said = (
        f"<p>{marked} of {len(desk.entries)} marked." + ("" if following else " All are marked: grade again.") + "</p>"
    )
    table = (
        '<table><thead><tr><th scope="col">Answer</th><th scope="col">Points</th><th scope="col">Comment</th></tr>'
        f"</thead>\n<tbody>{''.join(lines)}</tbody></table>"
    )
    return _page("Written answers", go_on, f'<main class="list">{said}\n{table}</main>\n')


def trouble_page(message: str) -> str:
    """What the instructor must mend before the marking can go on."""
    return _page("Not possible", "", f'<main class="list"><p class="notice">{escape(message)}</p></main>\n')
