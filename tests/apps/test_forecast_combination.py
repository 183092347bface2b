"""Forecasts that are combined: weights against brute force, the ridge against scikit-learn's."""

import itertools

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from rnnapps import Forecaster
from rnnapps.apps.forecasting import baseline, pipeline, training
from rnnapps.apps.forecasting.combination import Combination, choose_weights, cost, weigh
from rnnapps.apps.forecasting.data import Task, load_series
from rnnapps.apps.forecasting.division import divide
from rnnapps.apps.forecasting.model import build_network, inputs_of
from rnnapps.apps.forecasting.scaling import Scaler
from rnnapps.data import Columns

RNG = np.random.default_rng(0)
TINY = {"units": 4, "epochs": 1, "lookback": 24, "horizon": 6, "segment": 6, "batch_size": 32}


def table(count=300):
    hours = np.arange(count)
    noise = np.random.default_rng(1).normal(size=count)
    load = 20 + 5 * np.sin(2 * np.pi * hours / 24) + noise
    return pd.DataFrame({"time": pd.date_range("2024-01-01", periods=count, freq="h"), "a": load})


@pytest.fixture(scope="module")
def forecaster():
    """A forecaster whose network has its first weights, beside what is fitted."""
    app = Forecaster(**TINY)
    parts = divide(load_series(app.config, table()), app.config)
    keras.utils.set_random_seed(1)
    scaler = Scaler(parts.task, name="scaler")
    scaler.adapt(parts.training)
    network = build_network(app.config, parts.task).get_layer("network")
    app.model = pipeline.assemble(scaler, network, app.config)
    training.fit_beside(app.model, parts, app.config, tuple(inputs_of(app.config, parts.task)))
    return app, parts


@pytest.mark.parametrize("loss", ["mae", "mse", "huber"])
def test_weights_are_as_good_as_any_of_a_grid(loss):
    truth = RNG.normal(size=(3000, 1))
    off = 0.4 * RNG.standard_t(4, size=(3000, 3)) + [0.3, -0.2, 0.5] + 0.3 * truth
    weights = choose_weights(off, loss)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    grid = [
        (a, b, 1 - a - b)
        for a, b in itertools.product(np.linspace(0, 1, 21), repeat=2)
        if a + b <= 1
    ]
    assert cost(off @ weights, loss) <= min(cost(off @ one, loss) for one in np.array(grid)) * 1.001


def test_a_member_that_knows_the_truth_gets_all_the_weight():
    off = RNG.normal(size=(500, 4))
    off[:, 2] = 0
    np.testing.assert_array_equal(choose_weights(off, "mae"), [0, 0, 1, 0])
    np.testing.assert_array_equal(choose_weights(off[:0], "mae"), [1, 0, 0, 0])  # nothing is known


def test_steps_have_their_own_weights_where_that_holds_elsewhere_too():
    noise = RNG.normal(size=(400, 8, 1, 2)) * 0.1
    truth = RNG.normal(size=(400, 8, 1))
    members = truth[..., None] + noise
    members[:, :4, :, 1] += RNG.normal(size=(400, 4, 1)) * 3  # which is bad at first
    members[:, 4:, :, 0] += RNG.normal(size=(400, 4, 1)) * 3
    weights = weigh(truth, members, "mae")
    assert (weights[:4, 0] > 0.95).all()
    assert (weights[4:, 1] > 0.95).all()
    alike = truth[..., None] + noise
    assert np.ptp(weigh(truth, alike, "mse"), axis=0).max() < 0.2
    truth[::3] = np.nan
    assert np.isfinite(weigh(truth, members, "mae")).all()


def test_steps_of_which_half_knows_nothing_choose_no_weights_of_their_own():
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(160, 4, 1))
    members = truth[..., None] + rng.normal(size=(160, 4, 1, 2))
    truth[np.arange(160) // 20 % 2 == 0, 3] = np.nan
    weights = weigh(truth, members, "mse")
    np.testing.assert_array_equal(weights, weights[:1].repeat(4, axis=0))


@pytest.mark.parametrize("apart", [0.5, 2, 2000])
def test_few_windows_choose_little(apart):
    layer = Combination(Task(Columns(targets=("a",)), ("",), 6, 3, 2, 3, False, cycles=(2,)))
    layer.ridge.assign(RNG.normal(size=(6, 3)) * 0.1)
    history = RNG.normal(size=(50, 6, 1)).astype(np.float32)
    members = layer.others(history).numpy()
    truth = members[..., 2] + RNG.normal(size=(50, 3, 1)) * 0.01  # repetition happens to be right
    truth[::7] = np.nan
    point = truth + RNG.normal(size=truth.shape)
    point[::7] = 0
    layer.adapt(history, point, truth, "mae", apart)
    known = np.isfinite(truth)
    squares = [np.mean((one - truth)[known] ** 2) for one in (point, members[..., 0])]
    share = apart / (apart + 2)
    network, ridge, last, repeated = layer.weights_of.numpy().mean(0)
    assert network + ridge + last + repeated == pytest.approx(1, abs=1e-5)
    assert network / ridge == pytest.approx(squares[1] / squares[0], rel=0.01) or share > 0.9
    assert repeated == pytest.approx(share, abs=0.05)


def test_each_member_is_what_its_name_says():
    task = Task(Columns(targets=("a", "b")), ("",), 10, 5, 4, 5, False, cycles=(4, 7, 60))
    layer = Combination(task)
    assert layer.members[2:] == ("last value", "value 4 steps before", "value 7 steps before")
    ridge = RNG.normal(size=(10, 5)).astype(np.float32)
    layer.ridge.assign(ridge)
    history = RNG.normal(size=(3, 10, 2)).astype(np.float32)
    answer = np.sort(RNG.normal(size=(3, 5, 2, 4)), axis=-1).astype(np.float32)
    last = history[:, -1:]
    expected = {
        "network": answer[..., 0],
        "ridge": np.stack([(history[..., i] - last[..., i]) @ ridge for i in (0, 1)], -1) + last,
        "last value": np.repeat(last, 5, axis=1),
        "value 4 steps before": history[:, [6, 7, 8, 9, 6]],
        "value 7 steps before": history[:, [3, 4, 5, 6, 7]],
    }
    for i, name in enumerate(layer.members):
        layer.weights_of.assign(np.eye(5)[[i] * 5])
        found = layer(history, answer).numpy()
        np.testing.assert_allclose(found[..., 0], expected[name], atol=1e-5)
        np.testing.assert_allclose(np.diff(found), np.diff(answer), atol=1e-5)  # only shifted
    gap = history.copy()
    gap[:, -2:] = np.nan  # what is missing is the last known value
    layer.weights_of.assign(np.eye(5)[[2] * 5])
    found = layer(gap, answer).numpy()
    np.testing.assert_allclose(found[..., 0], np.repeat(history[:, -3:-2], 5, axis=1), atol=1e-5)


def test_the_ridge_is_scikit_learn_s(forecaster):
    app, parts = forecaster
    scaler, config = app.model.scaler, app.config
    pairs = {
        part: [
            np.concatenate(column)
            for column in zip(
                *baseline._pairs(training.scaled_windows(parts, part, scaler, config, ["history"])),
                strict=True,
            )
        ]
        for part in ("train", "validation")
    }
    held_x, held_y = pairs["validation"]
    ridges = [Ridge(s, fit_intercept=False).fit(*pairs["train"]) for s in baseline._STRENGTHS]
    errors = [np.abs(held_y - one.predict(held_x)).sum() for one in ridges]
    best = ridges[int(np.argmin(errors))].coef_.T
    np.testing.assert_allclose(app.model.combine.ridge, best, atol=1e-3)


def test_what_validation_chose_is_never_worse_there_than_a_member(forecaster, tmp_path):
    app, parts = forecaster
    found = app._evaluate(parts, "validation")
    alone = found["baselines"]["network alone"]
    assert found["scaled_mae"] <= 1.001 * alone["scaled_mae"]
    assert found["scaled_mae"] <= 1.02 * found["baselines"]["ridge"]["scaled_mae"]
    card = app.model_card()["combination"]
    assert list(card) == ["network", "ridge", "last value", "value 24 steps before"]
    expected = app.predict(table())
    app.model.save(tmp_path / "model.keras")
    app.model = keras.models.load_model(tmp_path / "model.keras", compile=False)
    pd.testing.assert_frame_equal(app.predict(table()), expected)
    assert app.model_card()["combination"] == card


def test_the_network_may_stand_alone():
    app = Forecaster(**TINY, combine=False, conformal=False)
    parts = divide(load_series(app.config, table()), app.config)
    network = build_network(app.config, parts.task).get_layer("network")
    app.model = pipeline.assemble(Scaler(parts.task, name="scaler"), network, app.config)
    assert "combination" not in app.model_card()
    answer = app.model({"history": parts.values[0][None, :24]})
    assert set(answer) == {"forecast", "quantiles"}


@pytest.mark.parametrize("model", ["segment", "direct"])
def test_a_linear_map_beside_the_network_is_loaded_with_it(model, tmp_path):
    config = Forecaster(**TINY, model=model, linear=True).config
    parts = divide(load_series(config, table()), config)
    scaler = Scaler(parts.task, name="scaler")
    network = build_network(config, parts.task).get_layer("network")
    network.linear.kernel.assign(RNG.normal(size=network.linear.kernel.shape))
    before = pipeline.assemble(scaler, network, config)
    before.save(tmp_path / "model.keras")
    after = keras.saving.load_model(tmp_path / "model.keras")
    history = {"history": RNG.normal(size=(2, 24, 1))}
    np.testing.assert_allclose(after(history)["forecast"], before(history)["forecast"], rtol=1e-6)
