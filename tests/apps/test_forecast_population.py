"""Many series as one population: what is chosen, how they are scaled, what short ones lack."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from rnnapps import Forecaster
from rnnapps.apps.forecasting import data, division, later, pipeline, training
from rnnapps.apps.forecasting.defaults import MANY, choose, shares
from rnnapps.apps.forecasting.ensemble import Ensemble
from rnnapps.apps.forecasting.model import build_network, inputs_of, network_config
from rnnapps.apps.forecasting.networks import fill_missing
from rnnapps.apps.forecasting.scaling import Scaler
from rnnapps.apps.forecasting.seasons import find_season
from rnnapps.data import Columns, Windows, WindowShape, read_series
from rnnapps.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
TINY = {"units": 4, "horizon": 6, "series_column": "s", "batch_size": 32}


def series(name, steps, level):
    hours = np.arange(steps)
    noise = np.random.default_rng(steps).normal(size=steps)
    values = level * np.exp(0.3 * np.sin(2 * np.pi * hours / 24) + 0.05 * noise)
    times = pd.date_range("2024-01-01", periods=steps, freq="h")
    return pd.DataFrame({"time": times, "y": values, "s": name})


TABLE = pd.concat([series(f"s{i}", (60, 90, 150)[i % 3], 10.0 ** (i % 5)) for i in range(12)])


@pytest.fixture(scope="module")
def forecaster():
    """A forecaster of twelve series whose network has its first weights, and its parts."""
    app = Forecaster(**TINY)
    parts = division.divide(data.load_series(app.config, TABLE), app.config)
    scaler = Scaler(parts.task, parts.task.log, name="scaler")
    scaler.adapt(parts.training)
    network = build_network(app.config, parts.task).get_layer("network")
    app.model = pipeline.assemble(scaler, network, app.config)
    training.fit_beside(app.model, parts, app.config, tuple(inputs_of(app.config, parts.task)))
    return app, parts


def test_many_series_are_chosen_for_together(forecaster):
    app, parts = forecaster
    task = parts.task
    assert (task.lookback, task.least, task.segment, task.season) == (36, 6, 6, 24)
    assert task.cycles == (24, 168)
    assert task.log
    assert parts.ends[:2] == [(42, 54, 60), (72, 84, 90)]  # a horizon tests, two validate
    assert "12 series are learned as one population, as logarithms" in parts.notes[-1]
    few = division.divide(data.load_series(app.config, TABLE[TABLE["s"] < "s2"]), app.config)
    assert not (few.task.population or few.task.log or few.task.padded)


@pytest.mark.parametrize(
    ("settings", "count", "shift", "population", "log"),
    [
        ({}, MANY, 0, True, True),
        ({}, MANY - 1, 0, False, False),
        ({}, MANY, 5, True, False),  # not all positive
        ({"population": False}, MANY, 0, False, False),
        ({"log": True}, 2, 0, False, True),
        ({"model": "deepar", "distribution": "negative_binomial"}, MANY, 0, False, False),
    ],
)
def test_what_is_chosen_by_the_kind_of_data(settings, count, shift, population, log):
    training = [np.arange(1.0, 200)[:, None] - shift] * count
    chosen = choose(Forecaster(horizon=8, **settings).config, "D", training, 1)
    assert (chosen.population, chosen.log) == (population, log)
    assert chosen.season == 7
    if population:
        assert (chosen.lookback, chosen.least, chosen.segment) == (98, 14, 7)  # of whole weeks


def hourly(count, seed=0):
    """A day's and a week's cycle, a trend and a random walk."""
    steps, rng = np.arange(count), np.random.default_rng(seed)
    day, week = rng.normal(size=24), rng.normal(size=168)
    walk = 0.3 * rng.normal(size=count).cumsum()
    return 50 + 3 * day[steps % 24] + week[steps % 168] + 0.1 * steps + walk


def test_the_season_of_numbered_steps_is_found_in_the_values():
    found = [hourly(700 + 260 * (seed % 2), seed) for seed in range(6)]
    assert find_season(found) == 24
    found[0][100:200] = np.nan
    found[1][:] = 7
    assert find_season(found) == 24
    assert find_season([10 + np.sin(2 * np.pi * np.arange(40) / 12)]) == 12  # three of them
    assert find_season([10 + np.sin(2 * np.pi * np.arange(30) / 12)]) == 1
    assert find_season([RNG.normal(size=900).cumsum() for _ in range(20)]) == 1
    assert find_season([RNG.normal(size=900) for _ in range(20)]) == 1
    assert find_season([np.arange(5.0)]) == find_season([np.full(900, np.nan)]) == 1


def test_many_numbered_series_see_three_weeks_of_hours():
    training = [hourly(600 + 260 * (seed % 3 > 0), seed)[:, None] for seed in range(MANY)]
    chosen = choose(Forecaster(horizon=48).config, "1", training, 1)
    assert (chosen.season, chosen.cycles) == (24, (24, 168))
    assert (chosen.lookback, chosen.least, chosen.segment) == (504, 300, 24)
    rows = [pd.DataFrame({"step": range(700), "y": hourly(700, i), "s": f"s{i}"}) for i in range(2)]
    config = Forecaster(**TINY).config
    parts = division.divide(data.load_series(config, pd.concat(rows)), config)
    assert parts.task.season == 24
    assert any("repeat after 24 steps" in note for note in parts.notes)
    none = choose(Forecaster(horizon=48, season=1).config, "1", training, 1)
    assert (none.cycles, none.lookback, none.least, none.segment) == ((), 384, 48, 48)


@pytest.mark.parametrize(
    ("changed", "linear"),
    [
        ({}, True),
        ({"cycles": (7,)}, False),
        ({"cycles": ()}, False),
        ({"population": False}, False),
    ],
)
def test_many_series_of_hours_have_a_linear_map_beside_the_network(forecaster, changed, linear):
    app, parts = forecaster
    network = build_network(app.config, dataclasses.replace(parts.task, **changed))
    names = [weight.path for weight in network.weights]
    assert any("linear" in name for name in names) == linear


def test_of_short_series_most_is_learned_from():
    config = Forecaster(horizon=6).config
    for steps, expected in ((60, (12, 6)), (40, (6, 6)), (12, (2.4, 2.4))):
        found = np.array(shares(config, MANY, steps)) * steps
        np.testing.assert_allclose(found, expected)
    config = Forecaster(horizon=6, test_share=0.5).config
    np.testing.assert_allclose(shares(config, MANY, 60), (0.2, 0.5))
    assert shares(config, MANY - 1, 60) == (0.2, 0.5)


def test_a_population_is_scaled_by_its_moves_over_a_horizon(forecaster):
    app, parts = forecaster
    scaler = app.model.scaler
    for row, part in enumerate(parts.training, 1):
        logs = np.log1p(part[:, 0])
        expected = np.abs(logs[6:] - logs[:-6]).mean()
        assert scaler.scale.numpy()[row, 0] == pytest.approx(expected)
        assert scaler.center.numpy()[row, 0] == pytest.approx(logs.mean())
    for one, scaled in zip(parts.values, scaler.scaled(parts.values), strict=True):
        row = 1 + next(i for i, other in enumerate(parts.values) if other is one)
        history = tf.constant(one[None])
        found = scaler(history, scaler.measure(history, tf.constant([row])))
        np.testing.assert_allclose(scaled, found[0], rtol=1e-5)


def test_a_series_that_was_never_seen_is_scaled_by_its_look_back(forecaster):
    app, _ = forecaster
    new = series("new", 40, 3e5)
    larger = app.predict(new)["forecast"].to_numpy()
    smaller = app.predict(new.assign(y=new["y"] / 1000))["forecast"].to_numpy()
    np.testing.assert_allclose(larger / smaller, 1000, rtol=0.02)  # log(1 + x) is no logarithm
    assert 1e5 < larger.mean() < 1e6


def test_a_history_may_begin_within_the_look_back(forecaster):
    app, parts = forecaster
    short = app.predict(series("s0", 8, 1.0))
    assert np.isfinite(short["forecast"]).all()
    first = series("s0", 8, 1.0)["y"].iloc[0]
    before = series("s0", 60, 1.0).iloc[:28].assign(y=first)
    rest = series("s0", 8, 1.0).assign(time=pd.date_range("2024-01-02 04:00", periods=8, freq="h"))
    app.model.combine.weights_of.assign(np.eye(5)[:4, :4][[1] * 6])  # the ridge sees no gaps
    filled, own = (app.predict(one) for one in (pd.concat([before, rest]), rest))
    np.testing.assert_allclose(filled["forecast"], own["forecast"], rtol=1e-5)
    with pytest.raises(DataError, match=r"at least 6 steps, the look-back, .* 4, 2 too few"):
        app.predict(series("s0", 4, 1.0))
    found = app._evaluate(parts, "test")
    assert set(found["by_series"]) == set(TABLE["s"])
    assert found["baselines"]["Naive2"]["owa"] == pytest.approx(1)


def test_windows_hold_nothing_of_the_series_before_theirs():
    values = [np.full((9, 1), 1.0, np.float32), np.arange(10, 19, dtype=np.float32)[:, None]]
    shape = WindowShape(5, 2, targets=1, least=2)
    windows = Windows(values, [(2, 8), (2, 8)], shape, batch_size=4, most=2)
    (history,) = [x["history"].numpy() for x, _, _ in windows.one_pass().skip(1).take(1)]
    nan = np.nan
    expected = [[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [nan, nan, nan, 10, 11], [nan, nan, 10, 11, 12]]
    np.testing.assert_array_equal(history[..., 0], expected)
    assert len(windows) == 2  # of the three batches that hold all
    with pytest.raises(ValueError, match="Expected origins with 2 steps before"):
        Windows(values, [(1, 8), (2, 8)], shape)


def test_what_lacks_before_a_series_is_its_first_value():
    values = RNG.normal(size=(3, 20, 2)).astype(np.float32)
    values[RNG.random(values.shape) < 0.6] = np.nan
    values[0, :9], values[1, :, 0] = np.nan, np.nan
    for row, filled in zip(values, fill_missing(tf.constant(values), back=True)[0], strict=True):
        np.testing.assert_array_equal(filled, pd.DataFrame(row).ffill().bfill().fillna(0))


def test_what_is_said_of_whole_series_is_seen_at_every_step():
    kinds = {f"s{i}": ("north", "south")[i % 2] for i in range(12)}
    frame = TABLE.assign(region=TABLE["s"].map(kinds), size=TABLE["s"].str[1:].astype(float))
    frame = frame[frame["time"] != frame["time"].iloc[20]]  # a step that is lacking
    frame.loc[frame["time"] == frame["time"].iloc[3], "size"] = np.nan
    app = Forecaster(**TINY, target="y", static_columns=("region", "size"))
    parts = division.divide(data.load_series(app.config, frame), app.config)
    assert parts.task.columns.names == ("y", "region=north", "region=south", "size")
    for i, one in enumerate(parts.values):
        np.testing.assert_array_equal(one[:, 1:], np.tile([1 - i % 2, i % 2, i], (len(one), 1)))
    scaler = Scaler(parts.task, parts.task.log)
    scaler.adapt(parts.training)
    scaled = np.array([one[0, 3] for one in scaler.scaled(parts.values)])
    assert (np.diff(scaled) > 0.1).all()  # by one measure for all series, or they were all 0
    frame.loc[(frame["s"] == "s3") & (frame["time"] > "2024-01-02"), "region"] = "north"
    with pytest.raises(DataError, match=r"'region' of the table, series s3 to say the same in all"):
        data.load_series(app.config, frame)
    with pytest.raises(ConfigError, match="series_column= with static_columns="):
        Forecaster(static_columns=("region",))


def test_the_network_may_know_which_series_it_sees():
    app = Forecaster(**TINY, target="y", static_columns=("s",))
    known = data.load_series(app.config, TABLE)
    names = np.array([f"s={one.name}" for one in known.series])
    for one, name in zip(known.series, names, strict=True):
        np.testing.assert_array_equal(one.values[0, 1:], np.sort(names) == name)
    new = read_series(TABLE.assign(s=TABLE["s"] + "!"), known.columns)
    assert not np.array([one.values[0, 1:] for one in new.series]).any()
    assert "of column 's', which training did not see" in new.notes[0]


@pytest.mark.parametrize(("share", "loss"), [(0.45, "mae"), (0.55, "mse")])
def test_where_most_values_are_zero_the_point_is_a_mean(share, loss):
    table = TABLE.assign(y=(np.arange(len(TABLE)) % 20 >= 20 * share).astype(float))
    app = Forecaster(**TINY, target="y")
    parts = division.divide(data.load_series(app.config, table), app.config)
    assert network_config(app.config, parts.task).loss == loss
    assert sum("--loss mae" in note for note in parts.notes) == (loss == "mse")
    asked = Forecaster(**TINY, target="y", loss="huber").config
    chosen = division.divide(data.load_series(asked, table), asked)
    assert network_config(asked, chosen.task).loss == "huber"


def test_an_ensemble_answers_with_the_mean_of_its_networks(forecaster, tmp_path):
    app, parts = forecaster
    networks = [build_network(app.config, parts.task).get_layer("network") for _ in range(3)]
    windows = training.scaled_windows(parts, "test", app.model.scaler, app.config, ["history"])
    inputs, _, _ = next(iter(windows.one_pass()))
    expected = np.mean([one.answer(inputs) for one in networks], axis=0)
    several = Ensemble(networks, name="network")
    np.testing.assert_allclose(several.answer(inputs), expected, atol=1e-5)
    model = pipeline.assemble(app.model.scaler, several, app.config)
    history = {"history": parts.values[0][None, -36:], "series": tf.constant(["s0"])}
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    for name, answer in model(history).items():
        np.testing.assert_allclose(again(history)[name], answer, rtol=1e-5)
    spec = pipeline.serving_spec(again, app.config)
    assert len(spec.compiled_methods) == 3


def test_what_rounding_leaves_of_a_constant_is_no_spread():
    still = TABLE.assign(y=TABLE["y"].where(TABLE["s"] != "s2", 0.1), steady=0.1)
    still.loc[still["time"] >= "2024-01-04 18:00", "steady"] = 0.2  # behind all training parts
    app = Forecaster(**TINY, target="y", past_covariates="steady")
    parts = division.divide(data.load_series(app.config, still[still["s"] < "s3"]), app.config)
    scaler = Scaler(parts.task, parts.task.log)
    scaler.adapt(parts.training)
    scales = scaler.scale.numpy()[1:, 0]
    assert scales[2] == pytest.approx(np.delete(scales, 2).mean())
    for scaled in scaler.scaled(parts.values):
        np.testing.assert_array_equal(scaled[:, 1], 0)


def test_a_test_part_of_ones_own_leaves_a_horizon_to_validate_many_series():
    table = pd.concat([series(f"s{i}", 60, 10.0) for i in range(12)])
    app = Forecaster(**{**TINY, "horizon": 8}, test_start="2024-01-03 02:00")
    assert set(app._load(table).ends) == {(42, 50, 60)}


def test_what_is_chosen_knows_nothing_of_the_test_part():
    counts = pd.DataFrame({"time": pd.date_range("2024-01-01", periods=100), "y": np.arange(100.0)})
    counts.loc[99, "y"] = -0.5
    parts = Forecaster(horizon=6)._load(counts)
    assert parts.task.lower == (0.0,)
    assert "All values of y before the test part are whole numbers" in parts.notes[-1]


def test_what_is_wrong_with_one_of_many_series_names_it():
    below = TABLE.assign(y=TABLE["y"].where(TABLE["time"] < "2024-01-07", -5.0))
    with pytest.raises(DataError, match=r"'y' of series s2 with logarithms, which population="):
        Forecaster(**TINY)._load(below)
    with pytest.raises(DataError, match="Received: 2 of series tiny"):
        Forecaster(**TINY)._load(pd.concat([TABLE, series("tiny", 2, 1.0)]))
    with pytest.raises(ConfigError, match="within the data of series s0, 2024-01-01 00:00:00 to"):
        Forecaster(**TINY, test_start="2024-01-05")._load(TABLE)


def test_what_a_forecast_of_a_series_never_seen_owes_adds_up_to_it(forecaster):
    app, _ = forecaster
    new = series("new", 40, 1e-4)
    owed = app.explain(new)["contribution"].sum()
    assert owed == pytest.approx(app.predict(new)["forecast"].mean(), rel=0.01)


def test_the_calendar_goes_on_where_steps_are_missing_before_new_rows():
    table = series("", 100, 10.0)[["time", "y"]]
    app = Forecaster(horizon=6, lookback=12, calendar=["hour", "weekday"])
    parts = app._load(table.iloc[:60])
    new = read_series(table.iloc[70:], parts.task.columns)
    found = later.appended(parts, new, app.config, "the new table")
    (whole,) = app._load(table).values
    np.testing.assert_array_equal(found.values[0][:, 1:], whole[:, 1:])
    assert np.isnan(found.values[0][60:70, 0]).all()


def test_a_step_is_told_from_others_by_series_time_and_values():
    table = series("a", 50, 10.0)
    columns = Columns(targets=("y",), series="s")

    def hashes(frame):
        (one,) = read_series(frame, columns).series
        return later.hashes_of(one, 1)

    own = hashes(table)
    assert len(np.unique(own)) == 50
    # However the times came, a run knows its steps again, by hashes that it keeps in a file.
    finer = table.assign(time=pd.to_datetime(table["time"]).astype("datetime64[ns]"))
    np.testing.assert_array_equal(hashes(finer), own)
    changed = hashes(table.assign(y=table["y"] + (table.index == 7))) != own
    assert np.flatnonzero(changed).tolist() == [7]
    assert not np.isin(hashes(table.assign(s="b")), own).any()
