"""The dense layer: a matrix product and a bias."""

import numpy as np

from rnnapps.reference.initializers import glorot_uniform
from rnnapps.reference.layer import Array, Gradients, Layer


class Dense(Layer):
    """A linear map of the last axis.

    With W, b = kernel, bias:

        y  = x W + b
        dx = dy W^T        dW = x^T dy        db = sum of dy

    Args:
        inputs: Size of x.
        units: Size of y.
        seed: Seed, or generator, of the initial weights.

    Weights:
        kernel `(inputs, units)`, bias `(units,)`.
    """

    def __init__(self, inputs: int, units: int, seed: int | np.random.Generator = 0):
        rng = np.random.default_rng(seed)
        self.params = {"kernel": glorot_uniform((inputs, units), rng), "bias": np.zeros(units)}

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Map `x` of shape `(..., inputs)` to outputs `(..., units)`, and a cache."""
        return x @ self.params["kernel"] + self.params["bias"], x

    def backward(self, dy: Array, cache: Array) -> Gradients:
        """Return the gradients, given dL/dy of shape `(..., units)`."""
        W = self.params["kernel"]
        x = cache.reshape(-1, W.shape[0])  # all examples, and all steps, in one row each
        rows = dy.reshape(-1, W.shape[1])
        return Gradients(dy @ W.T, {"kernel": x.T @ rows, "bias": rows.sum(axis=0)})
