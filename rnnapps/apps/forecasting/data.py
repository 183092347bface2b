"""What is forecast from what: series, their parts by time, and future covariates."""

import dataclasses
import hashlib
from typing import Any

import numpy as np
import pandas as pd

from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.apps.forecasting.defaults import choose, shares
from rnnapps.apps.forecasting.limits import coarse_steps, lower_bounds
from rnnapps.data import (
    Columns,
    Series,
    SeriesSet,
    check_known,
    features_of,
    load_registered,
    make_load,
    read_series,
    stamp_of,
    times,
)
from rnnapps.data.subset import fewer_series
from rnnapps.errors import ConfigError, DataError

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
        loss: What the point forecast minimises.
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


def divide(data: SeriesSet, config: ForecastingConfig, task: Task | None = None) -> Parts:
    """Divides series by time, and settles how far back the network looks.

    Args:
        data: The series.
        config: The configuration.
        task: What a forecaster was trained for, where one is to be measured on the series.

    Returns:
        The parts.

    Raises:
        DataError: If a series is too short, or cannot be learned from.
    """
    ends = [_ends(one, config, data) for one in data.series]
    names = tuple(one.name for one in data.series)
    notes = list(data.notes)
    if task:
        task = dataclasses.replace(task, series=names)
    else:
        task = _make_task(data, ends, config, notes)
    parts = Parts(data, task, ends, notes)
    _check(parts, config)
    return parts


def _make_task(
    data: SeriesSet,
    ends: list[tuple[int, int, int]],
    config: ForecastingConfig,
    notes: list[str],
) -> Task:
    """What the configuration asks for of these series, with what it leaves open."""
    training = [one.values[:end] for one, (end, _, _) in zip(data.series, ends, strict=True)]
    columns, targets = data.columns, len(data.columns.targets)
    chosen = choose(config, columns.freq, training, targets)
    if columns.freq.isdigit() and not config.season and chosen.season > 1:
        notes.append(
            f"The values repeat after {chosen.season} steps, which are taken as the season; set "
            "--season to change it, or to 1 for none."
        )
    if chosen.population:
        notes.append(
            f"{len(training)} series are learned as one population, "
            + ("as logarithms, " if chosen.log else "")
            + f"with a look-back of {chosen.lookback} steps, to which shorter ones are padded; "
            "--no-population turns this off."
        )
    if config.loss is None and chosen.loss == "mse":
        notes.append(
            "Most values are 0: the point forecast is a mean, which minimises squared errors; "
            "--loss mae takes the median."
        )
    lacking = np.any([np.isnan(one).any(0) for one in training], axis=0)
    unseen = ~np.any([(np.nan_to_num(one) != 0).any(0) for one in training], axis=0)
    words = {f"{name}={word}" for name, words in columns.categories.items() for word in words}
    late = [n for n, never in zip(columns.names, unseen, strict=True) if never and n in words]
    if late:
        notes.append(
            f"The training part has no {', '.join(late)}; the network cannot learn what they "
            "change."
        )
    return Task(
        columns=data.columns,
        series=tuple(one.name for one in data.series),
        lookback=chosen.lookback,
        horizon=config.horizon,
        season=chosen.season,
        segment=chosen.segment,
        missing=bool(lacking[:targets].any()) or chosen.least < chosen.lookback,
        gaps=_one_each(np.flatnonzero(lacking[targets:]) + targets, columns),
        lower=lower_bounds(data, ends, config, chosen.log, notes),
        notes=coarse_steps(training, columns.targets),
        cycles=chosen.cycles,
        least=chosen.least,
        log=chosen.log,
        population=chosen.population,
        loss=chosen.loss,
    )


def _one_each(gaps: np.ndarray, columns: Columns) -> tuple[int, ...]:
    """Of these columns, the first of each column of words."""
    first = {f"{name}={words[0]}" for name, words in columns.categories.items()}
    later = {f"{name}={word}" for name, words in columns.categories.items() for word in words}
    return tuple(int(i) for i in gaps if columns.names[i] not in later - first)


def length_of(one: Series, targets: int) -> int:
    """Steps up to the last with a target; rows after it hold what is known ahead."""
    known = np.flatnonzero(np.isfinite(one.values[:, :targets]).any(1))
    return int(known[-1]) + 1 if len(known) else 0


def _ends(one: Series, config: ForecastingConfig, data: SeriesSet) -> tuple[int, int, int]:
    """Steps up to the ends of training, validation and test."""
    columns, whose = data.columns, f" of series {one.name}" if one.name else ""
    stamps = one.times[: length_of(one, len(columns.targets))]
    if (count := len(stamps)) < 3:
        raise DataError(f"Expected a series of at least 3 steps. Received: {count}{whose}.")

    def start(option: str, share: float) -> int:
        text = getattr(config, option)
        if text is None:
            return round(count * share)
        return int(stamps.searchsorted(stamp_of(text, option, columns, config)))

    validation_share, test_share = shares(config, len(data.series), count)
    test = start("test_start", 1 - test_share)
    share = 1 - validation_share - test_share
    if config.test_start and not config.validation_start:
        before, _ = shares(config, len(data.series), test)
        share = test / count * (1 - before)
    validation = start("validation_start", share)
    if not 0 < validation < test < count:
        raise ConfigError(
            "Expected --validation-start to precede --test-start, and both to lie within the "
            f"data{whose}, {stamps[0]} to {stamps[-1]}. Received: parts of {validation}, "
            f"{test - validation} and {count - test} steps."
        )
    return validation, test, count


def _check(parts: Parts, config: ForecastingConfig) -> None:
    """Refuses series that are too short or hold nothing to learn from; notes constant ones."""
    task, still = parts.task, []
    least = task.least or task.lookback
    need = least + task.horizon
    for one, (train, validation, test) in zip(parts.data.series, parts.ends, strict=True):
        whose = f" of series {one.name}" if one.name else ""
        if train < need:
            raise DataError(
                f"Expected at least {need} steps to train on, a look-back of {least} and a "
                f"horizon of {task.horizon}. Received: {train} (of {len(one)} in all){whose}, "
                f"{need - train} too few; shorten --lookback or --horizon."
            )
        for name, steps in (("validation", validation - train), ("test", test - validation)):
            if steps < task.horizon:
                raise DataError(
                    f"Expected at least {task.horizon} steps, the horizon, in the {name} part. "
                    f"Received: {steps}{whose}, {task.horizon - steps} too few; enlarge "
                    f"--{name}-share or shorten --horizon."
                )
        for i, column in enumerate(task.columns.targets):
            known = one.values[:train, i]
            known = known[~np.isnan(known)]
            if not len(known):
                raise DataError(f"Column {column!r}{whose} has no value in the training part.")
            if known.min() == known.max():
                still.append(f"{column!r}{whose} ({known[0]:g})")
            if task.log and (lowest := np.nanmin(one.values[:, i])) <= -1:
                chosen = "logarithms, which --population takes unless it is off"
                raise DataError(
                    f"Expected values over -1 in column {column!r}{whose} with "
                    f"{'--log' if config.log else chosen}. Received: {lowest:g}."
                )
            if config.likelihood == "negative_binomial" and (known.min() < 0 or (known % 1).any()):
                raise DataError(
                    f"Expected counts (0, 1, 2, ...) in column {column!r}{whose} with "
                    f"--distribution=negative_binomial. Received: "
                    f"{known[(known < 0) | (known % 1 > 0)][0]:g}."
                )
    if still:
        more = f" and {len(still) - 3:,} more" if len(still) > 3 else ""
        parts.notes.append(f"Constant in the training part: {', '.join(still[:3])}{more}.")


def fingerprint(parts: Parts) -> str:
    """What tells the data that a run learned from: the values of training and validation."""
    digest, steps = hashlib.sha256(), 0
    for one, (_, end, _) in zip(parts.data.series, parts.ends, strict=True):
        digest.update(one.name.encode())
        digest.update(one.values[:end].astype(np.float32).tobytes())  # as 0.1.0 did
        steps += end
    return f"{steps} steps, sha256 {digest.hexdigest()[:16]}"


def prediction_inputs(
    found: SeriesSet, task: Task, where: str
) -> tuple[np.ndarray, np.ndarray, list[pd.Index]]:
    """The inputs of forecasts past the end of each series.

    A series ends with its last target; rows after that hold its future covariates.

    Args:
        found: The series.
        task: What is forecast from what.
        where: What errors call the table.

    Returns:
        Histories `(series, lookback, columns)`, future covariates `(series, horizon, future)`, and
        for each series the times of the horizon.

    Raises:
        DataError: If a series is shorter than the look-back, or lacks a future covariate.
    """
    histories, futures, ahead = [], [], []
    for one in found.series:
        here = f"{where}, series {one.name}" if one.name else where
        end = length_of(one, task.targets)
        if end < (least := task.least or task.lookback):
            raise DataError(
                f"Expected at least {least} steps, the look-back, up to the last value "
                f"of a target in {here}. Received: {end}, {least - end} too few."
            )
        stamps = times.following(one.times[:end], found.columns.freq, task.horizon)
        histories.append(history_before(one.values, end, task.lookback))
        futures.append(_covariates(one, end, stamps, task, here))
        ahead.append(stamps)
    return np.stack(histories), np.stack(futures), ahead


def _covariates(one: Series, end: int, stamps: pd.Index, task: Task, where: str):
    """The future covariates of the horizon `(horizon, future)`."""
    columns = task.columns
    first = len(columns.names) - task.future
    rows, given = unobserved(stamps, columns)[:, first:], one.values[end:, first:][: len(stamps)]
    rows[: len(given)] = given
    missing = np.isnan(rows)
    if missing.any():
        step, column = np.argwhere(missing)[0]
        raise DataError(
            f"Expected future covariates for the {task.horizon} steps after "
            f"{one.times[end - 1]} in {where}. Received: no {columns.future_names[column]!r} for "
            f"{stamps[step]}; add rows with the covariates and without the targets."
        )
    return rows


def history_before(values: np.ndarray, origin: int, lookback: int) -> np.ndarray:
    """The look-back `(lookback, columns)` of a step; NaN before the series' first."""
    known = values[max(0, origin - lookback) : origin]
    lacking = np.full((lookback - len(known), known.shape[1]), np.nan)
    return np.concatenate([lacking, known])


def unobserved(stamps: pd.Index, columns: Columns) -> np.ndarray:
    """Steps of which nothing is known but what is made from the time, `(steps, columns)`."""
    rows = np.full((len(stamps), len(columns.names)), np.nan)
    if columns.from_time and len(stamps):
        features = features_of(stamps, columns)
        rows[:, -features.shape[1] :] = features
    return rows
