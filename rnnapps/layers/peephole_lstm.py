"""An LSTM whose gates see the cell state."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from rnnapps.layers import scan
from rnnapps.layers.base import (
    CellMixin,
    RecurrentLayer,
    check_choice,
    project,
)

PEEPHOLES = ("diagonal", "full")


@keras.saving.register_keras_serializable("rnnapps")
class PeepholeLSTMCell(CellMixin, keras.layers.LSTMCell):
    r"""One step of an LSTM whose gates see the cell state.

    With `P` a vector per gate (`peephole="diagonal"`, and `*` elementwise) or a matrix per gate
    (`peephole="full"`):

        i[t] = sigmoid(x[t] K_i + h[t-1] R_i + c[t-1] P_i + b_i)
        f[t] = sigmoid(x[t] K_f + h[t-1] R_f + c[t-1] P_f + b_f)
        g[t] = tanh(x[t] K_g + h[t-1] R_g + b_g)
        c[t] = f[t] * c[t-1] + i[t] * g[t]
        o[t] = sigmoid(x[t] K_o + h[t-1] R_o + c[t] P_o + b_o)
        h[t] = o[t] * tanh(c[t])

    The weights are those of `keras.layers.LSTMCell` (gates in the order i, f, g, o) and
    `peephole_kernel`, gates in the order i, f, o: `(3, units)` diagonal, `(units, 3 * units)` full.

    Args:
        units: The width of the hidden state.
        peephole: `"diagonal"` or `"full"`.
        peephole_initializer: Initializer of `peephole_kernel`; with zeros it starts as an LSTM.
        dropout: Fraction of the inputs to drop.
        recurrent_dropout: Fraction of the recurrent connections to drop.
        **kwargs: The other arguments of `keras.layers.LSTMCell`.

    Call arguments:
        inputs: `(batch, features)`.
        states: `[h, c]`, each `(batch, units)`.
        training: Whether to apply dropout.

    Output:
        `(h, [h, c])`, each `(batch, units)`.

    Raises:
        ValueError: If `units`, `peephole` or a dropout rate is out of range.

    Reference:
        [Gers et al., 2002](https://www.jmlr.org/papers/v3/gers02a.html);
        [Sak et al., 2014](https://arxiv.org/abs/1402.1128).
    """

    def __init__(
        self,
        units: int,
        peephole: str = "diagonal",
        peephole_initializer: Any = "zeros",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        check_choice(peephole, PEEPHOLES, "peephole")
        super().__init__(units, dropout=dropout, recurrent_dropout=recurrent_dropout, **kwargs)
        self.peephole = peephole
        self.peephole_initializer = keras.initializers.get(peephole_initializer)

    def build(self, input_shape: tuple) -> None:
        """Create the weights."""
        super().build(input_shape)
        diagonal = self.peephole == "diagonal"
        self.peephole_kernel = self.add_weight(
            shape=(3, self.units) if diagonal else (self.units, 3 * self.units),
            initializer=self.peephole_initializer,
            name="peephole_kernel",
        )

    def call(self, inputs, states, training=False):
        """See the class."""
        h, c = states
        if training and self.dropout:
            inputs = inputs * self.get_dropout_mask(inputs)
        if training and self.recurrent_dropout:
            h = h * self.get_recurrent_dropout_mask(h)
        z = ops.matmul(inputs, self.kernel) + ops.matmul(h, self.recurrent_kernel)
        if self.use_bias:
            z = z + self.bias
        z_i, z_f, z_g, z_o = ops.split(z, 4, axis=-1)
        if self.peephole == "diagonal":
            p_i, p_f, p_o = ops.unstack(self.peephole_kernel)
            peek = ops.multiply
        else:
            p_i, p_f, p_o = ops.split(self.peephole_kernel, 3, axis=-1)
            peek = ops.matmul
        i = self.recurrent_activation(z_i + peek(c, p_i))
        f = self.recurrent_activation(z_f + peek(c, p_f))
        c = f * c + i * self.activation(z_g)
        o = self.recurrent_activation(z_o + peek(c, p_o))
        h = o * self.activation(c)
        return h, [h, c]

    def get_config(self) -> dict:
        """The cell's arguments."""
        initializer = keras.initializers.serialize(self.peephole_initializer)
        config = {"peephole": self.peephole, "peephole_initializer": initializer}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("rnnapps")
class PeepholeLSTM(RecurrentLayer):
    """An LSTM whose gates see the cell state: `PeepholeLSTMCell` over a sequence.

    Args:
        units: The width of the hidden state.
        peephole: `"diagonal"` (a vector per gate) or `"full"` (a matrix per gate).
        **kwargs: The other arguments of `keras.layers.LSTM` and of `PeepholeLSTMCell`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: `[h, c]`, each `(batch, units)`; zeros by default.
        mask: `(batch, time)`, false at steps to skip.
        training: Whether to apply dropout.

    Output:
        `(batch, units)`, or `(batch, time, units)` with `return_sequences=True`; then, with
        `return_state=True`, the last `h` and `c`.

    Raises:
        ValueError: If an argument or an input shape is invalid.

    Reference:
        [Gers et al., 2002](https://www.jmlr.org/papers/v3/gers02a.html);
        [Sak et al., 2014](https://arxiv.org/abs/1402.1128).
    """

    cell_class = PeepholeLSTMCell

    def __init__(self, units: int, peephole: str = "diagonal", **kwargs: Any) -> None:
        super().__init__(units, peephole=peephole, **kwargs)

    def scan(self, x, state, mask, dropout_mask, recurrent_kernel):
        """See `ScanMixin`."""
        cell = self.cell
        x = project(x, cell.kernel, cell.bias)
        peephole_kernel = tf.convert_to_tensor(cell.peephole_kernel)
        outputs, *states = scan.lstm(
            x, recurrent_kernel, *state, peephole_kernel, mask, dropout_mask
        )
        return outputs, states
