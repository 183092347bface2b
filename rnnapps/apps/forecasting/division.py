"""Divides series by time, and settles what is forecast from what."""

import dataclasses

import numpy as np

from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.apps.forecasting.data import Parts, Task, length_of
from rnnapps.apps.forecasting.defaults import choose, shares
from rnnapps.apps.forecasting.limits import coarse_steps, lower_bounds
from rnnapps.data import Columns, Series, SeriesSet, stamp_of
from rnnapps.errors import ConfigError, DataError


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
            "Most values are 0: the point forecast is a mean, which minimizes squared errors; "
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
