"""From texts to a trained classifier, or to a language model alone."""

import dataclasses
import functools
import pathlib
from typing import Any

import keras
import tensorflow as tf

from rnnapps.apps.interrupted import keep_to_data
from rnnapps.apps.run import read_run
from rnnapps.apps.sentiment.config import SentimentConfig
from rnnapps.apps.sentiment.data import Encoded, encode, training_batches
from rnnapps.apps.sentiment.model import build_network, named_rows, trained_network
from rnnapps.apps.sentiment.pipeline import build_classifier, fit_beside
from rnnapps.apps.sentiment.self_training import self_train
from rnnapps.apps.starting import frozen_vectors
from rnnapps.apps.trained import Callbacks, Start, Trained
from rnnapps.data import Examples, Splits
from rnnapps.progress import say, working
from rnnapps.text import start_from_vectors
from rnnapps.training import (
    build_encoder,
    compile_model,
    fit,
    members,
    precision,
    pretrain,
    strategy_of,
)

_HARD = (keras.losses.SparseCategoricalCrossentropy, keras.metrics.SparseCategoricalAccuracy)
_SOFT = (keras.losses.CategoricalCrossentropy, keras.metrics.CategoricalAccuracy)


def train_classifier(
    splits: Splits[Examples],
    config: SentimentConfig,
    start: Start,
    checkpoint_dir: pathlib.Path,
    callbacks: Callbacks = (),
) -> Trained:
    """Trains the networks, puts n-grams beside them, and fits what each is worth.

    Args:
        splits: The texts to learn from, and those that choose the weights.
        config: The configuration.
        start: What gives the network of a `number` its first weights, where they are not random.
        checkpoint_dir: Where the training's state is kept, of each network in a folder of its own.
        callbacks: Callbacks of the training.

    Returns:
        The classifier, or the encoder where it is pretrained only.
    """
    with working("reading the texts"):
        parts, unlabelled, found = encode(splits, config)
    say([*found.said, *found.notes])
    if config.unlabelled:
        keep_to_data(found.fingerprint, checkpoint_dir, "unlabelled texts")
    networks, histories, metrics, taught = [], [], {}, parts
    pretrained = _from_language_model(config)
    for number, own, folder in members(config, config.ensemble, checkpoint_dir / "network"):
        start_own = functools.partial(start, number=number)
        train = _NetworkTraining(own, parts.ids, unlabelled, pretrained, start_own, callbacks)
        if config.self_training:
            network, taught = self_train(train, parts, unlabelled, own, folder, pretrained)
        else:
            network = train(parts, folder, config.epochs)
        metrics |= train.metrics
        if config.pretrain_only:
            encoder = build_encoder(parts.tokenizer, network, config.max_length)
            return Trained(encoder, train.history, metrics, found.notes, found.texts)
        networks.append(network)
        histories.append(train.history)
    model = build_classifier(config, networks, taught)
    with working("fitting the n-grams"):
        fit_beside(model, taught, config)
    return Trained(model, histories[0], metrics, found.notes, found.texts)


@dataclasses.dataclass
class _NetworkTraining:
    """Trains one of the networks, or a language model in its place, and keeps its history."""

    config: SentimentConfig
    ids: tf.RaggedTensor
    unlabelled: tf.RaggedTensor
    pretrained: bool  # it starts from a language model
    start: Start
    callbacks: Callbacks
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    metrics: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __call__(self, parts: Encoded, directory: pathlib.Path, epochs: int) -> keras.Model:
        config, tokenizer, classes = self.config, parts.tokenizer, parts.classes
        keras.utils.set_random_seed(config.seed)
        with strategy_of(config).scope(), precision(config.precision):
            network = build_network(config, tokenizer.vocabulary_size, len(classes))
            embedding = network.get_layer("embedding")
            vectors = (config.vectors, "vectors" in frozen_vectors(config))
            start_from_vectors(embedding, tokenizer, parts.ids, *vectors)
            self.start(network, named_rows(tokenizer.vocabulary, classes))
            if config.passes:  # the other networks share the first one's language model
                self.metrics["pretraining"], self.history = pretrain(
                    embedding,
                    network.get_layer("recurrent"),
                    [self.ids, self.unlabelled],
                    parts.held_ids,
                    config,
                    config.passes,
                    directory.with_name("language_model"),
                    self.callbacks,
                )
            if config.pretrain_only:
                return network
            if self.pretrained:
                head = network.get_layer("logits").kernel
                head.assign(tf.zeros_like(head))  # a random one would pull about what is below it
            trained = trained_network(network, config)
            batches, held = training_batches(parts, config)
            loss, accuracy = _SOFT if parts.soft else _HARD
            compile_model(
                trained,
                config,
                steps=epochs * len(batches),
                loss=loss(from_logits=True),
                metrics=[accuracy(name="accuracy")],
            )
        how = config, epochs, directory, self.callbacks, config.keep_last
        self.history = fit(trained, batches, held, *how)
        return network


def _from_language_model(config: SentimentConfig) -> bool:
    """Whether the networks start from a language model: from one's run, or from their own."""
    run = config.init_from
    return config.passes > 0 or (run is not None and read_run(run).get("pretrain_only", False))
