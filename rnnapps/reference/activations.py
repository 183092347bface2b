"""The activations of the gates, and the softmax.

Their derivatives are cheap, as functions of the value itself:

    s = sigmoid(a)    ds/da = s (1 - s)      at most 1/4
    y = tanh(a)       dy/da = 1 - y^2        at most 1
"""

import numpy as np

from rnnapps.reference.layer import Array


def sigmoid(a: Array) -> Array:
    """Return 1 / (1 + exp(-a)), computed with tanh to avoid overflow.

    Args:
        a: Numbers of any shape.

    Returns:
        Numbers from 0 to 1, of the same shape.
    """
    return 0.5 * (1.0 + np.tanh(0.5 * a))


def softmax(a: Array, mask: np.ndarray | None = None) -> Array:
    """Return exp(a) / sum(exp(a)) over the last axis, among the entries that `mask` keeps.

    Args:
        a: Scores of shape `(..., classes)`.
        mask: Optional booleans of the same shape. Masked entries get weight 0, as do all entries of
            a fully masked row.

    Returns:
        Weights of the same shape.
    """
    mask = np.ones(a.shape, bool) if mask is None else np.asarray(mask, bool)
    # Subtracting the maximum does not change the quotient and prevents overflow.
    largest = np.max(a, axis=-1, keepdims=True, where=mask, initial=-np.inf)
    exp = np.exp(a - largest, where=mask, out=np.zeros_like(a))
    total = exp.sum(axis=-1, keepdims=True)
    return np.divide(exp, total, where=total > 0, out=np.zeros_like(exp))
