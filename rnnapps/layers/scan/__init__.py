"""The recurrent loops: forward in time, and backward through time by hand.

Everything here is time-major, `(time, batch, features)`, and takes the inputs already projected,
`x = inputs @ kernel + bias`: that product is one matrix product over all time steps, outside the
loop. The loop does the recurrent product and the gates only.

The way back is linear in the gradients that come in, and its coefficients depend only on the way
forward. So they are computed for all steps at once; the loop multiplies with them and with the
transposed recurrent kernel (transposed once: a product that transposes it at each step takes three
times as long). The weights' gradients are one large product after the loop.
"""

from rnnapps.layers.scan.gru import gru
from rnnapps.layers.scan.layer_norm_lstm import layer_norm_lstm
from rnnapps.layers.scan.linear import linear
from rnnapps.layers.scan.loop import arrays_like, loop, worth_compiling
from rnnapps.layers.scan.lstm import lstm
from rnnapps.layers.scan.slstm import slstm, stabilized_gates

__all__ = [
    "arrays_like",
    "gru",
    "layer_norm_lstm",
    "linear",
    "loop",
    "lstm",
    "slstm",
    "stabilized_gates",
    "worth_compiling",
]
