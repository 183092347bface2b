"""The training loop, with early stopping."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from rnnapps.reference.clipping import clip_by_global_norm
from rnnapps.reference.layer import Array
from rnnapps.reference.optimizers import SGD, Adam


class Model(Protocol):
    """The interface of a model for `fit`; a batch is in the model's own format."""

    @property
    def params(self) -> dict[str, Array]:
        """All weights, without copying the layers' arrays."""

    def loss(self, batch: Any) -> float:
        """Return the loss, without dropout."""

    def loss_and_gradients(
        self, batch: Any, rng: np.random.Generator | None = None
    ) -> tuple[float, dict[str, Array]]:
        """Return the loss, and its gradient for each of `params`; `rng` enables dropout."""


class EarlyStopping:
    """Stop when the validation loss has not improved for a while, and restore the best weights.

    A network first learns patterns that training and validation examples share, later those of the
    training examples alone (overfitting); the validation loss then rises.

    Args:
        patience: Number of consecutive epochs without improvement to accept.
        min_delta: Minimum decrease of the loss that counts as improvement.
    """

    def __init__(self, patience: int = 3, min_delta: float = 0.0):
        self.patience = patience
        self.min_delta = min_delta
        self.best = np.inf
        self.best_params: dict[str, Array] = {}
        self.waited = 0

    def should_stop(self, loss: float, params: dict[str, Array]) -> bool:
        """Record an epoch's validation loss and weights; return whether to stop."""
        if loss < self.best - self.min_delta:
            self.best = loss
            self.best_params = {name: weight.copy() for name, weight in params.items()}
            self.waited = 0
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, params: dict[str, Array]) -> None:
        """Restore the best weights, in place."""
        for name, weight in self.best_params.items():
            params[name][...] = weight


def fit(
    model: Model,
    batches: Sequence[Any],
    optimizer: SGD | Adam,
    epochs: int,
    validation: Any = None,
    clip_norm: float | None = None,
    early_stopping: EarlyStopping | None = None,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Train a model on batches, shuffled in each epoch.

    Args:
        model: The model, trained in place.
        batches: The training batches.
        optimizer: The optimizer.
        epochs: Maximum number of epochs.
        validation: Optional validation batch, evaluated after each epoch.
        clip_norm: Optional bound on the gradients' global norm.
        early_stopping: Optional; monitors the validation loss.
        seed: Seed of shuffling and dropout.

    Returns:
        The losses of each epoch: "loss", the mean over the batches while training, and
        "validation_loss".

    Raises:
        ValueError: If `early_stopping` is given without `validation`.
    """
    if early_stopping is not None and validation is None:
        raise ValueError("Expected a validation batch for early_stopping. Received: None")
    rng = np.random.default_rng(seed)
    history: dict[str, list[float]] = {"loss": [], "validation_loss": []}
    for _ in range(epochs):
        losses = []
        for index in rng.permutation(len(batches)):
            loss, gradients = model.loss_and_gradients(batches[index], rng)
            if clip_norm is not None:
                gradients = clip_by_global_norm(gradients, clip_norm)
            optimizer.update(model.params, gradients)
            losses.append(loss)
        history["loss"].append(float(np.mean(losses)))
        if validation is not None:
            loss = model.loss(validation)
            history["validation_loss"].append(loss)
            if early_stopping is not None and early_stopping.should_stop(loss, model.params):
                break
    if early_stopping is not None:
        early_stopping.restore(model.params)
    return history
