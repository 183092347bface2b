"""AttentionLSTM: an LSTM, then attention over all its hidden states."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from rnnapps.layers import scan
from rnnapps.layers.attention import additive_score, masked_softmax, weighted_sum
from rnnapps.layers.base import RecurrentLayer, check_sizes, check_units, project


@keras.saving.register_keras_serializable("rnnapps")
class AttentionLSTMCell(keras.layers.LSTMCell):
    r"""One step of an LSTM that attends to all its hidden states so far.

        h[t], c[t] = LSTM(x[t], h[t-1], c[t-1])
        e[t] = attention_scale . tanh(h[t] attention_kernel + attention_bias)
        s[t] = log(1 + exp(e[1]) + ... + exp(e[t])) = logaddexp(s[t-1], e[t])
        m[t] = softmax(e[1], ..., e[t]) . (h[1], ..., h[t])
             = m[t-1] + exp(e[t] - log(exp(s[t]) - 1)) * (h[t] - m[t-1])

    The output is the context `m[t]`. `s` is the log of 1 plus the total weight, so that an all-zero
    state means that no steps have been seen.

    Args:
        units: The width of the hidden state, and of the context.
        attention_units: Hidden width of the attention score; `units` by default.
        dropout: Fraction of the inputs to drop.
        recurrent_dropout: Fraction of the recurrent connections to drop.
        **kwargs: The other arguments of `keras.layers.LSTMCell`.

    Call arguments:
        inputs: `(batch, features)`.
        states: `[h, c, m, s]`, three `(batch, units)` and one `(batch, 1)`.
        training: Whether to apply dropout.

    Output:
        `(m, [h, c, m, s])`.

    Raises:
        ValueError: If a number of units or a dropout rate is out of range.

    Reference:
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473);
        [Raffel and Ellis, 2015](https://arxiv.org/abs/1512.08756).
    """

    def __init__(
        self,
        units: int,
        attention_units: int | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        check_sizes(units, dropout=dropout, recurrent_dropout=recurrent_dropout)
        if attention_units is not None:
            check_units(attention_units, "attention_units")
        super().__init__(units, dropout=dropout, recurrent_dropout=recurrent_dropout, **kwargs)
        self.attention_units = attention_units
        self.state_size = [units, units, units, 1]

    def build(self, input_shape: tuple) -> None:
        """Create the weights."""
        super().build(input_shape)
        width = self.attention_units or self.units

        def weight(name: str, shape: tuple, initializer: str = "glorot_uniform"):
            return self.add_weight(name=name, shape=shape, initializer=initializer)

        self.attention_kernel = weight("attention_kernel", (self.units, width))
        self.attention_bias = weight("attention_bias", (width,), "zeros")
        self.attention_scale = weight("attention_scale", (width,))

    def score(self, h):
        """Score hidden states: `(batch, time, units) -> (batch, time)`."""
        keys = ops.matmul(h, self.attention_kernel) + self.attention_bias
        return additive_score(keys, self.attention_scale)

    def call(self, inputs, states, training=False):
        """See the class."""
        h, c, m, s = states
        h, [h, c] = super().call(inputs, [h, c], training=training)
        e = self.score(ops.expand_dims(h, 1))  # (batch, 1)
        s = ops.logaddexp(s, e)
        total = s + ops.log(-ops.expm1(-s))  # log(exp(s) - 1)
        m = m + ops.exp(e - total) * (h - m)
        return m, [h, c, m, s]

    def get_initial_state(self, batch_size=None) -> list:
        """Zeros."""
        return [ops.zeros((batch_size, size), self.compute_dtype) for size in self.state_size]

    def get_config(self) -> dict:
        """The cell's arguments."""
        return {**super().get_config(), "attention_units": self.attention_units}


@keras.saving.register_keras_serializable("rnnapps")
class AttentionLSTM(RecurrentLayer):
    """An LSTM, then additive attention over all its hidden states: a sequence to a context.

    With `return_sequences=True` the output at each step is the context of the steps so far; the
    last one equals the output with `return_sequences=False`. `AttentionLSTMCell` has the equations.

    Args:
        units: The width of the hidden state, and of the context.
        attention_units: Hidden width of the attention score; `units` by default.
        **kwargs: The other arguments of `keras.layers.LSTM` and of `AttentionLSTMCell`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: `[h, c, m, s]`, three `(batch, units)`, one `(batch, 1)`; zeros by default.
        mask: `(batch, time)`, false at steps to skip.
        training: Whether to apply dropout.
        return_attention_scores: Whether to return the attention weights too.

    Output:
        `(batch, units)`, or `(batch, time, units)` with `return_sequences=True`; then, with
        `return_state=True`, the last `h`, `c`, `m` and `s`; then, with
        `return_attention_scores=True`, the weights `(batch, time)` of the last context, in the
        order of the inputs. Context and weights are zero for fully masked rows.

    Raises:
        ValueError: If an argument or an input shape is invalid.

    Reference:
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473);
        [Raffel and Ellis, 2015](https://arxiv.org/abs/1512.08756).
    """

    cell_class = AttentionLSTMCell

    def __init__(self, units: int, attention_units: int | None = None, **kwargs: Any) -> None:
        super().__init__(units, attention_units=attention_units, **kwargs)

    def call(
        self,
        sequences,
        initial_state=None,
        mask=None,
        training=None,
        return_attention_scores=False,
    ):
        """See the class."""
        if not return_attention_scores:
            return super().call(
                sequences, initial_state=initial_state, mask=mask, training=training
            )
        if not self.can_scan:
            raise ValueError(
                "Expected `unroll=False`, `activation='tanh'` and "
                "`recurrent_activation='sigmoid'` with `return_attention_scores=True`. Received: "
                f"unroll={self.unroll}, activation={self.cell.activation.__name__}, "
                f"recurrent_activation={self.cell.recurrent_activation.__name__}"
            )
        output, weights = self._run(sequences, initial_state, mask, training)
        return (*output, weights) if self.return_state else (output, weights)

    def compute_output_spec(self, sequences, return_attention_scores=False, **arguments):
        """The shapes and dtypes of the outputs."""
        spec = super().compute_output_spec(sequences, **arguments)
        if not return_attention_scores:
            return spec
        weights = keras.KerasTensor(sequences.shape[:2], dtype=self.compute_dtype)
        return (*spec, weights) if self.return_state else (spec, weights)

    def scan(self, x, state, mask, dropout_mask, recurrent_kernel):
        """See `ScanMixin`."""
        cell = self.cell
        h, c, m, s = state
        x = project(x, cell.kernel, cell.bias)
        hs, h, c = scan.lstm(x, recurrent_kernel, h, c, None, mask, dropout_mask)

        # The initial state's context acts as one more step, before the first.
        values = tf.concat([m[:, tf.newaxis], tf.transpose(hs, (1, 0, 2))], axis=1)
        before = s > 0  # (batch, 1)
        total = tf.where(before, s, tf.ones_like(s))
        total = total + tf.math.log(-tf.math.expm1(-total))  # log(exp(s) - 1)
        scores = tf.concat([total, self.cell.score(values[:, 1:])], axis=1)  # (batch, 1 + time)
        steps = tf.ones_like(scores[:, 1:], "bool") if mask is None else tf.transpose(mask[..., 0])
        seen = tf.concat([before, steps], axis=1)

        weights = masked_softmax(scores, seen)
        context = weighted_sum(weights, values)  # (batch, units)
        s = tf.reduce_logsumexp(
            tf.concat([tf.zeros_like(s), tf.where(seen, scores, -1e9)], axis=1), 1, keepdims=True
        )
        if self.return_sequences:
            # The context at each step: the same softmax, over the steps up to it.
            length = tf.shape(scores)[1]
            past = tf.linalg.band_part(tf.ones((length, length), "bool"), -1, 0)[1:]
            running = masked_softmax(scores[:, tf.newaxis], seen[:, tf.newaxis] & past)
            outputs = tf.transpose(tf.matmul(running, values), (1, 0, 2))  # (time, batch, units)
        else:
            outputs = context[tf.newaxis]
        weights = weights[:, 1:]
        if self.go_backwards:
            weights = tf.reverse(weights, [1])
        return outputs, [h, c, context, s], weights
