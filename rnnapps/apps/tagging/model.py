"""The tagger's network: the page to edit."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from rnnapps.apps.tagging.config import TaggingConfig
from rnnapps.config import TRANSFORMER
from rnnapps.layers import CRF, RecurrentStack, allowed_transitions, make_body
from rnnapps.text import AFFIXES, UNKNOWN
from rnnapps.training import Rows

AFFIX_BUCKETS = 2**17  # hash buckets of prefixes, suffixes and shapes
PAIR_BUCKETS = 2**16  # hash buckets of bigrams


def build_network(
    config: TaggingConfig,
    vocabulary_size: int,
    characters: int,
    tags: Sequence[str],
    spans: bool,
    counts: np.ndarray,
) -> keras.Model:
    """Builds the recurrent network.

    Args:
        config: The configuration, with `pair_dim` set.
        vocabulary_size: Number of token ids.
        characters: Number of character ids; 0 for no character inputs.
        tags: The tag names.
        spans: Whether tags mark spans, which restricts the transitions.
        counts: Count of each token id in the training data.

    Returns:
        A model from int32 token ids `(batch, time)`, padded with 0, and, if configured, ids of
        characters `(batch, time, characters)`, affixes `(batch, time, affixes)` and bigrams
        `(batch, time)`, to the CRF's `scores` `(batch, time, tags)`, the best `tags`
        `(batch, time)`, and their marginal probabilities, `marginals` `(batch, time, tags)`.
    """
    ids = keras.Input((None,), dtype="int32", name="ids")
    inputs, mask = [ids], keras.ops.not_equal(ids, 0)  # (batch, time)
    alpha = config.word_dropout / (1 - config.word_dropout)  # word_dropout: the rate at count 1
    known = ReadAsUnknown(alpha / (alpha + np.maximum(counts, 1)))(ids)
    x = layers.Embedding(vocabulary_size, config.embedding_dim, name="embedding")(known)
    if characters:
        spelled = keras.Input((None, None), dtype="int32", name="characters")
        cell = "lstm" if config.cell == TRANSFORMER else config.cell
        inputs.append(spelled)
        spelling = CharacterReader(
            characters, config.character_dim, config.character_units, cell, name="spelling"
        )(spelled)  # (batch, time, 2 * character_units)
        spelling = layers.SpatialDropout1D(config.dropout)(spelling)
        # A sum, as wide as the embedding: the layers above can be pretrained on texts alone.
        x = layers.Add()([x, layers.Dense(config.embedding_dim, name="spelled")(spelling)])
    if config.affix_dim:
        affixes = keras.Input((None, AFFIXES), dtype="int32", name="affixes")
        inputs.append(affixes)
        look_up = layers.Embedding(AFFIX_BUCKETS, config.affix_dim, name="affix_embedding")
        parts = layers.Reshape((-1, AFFIXES * config.affix_dim))(look_up(affixes))
        parts = layers.SpatialDropout1D(config.dropout)(parts)
        x = layers.Add()([x, layers.Dense(config.embedding_dim, name="affixed")(parts)])
    if config.pair_dim:
        behind = keras.Input((None,), dtype="int32", name="pairs")  # (token, next token)
        inputs.append(behind)
        before = keras.ops.pad(behind, [[0, 0], [1, 0]])[:, :-1]  # (previous token, token)
        look_up = layers.Embedding(PAIR_BUCKETS, config.pair_dim, name="pair_embedding")
        pairs = layers.Concatenate()([look_up(before), look_up(behind)])
        pairs = layers.Dropout(config.dropout)(pairs)
        x = layers.Add()([x, layers.Dense(config.embedding_dim, name="paired")(pairs)])
    x = layers.SpatialDropout1D(config.dropout)(x)  # drops the same features of all tokens
    x = make_body(
        config.cell,
        config.units,
        num_layers=config.layers,
        bidirectional=config.bidirectional,
        dropout=config.dropout,
        # Otherwise there would be nothing to pretrain.
        separate_directions=config.layers > 1 or config.block != "plain",
        block=config.block,
        num_heads=config.heads,
        positions=config.positions,
        length=config.learned_positions,
        name="recurrent",
    )(x, mask=mask)
    x = layers.Dropout(config.dropout)(x)  # (batch, time, features)
    x = layers.Dense(len(tags), dtype="float32", name="logits")(x)
    if config.output == "crf":
        crf = CRF(allowed_transitions(tags) if spans else None, name="crf")
    else:  # zero transitions: tags are independent
        crf = CRF(transition_initializer="zeros", trainable=False, name="crf")
    scores = crf(x, mask=mask)
    best, marginals = crf(scores, return_tags=True), crf(scores, return_marginals=True)
    outputs = {"scores": scores, "tags": best, "marginals": marginals}
    return keras.Model(inputs if len(inputs) > 1 else ids, outputs, name="network")


def trained_network(network: keras.Model, name: str = "network") -> keras.Model:
    """The part of a network that is trained: up to the scores, for the CRF loss."""
    return keras.Model(network.input, network.output["scores"], name=name)


def named_rows(tokens: Sequence[str], characters: Sequence[str], tags: Sequence[str]) -> dict:
    """The names of the rows of the network's weights.

    Args:
        tokens: The vocabulary.
        characters: The character vocabulary.
        tags: The tag names.
    """
    return {
        "embedding/*": Rows(0, tokens),
        "spelling/*embedding/*": Rows(0, characters),
        "logits/*": Rows(-1, tags, mean=False),
        "crf/start": Rows(0, tags, mean=False),
        "crf/end": Rows(0, tags, mean=False),
        "crf/transitions": Rows(-1, tags, mean=False),
    }


@keras.saving.register_keras_serializable("rnnapps")
class ReadAsUnknown(layers.Layer):
    """Word dropout: randomly replaces tokens by the unknown token in training.

    Args:
        rates: The rate of each id; `None` in a loaded network, which is not trained.
        seed: Random seed.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        ids: int32 `(batch, time)`.
        training: Whether to apply word dropout.

    Output:
        The ids, some replaced by that of the unknown token.

    Reference:
        [Kiperwasser and Goldberg, 2016](https://aclanthology.org/Q16-1023/), who drop rare words
        more often than frequent ones.
    """

    def __init__(self, rates: np.ndarray | None = None, seed: int | None = None, **kwargs):
        super().__init__(dtype="int32", **kwargs)
        self.rates, self.seed = None if rates is None else np.asarray(rates, "float32"), seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, ids, training=None):
        if not training or self.rates is None:
            return ids
        drawn = keras.random.uniform(tf.shape(ids), dtype="float32", seed=self.generator)
        rates = tf.gather(tf.constant(self.rates), ids)
        return tf.where((drawn < rates) & (ids != 0), UNKNOWN, ids)

    def compute_output_spec(self, ids, training=None):
        return keras.KerasTensor(ids.shape, "int32")

    def get_config(self):
        return {"name": self.name, "seed": self.seed}


@keras.saving.register_keras_serializable("rnnapps")
class CharacterReader(layers.Layer):
    """A bidirectional recurrent encoder of each token's characters.

    Args:
        characters: Number of character ids.
        width: Width of the character embeddings.
        units: Units of the cell, in each direction.
        cell: The recurrent cell.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        ids: int32 `(batch, time, characters)`, padded with 0.

    Output:
        A vector per token, `(batch, time, 2 * units)`.

    Reference:
        [Ling et al., 2015](https://arxiv.org/abs/1508.02096);
        [Lample et al., 2016](https://arxiv.org/abs/1603.01360).
    """

    def __init__(self, characters: int, width: int, units: int, cell: str = "lstm", **kwargs):
        super().__init__(**kwargs)
        self.characters, self.width, self.units, self.cell = characters, width, units, cell
        self.embedding = layers.Embedding(
            characters, width, mask_zero=True, name="character_embedding"
        )
        self.reader = RecurrentStack(
            cell, units, bidirectional=True, return_sequences=False, name="characters"
        )

    def build(self, ids_shape):
        self.embedding.build((None, None))
        self.reader.build((None, None, self.width))

    def call(self, ids, training=None):
        batch, time, most = tf.unstack(tf.shape(ids))
        x = tf.reshape(ids, (batch * time, most))
        x = self.reader(self.embedding(x), mask=x != 0, training=training)
        return tf.reshape(x, (batch, time, 2 * self.units))

    def compute_output_spec(self, ids, training=None):
        return keras.KerasTensor((*ids.shape[:2], 2 * self.units), self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "characters": self.characters,
            "width": self.width,
            "units": self.units,
            "cell": self.cell,
        }
