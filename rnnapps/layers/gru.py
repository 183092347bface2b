"""GRU: `keras.layers.GRU`, with the same arguments and weights, on a faster loop."""

import keras
import tensorflow as tf

from rnnapps.layers import scan
from rnnapps.layers.base import CheckedScan, in_float32, project


@keras.saving.register_keras_serializable("rnnapps")
class GRU(CheckedScan, keras.layers.GRU):
    """A gated recurrent unit, with the arguments and the weights of `keras.layers.GRU`.

        z    = sigmoid(x[t] K_z + h[t-1] R_z + b_z)
        r    = sigmoid(x[t] K_r + h[t-1] R_r + b_r)
        a    = tanh(x[t] K_h + b_h + r * (h[t-1] R_h + b'_h))    with reset_after=True, or
        a    = tanh(x[t] K_h + b_h + (r * h[t-1]) R_h)           with reset_after=False
        h[t] = z * h[t-1] + (1 - z) * a

    It runs a loop with a handwritten backward pass (`rnnapps.layers.scan`), or Keras' own loop with
    `unroll=True` or activations other than tanh and sigmoid. Dropout uses one mask for all steps
    and gates.

    On a GPU, training uses cuDNN through Keras where possible, and this loop for masks that cuDNN
    does not support. Inference never uses cuDNN, so that an exported model runs on any machine. XLA
    cannot compile cuDNN: with `jit_compile=True` on a GPU, pass `use_cudnn=False`.

    Args:
        units: The width of the state.
        *args: Further positional arguments of `keras.layers.GRU`.
        dropout: Fraction of the inputs' features to drop.
        recurrent_dropout: Fraction of the state's features to drop in the recurrent product.
        weight_drop: Fraction of the recurrent kernel's weights to drop, one mask per batch.
        **kwargs: The other arguments of `keras.layers.GRU`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: `[h]`, `(batch, units)`; zeros by default.
        mask: `(batch, time)`, false at steps to skip.
        training: Whether to apply dropout.

    Output:
        `(batch, units)`, or `(batch, time, units)` with `return_sequences=True`; then, with
        `return_state=True`, the last `h`.

    Raises:
        ValueError: If an argument or an input shape is invalid.

    Reference:
        [Cho et al., 2014](https://arxiv.org/abs/1406.1078).
    """

    cudnn_layer = keras.layers.GRU

    def scan(self, x, state, mask, dropout_mask, recurrent_kernel):
        """See `ScanMixin`."""
        cell = self.cell
        bias, recurrent_bias = cell.bias, None
        if cell.use_bias and cell.reset_after:
            # The gates' two biases add up: add them outside the loop.
            bias, recurrent_bias = tf.unstack(tf.convert_to_tensor(cell.bias))
            gates, recurrent_bias = tf.split(recurrent_bias, [2 * self.units, self.units])
            bias = bias + tf.concat([gates, tf.zeros_like(recurrent_bias)], axis=0)

        def loop(x, kernel, h, bias, dropout_mask):
            return scan.gru(x, kernel, h, bias, cell.reset_after, mask, dropout_mask)

        x = project(x, cell.kernel, bias)
        outputs, h = in_float32(loop, x, recurrent_kernel, *state, recurrent_bias, dropout_mask)
        return outputs, [h]
