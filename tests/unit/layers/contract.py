"""The contract of a recurrent layer: one check for each clause, for any of the layers.

A `Case` says how to make the layer, and the plain cell that it has to agree with inside
`keras.layers.RNN`, which knows nothing of the loops written by hand.
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

BATCH, TIME, FEATURES, UNITS = 4, 5, 3, 2

# Whole, right-padded, left-padded with a gap, and empty.
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]], bool)


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer under test: `layer(**arguments)`, and the cell with the same weights."""

    layer: Callable[..., keras.Layer]
    cell: Callable[..., keras.Layer]

    def make(self, **arguments) -> keras.Layer:
        """Build the layer on random weights."""
        return build(self.layer(**{"units": UNITS, **arguments}))

    def plain(self, like: keras.Layer, **arguments) -> keras.Layer:
        """Build `keras.layers.RNN` over the cell, with the weights of a layer."""
        rnn = keras.layers.RNN(self.cell(units=UNITS, dtype=like.dtype_policy), **arguments)
        rnn.build((BATCH, TIME, FEATURES))
        rnn.set_weights(like.get_weights())
        return rnn


def build(layer: keras.Layer, batch: int | None = BATCH) -> keras.Layer:
    """Build a layer, and give it weights none of which is zero."""
    layer.build((batch, TIME, FEATURES))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=w.shape) / 2 for w in layer.get_weights()])
    return layer


def sequence(dtype: str = "float32", time: int = TIME) -> tf.Tensor:
    """Return random inputs."""
    return tf.constant(np.random.default_rng(1).normal(size=(BATCH, time, FEATURES)), dtype)


def random_state(layer: keras.Layer) -> list[tf.Tensor]:
    """Return a state as one could come out of the layer: no total weight is negative."""
    rng = np.random.default_rng(2)
    sizes = layer.state_size
    return [tf.constant(abs(rng.normal(size=(BATCH, s))), layer.compute_dtype) for s in sizes]


def value_and_gradients(layer: keras.Layer, x: tf.Tensor, state=(), **arguments) -> tuple:
    """Return the outputs, and the gradients of a function of all of them."""
    weights = [v.value for v in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([x, *state])
        outputs = layer(x, initial_state=list(state) or None, **arguments)
        outputs = keras.tree.flatten(outputs)
        loss = tf.add_n([tf.reduce_sum(tf.sin(3 * tf.cast(y, x.dtype))) for y in outputs])
    gradients = tape.gradient(loss, [x, *state, *weights], unconnected_gradients="zero")
    return outputs, gradients


def assert_close(left, right, tolerance: float = 1e-5) -> None:
    """Assert that two lists of tensors are equal but for rounding."""
    left, right = keras.tree.flatten(left), keras.tree.flatten(right)
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        a, b = np.asarray(tf.cast(a, "float64")), np.asarray(tf.cast(b, "float64"))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
