"""An application as KerasTuner sees it."""

import contextlib
import fcntl
import json
import pathlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import keras_tuner
from keras_tuner.errors import FailedTrialError
from keras_tuner.src.engine.tuner_utils import SaveBestEpoch, TunerCallback

from rnnapps.apps import application_class
from rnnapps.apps.application import Application, load
from rnnapps.apps.run_directory import partial_dir
from rnnapps.config import TrainingConfig
from rnnapps.tuning.space import declare, make_space

_ATTEMPTS = 3  # at one epoch, by processes that were killed: such a trial takes too much memory


class HyperApplication(keras_tuner.HyperModel):
    """An application whose settings KerasTuner searches.

    Each trial trains the application as `rnnapps train` does, in the folder `run` of the trial's
    own; one that was killed goes on from its last epoch. `get_best_models` gives back `Candidate`s.

    Args:
        config: The application's configuration: what is not tuned keeps its values.
        tune: The fields to tune; by default those with a range of their own.
        ranges: Other ranges by field: `{"units": "64:512:64", "cell": "lstm,gru"}`.
        train: Your own examples, as the application's `fit` takes them; `None` for the
            configuration's data.
        validation: Examples on which trials are compared; `None` for a part of `train`.

    Raises:
        ConfigError: If a field cannot be tuned, or a range is not valid.

    Example:
    >>> hypermodel = HyperApplication(SentimentConfig(epochs=3), tune=["cell", "units"])
    >>> tuner = keras_tuner.RandomSearch(hypermodel, objective="val_accuracy", max_trials=5)
    >>> tuner.search()
    >>> best = tuner.get_best_models()[0].app
    """

    def __init__(
        self,
        config: TrainingConfig,
        tune: Sequence[str] = (),
        ranges: Mapping[str, str] | None = None,
        train: Any = None,
        validation: Any = None,
    ):
        super().__init__()
        self.config, self.data = config, (train, validation)
        self.space = make_space(config, tune, ranges)
        name = type(config).__module__.split(".")[-2]
        self.application: type[Application] = application_class(name)

    def build(self, hp: keras_tuner.HyperParameters) -> "Candidate":
        """Makes the application with one choice of settings, not trained yet."""
        values = declare(hp, self.space, self.config)
        if "tuner/epochs" in hp.values:
            values["epochs"] = hp.values["tuner/epochs"]
        return Candidate(self.application(**{**self.config.model_dump(), **values}))

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: "Candidate",
        callbacks: Sequence[keras.callbacks.Callback] = (),
        epochs: int | None = None,
        initial_epoch: int = 0,
        verbose: Any = None,
    ) -> dict[str, float]:
        """Trains a candidate within its trial's folder.

        Hyperband's later rounds train from the start, on a schedule of their own length: one that
        has come down to zero cannot be gone on with.

        Args:
            hp: The trial's values.
            model: The candidate.
            callbacks: KerasTuner's callbacks, and the search's own.
            epochs: Instead of the configuration's.
            initial_epoch: Not used, see above.
            verbose: Not used: progress is shown as in `rnnapps train`.

        Returns:
            The measures of the validation part, each name after `val_`.
        """
        app = model.app
        if epochs is not None and epochs != app.config.epochs:
            app = model.app = self.application(**{**app.config.model_dump(), "epochs": epochs})
        mine = next(one for one in callbacks if isinstance(one, TunerCallback))
        folder = pathlib.Path(mine.tuner.get_trial_dir(mine.trial.trial_id)).absolute()
        # The whole run is kept: no weights need be saved beside it.
        callbacks = [one for one in callbacks if not isinstance(one, SaveBestEpoch)]
        with _locked(folder):
            if (folder / "result.json").exists():  # killed after it, before the search was told
                return json.loads((folder / "result.json").read_text())["measures"]
            _count_attempt(folder)
            before = _seconds(folder)
            began = time.monotonic()
            timer = _Timer(folder, before)
            try:
                app.fit(*self.data, run_dir=folder / "run", callbacks=[*callbacks, timer])
            finally:
                (folder / "attempts.json").unlink()  # of this one, which was not killed
            result = {
                "measures": measures(app),
                "epochs": len(app.history),
                "seconds": round(before + time.monotonic() - began, 1),
            }
            draft = folder / ".result.draft"
            draft.write_text(json.dumps(result))
            draft.replace(folder / "result.json")
        return result["measures"]


class Candidate(keras.Model):
    """One choice of an application's settings, in the form of a Keras model.

    Args:
        app: The application.

    Call arguments:
        inputs: What the trained application's model takes.

    Output:
        What that answers.
    """

    def __init__(self, app: Application):
        super().__init__(name="candidate")
        self.app = app

    def call(self, inputs):
        return self.app.model(inputs)

    def load_weights(self, filepath, *args, **kwargs):
        """Takes the trained application from the trial whose weights KerasTuner asks for."""
        self.app = load(pathlib.Path(filepath).parent / "run")


def measures(app: Application) -> dict[str, float]:
    """What an application reached on its validation part, each name after `val_`."""
    found = {k: v for k, v in app.history[-1].items() if k.startswith("val_")}
    if "val_loss" in found:
        found = min(app.history, key=lambda row: row["val_loss"])
        found = {k: v for k, v in found.items() if k.startswith("val_")}
    validation = app.metrics.get("validation", {})
    numbers = {f"val_{k}": v for k, v in validation.items() if isinstance(v, int | float)}
    return {**found, **numbers}


class _Timer(keras.callbacks.Callback):
    """Notes after every epoch how long the trial has trained, over all its attempts."""

    def __init__(self, folder: pathlib.Path, before: float):
        super().__init__()
        self.folder, self.before, self.began = folder, before, time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        seconds = self.before + time.monotonic() - self.began
        draft = self.folder / ".seconds.draft"
        draft.write_text(f"{seconds:.3f}")
        draft.replace(self.folder / "seconds")


def _seconds(folder: pathlib.Path) -> float:
    return float((folder / "seconds").read_text()) if (folder / "seconds").exists() else 0.0


def _count_attempt(folder: pathlib.Path) -> None:
    """Fails a trial whose process was killed again and again at the same epoch."""
    state = partial_dir(folder / "run")
    reached = sorted(str(path.relative_to(state)) for path in state.glob("*/epoch-*"))
    attempts = folder / "attempts.json"
    before = json.loads(attempts.read_text()) if attempts.exists() else {}
    count = before.get("count", 0) + 1 if before.get("reached") == reached else 1
    if count > _ATTEMPTS:
        shutil.rmtree(state, ignore_errors=True)
        raise FailedTrialError(
            f"Its process was killed {_ATTEMPTS} times at the same epoch; it may need more memory."
        )
    attempts.write_text(json.dumps({"count": count, "reached": reached}))


@contextlib.contextmanager
def _locked(folder: pathlib.Path) -> Iterator[None]:
    """One process at a time in a trial's folder; the lock ends with the process that holds it."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
