"""The sLSTM: an LSTM with exponential gates, and a stabilizer against overflow."""

import numpy as np

from rnnapps.reference.activations import sigmoid
from rnnapps.reference.initializers import glorot_uniform, lstm_bias, orthogonal
from rnnapps.reference.layer import Array
from rnnapps.reference.recurrent import Recurrent, State


class SLSTM(Recurrent):
    """LSTM with exponential gates and memory mixing.

    With W, U, b = kernel, recurrent_kernel, bias in blocks i, f, g, o:

        (a_i, a_f, a_g, a_o) = x[t] W + h[t-1] U + b       memory mixing: U h[t-1]

        c[t] = sigmoid(a_f) * c[t-1] + exp(a_i) * tanh(a_g)
        n[t] = sigmoid(a_f) * n[t-1] + exp(a_i)            the normalizer: the sum of the weights
        h[t] = sigmoid(a_o) * c[t] / n[t]

    so c / n is a weighted mean of all tanh(a_g) so far, in which a new one can outweigh all old
    ones: an input gate between 0 and 1 cannot revise stored values. Since exp overflows, c and n
    are stored divided by exp(m), with the larger of both exponents for m; c / n stays the same:

        m[t] = max(log sigmoid(a_f) + m[t-1], a_i)         the stabilizer
        i = exp(a_i - m[t])                                one of the two is 1
        f = exp(log sigmoid(a_f) + m[t-1] - m[t])
        c[t] = f * c[t-1] + i * tanh(a_g)
        n[t] = f * n[t-1] + i

    At the start (n[t-1] = 0, the default initial state), m[t] = a_i. So n is at least 1 from the
    first step on; h[t] divides by max(n[t], 1) because of other initial states.

    Args:
        inputs: Size of x[t].
        units: Size of h[t], c[t], n[t] and m[t], which are the state.
        seed: Seed, or generator, of the initial weights.

    Weights:
        kernel `(inputs, 4 * units)`, recurrent_kernel `(units, 4 * units)`, bias `(4 * units,)`.

    Reference:
        Beck et al., 2024, xLSTM: Extended Long Short-Term Memory.
    """

    states = 4

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
        """Compute h[t], c[t], n[t], m[t] from x[t] and the previous state."""
        W, U, b = (self.params[name] for name in ("kernel", "recurrent_kernel", "bias"))
        h_before, c_before, n_before, m_before = state
        a = x @ W + h_before @ U + b  # (batch, 4 * units)
        a_i, a_f, a_g, a_o = np.split(a, 4, axis=-1)
        kept = m_before - np.logaddexp(0, -a_f)  # log sigmoid(a_f) + m[t-1]
        new = (a_i > kept) | (n_before == 0)  # whether a_i is the larger exponent
        m = np.where(new, a_i, kept)
        i = np.exp(np.where(new, 0, a_i - kept))
        f = np.exp(np.where(new, kept - a_i, 0), where=n_before != 0, out=np.zeros_like(kept))
        g, o = np.tanh(a_g), sigmoid(a_o)
        c, n = f * c_before + i * g, f * n_before + i
        cache = (x, h_before, c_before, n_before, new, sigmoid(a_f), i, f, g, o, c, n)
        return (o * c / np.maximum(n, 1), c, n, m), cache

    def step_backward(
        self, d_state: State, cache: tuple[Array, ...], gradients: dict[str, Array]
    ) -> tuple[Array, State]:
        """Compute dx[t] and the gradient of the previous state from that of the state."""
        W, U = self.params["kernel"], self.params["recurrent_kernel"]
        x, h_before, c_before, n_before, new, decay, i, f, g, o, c, n = cache
        dh, dc, dn, dm = d_state
        mean = c / np.maximum(n, 1)
        da_o = dh * mean * o * (1 - o)
        dc = dc + dh * o / np.maximum(n, 1)
        dn = dn - np.where(n > 1, dh * o * mean / n, 0)
        da_g = dc * i * (1 - g**2)
        # The gradient of the exponents' difference, a_i - kept, which is in i or else in f.
        d_difference = np.where(new, -(dc * c_before + dn * n_before) * f, (dc * g + dn) * i)
        da_i = np.where(new, dm, 0) + d_difference
        d_kept = np.where(new, 0, dm) - d_difference
        da = np.concatenate([da_i, d_kept * (1 - decay), da_g, da_o], axis=-1)  # (batch, 4 * units)
        gradients["kernel"] += x.T @ da
        gradients["recurrent_kernel"] += h_before.T @ da
        gradients["bias"] += da.sum(axis=0)
        return da @ W.T, (da @ U.T, dc * f, dn * f, d_kept)
