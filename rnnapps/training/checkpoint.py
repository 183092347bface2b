"""Training that goes on where it was killed, and ends as if it never had been."""

import json
import pathlib
from collections.abc import Sequence

import keras
import numpy as np

from rnnapps.files import remove_tree

_ATTRIBUTES = ("best", "wait", "best_epoch", "cooldown_counter")


class Checkpoint(keras.callbacks.Callback):
    """Keeps the whole state of training on disk after every epoch, and takes it up again.

    `keras.callbacks.BackupAndRestore` keeps weights, optimizer and epoch. A run that ends with the
    same weights as an unbroken one also needs the state of its random numbers, of early stopping
    with its best weights, and of the learning-rate plateau. Random numbers need no state here: each
    epoch draws them afresh from the seed and its own number (and so does `data.Batches`), for each
    replica others. Nor do the states that streams carry on: an epoch begins with zeros. So a run
    goes on with any number of replicas.

    It belongs at the end of the list of callbacks, so that it sees what the others have become.

    Args:
        directory: Where the state is kept. Each state is a folder that appears by a rename, so
            that a kill at any moment leaves a whole one behind.
        others: The callbacks whose state is kept too: `EarlyStopping`, `ReduceLROnPlateau`.
        seed: Seed of dropout and of whatever else the model draws while it trains.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        others: Sequence[keras.callbacks.Callback] = (),
        seed: int = 0,
    ):
        super().__init__()
        self.directory, self.others, self.seed = pathlib.Path(directory), list(others), seed
        self.history: list[dict[str, float]] = []
        self.stopped = False
        kept = sorted(self.directory.glob("epoch-*/variables.npz"))
        self._latest = kept[-1].parent if kept else None
        if self._latest:
            state = json.loads((self._latest / "state.json").read_text())
            self.history, self.stopped = state["history"], state["stopped"]
            self._states = state["others"]

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
        generators = [
            v for v in self.model.non_trainable_variables if v.name == "seed_generator_state"
        ]
        strategy = self.model.distribute_strategy
        size = (strategy.num_replicas_in_sync, len(generators))
        draws = np.random.default_rng((self.seed, epoch)).integers(2**31, size=size)
        for variable, column in zip(generators, draws.T, strict=True):
            copies = strategy.experimental_local_results(variable.value)  # one on each replica
            for copy, draw in zip(copies, column, strict=True):
                copy.assign([draw, 0])

    def on_epoch_end(self, epoch, logs=None):
        self.history.append({"epoch": epoch + 1, **{k: float(v) for k, v in (logs or {}).items()}})
        self.stopped = self.model.stop_training
        target = self.directory / f"epoch-{epoch + 1:05d}"
        draft = self.directory / "draft"
        remove_tree(draft)
        draft.mkdir(parents=True)
        try:
            self._write(draft)
            draft.rename(target)
        except OSError:  # a full disk keeps the state of the epoch before
            remove_tree(draft)
            raise
        for old in self.directory.glob("epoch-*"):
            if old != target:
                remove_tree(old)

    def _variables(self) -> list[keras.Variable]:
        carried = [id(variable) for variable in getattr(self.model, "carried", ())]
        kept = [variable for variable in self.model.variables if id(variable) not in carried]
        return [*kept, *self.model.optimizer.variables]

    def _write(self, draft: pathlib.Path) -> None:
        # Not as Keras' HDF5, which takes the whole process with it where the disk is full.
        np.savez(draft / "variables.npz", *(v.numpy() for v in self._variables()))
        states = []
        for i, other in enumerate(self.others):
            states.append({k: v for k, v in vars(other).items() if k in _ATTRIBUTES})
            if getattr(other, "best_weights", None) is not None:
                np.savez(draft / f"best-{i}.npz", *other.best_weights)
        state = {"history": self.history, "stopped": self.stopped, "others": states}
        (draft / "state.json").write_text(json.dumps(state))
