"""The network of a character generator: the page to edit."""

from collections.abc import Hashable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from rnnapps.apps.chargen.config import WINDOW, CharGenConfig
from rnnapps.layers import make_body
from rnnapps.training import Rows, precision


def build_network(config: CharGenConfig, vocabulary_size: int) -> "CharNetwork":
    """Builds the network for a configuration.

    Args:
        config: The configuration.
        vocabulary_size: Number of token ids.

    Returns:
        The network, with its weights.
    """
    network = CharNetwork(
        vocabulary_size,
        embedding_dim=config.embedding_dim,
        tied=config.tied,
        cell=config.cell,
        units=config.units,
        num_layers=config.layers,
        residual=config.residual,
        normalization=None if config.normalization == "none" else config.normalization,
        block=config.block,
        dropout=config.dropout,
        embedding_dropout=config.embedding_dropout,
        recurrent_dropout=config.recurrent_dropout,
        num_heads=config.heads,
        positions=config.positions,
        length=config.learned_positions,
        window=config.reach[1],
        name="network",
    )
    network.build((None, None))
    return network


def named_rows(network: "CharNetwork", tokens: Sequence[Hashable]) -> dict[str, Rows]:
    """The names of the rows of a network's weights.

    Args:
        network: The network.
        tokens: Its vocabulary.
    """
    rows = {"*embedding/*": Rows(0, tokens)}
    if not network.arguments["embedding_dim"]:  # one-hot inputs of the first cell
        lowest = network.recurrent.layers[0].name.removesuffix("_0")
        rows[f"recurrent/{lowest}/*_cell/kernel"] = Rows(0, tokens)
    if not network.arguments["tied"]:
        rows["dense/*"] = Rows(-1, tokens)
    return rows


@keras.saving.register_keras_serializable("rnnapps")
class CharNetwork(keras.layers.Layer):
    """A language model: the logits of the next token, given all previous ones.

    It processes a whole sequence (`call`) or one token at a time (`step`), with the same weights.

    Args:
        vocabulary_size: Number of token ids.
        embedding_dim: Width of the token embeddings; 0 for one-hot vectors.
        tied: Whether the output layer shares the embedding's weights.
        cell: One of `rnnapps.config.CELLS`, or `"transformer"`.
        units: Units of each layer.
        num_layers: Number of layers.
        residual: Whether to add each layer's input to its output if their widths match.
        normalization: `None` or `"layer"`.
        block: `"plain"` or `"pre_norm"`, the block around each recurrent layer.
        dropout: Dropout rate of the layers' outputs.
        embedding_dropout: Dropout rate of the embeddings' features.
        recurrent_dropout: Dropout rate of the hidden state, with the same mask at each step.
        num_heads: Heads of each Transformer layer.
        positions: A Transformer's position encoding, see `TransformerStack`.
        length: Number of learned positions, with `positions="learned"`.
        window: Number of earlier tokens that each Transformer layer attends to; its KV cache is the
            state.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        ids: int32 ids `(batch, time)`.
        state: The list of initial states; `None` for zeros.
        training: Whether to apply dropout.

    Output:
        float32 logits of the next token `(batch, time, vocabulary)`, and the list of states.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int = 64,
        tied: bool = False,
        cell: str = "lstm",
        units: int = 256,
        num_layers: int = 2,
        residual: bool = False,
        normalization: str | None = None,
        block: str = "plain",
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        num_heads: int = 4,
        positions: str = "rotary",
        length: int | None = None,
        window: int = WINDOW,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.arguments = {
            "vocabulary_size": vocabulary_size,
            "embedding_dim": embedding_dim,
            "tied": tied,
            "cell": cell,
            "units": units,
            "num_layers": num_layers,
            "residual": residual,
            "normalization": normalization,
            "block": block,
            "dropout": dropout,
            "embedding_dropout": embedding_dropout,
            "recurrent_dropout": recurrent_dropout,
            "num_heads": num_heads,
            "positions": positions,
            "length": length,
            "window": window,
        }
        if tied and not embedding_dim:
            raise ValueError("Expected embedding_dim to be at least 1 with tied=True. Received: 0")
        self.vocabulary_size, self.width = vocabulary_size, embedding_dim or vocabulary_size
        with precision(self.dtype_policy.name):  # also when a saved network is loaded
            self._make_layers(**self.arguments)

    def _make_layers(
        self, vocabulary_size, embedding_dim, tied, cell, dropout, embedding_dropout, **of_stack
    ) -> None:
        self.embedding = (
            layers.ReversibleEmbedding(vocabulary_size, embedding_dim, reverse_dtype="float32")
            if tied
            else layers.Embedding(vocabulary_size, embedding_dim)
            if embedding_dim
            else None
        )
        self.embedding_dropout = layers.Dropout(embedding_dropout)
        self.recurrent = make_body(
            cell, **of_stack, dropout=dropout, return_state=True, name="recurrent"
        )
        self.dropout = layers.Dropout(dropout)
        # With a tied embedding, projects the units to the width of an embedding.
        self.dense = (
            layers.Dense(embedding_dim, name="dense")
            if tied
            else layers.Dense(vocabulary_size, dtype="float32", name="dense")
        )

    def build(self, ids_shape: tuple) -> None:
        """Creates the weights."""
        if self.embedding:
            self.embedding.build(ids_shape)
        self.recurrent.build((*ids_shape, self.width))
        self.dense.build((*ids_shape, self.recurrent.width))

    def call(self, ids, state=None, training=None):
        """See the class."""
        x = self.embedding_dropout(self._embed(ids), training=training)  # (batch, time, width)
        x, state = self.recurrent(x, initial_state=state, training=training)
        return self._logits(self.dropout(x, training=training)), state

    def step(self, tokens, state: list):
        """Processes one token per row, like `call`, but faster and without dropout.

        Args:
            tokens: int32 `(batch,)`.
            state: The list of previous states.

        Returns:
            float32 logits of the next token `(batch, vocabulary)`, and the list of states.
        """
        x, state = self.recurrent.step(self._embed(tokens), state)
        return self._logits(x), state

    def initial_state(self, batch_size) -> list:
        """The initial state: zeros."""
        return self.recurrent.first_state(batch_size)

    @property
    def state_sizes(self) -> list[int]:
        """The width of each state."""
        return self.recurrent.state_sizes

    def _embed(self, ids):
        if self.embedding:
            return self.embedding(ids)
        return tf.one_hot(ids, self.vocabulary_size, dtype=self.compute_dtype)

    def _logits(self, x):
        x = self.dense(x)
        x = self.embedding(x, reverse=True) if self.arguments["tied"] else x
        return tf.cast(x, tf.float32)

    def get_config(self):
        return {**super().get_config(), **self.arguments}
