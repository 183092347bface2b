"""An LSTM with layer normalization inside its recurrence."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from rnnapps.layers import scan
from rnnapps.layers.base import CellMixin, RecurrentLayer, project


def _normalize(x, epsilon: float):
    """`x` with mean 0 and variance 1 along its last axis."""
    mean = ops.mean(x, axis=-1, keepdims=True)
    centred = x - mean
    variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
    return centred * ops.rsqrt(variance + epsilon)


@keras.saving.register_keras_serializable("rnnapps")
class LayerNormLSTMCell(CellMixin, keras.layers.LSTMCell):
    r"""One step of an LSTM with layer normalization.

    With `N(x) = (x - mean(x)) / sqrt(var(x) + epsilon)` along the features:

        z    = N(x[t] K) * kernel_gamma + N(h[t-1] R) * recurrent_gamma + b
        i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o)
        c[t] = f * c[t-1] + i * tanh(z_g)
        h[t] = o * tanh(N(c[t]) * state_gamma + state_beta)

    The weights are those of `keras.layers.LSTMCell` (gates in the order i, f, g, o), then
    `kernel_gamma`, `recurrent_gamma` `(4 * units,)`, `state_gamma` and `state_beta` `(units,)`.

    Args:
        units: The width of the hidden state.
        epsilon: Added to the variances.
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
        ValueError: If `units` or a dropout rate is out of range.

    Reference:
        [Ba et al., 2016](https://arxiv.org/abs/1607.06450).
    """

    def __init__(
        self,
        units: int,
        epsilon: float = 1e-3,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, dropout=dropout, recurrent_dropout=recurrent_dropout, **kwargs)
        self.epsilon = epsilon

    def build(self, input_shape: tuple) -> None:
        """Create the weights."""
        super().build(input_shape)

        def scale(name: str, width: int, initializer: str = "ones"):
            return self.add_weight(shape=(width,), initializer=initializer, name=name)

        self.kernel_gamma = scale("kernel_gamma", 4 * self.units)
        self.recurrent_gamma = scale("recurrent_gamma", 4 * self.units)
        self.state_gamma = scale("state_gamma", self.units)
        self.state_beta = scale("state_beta", self.units, "zeros")

    def call(self, inputs, states, training=False):
        """See the class."""
        h, c = states
        if training and self.dropout:
            inputs = inputs * self.get_dropout_mask(inputs)
        if training and self.recurrent_dropout:
            h = h * self.get_recurrent_dropout_mask(h)
        h, c = self.step(self.project(ops.matmul(inputs, self.kernel)), h, c)
        return h, [h, c]

    def project(self, product):
        """The normalized and scaled `x[t] K`, plus the bias."""
        x = _normalize(product, self.epsilon) * self.kernel_gamma
        return x + self.bias if self.use_bias else x

    def step(self, x, h, c) -> list:
        """One step, from a projected input and the previous state."""
        h = _normalize(ops.matmul(h, self.recurrent_kernel), self.epsilon)
        z_i, z_f, z_g, z_o = ops.split(x + h * self.recurrent_gamma, 4, axis=-1)
        i = self.recurrent_activation(z_i)
        f = self.recurrent_activation(z_f)
        o = self.recurrent_activation(z_o)
        c = f * c + i * self.activation(z_g)
        normalized = _normalize(c, self.epsilon) * self.state_gamma + self.state_beta
        return [o * self.activation(normalized), c]

    def get_config(self) -> dict:
        """The cell's arguments."""
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("rnnapps")
class LayerNormLSTM(RecurrentLayer):
    """An LSTM with layer normalization: `LayerNormLSTMCell` over a sequence.

    Args:
        units: The width of the hidden state.
        **kwargs: The other arguments of `keras.layers.LSTM` and of `LayerNormLSTMCell`.

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
        [Ba et al., 2016](https://arxiv.org/abs/1607.06450).
    """

    cell_class = LayerNormLSTMCell

    def scan(self, x, state, mask, dropout_mask, recurrent_kernel):
        """See `ScanMixin`."""
        cell = self.cell
        outputs, *states = scan.layer_norm_lstm(
            cell.project(project(x, cell.kernel)),
            recurrent_kernel,
            *state,
            [tf.convert_to_tensor(gamma) for gamma in (cell.recurrent_gamma, cell.state_gamma)],
            tf.convert_to_tensor(cell.state_beta),
            cell.epsilon,
            mask,
            dropout_mask,
        )
        return outputs, states
