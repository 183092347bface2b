"""One process of a search: all of it, the chief, or a worker."""

import contextlib
import json
import os
import pathlib
import re
import sys
import time
from typing import Any

import keras
import keras_tuner
from keras_tuner.src import config as keras_tuner_config

from rnnapps.apps import application_class
from rnnapps.apps.application import agreed
from rnnapps.config import TrainingConfig
from rnnapps.errors import ConfigError, RunError, nearest
from rnnapps.files import alone, enough_space, write
from rnnapps.progress import working
from rnnapps.tuning.hypermodel import HyperApplication
from rnnapps.tuning.options import TuneOptions, parse_duration
from rnnapps.tuning.oracles import Budget, Steady, StopInTime, is_mistake, make_oracle
from rnnapps.tuning.project import check_same, one_search, undone_by_mistakes
from rnnapps.tuning.space import describe, parse_names, parse_ranges


class Search(keras_tuner.Tuner):
    """KerasTuner's tuner, with one line of output per trial."""

    def pre_create_trial(self):
        """Pauses before a worker's next request."""
        if not isinstance(self.oracle, keras_tuner.Oracle):
            time.sleep(0.2)

    def on_trial_end(self, trial):
        """Saves a failed trial's reason, which KerasTuner does not send to the chief.

        Raises:
            RunError: If the original configuration itself cannot be trained.
        """
        folder = pathlib.Path(self.get_trial_dir(trial.trial_id))
        mistake = is_mistake(trial)
        if trial.status == "COMPLETED":
            result = json.loads((folder / "result.json").read_text())
            name = self.oracle.objective.name
            score = result["measures"][name]
            said = f"{name} {score:.4f}, {result['epochs']} epochs, {result['seconds']:.0f} s"
        else:
            last = ((trial.message or "").strip().splitlines() or ["unknown"])[-1]
            reason = re.sub(r"^(rnnapps|keras_tuner)\.[\w.]+: ", "", last)
            write(folder / "failure.txt", reason + "\n")
            if reason == last:  # bugs keep their traceback
                print(trial.message, file=sys.stderr)
            said = f"failed: {reason}"
        super().on_trial_end(trial)
        if mistake:
            self.oracle.create_trial(self.tuner_id)  # lets the chief stop
            raise RunError(reason)
        print(f"trial {trial.trial_id}: {said}", file=sys.stderr, flush=True)

    def save(self):
        """Writes its state atomically."""
        if isinstance(self.oracle, keras_tuner.Oracle):
            self.oracle.save()
        write(pathlib.Path(self._get_tuner_fname()), json.dumps(self.get_state()))


def run_search(name: str, config: TrainingConfig, options: TuneOptions) -> None:
    """Runs a search, or this process' part of it.

    Args:
        name: The application.
        config: Its configuration; fields that are not tuned keep their values.
        options: The options of `rnnapps tune`.

    Raises:
        ConfigError: If the search space or the objective is invalid for the application.
        RunError: If the folder holds a different or running search, or the original configuration
            cannot be trained.
    """
    config = agreed(config, name)
    names, ranges = parse_names(options.tune), parse_ranges(options.range)
    hypermodel = HyperApplication(config, names, ranges, application=application_class(name))
    objective = make_objective(name, options.objective)
    epochs = most_epochs(config, options.max_epochs)
    manifest = manifest_of(name, hypermodel, options.tuner, objective, epochs)
    project = options.project_dir.resolve()
    with contextlib.ExitStack() as stack:
        stack.enter_context(enough_space(project.parent))
        if options.role == "worker":
            check_same(project, manifest)
            taken = f"A worker {options.worker_id} is running; give each its own --worker-id."
            stack.enter_context(alone(project / f".{options.worker_id}.lock", taken))
        else:
            stack.enter_context(undone_by_mistakes(project))
            stack.enter_context(one_search(project, manifest))
        if options.role:
            set_role(options)
        budget = Budget(parse_duration(options.time_budget), project / "seconds")
        oracle = make_oracle(options.tuner, objective, options.trials, epochs, config.seed, budget)
        search(hypermodel, oracle, project, epochs)


def search(
    hypermodel: HyperApplication, oracle: Steady, project: pathlib.Path, epochs: int
) -> None:
    """Runs an oracle's trials until there are no more.

    Args:
        hypermodel: The application.
        oracle: Chooses the trials.
        project: The search's folder, locked by this process.
        epochs: Maximum epochs of a trial.

    Raises:
        RunError: If the first trial's configuration cannot be trained.
    """
    keras_tuner_config.DEBUG = False  # DEBUG prints a traceback for every failure
    with contextlib.redirect_stdout(sys.stderr):  # KerasTuner prints that it resumes
        tuner = Search(oracle, hypermodel, directory=project.parent, project_name=project.name)
    logs = keras.callbacks.TensorBoard(project / "logs", write_graph=False)
    callbacks = [logs, StopInTime(oracle.budget)]
    tuner.search(callbacks=callbacks, epochs=epochs, objective=oracle.objective.name)
    if oracle.refused:  # by a worker
        raise RunError((project / f"trial_{oracle.refused}" / "failure.txt").read_text().strip())


def most_epochs(config: TrainingConfig, most: int | None) -> int:
    """Maximum epochs of a trial: as set, or 10 if the application derives them from the data."""
    return most or config.epochs or 10


def make_objective(name: str, wanted: str | None) -> keras_tuner.Objective:
    """The metric to optimize, as a KerasTuner objective.

    Args:
        name: The application.
        wanted: One of its objectives; `None` for the first.

    Returns:
        The objective.

    Raises:
        ConfigError: If the application has no such objective.
    """
    known = application_class(name).objectives
    wanted = (wanted or next(iter(known))).removeprefix("val_")
    if wanted not in known:
        raise ConfigError(
            f"Expected --objective to be one of {', '.join(known)}. Received: {wanted!r}."
            f"{nearest(wanted, list(known))}"
        )
    return keras_tuner.Objective(f"val_{wanted}", known[wanted])


def manifest_of(
    name: str,
    hypermodel: HyperApplication,
    tuner: str,
    objective: keras_tuner.Objective,
    epochs: int,
) -> dict[str, Any]:
    """Describes a search, so that a different one does not resume in its folder.

    Args:
        name: The application.
        hypermodel: Its configuration, ranges and data.
        tuner: How trials are chosen.
        objective: The metric to optimize.
        epochs: Maximum epochs of a trial.
    """
    with working("reading the data"):  # a path does not identify its contents
        app = hypermodel.application(hypermodel.config)
        learned = app._fingerprint(app._taken(*hypermodel.data))
    settings = hypermodel.config.to_dict().items()
    fixed = {k: str(v) for k, v in settings if k not in (*hypermodel.space, "epochs")}
    return {
        "application": name,
        "tuner": tuner,
        "objective": objective.name,
        "direction": objective.direction,
        "max_epochs": epochs,
        "learned from": learned,
        **{f"range of {field}": text for field, text in describe(hypermodel.space).items()},
        **fixed,
    }


def set_role(options: TuneOptions) -> None:
    """Sets KerasTuner's environment variables for this process' role in a search.

    Args:
        options: The options, with `role`, `oracle` and `worker_id`.
    """
    host, port = options.address
    os.environ["KERASTUNER_ORACLE_IP"] = host
    os.environ["KERASTUNER_ORACLE_PORT"] = port
    os.environ["KERASTUNER_TUNER_ID"] = "chief" if options.role == "chief" else options.worker_id
