"""Score functions of attention, and AttentionPooling: a sequence to one vector."""

from typing import Any

import keras
from keras import ops

from rnnapps.layers.base import check_choice, check_rank, check_rate, check_units

POOLING_SCORES = ("additive", "dot", "scaled_dot")
MEMORY_SCORES = ("additive", "dot", "general", "scaled_dot")


def additive_score(keys, scale, query=None):
    """`scale . tanh(query + keys)`, of projected keys and an optional projected query.

    Args:
        keys: `(batch, time, width)`.
        scale: `(width,)`.
        query: `(batch, queries, width)` or `None`.

    Returns:
        `(batch, queries, time)`, or `(batch, time)` without a query.

    Reference:
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473).
    """
    if query is not None:
        keys = ops.expand_dims(query, 2) + ops.expand_dims(keys, 1)
    return ops.squeeze(flat_matmul(ops.tanh(keys), ops.expand_dims(scale, -1)), -1)


def flat_matmul(x, kernel):
    """`x @ kernel` as a single matrix product, which is faster than a batched one.

    Args:
        x: `(..., features)`.
        kernel: `(features, width)`.

    Returns:
        `(..., width)`.
    """
    return unflatten(ops.matmul(ops.reshape(x, (-1, x.shape[-1])), kernel), x)


def unflatten(flat, x):
    """Restores the leading axes of `x`, which `flat` has merged into one.

    Args:
        flat: `(rows, width)`.
        x: `(..., features)`, with the same number of rows.

    Returns:
        `(..., width)`.
    """
    rows = tuple(x.shape)[:-1]
    if rows.count(None) == 1:  # reshape infers one unknown size
        rows = tuple(-1 if size is None else size for size in rows)
    elif None in rows:
        rows = ops.shape(x)[:-1]
    return ops.reshape(flat, (*rows, flat.shape[-1]))


def dot_score(keys, query):
    """`query . keys`.

    Args:
        keys: `(batch, time, width)`.
        query: `(batch, queries, width)`.

    Returns:
        `(batch, queries, time)`.

    Reference:
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025).
    """
    return ops.matmul(query, ops.swapaxes(keys, 1, 2))


def masked_softmax(scores, mask=None):
    """Softmax along the last axis where `mask` is true, 0 elsewhere; 0 if all is masked.

    Computed in float32 or wider: bfloat16 is too coarse for a sum over many steps.
    """
    dtype = scores.dtype
    scores = ops.cast(scores, keras.backend.result_type(dtype, "float32"))
    if mask is None:
        return ops.cast(ops.softmax(scores, axis=-1), dtype)
    mask = ops.cast(mask, "bool")
    # Not minus infinity: a fully masked row would compute 0 / 0.
    weights = ops.softmax(ops.where(mask, scores, -1e9), axis=-1)
    return ops.cast(ops.where(mask, weights, 0.0), dtype)


def weighted_sum(weights, values):
    """Sum of `values (..., time, width)` weighted by `weights (..., time)`: `(..., width)`."""
    return ops.squeeze(ops.matmul(ops.expand_dims(weights, -2), values), -2)


@keras.saving.register_keras_serializable("rnnapps")
class AttentionPooling(keras.layers.Layer):
    """The mean of a sequence, weighted by learned attention.

        weights = softmax(score(sequence)),  context = sum over t of weights[t] * sequence[t]

    where `score(h)` is `scale . tanh(h kernel + bias)` (`"additive"`), `query . h` (`"dot"`), or
    `query . h / sqrt(features)` (`"scaled_dot"`).

    Args:
        units: Hidden width of the additive score; the number of features by default. Unused by
            the other scores.
        score: `"additive"`, `"dot"` or `"scaled_dot"`.
        dropout: Fraction of the attention weights to drop in training.
        kernel_initializer: Initializer of `kernel`, `scale` and `query`.
        seed: Seed of the dropout.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        sequence: `(batch, time, features)`.
        mask: `(batch, time)`, false at steps to ignore.
        training: Whether to apply dropout.
        return_attention_scores: Whether to also return the attention weights.

    Output:
        The context, `(batch, features)`; with `return_attention_scores=True`, also the weights,
        `(batch, time)`. Both are zero for fully masked rows.

    Raises:
        ValueError: If an argument or an input shape is invalid.

    Reference:
        [Yang et al., 2016](https://aclanthology.org/N16-1174/);
        [Raffel and Ellis, 2015](https://arxiv.org/abs/1512.08756).
    """

    def __init__(
        self,
        units: int | None = None,
        score: str = "additive",
        dropout: float = 0.0,
        kernel_initializer: Any = "glorot_uniform",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if units is not None:
            check_units(units)
        check_choice(score, POOLING_SCORES, "score")
        check_rate(dropout, "dropout")
        super().__init__(**kwargs)
        self.units = units
        self.score = score
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, sequence_shape: tuple) -> None:
        """Create the weights."""
        check_rank(sequence_shape, 3, "sequence")
        width = sequence_shape[-1]

        def weight(name: str, shape: tuple, initializer: Any = self.kernel_initializer):
            return self.add_weight(name=name, shape=shape, initializer=initializer)

        if self.score == "additive":
            units = self.units or width
            self.kernel = weight("kernel", (width, units))
            self.bias = weight("bias", (units,), "zeros")
            self.scale = weight("scale", (units,))
        else:
            self.query = weight("query", (width,))

    def call(self, sequence, mask=None, training=None, return_attention_scores=False):
        """See the class."""
        sequence = ops.cast(sequence, self.compute_dtype)  # Keras does not cast integers
        if self.score == "additive":
            scores = additive_score(ops.matmul(sequence, self.kernel) + self.bias, self.scale)
        else:
            scores = ops.squeeze(ops.matmul(sequence, ops.expand_dims(self.query, -1)), -1)
        if self.score == "scaled_dot":
            scores = scores / sequence.shape[-1] ** 0.5
        weights = masked_softmax(scores, mask)  # (batch, time)
        seen = weights
        if training and self.dropout:
            seen = keras.random.dropout(weights, self.dropout, seed=self.seed_generator)
        context = weighted_sum(seen, sequence)  # (batch, features)
        return (context, weights) if return_attention_scores else context

    def compute_mask(self, sequence, mask=None) -> None:
        """`None`: the context has no time axis."""

    def compute_output_shape(self, sequence_shape: tuple) -> tuple:
        """The context's shape."""
        return (sequence_shape[0], sequence_shape[-1])

    def compute_output_spec(self, sequence, return_attention_scores=False, **arguments):
        """The shapes and dtypes of the outputs."""
        shape = self.compute_output_shape(sequence.shape)
        context = keras.KerasTensor(shape, dtype=self.compute_dtype)
        weights = keras.KerasTensor(sequence.shape[:2], dtype=self.compute_dtype)
        return (context, weights) if return_attention_scores else context

    def get_config(self) -> dict:
        """The layer's arguments."""
        config = {
            "units": self.units,
            "score": self.score,
            "dropout": self.dropout,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "seed": self.seed,
        }
        return {**super().get_config(), **config}
