"""Defaults that depend on the data."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from rnnapps.apps.forecasting.config import SHARE, ForecastingConfig
from rnnapps.apps.forecasting.seasons import find_season
from rnnapps.data import season_of

MANY = 10  # series, from which on they are learned from as one population
_LONGEST = {"segment": 720}  # steps of a look-back; the other networks read one step at a time
_HORIZONS = 24  # of a look-back over many series


@dataclasses.dataclass(frozen=True)
class Defaults:
    """What a task takes from the kind of its data.

    Args:
        season: Steps of a season; 1 where there is none.
        cycles: Steps after which series repeat: a season's, and of hours a week's, too.
        lookback: Steps that the network sees.
        least: Steps that a history has to have; what lacks before them counts as missing.
        segment: Steps of a segment.
        log: Whether the targets are learned as `log(1 + x)`.
        loss: What the point forecast minimizes.
        population: Whether series are scaled by how far they move over a horizon, so that an error
            weighs alike in all of them, instead of by their standard deviation.
    """

    season: int
    cycles: tuple[int, ...]
    lookback: int
    least: int
    segment: int
    log: bool
    loss: str
    population: bool


def choose(
    config: ForecastingConfig, freq: str, training: Sequence[np.ndarray], targets: int
) -> Defaults:
    """Chooses by the kind of data; what the configuration sets stays.

    One series, or a few: the look-back is 30 seasons, where training has room for it, and segments
    are two seasons. Many series are one population: where all their values are positive they are
    learned as logarithms, in which their levels don't matter; the look-back is 24 horizons, where
    half of the series have room for twice of it, and shorter series are filled up; where they
    repeat themselves, it is whole cycles, three of the longest that fits, and two have to be there;
    segments are a season, or a horizon. Where most values are 0, as of spare parts that are sold
    now and then, the point is a mean: the median says 0 for ever. Steps that are only numbered have
    the season that their values show. benchmarks/RESULTS.md has what each of these was worth.

    Args:
        config: The configuration.
        freq: The step, as pandas writes it.
        training: The training part of each series, `(time, columns)`.
        targets: Number of targets, the first columns.

    Returns:
        What was chosen.
    """
    horizon = config.horizon
    season = config.season or (
        find_season([part[:, i] for part in training for i in range(targets)])
        if freq.isdigit()
        else season_of(freq)
    )
    cycles = _cycles(season)
    lengths = [len(part) for part in training]
    many = is_population(config, len(training))
    log = config.log or (many and _all_positive(training, targets))
    if many:
        segment = season if 1 < season <= horizon else horizon
        typical = int(np.median(lengths))
        room, least = min(_HORIZONS * horizon, typical // 2), horizon
        if fitting := [cycle for cycle in cycles if 3 * cycle + 4 * horizon <= typical]:
            longest = fitting[-1]
            room = max(room, 3 * longest) // longest * longest
            least = max(horizon, min(2 * longest, min(lengths) // 2))
    else:
        segment = least = 0
        shortest = min(lengths)
        room = min(30 * season, max(shortest // 4, min(3 * season, shortest // 2)))
    most = _LONGEST.get(config.model, 7 * season)
    lookback = config.lookback or max(1, min(most, room))
    segment = config.segment or min(segment, lookback) or _segment(season, lookback, horizon)
    if config.lookback is None and config.model == "segment" and lookback > segment:
        lookback -= lookback % segment
    return Defaults(
        season=season,
        cycles=cycles,
        lookback=lookback,
        least=min(lookback, least) if many else lookback,
        segment=segment,
        log=log,
        loss=config.loss or ("mse" if _intermittent(training, targets) else "mae"),
        population=many,
    )


def is_population(config: ForecastingConfig, series: int) -> bool:
    """Whether so many series are learned from as one population; counts never are."""
    return config.population and series >= MANY and config.likelihood != "negative_binomial"


def shares(config: ForecastingConfig, series: int, count: int) -> tuple[float, float]:
    """The shares of the validation and the test part.

    Each is a fifth; of many series the last horizon tests, and the one or two before it validate:
    there are enough windows in them, and what was last is most worth learning.

    Args:
        config: The configuration.
        series: Number of series.
        count: Steps of the one that is divided.
    """
    validation = test = SHARE
    if is_population(config, series) and count > 2 * config.horizon:
        test = config.horizon / count
        validation = 2 * test if count >= 8 * config.horizon else test
    validation = validation if config.validation_share is None else config.validation_share
    return validation, test if config.test_share is None else config.test_share


def _cycles(season: int) -> tuple[int, ...]:
    """The season, and the week where that is a day."""
    return {1: (), 24: (24, 168), 48: (48, 336)}.get(season, (season,))


def _segment(season: int, lookback: int, horizon: int) -> int:
    """Two seasons, one where look-back or horizon are short, or a quarter of the look-back."""
    if season == 1 or season > lookback:
        return max(1, lookback // 4)
    return 2 * season if lookback >= 8 * season and horizon >= 2 * season else season


def _intermittent(training: Sequence[np.ndarray], targets: int) -> bool:
    values = [part[:, :targets] for part in training]
    zeros = sum(np.count_nonzero(one == 0) for one in values)
    return zeros > sum(np.count_nonzero(np.isfinite(one)) for one in values) / 2


def _all_positive(training: Sequence[np.ndarray], targets: int) -> bool:
    return all(np.nanmin(part[:, :targets], initial=np.inf) > 0 for part in training)
