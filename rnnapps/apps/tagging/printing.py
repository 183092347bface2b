"""The output of `rnnapps predict` for a tagger: one line per text."""

import json
import zlib
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red", "bright_cyan", "bright_green",
            "bright_magenta", "bright_yellow")  # fmt: skip


def print_predictions(texts: Sequence[str], answers: Sequence[dict], as_json: bool) -> None:
    """Prints one line per text, with its spans marked, or with a tag after each token.

    Args:
        texts: The texts.
        answers: The application's predictions.
        as_json: Whether to print one JSON object per line.
    """
    console = Console(soft_wrap=True, highlight=False)
    for text, answer in zip(texts, answers, strict=True):
        if as_json:
            print(json.dumps({"text": text, **answer}, ensure_ascii=False))
        elif console.is_terminal:
            console.print(coloured(text, answer))
        else:
            print(" ".join(marked(text, answer).split("\n")))


def marked(text: str, answer: dict[str, Any]) -> str:
    """A text with `[span](label)` for each span; or `token/tag` for each token.

    Args:
        text: The text.
        answer: Its prediction.
    """
    if "spans" not in answer:
        pairs = zip(answer["tokens"], answer["tags"], strict=True)
        return " ".join(f"{token}/{tag}" for token, tag in pairs)
    shown, place = "", 0
    for span in answer["spans"]:
        shown += f"{text[place : span['start']]}[{span['text']}]({span['label']})"
        place = span["end"]
    return shown + text[place:]


def coloured(text: str, answer: dict[str, Any]) -> Text:
    """The text for a terminal, with a colour per label and the spans' probabilities.

    Args:
        text: The text.
        answer: Its prediction.
    """
    shown = Text()
    if "spans" not in answer:
        for token, tag in zip(answer["tokens"], answer["tags"], strict=True):
            shown.append(token).append(f"/{tag} ", _colour(tag))
        return shown
    place = 0
    for span in answer["spans"]:
        colour = _colour(span["label"])
        shown.append(text[place : span["start"]])
        shown.append(span["text"], f"bold {colour}")
        shown.append(f" {span['label']} {span['probability']:.2f}", f"dim {colour}")
        place = span["end"]
    return shown.append(text[place:])


def _colour(label: str) -> str:
    """The colour of a label, always the same."""
    return _COLOURS[zlib.crc32(label.encode()) % len(_COLOURS)]
