"""Truncated back-propagation through time: the state is carried from window to window."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("rnnapps")
class StreamedNetwork(keras.Model):
    """A network that reads parallel streams window after window, and carries its state on.

    Args:
        network: From `(ids, state)` to the next tokens' logits and the state after; it has
            `state_sizes`.
        streams: Streams side by side, on each replica.
        **kwargs: Arguments of `keras.Model`.

    Call arguments:
        inputs: `(ids, begins)`: int32 `(streams, window)`, and int32 `(streams,)`, 1 where a
            stream begins anew, from a state of zeros, else 0.
        training: Whether to apply dropout.

    Output:
        float32 logits `(streams, window, vocabulary)`.
    """

    def __init__(self, network: keras.layers.Layer, streams: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.network, self.streams = network, streams
        self.carried = [
            keras.Variable(
                "zeros",
                (streams, size),
                trainable=False,
                name=f"state_{i}",
                synchronization="on_read",  # each replica has its own streams
                aggregation="only_first_replica",
            )
            for i, size in enumerate(network.state_sizes)
        ]
        self.built = True

    def call(self, inputs, training=None):
        """See the class."""
        ids, begins = inputs
        state = [tf.convert_to_tensor(value) for value in self.carried]
        state = [value * tf.cast(1 - begins, value.dtype)[:, None] for value in state]
        logits, state = self.network(ids, state, training=training)
        for variable, value in zip(self.carried, state, strict=True):
            variable.assign(tf.cast(value, variable.dtype))
        return logits

    def get_config(self):
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network, "streams": self.streams}
