"""The attention LSTM: read the whole sequence, then look back at all of it."""

from typing import NamedTuple

import numpy as np

from rnnapps.reference.activations import softmax
from rnnapps.reference.initializers import glorot_uniform
from rnnapps.reference.layer import Array, Gradients, Layer
from rnnapps.reference.lstm import LSTM
from rnnapps.reference.recurrent import RecurrentCache, State


class AttentionCache(NamedTuple):
    """What the backward pass needs from the forward pass, and the weights, for inspection."""

    h: Array  # (batch, time, units)
    u: Array  # (batch, time, attention_units)
    weights: Array  # (batch, time)
    recurrent: RecurrentCache | None = None


class AttentionPooling(Layer):
    """A weighted mean over time that learns its weights.

    With W, b, v = attention_kernel, attention_bias, attention_scale:

        u[t]    = tanh(h[t] W + b)
        e[t]    = v . u[t]                                a score for each step
        w       = softmax(e) over the unmasked steps
        context = sum over t of w[t] h[t]

    In a fully masked row, all weights and the context are zero.

    Args:
        units: Size of h[t].
        attention_units: Size of u[t].
        seed: Seed, or generator, of the initial weights.

    Weights:
        attention_kernel `(units, attention_units)`, attention_bias and attention_scale (v)
        `(attention_units,)`.

    Reference:
        Bahdanau et al., 2015, Neural machine translation by jointly learning to align and
            translate.
        Yang et al., 2016, Hierarchical attention networks for document classification.
    """

    def __init__(self, units: int, attention_units: int, seed: int | np.random.Generator = 0):
        rng = np.random.default_rng(seed)
        self.params = {
            "attention_kernel": glorot_uniform((units, attention_units), rng),
            "attention_bias": np.zeros(attention_units),
            "attention_scale": glorot_uniform((attention_units, 1), rng)[:, 0],
        }

    def forward(self, h: Array, mask: np.ndarray | None = None) -> tuple[Array, AttentionCache]:
        """Pool `h` of shape `(batch, time, units)` to a context `(batch, units)`, and a cache.

        Args:
            h: The hidden states.
            mask: Optional booleans of shape `(batch, time)`; False marks a step to ignore.
        """
        W, b, v = (self.params[f"attention_{name}"] for name in ("kernel", "bias", "scale"))
        u = np.tanh(h @ W + b)  # (batch, time, attention_units)
        w = softmax(u @ v, mask)  # (batch, time)
        context = np.einsum("bt,btu->bu", w, h)  # (batch, units)
        return context, AttentionCache(h, u, w)

    def backward(self, d_context: Array, cache: AttentionCache) -> Gradients:
        """Return the gradients, given dL/d(context) of shape `(batch, units)`."""
        W, v = self.params["attention_kernel"], self.params["attention_scale"]
        h, u, w = cache.h, cache.u, cache.weights
        dw = np.einsum("bu,btu->bt", d_context, h)
        de = w * (dw - (w * dw).sum(axis=1, keepdims=True))  # (batch, time), through the softmax
        da = de[..., None] * v * (1 - u**2)  # (batch, time, attention_units)
        # h[t] reaches the context as a value, and through its score.
        dh = w[..., None] * d_context[:, None] + da @ W.T
        gradients = {
            "attention_kernel": np.einsum("btu,bta->ua", h, da),
            "attention_bias": da.sum(axis=(0, 1)),
            "attention_scale": np.einsum("bt,bta->a", de, u),
        }
        return Gradients(dh, gradients)


class AttentionLSTM(LSTM):
    """An LSTM over the sequence, then attention pooling over all its hidden states.

    An LSTM's last state must encode everything, and the first steps are far from it. Here every
    step is one weighted sum away from the context, and so is its gradient.

    Args:
        inputs: Size of x[t].
        units: Size of h[t], c[t] and the context.
        attention_units: Size of the attention's hidden layer; None means `units`.
        seed: Seed, or generator, of the initial weights.

    Weights:
        Those of `LSTM` and of `AttentionPooling`, in one dictionary.
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        attention_units: int | None = None,
        seed: int | np.random.Generator = 0,
    ):
        rng = np.random.default_rng(seed)
        super().__init__(inputs, units, rng)
        self.pooling = AttentionPooling(units, attention_units or units, rng)
        self.params |= self.pooling.params
        self.pooling.params = self.params  # one dictionary, read by both

    def forward(
        self, x: Array, mask: np.ndarray | None = None, initial_state: State | None = None
    ) -> tuple[Array, State, AttentionCache]:
        """Process a batch of sequences; the arguments are those of `LSTM`.

        Returns:
            The context, of shape `(batch, units)`; the LSTM's last state; and the cache, with the
            attention `weights`, of shape `(batch, time)`.
        """
        h, state, recurrent = super().forward(x, mask, initial_state)
        context, cache = self.pooling.forward(h, recurrent.mask)
        return context, state, cache._replace(recurrent=recurrent)

    def backward(
        self, d_context: Array, cache: AttentionCache, d_state: State | None = None
    ) -> Gradients:
        """Go back through the pooling, then through time.

        Args:
            d_context: dL/d(context), of shape `(batch, units)`.
            cache: The cache from `forward`.
            d_state: Optional dL/d(state after the last step).
        """
        pooling = self.pooling.backward(d_context, cache)
        recurrent = super().backward(pooling.inputs, cache.recurrent, d_state)
        recurrent.params.update(pooling.params)
        return recurrent
