"""The bounds of forecasts and exports: zero for counts, and float32."""

from collections.abc import Sequence

import numpy as np

from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.data import SeriesSet
from rnnapps.errors import DataError

_MOST = 1 << 20  # changes whose median is taken, about


def lower_bounds(
    data: SeriesSet,
    ends: Sequence[tuple[int, int, int]],
    config: ForecastingConfig,
    log: bool,
    notes: list[str],
) -> tuple[float | None, ...]:
    """The lower bound of each target's forecasts, chosen on the data before the test set.

    Args:
        data: The series.
        ends: For each series the end steps of its parts.
        config: The configuration, with `lower_bound` and likelihood.
        log: Whether the network models logarithms.
        notes: Gets a message if counts are bounded, or if a bound would be suitable.

    Returns:
        The bounds; `None` for targets without one.

    Raises:
        DataError: If a value is below `lower_bound`.
    """
    bounds: list[float | None] = []
    counts, positive = [], []
    for i, name in enumerate(data.columns.targets):
        pairs = zip(data.series, ends, strict=True)
        before = [one.values[:end, i] for one, (_, end, _) in pairs]
        least = min(np.nanmin(one, initial=np.inf) for one in before)
        if config.lower_bound is not None:
            least = min(np.nanmin(one.values[:, i], initial=np.inf) for one in data.series)
            if least < config.lower_bound:
                raise DataError(
                    f"Expected no value under --lower-bound={config.lower_bound:g} in column "
                    f"{name!r}. Received: {least:g}."
                )
            bounds.append(config.lower_bound if np.isfinite(config.lower_bound) else None)
        elif log or config.likelihood == "negative_binomial":
            bounds.append(0.0 if least >= 0 else -1.0)
        elif least >= 0 and not any(np.nan_to_num(one % 1).any() for one in before):
            bounds.append(0.0)
            counts.append(name)
        else:
            bounds.append(None)
            positive += [name] if least >= 0 else []
    if counts:
        notes.append(
            f"All values of {', '.join(counts)} before the test part are whole numbers of at least "
            "0, and so no forecast goes below 0; --lower-bound=-inf turns this off."
        )
    if positive:
        notes.append(
            f"All values of {', '.join(positive)} before the test part are at least 0; with "
            "--lower-bound 0 no forecast goes below 0."
        )
    return tuple(bounds)


def coarse_steps(training: list[np.ndarray], targets: tuple[str, ...]) -> tuple[str, ...]:
    """Finds targets whose changes are too small for the float32 inputs of an export.

    Args:
        training: The training set of each series, `(time, columns)`.
        targets: The target names, the first columns.

    Returns:
        A message for each such target.
    """
    notes = []
    step = -(-sum(map(len, training)) // _MOST)
    for i, name in enumerate(targets):
        changes = np.concatenate([np.abs(np.diff(one[:, i]))[::step] for one in training])
        changes = changes[changes > 0]  # and not NaN
        largest = np.float32(max(np.nanmax(np.abs(one[:, i]), initial=0.0) for one in training))
        if len(changes) and np.spacing(largest) > np.median(changes) / 100:
            notes.append(
                f"An export's inputs and outputs are float32, with a resolution of "
                f"{np.spacing(largest):g} at {name}'s {largest:g}, while it changes by "
                f"{np.median(changes):g} from step to step: subtract a constant before training."
            )
    return tuple(notes)
