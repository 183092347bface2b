"""The forecaster."""

import pathlib
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from rnnapps.apps.application import GIVEN, Application
from rnnapps.apps.forecasting import backtest as backtesting
from rnnapps.apps.forecasting import compatibility as compatibility  # registers former layers
from rnnapps.apps.forecasting import data, pipeline, printing
from rnnapps.apps.forecasting.baseline import NOISE_ALONE
from rnnapps.apps.forecasting.config import ForecastingConfig, PredictOptions
from rnnapps.apps.forecasting.metrics import collapsed
from rnnapps.data import SeriesSet, read_series
from rnnapps.errors import DataError
from rnnapps.files import write
from rnnapps.progress import say, working
from rnnapps.serving import ExportSpec


class Forecaster(Application):
    """Forecasts time series: a recurrent network beside the forecasts that need none.

    `fit` and `evaluate` take your own table as a DataFrame with the configuration's columns; its
    parts are divided by time, as the configuration says.

    Args:
        config: The configuration, or
        **settings: its fields by name.

    Raises:
        ConfigError: If a setting is unknown or out of its range.

    Example:
    >>> hours = pd.date_range("2024-01-01", periods=600, freq="h")
    >>> table = pd.DataFrame({"time": hours, "load": np.sin(np.arange(600) / 4)})
    >>> settings = {"horizon": 12, "lookback": 48, "segment": 12, "units": 8, "epochs": 1}
    >>> app = Forecaster(target=["load"], **settings).fit(table)
    >>> app.predict(table).columns.tolist()[:3]
    ['time', 'target', 'forecast']
    """

    name = "forecasting"
    config_class = ForecastingConfig
    objectives: ClassVar = {
        "scaled_mae": "min",
        "scaled_mse": "min",
        "mae": "min",
        "rmse": "min",
        "mase": "min",
        "weighted_quantile_loss": "min",
        "loss": "min",
    }
    divides = True
    config: ForecastingConfig

    @property
    def task(self) -> data.Task:
        """What the model forecasts from what."""
        return self.model.get_layer("scaler").task

    # Training.

    def train(self, train: Any, validation: Any, state_dir: pathlib.Path | None) -> None:
        """Trains on a table; see `fit`."""
        if validation is not None:
            raise DataError(
                "Expected one table, which is divided by time. Received: a validation part, too."
            )
        with working("reading the series"):
            parts = data.divide(data.load_series(self.config, train), self.config)
        say([*parts.data.said, *parts.notes, *parts.task.notes])
        self.info.notes = parts.notes
        self.remember(data.fingerprint(parts), state_dir)
        self.learn(parts, state_dir)
        self.metrics["validation"] = self._measure(parts, "validation", baselines=True)

    def learn(self, parts: data.Parts, state_dir: pathlib.Path | None = None) -> None:
        """Trains the network on parts, and calibrates its intervals."""
        checkpoint_dir = state_dir and state_dir / "network"
        self.model, self.history = pipeline.train_pipeline(
            parts, self.config, self.callbacks, checkpoint_dir
        )

    # Answers.

    def predict(self, inputs: pd.DataFrame | pathlib.Path | str | None = None) -> pd.DataFrame:
        """Forecasts what follows the end of the data.

        Args:
            inputs: A table with the columns that were trained on, or its file; `None` for what
                `fit` was given, or the configuration's data. Its end is the last row with a
                target; future covariates have to be there for the horizon after it.

        Returns:
            A row for each step and target: `time`, `series` where there are several, `target`,
            `forecast`, and a column for each quantile, such as `q0.1`.

        Raises:
            DataError: If the table cannot be read, is shorter than the look-back, or lacks a
                future covariate.
        """
        where = "the table" if isinstance(inputs, pd.DataFrame) else str(inputs or self.config.data)
        inputs = self.given[0] if inputs is None else inputs
        found, task = self._table(inputs), self.task
        history, future, stamps = data.prediction_inputs(found, task, where)
        names = [one.name for one in found.series]
        point, quantiles = pipeline.ask(self.graph, task, history, future, names)
        scaler = self.model.get_layer("scaler")
        spread = scaler.scale.numpy()[0, : task.targets] * (1 + np.abs(point) * scaler.log)
        self._warn(collapsed(quantiles, spread, task.lower).mean())
        return printing.to_frame(task, names, stamps, point, quantiles, self.config.quantiles)

    def _warn(self, share: float) -> None:
        if share:
            say([printing.collapsed_note(share)])

    def _table(self, inputs: pd.DataFrame | pathlib.Path | str | None) -> SeriesSet:
        if inputs is None:
            if self.info.source == GIVEN:
                raise DataError("Expected a table, as one was given to fit(). Received: None.")
            return data.load_series(self.config)
        found = read_series(inputs, self.task.columns, check_targets=False, options=self.config)
        say([*found.said, *found.notes])
        return found

    def respond(self, options: PredictOptions, as_json: bool) -> None:
        """Prints the forecasts as a CSV, or a JSON object a line."""
        with working("forecasting"):
            text = printing.forecasts_as_text(self.predict(options.file), as_json)
        if options.output is None:
            print(text, end="")
        else:
            write(options.output, text)

    # Measures.

    def validate(self) -> dict[str, Any]:
        """Measures the forecaster on the configuration's validation part, without baselines."""
        return self._measure(self.parts_of(None), "validation")

    def measure(
        self,
        test: pd.DataFrame | None,
        backtest: bool = False,
        stride: int | None = None,
        refit: bool = False,
    ) -> dict[str, Any]:
        """Measures the forecaster on the test part, and the baselines beside it.

        Args:
            test: A table in the form that `fit` takes, whose test part is meant; `None` for the
                configuration's data.
            backtest: Whether to forecast from origins a horizon apart, instead of from each; the
                intervals then follow what was observed before each origin (`AdaptiveConformal`).
            stride: Steps between origins, instead.
            refit: Whether to train anew at each origin, on everything before it.

        Returns:
            The measures of `Scores.summary`; `baselines` with the same for each of them.

        Raises:
            DataError: If the table cannot be read, or `stride` or `refit` is out of place.
            RunError: If the configuration's data is no longer what the model was trained on.
        """
        if stride is not None and stride < 1:
            raise DataError(f"Expected --stride to be at least 1. Received: {stride}.")
        if refit and not backtest:
            raise DataError("Expected --backtest with --refit.")
        with working("reading the series"):
            parts = self.parts_of(test)
        stride, batches = stride or (self.task.horizon if backtest else 1), None
        if refit:
            batches = backtesting.refitted(self._trained_anew, parts, stride)
        elif backtest and self.config.conformal:
            batches = pipeline.forecasts(self.graph, parts, parts.spans("test"), stride)
            batches = backtesting.adapted(batches, self.config.quantiles, stride, self.task.lower)
        return self._measure(parts, "test", stride, True, batches)

    def parts_of(self, frame: pd.DataFrame | None) -> data.Parts:
        """A table, or the configuration's data, divided for what the model was trained for."""
        if frame is not None:
            series = read_series(frame, self.task.columns, options=self.config)
            return data.divide(series, self.config, self.task)
        parts = data.divide(data.load_series(self.config), self.config, self.task)
        self.recognise(data.fingerprint(parts))
        return parts

    def _measure(
        self,
        parts: data.Parts,
        part: str,
        stride: int = 1,
        baselines: bool = False,
        batches: Iterator[backtesting.Batch] | None = None,
    ) -> backtesting.Measured:
        """Measures forecasts of a part: those of the batches, or else the model's."""
        if batches is None:
            batches = pipeline.forecasts(self.graph, parts, parts.spans(part), stride)
        with working(f"forecasting the {part} part"):
            found = backtesting.measure(
                batches, parts, part, self.config.quantiles, stride, baselines
            )
        self._warn(found.collapsed)
        if baselines and self.config.data == "sample" and parts.task.columns.targets == ("load",):
            found["baselines"]["noise alone"] = NOISE_ALONE
        return found

    def _trained_anew(self, parts: data.Parts) -> pipeline.Graph:
        app = type(self)(self.config)
        app.learn(parts)
        return app.graph

    def draw(self, found: dict[str, Any], folder: pathlib.Path) -> None:
        """Draws what `evaluate` found: fan chart, error by horizon, backtest, autocorrelation."""
        units = next(iter(self.config.target_units), "")
        backtesting.draw(found, self.config.quantiles, units, folder)

    def serving_spec(self) -> ExportSpec:
        """What an export answers.

        Its signature `serving_default` takes `history (batch, lookback, columns)` in the data's own
        units, NaN where missing, `future_covariates (batch, horizon, future)` where there are such
        and `series (batch,)`, names, where there are several; it answers `forecast (batch, horizon,
        targets)` and `quantiles (batch, horizon, targets, levels)`. The asset `task.json` names
        columns, step and levels.
        """
        return pipeline.serving_spec(self.model, self.config)
