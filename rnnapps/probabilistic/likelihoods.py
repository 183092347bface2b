"""What a network says of a step: a point with quantiles around it, or a distribution."""

import math
from collections.abc import Sequence

import tensorflow as tf

_SMALL = 1e-4


class PointAndQuantiles:
    """A point, and quantiles that lie around it in their order.

    Args:
        levels: The quantiles' levels, ascending in pairs around 0.5.
        loss: What the point minimises: `"mae"`, `"mse"` or `"huber"`.
    """

    def __init__(self, levels: Sequence[float], loss: str = "mae"):
        self.levels, self.kind = tuple(levels), loss
        self.below = sum(level < 0.5 for level in levels)
        self.size = 1 + 2 * self.below  # the quantile at 0.5 is the point

    def activate(self, raw, scale=None):
        """Raw numbers `(..., size)` to the point and all quantiles `(..., 1 + levels)`."""
        point, offsets = raw[..., :1], tf.nn.softplus(raw[..., 1:])
        low, high = tf.split(offsets, 2, axis=-1)
        low = point - tf.cumsum(low, axis=-1, reverse=True)
        high = point + tf.cumsum(high, axis=-1)
        middle = [point] if len(self.levels) % 2 else []
        return tf.concat([point, low, *middle, high], axis=-1)

    def restore(self, parameters, shift, spread):
        """The same of values that were `(value - shift) / spread`."""
        return parameters * spread[..., None] + shift[..., None]

    def loss(self, truth, parameters):
        """The point's loss and the mean pinball loss of each value, of the shape of `truth`."""
        error = truth - parameters[..., 0]
        if self.kind == "mse":
            point = error**2
        elif self.kind == "huber":
            size = tf.abs(error)
            point = tf.where(size < 1, size**2 / 2, size - 0.5)
        else:
            point = tf.abs(error)
        # The quantiles learn where they lie around the point; the point does not learn from them.
        around = parameters[..., 1:] + tf.stop_gradient(parameters[..., :1]) - parameters[..., :1]
        errors = truth[..., None] - around
        levels = tf.constant(self.levels, errors.dtype)
        pinball = tf.maximum(levels * errors, (levels - 1) * errors)
        return point + tf.reduce_mean(pinball, axis=-1)

    def point(self, parameters):
        """The point forecast."""
        return parameters[..., 0]


class Gaussian:
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

    def sample(self, parameters, count: int, seed):
        """Draws `(count, ...)` values."""
        mean, deviation = tf.unstack(parameters, axis=-1)
        shape = tf.concat([[count], tf.shape(mean)], axis=0)
        return mean + deviation * tf.random.stateless_normal(shape, seed, dtype=mean.dtype)


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

    def sample(self, parameters, count: int, seed):
        """Draws `(count, ...)` values."""
        location, scale, freedom = tf.unstack(parameters, axis=-1)
        normal = Gaussian().sample(
            tf.stack([tf.zeros_like(scale), tf.ones_like(scale)], axis=-1), count, seed
        )
        shape = tf.shape(normal)
        spread = tf.random.stateless_gamma(shape, seed + 1, freedom / 2, dtype=scale.dtype)
        return location + scale * normal * tf.math.rsqrt(2 * spread / freedom)


class NegativeBinomial:
    """Counts: mean and dispersion. Values are counts over their series' scale, the last parameter.

    The variance is `mean + dispersion * mean**2`.
    """

    size = 2

    def activate(self, raw, scale):
        """Raw numbers `(..., size)` and the series' scale `(...)` to parameters."""
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

    def sample(self, parameters, count: int, seed):
        """Draws `(count, ...)` values."""
        mean, dispersion, scale = tf.unstack(parameters, axis=-1)
        size = 1 / dispersion
        shape = tf.concat([[count], tf.shape(mean)], axis=0)
        rate = tf.random.stateless_gamma(shape, seed, size, size / (mean * scale), mean.dtype)
        drawn = tf.random.stateless_poisson(shape, seed + 1, rate, dtype=mean.dtype)
        return drawn / scale


def make_likelihood(name: str, levels: Sequence[float], loss: str = "mae"):
    """The likelihood of a `--distribution` name.

    Args:
        name: `"quantiles"`, `"gaussian"`, `"student_t"` or `"negative_binomial"`.
        levels: The quantiles' levels.
        loss: What the point minimises, where there are quantiles.

    Returns:
        The likelihood.
    """
    if name == "quantiles":
        return PointAndQuantiles(levels, loss)
    kinds = {"gaussian": Gaussian, "student_t": StudentT, "negative_binomial": NegativeBinomial}
    return kinds[name]()


def quantiles_of(samples, levels: Sequence[float]):
    """Quantiles of samples, interpolated between neighbours.

    Args:
        samples: `(count, ...)`.
        levels: The quantiles' levels.

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
