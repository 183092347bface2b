"""The metrics of a classifier, and its most confident mistakes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnapps import metrics
from rnnapps.data import Examples


def measures(
    test: Examples,
    labels: np.ndarray,
    probabilities: np.ndarray,
    alone: np.ndarray | None,
    classes: Sequence[str],
) -> dict[str, Any]:
    """Measures probabilities on labelled texts.

    Args:
        test: The texts with their labels.
        labels: The classes' indices `(texts,)`.
        probabilities: `(texts, classes)`.
        alone: Those of the networks alone, where n-grams stand beside them.
        classes: The classes' names.

    Returns:
        The metrics of `rnnapps.metrics.classification`; `classes`; `mistakes`, the five most
        confident ones; `reliability` (see `rnnapps.metrics.reliability`); and `baselines`, the
        metrics of the networks alone.
    """
    baselines = {}
    if alone is not None:
        baselines["network alone"] = metrics.classification(labels, alone, classes)
    return {
        **metrics.classification(labels, probabilities, classes),
        "classes": list(classes),
        "mistakes": _mistakes(test, labels, probabilities, classes),
        "reliability": metrics.reliability(labels, probabilities).tolist(),
        "baselines": baselines,
    }


def _mistakes(test, labels, probabilities, classes) -> list[dict[str, Any]]:
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-confidence[wrong])][:5]
    return [
        {
            "text": test.texts[i],
            "label": test.labels[i],
            "predicted": classes[predicted[i]],
            "probability": float(confidence[i]),
        }
        for i in worst
    ]
