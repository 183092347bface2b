"""The minimal gated recurrent unit: gates that do not depend on the state."""

import numpy as np

from rnnapps.reference.activations import sigmoid
from rnnapps.reference.initializers import glorot_uniform
from rnnapps.reference.layer import Array
from rnnapps.reference.recurrent import Recurrent, State


class MinGRU(Recurrent):
    """Minimal gated recurrent unit.

    With W, b = kernel, bias in blocks z, h:

        z = sigmoid(x[t] W_z + b_z)                  update gate: how much to replace
        g = x[t] W_h + b_h                           candidate
        h[t] = (1 - z) * h[t-1] + z * g

    A GRU without recurrent products and reset gate: the gates do not see the state. The factor of
    h[t-1] depends only on the input, so all factors are known in advance, and h is a linear
    recurrence, which can be computed in parallel. Its J is the diagonal matrix of 1 - z: gradients
    never explode, and vanish as the gates decide.

    Args:
        inputs: Size of x[t].
        units: Size of h[t].
        seed: Seed, or generator, of the initial weights.

    Weights:
        kernel `(inputs, 2 * units)`, bias `(2 * units,)`.

    Reference:
        Feng et al., 2024, Were RNNs All We Needed?
    """

    def __init__(self, inputs: int, units: int, seed: int | np.random.Generator = 0):
        rng = np.random.default_rng(seed)
        self.inputs = inputs
        self.units = units
        self.params = {
            "kernel": glorot_uniform((inputs, 2 * units), rng),
            "bias": np.zeros(2 * units),
        }

    def step(self, x: Array, state: State) -> tuple[State, tuple[Array, ...]]:
        """Compute h[t] from x[t] and h[t-1]."""
        (h_before,) = state
        a_z, g = np.split(x @ self.params["kernel"] + self.params["bias"], 2, axis=-1)
        z = sigmoid(a_z)
        return ((1 - z) * h_before + z * g,), (x, h_before, z, g)

    def step_backward(
        self, d_state: State, cache: tuple[Array, ...], gradients: dict[str, Array]
    ) -> tuple[Array, State]:
        """Compute dx[t] and dh[t-1] from dh[t]."""
        x, h_before, z, g = cache
        (dh,) = d_state
        da_z = dh * (g - h_before) * z * (1 - z)
        da = np.concatenate([da_z, dh * z], axis=-1)  # (batch, 2 * units)
        gradients["kernel"] += x.T @ da
        gradients["bias"] += da.sum(axis=0)
        return da @ self.params["kernel"].T, (dh * (1 - z),)
