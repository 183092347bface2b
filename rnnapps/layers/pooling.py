"""Max and mean pooling of a sequence to one vector."""

import keras
from keras import ops

KINDS = ("max", "mean", "max_mean")


@keras.saving.register_keras_serializable("rnnapps")
class SequencePooling(keras.layers.Layer):
    """The maximum or mean of each feature over the unmasked steps.

    Args:
        kind: `"max"`, `"mean"`, or `"max_mean"` for both, concatenated.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        sequence: `(batch, time, features)`.
        mask: `(batch, time)`, false at steps to ignore.

    Output:
        `(batch, features)`, or `(batch, 2 * features)` with `"max_mean"`. Zero for fully masked
        rows.

    Raises:
        ValueError: If `kind` is unknown.
    """

    def __init__(self, kind: str, **kwargs):
        super().__init__(**kwargs)
        if kind not in KINDS:
            raise ValueError(f"Expected kind to be one of {', '.join(KINDS)}. Received: {kind!r}")
        self.kind = kind
        self.supports_masking = True

    def call(self, sequence, mask=None):
        sequence = ops.cast(sequence, self.compute_dtype)  # Keras does not cast integers
        if mask is None:
            mask = ops.ones(ops.shape(sequence)[:2], "bool")
        seen = ops.expand_dims(ops.cast(mask, "bool"), -1)  # (batch, time, 1)
        pooled = []
        if self.kind != "mean":
            lowest = ops.cast(-3e38, sequence.dtype)
            largest = ops.max(ops.where(seen, sequence, lowest), axis=1)
            pooled.append(ops.where(ops.any(seen, axis=1), largest, ops.zeros_like(largest)))
        if self.kind != "max":
            # Sum in float32: bfloat16 has 8 bits of precision.
            total = ops.sum(ops.where(seen, ops.cast(sequence, "float32"), 0.0), axis=1)
            count = ops.maximum(ops.sum(ops.cast(seen, "float32"), axis=1), 1.0)
            pooled.append(ops.cast(total / count, sequence.dtype))
        return ops.concatenate(pooled, axis=-1)  # (batch, features or 2 * features)

    def compute_mask(self, sequence, mask=None):
        return None

    def compute_output_shape(self, sequence_shape):
        times = 2 if self.kind == "max_mean" else 1
        return (sequence_shape[0], times * sequence_shape[-1])

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}
