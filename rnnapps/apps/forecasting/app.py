"""The forecaster."""

import pathlib
from typing import Any, ClassVar

import keras
import pandas as pd
import tensorflow as tf

from rnnapps.apps.application import Application
from rnnapps.apps.forecasting import answers, data, printing, serving
from rnnapps.apps.forecasting import backtest as backtesting
from rnnapps.apps.forecasting import detect as detecting
from rnnapps.apps.forecasting import explain as explaining
from rnnapps.apps.forecasting.config import DetectOptions, ForecastingConfig, PredictOptions
from rnnapps.apps.forecasting.metrics import collapsed
from rnnapps.apps.forecasting.model import named_rows
from rnnapps.apps.forecasting.parts import SeriesInParts
from rnnapps.apps.forecasting.training import train_forecaster
from rnnapps.apps.trained import Callbacks, Trained
from rnnapps.serving import ExportSpec
from rnnapps.training import Rows


class Forecaster(SeriesInParts, Application):
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
    objectives: ClassVar = dict.fromkeys(
        ("scaled_mae", "scaled_mse", "mae", "rmse", "mase", "weighted_quantile_loss", "loss"), "min"
    )
    config: ForecastingConfig

    @property
    def networks(self) -> list[keras.layers.Layer]:
        """The networks whose answers are averaged."""
        network = super().network
        return getattr(network, "networks", [network])

    @property
    def network(self) -> keras.layers.Layer:
        """The recurrent network in the model; of several, the first."""
        return self.networks[0]

    def _rows(self) -> dict[str, Rows]:
        return named_rows(self.task)

    def _settled(self) -> dict[str, Any]:
        found = {"lookback": self.task.lookback, "segment": self.task.segment}
        return {**super()._settled(), **found}  # also where they were left open

    def _fit(
        self, splits: data.Parts, checkpoint_dir: pathlib.Path, callbacks: Callbacks
    ) -> Trained:
        return train_forecaster(splits, self.config, self._start, checkpoint_dir, callbacks)

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
            DataError: If the table is unreadable or too short, or lacks a future covariate.
        """
        (names, history, future, stamps), task = self._inputs(inputs), self.task
        point, quantiles, _ = answers.ask(self.graph, task, history, future, names)
        rows = self.model.get_layer("lookup")(tf.constant(names)) if task.several else None
        spread = self.model.get_layer("scaler").spread(history, rows, point)
        printing.warn_of(collapsed(quantiles, spread, task.lower).mean())
        return printing.to_frame(task, names, stamps, point, quantiles, self.config.quantiles)

    def explain(self, inputs: pd.DataFrame | pathlib.Path | str | None = None) -> pd.DataFrame:
        """Says what the forecast past the end of the data owes to each column and lag.

        Args:
            inputs: As for `predict`.

        Returns:
            A row for each series, target, column and lag; see `explain.explain`.

        Raises:
            ConfigError: If the network draws its forecasts.
            DataError: As for `predict`.
        """
        names, history, future, _ = self._inputs(inputs)
        return explaining.explain(self.model, self.task, history, future, names)

    def _print_predictions(self, options: PredictOptions, as_json: bool) -> None:
        """Prints the forecasts as a CSV, or a JSON object a line."""
        printing.answer(self, options, as_json)

    def detect(
        self, inputs: pd.DataFrame | pathlib.Path | str | None = None, alarms_per_1000: float = 1.0
    ) -> pd.DataFrame:
        """Looks for steps that are off by more than forecasts one step ahead are.

        Args:
            inputs: A table with the columns that were trained on, or its file, all of whose steps
                behind the first look-back are looked at; `None` for the test part.
            alarms_per_1000: False alarms to put up with, in 1,000 steps of each series and target;
                those within 24 steps are one, raised at the first.

        Returns:
            A row for each step, series and target: `time`, `series` where there are several,
            `target`, `observed`, `forecast`, `score` and `alarm`. The score is `-log10` of
            alarms a step by the errors of the validation part: 3 stands for one in 1,000 steps.

        Raises:
            DataError: If the table is unreadable, too short, or lacks the run's columns.
            RunError: If the data is gone whose validation part calibrates the alarms.
        """
        detecting.threshold(alarms_per_1000)  # before anything is read
        given = None if inputs is None else self._table(inputs)
        spans = detecting.steps_of(given, self.task) if given else []
        return detecting.find_alarms(self.graph, self._set_aside(), given, spans, alarms_per_1000)

    def _print_alarms(self, options: DetectOptions, as_json: bool) -> None:
        """Prints the alarms as `_print_predictions` does forecasts, and draws them if asked to."""
        printing.print_alarms(self, options, as_json)

    def _evaluate(
        self,
        splits: data.Parts,
        part: str,
        backtest: bool = False,
        stride: int | None = None,
        refit: bool = False,
    ) -> dict[str, Any]:
        """Measures the forecaster on a part, and the baselines beside it.

        Args:
            backtest: Whether to forecast from origins a horizon apart, instead of from each; the
                intervals then follow what was observed before each origin (`AdaptiveConformal`).
            stride: Steps between origins, instead.
            refit: Whether to train anew at each origin, on everything before it.

        Returns:
            The measures; see `backtest.evaluate`.
        """
        train = self._trained_anew if refit else None
        return backtesting.evaluate(self.graph, train, splits, part, self.config, backtest, stride)

    def _pairs(self, splits: data.Parts, part: str) -> tuple[Any, Any]:
        """What was observed, NaN where missing, and forecasts: `(windows, horizon, targets)`."""
        return answers.pairs(self.graph, splits, part)

    def _trained_anew(self, parts: data.Parts) -> answers.Graph:
        app = type(self)(self.config)
        app.model = train_forecaster(parts, self.config).model
        return app.graph

    def _plot(self, found: dict[str, Any], folder: pathlib.Path) -> None:
        """Draws fan chart, error by horizon, backtest, autocorrelation."""
        backtesting.draw(found, self.config.quantiles, self.config.target_units, folder)

    def model_card(self) -> dict[str, Any]:
        """What an export's `model_card.json` says; of combined forecasts the weights, too."""
        combine = getattr(self.model, "combine", None)  # version 0.1.0's models have none
        weights = {"combination": combine.describe()} if combine else {}
        return {**super().model_card(), **weights}

    def serving_spec(self) -> ExportSpec:
        """What an export answers.

        Its signature `serving_default` takes and answers what a `ForecastPipeline` does, numbers
        as float32. The asset `task.json` names columns, step and levels. `apps/forecasting/
        serving.py` says what the other signatures do.
        """
        detector = detecting.detector_for_export(self.graph, self._set_aside)
        return serving.serving_spec(self.model, self.config, detector)
