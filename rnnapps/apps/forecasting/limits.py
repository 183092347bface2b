"""The bounds of forecasts and exports: zero for counts, and float32."""

from collections.abc import Sequence

import numpy as np

from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.data import SeriesSet
from rnnapps.errors import DataError


def lower_bounds(
    data: SeriesSet,
    ends: Sequence[tuple[int, int, int]],
    config: ForecastingConfig,
    log: bool,
    notes: list[str],
) -> tuple[float | None, ...]:
    """For each target what no forecast goes below, chosen by what precedes the test part.

    Args:
        data: The series.
        ends: For each series the steps up to the ends of its parts.
        config: Its `lower_bound` and likelihood are read.
        log: Whether logarithms are learned.
        notes: Gets a sentence where counts are bounded, and where a bound would fit.

    Returns:
        The bounds; `None` for a target that has none.

    Raises:
        DataError: If a value lies below `lower_bound`.
    """
    bounds: list[float | None] = []
    counts, positive = [], []
    for i, name in enumerate(data.columns.targets):
        pairs = zip(data.series, ends, strict=True)
        known = np.concatenate([one.values[:end, i] for one, (_, end, _) in pairs])
        known = known[np.isfinite(known)]
        least = known.min(initial=np.inf)
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
        elif least >= 0 and not (known % 1).any():
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
    """Says which targets change by less than an export, which is asked in float32, can tell.

    Args:
        training: The training part of each series, `(time, columns)`.
        targets: The targets' names, the first columns.

    Returns:
        A sentence for each such target.
    """
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
