"""Position encodings: rotary, sinusoidal, or learned."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from rnnapps.layers.base import check_choice, check_units

POSITIONS = ("rotary", "sinusoidal", "learned", "none")


def angles(positions, width: int):
    """`positions / 10000 ** (2 i / width)` for each i below `width / 2`: `(..., width // 2)`."""
    rates = 10_000.0 ** (-np.arange(0, width - 1, 2) / width)
    return tf.cast(positions, tf.float32)[..., tf.newaxis] * tf.constant(rates, tf.float32)


def sinusoids(positions, width: int):
    """Sinusoidal position encodings: the sines of the angles, then their cosines.

    Args:
        positions: Positions, of any shape.
        width: Number of features, even.

    Returns:
        float32 `(*positions.shape, width)`.

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762).
    """
    at = angles(positions, width)
    return tf.concat([tf.sin(at), tf.cos(at)], axis=-1)


def rotate(x, positions):
    """Rotates each pair of features by an angle proportional to the position.

    The dot product of two vectors then depends on their distance, not on their positions.

    Args:
        x: `(..., time, width)`, with an even width; i and i + width / 2 are a pair.
        positions: `(time,)`.

    Returns:
        Same shape and dtype as `x`.

    Reference:
        [Su et al., 2021](https://arxiv.org/abs/2104.09864).
    """
    at = angles(positions, x.shape[-1])  # (time, width / 2)
    sine, cosine = tf.sin(at), tf.cos(at)
    sine = tf.cast(tf.concat([-sine, sine], axis=-1), x.dtype)
    cosine = tf.cast(tf.concat([cosine, cosine], axis=-1), x.dtype)
    return x * cosine + tf.roll(x, x.shape[-1] // 2, axis=-1) * sine


@keras.saving.register_keras_serializable("rnnapps")
class PositionEmbedding(keras.layers.Layer):
    """Adds a position embedding to each step.

    Args:
        kind: `"sinusoidal"` or `"learned"`.
        length: Number of learned positions; unused by `"sinusoidal"`.
        repeats: Whether learned positions wrap around at `length`, for windowed attention.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        x: `(batch, time, features)`.
        positions: The position of each step, `(batch, time)`; 0, 1, 2, ... by default.

    Output:
        `(batch, time, features)`.

    Raises:
        ValueError: If an argument is invalid, the number of features is odd with `"sinusoidal"`,
            or there are more than `length` steps without `repeats`.

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762).

    Example:
    >>> PositionEmbedding()(np.zeros((2, 5, 4))).shape
    TensorShape([2, 5, 4])
    """

    def __init__(
        self,
        kind: str = "sinusoidal",
        length: int | None = None,
        repeats: bool = False,
        **kwargs: Any,
    ) -> None:
        check_choice(kind, ("sinusoidal", "learned"), "kind")
        if kind == "learned":
            check_units(length, "length")
        super().__init__(**kwargs)
        self.kind = kind
        self.length = length
        self.repeats = repeats
        self.supports_masking = True

    def build(self, x_shape: tuple) -> None:
        """Creates the embedding table."""
        if self.kind == "sinusoidal" and x_shape[-1] % 2:
            raise ValueError(
                "Expected an even number of features for sinusoidal positions. "
                f"Received: shape={tuple(x_shape)}"
            )
        if self.kind == "learned":
            normal = keras.initializers.RandomNormal(stddev=0.02)
            self.table = self.add_weight((self.length, x_shape[-1]), normal, name="table")

    def call(self, x, positions=None):
        """See the class."""
        if self.kind == "learned" and not self.repeats:
            self._check_steps(x)
        if positions is None:
            positions = tf.range(tf.shape(x)[1])[tf.newaxis]  # (1, time)
        if self.kind == "sinusoidal":
            return x + ops.cast(sinusoids(positions, x.shape[-1]), x.dtype)
        # Without `repeats`, later steps get the last position.
        last = tf.minimum(positions, self.length - 1)
        rows = positions % self.length if self.repeats else last
        return x + tf.gather(ops.cast(self.table, x.dtype), rows)

    def _check_steps(self, x) -> None:
        if (x.shape[1] or 0) > self.length:
            raise ValueError(
                f"Expected at most `length={self.length}` steps, the number of learned positions. "
                f"Received: shape={tuple(x.shape)}"
            )

    def get_config(self) -> dict:
        """The layer's arguments."""
        own = {"kind": self.kind, "length": self.length, "repeats": self.repeats}
        return {**super().get_config(), **own}
