"""The squashing functions of the gates, and the softmax.

Their derivatives are cheap because they can be written with the value itself:

    s = sigmoid(a)    ds/da = s (1 - s)      at most 1/4
    y = tanh(a)       dy/da = 1 - y^2        at most 1
"""

import numpy as np

from rnnapps.reference.layer import Array


def sigmoid(a: Array) -> Array:
    """Return 1 / (1 + exp(-a)), written with tanh so that no `a` overflows.

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
        mask: Optional booleans of the same shape. A masked entry gets the weight 0, and so does
            every entry of a row that is masked throughout.

    Returns:
        Weights of the same shape.
    """
    mask = np.ones(a.shape, bool) if mask is None else np.asarray(mask, bool)
    # Subtracting the largest score changes nothing in the quotient and keeps exp from overflowing.
    largest = np.max(a, axis=-1, keepdims=True, where=mask, initial=-np.inf)
    exp = np.exp(a - largest, where=mask, out=np.zeros_like(a))
    total = exp.sum(axis=-1, keepdims=True)
    return np.divide(exp, total, where=total > 0, out=np.zeros_like(exp))
