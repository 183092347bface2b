"""Initializers: weights that preserve the variance of activations and gradients.

With weights of variance v, a sum over `fan_in` inputs has `fan_in * v` times their variance. The
backward pass sums over `fan_out`. Xavier Glorot chooses v = 2 / (fan_in + fan_out), a compromise
for activations that are nearly linear around zero (tanh). Kaiming He chooses v = 2 / fan_in for
ReLU, which zeroes half of its inputs.

A recurrent kernel is applied at every step, so that even a gain close to 1 grows or shrinks
geometrically: an orthogonal matrix has a gain of exactly 1.

References:
    Glorot & Bengio, 2010, Understanding the difficulty of training deep feedforward networks.
    He et al., 2015, Delving deep into rectifiers.
    Saxe et al., 2014, Exact solutions to the nonlinear dynamics of learning.
    Gers et al., 2000, Learning to forget (and Jozefowicz et al., 2015, for the forget bias of 1).
"""

import numpy as np

from rnnapps.reference.layer import Array


def glorot_uniform(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Draw from [-l, l], l = sqrt(6 / (fan_in + fan_out)): the variance is 2 / (fan_in + fan_out).

    Args:
        shape: `(fan_in, fan_out)`.
        rng: Source of randomness.

    Returns:
        The matrix.
    """
    limit = np.sqrt(6.0 / sum(shape))
    return rng.uniform(-limit, limit, shape)


def he_normal(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Draw from a normal distribution of mean 0 and variance 2 / fan_in.

    Args:
        shape: `(fan_in, fan_out)`.
        rng: Source of randomness.

    Returns:
        The matrix.
    """
    return rng.normal(0.0, np.sqrt(2.0 / shape[0]), shape)


def orthogonal(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Draw a matrix with orthonormal rows, or columns if it is taller than wide.

    It comes from the QR decomposition of a normal matrix; fixing the signs of R's diagonal makes
    it uniformly distributed.

    Args:
        shape: `(rows, columns)`.
        rng: Source of randomness.

    Returns:
        The matrix.
    """
    rows, columns = shape
    q, r = np.linalg.qr(rng.normal(size=(max(shape), min(shape))))
    q = q * np.sign(np.diag(r))
    return q if rows >= columns else q.T


def lstm_bias(units: int) -> Array:
    """Return an LSTM's bias (i, f, c, o): 1 in the forget gate, so that it remembers at first.

    sigmoid(0) = 1/2 would halve the cell, and its gradient, at every step; sigmoid(1) is 0.73.

    Args:
        units: Units of the LSTM.

    Returns:
        The bias `(4 * units,)`.
    """
    return np.concatenate([np.zeros(units), np.ones(units), np.zeros(2 * units)])
