"""The forecaster."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import pandas as pd

from rnnapps.apps.application import GIVEN, Application
from rnnapps.apps.forecasting import (
    answers,
    compatibility,  # noqa: F401 - registers former layers
    data,
    later,
    pipeline,
    printing,
    serving,
)
from rnnapps.apps.forecasting import backtest as backtesting
from rnnapps.apps.forecasting import detect as detecting
from rnnapps.apps.forecasting import explain as explaining
from rnnapps.apps.forecasting.baseline import NOISE_ALONE
from rnnapps.apps.forecasting.config import DetectOptions, ForecastingConfig, PredictOptions
from rnnapps.apps.forecasting.metrics import collapsed
from rnnapps.apps.forecasting.model import named_rows
from rnnapps.data import SeriesSet, read_series
from rnnapps.errors import ConfigError, DataError, RnnappsError
from rnnapps.progress import say, working
from rnnapps.serving import ExportSpec
from rnnapps.training import Rows


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
    objectives: ClassVar = dict.fromkeys(
        ("scaled_mae", "scaled_mse", "mae", "rmse", "mase", "weighted_quantile_loss", "loss"), "min"
    )
    divides = True
    config: ForecastingConfig

    @property
    def task(self) -> data.Task:
        """What the model forecasts from what."""
        return self.model.get_layer("scaler").task

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

    def _load(self, train: Any = None, validation: Any = None, test: Any = None) -> data.Parts:
        if validation is not None:
            raise DataError(
                "Expected one table, which is divided by time. Received: a validation part, too."
            )
        if isinstance(test, data.Parts):  # divided already, by an update
            return test
        if test is not None:
            series = read_series(test, self.task.columns, options=self.config)
        else:
            series = data.load_series(self.config, train)
        parts = data.divide(series, self.config, self.task if self.trained else None)
        return dataclasses.replace(parts, notes=[*parts.notes, *parts.task.notes])

    def _fewer(self, splits: data.Parts) -> data.Parts:
        return splits  # of fewer series, or steps, as `load_series` took them

    def _keys(self, splits: data.Parts) -> list[bytes]:
        targets, ends = splits.task.targets, [train for train, _, _ in splits.ends]
        rows = (list(later.keys(one, targets)) for one in splits.data.series)
        return [key for row, end in zip(rows, ends, strict=True) for key in row[:end]]

    def _kept_apart(self, splits: data.Parts, seen: np.ndarray) -> data.Parts:
        if not len(seen):
            return splits
        return later.kept_apart(splits, seen, self.config.init_from or "the run")

    def _added(self, new: Any, splits: data.Parts) -> data.Parts:
        where = str(new) if isinstance(new, pathlib.Path) else "the new table"
        found = read_series(new, self.task.columns, options=self.config)
        return later.appended(splits, found, self.config, where)

    def _joined(self, splits: data.Parts, added: data.Parts) -> data.Parts:
        return added

    def _measured_apart(self, splits: data.Parts, added: data.Parts) -> dict[str, data.Parts]:
        return {"new": added}  # what was there before is learned from

    def _has(self, splits: data.Parts, part: str) -> bool:
        return any(last > first for first, last in splits.spans(part))

    def _given_data(self) -> data.Parts:
        given = self.given[0]
        parts = given if isinstance(given, data.Parts) else self._load(given)
        return self._kept_apart(parts, self.learned.before)

    def _given_again(self, splits: data.Parts) -> tuple[Any, Any]:
        return splits, None

    def _fingerprint(self, splits: data.Parts) -> str:
        return data.fingerprint(splits)

    def _fit(
        self,
        splits: data.Parts,
        checkpoint_dir: pathlib.Path,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> None:
        self.model, self.history = pipeline.train_pipeline(
            splits, self.config, callbacks, checkpoint_dir / "network", self._start
        )

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
        (found, history, future, stamps), task = self._inputs(inputs), self.task
        names = [one.name for one in found.series]
        point, quantiles, _ = answers.ask(self.graph, task, history, future, names)
        scaler = self.model.get_layer("scaler")
        spread = scaler.scale.numpy()[0, : task.targets] * (1 + np.abs(point) * scaler.log)
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
        found, history, future, _ = self._inputs(inputs)
        names = [one.name for one in found.series]
        return explaining.explain(self.model, self.task, history, future, names)

    def _inputs(self, inputs: pd.DataFrame | pathlib.Path | str | None) -> tuple[Any, ...]:
        """The series of a table, their last look-backs, what is known ahead, and its times."""
        inputs = self.given[0] if inputs is None else inputs
        where = "the table" if isinstance(inputs, pd.DataFrame) else str(inputs or self.config.data)
        found = self._table(inputs)
        return found, *data.prediction_inputs(found, self.task, where)

    def _table(self, inputs: pd.DataFrame | pathlib.Path | str | None) -> SeriesSet:
        if inputs is None:
            if self.info.source == GIVEN:
                raise DataError("Expected a table, as one was given to fit(). Received: None.")
            return self._trained_on().data if self.info.added else data.load_series(self.config)
        if isinstance(inputs, data.Parts):
            return inputs.data
        found = read_series(inputs, self.task.columns, check_targets=False, options=self.config)
        say([*found.said, *found.notes])
        return found

    def _print_predictions(self, options: PredictOptions, as_json: bool) -> None:
        """Prints the forecasts as a CSV, or a JSON object a line."""
        if options.figure and not options.explain:
            raise ConfigError("Expected --explain with --figure. Received: --figure alone.")
        with working("forecasting"):
            frame = (self.explain if options.explain else self.predict)(options.file)
        if options.figure:
            explaining.draw(frame, options.figure)
        printing.print_forecasts(frame, options.output, as_json)

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
        splits = self._set_aside()
        if given is None:
            starts = [first for first, _ in splits.spans("test")]
            given, spans = splits.data, detecting.steps_of(splits.data, self.task, starts)
        detector = detecting.fit_detector(self.graph, splits)
        say(detecting.notes_of(detector, alarms_per_1000))
        return detecting.detect(self.graph, detector, given, spans, alarms_per_1000)

    def _print_alarms(self, options: DetectOptions, as_json: bool) -> None:
        """Prints the alarms as `_print_predictions` does forecasts, and draws them if asked to."""
        frame = self.detect(options.file, options.alarms_per_1000)
        printing.print_forecasts(frame, options.output, as_json)
        if options.figure:
            detecting.draw(frame, options.figure)

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
            splits: The series, divided by time.
            part: `"validation"` or `"test"`.
            backtest: Whether to forecast from origins a horizon apart, instead of from each; the
                intervals then follow what was observed before each origin (`AdaptiveConformal`).
            stride: Steps between origins, instead.
            refit: Whether to train anew at each origin, on everything before it.

        Returns:
            The measures of `Scores.summary`; `baselines` with the same for each of them, and for
            the network alone where it is combined; `skill` (see there); where Naive2 is defined,
            everyone's `owa`; and where there are several series, `by_series` with `mae`, `mase`,
            `best_baseline_mae` of each.

        Raises:
            DataError: If `stride` or `refit` is out of place.
        """
        if stride is not None and stride < 1:
            raise DataError(f"Expected --stride to be at least 1. Received: {stride}.")
        if refit and not backtest:
            raise DataError("Expected --backtest with --refit.")
        stride, levels = stride or (self.task.horizon if backtest else 1), self.config.quantiles
        if refit:
            batches = backtesting.refitted(self._trained_anew, splits, stride)
        else:
            batches = answers.forecasts(self.graph, splits, splits.spans(part), stride)
            if backtest and self.config.conformal:
                batches = backtesting.adapted(batches, levels, stride, self.task.lower)
        with working(f"forecasting the {part} part"):
            found = backtesting.measure(batches, splits, part, levels, stride, baselines=True)
        printing.warn_of(found.collapsed)
        say(found.notes)
        if self.config.data == "sample" and splits.task.columns.targets == ("load",):
            found["baselines"]["noise alone"] = NOISE_ALONE
        return found

    def _pairs(self, splits: data.Parts, part: str) -> tuple[np.ndarray, np.ndarray]:
        """What was observed, NaN where missing, and forecasts: `(windows, horizon, targets)`."""
        batches = answers.forecasts(self.graph, splits, splits.spans(part))
        pairs = [(batch.truth, batch.answer.point) for batch in batches]
        truth, point = (np.concatenate(column) for column in zip(*pairs, strict=True))
        return truth, point

    def _trained_anew(self, parts: data.Parts) -> answers.Graph:
        app = type(self)(self.config)
        app.model, _ = pipeline.train_pipeline(parts, self.config)
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
        spec = pipeline.serving_spec(self.model, self.config)
        added = serving.signatures(self.model, spec, self._detector())
        return dataclasses.replace(spec, signatures={**spec.signatures, **added})

    def _detector(self) -> detecting.Detector | None:
        """Alarms for an export; `None`, which is said, where no validation part calibrates them."""
        try:
            return detecting.fit_detector(self.graph, self._set_aside())
        except RnnappsError as error:
            say([f"The export has no signature detect, as nothing calibrates its alarms: {error}"])
            return None
