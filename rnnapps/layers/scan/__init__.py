"""The recurrent loops: forward in time, and backward through time by hand.

Everything here is time-major, `(time, batch, features)`, and takes projected inputs,
`x = inputs @ kernel + bias`: one matrix product over all time steps, outside the loop. The loop
computes only the recurrent product and the gates.

The backward pass is linear in the incoming gradients, and its coefficients depend only on the
forward pass. They are computed for all steps at once; the loop multiplies by them and by the
transposed recurrent kernel (transposed once: transposing it at each step takes three times as
long). The weight gradients are one large product after the loop.
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
