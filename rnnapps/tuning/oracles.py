"""KerasTuner's oracles, with what a search needs that is killed, timed and repeated."""

import json
import pathlib
import shutil
import time

import keras
import keras_tuner
from keras_tuner import oracles
from keras_tuner.engine.trial import Trial


class Budget:
    """The time that a search may take, its earlier processes' included.

    Args:
        seconds: The time; `None` sets no limit.
        path: The file that keeps what has been spent.
    """

    def __init__(self, seconds: float | None, path: pathlib.Path):
        self.seconds, self.path = seconds, path
        self.before = float(path.read_text()) if path.exists() else 0.0
        self.began = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds spent so far."""
        return self.before + time.monotonic() - self.began

    @property
    def over(self) -> bool:
        """Whether nothing is left."""
        return self.seconds is not None and self.spent >= self.seconds

    def keep(self) -> None:
        """Writes down what has been spent."""
        write(self.path, f"{self.spent:.1f}")


class StopInTime(keras.callbacks.Callback):
    """Ends a trial's training when the search's time is over; it counts with what it reached."""

    def __init__(self, budget: Budget):
        super().__init__()
        self.budget = budget

    def on_train_batch_end(self, batch, logs=None):
        if self.budget.over:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self.budget.keep()


class _Steady:
    """Mixed in before an oracle: starts from the defaults, is written whole, keeps to a budget."""

    budget: Budget

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        """The next trial, or one that says to stop."""
        self.budget.keep()
        if self.budget.over and tuner_id not in self.ongoing_trials:
            self.tuner_ids.discard(tuner_id)
            return Trial(self.hyperparameters.copy(), "over", "STOPPED")
        return super().create_trial(tuner_id)

    @keras_tuner.synchronized
    def end_trial(self, trial):
        """Takes a trial's result, also from a worker that outlived the chief that gave it out."""
        super().end_trial(trial)
        if trial.trial_id in self._retry_queue:
            self._retry_queue.remove(trial.trial_id)
            self.save()

    def _random_values(self):
        """The defaults first: no search should end below the configuration that it began with."""
        if not self._tried_so_far:
            return {hp.name: hp.default for hp in self.hyperparameters.space}
        return super()._random_values()

    def save(self):
        """Writes the oracle's state, by a rename: a kill leaves the state before."""
        write(pathlib.Path(self._get_oracle_fname()), json.dumps(self.get_state()))

    def _save_trial(self, trial):
        folder = pathlib.Path(self._get_trial_dir(trial.trial_id))
        write(folder / "trial.json", json.dumps(trial.get_state()))

    def reload(self):
        """Reads the state; a trial that was written but not entered in it never began."""
        super().reload()
        for trial_id in set(self.trials) - set(self.start_order):
            shutil.rmtree(self._get_trial_dir(trial_id))
        self.trials = {trial_id: self.trials[trial_id] for trial_id in self.start_order}
        # The state is written while a trial that has just ended still counts as running.
        self._retry_queue = [one for one in self._retry_queue if one not in self.end_order]


class RandomOracle(_Steady, oracles.RandomSearchOracle):
    """Random search."""


class HyperbandOracle(_Steady, oracles.HyperbandOracle):
    """Hyperband."""


class BayesianOracle(_Steady, oracles.BayesianOptimizationOracle):
    """Bayesian optimization, whose draws depend on the seed and the trial's number alone."""

    def populate_space(self, trial_id):
        """See `keras_tuner.Oracle`."""
        self._random_state.seed((self.seed + len(self.trials)) % 2**32)
        return super().populate_space(trial_id)


def make_oracle(
    kind: str,
    objective: keras_tuner.Objective,
    trials: int,
    max_epochs: int,
    seed: int,
    budget: Budget,
) -> keras_tuner.Oracle:
    """Makes the oracle of a `--tuner`.

    Args:
        kind: `"random"`, `"hyperband"` or `"bayesian"`.
        objective: What to improve.
        trials: Number of trials, at most.
        max_epochs: Epochs of a trial, at most; Hyperband divides them into rounds.
        seed: The seed; KerasTuner would take 0 for none.
        budget: The search's time.

    Returns:
        The oracle.
    """
    options = {"objective": objective, "seed": seed + 1, "max_consecutive_failed_trials": 2**31}
    if kind == "hyperband":
        oracle = HyperbandOracle(max_epochs=max_epochs, **options)
        oracle.max_trials = trials
    else:
        make = RandomOracle if kind == "random" else BayesianOracle
        oracle = make(max_trials=trials, **options)
    oracle.budget = budget
    oracle.verbose = 0
    return oracle


def write(path: pathlib.Path, text: str) -> None:
    """Writes a file that is there whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text)
    draft.replace(path)
