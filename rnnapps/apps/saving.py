"""Saves an application to its run directory, and loads it."""

import functools
import json
import pathlib
from typing import TYPE_CHECKING, Any, Self

import keras
import pandas as pd

from rnnapps import figures
from rnnapps.apps import application_class
from rnnapps.apps.interrupted import write_settings
from rnnapps.apps.placing import draft_of, put_in_place
from rnnapps.apps.run import check_free, read_file, read_run
from rnnapps.apps.run_info import RunInfo
from rnnapps.data.learned import FILE, Learned
from rnnapps.errors import ConfigError, RunError
from rnnapps.files import read_json, write
from rnnapps.progress import say

if TYPE_CHECKING:
    from rnnapps.apps.application import Application

STAYS = ("config.toml", "model.keras", "history.csv", FILE, "figures/learning_curves.png")
"""What a run has from its training; the rest is replaced each time that it is measured."""


class Saved:
    """What makes an application one that can be saved and loaded."""

    info: RunInfo
    run_dir: pathlib.Path | None
    """Where the run is kept, if anywhere."""

    def save(self: "Application", run_dir: pathlib.Path | str) -> None:
        """Writes the run: its configuration, model, history, metrics and figures.

        Args:
            run_dir: The folder; it appears whole or not at all, and replaces an earlier run of the
                same application, whose files it takes away; other files stay.

        Raises:
            RunError: If the folder holds anything else.
        """
        model, run_dir = self.model, pathlib.Path(run_dir).resolve()
        check_free(run_dir, self.name)
        with draft_of(run_dir) as draft:
            write_settings(draft / "config.toml", self.name, self.config)
            model.save(draft / "model.keras")
            pd.DataFrame(self.history).to_csv(draft / "history.csv", index=False)
            self._write_metrics(draft)
            self.learned.write(draft)
            figures.learning_curves(self.history, draft / "figures" / "learning_curves.png")
            info = self.info.model_copy(update={"checksums": {}})
            self.info = put_in_place(draft, run_dir, info)
        self.run_dir = run_dir

    @classmethod
    def load(cls, run_dir: pathlib.Path | str) -> Self:
        """Reads a run.

        Args:
            run_dir: The folder that `save` wrote.

        Returns:
            The application, ready to predict.

        Raises:
            RunError: If the folder holds no run, or another application's, or one of its files
                is missing, damaged or unsafe.
        """
        run_dir = pathlib.Path(run_dir).resolve()
        settings = read_run(run_dir)
        if settings.pop("application") != cls.name:
            raise RunError(f"{run_dir} does not hold a run of {cls.name}; use rnnapps.load.")
        info = RunInfo.read(run_dir)
        if info:
            info.check(run_dir)
            settings = info.located(settings)
        try:
            app = cls(cls.config_class.of_run(settings))
        except ConfigError as error:
            raise RunError(f"{run_dir / 'config.toml'} is damaged: {error}") from None
        app.metrics = read_json(run_dir / "metrics.json")
        app.info = info or RunInfo.of_metrics(app.metrics, run_dir)
        app.history = read_file(pd.read_csv, run_dir / "history.csv").to_dict("records")
        read_model = functools.partial(keras.models.load_model, compile=False)
        app.model = read_file(read_model, run_dir / "model.keras")
        app.learned = read_file(Learned.read, run_dir)
        app.run_dir = run_dir
        return app

    def _keep_metrics(self: "Application", found: dict[str, Any], run_dir: pathlib.Path) -> None:
        """Adds the test part's metrics and their figures to the run, where it can be written."""
        self._check_same(run_dir)
        kept = {name: sums for name, sums in self.info.checksums.items() if name in STAYS}
        try:
            with draft_of(run_dir) as draft:
                self._write_metrics(draft)
                self._plot(found, draft / "figures")
                info = self.info.model_copy(update={"checksums": kept})
                self.info = put_in_place(draft, run_dir, info)
        except OSError as error:
            say([f"what was measured is not kept in {run_dir}: {error.strerror or error}"])

    def _check_same(self: "Application", run_dir: pathlib.Path) -> None:
        """Refuses a folder in which another model stands by now."""
        there = RunInfo.read(run_dir)
        if there and there.checksums.get("model.keras") != self.info.checksums["model.keras"]:
            raise RunError(f"{run_dir} holds another run by now; load it again.")

    def _write_metrics(self: "Application", folder: pathlib.Path) -> None:
        write(folder / "metrics.json", json.dumps(self.metrics, indent=2) + "\n")


def load(run_dir: pathlib.Path | str) -> "Application":
    """Reads a run of any application.

    Args:
        run_dir: The folder that `save` or `rnnapps train` wrote.

    Returns:
        The application, ready to predict.

    Raises:
        RunError: If the folder holds no run.
    """
    return application_class(read_run(run_dir)["application"]).load(run_dir)
