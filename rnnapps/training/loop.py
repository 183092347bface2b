"""The one training loop: Keras' `fit`, with the callbacks that every application wants."""

import contextlib
import math
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Protocol

import keras
import tensorflow as tf

from rnnapps.config import TrainingConfig
from rnnapps.data import let_go
from rnnapps.errors import RnnappsError
from rnnapps.training.checkpoint import Checkpoint, SaveEvery
from rnnapps.training.layerwise import GradualUnfreezing, freeze
from rnnapps.training.losses import GlobalMean
from rnnapps.training.optimizer import make_optimizer
from rnnapps.training.progress_line import ProgressLine
from rnnapps.training.time_limit import TimeLimit
from rnnapps.training.weight_averaging import MovingAverage

LENGTHS = (32, 64, 128, 256, 512, 1024, 2048)  # to which XLA's batches are padded


class Source(Protocol):
    """Training data whose epochs differ, each in a way that depends on its number alone."""

    def __len__(self) -> int:
        """Number of batches in an epoch."""

    def epochs(self, first: int = 0) -> tf.data.Dataset:
        """The batches of all epochs from `first` on, without end."""


class Diverged(RnnappsError):
    """Training whose loss is no longer a number."""


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Layers made inside compute under this dtype policy.

    Args:
        policy: The policy's name, such as `"mixed_bfloat16"`.

    Yields:
        Nothing.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def static_lengths(config: TrainingConfig, max_length: int) -> tuple[int, ...]:
    """The lengths to which batches are padded where shapes must be static: under XLA.

    Args:
        config: Its `jit` and `strategy` are read.
        max_length: The longest.

    Returns:
        The lengths, ascending; none where batches are as long as their longest row.
    """
    if not (config.jit or config.strategy == "tpu"):
        return ()
    if config.strategy == "tpu":  # one shape: a TPU compiles each for minutes
        return (max_length,)
    return (*(length for length in LENGTHS if length < max_length), max_length)


def compile_model(
    model: keras.Model,
    config: TrainingConfig,
    steps: int,
    loss: keras.losses.Loss | None,
    metrics: Sequence[keras.metrics.Metric] = (),
) -> None:
    """Compiles a model for `fit`, within the scope of its strategy.

    Args:
        model: The model.
        config: Its optimizer's settings, `freeze`, `jit` and `strategy` are read.
        steps: Number of training steps over which the schedule runs.
        loss: The loss; `None` of a model that computes its own.
        metrics: Metrics, weighted like the loss: filled-up rows count nothing.
    """
    if config.freeze:
        freeze(model)
    jit = config.jit or config.strategy == "tpu"
    for layer in model._flatten_layers() if jit else ():
        if hasattr(layer, "use_cudnn"):
            # XLA cannot compile cuDNN; Keras would take that, and compile nothing.
            layer.use_cudnn, layer.supports_jit = False, True
    model.compile(
        make_optimizer(config, steps),
        loss=loss and GlobalMean(loss),
        weighted_metrics=list(metrics),
        # Not Keras' "auto", which on a GPU compiles anew for each length of a batch.
        jit_compile=jit,
    )
    if model.built:  # or its first step is traced twice, at first to make what this makes
        model.optimizer.build(model.trainable_variables)


def fit(
    model: keras.Model,
    train: Source,
    validation: tf.data.Dataset | None,
    config: TrainingConfig,
    epochs: int,
    checkpoint_dir: pathlib.Path | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    keep_last: bool = False,
) -> list[dict[str, float]]:
    """Trains a compiled model, and leaves it with its best weights.

    Args:
        model: The compiled model.
        train: Where the training batches come from.
        validation: Batches that decide which weights are the best; `None` takes the last.
        config: Its `ema`, `patience`, `schedule` and `seed` are read.
        epochs: Passes over `train`, at most.
        checkpoint_dir: Where to keep the state of each epoch; training goes on from what is there.
        callbacks: More callbacks; with `SaveEvery` the state is kept within epochs, too, and an
            `EpochSeconds` is told how long each took.
        keep_last: Leave the last weights, whatever the validation loss says.

    Returns:
        One dictionary of metrics for each epoch.

    Raises:
        Diverged: If the loss becomes NaN or infinite.
    """
    keepers: list[keras.callbacks.Callback] = []
    if config.unfreeze_gradually:
        callbacks = [*callbacks, GradualUnfreezing()]
    if validation is not None:
        if not keep_last:
            keepers.append(
                keras.callbacks.EarlyStopping(
                    "val_loss", patience=config.patience or epochs, restore_best_weights=True
                )
            )
        if config.schedule == "plateau":
            keepers.append(keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.3, patience=1))
    averages = [MovingAverage()] if config.ema else []
    with contextlib.ExitStack() as stack:
        stack.callback(let_go)  # of all ids, of which what comes next needs few
        if checkpoint_dir is None:
            checkpoint_dir = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        every = next((one.steps for one in callbacks if isinstance(one, SaveEvery)), 0)
        limits = (one.seconds for one in callbacks if isinstance(one, TimeLimit))
        limit = min(limits, default=math.inf)
        while True:  # at most twice: an epoch that was begun, and those that follow
            checkpoint = Checkpoint(checkpoint_dir, keepers, config.seed, every)
            done = epochs if checkpoint.stopped else min(len(checkpoint.history), epochs)
            size = getattr(train, "size", "")  # others' sources may have none
            line = ProgressLine(len(train), epochs, done, checkpoint.step, size, limit)
            stack.callback(line.bar.stop)
            model.fit(
                train.epochs(first=done).skip(checkpoint.step),
                steps_per_epoch=len(train) - checkpoint.step,
                initial_epoch=done,
                epochs=done + 1 if checkpoint.step else epochs,
                validation_data=validation,
                callbacks=[*callbacks, StopOnNaN(), *keepers, *averages, checkpoint, line],
                shuffle=False,  # the data comes in the order that Batches gives it
                verbose=0,
            )
            if not checkpoint.step:
                for clock in (one for one in callbacks if isinstance(one, EpochSeconds)):
                    clock.seconds += checkpoint.seconds
                return checkpoint.history


class EpochSeconds(keras.callbacks.Callback):
    """Asks `fit` how long each epoch took, in earlier processes, too."""

    def __init__(self):
        super().__init__()
        self.seconds: list[float] = []


class StopOnNaN(keras.callbacks.Callback):
    """Ends training with an error when an epoch's loss is not a number."""

    def on_epoch_end(self, epoch, logs=None):
        for name in ("loss", "val_loss"):
            if not math.isfinite((logs or {}).get(name, 0.0)):
                raise Diverged(
                    f"The {name} became {logs[name]} in epoch {epoch + 1}; lower --learning-rate "
                    "or --clip-norm."
                )
