"""The search ranges of settings. Imports no TensorFlow."""

import dataclasses
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class Tune:
    """The range over which a numeric field is tuned.

    Args:
        low: Smallest value.
        high: Largest value, included.
        step: Distance between neighbours; `None` for any value in between.
        sampling: `"linear"` or `"log"`.
        by_name: Whether it is tuned only where a search names it.
    """

    low: float
    high: float
    step: float | None = None
    sampling: Literal["linear", "log"] = "linear"
    by_name: bool = False


@dataclasses.dataclass(frozen=True)
class TuneChoice:
    """The values among which a field is tuned.

    Args:
        values: The values to choose from.
        by_name: Whether it is tuned only where a search names it.
    """

    values: tuple[Any, ...]
    by_name: bool = False
