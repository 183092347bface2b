"""Losses and their gradients.

Each loss is a mean over predictions, and also returns its gradient, where the backward pass begins.
A mask excludes predictions, such as padding, from the mean and the gradient.
"""

import numpy as np

from rnnapps.reference.activations import softmax
from rnnapps.reference.layer import Array


def softmax_cross_entropy(
    logits: Array, targets: np.ndarray, mask: np.ndarray | None = None
) -> tuple[float, Array]:
    """Compare logits over classes with the true class.

    For one prediction:

        p = softmax(logits)
        L = -log p[target]
        dL/d(logits) = p - one_hot(target)

    Args:
        logits: Shape `(..., classes)`.
        targets: Integers of shape `(...)`.
        mask: Optional booleans of shape `(...)`; False excludes a prediction.

    Returns:
        The mean loss in nats (its exponential is the perplexity), and dL/d(logits).
    """
    mask = np.ones(targets.shape, bool) if mask is None else np.asarray(mask, bool)
    count = max(mask.sum(), 1)
    one_hot = np.arange(logits.shape[-1]) == targets[..., None]  # (..., classes)
    # log p[target] = logits[target] - log(sum(exp(logits))): avoids the log of an underflowed p.
    largest = logits.max(axis=-1)
    log_total = largest + np.log(np.exp(logits - largest[..., None]).sum(axis=-1))
    losses = log_total - np.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    d_logits = (softmax(logits) - one_hot) * mask[..., None] / count
    return float(losses[mask].sum() / count), d_logits


def mean_squared_error(
    predictions: Array, targets: Array, mask: np.ndarray | None = None
) -> tuple[float, Array]:
    """Compare predictions with targets.

    For one prediction y:

        L = (y - target)^2
        dL/dy = 2 (y - target)

    Args:
        predictions: Numbers of any shape.
        targets: Numbers of the same shape.
        mask: Optional booleans of the same shape; False excludes a prediction.

    Returns:
        The mean loss, and dL/d(predictions).

    Raises:
        ValueError: If the shapes differ.
    """
    if np.shape(predictions) != np.shape(targets):
        raise ValueError(
            f"Expected targets of shape {np.shape(predictions)}, as predictions have. "
            f"Received: shape {np.shape(targets)}"
        )
    mask = np.ones(np.shape(targets), bool) if mask is None else np.asarray(mask, bool)
    count = max(mask.sum(), 1)
    errors = np.where(mask, predictions - targets, 0.0)
    return float((errors**2).sum() / count), 2 * errors / count
