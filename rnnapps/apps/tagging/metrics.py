"""The metrics of a tagger: span F1 and token accuracy."""

import collections
from collections.abc import Collection, Sequence
from typing import Any

from rnnapps.spans import Span, spans_of

Tags = Sequence[Sequence[str]]
_AROUND = 8  # tokens shown on either side of a mistake


def measures(
    tokens: Tags, truth: Tags, predicted: Tags, known: Collection[str] | None, spans: bool
) -> dict[str, Any]:
    """Computes the metrics of predicted tags.

    Args:
        tokens: The tokens of each sentence.
        truth: Their tags.
        predicted: The predicted tags.
        known: The tokens of the training set; `None` if unknown.
        spans: Whether the tags mark spans.

    Returns:
        `f1`, `precision` and `recall` of spans, which must match in start, end and type, and
        `by_type` with those of each type; without spans, `f1`, which is the accuracy, and `by_tag`.
        `accuracy` of tokens; `accuracy_unseen`, of tokens not in the training set, if there are
        any.
    """
    found: dict[str, Any] = spans_found(truth, predicted) if spans else {}
    right, unseen = [], []
    for words, a, b in zip(tokens, truth, predicted, strict=True):
        for word, mine, other in zip(words, a, b, strict=True):
            right.append(mine == other)
            if known is not None and word not in known:
                unseen.append(mine == other)
    found["accuracy"] = sum(right) / max(1, len(right))
    if unseen:
        found["accuracy_unseen"] = sum(unseen) / len(unseen)
    if spans:
        found["by_type"] = found.pop("by_type")  # after the overall numbers
    else:
        found = {"f1": found["accuracy"], **found, "by_tag": by_tag(truth, predicted)}
    return found


def confusion(truth: Tags, predicted: Tags, most: int = 20) -> dict[str, Any]:
    """The confusion matrix of token types.

    Args:
        truth: The tags of each sentence.
        predicted: The predicted tags.
        most: Maximum number of types, the most frequent ones.

    Returns:
        `classes`, the types, and `confusion`, counts `(classes, classes)`; rows are true.
    """
    pairs = collections.Counter(
        (_kind(mine), _kind(other))
        for a, b in zip(truth, predicted, strict=True)
        for mine, other in zip(a, b, strict=True)
    )
    sizes = collections.Counter[str]()
    for (mine, _), count in pairs.items():
        sizes[mine] += count
    classes = sorted(name for name, _ in sizes.most_common(most))
    return {"classes": classes, "confusion": [[pairs[a, b] for b in classes] for a in classes]}


def _kind(tag: str) -> str:
    """A tag's type, or the tag itself if it has none."""
    spans = spans_of([tag])
    return spans[0].kind or tag if spans else tag


def mistakes(
    tokens: Tags,
    truth: Tags,
    predicted: Tags,
    probabilities: Sequence[Sequence[float]],
    spans: bool,
    most: int = 10,
) -> list[dict[str, Any]]:
    """The wrong spans with the highest confidence.

    Args:
        tokens: The tokens of each sentence.
        truth: Their tags.
        predicted: The predicted tags.
        probabilities: The probability of each predicted tag.
        spans: Whether the tags mark spans; if not, each token is one.
        most: Maximum number of mistakes.

    Returns:
        For each `text`, the span in brackets with its context; `label`, the true label, with its
        words if they differ; `predicted`; and `probability`, that of the least likely tag.
    """
    read = spans_of if spans else _each
    wrong = []
    for i, (right, tags, chances) in enumerate(zip(truth, predicted, probabilities, strict=True)):
        there = set(read(right))
        wrong += [
            (min(chances[one.start : one.end]), i, one) for one in read(tags) if one not in there
        ]
    wrong.sort(key=lambda mistake: (-mistake[0], *mistake[1:]))
    return [
        {
            "text": _in_context(tokens[i], one),
            "label": _there(tokens[i], read(truth[i]), one),
            "predicted": one.kind or "span",
            "probability": float(chance),
        }
        for chance, i, one in wrong[:most]
    ]


def _each(tags: Sequence[str]) -> list[Span]:
    return [Span(i, i + 1, tag) for i, tag in enumerate(tags)]


def _in_context(tokens: Sequence[str], span: Span) -> str:
    before, behind = tokens[: span.start][-_AROUND:], tokens[span.end :][:_AROUND]
    return " ".join([*before, f"[{' '.join(tokens[span.start : span.end])}]", *behind])


def _there(tokens: Sequence[str], truth: Sequence[Span], span: Span) -> str:
    """The true labels at a predicted span."""
    over = [one for one in truth if one.start < span.end and span.start < one.end]
    named = [
        (one.kind or "span")
        + (f" ({' '.join(tokens[one.start : one.end])})" if one[:2] != span[:2] else "")
        for one in over
    ]
    return ", ".join(named) or "nothing"


def spans_found(truth: Tags, predicted: Tags) -> dict[str, Any]:
    """Precision, recall and F1 of spans, as in the CoNLL shared tasks.

    Args:
        truth: The tags of each sentence.
        predicted: The predicted tags.

    Returns:
        `f1`, `precision` and `recall` over all spans; `by_type` with those of each type, and
        `spans`, their number.

    Reference:
        [Tjong Kim Sang and De Meulder, 2003](https://aclanthology.org/W03-0419/).
    """
    there, said, both = (collections.Counter[str]() for _ in range(3))
    for a, b in zip(truth, predicted, strict=True):
        mine, other = set(spans_of(a)), set(spans_of(b))
        for counts, spans in ((there, mine), (said, other), (both, mine & other)):
            counts.update(span.kind or "span" for span in spans)
    by_type = {
        kind: {**_scores(both[kind], said[kind], there[kind]), "spans": there[kind]}
        for kind in sorted(there | said)
    }
    return {**_scores(both.total(), said.total(), there.total()), "by_type": by_type}


def by_tag(truth: Tags, predicted: Tags) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 of each tag, with its number of tokens.

    Args:
        truth: The tags of each sentence.
        predicted: The predicted tags.
    """
    pairs = [pair for a, b in zip(truth, predicted, strict=True) for pair in zip(a, b, strict=True)]
    there = collections.Counter(mine for mine, _ in pairs)
    said = collections.Counter(other for _, other in pairs)
    both = collections.Counter(mine for mine, other in pairs if mine == other)
    return {
        tag: {**_scores(both[tag], said[tag], there[tag]), "tokens": there[tag]}
        for tag in sorted(there | said)
    }


def _scores(both: int, said: int, there: int) -> dict[str, float]:
    precision, recall = both / said if said else 0.0, both / there if there else 0.0
    total = said + there
    return {"f1": 2 * both / total if total else 0.0, "precision": precision, "recall": recall}
