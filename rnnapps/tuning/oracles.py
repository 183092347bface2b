"""KerasTuner's oracles, with resuming and time budgets, and a grid."""

import contextlib
import json
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
from keras_tuner import oracles
from keras_tuner.engine.trial import Trial

from rnnapps.files import locked, remove_tree, write

_SILENCE = 60.0  # seconds without a request after which a worker counts as dead
_PATIENT = {"max_consecutive_failed_trials": 2**31}


class Budget:
    """The time budget of a search, shared with its earlier processes.

    Args:
        seconds: The budget; `None` for no limit.
        path: The file that stores the time spent.
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
        """Whether the budget is used up."""
        return self.seconds is not None and self.spent >= self.seconds

    def keep(self) -> None:
        """Saves the time spent."""
        write(self.path, f"{self.spent:.1f}")


class StopInTime(keras.callbacks.Callback):
    """Stops a trial's training when the search's time is up; its result so far counts."""

    def __init__(self, budget: Budget):
        super().__init__()
        self.budget = budget

    def on_train_batch_end(self, batch, logs=None):
        if self.budget.over:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self.budget.keep()


class Steady(keras_tuner.Oracle):
    """Mixin for oracles: starts from the defaults, survives lost workers, keeps to a budget.

    The trial of a lost worker is given to another one. Started trials finish before the workers are
    told to stop.
    """

    budget: Budget
    refused: str | None = None
    """The first trial, if the original configuration cannot be trained."""

    # KerasTuner's, which has no types.
    trials: dict[str, Trial]
    _retry_queue: list[str]
    _seed_state: int

    @property
    def tuner_ids(self) -> set[str]:
        """The workers that must still be told to stop: those heard from recently."""
        now = time.monotonic()
        return {name for name, heard in self._heard.items() if now - heard < _SILENCE}

    @tuner_ids.setter
    def tuner_ids(self, names):
        self._heard = dict.fromkeys(names, time.monotonic())

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        """The next trial, or one with status IDLE or STOPPED."""
        self.budget.keep()
        self._heard[tuner_id] = time.monotonic()
        for owner, trial in list(self.ongoing_trials.items()):
            if owner != tuner_id and _abandoned(pathlib.Path(self._get_trial_dir(trial.trial_id))):
                self._give_back(trial.trial_id)
        over = self.refused or (self.budget.over and not self._retry_queue)
        if over and tuner_id not in self.ongoing_trials:
            trial = Trial(self.hyperparameters.copy(), "over", "STOPPED")
        else:
            drawn = self._seed_state
            trial = super().create_trial(tuner_id)
            if trial.status == "RUNNING":
                self._save_trial(trial)  # also for a retry: marks it as active
            else:
                self._seed_state = drawn  # requests must not change the draws
        if trial.status == "STOPPED" and self.ongoing_trials:
            trial.status = "IDLE"  # an ongoing trial may still fail over
        elif trial.status == "STOPPED":
            del self._heard[tuner_id]
        return trial

    @keras_tuner.synchronized
    def end_trial(self, trial):
        """Accepts a trial's result, even from a worker that outlived its chief."""
        trial_id = trial.trial_id
        if is_mistake(trial):
            self.refused = trial_id
            self._give_back(trial_id)
            return
        for owner in self._owners(trial_id):
            self._heard[owner] = time.monotonic()
        if trial_id not in self.end_order:  # otherwise another worker was faster
            super().end_trial(trial)
        for owner in self._owners(trial_id):
            del self.ongoing_trials[owner]
        self._retry_queue = [one for one in self._retry_queue if one != trial_id]
        self.save()

    def _owners(self, trial_id):
        return [name for name, one in self.ongoing_trials.items() if one.trial_id == trial_id]

    def _give_back(self, trial_id):
        """Queues an unfinished trial for another worker."""
        for owner in self._owners(trial_id):
            del self.ongoing_trials[owner]
            self._heard.pop(owner, None)
        if trial_id not in self._retry_queue:
            self._retry_queue.append(trial_id)
        self.save()

    def _random_values(self):
        """The defaults first: a search should never be worse than the original configuration."""
        if not self._tried_so_far:
            return {hp.name: hp.default for hp in self.hyperparameters.space}
        return super()._random_values()

    def save(self):
        """Writes the oracle's state atomically."""
        write(pathlib.Path(self._get_oracle_fname()), json.dumps(self.get_state()))

    def _save_trial(self, trial):
        folder = pathlib.Path(self._get_trial_dir(trial.trial_id))
        write(folder / "trial.json", json.dumps(trial.get_state()))

    def reload(self):
        """Loads the state; drops trials that were written but never started."""
        super().reload()
        for trial_id in set(self.trials) - set(self.start_order):
            remove_tree(pathlib.Path(self._get_trial_dir(trial_id)))
        self.trials = {trial_id: self.trials[trial_id] for trial_id in self.start_order}
        # The state may have been saved while a finished trial still counted as running.
        self._retry_queue = [one for one in self._retry_queue if one not in self.end_order]


class RandomOracle(Steady, oracles.RandomSearchOracle):
    """Random search."""


class HyperbandOracle(Steady, oracles.HyperbandOracle):
    """Hyperband."""


class BayesianOracle(Steady, oracles.BayesianOptimizationOracle):
    """Bayesian optimization; draws depend only on the seed and the trial's number."""

    def populate_space(self, trial_id):
        """See `keras_tuner.Oracle`."""
        self._random_state.seed((self.seed + len(self.trials)) % 2**32)
        return super().populate_space(trial_id)


class GridOracle(Steady, keras_tuner.Oracle):
    """Runs the given trials in order.

    Args:
        grid: The values of each trial, by name.
        objective: The metric to optimize.
        seed: The seed.
        budget: The search's time budget.
    """

    def __init__(
        self,
        grid: Sequence[dict[str, Any]],
        objective: keras_tuner.Objective,
        seed: int,
        budget: Budget,
    ):
        super().__init__(objective, len(grid), seed=seed + 1, **_PATIENT)
        self.grid, self.budget, self.verbose = grid, budget, 0

    def populate_space(self, trial_id):
        """See `keras_tuner.Oracle`."""
        return {"status": "RUNNING", "values": dict(self.grid[int(trial_id)])}


def make_oracle(
    kind: str,
    objective: keras_tuner.Objective,
    trials: int | None,
    max_epochs: int,
    seed: int,
    budget: Budget,
) -> Steady:
    """Creates the oracle for a `--tuner`.

    Args:
        kind: `"random"`, `"hyperband"` or `"bayesian"`.
        objective: The metric to optimize.
        trials: Maximum number of trials; `None` for 10, or for all of Hyperband's.
        max_epochs: Maximum epochs of a trial; Hyperband divides them into rounds.
        seed: The seed; KerasTuner would treat 0 as no seed.
        budget: The search's time budget.

    Returns:
        The oracle.
    """
    options = {"objective": objective, "seed": seed + 1, **_PATIENT}
    if kind == "hyperband":
        oracle = HyperbandOracle(max_epochs=max_epochs, **options)
        oracle.max_trials = trials
    else:
        make = RandomOracle if kind == "random" else BayesianOracle
        oracle = make(max_trials=trials or 10, **options)
    oracle.budget = budget
    oracle.verbose = 0
    return oracle


def is_mistake(trial: Trial) -> bool:
    """Whether the original configuration, the first trial, cannot be trained.

    KerasTuner marks a trial as invalid if it raised anything but `FailedTrialError`.
    """
    return trial.status == "INVALID" and int(trial.trial_id) == 0


def _abandoned(folder: pathlib.Path) -> bool:
    """Whether no process is working on an unfinished trial's folder."""
    if time.time() - folder.stat().st_mtime < _SILENCE:
        return False
    with contextlib.suppress(BlockingIOError), locked(folder / ".lock", wait=False):
        return True
    return False
