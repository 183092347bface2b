"""The gated recurrent unit: one state, blended with its replacement."""

import numpy as np

from rnnapps.reference.activations import sigmoid
from rnnapps.reference.initializers import glorot_uniform, orthogonal
from rnnapps.reference.layer import Array
from rnnapps.reference.recurrent import Recurrent, State


class GRU(Recurrent):
    """Gated recurrent unit.

    With W, U, b = kernel, recurrent_kernel, bias in blocks z, r, h:

        z = sigmoid(x[t] W_z + h[t-1] U_z + b_z)              update gate: how much to keep
        r = sigmoid(x[t] W_r + h[t-1] U_r + b_r)              reset gate: how much to consult
        g = tanh(x[t] W_h + (r * h[t-1]) U_h + b_h)           candidate, Cho's form
        h[t] = z * h[t-1] + (1 - z) * g

    With `reset_after` the reset gate multiplies the product, which then is one matrix product for
    all three gates and has its own bias. With b, v = bias[0], bias[1]:

        z, r as above, with b + v for b
        g = tanh(x[t] W_h + b_h + r * (h[t-1] U_h + v_h))     candidate, cuDNN's form

    Args:
        inputs: Size of x[t].
        units: Size of h[t].
        reset_after: Whether to use cuDNN's form.
        seed: Seed, or generator, of the initial weights.

    Weights:
        kernel `(inputs, 3 * units)`, recurrent_kernel `(units, 3 * units)`, bias `(3 * units,)`, or
        `(2, 3 * units)` with `reset_after`.

    Reference:
        Cho et al., 2014, Learning phrase representations using RNN encoder-decoder.
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        reset_after: bool = True,
        seed: int | np.random.Generator = 0,
    ):
        rng = np.random.default_rng(seed)
        self.inputs = inputs
        self.units = units
        self.reset_after = reset_after
        self.params = {
            "kernel": glorot_uniform((inputs, 3 * units), rng),
            "recurrent_kernel": orthogonal((units, 3 * units), rng),
            "bias": np.zeros((2, 3 * units) if reset_after else 3 * units),
        }

    def step(self, x: Array, state: State) -> tuple[State, tuple[Array, ...]]:
        """Compute h[t] from x[t] and h[t-1]."""
        W, U, bias = (self.params[name] for name in ("kernel", "recurrent_kernel", "bias"))
        b, v = bias if self.reset_after else (bias, np.zeros_like(bias))
        (h_before,) = state
        n = 2 * self.units  # the gates z and r come first, then the candidate
        x_W = x @ W + b  # (batch, 3 * units)
        z, r = np.split(sigmoid(x_W[:, :n] + h_before @ U[:, :n] + v[:n]), 2, axis=-1)
        if self.reset_after:
            q = h_before @ U[:, n:] + v[n:]  # multiplied by the reset gate
            g = np.tanh(x_W[:, n:] + r * q)
        else:
            q = h_before
            g = np.tanh(x_W[:, n:] + (r * q) @ U[:, n:])
        h = z * h_before + (1 - z) * g
        return (h,), (x, h_before, z, r, q, g)

    def step_backward(
        self, d_state: State, cache: tuple[Array, ...], gradients: dict[str, Array]
    ) -> tuple[Array, State]:
        """Compute dx[t] and dh[t-1] from dh[t]."""
        W, U = self.params["kernel"], self.params["recurrent_kernel"]
        dU = gradients["recurrent_kernel"]
        x, h_before, z, r, q, g = cache
        (dh,) = d_state
        n = 2 * self.units
        dz, dg = dh * (h_before - g), dh * (1 - z)
        da_g = dg * (1 - g**2)  # (batch, units)
        if self.reset_after:
            dr, dq = da_g * q, da_g * r
            dU[:, n:] += h_before.T @ dq
            dh_before = dh * z + dq @ U[:, n:].T
        else:
            d_reset = da_g @ U[:, n:].T  # of r * h[t-1]
            dr = d_reset * h_before
            dU[:, n:] += (r * h_before).T @ da_g
            dh_before = dh * z + d_reset * r
        da_zr = np.concatenate([dz * z * (1 - z), dr * r * (1 - r)], axis=-1)  # (batch, 2 * units)
        dU[:, :n] += h_before.T @ da_zr
        dh_before = dh_before + da_zr @ U[:, :n].T

        da = np.concatenate([da_zr, da_g], axis=-1)  # (batch, 3 * units)
        gradients["kernel"] += x.T @ da
        if self.reset_after:
            db, dv = da, np.concatenate([da_zr, dq], axis=-1)
            gradients["bias"] += np.stack([db.sum(axis=0), dv.sum(axis=0)])
        else:
            gradients["bias"] += da.sum(axis=0)
        return da @ W.T, (dh_before,)
