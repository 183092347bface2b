"""The sentiment classifier's network: the page to edit."""

from collections.abc import Sequence

import keras
from keras import layers

from rnnapps.apps.sentiment.config import SentimentConfig
from rnnapps.layers import AttentionPooling, SequencePooling, make_body
from rnnapps.training import PerturbedNetwork, Rows


def build_network(config: SentimentConfig, vocabulary_size: int, classes: int) -> keras.Model:
    """Builds the network.

    Args:
        config: The configuration.
        vocabulary_size: Number of token ids.
        classes: Number of classes.

    Returns:
        A model from int32 ids `(batch, time)`, 0 where there is no token, to logits
        `(batch, classes)`.
    """
    attends = config.cell == "attention_lstm"  # by itself: it returns one vector
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(vocabulary_size, config.embedding_dim, mask_zero=True, name="embedding")(
        ids
    )
    rate = config.dropout if config.embedding_dropout is None else config.embedding_dropout
    x = layers.SpatialDropout1D(rate)(x)  # the same features of all words
    x = layers.Dropout(config.word_dropout, noise_shape=(None, None, 1))(x)  # whole words
    stack = make_body(
        config.cell,
        config.units,
        num_layers=config.layers,
        bidirectional=config.bidirectional,
        residual=config.residual,
        normalization=None if config.normalization == "none" else config.normalization,
        dropout=config.dropout,
        recurrent_dropout=config.recurrent_dropout,
        weight_drop=config.weight_drop,
        # Or there would be nothing to pretrain.
        separate_directions=config.layers > 1 or config.block != "plain",
        block=config.block,
        num_heads=config.heads,
        positions=config.positions,
        length=config.learned_positions,
        return_sequences=not attends and config.pooling != "last",
        name="recurrent",
    )
    if attends:
        x, _ = stack(x, return_attention_scores=True)
    elif config.pooling == "last":
        x = stack(x)
    elif config.pooling == "attention":
        x, _ = AttentionPooling(name="attention")(stack(x), return_attention_scores=True)
    else:
        x = SequencePooling(config.pooling)(stack(x))
    x = layers.Dropout(config.dropout)(x)  # (batch, features)
    logits = layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(ids, logits, name="network")


def named_rows(tokens: Sequence[str], classes: Sequence[str]) -> dict[str, Rows]:
    """What the rows of the network's weights stand for.

    Args:
        tokens: The vocabulary.
        classes: The classes' names.
    """
    return {"embedding/*": Rows(0, tokens), "logits/*": Rows(-1, classes, mean=False)}


def trained_network(network: keras.Model, config: SentimentConfig) -> keras.Model:
    """The model that is trained: the network itself, or one that perturbs its embeddings."""
    if config.adversarial:
        return PerturbedNetwork(network, config.adversarial)
    return network


def attention_of(network: keras.Model) -> keras.Model | None:
    """The part of a network that says how much each token weighs.

    Args:
        network: What `build_network` built.

    Returns:
        A model from ids `(batch, time)` to weights `(batch, time)` that sum to 1; `None` where the
        network does not attend.
    """
    for name in ("attention", "recurrent"):
        if name in [layer.name for layer in network.layers]:
            output = network.get_layer(name).output
            if isinstance(output, (list, tuple)):
                return keras.Model(network.input, output[1])
    return None
