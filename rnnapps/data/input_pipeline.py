"""From the indices of examples to prefetched batches."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf


class InPlace:
    """What batches are made from, and tf.data is not to copy.

    As it rewrites a pipeline, tf.data copies each tensor that a function of it captures; of a
    variable a function captures the handle, and the values stay where they are.

    Args:
        values: The values, dense or ragged.
    """

    def __init__(self, values: np.ndarray | tf.Tensor | tf.RaggedTensor):
        values = values if tf.is_tensor(values) else tf.constant(values)
        self.spec = tf.type_spec_from_value(values)
        with ThreadPoolExecutor(1) as aside:  # in a strategy's scope each replica has a variable
            parts = tf.nest.flatten(values, expand_composites=True)
            self.parts = [aside.submit(_variable, part).result() for part in parts]

    def __call__(self) -> tf.Tensor | tf.RaggedTensor:
        """The values, within a function of a pipeline."""
        parts = [part.read_value() for part in self.parts]
        return tf.nest.pack_sequence_as(self.spec, parts, expand_composites=True)


def _variable(values: tf.Tensor) -> tf.Variable:
    with tf.device("CPU:0"):
        return tf.Variable(values, trainable=False)


def as_it_is(function: Callable) -> Callable:
    """Keeps autograph from rewriting a function, in files that a killed process leaves behind.

    Args:
        function: What `tf.data` maps, with no Python branch or loop over tensors in it.

    Returns:
        The same function, which is traced as it is.
    """
    return tf.autograph.experimental.do_not_convert(function)


def feed(numbers: tf.data.Dataset, batch: Callable) -> tf.data.Dataset:
    """Makes batches in the background while a model works on the ones before.

    The autotuner of tf.data stays out of it: it looks at a pipeline after 10 ms, 20 ms, 40 ms and
    so on up to a minute, and an iterator that is through does not end before its next look, so
    that a pass over 3 s of batches takes 5 s. Its rewritings of a pipeline stay, though they copy
    what is not `InPlace`: without them (`apply_default_optimizations`) TensorFlow 2.21 crashes in
    one of some hundred passes, as the iterator of one that is through is deleted.

    Args:
        numbers: What each batch is made from.
        batch: Makes a batch, in TensorFlow.

    Returns:
        The batches, in the order of `numbers`.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    batches = numbers.map(as_it_is(batch), tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(2).with_options(options)


def scaled(fed: tuple, by: float) -> tuple:
    """A batch with its weights multiplied.

    Keras' mean loss of a pass counts filled-up rows as 0; where `by` is all rows : real ones, it is
    the mean over these.

    Args:
        fed: What a model is fed of a batch, its weights last.
        by: The factor.

    Returns:
        The same with other weights.
    """
    *rest, weights = fed
    return *rest, weights * by
