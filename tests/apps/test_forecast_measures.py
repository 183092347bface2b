"""The M4 competition's measures, against its own numbers; skill; forecasts that say nothing."""

import gzip
import pickle

import numpy as np
import pandas as pd
import pytest

from rnnapps import Forecaster
from rnnapps.apps.forecasting.baseline import is_sample, training_measures
from rnnapps.apps.forecasting.metrics import (
    Scores,
    repeats_last,
    said_of_skill,
    series_apart,
    skill,
    without_scale,
)
from rnnapps.apps.forecasting.naive2 import (
    Naive2,
    is_seasonal,
    overall_weighted_average,
    seasonal_indices,
)
from rnnapps.data import make_load

RNG = np.random.default_rng(0)


def m4(path) -> list[np.ndarray]:
    """The series of one of the competition's files, each `(time, 1)`."""
    with gzip.open(path, "rt") as file:
        rows = [line.split(",")[1:] for line in list(file)[1:]]
    rows = [[cell.strip().strip('"') for cell in row] for row in rows]
    return [np.array([float(c) for c in row if c not in ("", "NA")])[:, None] for row in rows]


def test_naive2_has_the_competition_s_measures_on_its_weekly_series(test_data):
    known, ahead = (m4(test_data / "m4" / f"Weekly-{part}.csv.gz") for part in ("train", "test"))
    naive2 = Naive2(known, 1)
    scores = Scores((), np.ones((359, 1)), naive2.errors)
    last, series = np.stack([one[-1] for one in known]), np.arange(359)
    origin = np.array([len(one) for one in known])
    scores.update(np.stack(ahead), series, naive2.forecast(last, series, origin, 13))
    found = scores.summary(["value"])
    assert found["smape"] == pytest.approx(9.161, abs=5e-4)
    assert found["mase"] == pytest.approx(2.777, abs=5e-4)
    assert overall_weighted_average(found, found) == 1


def test_a_season_is_found_where_it_is_significant():
    steps = np.arange(96)
    assert is_seasonal(10 + np.sin(2 * np.pi * steps / 12) + RNG.normal(0, 0.3, 96), 12)
    assert not is_seasonal(10 + RNG.normal(size=96), 12)
    assert not is_seasonal(10 + np.sin(2 * np.pi * steps[:35] / 12), 12)  # under three seasons
    values = 10 + np.sin(2 * np.pi * steps / 12) + RNG.normal(0, 2, 96)
    mean = values.mean()
    acf = [
        sum((values[t] - mean) * (values[t - lag] - mean) for t in range(lag, 96))
        / sum((v - mean) ** 2 for v in values)
        for lag in range(1, 13)
    ]
    limit = 1.645 * np.sqrt((1 + 2 * sum(r**2 for r in acf[:11])) / 96)
    assert is_seasonal(values, 12) == (abs(acf[11]) > limit)


@pytest.mark.parametrize("season", [4, 7])
def test_seasonal_indices_and_their_phase(season):
    indices = RNG.uniform(0.5, 2, season)
    indices /= indices.mean()
    steps = np.arange(8 * season)
    values = 5 * indices[steps % season] * (1 + 1e-9 * steps)  # it has to move
    np.testing.assert_allclose(seasonal_indices(values, season), indices, rtol=1e-6)
    naive2 = Naive2([values[:, None], np.arange(1.0, 60.0)[:, None]], season)
    origin = np.array([5 * season + 2, 30])
    last = np.array([[3 * indices[(origin[0] - 1) % season]], [7.0]])
    found = naive2.forecast(last, np.array([0, 1]), origin, season + 1)
    expected = 3 * indices[(origin[0] + np.arange(season + 1)) % season]
    np.testing.assert_allclose(found[0, :, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(found[1, :, 0], 7 * np.ones(season + 1))


@pytest.mark.parametrize("values", [[1, 2, np.nan, 4], [1, 2, 0, 4], [3, 3, 3, 3], [1]])
def test_naive2_is_not_defined_of_every_series(values):
    with pytest.raises(ValueError, match=r"Expected (positive|series that move)"):
        Naive2([np.array(values, float)[:, None]], 1)


def scored(errors, series, steps=None):
    """Scores of forecasts of zero that are off by these errors, `(windows, horizon)`."""
    ones = np.ones((series.max() + 1, 1))
    scores = Scores((), ones, ones, steps)
    scores.update(np.zeros((*errors.shape, 1)), series, errors[..., None])
    return scores


@pytest.mark.parametrize("count", [1, 40])
def test_skill_is_the_share_of_the_error_that_is_saved(count):
    rng, series = np.random.default_rng(1), np.repeat(np.arange(count), 400 // count)
    errors = rng.normal(size=(400, 3))
    baselines = {"worse": scored(9 * errors, series), "best": scored(2 * errors, series)}
    found = skill(scored(errors, series), baselines, block=5)
    assert found["against"] == "best"
    assert found["skill"] == found["low"] == found["high"] == pytest.approx(0.5)
    squared = skill(scored(errors, series), baselines, block=5, measure="RMSSE")
    assert squared["skill"] == pytest.approx(0.75)
    assert "75.0% less squared error" in said_of_skill(squared)
    other = scored(rng.normal(size=(400, 3)), series)
    found = skill(scored(errors, series), {"as good": other}, block=5)
    assert found["low"] < 0 < found["high"]
    assert "the best baseline, as good" in said_of_skill(found)
    exact = {"exact": scored(np.full((400, 3), 1e-9), series)}
    said = said_of_skill(skill(scored(errors, series), exact, block=5))
    assert said == "The best baseline, exact, has almost no error: nothing can be gained."


def test_measures_of_many_series_take_no_more_room_for_more_windows():
    scores, series, ones = Scores((), *np.ones((2, 40, 1))), np.arange(40), np.ones((40, 3, 1))
    rooms = []
    for _ in range(9):
        scores.update(ones, series, 2 * ones)
        rooms.append(len(pickle.dumps(scores)))
    assert rooms == rooms[:1] * 9
    assert scores.by_unit(block=2)["MASE"].tolist() == [27.0] * 40


def test_the_scaled_error_of_squares_is_the_mean_over_series():
    series = np.array([0, 0, 1])
    errors = RNG.normal(size=(3, 4))
    found = scored(errors, series, np.array([[2.0], [3.0]])).summary(["a"])
    each = [np.sqrt((errors[:2] ** 2).mean()) / 2, np.sqrt((errors[2] ** 2).mean()) / 3]
    assert found["rmsse"] == pytest.approx(np.mean(each))


def test_what_has_no_scale_counts_for_no_scaled_error():
    errors, series, ones = RNG.normal(size=(3, 4)), np.array([0, 1, 1]), np.ones((2, 1))
    scale = np.array([[np.nan], [2.0]])  # the first series is constant in training
    scores = Scores((), ones, scale, scale)
    scores.update(np.zeros((3, 4, 1)), series, errors[..., None])
    found = scores.summary(["a"])
    assert found["mae"] == pytest.approx(np.abs(errors).mean())
    assert found["mase"] == pytest.approx(np.abs(errors[1:]).mean() / 2)
    assert found["rmsse"] == pytest.approx(np.sqrt((errors[1:] ** 2).mean()) / 2)
    apart = series_apart(["still", "moving"], scores, [])
    assert list(apart) == ["moving", "still"]
    assert apart["still"] == {"mae": pytest.approx(np.abs(errors[0]).mean())}
    assert without_scale(scale).startswith("MASE leaves out 1 of 2 series")
    alone = Scores((), ones[:1], scale[:1], scale[:1])
    alone.update(np.zeros((1, 4, 1)), series[:1], errors[:1, :, None])
    assert not {"mase", "rmsse"} & alone.summary(["a"]).keys()


def test_a_forecast_that_repeats_the_last_value_is_told():
    assert "the last value repeated" in repeats_last(0.01, 1.0)
    assert repeats_last(0.2, 1.0) is None
    assert repeats_last(0.0, 0.0) is None


def test_each_target_has_scales_of_its_own():
    steps = np.arange(200)
    frame = pd.DataFrame({
        "time": pd.date_range("2024-01-01", periods=200, freq="h"),
        "moving": RNG.normal(size=200).cumsum(),
        "sparse": np.where(steps % 2, np.nan, steps),  # no two steps in a row are known
        "still": 0.1,  # whose mean is not 0.1 to the last bit
    })  # fmt: skip
    app = Forecaster(target=[*frame.columns[1:]], horizon=4, lookback=8, season=1)
    center, spread, naive, step = (one[0] for one in training_measures(app._load(frame)))
    part = frame.iloc[:120, 1:]
    change = part["moving"].diff()
    np.testing.assert_allclose(center, part.mean())
    np.testing.assert_allclose(spread, [*part.std(ddof=0)[:2], 1])
    np.testing.assert_allclose(naive, [change.abs().mean(), np.nan, np.nan])
    np.testing.assert_allclose(step, [np.sqrt((change**2).mean()), spread[1], np.nan])


def test_the_noise_of_the_sample_bounds_forecasts_of_the_sample_alone():
    assert is_sample(Forecaster(max_examples=3000)._load())
    table = make_load(200, seed=1)[["time", "load"]]
    assert not is_sample(Forecaster(target=["load"], future_covariates=())._load(table))
