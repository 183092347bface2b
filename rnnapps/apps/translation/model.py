"""The translator's network: the page to edit."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import layers, ops

from rnnapps.apps.translation.config import TranslationConfig
from rnnapps.config import TRANSFORMER
from rnnapps.layers import AttentionDecoder, TransformerStack, go_on, make_body, recurrent
from rnnapps.text import PADDING
from rnnapps.training import Rows, precision


class Encoded(NamedTuple):
    """What the encoder makes of texts, all that the decoder knows of them."""

    memory: tf.Tensor  # (batch, source_time, width)
    mask: tf.Tensor  # (batch, source_time)
    keys: Any  # (batch, source_time, width): what queries are compared with; of each block its own
    context: tf.Tensor  # (batch, 2 * units), or (batch, units) of a Transformer


def named_rows(
    config: TranslationConfig, sources: Sequence[str], targets: Sequence[str]
) -> dict[str, Rows]:
    """What the rows of the network's weights stand for.

    Args:
        config: The configuration.
        sources: The tokens of texts.
        targets: The tokens of translations.
    """
    second = "embedding#1/*" if config.vocabulary == "separate" else "embedding/*"
    return {
        second: Rows(0, targets),
        "embedding/*": Rows(0, sources),
        "output_bias": Rows(0, targets),
        "output/*": Rows(-1, targets),
    }


@keras.saving.register_keras_serializable("rnnapps")
class EncoderDecoder(keras.Model):
    """A network from the ids of a text to those of another.

    Args:
        config: The configuration, or its fields as a dictionary.
        source_size: Number of ids of a text's tokens.
        target_size: Number of ids of a translation's tokens, bos and eos included.
        **kwargs: Arguments of `keras.Model`.

    Call arguments:
        inputs: Pair of int32 ids: the text's `(batch, source_time)` and, for teacher forcing, bos
            and the translation's `(batch, time)`; 0 where there is no token.
        training: Whether to apply dropout.

    Output:
        Logits of each next token, float32 `(batch, time, target_size)`.

    Reference:
        - [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473), for `decoder="attention"`
        - [Luong et al., 2015](https://arxiv.org/abs/1508.04025), for its other scores
        - [Sutskever et al., 2014](https://arxiv.org/abs/1409.3215), for `"first_state"`
        - [Cho et al., 2014](https://arxiv.org/abs/1406.1078), for `"every_step"`
        - [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), for `cell="transformer"`
    """

    def __init__(
        self,
        config: TranslationConfig | dict[str, Any],
        source_size: int,
        target_size: int,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        config = config if isinstance(config, TranslationConfig) else TranslationConfig(**config)
        self.config, self.source_size, self.target_size = config, source_size, target_size
        self.attends = config.decoder == "attention"
        self.is_transformer = config.cell == TRANSFORMER
        with precision(config.precision):
            self._make_layers(config, source_size, target_size)
            no_ids = tf.zeros((1, 2), tf.int32)
            self((no_ids, no_ids))  # makes the weights

    def _make_layers(self, config: TranslationConfig, source_size: int, target_size: int) -> None:
        small = keras.initializers.RandomNormal(stddev=config.embedding_dim**-0.5)
        self.source_embedding = layers.Embedding(source_size, config.embedding_dim, small)
        self.target_embedding = self.source_embedding
        if config.vocabulary == "separate":
            self.target_embedding = layers.Embedding(target_size, config.embedding_dim, small)
        self.dropout = layers.Dropout(config.dropout)
        self.hidden_dropout = layers.Dropout(config.hidden_dropout)

        places = {
            "num_heads": config.heads,
            "positions": config.positions,
            "length": config.learned_positions + 1,  # bos has one, too
        }
        self.encoder = make_body(
            config.cell,
            config.units,
            num_layers=config.layers,
            bidirectional=True,
            block=config.block,
            dropout=config.hidden_dropout,
            recurrent_dropout=config.recurrent_dropout,
            name="encoder",
            **places,
        )
        if self.is_transformer:
            self.decoder = TransformerStack(
                config.units,
                num_layers=config.layers,
                causal=True,
                window=config.max_length,  # behind which no translation that it learns from goes
                dropout=config.hidden_dropout,
                return_state=True,
                cross_attention=True,
                name="decoder",
                **places,
            )
            self.hidden = layers.Dense(config.embedding_dim, name="hidden")
        else:
            self._make_recurrent_decoder(config)
        if config.tied:
            self.bias = self.add_weight((target_size,), "zeros", name="output_bias")
        else:
            self.output_layer = layers.Dense(target_size, dtype="float32", name="output")

    def _make_recurrent_decoder(self, config: TranslationConfig) -> None:
        cell = recurrent(
            config.cell,
            config.units,
            recurrent_dropout=config.recurrent_dropout,
            return_sequences=True,
            return_state=True,
            name="decoder",
        )
        if self.attends:
            self.decoder = AttentionDecoder(
                cell.cell if config.input_feeding else cell,
                config.score,
                output_units=config.embedding_dim,
                input_feeding=config.input_feeding,
                return_state=True,
                name="decoder",
            )
            if "dot" in config.score:  # which wants a memory as wide as its queries
                self.narrow = layers.Dense(config.units, use_bias=False, name="narrow")
        else:
            self.decoder = cell
            self.hidden = layers.Dense(config.embedding_dim, "tanh", name="hidden")
        sizes = keras.tree.flatten(cell.cell.state_size)
        self.bridge = [
            layers.Dense(size, "tanh", name=f"bridge_{i}") for i, size in enumerate(sizes)
        ]

    def call(self, inputs, training=None):
        sources, targets = inputs
        encoded, state = self.encode(sources, training)
        if self.is_transformer:  # before bos there is nothing that would have to be looked at
            state = None
        logits, _, _ = self.decode(targets, state, encoded, training)
        return logits

    def encode(self, sources: tf.Tensor, training: bool | None = None) -> tuple[Encoded, list]:
        """Reads texts.

        Args:
            sources: int32 ids `(batch, source_time)`.
            training: Whether to apply dropout.

        Returns:
            What is known of them, and the decoder's first state.
        """
        mask = sources != PADDING
        x = self.dropout(self.source_embedding(sources), training=training)
        memory = self.encoder(x, mask=mask, training=training)  # (batch, source_time, 2 * units)
        if self.is_transformer:
            if not self.decoder.built:
                self.decoder.build((None, None, self.config.embedding_dim), memory.shape)
            state = self.decoder.first_state(tf.shape(memory)[0])
            return Encoded(memory, mask, self.decoder.keys(memory), memory[:, 0]), state
        units = self.config.units
        # What each direction has come to at its end: (batch, 2 * units)
        last = tf.maximum(tf.reduce_sum(tf.cast(mask, tf.int32), 1) - 1, 0)
        ahead = tf.gather(memory, last, batch_dims=1)[:, :units]
        context = ops.concatenate([ahead, memory[:, 0, units:]], axis=-1)
        memory = self.hidden_dropout(memory, training=training)
        keys = memory
        if self.attends:
            memory = self.narrow(memory) if "dot" in self.config.score else memory
            if not self.decoder.built:
                self.decoder.build((None, None, self.config.embedding_dim), memory.shape)
            keys = self.decoder.keys(memory)
        kind = self.decoder.variable_dtype  # also under mixed precision
        state = [ops.cast(dense(context), kind) for dense in self.bridge]
        if self.attends:  # and what it put out before the first step
            state.append(ops.zeros((ops.shape(context)[0], self.config.embedding_dim), kind))
        return Encoded(memory, mask, keys, context), state

    def decode(
        self,
        targets: tf.Tensor,
        state: list | None,
        encoded: Encoded,
        training: bool | None = None,
    ) -> tuple[tf.Tensor, list, tf.Tensor]:
        """Writes on: a whole translation at once, or the next token.

        Args:
            targets: int32 ids `(batch, time)` of what is written, bos first.
            state: The decoder's state before; of a Transformer `None` where nothing is written.
            encoded: What `encode` returned.
            training: Whether to apply dropout.

        Returns:
            Logits of each next token, float32 `(batch, time, target_size)`; the state after; and
            the attention weights `(batch, time, source_time)`, all zero where nothing attends.
        """
        x = self.dropout(self.target_embedding(targets), training=training)
        if self.is_transformer:
            y, state, weights = self.decoder(
                x,
                initial_state=state,
                memory=encoded.memory,
                memory_mask=encoded.mask,
                keys=encoded.keys,
                training=training,
                return_attention_scores=True,
            )
            y = self.hidden(y)
        elif self.attends:
            y, *state, weights = self.decoder(
                x,
                encoded.memory,
                initial_state=state,
                memory_mask=encoded.mask,
                keys=encoded.keys,
                training=training,
                return_attention_scores=True,
            )
        else:
            if self.config.decoder == "every_step":
                context = ops.broadcast_to(
                    encoded.context[:, None], (*ops.shape(x)[:2], encoded.context.shape[-1])
                )
                x = ops.concatenate([x, context], axis=-1)
            y, state = go_on(self.decoder, x, state, training)
            y = self.hidden(y)
            weights = ops.zeros((*ops.shape(x)[:2], ops.shape(encoded.mask)[1]))
        y = self.hidden_dropout(y, training=training)  # (batch, time, embedding_dim)
        return self._logits(y), state, weights

    def _logits(self, y):
        if not self.config.tied:
            return self.output_layer(y)
        # One product of two matrices: one for each row would take several times as long.
        table = ops.cast(self.target_embedding.embeddings, y.dtype)
        flat = tf.matmul(ops.reshape(y, (-1, y.shape[-1])), table, transpose_b=True)
        logits = ops.cast(flat, "float32") + self.bias
        return ops.reshape(logits, (*ops.shape(y)[:2], self.target_size))

    def get_config(self):
        sizes = {"source_size": self.source_size, "target_size": self.target_size}
        return {"name": self.name, "config": self.config.to_dict(), **sizes}
