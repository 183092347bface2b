"""PreNormBlock: normalization, gate and residual connection around a recurrent layer."""

from typing import Any

import keras

from rnnapps.layers.base import check_rate, check_units
from rnnapps.layers.feed_forward import FeedForward
from rnnapps.layers.registry import independent_seeds

BLOCKS = ("plain", "pre_norm")
EXPANSION = 2  # of the feed-forward layer; a `mingru` block then has as many weights as an LSTM


@keras.saving.register_keras_serializable("rnnapps")
class PreNormBlock(keras.layers.Layer):
    """Layer normalization before a recurrent layer; a gate and a feed-forward layer after it.

    With `N` layer normalization and `f` the recurrent layer, which is not part of the block:

        u = N(x)
        x = x + (f(u) * silu(u K_g + b_g)) K_o + b_o
        x = x + silu(N(x) K_1 + b_1) K_2 + b_2          a `FeedForward` layer

    The residual stream is never normalized, so that gradients reach each layer of a deep stack. If
    the width of `x` differs from the layer's output, `x` is first projected.

    Args:
        width: The number of features of the recurrent layer's output and of the block's.
        dropout: Dropout rate of the residual branches.
        to_vector: Whether the recurrent layer maps a sequence to one vector: there is then no
            residual connection or gate.
        seed: Seed of the dropout.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        x: The block's input, `(batch, time, features)` or `(batch, features)`.
        normalized: `before(x)`.
        output: The recurrent layer's output, `(batch, time, width)` or `(batch, width)`.
        training: Whether to apply dropout.

    Output:
        Same shape as `output`.

    Raises:
        ValueError: If `width` or `dropout` is out of range.

    Reference:
        [Xiong et al., 2020](https://arxiv.org/abs/2002.04745), for the normalization;
        [De et al., 2024](https://arxiv.org/abs/2402.19427), for the gate.
    """

    def __init__(
        self,
        width: int,
        dropout: float = 0.0,
        to_vector: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_units(width, "width")
        check_rate(dropout, "dropout")
        super().__init__(**kwargs)
        self.width = width
        self.dropout = dropout
        self.to_vector = to_vector
        self.seed = seed
        self.supports_masking = True
        dtype = self.dtype_policy

        def dense(units: int, name: str, **arguments: Any) -> keras.layers.Dense:
            return keras.layers.Dense(units, name=name, dtype=dtype, **arguments)

        first, second = independent_seeds(seed, 2)
        self.norm = keras.layers.LayerNormalization(dtype=dtype, name="norm")
        self.drop = keras.layers.Dropout(dropout, seed=first, dtype=dtype)
        self.gate = None if to_vector else dense(width, "gate", activation="silu")
        self.widen = dense(width, "widen", use_bias=False)
        self.out = dense(width, "out")
        self.feed_forward = FeedForward(
            EXPANSION, dropout, second, dtype=dtype, name="feed_forward"
        )

    def build(self, x_shape: tuple) -> None:
        """Creates the weights."""
        shape = (*x_shape[:-1], self.width)
        self.norm.build(x_shape)
        if self.gate:
            self.gate.build(x_shape)
        if not self.to_vector and x_shape[-1] != self.width:
            self.widen.build(x_shape)
        self.out.build(shape)
        self.feed_forward.build(shape)
        self.built = True

    def before(self, x):
        """The recurrent layer's input: `x`, normalized."""
        return self.norm(x)

    def call(self, x, normalized, output, training=None):
        """See the class."""
        if self.to_vector:
            x = self.out(output)
        else:
            x = self.widen(x) if self.widen.built else x
            x = x + self.drop(self.out(output * self.gate(normalized)), training=training)
        return self.feed_forward(x, training=training)

    def compute_mask(self, x, mask=None):
        """The input's mask if the output has a time axis."""
        return None if self.to_vector else mask

    def compute_output_shape(self, x_shape: tuple) -> tuple:
        """The output's shape."""
        return (x_shape[0], self.width) if self.to_vector else (*x_shape[:-1], self.width)

    def compute_output_spec(self, x, normalized, output, training=None):
        """The shape and dtype of the output."""
        return keras.KerasTensor(output.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict:
        """The layer's arguments."""
        names = ("width", "dropout", "to_vector", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
