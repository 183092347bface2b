"""From a text to a trained generator."""

import functools
import pathlib

import keras

from rnnapps.apps.chargen import data
from rnnapps.apps.chargen.answers import token_nats
from rnnapps.apps.chargen.config import CharGenConfig
from rnnapps.apps.chargen.mixture import beside_ngrams
from rnnapps.apps.chargen.model import build_network, named_rows
from rnnapps.apps.chargen.pipeline import TextGenerator, build_model, compiled
from rnnapps.apps.starting import frozen_vectors
from rnnapps.apps.trained import Callbacks, Start, Trained
from rnnapps.data import Splits
from rnnapps.progress import working
from rnnapps.text import start_from_vectors
from rnnapps.training import StreamedNetwork, compile_model, fit, precision, strategy_of


def train_generator(
    splits: Splits[data.Text],
    config: CharGenConfig,
    start: Start,
    checkpoint_dir: pathlib.Path,
    callbacks: Callbacks = (),
) -> Trained:
    """Learns the vocabulary, then the network, and counts the n-grams beside it.

    Args:
        splits: The text to learn from, and that which chooses the weights.
        config: The configuration.
        start: What gives the network its first weights, where they are not random.
        checkpoint_dir: Where the training's state is kept.
        callbacks: Callbacks of the training.

    Returns:
        The model, see `build_model`, and its history.
    """
    with working("reading the text"):
        tokenizer = data.make_tokenizer(config, splits.train)
        ids, held = (data.encode(tokenizer, text) for text in (splits.train, splits.validation))
    strategy = strategy_of(config, data.count_streams(ids, held, config))
    replicas = strategy.num_replicas_in_sync
    streams, seen = data.make_streams(ids, held, config, replicas)
    epochs = data.passes(len(ids), config)
    keras.utils.set_random_seed(config.seed)
    with strategy.scope(), precision(config.precision):
        network = build_network(config, tokenizer.vocabulary_size)
        vectors = (config.vectors, "vectors" in frozen_vectors(config))
        start_from_vectors(network.embedding, tokenizer, ids, *vectors)
        start(network, named_rows(network, tokenizer.vocabulary))
        streamed = StreamedNetwork(network, streams.streams // replicas)
        compile_model(
            streamed,
            config,
            steps=epochs * len(streams),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
    checkpoint_dir, seen = checkpoint_dir / "network", seen and seen.one_pass()
    history = fit(streamed, streams, seen, config, epochs, checkpoint_dir, callbacks)
    if config.ngrams:
        nats_of = functools.partial(token_nats, compiled(TextGenerator(tokenizer, network)))
        with working("counting n-grams"):
            network = beside_ngrams(network, config.ngrams, ids, held, nats_of)
    return Trained(build_model(tokenizer, network), history)
