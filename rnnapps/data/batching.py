"""Batches of sequences of like length, in an order that depends on the seed and the epoch alone."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


class Batches:
    """Sequences with labels, cut into batches of like length so that little is padding.

    Every epoch has the same number of batches, each of full size: the last one is filled up with
    empty rows of weight 0. What an epoch looks like depends on the seed and the epoch's number
    alone, so that training that was interrupted can go on exactly where it was.

    Args:
        ids: int32 ids, ragged `(examples, time)`.
        labels: int32 labels `(examples,)`.
        batch_size: Rows of a batch.
        max_length: Longer sequences lose their middle: the first and the last half of so many ids
            are kept.
        boundaries: Ascending lengths; every batch is padded to the smallest that holds it, so that
            XLA sees few shapes. Empty: each batch is padded to its own longest row.
        seed: Seed of the order.
    """

    def __init__(
        self,
        ids: tf.RaggedTensor,
        labels: Sequence[int],
        batch_size: int,
        max_length: int | None = None,
        boundaries: Sequence[int] = (),
        seed: int = 0,
    ):
        self.ids = ids if max_length is None else shorten(ids, max_length)
        self.labels = tf.constant(np.asarray(labels), tf.int32)
        self.lengths = tf.cast(self.ids.row_lengths(), tf.int32)
        self.batch_size, self.seed = batch_size, seed
        self.boundaries = tuple(boundaries)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return -(-len(self.labels) // self.batch_size)

    def epochs(self, first: int = 0) -> tf.data.Dataset:
        """All epochs from `first` on, without end: `(ids, labels, weights)` of each batch."""
        epochs = tf.data.Dataset.range(first, 2**31 - 1, output_type=tf.int32)
        plans = epochs.flat_map(lambda e: tf.data.Dataset.from_tensor_slices(self._plan(e)))
        return plans.map(self._batch, tf.data.AUTOTUNE, deterministic=True).prefetch(2)

    def in_order(self) -> tf.data.Dataset:
        """One pass, in the examples' own order, for evaluation: `(ids, labels, weights)`."""
        plan = tf.reshape(self._fill(tf.range(len(self.labels))), (-1, self.batch_size))
        return tf.data.Dataset.from_tensor_slices(plan).map(self._batch, tf.data.AUTOTUNE)

    def _fill(self, order: tf.Tensor) -> tf.Tensor:
        missing = len(self) * self.batch_size - len(self.labels)
        return tf.pad(order, [[0, missing]], constant_values=-1)

    def _plan(self, epoch: tf.Tensor) -> tf.Tensor:
        """The indices of an epoch's batches `(batches, batch_size)`; -1 is an empty row."""
        seeds = tf.random.experimental.stateless_split((self.seed, epoch), 2)
        # Sorting by length with some noise makes other batches of like length in every epoch.
        noise = tf.random.stateless_uniform(tf.shape(self.lengths), seeds[0], 0.9, 1.1)
        order = tf.argsort(tf.cast(self.lengths + 1, tf.float32) * noise)
        plan = tf.reshape(self._fill(order), (-1, self.batch_size))
        turn = tf.argsort(tf.random.stateless_uniform((len(self),), seeds[1]))
        return tf.gather(plan, turn)

    def _batch(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        real = indices >= 0
        indices = tf.maximum(indices, 0)
        rows = tf.gather(self.ids, indices)
        longest = tf.maximum(1, tf.reduce_max(tf.gather(self.lengths, indices)))
        if self.boundaries:
            bounds = tf.constant(self.boundaries)
            longest = tf.gather(bounds, tf.searchsorted(bounds, longest[None])[0])
        ids = rows.to_tensor(0, shape=(self.batch_size, longest))  # (batch, time)
        ids = tf.where(real[:, None], ids, 0)
        return ids, tf.gather(self.labels, indices), tf.cast(real, tf.float32)


def shorten(ids: tf.RaggedTensor, max_length: int) -> tf.RaggedTensor:
    """Keeps the first and the last half of each row that is longer than `max_length`."""
    head = (max_length + 1) // 2
    starts, lengths = ids.row_starts(), ids.row_lengths()
    position = tf.range(tf.size(ids.values, tf.int64)) - tf.repeat(starts, lengths)
    left = tf.repeat(lengths, lengths) - position  # ids from here to the end of the row
    keep = (position < head) | (left <= max_length - head)
    return tf.ragged.boolean_mask(ids, ids.with_values(keep))
