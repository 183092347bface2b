"""Alarms, explanations, and tables through a server."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from eager import eagerly

from rnnapps import Forecaster, cli
from rnnapps.apps.forecasting import serving
from rnnapps.apps.forecasting.client import forecast_table
from rnnapps.apps.forecasting.data import Task
from rnnapps.apps.forecasting.detect import (
    Steps,
    detect,
    detect_signature,
    detector_for_export,
    fit_detector,
    steps_of,
    usual_width,
)
from rnnapps.apps.forecasting.printing import print_forecasts
from rnnapps.apps.forecasting.scaling import Scaler
from rnnapps.data import Columns, read_series
from rnnapps.errors import ConfigError, DataError
from rnnapps.probabilistic import DEPTH, fit_alarms, fit_cointegration, raised
from rnnapps.serving import Client, Server

HOURS, RNG = np.arange(500), np.random.default_rng(0)
TABLE = pd.DataFrame({
    "time": pd.date_range("2024-01-20", periods=500, freq="h"),
    "load": 50 + 10 * np.sin(2 * np.pi * HOURS / 24) + RNG.normal(size=500),
    "price": 5 + np.cos(2 * np.pi * HOURS / 24) + 0.1 * RNG.normal(size=500),
    "wind": 2 + np.sin(HOURS / 9),
    "heat": np.cos(HOURS / 5),
})  # fmt: skip
TABLE.loc[[40, 41], "load"] = np.nan
SETTINGS = {
    "units": 6, "epochs": 1, "lookback": 24, "horizon": 6, "segment": 12,
    "target": ("load", "price"), "past_covariates": ("wind",), "future_covariates": ("heat",),
    "calendar": ("hour", "yearday"),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run on a person's own file, that file, and one with a spike and a shift."""
    folder = tmp_path_factory.mktemp("detect")
    TABLE.to_csv(folder / "table.csv", index=False)
    faulty = TABLE.copy()
    faulty.loc[440, "load"] += 12
    faulty.loc[470:, "price"] += 1
    faulty.to_csv(folder / "faulty.csv", index=False)
    with eagerly():
        Forecaster(**SETTINGS, data=str(folder / "table.csv")).fit(run_dir=folder / "run")
    return folder


@pytest.fixture(scope="module")
def app(folder):
    return Forecaster.load(folder / "run")


@pytest.fixture(scope="module")
def found(app, folder):
    return app.detect(folder / "faulty.csv")


def test_a_spike_and_a_shift_are_found_in_a_table(found):
    assert found.columns.tolist() == [
        "time", "target", "observed", "forecast", "score", "alarm",
    ]  # fmt: skip
    load, price = (part.set_index("time") for _, part in found.groupby("target"))
    assert len(load) == len(price) == 500 - 24  # up to the last step
    assert load["alarm"][TABLE["time"][440:442]].any()
    assert price["alarm"][TABLE["time"][470:474]].any()
    assert price["observed"].iloc[-1] == pytest.approx(TABLE["price"].iloc[-1] + 1)
    assert np.isnan(load["score"][TABLE["time"][40]])
    assert not load["alarm"][TABLE["time"][40]]
    assert load["alarm"].mean() < 0.05


def test_more_alarms_are_the_less_surprising_ones(app, found, folder):
    more = app.detect(folder / "faulty.csv", alarms_per_1000=10)
    np.testing.assert_allclose(more["score"], found["score"], rtol=1e-4)
    assert more["alarm"].sum() > found["alarm"].sum()
    assert (more["score"][more["alarm"]] >= 2).all()


def test_the_test_part_is_looked_at_where_no_table_is_given(app):
    found = app.detect()
    assert len(found) == 2 * 100
    assert found["time"].min() == TABLE["time"][400]


@pytest.fixture(scope="module")
def signatures(app):
    return app.serving_spec().signatures


def test_the_served_signature_answers_as_detect_does(app, found, folder, signatures):
    values = read_series(folder / "faulty.csv", app.task.columns).series[0].values
    one = signatures["detect"]
    answer = tf.function(one.function, input_signature=one.inputs, autograph=False)
    for step in (440, 471, 494):
        history, observed = values[step - 24 - DEPTH : step], values[step, :2]
        future = values[step : step + 6, -app.task.future :]
        answered = answer(*(tf.constant(x[None], tf.float32) for x in (history, future, observed)))
        rows = found[found["time"] == TABLE["time"][step]]
        for name in ("forecast", "score"):
            np.testing.assert_allclose(answered[name][0], rows[name], rtol=1e-3, atol=1e-3)
        np.testing.assert_array_equal(answered["alarm"][0], rows["alarm"])
    short = answer(*(tf.constant(x[None], tf.float32) for x in (history[-24:], future, observed)))
    np.testing.assert_allclose(short["forecast"], answered["forecast"], rtol=1e-4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least 24 steps"):
        answer(*(tf.constant(x[None], tf.float32) for x in (history[-23:], future, observed)))


@pytest.fixture(scope="module")
def bound(app):
    """Alarms, and a price that is a tenth of the load; the table itself is too short for it."""
    rng = np.random.default_rng(1)
    load = 50 + np.cumsum(rng.normal(size=1500))
    values = np.column_stack([load, load / 10 + 0.1 * rng.normal(size=1500)])
    detector = fit_detector(app.graph, app._set_aside())
    return dataclasses.replace(
        detector, cointegration=fit_cointegration(values, np.array([5.0, 0.5]))
    )


def test_cointegrated_targets_are_served_as_detect_looks_at_them(app, folder, found, bound):
    data = read_series(folder / "faulty.csv", app.task.columns)
    values, last = data.series[0].values, len(data.series[0])
    rows = detect(app.graph, bound, data, [(24, last)], 1.0)
    assert (rows["score"] > found["score"] + 0.1).any()  # where a target leaves the other
    assert np.isnan(rows["score"]).sum() == np.isnan(found["score"]).sum()
    one = detect_signature(app.model, bound, app.serving_spec().signatures["serving_default"])
    answer = tf.function(one.function, input_signature=one.inputs, autograph=False)
    for step in (471, 494):
        given = (values[step - 24 - DEPTH : step], values[step : step + 6, -app.task.future :])
        answered = answer(*(tf.constant(x[None], tf.float32) for x in (*given, values[step, :2])))
        expected = rows[rows["time"] == TABLE["time"][step]]
        np.testing.assert_allclose(answered["score"][0], expected["score"], rtol=1e-3, atol=1e-3)
        np.testing.assert_array_equal(answered["alarm"][0], expected["alarm"])


def test_both_kinds_of_alarms_together_raise_no_more_than_they_promise(app, bound):
    """On fresh noise like the one that calibrated; as its tail is light, they raise fewer."""
    rng = np.random.default_rng(2)
    load = np.cumsum(rng.normal(size=(24_000, 1)), axis=0)
    values = np.concatenate([load, load / 10 + 0.1 * rng.normal(size=load.shape)], axis=1)
    forecast = np.concatenate([values[:1], values[:-1]])
    errors, ones = values - forecast, np.ones_like(values)
    alarms = fit_alarms([errors[:4000]], [ones[:4000]])
    cointegration = fit_cointegration(values[:4000], alarms.scale)
    assert cointegration.members.all()
    detector = dataclasses.replace(
        bound, alarms=alarms, cointegration=cointegration, usual=np.ones(2)
    )
    score = detector.surprise(*(x[None, 4000:] for x in (values, forecast, ones)))
    for per_1000 in (10, 3, 1):
        count = raised(score, 3 - np.log10(per_1000)).numpy().sum(axis=(0, 1)) / 20
        assert (count < 2 * per_1000).all() and count.any()


def test_time_stamps_are_answered_as_their_features_are(app, signatures):
    values = read_series(TABLE, app.task.columns).series[0].values.astype(np.float32)
    history, ahead = values[None, 100:124], values[None, 124:130]
    seconds = TABLE["time"][100:130].astype("datetime64[s]").astype(np.int64)
    given = {"history": history[..., :4], "future_covariates": ahead[..., 3:4]}
    given["times"] = seconds.to_numpy()[None]
    one = signatures["from_times"]
    answered = one.function(*(tf.constant(given[spec.name]) for spec in one.inputs))
    expected = app.model({"history": history, "future_covariates": ahead[..., 3:]})
    for name in ("forecast", "quantiles"):
        np.testing.assert_allclose(answered[name], expected[name], rtol=1e-5)


def test_an_export_describes_itself(signatures):
    one = signatures["describe"]
    text = one.function(tf.constant(["task.json", "none"]))["text"].numpy()
    assert json.loads(text[0])["task"]["lookback"] == 24
    assert text[1] == b""


def test_a_series_of_large_numbers_hides_nothing_in_one_of_small_ones():
    small, none = RNG.uniform(1, 2, size=(9, 2)), np.zeros((5, 2))
    widths = [1e6 * RNG.uniform(1, 2, size=(9, 2)), small, none, np.empty((0, 2))]
    usual = usual_width([Steps(0, one, one, one) for one in widths])
    np.testing.assert_allclose(usual, np.exp(np.log(small).mean(0)))
    np.testing.assert_array_equal(usual_width([Steps(0, none, none, none)]), 1)
    parts = [1e6 + RNG.normal(size=(50, 1)), RNG.normal(size=(50, 1)), np.zeros((50, 1))]
    task = Task(Columns(targets=("y",), series="s"), ("a", "b", "c"), 9, 2, 1, 1, False)
    scaler = Scaler(task)
    scaler.adapt(parts)
    history = np.stack([part[-9:] for part in parts])
    spread = scaler.spread(history, tf.constant([1, 2, 3]), np.zeros((3, 2, 1)))
    own = [part.std() for part in parts[:2]]
    np.testing.assert_allclose(spread[:, 0, 0], [*own, np.mean(own)])


def test_rows_that_hold_what_is_known_ahead_are_not_looked_at():
    ahead = TABLE.assign(load=TABLE["load"].where(HOURS < 480), price=np.nan)
    columns = Columns(targets=("load", "price"), past=("wind",), future=("heat",))
    task = Task(columns, ("",), 24, 6, 24, 12, False)
    assert steps_of(read_series(ahead, columns, check_targets=False), task) == [(24, 480)]


def test_forecasts_of_tiny_numbers_are_printed_as_json(capsys):
    print_forecasts(pd.DataFrame({"forecast": [1.25e-12]}), None, as_json=True)
    assert json.loads(capsys.readouterr().out)["forecast"] == pytest.approx(1.25e-12, abs=0)


def test_alarms_that_nothing_calibrates_are_not_exported(app, capsys):
    moved = Forecaster(app.config.model_copy(update={"data": "gone.csv"}))
    moved.model, moved.info = app.model, app.info
    assert detector_for_export(moved.graph, moved._set_aside) is None
    assert "no signature detect" in capsys.readouterr().err


def test_contributions_add_up_to_the_forecast(app):
    table = TABLE.copy()
    table.loc[494:, ["load", "price", "wind"]] = np.nan
    found = app.explain(table)
    assert found.columns.tolist() == ["target", "column", "lag", "contribution"]
    sums = found.groupby("target")["contribution"].sum()
    forecast = app.predict(table).groupby("target")["forecast"].mean()
    for target in ("load", "price"):
        assert sums[target] == pytest.approx(forecast[target], rel=0.01)
    lags = found[found["column"] == "load"]["lag"]
    assert (lags.min(), lags.max()) == (1, 24)
    lags = found[(found["column"] == "heat") & (found["lag"] < 1)]["lag"]
    assert (lags.min(), lags.max()) == (-5, 0)


def test_what_a_linear_forecast_owes_is_its_weights_times_its_inputs(app):
    """With all weight on the ridge, each lag's contribution follows from its map."""
    combine = app.model.combine
    before = combine.weights_of.numpy()
    shares = np.zeros_like(before)
    shares[:, 1] = 1
    combine.weights_of.assign(shares)
    try:
        table = TABLE[:300].copy()
        table.loc[294:, ["load", "price", "wind"]] = np.nan
        found = app.explain(table)
    finally:
        combine.weights_of.assign(before)
    own = found[(found["target"] == "load") & (found["column"] == "load")]
    ridge = combine.ridge.numpy().mean(1)  # (lookback,), of the mean over the horizon
    ridge[-1] += 1 - ridge.sum()  # the last value is taken off and put on again
    values = TABLE["load"][270:294].to_numpy()
    expected = ridge * (values - values.mean())
    received = own.sort_values("lag", ascending=False)["contribution"]
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-3)
    others = found[(found["target"] == "load") & ~found["column"].isin(["load", "(start)"])]
    np.testing.assert_allclose(others["contribution"], 0, atol=1e-6)


def test_forecasts_that_are_drawn_are_not_explained(app, monkeypatch):
    drawn = dataclasses.replace(app.network.config, paths=True)
    monkeypatch.setattr(app.network, "config", drawn)
    table = TABLE.copy()
    table.loc[494:, ["load", "price"]] = np.nan
    with pytest.raises(ConfigError, match="deepar"):
        app.explain(table)


def test_the_commands_print_write_and_draw(folder, capsys):
    run, file = str(folder / "run"), str(folder / "faulty.csv")
    paths = ["--output", str(folder / "alarms.csv"), "--figure", str(folder / "alarms.png")]
    assert cli.main(["detect", run, file, *paths]) == 0
    assert pd.read_csv(folder / "alarms.csv")["alarm"].any()
    assert (folder / "alarms.png").read_bytes()[:4] == b"\x89PNG"
    assert capsys.readouterr().out == ""
    table = TABLE.copy()
    table.loc[494:, ["load", "price", "wind"]] = np.nan
    table.to_csv(folder / "ahead.csv", index=False)
    figure = str(folder / "owes.png")
    words = ["predict", run, str(folder / "ahead.csv"), "--explain", "--json", "--figure", figure]
    assert cli.main(words) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0]["column"] == "(start)"
    assert (folder / "owes.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--alarms-per-1000", "0"], "Expected --alarms-per-1000 to be over 0"),
        (["no_price.csv"], "has no column 'price' (--target)"),
        (["short.csv"], "Expected over 24 steps, the look-back"),
        (["none.csv"], "No such file"),
    ],
)
def test_mistakes_end_in_a_sentence(words, said, folder, capsys):
    TABLE.drop(columns="price").to_csv(folder / "no_price.csv", index=False)
    TABLE[:20].to_csv(folder / "short.csv", index=False)
    words = [str(folder / word) if word.endswith(".csv") else word for word in words]
    assert cli.main(["detect", str(folder / "run"), *words]) == 2
    captured = capsys.readouterr()
    assert said in captured.err.splitlines()[-1]
    assert captured.out == ""


def test_another_applications_run_has_no_alarms(sample_run, capsys):
    assert cli.main(["detect", str(sample_run)]) == 2
    assert "one of sentiment" in capsys.readouterr().err


def test_a_history_shorter_than_the_lookback_is_refused(app):
    with pytest.raises(DataError, match="look-back"):
        app.detect(TABLE[:24])


@pytest.mark.system
def test_a_table_is_forecast_through_a_server(tmp_path, capsys):
    """Holidays, a zone whose clocks change, and several series, unknown to the client."""
    pytest.importorskip("holidays")
    zone = pd.date_range("2024-03-20", periods=400, freq="h", tz="Europe/Berlin")
    frames = []
    for number, name in enumerate(("north", "south")):
        frame = TABLE[:400].assign(time=zone, place=name)
        frames.append(frame.assign(load=frame["load"] * (1 + number)))
    frame = pd.concat(frames)
    settings = {**SETTINGS, "series_column": "place", "holidays": ("DE",)}
    with eagerly():
        app = Forecaster(**settings).fit(frame)
    app.export(tmp_path / "saved" / "forecasting")
    rows = frame["time"] >= zone[394]
    frame.loc[rows, ["load", "price", "wind"]] = np.nan
    expected = app.predict(frame)
    with Server(tmp_path / "saved") as server:
        url = f"http://127.0.0.1:{server.rest_port}"
        with Client(url, "forecasting") as client:
            assert json.loads(client.describe("task.json"))["holidays_until"].endswith("-12-31")
            answered = forecast_table(client, frame)
        frame.to_csv(tmp_path / "table.csv", index=False)
        capsys.readouterr()
        file = str(tmp_path / "table.csv")
        assert cli.main(["predict", "--server", url, "forecasting", file, "--json"]) == 0
        assert len(capsys.readouterr().out.splitlines()) == len(expected)
    pd.testing.assert_frame_equal(answered, expected, check_exact=False, rtol=1e-4)


def test_the_table_of_holidays_is_of_the_export(app):
    pytest.importorskip("holidays")
    columns = dataclasses.replace(app.task.columns, holidays=("DE",))
    task = dataclasses.replace(app.task, columns=columns)
    served = serving.times_signature(task, _wider(app))
    late = [*served.example[:-1], tf.fill(tf.shape(served.example[-1]), tf.int64.max // 10**9)]
    with pytest.raises(tf.errors.InvalidArgumentError, match="table of holidays"):
        served.function(*late)


def _wider(app):
    """The signature `serving_default` as if there were a column of holidays, too."""
    served = app.serving_spec().signatures["serving_default"]
    example = [tf.pad(x, [[0, 0], [0, 0], [0, 1]]) for x in served.example]
    return dataclasses.replace(served, example=example)
