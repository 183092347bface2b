"""Where a forecaster's series come from, and how they are divided."""

import dataclasses
import hashlib
import pathlib

import numpy as np
import pandas as pd

from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.apps.forecasting.task import Task
from rnnapps.data import Columns, SeriesSet, make_load, read_series, season_of, stamp_of
from rnnapps.errors import ConfigError, DataError

NAMED = ("sample", "ett_h1")
_LONGEST = {"segment": 720}  # steps of a default look-back; the others read one step at a time
_SAMPLE = Columns(("time",), ("load",), future=("temperature", "holiday"))


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
        spans, horizon = [], self.task.horizon
        for train, validation, test in self.ends:
            first, end = {
                "train": (self.task.lookback, train),
                "validation": (max(train, self.task.lookback), validation),
                "test": (max(validation, self.task.lookback), test),
            }[part]
            spans.append((first, max(first, end - horizon + 1)))
        return spans


def load_series(config: ForecastingConfig) -> SeriesSet:
    """Loads the configuration's data.

    Args:
        config: Its `data`, `data_dir` and the names of columns are read.

    Returns:
        The series.

    Raises:
        DataError: If the data cannot be read, or is not what is needed.
    """
    if config.data == "ett_h1":
        from rnnapps.data.ett import load_ett  # needs tensorflow_datasets

        return as_series(load_ett(config.data_dir), config)
    if config.data != "sample":
        if not pathlib.Path(config.data).exists() and not pathlib.Path(config.data).suffix:
            raise DataError(
                f"Expected --data to be {', '.join(NAMED)}, or the path of a file. "
                f"Received: {config.data!r}."
            )
        return read_series(config.data, columns_of(config), options=config)
    columns = columns_of(config)
    if not (columns.targets or columns.past or columns.future):
        columns = dataclasses.replace(_SAMPLE, calendar=columns.calendar)
    return read_series(make_load(), columns)


def as_series(frame: pd.DataFrame, config: ForecastingConfig) -> SeriesSet:
    """The series of a person's own table."""
    return read_series(frame, columns_of(config), options=config)


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
    targets = len(data.columns.targets)
    lengths = [_length(one.values[:, :targets]) for one in data.series]
    ends = [
        _ends(one.times[:length], config, data.columns)
        for one, length in zip(data.series, lengths, strict=True)
    ]
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
    shortest = min(train for train, _, _ in ends)
    season = config.season or season_of(data.columns.freq)
    longest = _LONGEST.get(config.model, 7 * season)
    room = max(shortest // 4, min(3 * season, shortest // 2))  # three seasons, where they fit
    lookback = config.lookback or max(1, min(30 * season, longest, room))
    segment = config.segment or _segment(season, lookback, config.horizon)
    if config.lookback is None and config.model == "segment" and lookback > segment:
        lookback -= lookback % segment
    training = [one.values[:end] for one, (end, _, _) in zip(data.series, ends, strict=True)]
    columns, targets = data.columns, len(data.columns.targets)
    lacking = np.any([np.isnan(one).any(0) for one in training], axis=0)
    unseen = ~np.any([(np.nan_to_num(one) != 0).any(0) for one in training], axis=0)
    words = {f"{name}={word}" for name, words in columns.categories.items() for word in words}
    late = [n for n, never in zip(columns.names, unseen, strict=True) if never and n in words]
    if late:
        notes.append(
            f"The training part holds no {', '.join(late)}; the network does not tell "
            "what it has not seen."
        )
    return Task(
        columns=data.columns,
        series=tuple(one.name for one in data.series),
        lookback=lookback,
        horizon=config.horizon,
        season=season,
        segment=segment,
        missing=bool(lacking[:targets].any()),
        gaps=_one_each(np.flatnonzero(lacking[targets:]) + targets, columns),
        lower=_lower_bounds(data, config, notes),
        notes=_coarse(training, columns.targets),
    )


def _one_each(gaps: np.ndarray, columns: Columns) -> tuple[int, ...]:
    """Of these columns, the first of each column of words."""
    first = {f"{name}={words[0]}" for name, words in columns.categories.items()}
    later = {f"{name}={word}" for name, words in columns.categories.items() for word in words}
    return tuple(int(i) for i in gaps if columns.names[i] not in later - first)


def _lower_bounds(
    data: SeriesSet, config: ForecastingConfig, notes: list[str]
) -> tuple[float | None, ...]:
    """For each target what no forecast goes below, or `None`."""
    bounds: list[float | None] = []
    counts, positive = [], []
    for i, name in enumerate(data.columns.targets):
        known = np.concatenate([one.values[:, i] for one in data.series])
        known = known[np.isfinite(known)]
        least = known.min(initial=0.0)
        if config.lower_bound is not None:
            if least < config.lower_bound:
                raise DataError(
                    f"Expected no value under --lower-bound {config.lower_bound:g} in column "
                    f"{name!r}. Received: {least:g}."
                )
            bounds.append(config.lower_bound if np.isfinite(config.lower_bound) else None)
        elif config.log or config.output == "negative_binomial":
            bounds.append(0.0 if least >= 0 else -1.0)
        elif least >= 0 and not (known % 1).any():
            bounds.append(0.0)
            counts.append(name)
        else:
            bounds.append(None)
            positive += [name] if least >= 0 else []
    if counts:
        notes.append(
            f"All values of {', '.join(counts)} are whole numbers of at least 0, and so no "
            "forecast goes below 0; --lower-bound=-inf lifts that."
        )
    if positive:
        notes.append(
            f"All values of {', '.join(positive)} are at least 0; with --lower-bound 0 no forecast "
            "goes below 0."
        )
    return tuple(bounds)


def _coarse(training: list[np.ndarray], targets: tuple[str, ...]) -> tuple[str, ...]:
    """Says for which targets an export, which is asked in float32, sees steps as stairs."""
    notes = []
    for i, name in enumerate(targets):
        changes = np.concatenate([np.abs(np.diff(one[:, i])) for one in training])
        changes = changes[changes > 0]  # and not NaN
        values = np.nan_to_num(np.concatenate([one[:, i] for one in training]))
        largest = np.float32(np.abs(values).max(initial=0.0))
        if len(changes) and np.spacing(largest) > np.median(changes) / 100:
            notes.append(
                f"An export's inputs and answers are float32, whose neighbours are "
                f"{np.spacing(largest):g} apart at {name}'s {largest:g}, while it changes by "
                f"{np.median(changes):g} from step to step: subtract a constant before training."
            )
    return tuple(notes)


def _length(targets: np.ndarray) -> int:
    """Steps up to the last with a target; rows after it hold what is known ahead."""
    known = np.flatnonzero(np.isfinite(targets).any(1))
    return int(known[-1]) + 1 if len(known) else 0


def _segment(season: int, lookback: int, horizon: int) -> int:
    """Two seasons, one where look-back or horizon are short, or a quarter of the look-back."""
    if season == 1 or season > lookback:
        return max(1, lookback // 4)
    return 2 * season if lookback >= 8 * season and horizon >= 2 * season else season


def _ends(times: pd.Index, config: ForecastingConfig, columns: Columns) -> tuple[int, int, int]:
    """Steps up to the ends of training, validation and test."""
    count = len(times)
    if count < 3:
        raise DataError(f"Expected a series of at least 3 steps. Received: {count}.")

    def start(option: str, share: float) -> int:
        text = getattr(config, option)
        if text is None:
            return round(count * share)
        return int(times.searchsorted(stamp_of(text, option, columns, config)))

    test = start("test_start", 1 - config.test)
    share = 1 - config.validation - config.test
    if config.test_start and not config.validation_start:
        share = test / count * (1 - config.validation)
    validation = start("validation_start", share)
    if not 0 < validation < test < count:
        raise ConfigError(
            "Expected --validation-start to precede --test-start, and both to lie within the "
            f"data, {times[0]} to {times[-1]}. Received: parts of {validation}, "
            f"{test - validation} and {count - test} steps."
        )
    return validation, test, count


def _check(parts: Parts, config: ForecastingConfig) -> None:
    """Refuses series that are too short or hold nothing to learn from; notes constant ones."""
    task, need, still = parts.task, parts.task.lookback + parts.task.horizon, []
    for one, (train, validation, test) in zip(parts.data.series, parts.ends, strict=True):
        whose = f" of series {one.name}" if one.name else ""
        if train < need:
            raise DataError(
                f"Expected at least {need} steps to train on, a look-back of {task.lookback} and a "
                f"horizon of {task.horizon}. Received: {train} (of {len(one)} in all){whose}, "
                f"{need - train} too few; shorten --lookback or --horizon."
            )
        for name, steps in (("validation", validation - train), ("test", test - validation)):
            if steps < task.horizon:
                raise DataError(
                    f"Expected at least {task.horizon} steps, the horizon, in the {name} part. "
                    f"Received: {steps}{whose}, {task.horizon - steps} too few; enlarge --{name} "
                    "or shorten --horizon."
                )
        for i, column in enumerate(task.columns.targets):
            known = one.values[:train, i]
            known = known[~np.isnan(known)]
            if not len(known):
                raise DataError(f"Column {column!r}{whose} has no value in the training part.")
            if known.min() == known.max():
                still.append(f"{column!r}{whose} ({known[0]:g})")
            if config.log and np.nanmin(one.values[:, i]) <= -1:
                raise DataError(
                    f"Expected values over -1 in column {column!r}{whose} with --log. Received: "
                    f"{np.nanmin(one.values[:, i]):g}."
                )
            if config.output == "negative_binomial" and (known.min() < 0 or (known % 1).any()):
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
