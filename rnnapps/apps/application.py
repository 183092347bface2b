"""What the four applications share: fit, evaluate, predict, save, load, export."""

import abc
import json
import pathlib
import shutil
import time
from typing import Any, ClassVar, Self

import pandas as pd
import tomli_w

from rnnapps import figures
from rnnapps.apps import application_class
from rnnapps.apps.run_directory import check_free, read_run
from rnnapps.config import TrainingConfig
from rnnapps.errors import ConfigError, RunError


class Application(abc.ABC):
    """A network with its data, its training and its export behind five verbs.

    Args:
        config: The configuration, or
        **settings: its fields by name.

    Raises:
        ConfigError: If a setting is unknown or out of its range.
    """

    name: ClassVar[str]
    config_class: ClassVar[type[TrainingConfig]]

    def __init__(self, config: TrainingConfig | None = None, **settings: Any):
        if config is not None and settings:
            raise ConfigError("Expected a configuration or settings by name. Received: both.")
        self.config = config or self.config_class(**settings)
        self.history: list[dict[str, float]] = []
        self.metrics: dict[str, Any] = {}

    # What an application says of itself.

    @abc.abstractmethod
    def train(self, train: Any, validation: Any, state_dir: pathlib.Path | None) -> None:
        """Builds the model and trains it, keeping its state in `state_dir`."""

    @abc.abstractmethod
    def evaluate(self, test: Any = None) -> dict[str, Any]:
        """Measures the model, and the baseline beside it."""

    @abc.abstractmethod
    def predict(self, inputs: Any) -> list:
        """Answers for new inputs."""

    @abc.abstractmethod
    def export(self, model_dir: pathlib.Path | str) -> pathlib.Path:
        """Publishes the next version of a SavedModel."""

    @abc.abstractmethod
    def write_model(self, path: pathlib.Path) -> None:
        """Writes the model with all that it needs into one `.keras` file."""

    @abc.abstractmethod
    def read_model(self, path: pathlib.Path) -> None:
        """Reads what `write_model` wrote."""

    # What all of them do.

    def fit(
        self, train: Any = None, validation: Any = None, run_dir: pathlib.Path | str | None = None
    ) -> Self:
        """Trains the model.

        Args:
            train: Your own examples, in the form that the application's documentation names;
                `None` for the configuration's data.
            validation: Examples that choose the best weights; `None` for a part of `train`.
            run_dir: Where the run is kept. Training that was interrupted goes on from its last
                epoch when it is started again with the same folder.

        Returns:
            The application itself.

        Raises:
            RunError: If `run_dir` holds something else.
            DataError: If the data cannot be read, or is not what the application needs.
        """
        run_dir = None if run_dir is None else pathlib.Path(run_dir)
        state_dir = run_dir and self._begin(run_dir)
        began = time.monotonic()
        try:
            self.train(train, validation, state_dir)
        except BaseException:
            if state_dir and not any(state_dir.glob("*/epoch-*")):  # nothing to go on from
                shutil.rmtree(state_dir)
            raise
        self.metrics["seconds"] = round(time.monotonic() - began, 1)
        if run_dir:
            self.save(run_dir)
            shutil.rmtree(state_dir)
        return self

    def save(self, run_dir: pathlib.Path | str) -> None:
        """Writes the run: its configuration, model, history, metrics and figures.

        Args:
            run_dir: The folder; it appears whole or not at all, and replaces an earlier run of the
                same application.

        Raises:
            RunError: If the folder holds anything else.
        """
        run_dir = pathlib.Path(run_dir)
        check_free(run_dir, self.name)
        draft = run_dir.with_name(f".{run_dir.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        (draft / "figures").mkdir(parents=True)
        self._write_config(draft / "config.toml")
        self.write_model(draft / "model.keras")
        pd.DataFrame(self.history).to_csv(draft / "history.csv", index=False)
        (draft / "metrics.json").write_text(json.dumps(self.metrics, indent=2) + "\n")
        figures.learning_curves(self.history, draft / "figures" / "learning_curves.png")
        if run_dir.exists():
            shutil.rmtree(run_dir)
        draft.rename(run_dir)

    @classmethod
    def load(cls, run_dir: pathlib.Path | str) -> Self:
        """Reads a run.

        Args:
            run_dir: The folder that `save` wrote.

        Returns:
            The application, ready to predict.

        Raises:
            RunError: If the folder holds no run, or another application's.
        """
        run_dir = pathlib.Path(run_dir)
        settings = read_run(run_dir)
        if settings.pop("application") != cls.name:
            raise RunError(f"{run_dir} does not hold a run of {cls.name}; use rnnapps.load.")
        app = cls(**settings)
        app.read_model(run_dir / "model.keras")
        app.history = pd.read_csv(run_dir / "history.csv").to_dict("records")
        app.metrics = json.loads((run_dir / "metrics.json").read_text())
        return app

    def _write_config(self, path: pathlib.Path) -> None:
        path.write_text(tomli_w.dumps({"application": self.name, **self.config.to_dict()}))

    def _begin(self, run_dir: pathlib.Path) -> pathlib.Path:
        """Opens the hidden folder beside the run's in which its state is kept until it is whole."""
        check_free(run_dir, self.name)
        state_dir = run_dir.with_name(f".{run_dir.name}.partial")
        if (state_dir / "config.toml").exists():
            settings = read_run(state_dir)
            if settings.pop("application") != self.name:
                raise RunError(f"{state_dir} holds another application's interrupted run.")
            changed = self.config_class(**settings).differences(self.config)
            if changed:
                raise RunError(
                    f"The interrupted run in {state_dir} has other settings (there, here): "
                    f"{', '.join(changed)}; use those, another --run-dir, or remove that folder."
                )
        else:
            state_dir.mkdir(parents=True, exist_ok=True)
            self._write_config(state_dir / "config.toml")
        return state_dir


def load(run_dir: pathlib.Path | str) -> Application:
    """Reads a run of any application.

    Args:
        run_dir: The folder that `save` or `rnnapps train` wrote.

    Returns:
        The application, ready to predict.

    Raises:
        RunError: If the folder holds no run.
    """
    return application_class(read_run(run_dir)["application"]).load(run_dir)
