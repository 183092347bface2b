"""An application as KerasTuner's hypermodel."""

import json
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner
import tensorflow as tf
from keras_tuner.errors import FailedTrialError, FatalValueError
from keras_tuner.src.engine.tuner_utils import SaveBestEpoch, TunerCallback

from rnnapps.apps import APPLICATIONS, application_class, config_class, installed
from rnnapps.apps.application import Application
from rnnapps.apps.interrupted import partial_dir
from rnnapps.config import TrainingConfig
from rnnapps.errors import ConfigError
from rnnapps.files import locked, read_json, remove_tree, write
from rnnapps.training import Diverged, TimeLimit
from rnnapps.tuning.space import declare, make_space

_ATTEMPTS = 3  # kills at the same epoch, after which a trial counts as out of memory


class HyperApplication(keras_tuner.HyperModel):
    """An application whose settings KerasTuner searches.

    Each trial trains the application like `rnnapps train`, in the subfolder `run` of its folder; a
    killed trial resumes from its last epoch. `get_best_models` returns `Candidate`s.

    Args:
        config: The application's configuration: fields that are not tuned keep their values.
        tune: The fields to tune; by default those with a predefined range.
        ranges: Other ranges by field: `{"units": "64:512:64", "cell": "lstm,gru"}`.
        train: Your own examples, as for the application's `fit`; `None` for the configuration's
            data.
        validation: Validation examples for comparing trials; `None` for a part of `train`.
        application: The application's class; by default that of the configuration.
        seconds: Maximum training time of a trial.

    Raises:
        ConfigError: If a field cannot be tuned, a range is invalid, or the configuration belongs
            to no application.

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
        application: type[Application] | None = None,
        seconds: float | None = None,
    ):
        super().__init__()
        self.config, self.data, self.seconds = config, (train, validation), seconds
        self.space = make_space(config, tune, ranges)
        self.application = application or _application_of(type(config))

    def build(self, hp: keras_tuner.HyperParameters) -> "Candidate":
        """Creates the untrained application with one choice of settings."""
        values = declare(hp, self.space, self.config)
        if "tuner/epochs" in hp.values:
            values["epochs"] = hp.values["tuner/epochs"]
        return Candidate(
            self.application(**{**self.config.model_dump(exclude_unset=True), **values})
        )

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: "Candidate",
        callbacks: Sequence[keras.callbacks.Callback] = (),
        epochs: int | None = None,
        initial_epoch: int = 0,
        verbose: Any = None,
        objective: str | None = None,
    ) -> dict[str, float]:
        """Trains a candidate in its trial's folder.

        Hyperband's later rounds train from scratch, with a schedule of their own length: training
        cannot continue after a schedule has decayed to zero.

        Args:
            hp: The trial's values.
            model: The candidate.
            callbacks: KerasTuner's callbacks and the search's own.
            epochs: Overrides the configuration's epochs; Hyperband's own take precedence.
            initial_epoch: Unused, see above.
            verbose: Unused: progress is shown as in `rnnapps train`.
            objective: A metric that must be available for the data.

        Returns:
            The validation metrics, prefixed with `val_`.

        Raises:
            FailedTrialError: If the training diverges or runs out of memory.
            FatalValueError: If `executions_per_trial` is not 1.
            ConfigError: If the objective is not available.
        """
        app = model.app
        epochs = hp.values.get("tuner/epochs", epochs)
        if epochs is not None and epochs != app.config.epochs:
            settings = app.config.model_dump(exclude_unset=True)
            app = model.app = self.application(**{**settings, "epochs": epochs})
        mine = next(one for one in callbacks if isinstance(one, TunerCallback))
        if mine.tuner.executions_per_trial > 1:
            raise FatalValueError(
                "Expected `executions_per_trial` to be 1: one seed trains one network. Received: "
                f"{mine.tuner.executions_per_trial}."
            )
        folder = pathlib.Path(mine.tuner.get_trial_dir(mine.trial.trial_id)).absolute()
        # The run itself is saved: no separate weights are needed.
        callbacks = [one for one in callbacks if not isinstance(one, SaveBestEpoch)]
        with locked(folder / ".lock"):
            if (folder / "result.json").exists():  # killed before it was reported
                return read_json(folder / "result.json")["measures"]
            if (folder / "run" / "config.toml").exists():  # killed before it was evaluated
                app = model.app = self.application.load(folder / "run")
            else:
                self._train(app, folder, callbacks)
            found = measures(app)
            if objective and objective not in found:
                known = [name for name in app.objectives if f"val_{name}" in found]
                raise ConfigError(
                    f"Expected --objective to be one of {', '.join(known)}, which can be measured "
                    f"on this data. Received: {objective.removeprefix('val_')!r}."
                )
            progress = _progress(folder)
            result = {**progress, "measures": found, "epochs": len(app.history)}
            write(folder / "result.json", json.dumps(result))
        return found

    def _train(
        self, app: Application, folder: pathlib.Path, callbacks: Sequence[keras.callbacks.Callback]
    ) -> None:
        _count_attempt(folder)
        progress = _Progress(folder, app.config.batch_size)
        callbacks = [*callbacks, progress]
        if self.seconds is not None:
            callbacks.append(TimeLimit(max(0.0, self.seconds - progress.before)))
        try:
            app.fit(*self.data, run_dir=folder / "run", callbacks=callbacks)
        except Diverged as error:
            raise FailedTrialError(str(error)) from None
        except (MemoryError, tf.errors.ResourceExhaustedError) as error:
            raise FailedTrialError(f"Out of memory: {' '.join(str(error).split())[:200]}") from None
        finally:
            progress.note()
            (folder / "attempts.json").unlink()  # this attempt was not killed


class Candidate(keras.Model):
    """An application with one choice of settings, wrapped as a Keras model.

    Args:
        app: The application.

    Call arguments:
        inputs: The inputs of the trained application's model.

    Output:
        The outputs of that model.
    """

    def __init__(self, app: Application):
        super().__init__(name="candidate")
        self.app = app

    def call(self, inputs):
        return self.app.model(inputs)

    def load_weights(self, filepath, *args, **kwargs):
        """Loads the trained application of the trial whose weights KerasTuner requests."""
        self.app = type(self.app).load(pathlib.Path(filepath).parent / "run")


def measures(app: Application) -> dict[str, float]:
    """An application's validation metrics, prefixed with `val_`."""
    kept = app.history[-1]
    if "val_loss" in kept and not app.config.keep_last:
        kept = min(app.history, key=lambda row: row["val_loss"])
    found = {k: v for k, v in kept.items() if k.startswith("val_")}
    validation = app.metrics.get("validation", {})
    numbers = {f"val_{k}": v for k, v in validation.items() if isinstance(v, int | float)}
    return {**found, **numbers}


def _application_of(config: type[TrainingConfig]) -> type[Application]:
    for names in (APPLICATIONS, installed()):
        for name in names:
            if config_class(name) is config:
                return application_class(name)
    raise ConfigError(
        f"Expected the configuration of an application, or its class as `application`. Received: "
        f"{config.__name__}."
    )


class _Progress(keras.callbacks.Callback):
    """Records after every epoch the trial's total training time, over all attempts."""

    def __init__(self, folder: pathlib.Path, batch_size: int):
        super().__init__()
        self.folder, self.batch_size, self.began = folder, batch_size, time.monotonic()
        before = _progress(folder)
        self.epochs, self.before = before["epochs"], before["seconds"]
        self.steps, self.stepping = 0, 0.0
        self.last: float | None = None

    def on_epoch_begin(self, epoch, logs=None):
        self.last = None

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        if self.last is not None:  # an epoch's first batch may wait for data and tracing
            self.steps += 1
            self.stepping += now - self.last
        self.last = now

    def on_epoch_end(self, epoch, logs=None):
        self.epochs = epoch + 1
        self.note()

    def note(self) -> None:
        """Writes the record to the trial's folder."""
        seconds = self.before + time.monotonic() - self.began
        found = {"epochs": self.epochs, "seconds": round(seconds, 3)}
        if self.stepping:
            found["rows_a_second"] = round(self.steps * self.batch_size / self.stepping, 3)
        write(self.folder / "progress.json", json.dumps(found))


def _progress(folder: pathlib.Path) -> dict[str, float]:
    path = folder / "progress.json"
    return read_json(path) if path.exists() else {"epochs": 0, "seconds": 0.0}


def _count_attempt(folder: pathlib.Path) -> None:
    """Fails a trial whose process was killed repeatedly at the same epoch."""
    state = partial_dir(folder / "run")
    reached = sorted(str(path.relative_to(state)) for path in state.glob("*/epoch-*"))
    attempts = folder / "attempts.json"
    before = read_json(attempts) if attempts.exists() else {}
    count = before.get("count", 0) + 1 if before.get("reached") == reached else 1
    if count > _ATTEMPTS:
        remove_tree(state)
        raise FailedTrialError(
            f"Its process was killed {_ATTEMPTS} times at the same epoch; it may need more memory."
        )
    write(attempts, json.dumps({"count": count, "reached": reached}))
