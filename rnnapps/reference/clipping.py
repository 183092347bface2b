"""Clipping: a bound on one step, for when gradients explode.

A loss can have cliffs, where the gradient is so large that one step along it undoes all learning.

Reference:
    Pascanu et al., 2013, On the difficulty of training recurrent neural networks.
"""

import numpy as np

from rnnapps.reference.layer import Array


def clip_by_value(gradients: dict[str, Array], limit: float) -> dict[str, Array]:
    """Clip every entry to [-limit, limit]. This can change the direction.

    Args:
        gradients: Arrays by name.
        limit: Maximum absolute value of an entry.

    Returns:
        The clipped gradients, by name.
    """
    return {name: np.clip(gradient, -limit, limit) for name, gradient in gradients.items()}


def global_norm(gradients: dict[str, Array]) -> float:
    """Return the length of all gradients taken as one long vector.

    Args:
        gradients: Arrays by name.

    Returns:
        The length.
    """
    return float(np.sqrt(sum((gradient**2).sum() for gradient in gradients.values())))


def clip_by_global_norm(gradients: dict[str, Array], limit: float) -> dict[str, Array]:
    """Scale all gradients by one factor, so that their global norm is at most `limit`.

    The direction does not change.

    Args:
        gradients: Arrays by name.
        limit: Maximum norm.

    Returns:
        The clipped gradients, by name.
    """
    norm = global_norm(gradients)
    scale = limit / norm if norm > limit else 1.0
    return {name: gradient * scale for name, gradient in gradients.items()}
