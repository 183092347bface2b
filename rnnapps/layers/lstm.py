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

    It runs on a loop whose backward pass is written by hand (`rnnapps.layers.scan`), or, with other
    activations than tanh and sigmoid or with `unroll=True`, on Keras' own. Dropout draws one mask
    for all steps and gates.

    On a GPU, training takes Keras' cuDNN path where it can, and this loop where cuDNN cannot take
    the mask. Inference never does, so that an exported model runs on any machine. XLA cannot
    compile cuDNN: with `jit_compile=True` on a GPU, pass `use_cudnn=False`.

    Args:
        units: The width of the state.
        *args: The next arguments of `keras.layers.LSTM`, in its order.
        dropout: The share of the inputs' features to drop.
        recurrent_dropout: The share of the state's features to drop in the recurrent product.
        weight_drop: The share of the recurrent kernel's weights to drop, the same for a batch.
        **kwargs: The other arguments of `keras.layers.LSTM`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: `[h, c]`, each `(batch, units)`; zeros by default.
        mask: `(batch, time)`, false where a step is to be skipped.
        training: Whether to apply dropout.

    Output:
        `(batch, units)`, or `(batch, time, units)` with `return_sequences=True`; then, with
        `return_state=True`, the last `h` and `c`.

    Raises:
        ValueError: If an argument or the shape of an input is not as expected.

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
