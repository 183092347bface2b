"""The loop through time: forward, and back (BPTT).

A recurrent layer applies one step, with the same weights, at every time:

    state[t] = step(x[t], state[t-1])        state = (h,) or (h, c); the output of a step is h

Unrolled, that is a deep feed-forward network with as many layers as there are steps, so its
gradient is the chain rule read from the last step to the first. h[t] reaches the loss in two ways,
through its own output and through the next step:

    dL/dh[t] = d_outputs[t] + J[t+1]^T dL/dh[t+1]        J[t+1] = dh[t+1] / dh[t]

and since all steps share the weights, their gradients add up over the steps. Distant steps are
connected by the product of all J between them: if J shrinks vectors, the gradient vanishes
geometrically; if it stretches them, it explodes. Gates mitigate the former, clipping the latter.

Reference:
    Werbos, 1990, Backpropagation through time: what it does and how to do it.
    Bengio et al., 1994, Learning long-term dependencies with gradient descent is difficult.
"""

from typing import NamedTuple

import numpy as np

from rnnapps.reference.layer import Array, Gradients, Layer

State = tuple[Array, ...]


class RecurrentCache(NamedTuple):
    """What the backward pass needs from the forward pass."""

    steps: list[tuple[Array, ...]]  # the cache of each step
    mask: np.ndarray  # (batch, time)


class Recurrent(Layer):
    """Base class of recurrent layers. Subclasses define one step, forward and backward.

    As in Keras, a masked step keeps the state and repeats the previous output (zeros before the
    first unmasked step).
    """

    inputs: int
    units: int
    states: int = 1  # number of state arrays

    def step(self, x: Array, state: State) -> tuple[State, tuple[Array, ...]]:
        """Compute one step from `x`, `(batch, inputs)`, and the state: new state and cache."""
        raise NotImplementedError

    def step_backward(
        self, d_state: State, cache: tuple[Array, ...], gradients: dict[str, Array]
    ) -> tuple[Array, State]:
        """Compute dx and the previous d_state from d_state; add to `gradients`."""
        raise NotImplementedError

    def zero_state(self, batch: int) -> State:
        """Return the default initial state."""
        return tuple(np.zeros((batch, self.units)) for _ in range(self.states))

    def forward(
        self, x: Array, mask: np.ndarray | None = None, initial_state: State | None = None
    ) -> tuple[Array, State, RecurrentCache]:
        """Run over a batch of sequences.

        Args:
            x: Inputs of shape `(batch, time, inputs)`.
            mask: Optional booleans of shape `(batch, time)`; False marks a step to skip.
            initial_state: Optional arrays of shape `(batch, units)`.

        Returns:
            The outputs of all steps, of shape `(batch, time, units)`; the last state; and the cache
            for `backward`.
        """
        x, mask, state = self._checked(x, mask, initial_state)
        batch, time, _ = x.shape
        outputs = np.empty((batch, time, self.units))
        output = np.zeros((batch, self.units))
        steps = []
        for t in range(time):
            new_state, cache = self.step(x[:, t], state)
            keep = mask[:, t, None]  # (batch, 1)
            state = tuple(np.where(keep, n, s) for n, s in zip(new_state, state, strict=True))
            output = np.where(keep, new_state[0], output)
            outputs[:, t] = output
            steps.append(cache)
        return outputs, state, RecurrentCache(steps, mask)

    def backward(
        self, d_outputs: Array, cache: RecurrentCache, d_state: State | None = None
    ) -> Gradients:
        """Run back through time.

        Args:
            d_outputs: dL/d(outputs), of shape `(batch, time, units)`.
            cache: The cache from `forward`.
            d_state: Optional dL/d(last state), if the loss depends on it.
        """
        batch, time = cache.mask.shape
        if d_state is None:
            d_state = self.zero_state(batch)
        d_output = np.zeros((batch, self.units))
        d_inputs = np.empty((batch, time, self.inputs))
        d_hidden = np.empty((batch, time, self.units))
        gradients = self.zero_gradients()
        for t in reversed(range(time)):
            keep = cache.mask[:, t, None]  # (batch, 1)
            d_output = d_output + d_outputs[:, t]
            # An unmasked step computes the state, whose first array is also the output ...
            d_h, *d_rest = (np.where(keep, d, 0.0) for d in d_state)
            d_hidden[:, t] = d_h + np.where(keep, d_output, 0.0)
            d_new_state = (d_hidden[:, t], *d_rest)
            d_inputs[:, t], d_before = self.step_backward(d_new_state, cache.steps[t], gradients)
            # ... and a masked one passes the previous state on.
            d_state = tuple(np.where(keep, b, d) for b, d in zip(d_before, d_state, strict=True))
            d_output = np.where(keep, 0.0, d_output)
        return Gradients(d_inputs, gradients, d_state, d_hidden)

    def _checked(self, x, mask, state) -> tuple[Array, np.ndarray, State]:
        x = np.asarray(x, float)
        if x.ndim != 3 or x.shape[-1] != self.inputs:
            raise ValueError(
                f"Expected x of shape (batch, time, {self.inputs}). Received: shape {x.shape}"
            )
        mask = np.ones(x.shape[:2], bool) if mask is None else np.asarray(mask, bool)
        if mask.shape != x.shape[:2]:
            raise ValueError(
                f"Expected mask of shape {x.shape[:2]}, as x has. Received: shape {mask.shape}"
            )
        if state is None:
            return x, mask, self.zero_state(len(x))
        state = tuple(np.asarray(s, float) for s in state)
        expected = [(len(x), self.units)] * self.states
        if [s.shape for s in state] != expected:
            raise ValueError(
                f"Expected initial_state of shapes {expected}. "
                f"Received: shapes {[s.shape for s in state]}"
            )
        return x, mask, state
