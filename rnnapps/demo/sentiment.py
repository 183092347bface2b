"""The tab of a sentiment classifier: classes as bars, and what each word adds."""

import functools
import re
from collections.abc import Sequence
from typing import Any

import gradio as gr

from rnnapps.demo.asking import table_section
from rnnapps.demo.marks import bars, shaded
from rnnapps.demo.models import Shown
from rnnapps.demo.phrases import in_language
from rnnapps.demo.text_tab import text_tab

_WORDS = 200  # of a text that are left out, one after the other
_PIECES = re.compile(r"\s+|[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")


def build(shown: Shown, page: gr.Blocks) -> None:
    """Builds the tab.

    Args:
        shown: The model.
        page: What the tab is on.
    """
    parts = [("classes",), ("words", "words_about")]
    text_tab(shown, page, "classify", classify, parts)
    table_section(shown, functools.partial(labels_of, shown))


def classify(shown: Shown, text: str, request: gr.Request | None = None) -> tuple[str, str]:
    """The classes' probabilities, and what each word adds to the likeliest one's.

    Args:
        shown: The model.
        text: The text.
        request: The browser's request.

    Returns:
        Two pieces of HTML.
    """
    pieces = _PIECES.findall(text)
    words = [i for i, piece in enumerate(pieces) if not piece.isspace()]
    looked_at = words[:_WORDS]
    without = ["".join(pieces[:i] + pieces[i + 1 :]) for i in looked_at]
    whole, *others = shown.client.predict([text, *without])
    best = max(range(len(whole["probabilities"])), key=whole["probabilities"].__getitem__)
    drops = {
        i: whole["probabilities"][best] - other["probabilities"][best]
        for i, other in zip(looked_at, others, strict=True)
    }
    largest = max([0.05, *map(abs, drops.values())])
    marked = [
        (piece, drops[i] / largest, f"{drops[i]:+.3f}") if i in drops else (piece, 0.0, "")
        for i, piece in enumerate(pieces)
    ]
    shares = zip(_names(shown, whole, best), whole["probabilities"], strict=True)
    note = ""
    if len(words) > _WORDS:
        note = f"<p>{in_language('words_limit', request)}{_WORDS} / {len(words)}</p>"
    return bars(sorted(shares, key=lambda pair: -pair[1])), note + shaded(marked)


def labels_of(shown: Shown, texts: Sequence[str]) -> list[dict[str, Any]]:
    """The classes of texts, as columns of a table.

    Args:
        shown: The model.
        texts: The texts.
    """
    names = ("label", "probability")
    return [{name: one[name] for name in names} for one in shown.client.predict(texts)]


def _names(shown: Shown, answer: dict[str, Any], best: int) -> list[str]:
    """The classes' names; of a server's model only that of the likeliest is known."""
    if shown.folder is not None:
        return shown.asset("classes.txt").splitlines()
    names = [f"class {i + 1}" for i in range(len(answer["probabilities"]))]
    names[best] = answer["label"]
    return names
