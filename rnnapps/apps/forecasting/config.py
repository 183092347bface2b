"""The settings of a forecaster. Imports no TensorFlow."""

import dataclasses
import itertools
import pathlib
from typing import Annotated, ClassVar, Literal, Self

import tyro
from pydantic import Field, model_validator

from rnnapps.config import (
    TRANSFORMER,
    Block,
    BodyCell,
    EnsembleOptions,
    Purpose,
    SeriesOptions,
    TrainingConfig,
    TransformerOptions,
    Tune,
    TuneChoice,
)

SHARE = 0.2  # of the time, by default, that is the validation part, or the test part


class ForecastingConfig(EnsembleOptions, TransformerOptions, SeriesOptions, TrainingConfig):
    """The settings of a forecaster."""

    sections: ClassVar = {
        **TrainingConfig.sections,
        **TransformerOptions.sections,
        "encoding": "tables",
        "time_column": "data",
        "horizon": "model",
        "teacher_forcing": "training",
    }
    card: ClassVar = Purpose(
        does="It forecasts time series: a recurrent network with a linear model beside it, "
        "and intervals that held-out errors calibrate.",
        use="For the series that it learned from, or others like them, at the same steps. "
        "It is not for what has no like in the past.",
        factors="How far ahead, which column, the season, and whether what is known of the "
        "future was given; the errors by horizon and by target show the first two.",
        limits="Intervals hold while the future is like the held-out past. Compare the "
        "baselines: where they are as good, take them.",
        ethics="Forecasts of what people do change what they do. Say the interval with the number.",
    )
    inherited: ClassVar = (
        "log", "population", "horizon", "lookback", "model", "channels", "segment",
        "normalization", "cell", "units", "layers", "block", "heads", "positions", "linear",
        "distribution", "quantiles",
    )  # fmt: skip

    renamed: ClassVar = {"validation": "validation_share", "test": "test_share"}

    epochs: Annotated[int, Field(ge=1)] = 10
    """Maximum passes over the training windows. With few windows an epoch is several passes, with
    many a part of one."""
    schedule: Literal["constant", "exponential", "cosine", "plateau"] = "exponential"
    """How the learning rate decays: constant, exponential (to 1 %), cosine (to 0), or plateau,
    which lowers it whenever the validation loss stops improving."""

    time_column: tuple[str, ...] = ()
    """Column of the time, or several, such as year month day hour, or date and clock. By default
    detected."""
    target: tuple[str, ...] = ()
    """Columns to forecast. By default all that no other option names."""
    past_covariates: tuple[str, ...] = ()
    """Columns known up to the present. Columns of words are one-hot encoded."""
    future_covariates: tuple[str, ...] = ()
    """Columns known ahead, over the horizon, too."""
    series_column: str | None = None
    """Column that names the series, in a table of several."""
    static_columns: tuple[str, ...] = ()
    """Columns of words or numbers that are constant within a series. With the series column among
    them, the network is told which series it sees."""
    freq: str | None = None
    """Time between rows in the notation of pandas (h, D, MS, 15min), or a number if rows are
    numbered. By default inferred."""
    calendar: tuple[Literal["hour", "weekday", "monthday", "yearday", "month"], ...] = ()
    """Calendar features, computed from the time and known ahead; each is encoded as a point on a
    circle."""
    holidays: tuple[str, ...] = ()
    """Countries (DE) or parts of them (DE-BY) whose public holidays are known ahead. Your own
    events are future covariates."""
    target_units: tuple[str, ...] = ()
    """Units of the targets, for exports and figures."""
    validation_share: Annotated[float | None, Field(gt=0, lt=1)] = None
    """Share of the time steps, before the test part, that chooses weights and calibrates intervals.
    By default 0.2, with ten or more series one or two horizons."""
    test_share: Annotated[float | None, Field(gt=0, lt=1)] = None
    """Share of the time steps, at the end, to evaluate on. By default 0.2, with ten or more series
    one horizon."""
    validation_start: str | None = None
    """Time at which the validation part starts, instead of a share."""
    test_start: str | None = None
    """Time at which the test part starts, instead of a share."""
    log: bool = False
    """Learn log(1 + x) of the targets, for series whose fluctuations grow with their level."""
    population: bool = True
    """Learn ten or more series as one population: as logarithms if all values are positive, scaled
    by how far each series moves over a horizon, with a long look-back to which short series are
    padded."""

    lower_bound: float | None = None
    """Value below which no forecast goes; -inf for none. By default 0 for counts, also with --log
    or --distribution=negative_binomial."""

    horizon: Annotated[int, Field(ge=1)] = 24
    """Time steps to forecast."""
    lookback: Annotated[int | None, Field(ge=1)] = None
    """Time steps that the network sees. By default 30 seasons (7 unless --model=segment), or fewer
    in short series; with ten or more series about 24 horizons."""
    season: Annotated[int | None, Field(ge=1)] = None
    """Time steps of a season, for the seasonal naive baseline and MASE. By default from the
    frequency, or from the values if rows are only numbered."""
    model: Literal["segment", "direct", "encoder_decoder", "deepar"] = "segment"
    """The network. segment maps segments of the look-back to segments of the horizon; direct
    forecasts all steps from the last state; encoder_decoder decodes step by step; deepar too, with
    a likelihood and sample paths."""
    channels: Literal["independent", "joint"] = "independent"
    """Forecast each target by itself with shared weights (independent), or all from all (joint)."""
    segment: Annotated[int | None, Field(ge=1), TuneChoice((12, 24, 48))] = None
    """Time steps of a segment. By default two seasons, or one in short series."""
    normalization: Literal["last", "instance", "none"] = "last"
    """Normalization of each window, undone after the network: by its last value (last), or by mean
    and standard deviation (instance)."""
    cell: BodyCell = "gru"
    """Recurrent cell, or transformer (only with --model=segment)."""
    units: Annotated[int, Field(ge=1), Tune(32, 512, step=32)] = 256
    """Units per layer."""
    layers: Annotated[int, Field(ge=1), Tune(1, 3, step=1)] = 1
    """Number of layers."""
    block: Block = "plain"
    """Structure around each recurrent layer: plain, or pre_norm for deep networks (normalization
    before it, a gate, a feed-forward layer and residual connections); with --model=segment or
    direct."""
    dropout: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.6, step=0.1)] = 0.5
    """Dropout rate between layers, and before the output layer."""
    linear: bool = False
    """Add a linear map from look-back to horizon (with --model=segment or direct), for short
    series. Ten or more series with a daily and a weekly cycle always get one."""
    teacher_forcing: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Probability that encoder_decoder is given the true last step in training; it falls to 0
    (scheduled sampling)."""

    combine: bool = True
    """Combine the network with a ridge regression and seasonal repetitions, with weights chosen on
    the validation part."""
    loss: Literal["mae", "mse", "huber"] | None = None
    """Loss of the point forecast, on scaled values. By default mae, or mse if most values are 0, as
    the median then is 0, too."""
    distribution: Literal["quantiles", "gaussian", "student_t", "negative_binomial"] | None = None
    """What is learned beside the point forecast. By default quantiles, or student_t with
    --model=deepar."""
    quantiles: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (
        0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975,
    )  # fmt: skip
    """Quantile levels: ascending, in pairs around 0.5."""
    conformal: bool = True
    """Calibrate the prediction intervals on the validation part."""
    samples: Annotated[int, Field(ge=2)] = 200
    """Number of sample paths of a deepar forecast."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        levels = self.quantiles
        pairs = zip(levels, reversed(levels), strict=True)
        ascending = all(a < b for a, b in itertools.pairwise(levels))
        if not levels or not ascending or any(abs(a + b - 1) > 1e-6 for a, b in pairs):
            raise ValueError(
                f"Expected --quantiles to ascend in pairs around 0.5, such as 0.1 0.5 0.9. "
                f"Received: {' '.join(map(str, levels))}."
            )
        if self.model == "deepar" and self.distribution == "quantiles":
            raise ValueError(
                "Expected --distribution to be gaussian, student_t or negative_binomial with "
                "--model=deepar, which samples. Received: 'quantiles'."
            )
        named = [*self.time_column, *self.target, *self.past_covariates, *self.future_covariates]
        named += self.static_columns
        if self.static_columns and not self.series_column:
            raise ValueError(
                "Expected --series-column with --static-columns, which tell series apart. "
                "Received: none."
            )
        if self.series_column and self.series_column not in self.static_columns:
            named.append(self.series_column)
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise ValueError(
                f"Expected each column in one place. Received: {twice[0]!r} in --time-column, "
                "--target, --past-covariates, --future-covariates, --static-columns or "
                "--series-column twice."
            )
        if self.cell == TRANSFORMER and self.model != "segment":
            raise ValueError(
                f"Expected --model=segment with --cell=transformer. Received: {self.model!r}."
            )
        if self.block != "plain" and self.model not in ("segment", "direct"):
            raise ValueError(
                f"Expected --model=segment or --model=direct with --block={self.block}. Received: "
                f"{self.model!r}."
            )
        parts = [SHARE if one is None else one for one in (self.validation_share, self.test_share)]
        if sum(parts) >= 1:
            raise ValueError(
                "Expected --validation-share and --test-share to leave something to train on. "
                f"Received: {parts[0]} and {parts[1]}."
            )
        return self

    @property
    def likelihood(self) -> str:
        """The distribution, with the default of the model put in."""
        return self.distribution or ("student_t" if self.model == "deepar" else "quantiles")


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """Forecasts beyond the end of the data; prints a CSV with a row for each time step."""

    file: tyro.conf.Positional[pathlib.Path | None] = None
    """Table in the format of the training data. By default the training data itself."""
    output: pathlib.Path | None = None
    """CSV file to write. By default standard output."""
    explain: bool = False
    """Print the contribution of each column and lag to the forecast instead."""
    figure: pathlib.Path | None = None
    """With --explain: PNG file of the contributions to the first target of the first series."""


@dataclasses.dataclass(frozen=True)
class DetectOptions:
    """Finds values that are further from their forecast than usual; prints a CSV of them."""

    file: tyro.conf.Positional[pathlib.Path | None] = None
    """Table in the format of the training data. By default the test part of the training data."""
    output: pathlib.Path | None = None
    """CSV file to write. By default standard output."""
    figure: pathlib.Path | None = None
    """PNG file of the observed and forecast values, with the alarms. By default none."""
    alarms_per_1000: float = 1.0
    """Rate of false alarms to accept, per 1,000 time steps of each series and target. Alarms within
    24 steps are one, raised at the first."""


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Evaluates a run on its test part, next to baselines trained on the same data."""

    backtest: bool = False
    """Forecast from many origins, as in production: intervals adapt to the errors before each. Also
    draws the forecasts."""
    stride: int | None = None
    """Time steps between origins. By default 1, or the horizon with --backtest."""
    refit: bool = False
    """Train again at each origin of a backtest, on everything before it."""


CONFIG = ForecastingConfig
