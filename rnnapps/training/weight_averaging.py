"""Averages of weights: a moving average over steps, or the mean of the last epochs."""

import pathlib

import keras
import numpy as np


class MovingAverage(keras.callbacks.Callback):
    """Measures the moving average of a model's weights, and shows it to the callbacks before it.

    The optimizer keeps the average (`use_ema`), and with it what keeps the optimizer's state.
    Keras' `SwapEMAWeights` swaps the two by additions, which round, and either hides the average
    from `EarlyStopping` or leaves it to `Checkpoint` for the weights themselves. This one belongs
    between these two.
    """

    def __init__(self):
        super().__init__()
        self._own: list[np.ndarray] = []

    def on_test_begin(self, logs=None):
        self._own = [v.numpy() for v in self.model.trainable_variables]
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)

    def on_epoch_end(self, epoch, logs=None):
        if self._own:  # there was something to measure
            _assign(self.model, self._own)


class KeepWeights(keras.callbacks.Callback):
    """Keeps the weights of the last epochs on disk, so that they can be averaged.

    Averaging the weights of the last epochs often generalizes better than any one of them.

    Args:
        directory: Where they are kept, from one run to the next that goes on where it stopped.
        count: How many epochs.
    """

    def __init__(self, directory: pathlib.Path, count: int):
        super().__init__()
        self.directory, self.count = pathlib.Path(directory), count
        self.directory.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, epoch, logs=None):
        draft = self.directory / "draft.npz"
        np.savez(draft, *(v.numpy() for v in self.model.trainable_variables))
        draft.rename(self.directory / f"weights-{epoch:05d}.npz")
        for old in self._kept()[: -self.count]:
            old.unlink()

    def _kept(self) -> list[pathlib.Path]:
        return sorted(self.directory.glob("weights-*.npz"))

    def mean(self) -> list[np.ndarray]:
        """The mean of each trainable weight over the epochs kept."""
        total: list[np.ndarray] = []
        for path in self._kept():
            with np.load(path) as arrays:
                values = [arrays[f"arr_{i}"] for i in range(len(arrays))]
            total = [a + b for a, b in zip(total, values, strict=True)] if total else values
        return [values / len(self._kept()) for values in total]


def average_if_better(model: keras.Model, keeper: KeepWeights, validation) -> bool:
    """Gives a compiled model the averaged weights, where they have the lower validation loss.

    Args:
        model: The model, with the weights that it has otherwise.
        keeper: What kept the weights.
        validation: A `tf.data.Dataset` to measure the loss on.

    Returns:
        Whether the averaged weights are better.
    """
    before = [v.numpy() for v in model.trainable_variables]
    loss = model.evaluate(validation, verbose=0, return_dict=True)["loss"]
    _assign(model, keeper.mean())
    better = model.evaluate(validation, verbose=0, return_dict=True)["loss"] < loss
    if not better:
        _assign(model, before)
    return better


def _assign(model: keras.Model, values: list[np.ndarray]) -> None:
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
