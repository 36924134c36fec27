"""The visual summary of a chapter for the first page: a panel of one of its figures, one statement, one number."""

import base64
import html
import io

from IPython.display import HTML
from matplotlib.figure import Figure

CARD = """<div class="lazy-card"><img src="data:image/png;base64,{picture}" alt="{shows}">
<p>{statement}</p>
<p class="lazy-card-number"><strong>{number}</strong> {meaning}</p></div>"""


def card(figure: Figure, panel: int = 0, *, shows: str, statement: str, number: str, meaning: str) -> HTML:
    """Return the summary of a chapter as HTML; `figure` is used up.

    Args:
        figure: a figure of the chapter; panel: the index of the axes that is kept, stripped of its letters.
        shows: what is to be seen on the panel, in words.
        statement: one sentence, in plain text.
        number, meaning: a number that the page computed, and what it counts ("0.22", "is how far ...").

    Raises `ValueError` for an empty text, or a panel that the figure does not have.
    """
    texts = {"shows": shows, "statement": statement, "number": number, "meaning": meaning}
    for name, text in texts.items():
        if not text.strip():
            raise ValueError(f"{name}: expected words, got an empty text; the card shows it")
    picture = base64.b64encode(thumbnail(figure, panel)).decode()
    return HTML(CARD.format(picture=picture, **{name: html.escape(text) for name, text in texts.items()}))


def thumbnail(figure: Figure, panel: int = 0) -> bytes:
    """Return one panel of a figure as a PNG of 480 by 300 pixels without letters; the figure is used up."""
    if not 0 <= panel < len(figure.axes):
        raise ValueError(f"panel: expected an index below {len(figure.axes)}, got {panel}; count the axes from 0")
    kept = figure.axes[panel]
    for axes in list(figure.axes):
        if axes is not kept:
            axes.remove()
    for legend in [*figure.legends, kept.get_legend()]:
        if legend is not None:
            legend.remove()
    for text in [*kept.texts, *figure.texts]:
        text.remove()
    kept.set(title="", xlabel="", ylabel="")
    kept.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
    kept.set_aspect("auto")
    figure.set_layout_engine("none")
    kept.set_position((0.02, 0.03, 0.96, 0.94))
    figure.set_size_inches(4.0, 2.5)
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=120, bbox_inches=figure.bbox_inches)
    return target.getvalue()
