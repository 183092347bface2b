"""Predictions for many texts, in batches of similar length, and attention weights."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from rnnapps.apps.sentiment.model import attention_of
from rnnapps.apps.sentiment.pipeline import TEXT, explainer, networks_of
from rnnapps.data import StoredTexts
from rnnapps.errors import RunError
from rnnapps.progress import tracked
from rnnapps.text import utf8


class Probabilities(NamedTuple):
    """The probabilities of all classes, of many texts.

    Args:
        whole: `(texts, classes)`.
        alone: Those of the networks without the n-grams; `None` where there are none.
    """

    whole: np.ndarray
    alone: np.ndarray | None


def probabilities_of(
    model: Callable[[tf.Tensor], dict], texts: Sequence[str | bytes], classes: int
) -> Probabilities:
    """The probabilities of all classes, of texts batched by length.

    Args:
        model: What `with_networks_alone` made, as a graph.
        texts: The texts.
        classes: Number of classes.

    Returns:
        The probabilities.
    """
    if isinstance(texts, StoredTexts):
        sizes = texts.sizes
    else:
        texts = [utf8(text) for text in texts]
        sizes = [len(text) for text in texts]
    order = np.argsort(sizes, kind="stable")
    whole, alone = (np.empty((len(texts), classes), np.float32) for _ in range(2))
    chunks, answer = np.split(order, range(128, len(order), 128)) if texts else [], {}
    for chunk in tracked(chunks, "batches"):
        answer = model(tf.constant([utf8(texts[i]) for i in chunk], tf.string))
        whole[chunk] = answer["probabilities"].numpy()
        if "alone" in answer:
            alone[chunk] = answer["alone"].numpy()
    return Probabilities(whole, alone if "alone" in answer else None)


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
    model: keras.Model, max_length: int, texts: Sequence[bytes]
) -> list[list[tuple[str, float]]]:
    """Each text's tokens with their weights.

    Args:
        model: What `build_classifier` built.
        max_length: Tokens of a text that are read, at most.
        texts: The texts.

    Returns:
        The pairs of each text.

    Raises:
        RunError: If no network attends.
    """
    attention = [one for network in networks_of(model) if (one := attention_of(network))]
    if not attention:
        raise RunError(
            "This network does not attend, so it cannot explain; train one with "
            "--pooling=attention or --cell=attention_lstm."
        )
    explain, found = explainer(model, attention, max_length), []
    explain = tf.function(explain, input_signature=[TEXT], autograph=False)
    for text in texts:
        answer = explain(tf.constant([text]))
        pairs = zip(answer["tokens"][0].numpy(), answer["weights"][0].numpy(), strict=True)
        found.append([(token.decode(), float(weight)) for token, weight in pairs if token])
    return found
