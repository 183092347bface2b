"""New rows that continue the series that a forecaster was trained on."""

import dataclasses

import numpy as np
import pandas as pd

from rnnapps.apps.forecasting.ahead import unobserved
from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.apps.forecasting.data import Parts, length_of
from rnnapps.apps.forecasting.defaults import shares
from rnnapps.data import Series, SeriesSet
from rnnapps.data.learned import among
from rnnapps.data.stored import hash_of
from rnnapps.data.times import is_counted
from rnnapps.errors import DataError


def hashes_of(one: Series, targets: int) -> np.ndarray:
    """The hash of each step, by the series' name, time and targets' values: uint64 `(time,)`."""
    stamps = one.times if is_counted(one.times) else one.times.as_unit("us")
    steps = pd.DataFrame(one.values[:, :targets].astype(np.float32), stamps)
    return pd.util.hash_pandas_object(steps).to_numpy() ^ np.uint64(hash_of(one.name))


def kept_apart(parts: Parts, seen: np.ndarray, whose: str) -> Parts:
    """Starts the parts that choose and measure behind the last step that was learned from before.

    Args:
        parts: The series, divided by time.
        seen: Hashes of the steps that were learned from.
        whose: By which run.

    Returns:
        The same series; earlier steps are in the training part, with a note.

    Raises:
        DataError: If too few steps are left.
    """
    ends, horizon, moved = [], parts.task.horizon, 0
    for one, (train, validation, test) in zip(parts.data.series, parts.ends, strict=True):
        old = np.flatnonzero(among(hashes_of(one, parts.task.targets), seen)[:test])
        first = max(train, old[-1] + 1 if len(old) else 0)
        moved += first - train
        if test - first < 2 * horizon:
            raise DataError(
                f"Expected at least {2 * horizon} steps after {one.times[first - 1]}, up to which "
                f"{whose} has learned, to choose and to measure by. Received: {test - first}."
            )
        if first + horizon > validation:
            validation = first + max(horizon, (test - first) // 2)
        ends.append((int(first), int(validation), test))
    if not moved:
        return parts
    note = (
        f"{moved:,} steps of the validation or test part are moved to the training part, as "
        f"{whose} was trained on them, or on later ones"
    )
    return dataclasses.replace(parts, ends=ends, notes=[*parts.notes, note])


def appended(parts: Parts, later: SeriesSet, config: ForecastingConfig, where: str) -> Parts:
    """Series with the steps that have come since; what was there before is all learned from.

    Args:
        parts: What there was.
        later: Later steps of the same series.
        config: Its `validation_share` and `test_share` are read; they are of the later steps.
        where: What errors call the later table.

    Returns:
        The series. Of the later steps the last are the test part, those before them the validation
        part, and each is a horizon at least.

    Raises:
        DataError: If a step is not later, does not lie on the series' grid, or is of another
            series; or if they are too few.
    """
    known = [one.name for one in parts.data.series]
    new = {one.name: one for one in later.series}
    if others := sorted(new.keys() - set(known)):
        raise DataError(f"Expected the run's series in {where}. Received: {others[0]!r}, too.")
    series, ends, horizon = [], [], parts.task.horizon
    for one, (_, _, end) in zip(parts.data.series, parts.ends, strict=True):
        if one.name not in new:
            series.append(one)
            ends.append((end, end, end))
            continue
        more, whose = new[one.name], f" of series {one.name}" if one.name else ""
        last, first = one.times[end - 1], more.times[0]
        if first <= last:
            raise DataError(
                f"Expected rows{whose} after {last}, where the run's end. Received: {first} in "
                f"{where}."
            )
        between = _between(last, first, parts.data.columns.freq)
        if between is None:
            raise DataError(
                f"Expected rows{whose} to go on from {last} in steps of "
                f"{parts.data.columns.freq}. Received: {first} in {where}."
            )
        count = length_of(more, parts.task.targets)
        asked = shares(config, len(parts.data.series), count)
        validation, test = (max(horizon, round(count * share)) for share in asked)
        if count < validation + test:
            raise DataError(
                f"Expected at least {validation + test} new steps{whose}, a horizon to choose and "
                f"one to measure by. Received: {count} in {where}."
            )
        gap = unobserved(between, parts.data.columns)
        series.append(
            Series(
                one.name,
                one.times[:end].append(between).append(more.times),
                np.concatenate([one.values[:end], gap, more.values]),
            )
        )
        whole = end + len(between) + count
        ends.append((whole - validation - test, whole - test, whole))
    data = dataclasses.replace(parts.data, series=series, said=later.said)
    return dataclasses.replace(parts, data=data, ends=ends, notes=[*parts.notes, *later.notes])


def _between(last, first, freq: str) -> pd.Index | None:
    """The steps between two, which are not there; `None` if no step leads from one to the other."""
    if is_counted(pd.Index([last])):
        steps = pd.RangeIndex(last, first + 1, int(freq))
    else:
        steps = pd.date_range(last, first, freq=freq)
    return steps[1:-1] if len(steps) > 1 and steps[-1] == first else None
