"""The forecaster."""

import pathlib
from collections.abc import Iterator
from typing import Any, ClassVar

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from rnnapps.apps.application import GIVEN, Application
from rnnapps.apps.forecasting import data, measuring
from rnnapps.apps.forecasting.config import ForecastingConfig, PredictOptions
from rnnapps.apps.forecasting.exporting import describe, signature_of
from rnnapps.apps.forecasting.future import ahead_of, to_frame
from rnnapps.apps.forecasting.losses import ForecastLoss, PointError
from rnnapps.apps.forecasting.model import build_forecaster, build_network, inputs_of
from rnnapps.apps.forecasting.scaling import Scaler
from rnnapps.apps.forecasting.stepwise import DecoderNetwork, LessTruth
from rnnapps.apps.forecasting.task import Task
from rnnapps.data import SeriesSet, Windows, read_series
from rnnapps.errors import DataError
from rnnapps.files import write
from rnnapps.progress import say, working
from rnnapps.serving import ExportSpec
from rnnapps.training import compile_model, fit, make_strategy, precision

_CALIBRATION = 2000  # windows, at most, on which intervals are calibrated
_STEPS = 150  # of an epoch, about; where windows are few, it takes each several times


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
    config: ForecastingConfig

    @property
    def task(self) -> Task:
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
            parts = self._parts(train)
        say([*parts.data.said, *parts.notes, *parts.task.notes])
        self.info.notes = parts.notes
        self.remember(data.fingerprint(parts), state_dir)
        self.learn(parts, state_dir)
        with working("measuring the validation part"):
            found = measuring.measure(self, parts, "validation", with_baselines=True).found
            self.metrics["validation"] = found

    def learn(self, parts: data.Parts, state_dir: pathlib.Path | None = None) -> None:
        """Trains the network on parts, and calibrates its intervals."""
        config, strategy = self.config, make_strategy(self.config.strategy)
        scaler = Scaler(parts.task, config.log, config.output == "negative_binomial", name="scaler")
        scaler.adapt(parts.training)
        windows = self._scaled_windows(parts, scaler, "train")
        held = self._scaled_windows(parts, scaler, "validation")
        keras.utils.set_random_seed(config.seed)
        with strategy.scope(), precision(config.precision):
            model = build_network(config, parts.task)
            network = model.get_layer("network")
            compile_model(
                model,
                config,
                steps=config.epochs * len(windows),
                loss=ForecastLoss(network.likelihood),
                metrics=[PointError(network.likelihood, kind) for kind in ("mae", "mse")],
            )
        callbacks = [*self.callbacks]
        if isinstance(network, DecoderNetwork) and config.model == "encoder_decoder":
            callbacks.append(LessTruth(network, config.teacher_forcing, config.epochs))
        stage = state_dir and state_dir / "network"
        self.history = fit(model, windows, held.one_pass(), config, config.epochs, stage, callbacks)
        self.model = build_forecaster(parts.task, scaler, network, config.quantiles)
        if config.conformal and len(config.quantiles) > 1:
            with working("calibrating the intervals"):
                self._calibrate(network, parts, scaler)

    def _parts(self, given: pd.DataFrame | None) -> data.Parts:
        """The given table, or the configuration's data, divided."""
        if given is None:
            return data.divide(data.load_series(self.config), self.config)
        return data.divide(data.as_series(given, self.config), self.config)

    def _scaled_windows(
        self, parts: data.Parts, scaler: Scaler, part: str, stride: int = 1
    ) -> Windows:
        task, config = parts.task, self.config
        count = sum(last - first for first, last in parts.spans("train"))
        passes = max(1, _STEPS * config.batch_size // count) if part == "train" else 1
        return Windows(
            scaler.scaled(parts.values),
            parts.spans(part),
            task.lookback,
            task.horizon,
            task.targets,
            task.future,
            config.batch_size,
            stride=stride,
            scales=scaler.scale.numpy()[1:, : task.targets],
            inputs=tuple(inputs_of(config, task)),
            passes=passes,
            seed=config.seed,
        )

    def _calibrate(self, network, parts: data.Parts, scaler: Scaler) -> None:
        stride = -(-self._scaled_windows(parts, scaler, "validation").count // _CALIBRATION)
        windows = self._scaled_windows(parts, scaler, "validation", max(1, stride))

        @tf.function(autograph=False)
        def answer(inputs):
            return network({k: v for k, v in inputs.items() if k != "teacher"}, answer=True)

        pairs = [(truth.numpy(), answer(inputs).numpy()) for inputs, truth, _ in windows.one_pass()]
        truth, answers = (np.concatenate(column) for column in zip(*pairs, strict=True))
        count = windows.count
        self.model.get_layer("calibrate").adapt(truth[:count], answers[:count])

    # Answers.

    def answers(
        self, parts: data.Parts, spans: list[tuple[int, int]], stride: int = 1
    ) -> Iterator[tuple[np.ndarray, ...]]:
        """Forecasts windows, a batch at a time, in the data's own units.

        Args:
            parts: The series.
            spans: For each series the first origin, and the one after the last.
            stride: Steps between origins.

        Yields:
            Histories `(windows, lookback, targets)`, truth `(windows, horizon, targets)`, the
            number of each window's series, point forecasts, and quantiles.
        """
        task, left = self.task, 0
        windows = Windows(
            parts.values, spans, task.lookback, task.horizon, task.targets, task.future,
            batch_size=64, stride=stride, inputs=("history", "future", "series"),
        )  # fmt: skip
        left = windows.count
        for inputs, truth, _ in windows.one_pass():
            series = inputs["series"].numpy()
            answer = self._ask(
                inputs["history"], inputs["future"], [parts.data.series[i].name for i in series]
            )
            rows = slice(min(left, len(series)))
            left -= len(series)
            yield tuple(
                np.asarray(one)[rows]
                for one in (
                    inputs["history"][..., : task.targets], truth, series,
                    answer["forecast"], answer["quantiles"],
                )
            )  # fmt: skip

    def _ask(self, history, future, names: list[str]) -> dict[str, tf.Tensor]:
        inputs = {"history": tf.convert_to_tensor(history)}
        if self.task.future:
            inputs["future_covariates"] = tf.convert_to_tensor(future)
        if self.task.several:
            inputs["series"] = tf.constant(names)
        return self.graph(inputs)

    def predict(self, inputs: pd.DataFrame | pathlib.Path | str | None = None) -> pd.DataFrame:
        """Forecasts what follows the end of the data.

        Args:
            inputs: A table with the columns that were trained on, or its file; `None` for the
                configuration's data. Its end is the last row with a target; future covariates
                have to be there for the horizon after it.

        Returns:
            A row for each step and target: `time`, `series` where there are several, `target`,
            `forecast`, and a column for each quantile, such as `q0.1`.

        Raises:
            DataError: If the table cannot be read, is shorter than the look-back, or lacks a
                future covariate.
        """
        where = "the table" if isinstance(inputs, pd.DataFrame) else str(inputs or self.config.data)
        found = self._table(inputs)
        history, future, starts = ahead_of(found, self.task, where)
        names = [one.name for one in found.series]
        answers = [
            self._ask(history[i : i + 64], future[i : i + 64], names[i : i + 64])
            for i in range(0, len(names), 64)
        ]
        point = np.concatenate([one["forecast"] for one in answers])
        quantiles = np.concatenate([one["quantiles"] for one in answers])
        return to_frame(self.task, names, starts, point, quantiles, self.config.quantiles)

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
            frame = self.predict(options.file)
        if as_json:
            text = frame.to_json(orient="records", lines=True, date_format="iso")
        else:
            text = frame.to_csv(index=False)
        if options.output is None:
            print(text, end="")
        else:
            write(options.output, text)

    # Measures.

    def validate(self) -> dict[str, Any]:
        """Measures the forecaster on the configuration's validation part, without baselines."""
        parts = self._parts(None)
        self.recognise(data.fingerprint(parts))
        return measuring.measure(self, parts, "validation").found

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
                intervals then follow what has come true before each origin (see `Tracker`).
            stride: Steps between origins, instead.
            refit: Whether to train anew at each origin, on everything before it.

        Returns:
            The measures of `Scores.summary`; `baselines` with the same for each of them.

        Raises:
            DataError: If the table cannot be read, or `stride` or `refit` cannot be.
            RunError: If the configuration's data is no longer what the model was trained on.
        """
        if stride is not None and stride < 1:
            raise DataError(f"Expected --stride to be at least 1. Received: {stride}.")
        if refit and not backtest:
            raise DataError("Expected --backtest with --refit.")
        with working("reading the series"):
            parts = self._parts(None) if test is None else self.parts_of(test)
        if test is None:
            self.recognise(data.fingerprint(parts))
        stride = stride or (self.task.horizon if backtest else 1)
        if refit:
            self._seen = measuring.refitted(self, parts, stride)
        else:
            self._seen = measuring.measure(self, parts, "test", stride, True, follow=backtest)
        return self._seen.found

    def parts_of(self, frame: pd.DataFrame) -> data.Parts:
        """Another table, divided for what the model was trained for."""
        return data.divide(
            read_series(frame, self.task.columns, options=self.config), self.config, self.task
        )

    def draw(self, found: dict[str, Any], folder: pathlib.Path) -> None:
        """Draws what `evaluate` found: fan chart, error by horizon, backtest, autocorrelation."""
        self._seen.draw(folder, self.config.quantiles)

    def serving_spec(self) -> ExportSpec:
        """What an export answers.

        Its signature `serving_default` takes `history (batch, lookback, columns)` in the data's own
        units, NaN where missing, `future_covariates (batch, horizon, future)` where there are such
        and `series (batch,)`, names, where there are several; it answers `forecast (batch, horizon,
        targets)` and `quantiles (batch, horizon, targets, levels)`. The asset `task.json` names
        columns, step and levels.
        """
        signatures = {"serving_default": signature_of(self.model)}
        assets = {"task.json": describe(self.task, self.config)}
        tables = [layer for layer in self.model.layers if layer.name == "lookup"]
        return ExportSpec(signatures, self.model.get_layer("network").core, tables, assets)
