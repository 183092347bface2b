"""Metrics: scikit-learn's and a few others."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import metrics


def classification(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    """Computes the metrics of a classifier.

    Args:
        labels: The true class indices `(examples,)`.
        probabilities: Predicted probabilities `(examples, classes)`.
        classes: The class names.

    Returns:
        `accuracy`, `macro_f1`, `roc_auc` (for two classes), `log_loss` (nats),
        `calibration_error`, the `confusion` matrix (rows are true classes), and `by_class` with
        `precision`, `recall`, `f1` and the number of `examples` of each.
    """
    predicted = probabilities.argmax(1)
    every = np.arange(len(classes))
    found = {
        "accuracy": float(metrics.accuracy_score(labels, predicted)),
        "macro_f1": float(metrics.f1_score(labels, predicted, average="macro", zero_division=0)),
        "log_loss": float(metrics.log_loss(labels, probabilities, labels=every)),
        "calibration_error": calibration_error(labels, probabilities),
        "confusion": metrics.confusion_matrix(labels, predicted, labels=every).tolist(),
        "by_class": _by_class(labels, predicted, classes),
    }
    if len(classes) == 2 and len(np.unique(labels)) == 2:
        found["roc_auc"] = float(metrics.roc_auc_score(labels, probabilities[:, 1]))
    return found


def _by_class(
    labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> dict[str, dict[str, float]]:
    columns = metrics.precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(classes)), zero_division=0
    )
    return {
        name: {"precision": float(p), "recall": float(r), "f1": float(f), "examples": int(count)}
        for name, p, r, f, count in zip(classes, *columns, strict=True)
    }


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> np.ndarray:
    """The reliability diagram: confidence against accuracy, in confidence bins of equal width.

    Args:
        labels: The true class indices `(examples,)`.
        probabilities: Predicted probabilities `(examples, classes)`.
        bins: Number of bins between 0 and 1.

    Returns:
        `(nonempty bins, 3)`: mean confidence, accuracy, and fraction of examples.
    """
    confidence, hit = probabilities.max(1), probabilities.argmax(1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = [(confidence[index == b].mean(), hit[index == b].mean(), (index == b).mean())
            for b in np.unique(index)]  # fmt: skip
    return np.array(rows)


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """The expected calibration error: the mean gap between confidence and accuracy.

    Args:
        labels: The true class indices `(examples,)`.
        probabilities: Predicted probabilities `(examples, classes)`.
        bins: Number of confidence bins.

    Returns:
        The error, between 0 and 1.

    Reference:
        - [Guo et al., 2017](https://arxiv.org/abs/1706.04599)
    """
    confidence, accuracy, share = reliability(labels, probabilities, bins).T
    return float(np.sum(share * np.abs(confidence - accuracy)))


def language_model(nats: np.ndarray, text: str) -> dict[str, float]:
    """Computes the metrics of a language model.

    Args:
        nats: Negative log-likelihood of each token of a text, in nats `(tokens,)`.
        text: The text.

    Returns:
        `nats_per_character`, `bits_per_character`, and the `perplexity` per token.
    """
    total = float(nats.sum(dtype=np.float64))
    return {
        "nats_per_character": total / len(text),
        "bits_per_character": total / len(text) / math.log(2),
        "perplexity": math.exp(total / len(nats)),
    }


def bits_along(nats: np.ndarray, text: str, parts: int = 100) -> list[float]:
    """The bits per character of consecutive parts of a text.

    Args:
        nats: Negative log-likelihood of each token of the text, in nats `(tokens,)`.
        text: The text.
        parts: Number of parts, with equally many tokens.
    """
    tokens_per_character = len(nats) / len(text)
    costs = np.array_split(nats / math.log(2) * tokens_per_character, min(parts, len(nats)))
    return [float(part.mean()) for part in costs]
