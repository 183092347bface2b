"""The base class of layers: named weights, a forward pass and a backward pass.

A layer stores nothing between calls but its weights. What the backward pass needs from the forward
pass is returned and passed in again as `cache`:

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
    """The derivatives of the loss, returned by a layer's `backward`.

    Args:
        inputs: dL/dx, in the shape of the inputs; None for integer inputs.
        params: dL/dw for each weight w, by name.
        initial_state: Recurrent layers only: dL/d(initial state), one array per state.
        hidden: Recurrent layers only: dL/dh[t], of shape `(batch, time, units)`, over all paths
            from h[t] to the loss; zero at masked steps.
    """

    inputs: Array | None
    params: dict[str, Array] = field(default_factory=dict)
    initial_state: tuple[Array, ...] = ()
    hidden: Array | None = None

    def hidden_norms(self) -> Array:
        """Return the norm of dL/dh[t] at each step, averaged over the batch: shape `(time,)`.

        From the last step to the first, it shows whether gradients vanish or explode.
        """
        if self.hidden is None:
            raise ValueError("Expected the gradients of a recurrent layer. Received: hidden=None")
        return np.linalg.norm(self.hidden, axis=-1).mean(axis=0)


class Layer:
    """A layer: a dictionary of weights, `params`, that `forward` and `backward` read."""

    params: dict[str, Array]

    def set_params(self, **arrays: ArrayLike) -> None:
        """Copy arrays, such as those of a Keras layer, into the weights of the same names.

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
        """Return zeros for each weight, to accumulate gradients in."""
        return {name: np.zeros_like(weight) for name, weight in self.params.items()}
