"""FeedForward: normalization and two dense layers per step, with a residual connection."""

from typing import Any

import keras
from keras import ops

from rnnapps.layers.attention import unflatten
from rnnapps.layers.base import check_rate, check_units


@keras.saving.register_keras_serializable("rnnapps")
class FeedForward(keras.layers.Layer):
    """Layer normalization and two dense layers per step, with a residual connection.

        x + silu(N(x) K_1 + b_1) K_2 + b_2

    Args:
        expansion: Width of the first dense layer as a multiple of `x`'s.
        dropout: Dropout rate of the residual branches.
        seed: Seed of the dropout.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        x: `(..., features)`.
        training: Whether to apply dropout.

    Output:
        `(..., features)`.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762);
        [Xiong et al., 2020](https://arxiv.org/abs/2002.04745), for the pre-normalization.
    """

    def __init__(
        self, expansion: int = 4, dropout: float = 0.0, seed: int | None = None, **kwargs: Any
    ) -> None:
        check_units(expansion, "expansion")
        check_rate(dropout, "dropout")
        super().__init__(**kwargs)
        self.expansion = expansion
        self.dropout = dropout
        self.seed = seed
        self.supports_masking = True
        self.norm = keras.layers.LayerNormalization(dtype=self.dtype_policy, name="norm")
        self.drop = keras.layers.Dropout(dropout, seed=seed, dtype=self.dtype_policy)

    def build(self, x_shape: tuple) -> None:
        """Creates the weights."""
        *rows, width = x_shape
        wide = self.expansion * width
        dtype = self.dtype_policy
        self.up = keras.layers.Dense(wide, "silu", dtype=dtype, name="up")
        self.down = keras.layers.Dense(width, dtype=dtype, name="down")
        self.norm.build(x_shape)
        self.up.build(x_shape)
        self.down.build((*rows, wide))
        self.built = True

    def call(self, x, training=None):
        """See the class."""
        flat = ops.reshape(x, (-1, x.shape[-1]))  # faster than a batched product
        y = unflatten(self.down(self.up(self.norm(flat))), x)
        return x + self.drop(y, training=training)

    def compute_output_shape(self, x_shape: tuple) -> tuple:
        """The output's shape: the input's."""
        return x_shape

    def get_config(self) -> dict:
        """The layer's arguments."""
        names = ("expansion", "dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
