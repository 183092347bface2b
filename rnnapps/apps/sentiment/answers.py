"""What a classifier answers to many texts, in batches of like length."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from rnnapps.apps.sentiment.pipeline import TEXT
from rnnapps.data import StoredTexts
from rnnapps.progress import tracked
from rnnapps.text import utf8


def probabilities_of(
    model: Callable[[tf.Tensor], dict], texts: Sequence[str | bytes], classes: int
) -> np.ndarray:
    """The probabilities of all classes, of texts batched by length.

    Args:
        model: What `build_classifier` built, as a graph.
        texts: The texts.
        classes: Number of classes.

    Returns:
        `(texts, classes)`.
    """
    if isinstance(texts, StoredTexts):
        sizes = texts.sizes
    else:
        texts = [utf8(text) for text in texts]
        sizes = [len(text) for text in texts]
    order = np.argsort(sizes, kind="stable")
    probabilities = np.empty((len(texts), classes), np.float32)
    chunks = np.split(order, range(128, len(order), 128)) if texts else []
    for chunk in tracked(chunks, "batches"):
        answer = model(tf.constant([utf8(texts[i]) for i in chunk], tf.string))
        probabilities[chunk] = answer["probabilities"].numpy()
    return probabilities


def labelled(probabilities: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """For each row of probabilities the likeliest class, its probability, and those of all."""
    return [
        {
            "label": classes[row.argmax()],
            "probability": float(row.max()),
            "probabilities": dict(zip(classes, row.tolist(), strict=True)),
        }
        for row in probabilities
    ]


def weights_of(
    explain: Callable[[tf.Tensor], dict], texts: Sequence[bytes]
) -> list[list[tuple[str, float]]]:
    """Each text's tokens with their weights, as an `explainer` says them."""
    explain, found = tf.function(explain, input_signature=[TEXT], autograph=False), []
    for text in texts:
        answer = explain(tf.constant([text]))
        pairs = zip(answer["tokens"][0].numpy(), answer["weights"][0].numpy(), strict=True)
        found.append([(token.decode(), float(weight)) for token, weight in pairs if token])
    return found
