"""A forecaster's table in its parts, split by time."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rnnapps.apps.forecasting import ahead, data, division, later
from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.apps.parts import InParts
from rnnapps.apps.updating import GIVEN
from rnnapps.data import Series, SeriesSet, read_series
from rnnapps.data.times import is_counted
from rnnapps.errors import DataError
from rnnapps.progress import say

_ORIGINS = 2  # horizons of an example: it can be forecast from a horizon before its end, and there
_MOST_SERIES, _MOST_NUMBERS = 5, 20_000  # of all examples


def kept_of(parts: data.Parts) -> list[dict[str, Any]]:
    """The ends of a few series' validation parts, as JSON has them.

    Args:
        parts: The series, divided by time.

    Returns:
        For each of them `name`, `times`, and `values` without what is made from the time; none
        where one is too large.
    """
    task, found = parts.task, []
    steps, columns = task.lookback + _ORIGINS * task.horizon, len(task.plain.columns.names)
    count = min(_MOST_SERIES, _MOST_NUMBERS // (steps * columns))
    for one, (_, end, _) in list(zip(parts.data.series, parts.ends, strict=True))[:count]:
        first = max(0, end - steps)
        times, values = one.times[first:end], one.values[first:end, :columns]
        times = times if is_counted(times) else times.astype(str)
        found.append({"name": one.name, "times": times.tolist(), "values": values.tolist()})
    return found


def series_of(kept: Sequence[Mapping[str, Any]], task: data.Task) -> SeriesSet:
    """The series that `kept_of` gave.

    Args:
        kept: What it gave.
        task: What is forecast from what.
    """
    counted = (task.columns.freq or "").isdigit()
    index = pd.Index if counted else pd.DatetimeIndex
    series = [
        Series(one["name"], index(one["times"]), np.array(one["values"], float)) for one in kept
    ]
    return SeriesSet(series, task.plain.columns, [])


class SeriesInParts(InParts):
    """What a forecaster says of its table; see `InParts`."""

    config: ForecastingConfig
    divides = True

    @property
    def task(self) -> data.Task:
        """What the model forecasts from what."""
        return self.model.get_layer("scaler").task

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
        parts = division.divide(series, self.config, self.task if self.trained else None)
        return dataclasses.replace(parts, notes=[*parts.notes, *parts.task.notes])

    def _fewer(self, splits: data.Parts) -> data.Parts:
        return splits  # of fewer series, or steps, as `load_series` took them

    def _keys(self, splits: data.Parts) -> np.ndarray:
        targets, pairs = splits.task.targets, zip(splits.data.series, splits.ends, strict=True)
        return np.concatenate([later.hashes_of(one, targets)[:end] for one, (end, _, _) in pairs])

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

    def _examples(self, splits: data.Parts) -> list[dict[str, Any]]:
        return kept_of(splits)

    def _inputs(self, inputs: pd.DataFrame | pathlib.Path | str | None) -> tuple[Any, ...]:
        """A table's series by name, their last look-backs, what is known ahead, and its times."""
        inputs = self.given[0] if inputs is None else inputs
        where = "the table" if isinstance(inputs, pd.DataFrame) else str(inputs or self.config.data)
        found = self._table(inputs)
        names = [one.name for one in found.series]
        return names, *ahead.prediction_inputs(found, self.task, where)

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
