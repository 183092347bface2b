"""A Transformer block: attention mixes steps, a feed-forward network transforms each step."""

from typing import NamedTuple

import numpy as np

from rnnapps.reference.activations import sigmoid
from rnnapps.reference.dense import Dense
from rnnapps.reference.layer import Array, Gradients, Layer
from rnnapps.reference.network import Network
from rnnapps.reference.self_attention import AttentionCache, SelfAttention


class LayerNorm(Layer):
    """Layer normalization: each step's features get mean 0 and variance 1.

    With g, b = gamma, beta:

        n = (x - mean(x)) / sqrt(variance(x) + 0.001),  y = g n + b

    Args:
        units: Size of x.

    Weights:
        gamma `(units,)`, beta `(units,)`.

    Reference:
        Ba et al., 2016, Layer Normalization.
    """

    def __init__(self, units: int):
        self.params = {"gamma": np.ones(units), "beta": np.zeros(units)}

    def forward(self, x: Array) -> tuple[Array, tuple[Array, Array]]:
        """Normalize `x` of shape `(..., units)`; the outputs, and a cache."""
        spread = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-3)
        n = (x - x.mean(axis=-1, keepdims=True)) / spread
        return self.params["gamma"] * n + self.params["beta"], (n, spread)

    def backward(self, dy: Array, cache: tuple[Array, Array]) -> Gradients:
        """Return the gradients, given dL/dy."""
        n, spread = cache
        dn = dy * self.params["gamma"]
        # The output is invariant to shifting or scaling all features.
        dx = dn - dn.mean(-1, keepdims=True) - n * (dn * n).mean(-1, keepdims=True)
        steps = tuple(range(dy.ndim - 1))
        params = {"gamma": (dy * n).sum(steps), "beta": dy.sum(steps)}
        return Gradients(dx / spread, params)


class BlockCache(NamedTuple):
    """What the backward pass needs from the forward pass."""

    norm: tuple[Array, Array]
    attention: AttentionCache
    feed_norm: tuple[Array, Array]
    up: Array
    a: Array  # (batch, time, expansion * units), before the activation
    down: Array


class TransformerBlock(Network):
    """Attention, then a feed-forward network; both with pre-normalization and residual connection.

        x = x + attention(norm(x))
        y = x + down(silu(up(feed_norm(x)))),       silu(a) = a sigmoid(a)

    The residual connections give the gradient a path from the loss to every block and to the input
    on which it is multiplied by nothing.

    Args:
        units: Size of x[t] and y[t].
        heads: Number of attention heads.
        causal: Whether to hide later steps.
        rotary: Whether to rotate queries and keys by their positions.
        expansion: Width of the feed-forward network as a multiple of `units`.
        seed: Seed, or generator, of the initial weights.

    Reference:
        Vaswani et al., 2017, Attention Is All You Need.
        Xiong et al., 2020, On Layer Normalization in the Transformer Architecture.
    """

    def __init__(
        self,
        units: int,
        heads: int = 1,
        causal: bool = False,
        rotary: bool = False,
        expansion: int = 4,
        seed: int | np.random.Generator = 0,
    ):
        rng = np.random.default_rng(seed)
        self.norm, self.feed_norm = LayerNorm(units), LayerNorm(units)
        self.attention = SelfAttention(units, units, heads, causal, rotary, rng)
        self.up = Dense(units, expansion * units, rng)
        self.down = Dense(expansion * units, units, rng)
        self.layers = {
            "norm": self.norm,
            "attention": self.attention,
            "feed_norm": self.feed_norm,
            "up": self.up,
            "down": self.down,
        }

    def forward(self, x: Array, mask: np.ndarray | None = None) -> tuple[Array, BlockCache]:
        """Apply the block.

        Args:
            x: Inputs of shape `(batch, time, units)`.
            mask: Optional booleans of shape `(batch, time)`; False marks a step to ignore.

        Returns:
            The outputs, in the shape of `x`, and the cache for `backward`.
        """
        n, norm_cache = self.norm.forward(x)
        found, attention_cache = self.attention.forward(n, mask)
        x = x + found
        n, feed_cache = self.feed_norm.forward(x)
        a, up_cache = self.up.forward(n)
        made, down_cache = self.down.forward(a * sigmoid(a))
        cache = BlockCache(norm_cache, attention_cache, feed_cache, up_cache, a, down_cache)
        return x + made, cache

    def backward(self, dy: Array, cache: BlockCache) -> Gradients:
        """Return the gradients, given dL/dy in the shape of the outputs."""
        down = self.down.backward(dy, cache.down)
        s = sigmoid(cache.a)
        up = self.up.backward(down.inputs * s * (1 + cache.a * (1 - s)), cache.up)
        feed_norm = self.feed_norm.backward(up.inputs, cache.feed_norm)
        dx = dy + feed_norm.inputs
        attention = self.attention.backward(dx, cache.attention)
        norm = self.norm.backward(attention.inputs, cache.norm)
        params = self.named(norm=norm, attention=attention, feed_norm=feed_norm, up=up, down=down)
        return Gradients(dx + norm.inputs, params)
