"""Batches of sequences of similar length, in an order that depends on seed and epoch alone."""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from rnnapps.data.input_pipeline import InPlace, as_it_is, feed, scaled
from rnnapps.text import shorten

SPAN = (8, 100)  # tokens of a span: from a clause to a few sentences


def ids_of(ids: tf.RaggedTensor, indices: tf.Tensor) -> tf.RaggedTensor:
    """The int32 ids of some examples, ragged `(batch, time)`; those of -1 mean nothing.

    Args:
        ids: Ids of all examples, ragged `(examples, time)`; stored ones are of a smaller type.
        indices: Which examples `(batch,)`.
    """
    return tf.cast(tf.gather(ids, tf.maximum(indices, 0)), tf.int32)


class BatchesByLength:
    """Examples cut into batches of like length so that little is padding.

    Every epoch has the same number of batches, each of full size: the last one is filled up with
    empty rows of weight 0. What an epoch looks like depends on the seed and the epoch's number
    alone, so that training that was interrupted can go on exactly where it was.

    Args:
        lengths: int32, how long each example is `(examples,)`.
        batch_size: Rows of a batch.
        boundaries: Ascending lengths; every batch is padded to the smallest that holds it, so that
            XLA sees few shapes. Empty: each batch is padded to its own longest row.
        seed: Seed of the order.
    """

    def __init__(
        self, lengths: tf.Tensor, batch_size: int, boundaries: Sequence[int] = (), seed: int = 0
    ):
        self.lengths = tf.cast(lengths, tf.int32)
        self.batch_size, self.boundaries, self.seed = batch_size, tuple(boundaries), seed

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return -(-len(self.lengths) // self.batch_size)

    @property
    def size(self) -> str:
        """How much an epoch is."""
        return f"{len(self.lengths):,} examples, {np.sum(self.lengths, dtype=np.int64):,} tokens"

    def epochs(self, first: int = 0) -> tf.data.Dataset:
        """All epochs from `first` on, without end: what a model is fed of each batch."""
        epochs = tf.data.Dataset.range(first, 2**31 - 1, output_type=tf.int32)
        slices = tf.data.Dataset.from_tensor_slices
        plans = epochs.flat_map(as_it_is(lambda epoch: slices(self._plan(epoch))))
        return feed(plans, self._batch)

    def one_pass(self) -> tuple[tf.data.Dataset, np.ndarray]:
        """Each example once, by length, for evaluation and prediction.

        Returns:
            The batches, whose mean loss is that of the examples (see `scaled`), and which example
            each of their rows is; rows past the last example are filling.
        """
        order = np.argsort(self.lengths, kind="stable")
        plan = tf.reshape(self._fill(tf.constant(order, tf.int32)), (-1, self.batch_size))
        batches = tf.data.Dataset.from_tensor_slices(plan)
        share = plan.shape.num_elements() / max(1, len(order))
        return feed(batches, lambda indices: scaled(self._batch(indices), share)), order

    def _fill(self, order: tf.Tensor) -> tf.Tensor:
        missing = len(self) * self.batch_size - len(self.lengths)
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

    def _batch(self, indices: tf.Tensor) -> tuple:
        """What a model is fed of these examples."""
        raise NotImplementedError

    def _pad(self, ids: tf.Tensor) -> tf.Tensor:
        """Fills ids up to the next of the boundaries, and to at least one place."""
        longest = tf.maximum(1, tf.shape(ids)[1])
        if self.boundaries:
            bounds = tf.constant(self.boundaries)
            longest = tf.gather(bounds, tf.searchsorted(bounds, longest[None])[0])
        ids = tf.pad(ids, [[0, 0], [0, longest - tf.shape(ids)[1]]])
        return tf.ensure_shape(ids, (self.batch_size, None))  # (batch, time)


class Batches(BatchesByLength):
    """Sequences with labels: `(ids, labels, weights)` of each batch. See `BatchesByLength`.

    Args:
        ids: Ids, ragged `(examples, time)`, of any type of whole numbers.
        labels: Labels `(examples,)`, or their probabilities `(examples, classes)`.
        batch_size: Rows of a batch.
        max_length: Longer sequences lose their middle (`text.shorten`); `None` keeps all.
        boundaries: Ascending lengths; every batch is padded to the smallest that holds it, so that
            XLA sees few shapes. Empty: each batch is padded to its own longest row.
        seed: Seed of the order.
    """

    def __init__(
        self,
        ids: tf.RaggedTensor,
        labels: Sequence[int] | np.ndarray,
        batch_size: int,
        max_length: int | None = None,
        boundaries: Sequence[int] = (),
        seed: int = 0,
    ):
        lengths = tf.cast(ids.row_lengths(), tf.int32)
        self.max_length = max_length or max(1, int(tf.reduce_max(lengths)))
        super().__init__(tf.minimum(lengths, self.max_length), batch_size, boundaries, seed)
        kind = tf.int32 if np.ndim(labels) == 1 else tf.float32
        self.ids, self.labels = InPlace(ids), tf.constant(np.asarray(labels), kind)

    def _batch(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        real = indices >= 0
        rows = ids_of(self.ids(), indices)
        lengths = tf.cast(rows.row_lengths(), tf.int32)
        ids = shorten(rows.to_tensor(), lengths, self.max_length)
        return self._labelled(tf.where(real[:, None], ids, 0), indices)

    def _labelled(self, ids: tf.Tensor, indices: tf.Tensor) -> tuple:
        labels = tf.gather(self.labels, tf.maximum(indices, 0))
        return self._pad(ids), labels, tf.cast(indices >= 0, tf.float32)


class CroppedBatches:
    """Batches, and others of spans of the same sequences, with the labels of the whole ones.

    Args:
        batches: The batches.
        share: The share of the sequences of which an epoch also has a span.
    """

    def __init__(self, batches: Batches, share: float):
        self.batches = batches
        self.spans = int(share * len(batches.lengths))

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return len(self.batches) - (-self.spans // self.batches.batch_size)

    @property
    def size(self) -> str:
        """How much an epoch is."""
        return f"{self.batches.size}, and spans of {self.spans:,} of them"

    def epochs(self, first: int = 0) -> tf.data.Dataset:
        """All epochs from `first` on, without end."""
        epochs = tf.data.Dataset.range(first, 2**31 - 1, output_type=tf.int32)
        slices = tf.data.Dataset.from_tensor_slices
        plans = epochs.flat_map(as_it_is(lambda epoch: slices(self._plan(epoch))))
        return feed(plans, self._batch)

    def _plan(self, epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The indices of an epoch's batches `(batches, batch_size)`, and seeds of those of spans.

        A seed is -1 where the sequences are whole.
        """
        whole, size = self.batches._plan(epoch), self.batches.batch_size
        seeds = tf.random.experimental.stateless_split((self.batches.seed + 1, epoch), 3)
        order = tf.random.stateless_uniform(tf.shape(self.batches.lengths), seeds[0])
        chosen = tf.argsort(order)[: self.spans]
        filling = (len(self) - len(self.batches)) * size - self.spans
        spans = tf.reshape(tf.pad(chosen, [[0, filling]], constant_values=-1), (-1, size))
        drawn = tf.random.stateless_uniform(
            (len(self) - len(self.batches),), seeds[1], maxval=2**31 - 1, dtype=tf.int32
        )
        seed = tf.concat([tf.fill([len(self.batches)], -1), drawn], axis=0)
        turn = tf.argsort(tf.random.stateless_uniform((len(self),), seeds[2]))
        return tf.gather(tf.concat([whole, spans], axis=0), turn), tf.gather(seed, turn)

    def _batch(self, indices: tf.Tensor, seed: tf.Tensor) -> tuple:
        whole = as_it_is(lambda: self.batches._batch(indices))
        return tf.cond(seed < 0, whole, as_it_is(lambda: self._spans(indices, seed)))

    def _spans(self, indices: tf.Tensor, seed: tf.Tensor) -> tuple:
        rows = ids_of(self.batches.ids(), indices)
        lengths = tf.cast(rows.row_lengths(), tf.int32)
        drawn = tf.random.stateless_uniform((2, self.batches.batch_size), (seed, 0))
        low, high = map(math.log, SPAN)
        longest = tf.minimum(lengths, self.batches.max_length)
        kept = tf.minimum(tf.cast(tf.exp(low + drawn[0] * (high - low)), tf.int32), longest)
        kept = tf.where(indices >= 0, kept, 0)
        starts = tf.cast(drawn[1] * tf.cast(lengths - kept + 1, tf.float32), tf.int32)
        steps = tf.range(tf.reduce_max(kept))
        places = tf.minimum(starts[:, None] + steps, tf.maximum(lengths - 1, 0)[:, None])
        dense = tf.pad(rows.to_tensor(), [[0, 0], [0, 1]])  # all rows may be empty
        ids = tf.where(steps < kept[:, None], tf.gather(dense, places, batch_dims=1), 0)
        return self.batches._labelled(ids, indices)


class PairBatches(BatchesByLength):
    """Pairs of sequences, for teacher forcing. See `BatchesByLength`.

    Of each batch: `(sources, inputs)`, `outputs` and `weights`. A row of `inputs` is bos and
    the target, one of `outputs` the target and eos, both `(batch, time + 1)`; the weights are 1
    where there is an output.

    Args:
        sources: int32 ids, ragged `(examples, source_time)`.
        targets: int32 ids, ragged `(examples, time)`.
        bos: The id before each target.
        eos: The id after each target.
        batch_size: Rows of a batch.
        boundaries: See `BatchesByLength`; of each side by itself.
        seed: Seed of the order.
        kept: Which of the pairs to learn from `(kept,)`; `None` for all.
    """

    def __init__(
        self,
        sources: tf.RaggedTensor,
        targets: tf.RaggedTensor,
        bos: int,
        eos: int,
        batch_size: int,
        boundaries: Sequence[int] = (),
        seed: int = 0,
        kept: np.ndarray | None = None,
    ):
        lengths = sources.row_lengths() + targets.row_lengths()
        kept = np.arange(len(lengths)) if kept is None else kept
        super().__init__(tf.gather(lengths, kept), batch_size, boundaries, seed)
        self.sources, self.targets = InPlace(sources), InPlace(targets)
        self.kept = InPlace(kept.astype(np.int32))
        self.bos, self.eos = bos, eos

    def _batch(self, indices: tf.Tensor) -> tuple:
        real = (indices >= 0)[:, None]
        rows = tf.gather(self.kept(), tf.maximum(indices, 0))
        sources, targets = ids_of(self.sources(), rows), ids_of(self.targets(), rows)
        ends = tf.ones([self.batch_size, 1], tf.int32)
        inputs = tf.concat([self.bos * ends, targets], 1).to_tensor()
        outputs = tf.concat([targets, self.eos * ends], 1).to_tensor()
        sources, inputs, outputs = (
            self._pad(tf.where(real, ids, 0)) for ids in (sources.to_tensor(), inputs, outputs)
        )
        return (sources, inputs), outputs, tf.cast(outputs != 0, tf.float32)
