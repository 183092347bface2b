"""Batches of sequences of like length, in an order that depends on the seed and the epoch alone."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from rnnapps.text import shorten


class Batches:
    """Sequences with labels, cut into batches of like length so that little is padding.

    Every epoch has the same number of batches, each of full size: the last one is filled up with
    empty rows of weight 0. What an epoch looks like depends on the seed and the epoch's number
    alone, so that training that was interrupted can go on exactly where it was.

    Args:
        ids: int32 ids, ragged `(examples, time)`.
        labels: int32 labels `(examples,)`.
        batch_size: Rows of a batch.
        max_length: Longer sequences lose their middle (`text.shorten`); `None` keeps all.
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
        self.ids = ids
        self.labels = tf.constant(np.asarray(labels), tf.int32)
        self.lengths = tf.cast(ids.row_lengths(), tf.int32)
        self.max_length = max_length or max(1, int(tf.reduce_max(self.lengths)))
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

    def one_pass(self) -> tuple[tf.data.Dataset, np.ndarray]:
        """Each example once, by length, for evaluation and prediction.

        Returns:
            The batches `(ids, labels, weights)`, and which example each of their rows is; rows past
            the last example are filling.
        """
        order = np.argsort(self.lengths, kind="stable")
        plan = tf.reshape(self._fill(tf.constant(order, tf.int32)), (-1, self.batch_size))
        batches = tf.data.Dataset.from_tensor_slices(plan)
        return batches.map(self._batch, tf.data.AUTOTUNE, deterministic=True).prefetch(2), order

    def _fill(self, order: tf.Tensor) -> tf.Tensor:
        missing = len(self) * self.batch_size - len(self.labels)
        return tf.pad(order, [[0, missing]], constant_values=-1)

    def _plan(self, epoch: tf.Tensor) -> tf.Tensor:
        """The indices of an epoch's batches `(batches, batch_size)`; -1 is an empty row."""
        seeds = tf.random.experimental.stateless_split((self.seed, epoch), 2)
        # Sorting by length with some noise makes other batches of like length in every epoch.
        noise = tf.random.stateless_uniform(tf.shape(self.lengths), seeds[0], 0.9, 1.1)
        seen = tf.cast(tf.minimum(self.lengths, self.max_length) + 1, tf.float32)
        order = tf.argsort(seen * noise)
        plan = tf.reshape(self._fill(order), (-1, self.batch_size))
        turn = tf.argsort(tf.random.stateless_uniform((len(self),), seeds[1]))
        return tf.gather(plan, turn)

    def _batch(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        real = indices >= 0
        rows = tf.maximum(indices, 0)
        lengths = tf.gather(self.lengths, rows)
        ids = shorten(tf.gather(self.ids, rows).to_tensor(), lengths, self.max_length)
        ids = tf.where(real[:, None], ids, 0)
        longest = tf.maximum(1, tf.shape(ids)[1])
        if self.boundaries:
            bounds = tf.constant(self.boundaries)
            longest = tf.gather(bounds, tf.searchsorted(bounds, longest[None])[0])
        ids = tf.pad(ids, [[0, 0], [0, longest - tf.shape(ids)[1]]])
        ids = tf.ensure_shape(ids, (self.batch_size, None))  # (batch, time)
        return ids, tf.gather(self.labels, rows), tf.cast(real, tf.float32)
