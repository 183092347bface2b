"""The simple recurrent network: a layer that feeds back its previous output."""

import numpy as np

from rnnapps.reference.initializers import glorot_uniform, orthogonal
from rnnapps.reference.layer import Array
from rnnapps.reference.recurrent import Recurrent, State


class SimpleRNN(Recurrent):
    """Elman's network.

    With W, U, b = kernel, recurrent_kernel, bias:

        h[t] = tanh(x[t] W + h[t-1] U + b)

    One step back, with a the argument of tanh:

        da      = dh[t] * (1 - h[t]^2)
        dh[t-1] = da U^T

    From step t to step t - k the gradient is multiplied k times by U^T and by a derivative of tanh
    of at most 1: if the largest singular value of U is below 1, it always vanishes; it can explode
    only if that value is above 1.

    Args:
        inputs: Size of x[t].
        units: Size of h[t].
        seed: Seed, or generator, of the initial weights.

    Weights:
        kernel `(inputs, units)`, recurrent_kernel `(units, units)`, bias `(units,)`.

    Reference:
        Elman, 1990, Finding structure in time.
        Pascanu et al., 2013, On the difficulty of training recurrent neural networks.
    """

    def __init__(self, inputs: int, units: int, seed: int | np.random.Generator = 0):
        rng = np.random.default_rng(seed)
        self.inputs = inputs
        self.units = units
        self.params = {
            "kernel": glorot_uniform((inputs, units), rng),
            "recurrent_kernel": orthogonal((units, units), rng),
            "bias": np.zeros(units),
        }

    def step(self, x: Array, state: State) -> tuple[State, tuple[Array, ...]]:
        """Compute h[t] from x[t] and h[t-1]."""
        W, U, b = (self.params[name] for name in ("kernel", "recurrent_kernel", "bias"))
        (h_before,) = state
        h = np.tanh(x @ W + h_before @ U + b)  # (batch, units)
        return (h,), (x, h_before, h)

    def step_backward(
        self, d_state: State, cache: tuple[Array, ...], gradients: dict[str, Array]
    ) -> tuple[Array, State]:
        """Compute dx[t] and dh[t-1] from dh[t]."""
        W, U = self.params["kernel"], self.params["recurrent_kernel"]
        x, h_before, h = cache
        (dh,) = d_state
        da = dh * (1 - h**2)
        gradients["kernel"] += x.T @ da
        gradients["recurrent_kernel"] += h_before.T @ da
        gradients["bias"] += da.sum(axis=0)
        return da @ W.T, (da @ U.T,)
