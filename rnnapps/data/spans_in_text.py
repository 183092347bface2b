"""Character spans in a text, as annotation tools write them, to tags of its tokens."""

from collections.abc import Sequence
from typing import Any

from rnnapps.errors import DataError
from rnnapps.spans import Span, tags_of
from rnnapps.text import tokenize_texts


def from_spans(
    texts: Sequence[Any], spans: Sequence[Any], where: Sequence[str]
) -> tuple[list[list[str]], list[list[str]], list[str]]:
    """Cuts texts into tokens, and gives each the tag of the span that it is in.

    A span that begins or ends within a token takes the whole of it.

    Args:
        texts: The texts.
        spans: Of each text a list of `{"start", "end", "label"}`, or of `[start, end, label]`.
        where: What errors call each text.

    Returns:
        The tokens and tags of each text, and what was mended.

    Raises:
        DataError: If a span is not within its text, holds no token, or crosses another one.
    """
    for text, given, place in zip(texts, spans, where, strict=True):
        if not isinstance(text, str) or not isinstance(given, list):
            raise DataError(
                f"{place}: expected a text, and a list of spans. Received: {text!r:.40} and "
                f"{given!r:.40}."
            )
    cut = tokenize_texts(texts)
    tokens, tags, widened = [], [], []
    for (words, starts, ends), given, text, place in zip(cut, spans, texts, where, strict=True):
        found: list[Span] = []
        for start, end, label in sorted(_checked(one, text, place) for one in given):
            inside = [i for i in range(len(words)) if starts[i] < end and ends[i] > start]
            if not inside:
                raise DataError(
                    f"{place}: expected spans that hold a token. Received: {label} from {start} to "
                    f"{end}, of {text[start:end]!r:.40}; mend its places, or leave it out."
                )
            if found and inside[0] < found[-1].end:
                raise DataError(
                    f"{place}: expected spans that do not cross. Received: {label} from {start} to "
                    f"{end}, which shares {words[inside[0]]!r} with {found[-1].kind}; "
                    "leave one of them out."
                )
            trimmed = text[start:end]
            start += len(trimmed) - len(trimmed.lstrip())
            end -= len(trimmed) - len(trimmed.rstrip())
            if (starts[inside[0]], ends[inside[-1]]) != (start, end):
                widened.append(f"{place}, {text[start:end]!r}")
            found.append(Span(inside[0], inside[-1] + 1, label))
        tokens.append(words)
        tags.append(tags_of(found, len(words)))
    notes = []
    if widened:
        notes.append(
            f"{len(widened):,} spans begin or end within a token, and are extended to all of it "
            f"(the first: {widened[0]})"
        )
    return tokens, tags, notes


def _checked(span: Any, text: str, where: str) -> tuple[int, int, str]:
    """A span's start, end and label."""
    try:
        if isinstance(span, dict):
            span = (span["start"], span["end"], span["label"])
        start, end, label = span
        fine = 0 <= start < end <= len(text) and bool(label)
    except (KeyError, TypeError, ValueError):
        fine = False
    if not fine:
        raise DataError(
            f"{where}: expected spans of a start, an end and a label, within the text's "
            f"{len(text)} characters. Received: {span!r:.80}."
        )
    return start, end, str(label)
