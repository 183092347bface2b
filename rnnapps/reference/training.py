"""The training loop, and when to leave it."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from rnnapps.reference.clipping import clip_by_global_norm
from rnnapps.reference.layer import Array
from rnnapps.reference.optimizers import SGD, Adam


class Model(Protocol):
    """What `fit` needs of a model; a batch is whatever the model takes."""

    @property
    def params(self) -> dict[str, Array]:
        """All weights, the very arrays that the layers use."""

    def loss(self, batch: Any) -> float:
        """Return the loss, without dropout."""

    def loss_and_gradients(
        self, batch: Any, rng: np.random.Generator | None = None
    ) -> tuple[float, dict[str, Array]]:
        """Return the loss, and its gradient for each of `params`; `rng` switches dropout on."""


class EarlyStopping:
    """Stop when the validation loss has not improved for a while, and go back to the best weights.

    A network first learns what the training and validation examples have in common, later what only
    the training examples have. The validation loss turns where the second begins.

    Args:
        patience: How many epochs in a row without improvement to bear.
        min_delta: How much lower than the best a loss must be to count as improvement.
    """

    def __init__(self, patience: int = 3, min_delta: float = 0.0):
        self.patience = patience
        self.min_delta = min_delta
        self.best = np.inf
        self.best_params: dict[str, Array] = {}
        self.waited = 0

    def should_stop(self, loss: float, params: dict[str, Array]) -> bool:
        """Take note of an epoch's validation loss and weights; return whether to stop."""
        if loss < self.best - self.min_delta:
            self.best = loss
            self.best_params = {name: weight.copy() for name, weight in params.items()}
            self.waited = 0
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, params: dict[str, Array]) -> None:
        """Put the best weights back, in place."""
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
    """Go through the batches, in a new order each epoch, and improve the model after each.

    Args:
        model: What to train, in place.
        batches: The training examples.
        optimizer: Makes the updates.
        epochs: How often to go through all batches, at most.
        validation: Optional batch to measure the loss on after each epoch.
        clip_norm: Optional bound on the gradients' global norm.
        early_stopping: Optional; watches the validation loss.
        seed: Seed of the order of the batches and of dropout.

    Returns:
        The losses of each epoch: "loss", the mean over the batches while training, and
        "validation_loss".

    Raises:
        ValueError: If `early_stopping` has no `validation` to watch.
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
