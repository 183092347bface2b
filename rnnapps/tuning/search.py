"""One process of a search: all of it, the chief that hands trials out, or a worker."""

import fcntl
import json
import os
import pathlib
import sys
from typing import Any

import keras
import keras_tuner

from rnnapps.apps import application_class
from rnnapps.config import TrainingConfig, nearest
from rnnapps.errors import ConfigError, RunError
from rnnapps.tuning.hypermodel import HyperApplication
from rnnapps.tuning.options import TuneOptions, parse_duration
from rnnapps.tuning.oracles import Budget, StopInTime, make_oracle, write
from rnnapps.tuning.space import describe, parse_names, parse_ranges


class Search(keras_tuner.Tuner):
    """KerasTuner's tuner, that says in a line how each trial went."""

    def on_trial_end(self, trial):
        """Keeps a failed trial's reason, which the chief would not be told."""
        folder = pathlib.Path(self.get_trial_dir(trial.trial_id))
        if trial.status != "COMPLETED":
            lines = (trial.message or "").strip().splitlines() or ["unknown"]
            write(folder / "failure.txt", lines[-1] + "\n")
            said = f"failed: {lines[-1]}"
        else:
            result = json.loads((folder / "result.json").read_text())
            score = result["measures"][self.oracle.objective.name]
            name = self.oracle.objective.name
            said = f"{name} {score:.4f}, {result['epochs']} epochs, {result['seconds']:.0f} s"
        print(f"trial {trial.trial_id}: {said}", file=sys.stderr, flush=True)
        super().on_trial_end(trial)


def run_search(name: str, config: TrainingConfig, options: TuneOptions) -> None:
    """Runs a search, or this process' part of it, to its end.

    Args:
        name: The application.
        config: Its configuration; what is not tuned keeps its values.
        options: What `rnnapps tune` was given.

    Raises:
        ConfigError: If the space or the objective is not one that the application has.
        RunError: If the folder holds another search, or one that is running.
    """
    hypermodel = HyperApplication(config, parse_names(options.tune), parse_ranges(options.range))
    objective = make_objective(name, options.objective)
    project = options.project_dir.absolute()
    project.mkdir(parents=True, exist_ok=True)
    if options.role:
        set_role(options)
    worker = options.role == "worker"
    lock = None if worker else _lock(project)
    if not worker:
        _check_same(project, _manifest(name, hypermodel, config, options, objective))
    budget = Budget(parse_duration(options.time_budget), project / "seconds")
    epochs = options.max_epochs or config.epochs
    oracle = make_oracle(options.tuner, objective, options.trials, epochs, config.seed, budget)
    tuner = Search(oracle, hypermodel, directory=project.parent, project_name=project.name)
    logs = keras.callbacks.TensorBoard(project / "logs", write_graph=False)
    tuner.search(callbacks=[logs, StopInTime(budget)], epochs=epochs)
    if lock:
        lock.close()


def make_objective(name: str, wanted: str | None) -> keras_tuner.Objective:
    """The measure to improve, as KerasTuner names it.

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


def _manifest(name, hypermodel, config, options, objective) -> dict[str, Any]:
    """What a search is: another one must not go on in its folder."""
    fixed = {k: str(v) for k, v in config.to_dict().items() if k not in hypermodel.space}
    return {
        "application": name,
        "tuner": options.tuner,
        "objective": objective.name,
        "direction": objective.direction,
        "max_epochs": options.max_epochs or config.epochs,
        **{f"range of {field}": text for field, text in describe(hypermodel.space).items()},
        **{field: value for field, value in fixed.items() if field != "epochs"},
    }


def _check_same(project: pathlib.Path, manifest: dict[str, Any]) -> None:
    path = project / "search.json"
    if not path.exists():
        if any(p.name not in (".lock", "search.json") for p in project.iterdir()):
            raise RunError(f"{project} exists and holds no search; choose another --project-dir.")
        write(path, json.dumps(manifest, indent=2))
        return
    there = json.loads(path.read_text())
    changed = [
        f"{key} ({there.get(key, 'not there')}, {manifest.get(key, 'not here')})"
        for key in {**there, **manifest}
        if there.get(key) != manifest.get(key)
    ]
    if changed:
        raise RunError(
            f"The search in {project} is another one (there, here): {'; '.join(changed)}; "
            "repeat that one to go on with it, or choose another --project-dir."
        )


def _lock(project: pathlib.Path):
    """Keeps a second search out of the folder; the lock ends with this process."""
    lock = (project / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RunError(f"Another search is running in {project}.") from None
    return lock


def set_role(options: TuneOptions) -> None:
    """Tells KerasTuner, in its own environment variables, which part of a search this process is.

    Args:
        options: Its `role`, `oracle` and `worker_id` are read.
    """
    host, _, port = options.oracle.rpartition(":")
    os.environ["KERASTUNER_ORACLE_IP"] = host
    os.environ["KERASTUNER_ORACLE_PORT"] = port
    os.environ["KERASTUNER_TUNER_ID"] = "chief" if options.role == "chief" else options.worker_id
