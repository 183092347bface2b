"""From pairs of texts to a trained translator."""

import pathlib

import keras
import numpy as np

from rnnapps.apps.starting import frozen_vectors
from rnnapps.apps.trained import Callbacks, Start, Trained
from rnnapps.apps.translation import data
from rnnapps.apps.translation.config import TranslationConfig
from rnnapps.apps.translation.model import EncoderDecoder, named_rows
from rnnapps.apps.translation.pipeline import TextTranslator, all_tokens, special_tokens
from rnnapps.data import PairBatches, Pairs, Splits
from rnnapps.progress import working
from rnnapps.text import start_from_vectors
from rnnapps.training import (
    KeepWeights,
    SmoothedCrossentropy,
    average_if_better,
    compile_model,
    fit,
    static_lengths,
    strategy_of,
)


def train_translator(
    splits: Splits[Pairs],
    config: TranslationConfig,
    start: Start,
    checkpoint_dir: pathlib.Path,
    callbacks: Callbacks = (),
) -> Trained:
    """Learns the vocabularies, then the network, and puts the tokenizers before and behind it.

    Args:
        splits: The pairs to learn from, and those that choose the weights.
        config: The configuration.
        start: What gives the network its first weights, where they are not random.
        checkpoint_dir: Where the training's state is kept.
        callbacks: Callbacks of the training.

    Returns:
        The translator, its history, and as metrics `pairs`, how many there were and were left out,
        and `averaged`, whether its weights are a mean.
    """
    with working("reading the texts"):
        tokenizers = data.make_tokenizers(splits.train, config)
        ids, kept, counts = data.encode(splits.train, tokenizers, config)
        held_ids, held_kept, _ = data.encode(splits.validation, tokenizers, config, "validation ")
    special = special_tokens(tokenizers[1])
    lengths = static_lengths(config, config.max_length + 1)
    options = (special.bos, special.eos, config.batch_size, lengths, config.seed)
    batches = PairBatches(*ids, *options, kept)
    held = PairBatches(*held_ids, *options, held_kept).one_pass()[0]
    keras.utils.set_random_seed(config.seed)
    with strategy_of(config).scope():
        network = EncoderDecoder(config, special_tokens(tokenizers[0]).size, special.size)
        embeddings = (network.source_embedding, network.target_embedding)
        names, frozen = ("vectors", "target_vectors"), frozen_vectors(config)
        for *side, name in zip(embeddings, tokenizers, ids, names, strict=True):
            start_from_vectors(*side, getattr(config, name), name in frozen)
        start(network, named_rows(config, *map(all_tokens, tokenizers)))
        compile_model(
            network,
            config,
            steps=config.epochs * len(batches),
            loss=SmoothedCrossentropy(config.label_smoothing),
        )
    keeper = KeepWeights(checkpoint_dir / "weights", config.average)
    callbacks, checkpoint_dir = [keeper, *callbacks], checkpoint_dir / "network"
    history = fit(network, batches, held, config, config.epochs, checkpoint_dir, callbacks)
    averaged = average_if_better(network, keeper, held)
    trained, network = network, EncoderDecoder.from_config(network.get_config())
    network.set_weights(trained.get_weights())  # leaves the optimizer behind
    ratios = ids[1].row_lengths() / ids[0].row_lengths()
    expansion = float(max(1.0, np.quantile(ratios, 0.99)))
    source, target = tokenizers
    model = TextTranslator(source, None if target is source else target, network, expansion)
    return Trained(model, history, {"pairs": counts, "averaged": averaged})
