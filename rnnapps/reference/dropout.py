"""Dropout: learn not to rely on any single unit."""

import numpy as np

from rnnapps.reference.layer import Array, Gradients, Layer


class Dropout(Layer):
    """Inverted dropout.

    With an independent m for each entry, 1 with probability 1 - rate, else 0:

        y = x * m / (1 - rate)          in training
        y = x                           at inference

    The division preserves the expectation, E[y] = x, so that inference needs no rescaling.

    Args:
        rate: Fraction of the entries to drop, from 0 to below 1.

    Raises:
        ValueError: If the rate is out of range.

    Reference:
        Srivastava et al., 2014, Dropout: a simple way to prevent neural networks from overfitting.
    """

    def __init__(self, rate: float):
        if not 0 <= rate < 1:
            raise ValueError(f"Expected a rate from 0 to below 1. Received: {rate}")
        self.rate = rate
        self.params = {}

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Array]:
        """Drop entries of `x`: outputs of its shape, and a cache.

        Args:
            x: Inputs of any shape.
            rng: Random generator; None drops nothing (inference).
        """
        scale = np.ones_like(x)
        if rng is not None:
            scale = (rng.random(x.shape) >= self.rate) / (1 - self.rate)
        return x * scale, scale

    def backward(self, dy: Array, cache: Array) -> Gradients:
        """Return the gradients, given dL/dy: zero for dropped entries."""
        return Gradients(dy * cache)
