"""What is forecast from what: columns, series, and how far back and ahead."""

import dataclasses
from typing import Any

from rnnapps.data import Columns


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

    @property
    def targets(self) -> int:
        """Number of targets."""
        return len(self.columns.targets)

    @property
    def future(self) -> int:
        """Number of future covariates."""
        return len(self.columns.future_names)

    @property
    def several(self) -> bool:
        """Whether the table holds several series."""
        return self.columns.series is not None

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
