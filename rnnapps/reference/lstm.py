"""The LSTM: a memory that is added to, not multiplied."""

import numpy as np

from rnnapps.reference.activations import sigmoid
from rnnapps.reference.initializers import glorot_uniform, lstm_bias, orthogonal
from rnnapps.reference.layer import Array
from rnnapps.reference.recurrent import Recurrent, State


class LSTM(Recurrent):
    """Long short-term memory.

    With W, U, b = kernel, recurrent_kernel, bias:

        (a_i, a_f, a_g, a_o) = x[t] W + h[t-1] U + b

        i = sigmoid(a_i)              input gate: how much to write
        f = sigmoid(a_f)              forget gate: how much to keep
        g = tanh(a_g)                 candidate: what to write
        o = sigmoid(a_o)              output gate: how much to show

        c[t] = f * c[t-1] + i * g
        h[t] = o * tanh(c[t])

    Along the cell state the gradient is only multiplied by f, dc[t-1] = f * dc[t] + ..., without a
    matrix or an activation: with f near 1 it reaches far back. That is why the forget gate's bias
    starts at 1.

    Args:
        inputs: Size of x[t].
        units: Size of h[t] and of c[t].
        seed: Seed, or generator, of the initial weights.

    Weights:
        kernel `(inputs, 4 * units)`, recurrent_kernel `(units, 4 * units)`, bias `(4 * units,)`, in
        blocks i, f, g, o (g is "c" in Keras).

    Reference:
        Hochreiter & Schmidhuber, 1997, Long short-term memory.
        Gers et al., 2000, Learning to forget: continual prediction with LSTM.
    """

    states = 2  # (h, c)

    def __init__(self, inputs: int, units: int, seed: int | np.random.Generator = 0):
        rng = np.random.default_rng(seed)
        self.inputs = inputs
        self.units = units
        self.params = {
            "kernel": glorot_uniform((inputs, 4 * units), rng),
            "recurrent_kernel": orthogonal((units, 4 * units), rng),
            "bias": lstm_bias(units),
        }

    def step(self, x: Array, state: State) -> tuple[State, tuple[Array, ...]]:
        """Compute h[t], c[t] from x[t], h[t-1], c[t-1]."""
        W, U, b = (self.params[name] for name in ("kernel", "recurrent_kernel", "bias"))
        h_before, c_before = state
        a = x @ W + h_before @ U + b  # (batch, 4 * units)
        a_i, a_f, a_g, a_o = np.split(a, 4, axis=-1)
        i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
        c = f * c_before + i * g
        h = o * np.tanh(c)
        return (h, c), (x, h_before, c_before, i, f, g, o, c)

    def step_backward(
        self, d_state: State, cache: tuple[Array, ...], gradients: dict[str, Array]
    ) -> tuple[Array, State]:
        """Compute dx[t], dh[t-1], dc[t-1] from dh[t], dc[t]."""
        W, U = self.params["kernel"], self.params["recurrent_kernel"]
        x, h_before, c_before, i, f, g, o, c = cache
        dh, dc = d_state
        do = dh * np.tanh(c)
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)  # from the next step, and from h
        di, df, dg = dc * g, dc * c_before, dc * i
        da = np.concatenate(
            [di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=-1
        )  # (batch, 4 * units)
        gradients["kernel"] += x.T @ da
        gradients["recurrent_kernel"] += h_before.T @ da
        gradients["bias"] += da.sum(axis=0)
        return da @ W.T, (da @ U.T, dc * f)
