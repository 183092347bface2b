"""SLSTM: an LSTM with exponential gates, a normalizer and a stabilizer."""

from typing import Any

import keras
from keras import ops

from rnnapps.layers import scan
from rnnapps.layers.base import CellMixin, RecurrentLayer, in_float32, project


@keras.saving.register_keras_serializable("rnnapps")
class SLSTMCell(CellMixin, keras.layers.LSTMCell):
    r"""One step of an sLSTM.

        i~, f~, g~, o~ = x[t] K + h[t-1] R + b
        m[t] = max(log(sigmoid(f~)) + m[t-1], i~)
        i    = exp(i~ - m[t])
        f    = exp(log(sigmoid(f~)) + m[t-1] - m[t])
        c[t] = f * c[t-1] + i * tanh(g~)
        n[t] = f * n[t-1] + i
        h[t] = sigmoid(o~) * c[t] / max(n[t], 1)

    The input gate is exponential, so that one step can outweigh all previous ones. `n` sums the
    gate values; `m` prevents overflow: `c` and `n` are stored divided by `exp(m)`. `n[t-1] = 0`
    means that no steps have been seen, and `m[t]` is `i~`; after that `n` is at least 1, except
    with an external initial state, such as an encoder's. The weights are those of
    `keras.layers.LSTMCell`, gates in the order i, f, g, o. There is one head: the recurrent kernel
    mixes all features.

    Args:
        units: The width of the hidden state.
        dropout: Fraction of the inputs to drop.
        recurrent_dropout: Fraction of the recurrent connections to drop.
        **kwargs: The other arguments of `keras.layers.LSTMCell`. `activation` applies to `g~`,
            `recurrent_activation` to `o~`.

    Call arguments:
        inputs: `(batch, features)`.
        states: `[h, c, n, m]`, each `(batch, units)`.
        training: Whether to apply dropout.

    Output:
        `(h, [h, c, n, m])`, each `(batch, units)`.

    Raises:
        ValueError: If `units` or a dropout rate is out of range.

    Reference:
        [Beck et al., 2024](https://arxiv.org/abs/2405.04517).
    """

    def __init__(
        self,
        units: int,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, dropout=dropout, recurrent_dropout=recurrent_dropout, **kwargs)
        self.state_size = [units] * 4

    def call(self, inputs, states, training=False):
        """See the class."""
        h, c, n, m = states
        if training and self.dropout:
            inputs = inputs * self.get_dropout_mask(inputs)
        if training and self.recurrent_dropout:
            h = h * self.get_recurrent_dropout_mask(h)
        z = ops.matmul(inputs, self.kernel) + ops.matmul(h, self.recurrent_kernel)
        if self.use_bias:
            z = z + self.bias
        z_i, z_f, z_g, z_o = ops.split(z, 4, axis=-1)
        m, i, f = scan.stabilized_gates(z_i, z_f, n, m)[:3]
        c = f * c + i * self.activation(z_g)
        n = f * n + i
        h = self.recurrent_activation(z_o) * c / ops.maximum(n, 1)
        return h, [h, c, n, m]


@keras.saving.register_keras_serializable("rnnapps")
class SLSTM(RecurrentLayer):
    """An LSTM with exponential gates: `SLSTMCell` over a sequence.

    Args:
        units: The width of the hidden state.
        **kwargs: The other arguments of `keras.layers.LSTM`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: `[h, c, n, m]`, each `(batch, units)`; zeros by default.
        mask: `(batch, time)`, false at steps to skip.
        training: Whether to apply dropout.

    Output:
        `(batch, units)`, or `(batch, time, units)` with `return_sequences=True`; then, with
        `return_state=True`, the last `h`, `c`, `n` and `m`.

    Raises:
        ValueError: If an argument or an input shape is invalid.

    Reference:
        [Beck et al., 2024](https://arxiv.org/abs/2405.04517).

    Example:
    >>> SLSTM(8, return_sequences=True)(np.zeros((2, 5, 3))).shape
    TensorShape([2, 5, 8])
    """

    cell_class = SLSTMCell

    def scan(self, x, state, mask, dropout_mask, recurrent_kernel):
        """See `ScanMixin`."""
        x = project(x, self.cell.kernel, self.cell.bias)

        def loop(x, kernel, dropout_mask, *state):
            return scan.slstm(x, kernel, *state, mask, dropout_mask)

        outputs, *states = in_float32(loop, x, recurrent_kernel, dropout_mask, *state)
        return outputs, states
