"""What `rnnapps predict` prints of a sentiment classifier: a line for each text."""

import json
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text


def print_predictions(texts: Sequence[str], answers: Sequence[dict], as_json: bool) -> None:
    """Prints a line for each text: the answer, its probability, the text, with tabs between.

    Args:
        texts: The texts.
        answers: What the application answered; `tokens` holds each token's weight, which a terminal
            shows as a colour and a file as a number.
        as_json: Whether to print a JSON object a line.
    """
    console = Console(soft_wrap=True, highlight=False)
    for text, answer in zip(texts, answers, strict=True):
        if as_json:
            print(json.dumps({"text": text, **answer}, ensure_ascii=False))
            continue
        shown = _weighted(answer["tokens"]) if "tokens" in answer else Text(" ".join(text.split()))
        line = Text(f"{answer['label']}\t{answer['probability']:.4f}\t").append_text(shown)
        if console.is_terminal:
            console.print(line)
        elif "tokens" in answer:
            weights = " ".join(f"{token}({weight:.3f})" for token, weight in answer["tokens"])
            print(answer["label"], f"{answer['probability']:.4f}", weights, sep="\t")
        else:
            print(line.plain)  # with its tabs, which rich would turn into spaces


def _weighted(tokens: Sequence[tuple[str, float]]) -> Text:
    """Words on a ground that is the redder the more they weigh."""
    most = max((weight for _, weight in tokens), default=0.0) or 1.0
    shown = Text()
    for token, weight in tokens:
        shade = 255 - int(200 * weight / most)
        shown.append(token, f"black on rgb(255,{shade},{shade})").append(" ")
    return shown
