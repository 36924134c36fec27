"""The figure of the chapter that a reader moves (it needs plotly, which the bare package does not)."""

import numpy as np
from IPython.display import HTML

from lazy_course import interactive, style
from lazy_course.convnets.readings import Record

PARTS = (("train_accuracy", "train", "blue", "solid"), ("test_accuracy", "test", "vermilion", "dash"))


def curves(record: Record, *, alt: str, twin: str) -> HTML:
    """Accuracies along the epochs of Figure 3(a), means over repetitions, with alpha on a slider.

    The curves of the linearized model stay.
    """
    (study,) = record["studies"]
    epochs = np.asarray(study["epochs"], dtype=float)
    finite = [job for job in study["jobs"] if not job["linearized"]]
    lazy = [job for job in study["jobs"] if job["linearized"]]
    choices = {
        f"{alpha:.3g}" if alpha < 1e3 else f"10^{np.log10(alpha):.0f}": [
            interactive.line(
                epochs,
                100 * np.mean([job[name][place] for job in finite], axis=0),
                label,
                color=style.COLOURS[colour],
                dash=dash,
            )
            for name, label, colour, dash in PARTS
        ]
        for place, alpha in enumerate(finite[0]["alphas"])
    }
    fixed = [
        interactive.line(
            epochs,
            100 * np.mean([job[name][0] for job in lazy], axis=0),
            f"{label}, linearized",
            color="#606060",
            width=1.5,
            dash=dash,
        )
        for name, label, _, dash in PARTS
    ]
    return interactive.slider_figure(
        choices,
        name="convnets-curves",
        label="scale α",
        alt=alt,
        x="epoch",
        y="accuracy, percent",
        twin=twin,
        fixed=fixed,
        start=0,
        layout={"height": 460, "yaxis": {"range": (0, 103)}},
    )
