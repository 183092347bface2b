"""Position encodings: attention by itself ignores the order of steps."""

import numpy as np

from rnnapps.reference.layer import Array


def angles(positions: Array, width: int) -> Array:
    """Return the angle of each pair of features at each position.

    Each pair rotates at its own rate, from one radian per step to one in 10,000 steps.

    Args:
        positions: Positions, `(time,)`.
        width: An even number of features.

    Returns:
        The angles, `(time, width / 2)`.
    """
    return np.asarray(positions)[:, None] / 10_000.0 ** (np.arange(0, width, 2) / width)


def positional_encoding(positions: Array, width: int) -> Array:
    """Return sinusoidal position encodings, to be added to the inputs.

    A shift of the position is the same rotation of all pairs at any position.

    Args:
        positions: Positions, `(time,)`.
        width: An even number of features: the sines come first, then the cosines.

    Returns:
        The encoding, `(time, width)`.

    Reference:
        Vaswani et al., 2017, Attention Is All You Need.
    """
    at = angles(positions, width)
    return np.concatenate([np.sin(at), np.cos(at)], axis=-1)


def rotate(x: Array, positions: Array) -> Array:
    """Rotate each pair of features by the angle of its position.

        [a, b]  ->  [a cos - b sin, a sin + b cos]

    Vectors keep their lengths, and the dot product of two depends only on their distance. Rotating
    by `-positions` undoes it.

    Args:
        x: `(..., time, width)`; features i and i + width / 2 are a pair.
        positions: Positions, `(time,)`.

    Returns:
        The rotated vectors, in the shape of `x`.

    Reference:
        Su et al., 2021, RoFormer: Enhanced Transformer with Rotary Position Embedding.
    """
    at = angles(positions, x.shape[-1])
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * np.cos(at) - b * np.sin(at), a * np.sin(at) + b * np.cos(at)], -1)
