"""Self-training: networks learn from pseudo-labels of the unlabelled texts."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from scipy.special import softmax

from rnnapps.apps.sentiment.config import SentimentConfig
from rnnapps.apps.sentiment.data import Encoded, ordered_batches
from rnnapps.apps.sentiment.pipeline import logits_of, make_ngrams
from rnnapps.data import Batches

_SHARPNESS = 2.0  # of the labels: of two classes, 4 standard deviations of their difference
_EXAMPLES = 5000  # at least, in fine-tuning on the labelled texts alone
_ITERATIONS = 50  # of the biases, which converge within ten

Trainer = Callable[[Encoded, pathlib.Path, int], keras.Model]


def self_train(
    train: Trainer,
    parts: Encoded,
    unlabelled: tf.RaggedTensor,
    config: SentimentConfig,
    directory: pathlib.Path,
    pretrained: bool = False,
) -> tuple[keras.Model, Encoded]:
    """Trains a network on all texts, most of which have pseudo-labels.

    N-grams, which need few labels, are the first teacher. A second one is a network that starts
    from a language model, fine-tuned on the labelled texts. Each round trains a new network on the
    pseudo-labels, which is a teacher of the next round: beside the n-grams, or alone if it starts
    from a language model, as it is then better than both. True labels are kept.

    Args:
        train: From parts with labels `(texts, classes)` or indices `(texts,)`, a folder for its
            state, and a number of epochs to a network.
        parts: The labelled texts.
        unlabelled: The ids of the others, ragged `(texts, time)`.
        config: Its `self_training`, the number of rounds, `epochs` and `batch_size` are read.
        directory: The folder for the last network's state; those of earlier ones are next to it.
        pretrained: Whether the networks start from a language model.

    Returns:
        The last network, and what taught it: all texts, with class indices.

    Reference:
        - [Scudder, 1965](https://doi.org/10.1109/TIT.1965.1053799) for self-training
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531) for soft labels
    """
    ids = tf.concat([parts.ids, unlabelled], 0)
    nothing = np.zeros(ids.nrows(), np.int32)  # in place of labels

    def opinion_of(network: keras.Model) -> np.ndarray:
        return logits_of(network, ordered_batches(ids, nothing, config))

    def beside(name: str) -> pathlib.Path:
        return directory.with_name(f"{directory.name}-{name}")

    ngrams = make_ngrams(config, parts)
    ngrams.adapt(parts.ids, parts.labels)
    opinions = [logits_of(ngrams, Batches(ids, nothing, config.batch_size))]
    if pretrained:
        epochs = max(config.epochs, -(-_EXAMPLES // len(parts.labels)))
        network = train(parts, beside("labelled"), epochs)
        opinions.append(opinion_of(network))
    for left in reversed(range(config.self_training)):
        labels = soft_labels(opinions, parts.labels)
        taught = dataclasses.replace(parts, ids=ids, labels=labels)
        network = train(taught, beside(f"before-{left}") if left else directory, config.epochs)
        if left:
            opinions = [*opinions[: 0 if pretrained else 1], opinion_of(network)]
    return network, dataclasses.replace(taught, labels=labels.argmax(1).astype(np.int32))


def soft_labels(opinions: Sequence[np.ndarray], known: np.ndarray) -> np.ndarray:
    """Pseudo-labels: the mean of the teachers' standardized logits, as probabilities.

    A bias for each class makes the classes as frequent among all texts as among the labelled ones.
    Without it, each round would add to the majority of a teacher's favourite class.

    Args:
        opinions: Each teacher's logits `(texts, classes)`.
        known: The true labels `(labelled,)` of the first texts.

    Returns:
        float32 probabilities `(texts, classes)`.

    Reference:
        - [Berthelot et al., 2020](https://arxiv.org/abs/1911.09785) for distribution alignment
    """
    centred = [one - one.mean(1, keepdims=True) for one in opinions]
    mean = _SHARPNESS * np.mean([one / max(one.std(), 1e-9) for one in centred], axis=0)
    shares = np.bincount(known, minlength=mean.shape[1]) / len(known)
    bias = np.zeros(mean.shape[1])
    for _ in range(_ITERATIONS):
        bias += np.log(shares) - np.log(softmax(mean + bias, axis=1).mean(0))
    labels = softmax(mean + bias, axis=1).astype(np.float32)
    labels[: len(known)] = np.eye(labels.shape[1])[known]
    return labels
