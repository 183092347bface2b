"""SelfAttention: each step of a sequence attends to the others."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from rnnapps.layers.base import check_rank, check_units
from rnnapps.layers.heads import HeadedAttention, check_heads, count_steps
from rnnapps.layers.positions import rotate


@keras.saving.register_keras_serializable("rnnapps")
class SelfAttention(HeadedAttention):
    """Multi-head self-attention, optionally causal, windowed and with a state.

        q, k, v = x K + b,  weights = softmax(q . k / sqrt(width of a head)),
        y       = (sum over the steps of weights * v, of all heads) K_o + b_o

    With `causal=True` a step attends to itself and earlier steps, with `window` to at most `window`
    earlier ones. Their keys and values are then a state (a KV cache), from which `step` computes
    one step, like a recurrent layer. An all-zero state is empty. A state keeps its size from step
    to step; if it has room for fewer steps than the window, the oldest are dropped.

    Args:
        units: The width of the output and of all heads together; the input's by default.
        num_heads: Number of heads, each `units / num_heads` wide.
        causal: Whether to hide later steps.
        window: Number of earlier steps to attend to; all by default. Requires `causal=True`.
        rotary: Whether to apply rotary position encodings to queries and keys.
        dropout: Fraction of the attention weights to drop in training.
        use_bias: Whether to use the biases `b` and `b_o`.
        kernel_initializer: Initializer of `kernel` `(features, 3 * units)`, in the order q, k, v,
            and of `output_kernel` `(units, units)`.
        return_state: Whether to also return the last state. Requires `window`.
        seed: Seed of the dropout.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        sequence: `(batch, time, features)`.
        mask: `(batch, time)`, false at steps to ignore.
        training: Whether to apply dropout.
        initial_state: The state before the first step; empty by default.
        return_attention_scores: Whether to also return the attention weights.

    Output:
        `(batch, time, units)`; then, with `return_attention_scores=True`, the weights `(batch,
        num_heads, time, seen)`, starting with the steps of `initial_state`; then, with
        `return_state=True`, the state: keys and values, `(batch, room * units)`, and 1 for each
        valid step, `(batch, room)`, where `room` is the window or that of `initial_state`.

    Raises:
        ValueError: If an argument or an input shape is invalid.

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762);
        [Su et al., 2021](https://arxiv.org/abs/2104.09864), for `rotary`.

    Example:
    >>> SelfAttention(8, num_heads=2)(np.zeros((2, 5, 3))).shape
    TensorShape([2, 5, 8])
    """

    def __init__(
        self,
        units: int | None = None,
        num_heads: int = 1,
        causal: bool = False,
        window: int | None = None,
        rotary: bool = False,
        dropout: float = 0.0,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        return_state: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if window is not None:
            check_units(window, "window")
            if not causal:
                raise ValueError(f"Expected `causal=True` with `window`. Received: window={window}")
        if return_state and window is None:
            raise ValueError("Expected `window` with `return_state=True`. Received: window=None")
        super().__init__(units, num_heads, dropout, use_bias, kernel_initializer, seed, **kwargs)
        if units is not None:
            check_heads(units, num_heads, rotary)
        self.causal = causal
        self.window = window
        self.rotary = rotary
        self.return_state = return_state

    def build(self, sequence_shape: tuple) -> None:
        """Creates the weights."""
        check_rank(sequence_shape, 3, "sequence")
        features = sequence_shape[-1]
        self.width = self.units or features
        check_heads(self.width, self.num_heads, self.rotary)
        self.kernel, self.bias = self.add_dense("", features, 3 * self.width)
        self.output_kernel, self.output_bias = self.add_dense("output_", self.width, self.width)

    @property
    def state_sizes(self) -> list[int]:
        """The width of each state."""
        return [self.window * self.width, self.window * self.width, self.window]

    def call(
        self,
        sequence,
        mask=None,
        training=None,
        initial_state=None,
        return_attention_scores=False,
    ):
        """See the class."""
        steps = count_steps(sequence)
        projected = self.project(sequence, self.kernel, self.bias)
        queries, keys, values = self.split(projected, 3)  # (batch, heads, time, width)
        seen = tf.ones(tf.shape(sequence)[:2], "bool") if mask is None else ops.cast(mask, "bool")
        before, room = 0, self.window  # steps of the initial state, and of the last one
        if initial_state is not None:
            before = room = count_steps(initial_state[2])
            keys, values, seen = self._after_state(initial_state, before, keys, values, seen)
        state = []
        if self.return_state:
            fresh = initial_state is None
            state = self._state(keys, values, seen, room, fresh, sequence.shape[0])
        if self.rotary:
            queries = rotate(queries, tf.range(before, before + steps))
            keys = rotate(keys, tf.range(before + steps))
        if initial_state is not None and isinstance(steps, int) and steps == 1:
            shown = seen[:, tf.newaxis, tf.newaxis]  # a single step sees its whole window
        else:
            shown = self._shown(seen, steps, before)
        x, weights = self.attend(queries, keys, values, shown, training)
        x = self.project(x, self.output_kernel, self.output_bias)
        x = tf.ensure_shape(x, (*sequence.shape[:2], self.width))
        results = [x, weights] if return_attention_scores else [x]
        return tuple([*results, *state]) if len(results) + len(state) > 1 else x

    def step(self, x, state: list) -> tuple:
        """Computes one step, without dropout.

        Args:
            x: The input, `(batch, features)`.
            state: The previous state.

        Returns:
            The output `(batch, units)`, and the new state.
        """
        y, *state = self(x[:, tf.newaxis], initial_state=state, training=False)
        return y[:, 0], state

    def _after_state(self, state, before, keys, values, seen) -> tuple:
        """Keys, values and their mask, appended to those of a state of `before` steps."""
        heads = (-1, self.num_heads, before, keys.shape[-1])
        old_keys, old_values = (tf.cast(tf.reshape(x, heads), keys.dtype) for x in state[:2])
        return (
            tf.concat([old_keys, keys], axis=2),
            tf.concat([old_values, values], axis=2),
            tf.concat([state[2] > 0, seen], axis=1),
        )

    def _state(self, keys, values, seen, room, fresh: bool, batch: int | None) -> list:
        """The last `room` of these steps."""
        if fresh:  # there may be fewer
            missing = [tf.maximum(room - tf.shape(seen)[1], 0), 0]
            keys, values = (tf.pad(x, [[0, 0], [0, 0], missing, [0, 0]]) for x in (keys, values))
            seen = tf.pad(seen, [[0, 0], missing])
        tensors = [tf.reshape(x[:, :, -room:], (-1, room * self.width)) for x in (keys, values)]
        tensors.append(tf.cast(seen[:, -room:], keys.dtype))
        static = isinstance(room, int)  # a loop then keeps the state's static shapes
        sizes = (room * self.width, room * self.width, room) if static else (None,) * 3
        return [tf.ensure_shape(x, (batch, n)) for x, n in zip(tensors, sizes, strict=True)]

    def _shown(self, seen, steps, before):
        """The attention mask, `(batch, 1, time or 1, seen)`."""
        shown = seen[:, tf.newaxis, tf.newaxis]  # (batch, 1, 1, seen)
        if not self.causal:
            return shown
        t = tf.range(steps)[:, tf.newaxis] + before
        s = tf.range(before + steps)
        return shown & (s <= t if self.window is None else (s <= t) & (s >= t - self.window))

    def compute_output_spec(
        self, sequence, initial_state=None, return_attention_scores=False, **arguments
    ):
        """The shapes and dtypes of the outputs."""
        check_rank(sequence.shape, 3, "sequence")
        batch, steps, features = sequence.shape
        width = self.units or features

        def spec(*shape):
            return keras.KerasTensor(shape, dtype=self.compute_dtype)

        results = [spec(batch, steps, width)]
        if return_attention_scores:
            seen = steps if steps is None or initial_state is None else steps + self.window
            results.append(spec(batch, self.num_heads, steps, seen))
        if self.return_state:
            results += [spec(batch, self.window * width) for _ in range(2)]
            results.append(spec(batch, self.window))
        return tuple(results) if len(results) > 1 else results[0]

    def compute_mask(self, sequence, mask=None):
        """The input's mask for the first output."""
        return [mask, None, None, None] if self.return_state else mask

    def get_config(self) -> dict:
        """The layer's arguments."""
        names = ("causal", "window", "rotary", "return_state")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
