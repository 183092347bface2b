"""What every layer here has: named weights, a way forward and a way back.

A layer keeps nothing between calls but its weights. What the way back needs to remember of the way
forward is handed out and handed in again as `cache`:

    outputs, cache = layer.forward(x)
    gradients = layer.backward(d_outputs, cache)

`d_something` always means the derivative of the loss, dL/d(something), and has the same shape.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gradients:
    """What a layer's `backward` returns: the derivatives of the loss.

    Args:
        inputs: dL/dx, in the shape of the inputs; None where the inputs are integers.
        params: dL/dw for each weight w, under the weight's name.
        initial_state: Recurrent layers only: dL/d(initial state), one array per state.
        hidden: Recurrent layers only: dL/dh[t], of shape `(batch, time, units)`, for the h[t] that
            step t computed, along every path to the loss; zero at masked steps, which compute none.
    """

    inputs: Array | None
    params: dict[str, Array] = field(default_factory=dict)
    initial_state: tuple[Array, ...] = ()
    hidden: Array | None = None

    def hidden_norms(self) -> Array:
        """Return the norm of dL/dh[t] at each step, averaged over the batch: shape `(time,)`.

        Read from the last step to the first it shows whether gradients vanish or explode.
        """
        if self.hidden is None:
            raise ValueError("Expected the gradients of a recurrent layer. Received: hidden=None")
        return np.linalg.norm(self.hidden, axis=-1).mean(axis=0)


class Layer:
    """A layer: a dictionary of weights, `params`, that `forward` and `backward` read."""

    params: dict[str, Array]

    def set_params(self, **arrays: ArrayLike) -> None:
        """Copy arrays into the weights of the same names, for instance those of a Keras layer.

        Raises:
            ValueError: If a name is unknown or a shape differs.
        """
        for name, array in arrays.items():
            if name not in self.params:
                raise ValueError(f"Expected a name among {list(self.params)}. Received: {name!r}")
            if np.shape(array) != self.params[name].shape:
                raise ValueError(
                    f"Expected {name} of shape {self.params[name].shape}. "
                    f"Received: shape {np.shape(array)}"
                )
            self.params[name][...] = array

    def zero_gradients(self) -> dict[str, Array]:
        """Return a zero for each weight, for a way back to add to."""
        return {name: np.zeros_like(weight) for name, weight in self.params.items()}
