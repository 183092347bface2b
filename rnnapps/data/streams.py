"""A text as the parallel streams in which training reads it."""

import numpy as np
import tensorflow as tf

from rnnapps.data.input_pipeline import InPlace, as_it_is, feed
from rnnapps.data.stored import as_tensor

_BEGINNING = 0  # the id that stands before a text


class Streams:
    """A text as parallel streams: what training by truncated back-propagation through time reads.

    The text is cut into `streams` runs of equal length, and these into windows. A batch holds one
    window of each stream; the next batch goes on where it ended. The text is taken as a ring, and
    each epoch begins at another place of it, which depends on the seed and the epoch's number
    alone, so that training that was interrupted can go on exactly where it was.

    Args:
        ids: Ids `(tokens,)`, of any type of whole numbers.
        streams: Streams side by side.
        window: Tokens of a window.
        seed: Seed of the epochs' beginnings.
        backwards: Whether to read the text from its end.
    """

    def __init__(
        self,
        ids: np.ndarray | tf.Tensor,
        streams: int,
        window: int,
        seed: int = 0,
        backwards: bool = False,
    ):
        self.ids = InPlace(ids if tf.is_tensor(ids) else as_tensor(ids))
        self.tokens = len(ids)
        self.backwards = backwards
        self.streams, self.seed = streams, seed
        self.windows = max(1, len(ids) // (streams * window))
        # Windows that are all of one length make an epoch's mean loss the mean over its tokens.
        self.window = min(window, len(ids) // streams)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return self.windows

    @property
    def size(self) -> str:
        """How much an epoch is."""
        return f"{self.windows * self.window * self.streams:,} tokens"

    def epochs(self, first: int = 0) -> tf.data.Dataset:
        """All epochs from `first` on, without end.

        Each batch is `((ids, begins), targets)`: ids and targets int32 `(streams, window)`, the
        targets one token ahead; and int32 `(streams,)`, 1 where they begin, with id 0, else 0.
        """
        epochs = tf.data.Dataset.range(first, 2**31 - 1, output_type=tf.int32)
        windows = epochs.flat_map(as_it_is(lambda e: self._windows(self._offset(e))))
        return feed(windows, self._batch)

    def one_pass(self) -> tf.data.Dataset:
        """One epoch that begins where the text does, for validation."""
        return feed(self._windows(tf.constant(0)), self._batch)

    def _offset(self, epoch: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform(
            (), (self.seed, epoch), maxval=self.tokens, dtype=tf.int32
        )

    def _windows(self, offset: tf.Tensor) -> tf.data.Dataset:
        windows = tf.data.Dataset.range(self.windows, output_type=tf.int32)
        return windows.map(as_it_is(lambda w: (offset, w)))

    def _batch(self, offset: tf.Tensor, window: tf.Tensor) -> tuple:
        offset, number = tf.cast(offset, tf.int64), tf.cast(window, tf.int64)  # sums pass 2**31
        streams = tf.range(self.streams, dtype=tf.int64)
        starts = offset + streams * (self.windows * self.window)  # (streams,)
        places = tf.range(-1, self.window, dtype=tf.int64) + number * self.window + starts[:, None]
        places %= self.tokens  # (streams, 1 + window)
        tokens = tf.gather(self.ids(), self.tokens - 1 - places if self.backwards else places)
        tokens = tf.cast(tokens, tf.int32)  # stored ones are of a smaller type
        first = window == 0
        ids = tf.where(first & (tf.range(self.window) == 0), _BEGINNING, tokens[:, :-1])
        return (ids, tf.fill([self.streams], tf.cast(first, tf.int32))), tokens[:, 1:]


class StreamsByDirection:
    """The `Streams` of a text that is read forwards, or both forwards and backwards.

    Args:
        ids: Ids `(tokens,)`, of any integer type.
        streams: Streams side by side.
        window: Tokens of a window.
        directions: 1, or 2 for the text and the text turned round.
        seed: Seed of the epochs' beginnings.
    """

    def __init__(
        self, ids: np.ndarray, streams: int, window: int, directions: int = 1, seed: int = 0
    ):
        text = as_tensor(ids)  # once for both
        ways = (False, True)[:directions]
        self.ways = [Streams(text, streams, window, seed, backwards) for backwards in ways]

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return len(self.ways[0])

    @property
    def size(self) -> str:
        """How much an epoch is."""
        return self.ways[0].size

    def epochs(self, first: int = 0) -> tf.data.Dataset:
        """All epochs from `first` on, without end.

        Each batch is that of `Streams`, but for ids and targets `(streams, directions, window)`.
        """
        return self._together([way.epochs(first) for way in self.ways])

    def one_pass(self) -> tf.data.Dataset:
        """One epoch that begins where the text does, for validation."""
        return self._together([way.one_pass() for way in self.ways])

    def _together(self, ways: list[tf.data.Dataset]) -> tf.data.Dataset:
        def join(*batches):
            (_, begins), _ = batches[0]
            ids = tf.stack([ids for (ids, _), _ in batches], axis=1)
            return (ids, begins), tf.stack([targets for _, targets in batches], axis=1)

        return tf.data.Dataset.zip(tuple(ways)).map(as_it_is(join))
