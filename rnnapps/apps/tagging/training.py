"""From tagged sentences to a trained tagger, or to a language model alone."""

import pathlib
from typing import Any

import keras
import numpy as np

from rnnapps.apps.run import keep_to_data
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
from rnnapps.training import compile_model, fit, precision, pretrain, strategy_of


def train_tagger(
    splits: Splits[Tagged],
    config: TaggingConfig,
    start: Start,
    checkpoint_dir: pathlib.Path,
    callbacks: Callbacks = (),
) -> Trained:
    """Learns the vocabularies, then the network, and puts the tokenizer and tags around it.

    Args:
        splits: The sentences to learn from, and those that choose the weights.
        config: The configuration.
        start: What gives the network its first weights, where they are not random.
        checkpoint_dir: Where the training's state is kept.
        callbacks: Callbacks of the training.

    Returns:
        The tagger, or the encoder where it is pretrained only.
    """
    train, validation, strategy = splits.train, splits.validation, strategy_of(config)
    names, notes = data.tag_names(train), data.notes_on(splits, data.tag_names(train), config)
    with working("reading the texts"):
        more = data.unlabelled(splits, config)
        kind = kind_of_tokens(train.tokens) if config.tokenizer == "auto" else config.tokenizer
        tokenizer = OffsetTokenizer(kind, name="tokenizer")
        others = data.cut(more.texts, tokenizer)
        config = data.decided(config, kind)
        encoder = _make_encoder(config)
        encoder.adapt(token for part in (train.tokens, others) for row in part for token in row)
    say([f"texts are cut as --tokenizer={kind} does", *more.said, *more.notes, *notes])
    notes += more.notes
    if config.unlabelled:
        keep_to_data(more.fingerprint, checkpoint_dir, "unlabelled texts")
    batches = data.batches(train, encoder, names, config)
    held = data.batches(validation, encoder, names, config).one_pass()[0]
    history: list[dict[str, float]] = []
    metrics: dict[str, Any] = {}
    keras.utils.set_random_seed(config.seed)
    with strategy.scope(), precision(config.precision):
        ids = data.word_ids(train.tokens, encoder)
        network = _make_network(config, encoder, ids, names, bool(train.scheme.written))
        embedding = network.get_layer("embedding")
        vectors = config.vectors, config.vectors_frozen
        start_from_vectors(embedding, encoder.words, ids, *vectors, any_case=True)
        start(network, named_rows(encoder.words.vocabulary, encoder.characters.vocabulary, names))
        if config.passes:
            metrics["pretraining"], history = pretrain(
                embedding,
                network.get_layer("recurrent"),
                data.word_ids([*train.tokens, *others], encoder),
                data.word_ids(validation.tokens, encoder),
                config,
                config.passes,
                checkpoint_dir / "language_model",
            )
        if config.pretrain_only:
            return Trained(build_encoder(tokenizer, encoder, network), history, metrics, notes)
        trained = trained_network(network)
        steps, loss = config.epochs * len(batches), network.get_layer("crf").loss
        compile_model(trained, config, steps=steps, loss=loss)
    history = fit(
        trained,
        batches,
        held,
        config,
        config.epochs,
        checkpoint_dir / "network",
        callbacks,
        keep_last=not config.patience,
    )
    return Trained(build_tagger(tokenizer, encoder, network, names), history, metrics, notes)


def _make_encoder(config: TaggingConfig) -> TokenEncoder:
    characters = data.MOST_CHARACTERS if config.character_units else 0
    affixes = AFFIX_BUCKETS if config.affix_dim else 0
    pairs = PAIR_BUCKETS if config.pair_dim else 0
    return TokenEncoder(config.max_tokens, characters, affixes, pairs, name="encoder")


def _make_network(config, encoder: TokenEncoder, ids, names: list[str], spans: bool) -> keras.Model:
    """The network, for words as often as they are in `ids`."""
    words, characters = encoder.words.vocabulary_size, 0
    if config.character_units:
        characters = encoder.characters.vocabulary_size
    counts = np.bincount(ids.flat_values, minlength=words)
    return build_network(config, words, characters, names, spans, counts)
