"""The peephole LSTM: gates that see the cell state."""

import numpy as np

from rnnapps.reference.activations import sigmoid
from rnnapps.reference.initializers import glorot_uniform, lstm_bias, orthogonal
from rnnapps.reference.layer import Array
from rnnapps.reference.recurrent import Recurrent, State

INPUT, FORGET, OUTPUT = 0, 1, 2  # the order of the gates in peephole_kernel


class PeepholeLSTM(Recurrent):
    """LSTM with peepholes.

    With W, U, b, P = kernel, recurrent_kernel, bias, peephole_kernel:

        (a_i, a_f, a_g, a_o) = x[t] W + h[t-1] U + b

        i = sigmoid(a_i + P_i . c[t-1])
        f = sigmoid(a_f + P_f . c[t-1])
        g = tanh(a_g)
        c[t] = f * c[t-1] + i * g
        o = sigmoid(a_o + P_o . c[t])            the output gate sees the new cell state
        h[t] = o * tanh(c[t])

    where P_k . c is the elementwise product c * P_k (`"diagonal"`: each cell is seen only by its
    own gates) or the matrix product c P_k (`"full"`: by all gates). In an LSTM, a closed output
    gate hides the cell state from the gates, as h[t] is 0; peepholes keep it visible, which helps
    to measure time intervals.

    Args:
        inputs: Size of x[t].
        units: Size of h[t] and of c[t].
        peephole: `"diagonal"` or `"full"`.
        seed: Seed, or generator, of the initial weights.

    Raises:
        ValueError: If `peephole` is unknown.

    Weights:
        As an LSTM, and peephole_kernel: rows i, f, o of `(3, units)`, or column blocks i, f, o of
        `(units, 3 * units)`. It starts at zero, like an LSTM.

    Reference:
        Gers et al., 2002, Learning precise timing with LSTM recurrent networks.
        Sak et al., 2014, Long short-term memory based recurrent neural network architectures.
    """

    states = 2  # (h, c)

    def __init__(
        self,
        inputs: int,
        units: int,
        peephole: str = "diagonal",
        seed: int | np.random.Generator = 0,
    ):
        if peephole not in ("diagonal", "full"):
            raise ValueError(f'Expected peephole "diagonal" or "full". Received: {peephole!r}')
        rng = np.random.default_rng(seed)
        peephole_shape = (3, units) if peephole == "diagonal" else (units, 3 * units)
        self.inputs = inputs
        self.units = units
        self.peephole = peephole
        self.params = {
            "kernel": glorot_uniform((inputs, 4 * units), rng),
            "recurrent_kernel": orthogonal((units, 4 * units), rng),
            "bias": lstm_bias(units),
            "peephole_kernel": np.zeros(peephole_shape),
        }

    def step(self, x: Array, state: State) -> tuple[State, tuple[Array, ...]]:
        """Compute h[t], c[t] from x[t], h[t-1], c[t-1]."""
        W, U, b = (self.params[name] for name in ("kernel", "recurrent_kernel", "bias"))
        h_before, c_before = state
        a = x @ W + h_before @ U + b  # (batch, 4 * units)
        a_i, a_f, a_g, a_o = np.split(a, 4, axis=-1)
        i = sigmoid(a_i + self._peep(c_before, INPUT))
        f = sigmoid(a_f + self._peep(c_before, FORGET))
        g = np.tanh(a_g)
        c = f * c_before + i * g
        o = sigmoid(a_o + self._peep(c, OUTPUT))
        h = o * np.tanh(c)
        return (h, c), (x, h_before, c_before, i, f, g, o, c)

    def step_backward(
        self, d_state: State, cache: tuple[Array, ...], gradients: dict[str, Array]
    ) -> tuple[Array, State]:
        """Compute dx[t], dh[t-1], dc[t-1] from dh[t], dc[t]."""
        W, U = self.params["kernel"], self.params["recurrent_kernel"]
        x, h_before, c_before, i, f, g, o, c = cache
        dh, dc = d_state
        da_o = dh * np.tanh(c) * o * (1 - o)
        # c[t] reaches the loss through the next step, through h[t], and through the output gate.
        dc = dc + dh * o * (1 - np.tanh(c) ** 2) + self._peep_backward(da_o, c, OUTPUT, gradients)
        da_i = dc * g * i * (1 - i)
        da_f = dc * c_before * f * (1 - f)
        da_g = dc * i * (1 - g**2)
        dc_before = (
            dc * f
            + self._peep_backward(da_i, c_before, INPUT, gradients)
            + self._peep_backward(da_f, c_before, FORGET, gradients)
        )
        da = np.concatenate([da_i, da_f, da_g, da_o], axis=-1)  # (batch, 4 * units)
        gradients["kernel"] += x.T @ da
        gradients["recurrent_kernel"] += h_before.T @ da
        gradients["bias"] += da.sum(axis=0)
        return da @ W.T, (da @ U.T, dc_before)

    def _gate(self, peephole_kernel: Array, gate: int) -> Array:
        """Return the part of one gate, as a view: (units,) or (units, units)."""
        if self.peephole == "diagonal":
            return peephole_kernel[gate]
        return peephole_kernel[:, gate * self.units : (gate + 1) * self.units]

    def _peep(self, c: Array, gate: int) -> Array:
        P = self._gate(self.params["peephole_kernel"], gate)
        return c * P if self.peephole == "diagonal" else c @ P

    def _peep_backward(self, da: Array, c: Array, gate: int, gradients: dict[str, Array]) -> Array:
        P = self._gate(self.params["peephole_kernel"], gate)
        dP = self._gate(gradients["peephole_kernel"], gate)
        if self.peephole == "diagonal":
            dP += (da * c).sum(axis=0)
            return da * P
        dP += c.T @ da
        return da @ P.T
