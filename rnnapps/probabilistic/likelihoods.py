"""Output distributions of a network: a point with quantiles, or a parametric distribution."""

import abc
import math
from collections.abc import Sequence

import tensorflow as tf

_SMALL = 1e-4


class PointAndQuantiles:
    """A point forecast, and ordered quantiles around it.

    Args:
        levels: The quantile levels, ascending in pairs around 0.5.
        loss: Loss of the point: `"mae"`, `"mse"` or `"huber"`.
    """

    def __init__(self, levels: Sequence[float], loss: str = "mae"):
        self.levels, self.kind = tuple(levels), loss
        self.below = sum(level < 0.5 for level in levels)
        self.size = 1 + 2 * self.below  # the quantile at 0.5 is the point

    def activate(self, raw, scale=None):
        """Maps raw outputs `(..., size)` to the point and all quantiles `(..., 1 + levels)`."""
        point, offsets = raw[..., :1], tf.nn.softplus(raw[..., 1:])
        low, high = tf.split(offsets, 2, axis=-1)
        low = point - tf.cumsum(low, axis=-1, reverse=True)
        high = point + tf.cumsum(high, axis=-1)
        middle = [point] if len(self.levels) % 2 else []
        return tf.concat([point, low, *middle, high], axis=-1)

    def restore(self, parameters, shift, spread):
        """Undoes the scaling `(value - shift) / spread`."""
        return parameters * spread[..., None] + shift[..., None]

    def loss(self, truth, parameters):
        """The point's loss plus the mean pinball loss of each value, of the shape of `truth`."""
        error = truth - parameters[..., 0]
        if self.kind == "mse":
            point = error**2
        elif self.kind == "huber":
            size = tf.abs(error)
            point = tf.where(size < 1, size**2 / 2, size - 0.5)
        else:
            point = tf.abs(error)
        # Quantiles are trained relative to the point; their gradient does not reach the point.
        around = parameters[..., 1:] + tf.stop_gradient(parameters[..., :1]) - parameters[..., :1]
        errors = truth[..., None] - around
        levels = tf.constant(self.levels, errors.dtype)
        pinball = tf.maximum(levels * errors, (levels - 1) * errors)
        return point + tf.reduce_mean(pinball, axis=-1)

    def point(self, parameters):
        """The point forecast."""
        return parameters[..., 0]


class Distribution(abc.ABC):
    """Base class of distributions. Samples of a row do not depend on the rest of the batch.

    Subclasses implement `quantile`.
    """

    @abc.abstractmethod
    def quantile(self, parameters, level):
        """The quantile of each value.

        Args:
            parameters: `(..., parameters)`.
            level: A number, or one per value.

        Returns:
            The quantiles `(...)`.
        """

    def quantiles(self, parameters, levels: Sequence[float]):
        """Several quantiles of each value, `(..., levels)`."""
        levels = tf.unstack(tf.constant(levels, "float64"))
        return tf.stack([self.quantile(parameters, level) for level in levels], axis=-1)

    def sample(self, parameters, seed):
        """Draws stratified samples `(rows, draws, ...)`.

        Args:
            parameters: `(rows, draws, ..., parameters)`.
            seed: Two integers; all rows use the same random numbers.
        """
        return self.quantile(parameters, _shuffled_levels(parameters.shape[1:-1], seed))


def _shuffled_levels(shape, seed):
    """Evenly spaced levels along the first axis, in random order."""
    order = tf.argsort(tf.random.stateless_uniform(shape, seed), axis=0)
    return (tf.cast(order, "float32") + 0.5) / shape[0]


class Gaussian(Distribution):
    """A normal distribution: mean and standard deviation."""

    size = 2

    def activate(self, raw, scale=None):
        """Raw numbers `(..., size)` to parameters."""
        return tf.stack([raw[..., 0], tf.nn.softplus(raw[..., 1]) + _SMALL], axis=-1)

    def restore(self, parameters, shift, spread):
        """The same of values that were `(value - shift) / spread`."""
        mean, deviation, *rest = tf.unstack(parameters, axis=-1)
        return tf.stack([mean * spread + shift, deviation * spread, *rest], axis=-1)

    def loss(self, truth, parameters):
        """The negative log-likelihood of each value."""
        mean, deviation = tf.unstack(parameters, axis=-1)
        z = (truth - mean) / deviation
        return z**2 / 2 + tf.math.log(deviation) + math.log(2 * math.pi) / 2

    def point(self, parameters):
        """The mean."""
        return parameters[..., 0]

    def quantile(self, parameters, level):
        """See `Distribution`."""
        mean, deviation = tf.unstack(parameters, axis=-1)
        return mean + deviation * tf.cast(tf.math.ndtri(level), mean.dtype)


class StudentT(Gaussian):
    """Student's t: location, scale and degrees of freedom (over 2, so that it has a variance)."""

    size = 3

    def activate(self, raw, scale=None):
        """Raw numbers `(..., size)` to parameters."""
        freedom = 2.1 + tf.nn.softplus(raw[..., 2:])
        return tf.concat([super().activate(raw[..., :2]), freedom], axis=-1)

    def loss(self, truth, parameters):
        """The negative log-likelihood of each value."""
        location, scale, freedom = tf.unstack(parameters, axis=-1)
        z = (truth - location) / scale
        half = freedom / 2
        constant = tf.math.lgamma(half) - tf.math.lgamma(half + 0.5)
        constant += tf.math.log(math.pi * freedom) / 2 + tf.math.log(scale)
        return constant + (half + 0.5) * tf.math.log1p(z**2 / freedom)

    def quantile(self, parameters, level):
        """See `Distribution`."""
        location, scale, freedom = tf.unstack(parameters, axis=-1)
        freedom, level = tf.cast(freedom, "float64"), tf.cast(level, "float64")
        half, share = freedom / 2, tf.minimum(level, 1 - level)
        constant = tf.math.lgamma(half + 0.5) - tf.math.lgamma(half)
        constant -= tf.math.log(math.pi * freedom) / 2
        # Newton's method on the logarithms of the tail probability and of the quantile: three steps
        # from the Cornish-Fisher expansion leave 1e-11 for all levels and degrees of freedom.
        z = -tf.math.ndtri(share)
        z += (z + z**3) / (4 * freedom)
        for _ in range(3):
            beyond = tf.math.betainc(half, tf.constant(0.5, z.dtype), freedom / (freedom + z**2))
            density = tf.exp(constant - (half + 0.5) * tf.math.log1p(z**2 / freedom))
            off = tf.math.log(beyond / 2 / share)
            z *= tf.exp(tf.math.divide_no_nan(off * beyond / 2, z * density))
        return location + scale * tf.cast(tf.where(level < 0.5, -z, z), scale.dtype)

    def sample(self, parameters, seed):
        """See `Distribution`; by [Bailey, 1994](https://doi.org/10.2307/2153537), in one step."""
        location, scale, freedom = tf.unstack(parameters, axis=-1)
        length, angle = (_shuffled_levels(location.shape[1:], seed + i) for i in range(2))
        length = tf.sqrt(freedom * tf.math.expm1(-2 / freedom * tf.math.log(length)))
        return location + scale * length * tf.cos(2 * math.pi * angle)


class NegativeBinomial(Distribution):
    """Counts: mean and dispersion. Values are counts divided by the last parameter, the scale.

    The variance is `mean + dispersion * mean**2`.
    """

    size = 2

    def activate(self, raw, scale):
        """Maps raw outputs `(..., size)` and the series' scale `(...)` to parameters."""
        positive = tf.nn.softplus(raw) + _SMALL
        scale = tf.broadcast_to(scale, tf.shape(raw)[:-1])
        return tf.concat([positive, scale[..., None]], axis=-1)

    def restore(self, parameters, shift, spread):
        """Counts are not shifted."""
        return parameters

    def loss(self, truth, parameters):
        """The negative log-likelihood of each count."""
        mean, dispersion, scale = tf.unstack(parameters, axis=-1)
        count, mean, size = tf.round(truth * scale), mean * scale, 1 / dispersion
        likelihood = tf.math.lgamma(count + size) - tf.math.lgamma(size)
        likelihood -= tf.math.lgamma(count + 1)
        likelihood += size * tf.math.log(size / (size + mean))
        return -likelihood - count * tf.math.log(mean / (size + mean))

    def point(self, parameters):
        """The mean."""
        return parameters[..., 0]

    def quantile(self, parameters, level):
        """See `Distribution`; a count divided by the last parameter, the series' scale."""
        level = tf.cast(level, "float64")
        mean, dispersion, scale = tf.unstack(tf.cast(parameters, "float64"), axis=-1)
        size, mean = 1 / dispersion, mean * scale
        deviation, odds = tf.sqrt(mean + mean**2 / size), tf.sqrt(level / (1 - level))
        # Bisection for the smallest count with a CDF of at least `level`, within bounds from
        # Cantelli's inequality. Rows that have converged stay as they are.
        low = tf.maximum(tf.floor(mean - deviation / odds) - 1, -1)
        high = tf.math.ceil(mean + deviation * odds)

        def halve(low, high):
            middle = tf.math.ceil((low + high) / 2)
            below = tf.math.betainc(size, middle + 1, size / (size + mean)) < level
            return tf.where(below, middle, low), tf.where(below, high, middle)

        _, high = tf.while_loop(
            lambda low, high: tf.reduce_any(high - low > 1), halve, (low, high),
            maximum_iterations=64,
        )  # fmt: skip
        return tf.cast(high / scale, parameters.dtype)


def make_likelihood(name: str, levels: Sequence[float], loss: str = "mae"):
    """Creates the likelihood for a `--distribution` name.

    Args:
        name: `"quantiles"`, `"gaussian"`, `"student_t"` or `"negative_binomial"`.
        levels: The quantile levels.
        loss: Loss of the point, with `"quantiles"`.

    Returns:
        The likelihood.
    """
    if name == "quantiles":
        return PointAndQuantiles(levels, loss)
    kinds = {"gaussian": Gaussian, "student_t": StudentT, "negative_binomial": NegativeBinomial}
    return kinds[name]()


def quantiles_of(samples, levels: Sequence[float]):
    """Quantiles of samples, with linear interpolation.

    Args:
        samples: `(count, ...)`.
        levels: The quantile levels.

    Returns:
        The quantiles `(..., levels)`.
    """
    ordered = tf.sort(samples, axis=0)
    last = samples.shape[0] - 1
    found = []
    for level in levels:
        low = min(int(level * last), last - 1)
        share = level * last - low
        found.append(ordered[low] * (1 - share) + ordered[low + 1] * share)
    return tf.stack(found, axis=-1)
