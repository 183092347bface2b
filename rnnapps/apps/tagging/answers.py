"""Predictions for many texts, in batches of similar length."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from rnnapps.progress import tracked
from rnnapps.spans import spans_of
from rnnapps.text import utf8

_CELLS = 4096  # maximum tokens per batch, including padding
_ROWS = 128


class TagsFound(NamedTuple):
    """The tags of sentences.

    Args:
        tags: The best tag of each token.
        probabilities: The probability of each tag.
    """

    tags: list[list[str]]
    probabilities: list[list[float]]


def tags_of_tokens(
    tag: Callable[[tf.Tensor], dict[str, tf.Tensor]], sentences: Sequence[Sequence[str]]
) -> TagsFound:
    """Tags tokenized sentences, batched by length.

    Args:
        tag: A graph from tokens `(batch, time)` to `tags` and `probabilities`.
        sentences: The tokens of each sentence, none empty.

    Returns:
        The tags.
    """
    sizes = np.array([len(tokens) for tokens in sentences], int)
    tags: list[list[str]] = [[] for _ in sentences]
    probabilities: list[list[float]] = [[] for _ in sentences]
    for chunk in tracked(_chunks(sizes), "batches"):
        width = max(1, sizes[chunk].max())
        filled = [[*map(utf8, sentences[i]), *[b""] * (width - sizes[i])] for i in chunk]
        answer = tag(tf.constant(filled, tf.string))
        names, chances = (answer[name].numpy() for name in ("tags", "probabilities"))
        for row, i in enumerate(chunk):
            tags[i] = [name.decode() or "O" for name in names[row, : sizes[i]]]  # empty tokens
            probabilities[i] = chances[row, : sizes[i]].tolist()
    return TagsFound(tags, probabilities)


def _chunks(sizes: np.ndarray) -> list[np.ndarray]:
    """Batches of sentences of similar length, smaller for long ones."""
    order, chunks, start = np.argsort(sizes, kind="stable"), [], 0
    for end in range(1, len(order) + 1):
        last = end == len(order)
        if last or (end + 1 - start) * sizes[order[end]] > _CELLS or end - start == _ROWS:
            chunks.append(order[start:end])
            start = end
    return chunks


def answer_of(
    text: str,
    tokens: Sequence[str],
    places: Sequence[tuple[int, int]],
    tags: Sequence[str],
    probabilities: Sequence[float],
    spans: bool,
) -> dict[str, Any]:
    """The prediction for one text.

    Args:
        text: The text.
        tokens: Its tokens.
        places: The start and end of each token in the text, in characters.
        tags: Their tags.
        probabilities: The tags' probabilities.
        spans: Whether the tags mark spans.

    Returns:
        `tokens`, `tags` and `probabilities`; and `spans` with `start` and `end` in characters,
        `label`, `text` and `probability`, that of the span's least likely tag.
    """
    answer: dict[str, Any] = {
        "tokens": list(tokens),
        "tags": list(tags),
        "probabilities": list(probabilities),
    }
    if spans:
        answer["spans"] = [
            {
                "start": places[first][0],
                "end": places[last - 1][1],
                "label": kind or "span",
                "text": text[places[first][0] : places[last - 1][1]],
                "probability": min(probabilities[first:last]),
            }
            for first, last, kind in spans_of(tags)
        ]
    return answer
