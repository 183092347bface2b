"""Multi-head attention: what self-attention and cross-attention share."""

from typing import Any

import keras
import tensorflow as tf

from rnnapps.layers.attention import flat_matmul, masked_softmax
from rnnapps.layers.base import check_rate, check_units


class HeadedAttention(keras.layers.Layer):
    """What `SelfAttention` and `CrossAttention` share: arguments, weights, and heads.

    Args:
        units: The width of the output and of all heads together; the input's by default.
        num_heads: Number of heads, each `units / num_heads` wide.
        dropout: Fraction of the attention weights to drop in training.
        use_bias: Whether the projections have biases.
        kernel_initializer: Initializer of the kernels.
        seed: Seed of the dropout.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        units: int | None = None,
        num_heads: int = 1,
        dropout: float = 0.0,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_units(num_heads, "num_heads")
        if units is not None:
            check_units(units)
            check_heads(units, num_heads)
        check_rate(dropout, "dropout")
        super().__init__(**kwargs)
        self.units = units
        self.num_heads = num_heads
        self.dropout = dropout
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.seed = seed
        self.supports_masking = True
        self.drop = keras.layers.Dropout(dropout, seed=seed, dtype=self.dtype_policy)

    def add_dense(self, name: str, rows: int, columns: int) -> tuple:
        """Creates a kernel and, with `use_bias`, its bias."""
        kernel = self.add_weight((rows, columns), self.kernel_initializer, name=f"{name}kernel")
        bias = self.add_weight((columns,), "zeros", name=f"{name}bias") if self.use_bias else None
        return kernel, bias

    def project(self, x, kernel, bias):
        """`x kernel + bias`."""
        x = flat_matmul(x, kernel)
        return x if bias is None else x + bias

    def split(self, x, parts: int = 1) -> list:
        """Splits features into parts, and each into heads: `(batch, heads, time, width)` each."""
        heads = parts * self.num_heads
        x = tf.reshape(x, (-1, count_steps(x), heads, x.shape[-1] // heads))
        return tf.split(tf.transpose(x, (0, 2, 1, 3)), parts, axis=1)

    def attend(self, queries, keys, values, shown, training) -> tuple:
        """Scaled dot-product attention where `shown` is true.

        Returns:
            `(batch, time, units)`, and the weights `(batch, heads, time, seen)`.
        """
        scores = tf.matmul(queries * queries.shape[-1] ** -0.5, keys, transpose_b=True)
        weights = masked_softmax(scores, shown)
        x = self.drop(weights, training=training) @ values  # (batch, heads, time, width)
        x = tf.transpose(x, (0, 2, 1, 3))
        return tf.reshape(x, (-1, count_steps(x), x.shape[2] * x.shape[3])), weights

    def get_config(self) -> dict:
        """The layer's arguments."""
        names = ("units", "num_heads", "dropout", "use_bias", "seed")
        own = {name: getattr(self, name) for name in names}
        own["kernel_initializer"] = keras.initializers.serialize(self.kernel_initializer)
        return {**super().get_config(), **own}


def count_steps(x) -> Any:
    """The number of steps, static if known, so that a single step's angles are constants."""
    return tf.shape(x)[1] if x.shape[1] is None else x.shape[1]


def check_heads(width: int, num_heads: int, rotary: bool = False) -> None:
    """Raise unless `num_heads` divides `width`, into heads of even width if `rotary`."""
    check_units(num_heads, "num_heads")
    if width % num_heads:
        raise ValueError(
            f"Expected `num_heads` to divide the width {width}. Received: num_heads={num_heads}"
        )
    if rotary and width // num_heads % 2:
        raise ValueError(
            "Expected heads of an even width for rotary positions. Received: "
            f"{num_heads} heads of {width // num_heads}"
        )
