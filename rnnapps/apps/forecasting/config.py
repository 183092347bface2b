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
    """Passes over the training windows, at most; where these are few, an epoch is several, and
    where they are many, a part of one."""
    schedule: Literal["constant", "exponential", "cosine", "plateau"] = "exponential"
    """How the learning rate falls: not, to 1 %, along a cosine to 0, or when progress stops."""

    time_column: tuple[str, ...] = ()
    """Column of the time, or columns such as year month day hour, or date and clock; by default
    found."""
    target: tuple[str, ...] = ()
    """Columns to forecast; by default all that no other option names."""
    past_covariates: tuple[str, ...] = ()
    """Columns known up to the present; those of words become one column for each word."""
    future_covariates: tuple[str, ...] = ()
    """Columns known ahead, over the horizon too."""
    series_column: str | None = None
    """Column that names the series, where the table holds many."""
    static_columns: tuple[str, ...] = ()
    """Columns of words or numbers that say the same in all rows of a series; the series column
    among them tells the network which series it sees."""
    freq: str | None = None
    """The time between rows as pandas writes it (h, D, MS, 15min), or a number where rows are
    numbered; by default inferred."""
    calendar: tuple[Literal["hour", "weekday", "monthday", "yearday", "month"], ...] = ()
    """Features made from the time, known ahead: each is a point on a circle."""
    holidays: tuple[str, ...] = ()
    """Countries (DE) or parts of them (DE-BY) whose public holidays are known ahead; events of your
    own are future covariates."""
    target_units: tuple[str, ...] = ()
    """Units of the targets, which an export passes on."""
    validation_share: Annotated[float | None, Field(gt=0, lt=1)] = None
    """Share of the time that chooses weights and calibrates intervals; it precedes the test. By
    default 0.2, and over many series a horizon or two."""
    test_share: Annotated[float | None, Field(gt=0, lt=1)] = None
    """Share of the time, at its end, that measures; by default 0.2, and over many series a
    horizon."""
    validation_start: str | None = None
    """The time at which the validation part starts, instead of a share."""
    test_start: str | None = None
    """The time at which the test part starts, instead of a share."""
    log: bool = False
    """Learn log(1 + x) of the targets, for series whose swings grow with their level."""
    population: bool = True
    """Learn ten and more series as one population: as logarithms where all values are positive,
    scaled by how far each moves over a horizon, with a long look-back to which short ones are
    filled up."""

    lower_bound: float | None = None
    """What no forecast goes below; by default 0 for counts (with log or negative_binomial too)."""

    horizon: Annotated[int, Field(ge=1)] = 24
    """Steps to forecast."""
    lookback: Annotated[int | None, Field(ge=1)] = None
    """Steps that the network sees; by default 30 seasons, or what training has room for."""
    season: Annotated[int | None, Field(ge=1)] = None
    """Steps of a season, for the naive baseline and MASE; by default from the frequency, and from
    the values where steps are only numbered."""
    model: Literal["segment", "direct", "encoder_decoder", "deepar"] = "segment"
    """Segments of the look-back to segments of the horizon; all steps from the last state; step by
    step with a decoder; or step by step with a likelihood and sample paths."""
    channels: Literal["independent", "joint"] = "independent"
    """Forecast each target by itself with shared weights, or all from all."""
    segment: Annotated[int | None, Field(ge=1), TuneChoice((12, 24, 48))] = None
    """Steps of a segment; by default two seasons, or one where the series is short."""
    normalization: Literal["last", "instance", "none"] = "last"
    """What each window loses before the network and gets back: last value, mean and spread."""
    cell: BodyCell = "gru"
    """The recurrent cell, or, with --model=segment, transformer."""
    units: Annotated[int, Field(ge=1), Tune(32, 512, step=32)] = 256
    """Units of the cell."""
    layers: Annotated[int, Field(ge=1), Tune(1, 3, step=1)] = 1
    """Recurrent layers, one on the other."""
    block: Block = "plain"
    """What stands around each recurrent layer; pre_norm (segment, direct), for deep networks:
    normalisation before it, a gate, a feed-forward layer and residual connections."""
    dropout: Annotated[float, Field(ge=0, lt=1), Tune(0.0, 0.6, step=0.1)] = 0.5
    """Share of units dropped between layers and before the last one."""
    linear: bool = False
    """Add a linear map from look-back to horizon (segment, direct): for short series; many series
    that have a day's and a week's cycle get one anyway."""
    teacher_forcing: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Chance at first that encoder_decoder is told the truth of a step; it falls to 0."""

    combine: bool = True
    """Combine the network with a ridge and repetitions, by weights that validation chooses."""
    loss: Literal["mae", "mse", "huber"] | None = None
    """What the point forecast minimises, on scaled values; by default mae, and mse where most
    values are 0, which is then their median, too."""
    distribution: Literal["quantiles", "gaussian", "student_t", "negative_binomial"] | None = None
    """What is learned beside a point; by default quantiles, and student_t for deepar."""
    quantiles: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (
        0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975,
    )  # fmt: skip
    """Levels of the quantiles: ascending, in pairs around 0.5."""
    conformal: bool = True
    """Calibrate the intervals on the validation part."""
    samples: Annotated[int, Field(ge=2)] = 200
    """Sample paths of deepar's forecast."""

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
    """Forecasts past the data's end, as a CSV with a row for each step."""

    file: tyro.conf.Positional[pathlib.Path | None] = None
    """A table like the one trained on; by default that one."""
    output: pathlib.Path | None = None
    """The CSV to write; by default standard output."""
    explain: bool = False
    """Print what the forecast owes to each column and lag instead."""
    figure: pathlib.Path | None = None
    """With --explain: a PNG of the contributions to the first series' first target."""


@dataclasses.dataclass(frozen=True)
class DetectOptions:
    """Looks for steps that are off by more than forecasts are, as a CSV with a row for each."""

    file: tyro.conf.Positional[pathlib.Path | None] = None
    """A table like the one trained on; by default that one's test part."""
    output: pathlib.Path | None = None
    """The CSV to write; by default standard output."""
    figure: pathlib.Path | None = None
    """A PNG of what was observed and forecast, with the alarms; by default none."""
    alarms_per_1000: float = 1.0
    """False alarms to put up with, in 1,000 steps of each series and target; those within 24 steps
    are one, raised at the first."""


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """How the test part is measured."""

    backtest: bool = False
    """Forecast from origins a stride apart, as one would have: intervals follow what has come true
    before each. Draws the forecasts in a row."""
    stride: int | None = None
    """Steps between origins; by default 1, and the horizon in a backtest."""
    refit: bool = False
    """Train anew at each origin of a backtest, on everything before it."""


CONFIG = ForecastingConfig
