"""The five input-output shapes, and how one recurrent layer handles them all.

    one-to-one              an image to its class: no time axis, a dense layer is enough
    one-to-many             an image to its caption, a first note to a tune
    many-to-one             a review to its sentiment, the past days to the next
    many-to-many, equal     each word to its part of speech, each word to the next
    many-to-many, unequal   a sentence to its translation

Reference:
    Karpathy, 2015, The unreasonable effectiveness of recurrent neural networks.
    Sutskever et al., 2014, Sequence to sequence learning with neural networks.
"""

import numpy as np

from rnnapps.reference.dense import Dense
from rnnapps.reference.layer import Array
from rnnapps.reference.recurrent import Recurrent


def one_to_one(readout: Dense, x: Array) -> Array:
    """Map each input to one output.

    Args:
        readout: From `inputs` to `outputs`.
        x: Shape `(batch, inputs)`.

    Returns:
        Shape `(batch, outputs)`.
    """
    return readout.forward(x)[0]


def one_to_many(layer: Recurrent, readout: Dense, x: Array, steps: int) -> Array:
    """Start from one input, then feed back each output as the next input.

    Args:
        layer: A recurrent layer of `inputs`.
        readout: From the layer's units to `inputs`.
        x: Shape `(batch, inputs)`.
        steps: Number of outputs.

    Returns:
        Shape `(batch, steps, inputs)`.
    """
    state = layer.zero_state(len(x))
    outputs = []
    for _ in range(steps):
        state, _ = layer.step(x, state)
        x, _ = readout.forward(state[0])
        outputs.append(x)
    return np.stack(outputs, axis=1)


def many_to_one(
    layer: Recurrent, readout: Dense, x: Array, mask: np.ndarray | None = None
) -> Array:
    """Process the whole sequence, then predict once, from the output of the last step.

    Args:
        layer: A recurrent layer of `inputs`.
        readout: From the layer's units to `outputs`.
        x: Shape `(batch, time, inputs)`.
        mask: Optional booleans of shape `(batch, time)`.

    Returns:
        Shape `(batch, outputs)`.
    """
    h, _, _ = layer.forward(x, mask)
    return readout.forward(h[:, -1])[0]


def many_to_many_equal(
    layer: Recurrent, readout: Dense, x: Array, mask: np.ndarray | None = None
) -> Array:
    """Predict at every step, from the inputs so far.

    Args:
        layer: A recurrent layer of `inputs`.
        readout: From the layer's units to `outputs`.
        x: Shape `(batch, time, inputs)`.
        mask: Optional booleans of shape `(batch, time)`.

    Returns:
        Shape `(batch, time, outputs)`.
    """
    h, _, _ = layer.forward(x, mask)
    return readout.forward(h)[0]


def many_to_many_unequal(
    encoder: Recurrent,
    decoder: Recurrent,
    readout: Dense,
    x: Array,
    y: Array,
    mask: np.ndarray | None = None,
) -> Array:
    """Encode the sequence with one layer, and decode from its last state with another.

    In training, the decoder's inputs are the targets, shifted by one step (teacher forcing); at
    inference, its own outputs, as in `one_to_many`.

    Args:
        encoder: A recurrent layer of `inputs`.
        decoder: A recurrent layer of `outputs`, with states like the encoder's.
        readout: From the decoder's units to `outputs`.
        x: Shape `(batch, time, inputs)`.
        y: Shape `(batch, other_time, outputs)`.
        mask: Optional booleans of shape `(batch, time)`.

    Returns:
        Shape `(batch, other_time, outputs)`.
    """
    _, state, _ = encoder.forward(x, mask)
    h, _, _ = decoder.forward(y, initial_state=state)
    return readout.forward(h)[0]
