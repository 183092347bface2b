"""LSTM: `keras.layers.LSTM`, with the same arguments and weights, on a faster loop."""

import keras

from rnnapps.layers import scan
from rnnapps.layers.base import CheckedScan, project


@keras.saving.register_keras_serializable("rnnapps")
class LSTM(CheckedScan, keras.layers.LSTM):
    """A long short-term memory, with the arguments and the weights of `keras.layers.LSTM`.

        i, f, o = sigmoid(x[t] K + h[t-1] R + b)       of each gate's columns of K, R and b
        g    = tanh(x[t] K_g + h[t-1] R_g + b_g)
        c[t] = f * c[t-1] + i * g
        h[t] = o * tanh(c[t])

    It runs a loop with a handwritten backward pass (`rnnapps.layers.scan`), or Keras' own loop with
    `unroll=True` or activations other than tanh and sigmoid. Dropout uses one mask for all steps
    and gates.

    On a GPU, training uses cuDNN through Keras where possible, and this loop for masks that cuDNN
    does not support. Inference never uses cuDNN, so that an exported model runs on any machine. XLA
    cannot compile cuDNN: with `jit_compile=True` on a GPU, pass `use_cudnn=False`.

    Args:
        units: The width of the state.
        *args: Further positional arguments of `keras.layers.LSTM`.
        dropout: Fraction of the inputs' features to drop.
        recurrent_dropout: Fraction of the state's features to drop in the recurrent product.
        weight_drop: Fraction of the recurrent kernel's weights to drop, one mask per batch.
        **kwargs: The other arguments of `keras.layers.LSTM`.

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
        [Hochreiter and Schmidhuber, 1997](https://doi.org/10.1162/neco.1997.9.8.1735);
        [Gers et al., 2000](https://doi.org/10.1162/089976600300015015).
    """

    cudnn_layer = keras.layers.LSTM

    def scan(self, x, state, mask, dropout_mask, recurrent_kernel):
        """See `ScanMixin`."""
        cell = self.cell
        x = project(x, cell.kernel, cell.bias)
        outputs, *states = scan.lstm(x, recurrent_kernel, *state, None, mask, dropout_mask)
        return outputs, states
