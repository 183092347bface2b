"""Windows over series: look-back and horizon, cut out when a batch needs them."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from rnnapps.data.input_pipeline import InPlace, as_it_is, feed, scaled

INPUTS = ("history", "future", "teacher", "scale", "series")


@dataclasses.dataclass(frozen=True)
class WindowShape:
    """What a window holds.

    Args:
        lookback: Steps of a window before its origin.
        horizon: Steps from its origin on.
        targets: Number of targets, the first columns.
        future: Number of future covariates, the last columns.
        least: Steps before an origin that have to be there; `None` for the look-back.
    """

    lookback: int
    horizon: int
    targets: int
    future: int = 0
    least: int | None = None


class Windows:
    """All windows of some series whose forecasts start within given spans.

    A window is a number, from which its series and its origin (the first step of the forecast)
    follow; only the windows of a batch are ever laid out, so that the memory is that of the series.
    What an epoch looks like depends on the seed and the epoch's number alone. Every window is in
    it, but for `most`; the last batch is filled up with windows of weight 0. What lies before a
    series' first step is NaN.

    Args:
        values: For each series `(time, columns)`, in the precision that batches are to have:
            targets, past and future covariates.
        spans: For each series the first origin, and the one after the last.
        shape: A `WindowShape`, or what has its attributes.
        batch_size: Windows of a batch.
        stride: Steps between origins.
        scales: For each series a value for each target `(series, targets)`, if inputs want them.
        inputs: What of `INPUTS` a batch holds: `history (batch, lookback, columns)`,
            `future (batch, horizon, future)`, `teacher (batch, horizon, targets)`,
            `scale (batch, targets)`, `series (batch,)`, its number.
        passes: Times that each window comes in an epoch.
        most: Batches of an epoch, at most; the next one goes on where it ends.
        seed: Seed of the order.

    Raises:
        ValueError: If a window would reach beyond its series.
    """

    def __init__(
        self,
        values: Sequence[np.ndarray],
        spans: Sequence[tuple[int, int]],
        shape: WindowShape,
        batch_size: int = 64,
        stride: int = 1,
        scales: np.ndarray | None = None,
        inputs: Sequence[str] = ("history",),
        passes: int = 1,
        most: int | None = None,
        seed: int = 0,
    ):
        self.lookback, self.horizon = lookback, horizon = shape.lookback, shape.horizon
        self.targets, self.future = shape.targets, shape.future
        least = shape.least or lookback
        self.padded = least < lookback
        lengths = np.array([len(one) for one in values])
        first, last = np.array(spans, dtype=np.int64).reshape(-1, 2).T
        if (first < least).any() or (last + horizon - 1 > lengths).any():
            raise ValueError(
                f"Expected origins with {least} steps before and {horizon} from them on. "
                f"Received: spans={list(spans)} of series of {lengths.tolist()} steps"
            )
        spare = np.maximum(0, first - lookback)  # steps that no window reaches: before the first,
        ends = np.where(first < last, last + horizon - 1, spare)  # and from there on
        reached = [one[i:j] for one, i, j in zip(values, spare, ends, strict=True)]
        self.values = InPlace(reached[0] if len(reached) == 1 else np.concatenate(reached))
        self.counts = np.maximum(0, -(-(last - first) // stride))
        self.count = int(self.counts.sum())
        self._ends = tf.constant(np.cumsum(self.counts))  # (series,): windows up to each one's end
        begins = np.cumsum(ends - spare) - (ends - spare)
        self._begins, starts = tf.constant(begins), begins + first - spare
        self._starts = tf.constant(starts - (np.cumsum(self.counts) - self.counts) * stride)
        self.stride = stride
        self.scales = None if scales is None else tf.constant(scales, tf.float32)
        self.batch_size, self.inputs = batch_size, tuple(inputs)
        self.passes, self.most, self.seed = passes, most, seed

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return min(self.passes * self._batches, self.most or self.passes * self._batches)

    @property
    def size(self) -> str:
        """How much an epoch is."""
        return f"{min(self.passes * self.count, len(self) * self.batch_size):,} windows"

    @property
    def _batches(self) -> int:
        """Number of batches in which each window comes once."""
        return -(-self.count // self.batch_size)

    def epochs(self, first: int = 0) -> tf.data.Dataset:
        """All epochs from `first` on, without end: `(inputs, targets, weights)` of each batch."""

        def shuffled(number: tf.Tensor) -> tf.Tensor:  # counted on from pass to pass
            turn, place = number // self._batches, number % self._batches
            places = place * self.batch_size + tf.range(self.batch_size, dtype=tf.int64)
            seed = tf.stack([tf.constant(self.seed, tf.int64), turn])
            known = tf.minimum(places, self.count - 1)
            mixed = tf.random.experimental.index_shuffle(known, seed, self.count - 1)
            return tf.where(places < self.count, mixed, -1)

        batches = tf.data.Dataset.range(first * len(self), np.iinfo(np.int64).max)
        return feed(batches.map(as_it_is(shuffled)), self._batch)

    def one_pass(self) -> tf.data.Dataset:
        """Each window once, by series and time, with weights as `scaled` makes them."""
        share = self._batches * self.batch_size / max(1, self.count)

        def ordered(number: tf.Tensor) -> tf.Tensor:
            places = number * self.batch_size + tf.range(self.batch_size, dtype=tf.int64)
            return tf.where(places < self.count, places, -1)

        batches = tf.data.Dataset.range(self._batches).map(as_it_is(ordered))
        return feed(batches, lambda numbers: scaled(self._batch(numbers), share))

    def series_of(self, numbers: tf.Tensor) -> tf.Tensor:
        """The series of windows `(windows,)`."""
        return tf.searchsorted(self._ends, numbers, side="right")

    def _batch(self, numbers: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        numbers = tf.ensure_shape(numbers, (self.batch_size,))
        real, numbers = numbers >= 0, tf.maximum(numbers, 0)
        series = self.series_of(numbers)
        origins = tf.gather(self._starts, series) + numbers * self.stride
        steps = tf.range(-self.lookback, self.horizon, dtype=tf.int64)
        places = origins[:, None] + steps
        window = tf.gather(self.values(), tf.maximum(places, 0))  # (batch, time, columns)
        if self.padded:  # what lies before a series is another one
            before = places < tf.gather(self._begins, series)[:, None]
            window = tf.where(before[..., None], tf.constant(np.nan, window.dtype), window)
        history, ahead = tf.split(window, [self.lookback, self.horizon], axis=1)
        truth = ahead[..., : self.targets]  # (batch, horizon, targets)
        inputs = {"history": history}
        inputs["future"] = ahead[..., ahead.shape[-1] - self.future :]
        inputs["teacher"], inputs["series"] = truth, series
        if self.scales is not None:
            inputs["scale"] = tf.gather(self.scales, series)
        return {name: inputs[name] for name in self.inputs}, truth, tf.cast(real, tf.float32)
