"""Training that resumes after a kill, and ends as if it had not been killed."""

import json
import pathlib
import time
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from rnnapps.errors import ConfigError
from rnnapps.files import remove_tree
from rnnapps.training.replicas import of_all_replicas, own_replicas

_ATTRIBUTES = ("best", "wait", "best_epoch", "cooldown_counter")


class SaveEvery(keras.callbacks.Callback):
    """Asks `fit` to keep the state of training within epochs too: epochs of hours can be killed.

    Args:
        steps: After so many training steps.

    Raises:
        ConfigError: If `steps` is less than 1.

    Example:
    >>> callbacks = [SaveEvery(1000)]  # for `app.fit(callbacks=callbacks)`
    """

    def __init__(self, steps: int):
        super().__init__()
        if steps < 1:
            raise ConfigError(f"Expected --save-every to be at least 1. Received: {steps}.")
        self.steps = steps


def spent(folder: pathlib.Path) -> float:
    """How long the training took that earlier processes have done.

    Args:
        folder: That of a `Checkpoint`, or what holds those of several.

    Returns:
        The seconds that have led to the states in it: what a kill has undone does not count.
    """
    latest = {path.parents[1]: path for path in sorted(folder.rglob("epoch-*/state.json"))}
    return sum(sum(json.loads(path.read_text()).get("seconds", [])) for path in latest.values())


class Checkpoint(keras.callbacks.Callback):
    """Keeps the whole state of training on disk after every epoch, and takes it up again.

    `keras.callbacks.BackupAndRestore` keeps weights, optimizer and epoch. A run that ends with the
    same weights as an unbroken one also needs the state of its random numbers, of early stopping
    with its best weights, and of the learning-rate plateau. Random numbers need no state here: each
    epoch draws them afresh from the seed and its own number (and so does `data.Batches`), for each
    replica others. Nor do the states that streams carry on: an epoch begins with zeros. So a run
    goes on with any number of replicas. Where several processes train together, each keeps the
    whole state in a folder of its own.

    It belongs at the end of the list of callbacks, so that it sees what the others have become.

    Args:
        directory: Where the state is kept. Each state is a folder that appears by a rename, so
            that a kill at any moment leaves a whole one behind.
        others: The callbacks whose state is kept too: `EarlyStopping`, `ReduceLROnPlateau`.
        seed: Seed of dropout and of whatever else the model draws while it trains.
        every: Steps after which the state is kept within an epoch, too; 0 for never.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        others: Sequence[keras.callbacks.Callback] = (),
        seed: int = 0,
        every: int = 0,
    ):
        super().__init__()
        self.every, self.step = every, 0  # of the epoch that was begun: where it goes on
        self.directory, self.others, self.seed = pathlib.Path(directory), list(others), seed
        self.history: list[dict[str, float]] = []
        self.seconds: list[float] = []  # of each epoch, also of the one that was begun
        self.stopped = False
        self._measured: list[np.ndarray] = []  # of the epoch that was begun
        kept = sorted(self.directory.glob("epoch-*/variables.npz"))
        self._latest = kept[-1].parent if kept else None
        if self._latest:
            state = json.loads((self._latest / "state.json").read_text())
            self.history, self.stopped = state["history"], state["stopped"]
            self._states, self.step = state["others"], state.get("step", 0)
            self.seconds = state.get("seconds", [])

    def on_train_begin(self, logs=None):
        if self._latest is None:
            return
        self.model.optimizer.build(self.model.trainable_variables)
        with np.load(self._latest / "variables.npz") as arrays:
            for variable, value in zip(self._variables(), arrays.values(), strict=True):
                variable.assign(value)
        for i, (other, state) in enumerate(zip(self.others, self._states, strict=True)):
            vars(other).update(state)
            best = self._latest / f"best-{i}.npz"
            if best.exists():
                with np.load(best) as arrays:
                    other.best_weights = list(arrays.values())

    def on_epoch_begin(self, epoch, logs=None):
        self._since = time.monotonic()
        if not (self.step and self.seconds):
            self.seconds.append(0.0)
        generators = self._generators()
        strategy = self.model.distribute_strategy
        size = (strategy.num_replicas_in_sync, len(generators))
        draws = np.random.default_rng((self.seed, epoch)).integers(2**31, size=size)
        for variable, column in zip(generators, draws[own_replicas(strategy)].T, strict=True):
            copies = strategy.experimental_local_results(variable.value)  # one on each replica
            for copy, draw in zip(copies, column, strict=True):
                copy.assign([draw, 0])
        if self.step:
            self._go_on_within(strategy, generators)

    def _go_on_within(self, strategy, generators) -> None:
        """Takes up what an epoch that was begun has drawn, measured and carried on."""
        with np.load(self._latest / "begun.npz") as arrays:
            begun = iter(arrays.values())
            for variable, count in zip(generators, next(begun), strict=True):
                for copy in strategy.experimental_local_results(variable.value):
                    copy.assign([int(copy[0]), count])
            carried, rest = getattr(self.model, "carried", ()), list(begun)
            self._measured = rest[: len(rest) - len(carried)]
            for variable, value in zip(carried, rest[len(self._measured) :], strict=True):
                parts = np.split(value, strategy.num_replicas_in_sync)
                copies = strategy.experimental_local_results(variable.value)
                for copy, rows in zip(copies, parts[own_replicas(strategy)], strict=True):
                    copy.assign(rows)

    def on_train_batch_end(self, batch, logs=None):
        if self._measured:  # which are sums; Keras makes some metrics in the first step only
            for variable, before in zip(self.model.metrics_variables, self._measured, strict=True):
                variable.assign(variable.numpy() + before)
            self._measured = []
        done, last = self.step + batch + 1, batch + 1 == self.params["steps"]
        if self.every and done % self.every == 0 and not last:
            self._keep(f"epoch-{len(self.history):05d}-{done:09d}", done)

    def on_epoch_end(self, epoch, logs=None):
        self.history.append({"epoch": epoch + 1, **{k: float(v) for k, v in (logs or {}).items()}})
        self.stopped = self.model.stop_training
        self._keep(f"epoch-{epoch + 1:05d}")

    def _keep(self, name: str, step: int = 0) -> None:
        """Writes the state, whole or not at all, and deletes the one before."""
        target = self.directory / name
        draft = self.directory / "draft"
        remove_tree(draft)
        draft.mkdir(parents=True)
        try:
            self._write(draft, step)
            draft.rename(target)
        except OSError:  # a full disk keeps the state of the epoch before
            remove_tree(draft)
            raise
        for old in self.directory.glob("epoch-*"):
            if old != target:
                remove_tree(old)

    def _generators(self) -> list[keras.Variable]:
        return [v for v in self.model.non_trainable_variables if v.name == "seed_generator_state"]

    def _begun(self) -> list[np.ndarray]:
        """What `_go_on_within` takes up."""
        strategy = self.model.distribute_strategy
        locally = strategy.experimental_local_results
        drawn = np.array([v.numpy()[1] for v in self._generators()], np.int64)
        carried = [
            of_all_replicas(strategy, tf.concat(locally(variable.value), 0)).numpy()
            for variable in getattr(self.model, "carried", ())
        ]
        return [drawn, *(v.numpy() for v in self.model.metrics_variables), *carried]

    def _variables(self) -> list[keras.Variable]:
        carried = [id(variable) for variable in getattr(self.model, "carried", ())]
        kept = [variable for variable in self.model.variables if id(variable) not in carried]
        return [*kept, *self.model.optimizer.variables]

    def _write(self, draft: pathlib.Path, step: int) -> None:
        since, self._since = self._since, time.monotonic()
        self.seconds[-1] = round(self.seconds[-1] + self._since - since, 3)
        # Not as Keras' HDF5, which takes the whole process with it where the disk is full.
        np.savez(draft / "variables.npz", *(v.numpy() for v in self._variables()))
        states = []
        for i, other in enumerate(self.others):
            states.append({k: v for k, v in vars(other).items() if k in _ATTRIBUTES})
            if getattr(other, "best_weights", None) is not None:
                np.savez(draft / f"best-{i}.npz", *other.best_weights)
        state = {"history": self.history, "stopped": self.stopped, "others": states, "step": step}
        state["seconds"] = self.seconds
        if step:
            np.savez(draft / "begun.npz", *self._begun())
        (draft / "state.json").write_text(json.dumps(state))
