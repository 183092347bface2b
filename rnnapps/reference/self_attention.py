"""Self-attention: every step attends to every other, at any distance."""

from typing import NamedTuple

import numpy as np

from rnnapps.reference.activations import softmax
from rnnapps.reference.initializers import glorot_uniform
from rnnapps.reference.layer import Array, Gradients, Layer
from rnnapps.reference.positions import rotate


class AttentionCache(NamedTuple):
    """What the backward pass needs from the forward pass."""

    x: Array  # (batch, time, inputs)
    queries: Array  # (batch, heads, time, width of a head), as are keys and values
    keys: Array
    values: Array
    weights: Array  # (batch, heads, time, time)
    mixed: Array  # (batch, time, units), before the output's kernel


def scaled_dot_product(queries: Array, keys: Array, values: Array, shown=None):
    """Scaled dot-product attention: a mean of the values, weighted by query-key similarity.

        weights = softmax(q . k / sqrt(width)),  output = sum of weights * v

    The dot product of two vectors with independent features of variance 1 has variance `width`;
    without scaling, wide heads would saturate the softmax.

    Args:
        queries: `(..., time, width)`.
        keys: `(..., seen, width)`.
        values: `(..., seen, width of a value)`.
        shown: Optional booleans that broadcast to `(..., time, seen)`: False hides a key from a
            query. A query without visible keys gets zeros.

    Returns:
        The outputs `(..., time, width of a value)`, and the weights `(..., time, seen)`.
    """
    scores = queries @ np.swapaxes(keys, -1, -2) / np.sqrt(queries.shape[-1])
    shown = np.broadcast_to(True if shown is None else shown, scores.shape)
    weights = softmax(np.where(shown, scores, -1e9)) * shown
    return weights @ values, weights


def scaled_dot_product_backward(
    d_outputs: Array, queries: Array, keys: Array, values: Array, weights: Array
) -> tuple[Array, Array, Array]:
    """Return dL/d(queries), dL/d(keys) and dL/d(values)."""
    d_weights = d_outputs @ np.swapaxes(values, -1, -2)
    # The softmax's gradient: weights sum to 1. A hidden key has weight 0.
    mean = np.sum(d_weights * weights, axis=-1, keepdims=True)
    d_scores = weights * (d_weights - mean) / np.sqrt(queries.shape[-1])
    d_keys = np.swapaxes(d_scores, -1, -2) @ queries
    return d_scores @ keys, d_keys, np.swapaxes(weights, -1, -2) @ d_outputs


class SelfAttention(Layer):
    """Multi-head self-attention.

    With W, b, W_o, b_o = kernel, bias, output_kernel, output_bias:

        q, k, v = x W + b, each split into heads
        y = (scaled_dot_product(q, k, v) of all heads, concatenated) W_o + b_o

    Each head learns its own similarity. Any two steps are one step apart, also for the gradient;
    the cost is a product for each pair of steps.

    With `rotary=True` queries and keys are rotated by their positions (RoPE).

    Args:
        inputs: Size of x[t].
        units: Size of y[t] and of all heads together.
        heads: Number of heads.
        causal: Whether to hide later steps.
        rotary: Whether to rotate queries and keys by their positions.
        seed: Seed, or generator, of the initial weights.

    Raises:
        ValueError: If the heads do not divide the units.

    Weights:
        kernel `(inputs, 3 * units)` in blocks q, k, v, bias `(3 * units,)`, output_kernel
        `(units, units)`, output_bias `(units,)`.

    Reference:
        Vaswani et al., 2017, Attention Is All You Need.
        Su et al., 2021, RoFormer: Enhanced Transformer with Rotary Position Embedding.
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        heads: int = 1,
        causal: bool = False,
        rotary: bool = False,
        seed: int | np.random.Generator = 0,
    ):
        if units % heads:
            raise ValueError(f"Expected heads to divide units={units}. Received: heads={heads}")
        rng = np.random.default_rng(seed)
        self.heads = heads
        self.causal = causal
        self.rotary = rotary
        self.params = {
            "kernel": glorot_uniform((inputs, 3 * units), rng),
            "bias": np.zeros(3 * units),
            "output_kernel": glorot_uniform((units, units), rng),
            "output_bias": np.zeros(units),
        }

    def forward(self, x: Array, mask: np.ndarray | None = None) -> tuple[Array, AttentionCache]:
        """Let each step attend to the others.

        Args:
            x: Inputs of shape `(batch, time, inputs)`.
            mask: Optional booleans of shape `(batch, time)`; False marks a step to ignore.

        Returns:
            The outputs, of shape `(batch, time, units)`, and the cache for `backward`.
        """
        batch, time, _ = x.shape
        shown = np.ones((batch, 1, 1, time), bool) if mask is None else mask[:, None, None]
        if self.causal:
            shown = shown & np.tri(time, dtype=bool)
        projected = x @ self.params["kernel"] + self.params["bias"]
        queries, keys, values = (self._cut(part) for part in np.split(projected, 3, axis=-1))
        if self.rotary:
            queries, keys = (rotate(part, np.arange(time)) for part in (queries, keys))
        outputs, weights = scaled_dot_product(queries, keys, values, shown)
        mixed = self._join(outputs)
        y = mixed @ self.params["output_kernel"] + self.params["output_bias"]
        return y, AttentionCache(x, queries, keys, values, weights, mixed)

    def backward(self, d_outputs: Array, cache: AttentionCache) -> Gradients:
        """Return the gradients.

        Args:
            d_outputs: dL/d(outputs), of shape `(batch, time, units)`.
            cache: The cache from `forward`.
        """
        x, queries, keys, values, weights, mixed = cache
        d_mixed = self._cut(d_outputs @ self.params["output_kernel"].T)
        parts = list(scaled_dot_product_backward(d_mixed, queries, keys, values, weights))
        if self.rotary:  # rotates the gradient back
            parts[:2] = (rotate(part, -np.arange(x.shape[1])) for part in parts[:2])
        d_projected = np.concatenate([self._join(part) for part in parts], axis=-1)
        params = {
            "kernel": np.einsum("bti,btj->ij", x, d_projected),
            "bias": d_projected.sum(axis=(0, 1)),
            "output_kernel": np.einsum("bti,btj->ij", mixed, d_outputs),
            "output_bias": d_outputs.sum(axis=(0, 1)),
        }
        return Gradients(d_projected @ self.params["kernel"].T, params)

    def _cut(self, x: Array) -> Array:
        """Split features into heads: `(batch, heads, time, width)`."""
        return np.swapaxes(x.reshape(*x.shape[:2], self.heads, -1), 1, 2)

    def _join(self, x: Array) -> Array:
        """Concatenate heads to features: `(batch, time, units)`."""
        x = np.swapaxes(x, 1, 2)
        return x.reshape(*x.shape[:2], -1)
