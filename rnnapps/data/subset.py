"""A fraction of the data, to try something out, or to see what more data is worth."""

import dataclasses
from typing import Any

import numpy as np

from rnnapps.config import TrainingConfig
from rnnapps.data.series import Series, SeriesSet
from rnnapps.data.splits import Splits


def fewer(splits: Splits, config: TrainingConfig, in_order: bool = False) -> Splits:
    """The same share of each part; what is set aside of all data is set aside of a share of it.

    Args:
        splits: The parts, as `data.learned.Rows`.
        config: Its `fraction`, `max_examples` and `seed` are read.
        in_order: Whether parts are texts, of which the beginning is taken.

    Returns:
        The parts, and what was taken; as they are where all is taken.
    """
    names = [name for name in ("train", "validation", "test") if getattr(splits, name)]
    parts = {name: getattr(splits, name) for name in names}
    total = sum(map(len, parts.values()))
    if (share := _share(total, config)) == 1:
        return splits
    found: dict[str, Any] = {}
    for name, part in parts.items():
        count = _count(len(part), share)
        found[name] = part[:count] if in_order else part.take(_drawn(len(part), count, config))
    said = ", ".join(f"{name} {len(part):,}" for name, part in found.items())
    taken = sum(map(len, found.values()))
    line = f"taken: {taken:,} of {total:,} {'characters' if in_order else 'examples'} ({said})"
    return dataclasses.replace(splits, **found, said=(*splits.said, line))


def fewer_series(data: SeriesSet, config: TrainingConfig) -> SeriesSet:
    """A share of several series, or of the steps of one: the last.

    Args:
        data: The series.
        config: Its `fraction`, `max_examples` and `seed` are read.

    Returns:
        The series, and what was taken; as they are where all is taken.
    """
    (first, *others), series = data.series, data.series
    total = len(series) if others else len(first)
    if (share := _share(total, config)) == 1:
        return data
    count = _count(total, share)
    if others:
        series, what = [series[i] for i in _drawn(total, count, config)], "series"
    else:
        series, what = [Series(first.name, first.times[-count:], first.values[-count:])], "steps"
    line = f"taken: {count:,} of {total:,} {what}"
    return dataclasses.replace(data, series=series, said=(*data.said, line))


def _share(total: int, config: TrainingConfig) -> float:
    most = total if config.max_examples is None else config.max_examples
    return min(config.fraction, most / max(1, total))


def _count(total: int, share: float) -> int:
    return max(1, round(total * share))


def _drawn(total: int, count: int, config: TrainingConfig) -> np.ndarray:
    """Positions in their order: int `(count,)`."""
    return np.sort(np.random.default_rng(config.seed).permutation(total)[:count])
