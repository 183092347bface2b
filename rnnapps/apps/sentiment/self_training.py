"""Self-training: n-grams label the unlabelled texts, and the network learns from these labels."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from rnnapps.apps.sentiment.config import SentimentConfig
from rnnapps.apps.sentiment.data import Encoded, ordered_batches
from rnnapps.apps.sentiment.pipeline import logits_of, make_ngrams
from rnnapps.data import Batches

_SHARPNESS = 2.0  # of the labels: of two classes, 4 standard deviations of their difference

Trainer = Callable[[Encoded, pathlib.Path], keras.Model]


def self_train(
    train: Trainer,
    parts: Encoded,
    unlabelled: tf.RaggedTensor,
    config: SentimentConfig,
    directory: pathlib.Path,
) -> keras.Model:
    """Trains a network on all texts, of which most have the labels that teachers give them.

    The n-gram model, which needs few labels, labels the texts first. A network learns from these,
    and not from an earlier network's weights; it reads more than n-grams, and so the mean of both
    is a better teacher of the next network. True labels stay as they are.

    Args:
        train: From parts with labels `(texts, classes)` and a folder for its state to a network.
        parts: The labelled texts.
        unlabelled: The ids of the others, ragged `(texts, time)`.
        config: Its `self_training`, the rounds, is read.
        directory: Where the last network's state is kept; those before have folders beside it.

    Returns:
        The last network.

    Reference:
        - [Scudder, 1965](https://doi.org/10.1109/TIT.1965.1053799) for self-training
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531) for labels that are probabilities
    """
    ngrams = make_ngrams(config, parts)
    ngrams.adapt(parts.ids, parts.labels)
    ids = tf.concat([parts.ids, unlabelled], 0)
    nothing = np.zeros(ids.nrows(), np.int32)  # in the labels' place
    opinions = [logits_of(ngrams, Batches(ids, nothing, config.batch_size))]
    for left in reversed(range(config.self_training)):
        labels = soft_labels(opinions, parts.labels)
        taught = dataclasses.replace(parts, ids=ids, labels=labels)
        folder = directory.with_name(f"{directory.name}-before-{left}") if left else directory
        network = train(taught, folder)
        if left:
            opinions[1:] = [logits_of(network, ordered_batches(ids, nothing, config))]
    return network


def soft_labels(opinions: Sequence[np.ndarray], known: np.ndarray) -> np.ndarray:
    """Probabilities `(texts, classes)`: what teachers say, each as loudly as the others.

    Args:
        opinions: Each teacher's logits `(texts, classes)`.
        known: The true labels `(labelled,)` of the first texts.

    Returns:
        float32 probabilities.
    """
    centred = [one - one.mean(1, keepdims=True) for one in opinions]
    mean = np.mean([one / max(one.std(), 1e-9) for one in centred], axis=0)
    labels = np.array(tf.nn.softmax(_SHARPNESS * mean), np.float32)
    labels[: len(known)] = np.eye(labels.shape[1])[known]
    return labels
