"""What is forecast from what: the task, the series, and their parts by time."""

import dataclasses
import hashlib
from typing import Any

import numpy as np
import pandas as pd

from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.data import (
    Columns,
    Series,
    SeriesSet,
    check_known,
    load_registered,
    make_load,
    read_series,
)
from rnnapps.data.subset import fewer_series

NAMED = ("sample", "ett_h1")
_SAMPLE = Columns(("time",), ("load",), future=("temperature", "holiday"))


@dataclasses.dataclass(frozen=True)
class Task:
    """What a forecaster was trained for; it is saved with the model.

    Args:
        columns: The table's columns.
        series: The series' names; one empty name where the table holds one series.
        lookback: Steps that the network sees.
        horizon: Steps that it forecasts.
        season: Steps of a season.
        segment: Steps of a segment.
        missing: Whether targets were missing in the training part.
        gaps: Columns of covariates, counted from 0, in which values were.
        lower: For each target what no forecast goes below, or `None`; empty for none of them.
        notes: What a client should know of the data.
        cycles: Steps after which the series repeat, such as a day's and a week's.
        least: Steps that a history must have, the first of which stands for those that are lacking;
            `None` for the look-back.
        log: Whether the targets are learned as `log(1 + x)`.
        population: Whether series are scaled by how far they move over a horizon.
        loss: What the point forecast minimizes.
    """

    columns: Columns
    series: tuple[str, ...]
    lookback: int
    horizon: int
    season: int
    segment: int
    missing: bool
    gaps: tuple[int, ...] = ()
    lower: tuple[float | None, ...] = ()
    notes: tuple[str, ...] = ()
    cycles: tuple[int, ...] = ()
    least: int | None = None
    log: bool = False
    population: bool = False
    loss: str = "mae"

    @property
    def padded(self) -> bool:
        """Whether a history may be shorter than the look-back."""
        return self.least is not None and self.least < self.lookback

    @property
    def targets(self) -> int:
        """Number of targets."""
        return len(self.columns.targets)

    @property
    def future(self) -> int:
        """Number of future covariates."""
        return len(self.columns.future_names)

    @property
    def future_gaps(self) -> tuple[int, ...]:
        """Of `gaps` the future covariates, counted from the first of them."""
        first = len(self.columns.names) - self.future
        return tuple(column - first for column in self.gaps if column >= first)

    @property
    def several(self) -> bool:
        """Whether the table holds several series."""
        return self.columns.series is not None

    @property
    def plain(self) -> "Task":
        """The same without the columns that are made from the time, which no table holds."""
        columns = dataclasses.replace(self.columns, calendar=(), holidays=())
        return dataclasses.replace(self, columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """The task as plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Task":
        """The task from what `to_dict` gave."""
        columns = dict(values["columns"])
        categories = {name: tuple(words) for name, words in columns.pop("categories").items()}
        columns = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in columns.items()}
        columns = Columns(**columns, categories=categories)
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**{**values, "columns": columns})


@dataclasses.dataclass(frozen=True)
class Parts:
    """A data set divided by time, and what is to be forecast.

    Args:
        data: The series.
        task: What is forecast from what.
        ends: For each series the steps up to the end of training, of validation, and of test.
        notes: What was mended in the data, and what was made of it, a sentence each.
    """

    data: SeriesSet
    task: Task
    ends: list[tuple[int, int, int]]
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def said(self) -> list[str]:
        """What was read."""
        return list(self.data.said)

    @property
    def sizes(self) -> dict[str, int]:
        """How many steps each part has, of all series."""
        steps = np.diff(np.array(self.ends), axis=1, prepend=0).sum(0)
        return dict(zip(("training", "validation", "test"), map(int, steps), strict=True))

    @property
    def values(self) -> list[np.ndarray]:
        """The values of each series, `(time, columns)`."""
        return [one.values for one in self.data.series]

    @property
    def training(self) -> list[np.ndarray]:
        """The training part of each series."""
        return [one[:end] for one, (end, _, _) in zip(self.values, self.ends, strict=True)]

    def spans(self, part: str) -> list[tuple[int, int]]:
        """For each series the first origin of a part's windows, and the one after the last.

        What is forecast lies within the part; the look-back may reach into the part before.
        """
        spans, horizon, least = [], self.task.horizon, self.task.least or self.task.lookback
        for train, validation, test in self.ends:
            first, end = {
                "train": (least, train),
                "validation": (max(train, least), validation),
                "test": (max(validation, least), test),
            }[part]
            spans.append((first, max(first, end - horizon + 1)))
        return spans


def load_series(config: ForecastingConfig, given: pd.DataFrame | None = None) -> SeriesSet:
    """Loads a person's own table, or the configuration's data, as much as is to be taken.

    Args:
        config: Its `data`, `data_dir`, the names of columns, `fraction` and `max_examples` are
            read.
        given: The table; `None` for the configuration's data.

    Returns:
        The series.

    Raises:
        DataError: If the data cannot be read, or is not what is needed.
    """
    return fewer_series(_all_series(config, given), config)


def _all_series(config: ForecastingConfig, given: pd.DataFrame | None) -> SeriesSet:
    given = load_registered(config.data) if given is None else given
    if given is not None:
        return read_series(given, columns_of(config), options=config)
    if config.data == "ett_h1":
        from rnnapps.data.ett import load_ett  # needs tensorflow_datasets

        return read_series(load_ett(config.data_dir), columns_of(config))
    if config.data != "sample":
        check_known(config.data, NAMED, "a file")
        return read_series(config.data, columns_of(config), options=config)
    columns = columns_of(config)
    if not (columns.targets or columns.past or columns.future):
        made = {"calendar": columns.calendar, "holidays": columns.holidays}
        columns = dataclasses.replace(_SAMPLE, **made)
    return read_series(make_load(), columns)


def columns_of(config: ForecastingConfig) -> Columns:
    """What the configuration says of the table's columns."""
    return Columns(
        time=config.time_column,
        targets=config.target,
        past=config.past_covariates,
        future=config.future_covariates,
        series=config.series_column,
        freq=config.freq,
        calendar=config.calendar,
        holidays=config.holidays,
        static=config.static_columns,
    )


def length_of(one: Series, targets: int) -> int:
    """Steps up to the last with a target; rows after it hold what is known ahead."""
    known = np.flatnonzero(np.isfinite(one.values[:, :targets]).any(1))
    return int(known[-1]) + 1 if len(known) else 0


def fingerprint(parts: Parts) -> str:
    """What tells the data that a run learned from: the values of training and validation."""
    digest, steps = hashlib.sha256(), 0
    for one, (_, end, _) in zip(parts.data.series, parts.ends, strict=True):
        digest.update(one.name.encode())
        digest.update(one.values[:end].astype(np.float32).tobytes())  # as 0.1.0 did
        steps += end
    return f"{steps} steps, sha256 {digest.hexdigest()[:16]}"
