"""From tagged sentences to a trained tagger, or to a pretrained language model."""

import dataclasses
import functools
import itertools
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnnapps.apps.interrupted import keep_to_data
from rnnapps.apps.starting import frozen_vectors, names_of
from rnnapps.apps.tagging import data
from rnnapps.apps.tagging.config import TaggingConfig
from rnnapps.apps.tagging.model import (
    AFFIX_BUCKETS,
    PAIR_BUCKETS,
    build_network,
    named_rows,
    trained_network,
)
from rnnapps.apps.tagging.pipeline import build_encoder, build_tagger
from rnnapps.apps.trained import Callbacks, Start, Trained
from rnnapps.data import Splits, Tagged
from rnnapps.progress import say, working
from rnnapps.text import OffsetTokenizer, TokenEncoder, kind_of_tokens, start_from_vectors
from rnnapps.training import compile_model, fit, members, precision, pretrain, strategy_of


def train_tagger(
    splits: Splits[Tagged],
    config: TaggingConfig,
    start: Start,
    checkpoint_dir: pathlib.Path,
    callbacks: Callbacks = (),
) -> Trained:
    """Builds the vocabularies, trains the networks, and adds the tokenizer and the tag names.

    Args:
        splits: The training and validation sentences.
        config: The configuration.
        start: Initializes the weights of the network with a given `number`, if not random.
        checkpoint_dir: Folder of the checkpoints, with a subfolder per network.
        callbacks: Callbacks of the training.

    Returns:
        The tagger, or the encoder if it is only pretrained.
    """
    train, names = splits.train, data.tag_names(splits.train)
    notes = data.notes_on(splits, names, config)
    with working("reading the texts"):
        more = data.unlabelled(splits, config)
        kind = kind_of_tokens(train.tokens) if config.tokenizer == "auto" else config.tokenizer
        tokenizer = OffsetTokenizer(kind, name="tokenizer")
        others = data.cut(more.texts, tokenizer)
        read = Tagged(others, []).keys
        config = data.decided(config, kind)
        encoder = _make_encoder(config)
        encoder.adapt(token for row in itertools.chain(train.tokens, others) for token in row)
        encoder.words.extend(names_of(config.init_from, "embedding/*"))
        encoder.characters.extend(names_of(config.init_from, "spelling/*embedding/*"))
    say([f"texts are tokenized as with --tokenizer={kind}", *more.said, *more.notes, *notes])
    notes += more.notes
    if config.unlabelled:
        keep_to_data(more.fingerprint, checkpoint_dir, "unlabelled texts")
    training = _Training(splits, others, encoder, names, checkpoint_dir, callbacks)
    trained = []
    for number, own, folder in members(config, config.ensemble, checkpoint_dir / "network"):
        trained.append(training(own, functools.partial(start, number=number), folder))
        if config.pretrain_only:
            break
    networks = [one.model for one in trained]
    if config.pretrain_only:
        model = build_encoder(tokenizer, encoder, networks[0])
    else:
        model = build_tagger(tokenizer, encoder, networks, names)
    return Trained(model, trained[0].history, trained[0].metrics, notes, read)


@dataclasses.dataclass(frozen=True)
class _Training:
    """Trains one network, or a language model instead."""

    splits: Splits[Tagged]
    others: list[list[str]]  # unlabelled
    encoder: TokenEncoder
    names: list[str]
    checkpoint_dir: pathlib.Path
    callbacks: Callbacks

    def __call__(self, config: TaggingConfig, start: Start, directory: pathlib.Path) -> Trained:
        train, validation, encoder = self.splits.train, self.splits.validation, self.encoder
        batches = data.batches(train, encoder, self.names, config)
        held = data.batches(validation, encoder, self.names, config).one_pass()[0]
        history: list[dict[str, float]] = []
        metrics: dict[str, Any] = {}
        keras.utils.set_random_seed(config.seed)
        with strategy_of(config).scope(), precision(config.precision):
            ids = tf.gather(batches.forms.ids, batches.tokens())
            network = _make_network(config, encoder, ids, self.names, bool(train.scheme.written))
            embedding = network.get_layer("embedding")
            vectors = config.vectors, "vectors" in frozen_vectors(config)
            start_from_vectors(embedding, encoder.words, ids, *vectors, any_case=True)
            known = encoder.words.vocabulary, encoder.characters.vocabulary
            start(network, named_rows(*known, self.names))
            if config.passes:  # the other networks share the first one's language model
                metrics["pretraining"], history = pretrain(
                    embedding,
                    network.get_layer("recurrent"),
                    [data.word_ids([*train.tokens, *self.others], encoder)],
                    data.word_ids(validation.tokens, encoder),
                    config,
                    config.passes,
                    self.checkpoint_dir / "language_model",
                    self.callbacks,
                )
            if config.pretrain_only:
                return Trained(network, history, metrics)
            trained = trained_network(network)
            steps, loss = config.epochs * len(batches), network.get_layer("crf").loss
            compile_model(trained, config, steps=steps, loss=loss)
        how = config, config.epochs, directory, self.callbacks, config.keep_last
        history = fit(trained, batches, held, *how)
        return Trained(network, history, metrics)


def _make_encoder(config: TaggingConfig) -> TokenEncoder:
    characters = data.MOST_CHARACTERS if config.character_units else 0
    affixes = AFFIX_BUCKETS if config.affix_dim else 0
    pairs = PAIR_BUCKETS if config.pair_dim else 0
    return TokenEncoder(config.max_tokens, characters, affixes, pairs, name="encoder")


def _make_network(config, encoder: TokenEncoder, ids, names: list[str], spans: bool) -> keras.Model:
    """The network, with token counts from `ids`."""
    words, characters = encoder.words.vocabulary_size, 0
    if config.character_units:
        characters = encoder.characters.vocabulary_size
    counts = np.bincount(ids.flat_values, minlength=words)
    return build_network(config, words, characters, names, spans, counts)
