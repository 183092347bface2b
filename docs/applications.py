"""Draws the picture of the site's first page from the runs of `make quickstart`.

python docs/applications.py [runs/quickstart] [docs/applications.png]
"""

import sys
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

import rnnapps
from rnnapps.data import make_load

REVIEWS = [
    "the trailer made me think that the humour would be silly , but the cast was never dull",
    "although the acting was superb , the plot was tedious",
]
DATE = "le 3 mars 2021 à 14 h 05"
NAMES = [
    "Yesterday Jordan Baker , who had slept badly , missed the train .",
    "Yesterday Jordan Springs , which had been flooded , was without power .",
]
PROMPT = "although the acting was "


def words(axes, app):
    """Each word on a ground as dark as the network's attention to it."""
    for row, answer in enumerate(app.predict(REVIEWS, explain=True)):
        most = max(weight for _, weight in answer["tokens"])
        x, y = 0.0, -4.0 * row
        for word, weight in answer["tokens"]:
            if x + len(word) > 44:
                x, y = 0.0, y - 1
            ground = {"facecolor": plt.cm.Oranges(0.7 * weight / most), "lw": 0, "pad": 2}
            axes.text(x, y, word, family="monospace", fontsize=9, bbox=ground)
            x += len(word) + 1
        said = f"{answer['label']} ({answer['probability']:.3f})"
        colour = "C0" if answer["label"] == "positive" else "C3"
        axes.text(0, y - 1, said, fontsize=10, color=colour, weight="bold")
    axes.set(title="sentiment: where the network looks", xlim=(-1, 46), ylim=(-7, 1))
    axes.axis("off")


def text(axes, app):
    """What is written behind a prompt."""
    written = app.predict([PROMPT], length=700, temperature=0.4, seed=3)[0]
    lines = [wrap(line, 62, subsequent_indent="  ") for line in (PROMPT + written).splitlines()]
    lines = [line for wrapped in lines for line in wrapped][:13]
    style = {"family": "monospace", "fontsize": 8.5, "va": "top", "parse_math": False}
    axes.text(0, 0.97, "\n".join(lines), linespacing=1.4, **style)
    axes.set(title="chargen: reviews that no one wrote")
    axes.axis("off")


def alignment(axes, app):
    """Which characters each part of a translation attended to."""
    found = app.align([DATE])[0]
    sources, targets = ([t.replace("▁", "_") for t in found[f"{side}_tokens"]]
                        for side in ("source", "target"))  # fmt: skip
    axes.imshow(np.array(found["alignment"]), cmap="Blues", aspect="auto")
    axes.set_xticks(range(len(sources)), sources, fontsize=8)
    axes.set_yticks(range(len(targets)), targets, fontsize=8)
    axes.set(title=f"translation: {DATE} → {app.predict([DATE])[0]['translation']}")


def fan(axes, app):
    """A forecast with its intervals, behind the days before it, and what came."""
    load, now = make_load(), pd.Timestamp("2023-12-14")
    frame = app.predict(load.assign(load=load["load"].where(load["time"] < now)))
    shown = load[abs(load["time"] - now) <= pd.Timedelta(days=3)]
    shown = shown[shown["time"] <= frame["time"].max()]
    axes.plot(shown["time"], shown["load"], color="0.3", linewidth=1, label="observed")
    axes.plot(frame["time"], frame["forecast"], color="C0", label="forecast")
    for low, high, shade, name in (
        ("q0.1", "q0.9", 0.3, "80 % interval"),
        ("q0.025", "q0.975", 0.2, "95 % interval"),
    ):
        times, style = frame["time"], {"color": "C0", "alpha": shade, "lw": 0, "label": name}
        axes.fill_between(times, frame[low], frame[high], **style)
    axes.tick_params(axis="x", labelsize=7)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=4, frameon=False, fontsize=8)
    axes.set(title="forecasting: a day ahead", ylabel="load, MW")


def names(axes, app):
    """Sentences in which what stands around a word says what it names."""
    for row, answer in enumerate(app.predict(NAMES)):
        axes.text(0, -2 * row, NAMES[row], family="monospace", fontsize=9)
        for span in answer["spans"]:
            ground = {"facecolor": plt.cm.Oranges(0.4), "lw": 0, "pad": 2}
            style = {"family": "monospace", "fontsize": 9}
            axes.text(span["start"], -2 * row, span["text"], bbox=ground, **style)
            said = f"{span['label']} ({span['probability']:.3f})"
            axes.text(span["start"], -2 * row - 0.8, said, fontsize=10, color="C0", weight="bold")
    axes.set(title="tagging: names by their context", xlim=(-1, 136), ylim=(-3.2, 0.8))
    axes.axis("off")


def main(runs: str = "runs/quickstart", path: str = "docs/applications.png") -> None:
    """Draws a panel for each application.

    Args:
        runs: The folder of the runs.
        path: The PNG to write.
    """
    figure = plt.figure(figsize=(11, 7.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[6.2, 1.4])
    axes = [*above.subplots(2, 2).flat, below.subplots()]
    panels = {
        "sentiment": words, "chargen": text, "translation": alignment, "forecasting": fan,
        "tagging": names,
    }  # fmt: skip
    for (name, draw), one in zip(panels.items(), axes, strict=True):
        draw(one, rnnapps.load(f"{runs}/{name}"))
        one.title.set_fontsize(11)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main(*sys.argv[1:])
