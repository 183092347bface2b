import contextlib
import io
import json

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import tensorflow as tf
from eager import eagerly
from sklearn.linear_model import Ridge

import rnnapps
from rnnapps import Forecaster, ForecastingConfig, cli
from rnnapps.apps.forecasting import answers, baseline, data, division, pipeline
from rnnapps.apps.forecasting.metrics import Scores, series_apart
from rnnapps.apps.forecasting.model import build_network, inputs_of
from rnnapps.apps.forecasting.networks import fill_missing
from rnnapps.apps.forecasting.scaling import Scaler
from rnnapps.data import Windows, WindowShape
from rnnapps.errors import ConfigError, DataError, RunError
from rnnapps.probabilistic import (
    ConformalCalibration,
    ForecastLoss,
    make_likelihood,
    quantiles_of,
)
from rnnapps.training import compile_model, precision

RNG = np.random.default_rng(0)
TINY = {
    "units": 6, "epochs": 1, "lookback": 24, "horizon": 6, "segment": 6, "dropout": 0.0,
    "batch_size": 32, "samples": 20, "combine": False,
}  # fmt: skip
# Every model, cell, distribution, normalization and way with channels at least once.
VARIANTS = [
    {"model": "segment", "cell": "gru", "layers": 2, "block": "pre_norm"},
    {"model": "segment", "cell": "attention_lstm", "channels": "joint", "segment": 5},
    {"model": "segment", "cell": "layer_norm_lstm", "distribution": "gaussian"},
    {"model": "direct", "cell": "peephole_lstm", "normalization": "instance", "block": "pre_norm"},
    {"model": "direct", "cell": "lstm", "distribution": "negative_binomial", "layers": 2},
    {"model": "encoder_decoder", "cell": "lstm", "layers": 2, "channels": "joint"},
    {"model": "encoder_decoder", "cell": "attention_lstm", "loss": "huber"},
    {"model": "encoder_decoder", "cell": "simple_rnn", "distribution": "student_t"},
    {"model": "deepar", "cell": "mingru", "layers": 2, "normalization": "none"},
    {"model": "deepar", "cell": "attention_lstm", "channels": "joint", "distribution": "gaussian"},
    {"model": "deepar", "cell": "simple_rnn", "distribution": "negative_binomial"},
    {"model": "segment", "cell": "transformer", "layers": 2, "heads": 3, "segment": 5},
]  # fmt: skip
NAMES = ["-".join(v[k] for k in ("model", "cell")) + f"-{i}" for i, v in enumerate(VARIANTS)]
# Each way through the horizon, on the cell that compiles fastest: tests/unit/layers compiles each.
COMPILED = [
    {"model": "segment", "block": "pre_norm"},
    {"model": "encoder_decoder", "channels": "joint"},
    {"model": "deepar", "distribution": "negative_binomial"},
]


def table(count=300, seed=0, **columns):
    """Counts of two kinds with a daily cycle, a covariate that moves them, and some gaps."""
    rng = np.random.default_rng(seed)
    hours = np.arange(count)
    weather = rng.normal(size=count)
    level = 20 + 10 * np.sin(2 * np.pi * hours / 24) + 3 * weather
    frame = pd.DataFrame({
        "time": pd.date_range("2024-01-01", periods=count, freq="h"),
        "a": rng.poisson(np.maximum(1, level)).astype(float),
        "b": rng.poisson(np.maximum(1, 2 * level)).astype(float),
        "wind": np.where(rng.random(count) < 0.5, "N", "S"),
        "weather": weather,
    })  # fmt: skip
    frame.loc[frame.index.isin([30, 31, 32, 200]), "a"] = np.nan
    return frame.assign(**columns)


COLUMNS = {
    "target": ("a", "b"), "past_covariates": ("wind",), "future_covariates": ("weather",),
    "calendar": ("hour",),
}  # fmt: skip


def parts_of(app, frame):
    return division.divide(data.load_series(app.config, frame), app.config)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on a person's own file, and the file."""
    folder = tmp_path_factory.mktemp("forecasting")
    table().to_csv(folder / "table.csv", index=False)
    app = Forecaster(**TINY, **COLUMNS, data=str(folder / "table.csv"))
    app.fit(run_dir=folder / "run")
    return folder / "run", folder / "table.csv"


# Networks.


@pytest.mark.parametrize("variant", VARIANTS, ids=NAMES)
@eagerly()
def test_every_model_learns_answers_and_is_saved_whole(variant, tmp_path):
    app = Forecaster(**{**TINY, **COLUMNS, **variant, "conformal": False})
    parts = parts_of(app, table())
    trained = app._fit(parts, tmp_path / "state", ())
    assert np.isfinite(trained.history[0]["loss"])
    assert np.isfinite(trained.history[0]["val_mae"])
    app.model = trained.model
    values = parts.values[0]
    inputs = {"history": np.stack([values[60:84], values[180:204]])}
    inputs["future_covariates"] = np.stack([values[84:90, -3:], values[204:210, -3:]])
    answer = app.model(inputs)
    assert answer["forecast"].shape == (2, 6, 2)
    assert answer["quantiles"].shape == (2, 6, 2, 7)
    assert np.isfinite(answer["quantiles"]).all()
    assert (np.diff(answer["quantiles"], axis=-1) >= 0).all()
    alone = app.model({name: values[1:] for name, values in inputs.items()})
    np.testing.assert_allclose(alone["quantiles"][0], answer["quantiles"][1], rtol=1e-4)
    app.model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert again.get_layer("network").config == app.model.get_layer("network").config
    assert again.get_layer("scaler").task == parts.task
    for name, expected in answer.items():
        np.testing.assert_allclose(again(inputs)[name], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.system
@pytest.mark.parametrize("variant", COMPILED, ids=lambda v: v["model"])
def test_a_training_step_under_xla_equals_one_without(variant):
    """What a TPU demands: the step compiles, with its missing values."""
    weights = []
    for jit in (False, True):
        settings = {**TINY, **COLUMNS, **variant, "cell": "simple_rnn", "learning_rate": 0.1}
        settings |= {"layers": 1, "jit": jit}
        app = Forecaster(**settings)
        parts = parts_of(app, table())
        keras.utils.set_random_seed(1)
        model = build_network(app.config, parts.task)
        loss = ForecastLoss(model.get_layer("network").likelihood)
        compile_model(model, app.config, 10, loss)
        model.optimizer.epsilon = 0.1  # else Adam magnifies rounding where gradients vanish
        before = model.get_weights()
        for name, shape in inputs_of(app.config, parts.task).items():
            assert model.input[name].shape == (None, *shape)
        batch = {
            name: np.linspace(0.5, 2, 8 * int(np.prod(shape)), dtype=np.float32).reshape(8, *shape)
            for name, shape in inputs_of(app.config, parts.task).items()
        }
        batch["history"][:, 3:6, 0] = np.nan
        truth = np.ones((8, 6, 2), np.float32)
        truth[0, 2] = np.nan
        with contextlib.nullcontext() if jit else eagerly():
            model.train_on_batch(batch, truth)
        weights.append(model.get_weights())
    for plain, xla in zip(*weights, strict=True):
        np.testing.assert_allclose(plain, xla, atol=2e-4)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(before, weights[0], strict=True))


@pytest.mark.parametrize("normalization", ["last", "instance"])
def test_a_window_s_level_comes_back(normalization):
    """A network that says nothing answers with the window's own level and spread."""
    app = Forecaster(**{**TINY, **COLUMNS, "normalization": normalization})
    parts = parts_of(app, table())
    network = build_network(app.config, parts.task).get_layer("network")
    for weight in network.trainable_variables:
        weight.assign(tf.zeros_like(weight))
    history = RNG.normal(3, 2, size=(4, 24, len(parts.task.columns.names))).astype(np.float32)
    point = network({"history": history, "future": np.zeros((4, 6, 3))})[..., 0].numpy()
    ours = history[..., :2]
    expected = ours[:, -1:] if normalization == "last" else ours.mean(1, keepdims=True)
    np.testing.assert_allclose(point, np.repeat(expected, 6, axis=1), atol=1e-5)


@pytest.mark.parametrize("variant", [VARIANTS[i] for i in (0, 3, 5, 8)], ids=lambda v: v["model"])
def test_bfloat16_does_not_round_levels(variant):
    answers = []
    for policy in ("float32", "mixed_bfloat16"):
        # A cell whose states are bounded: all that is large is the level.
        app = Forecaster(**{**TINY, **COLUMNS, **variant, "normalization": "last", "cell": "gru"})
        parts = parts_of(app, table())
        keras.utils.set_random_seed(1)
        with precision(policy):
            network = build_network(app.config, parts.task).get_layer("network")
        shapes = inputs_of(app.config, parts.task).items()
        inputs = {name: np.full((2, *shape), 1000, np.float32) for name, shape in shapes}
        inputs["history"] += np.linspace(0, 3, 24, dtype=np.float32)[:, None]
        inputs["future"] *= 0
        answers.append(network(inputs).numpy())
    assert answers[1].dtype == np.float32
    assert np.ptp(answers[0]) > 0.1
    np.testing.assert_allclose(answers[1], answers[0], atol=0.1)  # neighbours near 1000 are 4 apart


def test_a_slow_state_moves_step_by_step_in_bfloat16():
    app = Forecaster(**{**TINY, "target": ("a",), "model": "encoder_decoder", "cell": "gru"})
    parts, ends = parts_of(app, table()), []
    for policy in ("float32", "mixed_bfloat16"):
        with precision(policy):
            network = build_network(app.config, parts.task).get_layer("network")
        (layer,) = network.decoder
        layer.set_weights([0 * weight for weight in layer.get_weights()])
        layer.cell.bias.assign([[6.0] * 6 + [0.0] * 6 + [1, -1, 0.5, 2, -0.5, 3], [0.0] * 18])
        states = network.encode(tf.zeros((2, 24, network.features)), False)
        kind, states = states[0][0].dtype, [[0 * states[0][0]]]
        for _ in range(60):
            raw, states = network.step(tf.zeros((2, network.per_row)), states, False)
        assert states[0][0].dtype == kind  # as the loop over the horizon needs it
        assert raw.dtype == tf.float32
        ends.append(tf.cast(states[0][0], tf.float32).numpy())
    np.testing.assert_allclose(*ends, rtol=0.01)
    assert abs(ends[0]).max() > 0.1


@pytest.mark.parametrize("model", ["segment", "direct", "encoder_decoder"])
def test_independent_targets_see_nothing_of_each_other(model):
    app = Forecaster(**{**TINY, "target": ("a", "b"), "model": model})
    parts = parts_of(app, table())
    network = build_network(app.config, parts.task).get_layer("network")
    history = RNG.normal(size=(3, 24, 2)).astype(np.float32)
    other = history.copy()
    other[..., 1] += RNG.normal(size=(3, 24))
    one, two = (network({"history": h}).numpy() for h in (history, other))
    np.testing.assert_allclose(one[..., 0, :], two[..., 0, :], atol=1e-6)
    assert np.abs(one[..., 1, :] - two[..., 1, :]).max() > 1e-3


def test_missing_values_become_the_last_known_ones():
    values = np.array([[np.nan, 1], [2, np.nan], [np.nan, np.nan], [4, 5]], np.float32)[None]
    filled, seen = fill_missing(tf.constant(values))
    frame = pd.DataFrame(values[0])
    np.testing.assert_array_equal(filled[0], frame.ffill().fillna(0))
    np.testing.assert_array_equal(seen[0], frame.notna())
    long = RNG.normal(size=(2, 100, 3)).astype(np.float32)
    long[RNG.random(long.shape) < 0.7] = np.nan
    for row, filled in zip(long, fill_missing(tf.constant(long))[0], strict=True):
        np.testing.assert_array_equal(filled, pd.DataFrame(row).ffill().fillna(0))


def test_a_decoder_that_is_told_the_truth_learns_from_it():
    app = Forecaster(**{**TINY, "target": ("a", "b"), "model": "encoder_decoder"})
    parts = parts_of(app, table())
    network = build_network(app.config, parts.task).get_layer("network")
    history = RNG.normal(size=(3, 24, 2)).astype(np.float32)
    teachers = [RNG.normal(size=(3, 6, 2)).astype(np.float32) for _ in range(2)]

    def said(teacher, share, training):
        network.truth_share.assign(share)
        return network({"history": history, "teacher": teacher}, training=training).numpy()

    told = [said(teacher, 1.0, True) for teacher in teachers]
    np.testing.assert_allclose(told[0][:, 0], told[1][:, 0], atol=1e-6)  # before any is told
    assert np.abs(told[0][:, 1:] - told[1][:, 1:]).max() > 1e-3
    alone = [
        said(teacher, share, training)
        for teacher, share, training in (
            (teachers[0], 0.0, True),
            (teachers[1], 0.0, True),
            (teachers[0], 1.0, False),
        )
    ]
    np.testing.assert_allclose(alone[0], alone[1], atol=1e-6)
    np.testing.assert_allclose(alone[0], alone[2], atol=1e-6)


# Distributions, against SciPy.


def test_likelihoods_agree_with_scipy():
    y = RNG.normal(size=(50,)).astype(np.float32)
    raw = RNG.normal(size=(50, 3)).astype(np.float32)
    gaussian, student = make_likelihood("gaussian", ()), make_likelihood("student_t", ())
    loc, scale = gaussian.activate(raw[:, :2]).numpy().T
    np.testing.assert_allclose(
        gaussian.loss(y, gaussian.activate(raw[:, :2])), -scipy.stats.norm.logpdf(y, loc, scale),
        rtol=1e-4,
    )  # fmt: skip
    loc, scale, freedom = student.activate(raw).numpy().T
    np.testing.assert_allclose(
        student.loss(y, student.activate(raw)), -scipy.stats.t.logpdf(y, freedom, loc, scale),
        rtol=1e-4,
    )  # fmt: skip
    counts = make_likelihood("negative_binomial", ())
    series_scale = np.full(50, 4.0, np.float32)
    parameters = counts.activate(raw[:, :2], series_scale)
    mean, dispersion, _ = parameters.numpy().T.astype(float)
    y = RNG.poisson(5, 50).astype(np.float32)
    size = 1 / dispersion
    expected = -scipy.stats.nbinom.logpmf(y, size, size / (size + mean * 4))
    np.testing.assert_allclose(counts.loss(y / 4, parameters), expected, rtol=1e-3, atol=1e-3)


EXACT = {
    "gaussian": lambda mean, deviation: scipy.stats.norm(mean, deviation),
    "student_t": lambda location, scale, freedom: scipy.stats.t(freedom, location, scale),
    "negative_binomial": lambda mean, dispersion, scale: scipy.stats.nbinom(
        1 / dispersion, 1 / (1 + dispersion * mean * scale)
    ),
}
LEVELS = (0.001, 0.025, 0.1, 0.5, 0.9, 0.999)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", EXACT)
def test_quantiles_are_exact_and_those_of_a_row_alone(name, compiled):
    likelihood = make_likelihood(name, ())
    raw = np.random.default_rng(0).normal(size=(200, likelihood.size), scale=5)
    if name == "student_t":
        raw[:3, 2] = -99, 0, 1e4  # degrees of freedom
    parameters = likelihood.activate(tf.constant(raw, tf.float32), tf.constant(10.0))
    quantiles = tf.function(likelihood.quantiles, jit_compile=compiled, reduce_retracing=True)
    received = quantiles(parameters, LEVELS).numpy()
    expected = EXACT[name](*parameters.numpy().astype(float).T[..., None]).ppf(LEVELS)
    counts = name == "negative_binomial"
    np.testing.assert_allclose(received * (10 if counts else 1), expected, rtol=2e-5, atol=2e-5)
    np.testing.assert_array_equal(quantiles(parameters[7:8], LEVELS), received[7:8])


@pytest.mark.parametrize("name", EXACT)
def test_samples_have_the_distribution_s_quantiles_and_are_those_of_a_row_alone(name):
    likelihood = make_likelihood(name, ())
    raw = tf.repeat(tf.constant([[[0.5, 0.3, 4.0]], [[3.0, 0.1, 0.0]]]), 10_000, axis=1)
    parameters = likelihood.activate(raw[..., : likelihood.size], tf.constant(10.0))
    samples = likelihood.sample(parameters, tf.constant([1, 2]))  # (rows, draws)
    for i in range(2):
        alone = likelihood.sample(parameters[i : i + 1], tf.constant([1, 2]))
        np.testing.assert_array_equal(alone[0], samples[i])
    received = quantiles_of(tf.transpose(samples), (0.1, 0.5, 0.9))
    np.testing.assert_allclose(
        received, np.quantile(samples, (0.1, 0.5, 0.9), axis=1).T, rtol=1e-4, atol=1e-6
    )
    expected = likelihood.quantiles(parameters[:, 0], (0.1, 0.5, 0.9))
    np.testing.assert_allclose(received, expected, atol=0.02 * np.ptp(expected))
    assert not np.array_equal(likelihood.sample(parameters, tf.constant([2, 2])), samples)


def test_the_pinball_loss_is_least_at_the_quantiles_and_leaves_the_point_alone():
    likelihood = make_likelihood("quantiles", (0.1, 0.5, 0.9))
    raw = tf.Variable([[0.3, 0.2, 0.4]])
    y = tf.constant(RNG.normal(size=2000).astype(np.float32))
    for _ in range(400):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(likelihood.loss(y, tf.repeat(likelihood.activate(raw), 2000, 0)))
        raw.assign_sub(0.3 * tape.gradient(loss, raw))
    point, *quantiles = likelihood.activate(raw)[0].numpy()
    np.testing.assert_allclose(quantiles, np.quantile(y, [0.1, 0.5, 0.9]), atol=0.05)
    assert point == quantiles[1]
    with tf.GradientTape() as tape:
        loss = likelihood.loss(tf.constant([9.0]), likelihood.activate(raw))
    assert tape.gradient(loss, raw)[0, 0] == -1  # the absolute error's, and nothing more


# Scaling and calibration.


@pytest.mark.system
@eagerly()
def test_each_series_is_scaled_by_its_training_part_alone():
    one, other = table().assign(place="x"), table(seed=1).assign(place="y")
    other[["a", "b"]] *= 100
    frame = pd.concat([one, other])
    late = frame["time"] >= frame["time"].iloc[200]
    app = Forecaster(**{**TINY, **COLUMNS, "series_column": "place"}).fit(frame)
    again = Forecaster(**{**TINY, **COLUMNS, "series_column": "place", "conformal": False})
    again.fit(frame.assign(a=frame["a"].where(~late, frame["a"] * 7)))
    for fitted in (app, again):
        scaler = fitted.model.get_layer("scaler")
        center, scale = scaler.center.numpy(), scaler.scale.numpy()
        for row, part in ((1, one), (2, other)):
            train = part[["a", "b", "weather"]].iloc[:180]
            np.testing.assert_allclose(center[row, [0, 1, 4]], train.mean(), rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(scale[row, [0, 1, 4]], train.std(ddof=0), rtol=1e-4)
        assert (center[:, [2, 3, 5, 6]] == 0).all()  # the words' and the calendar's columns
    frame.loc[frame.index >= 290, ["a", "b"]] = np.nan
    forecasts = app.predict(frame).groupby("series", sort=False)["forecast"].mean()
    assert forecasts.index.tolist() == ["x", "y"]
    assert forecasts["y"] > 20 * forecasts["x"]


def test_what_is_known_ahead_is_scaled_as_in_the_history():
    parts = parts_of(Forecaster(**TINY, **COLUMNS), table())
    scaler = Scaler(parts.task)
    scaler.adapt(parts.training)
    values, future = parts.values[0][None, 180:], parts.task.future
    received = scaler(values[..., -future:], part="future")
    np.testing.assert_allclose(received, scaler(values)[..., -future:], rtol=1e-6)


def test_calibrated_intervals_cover_what_they_say():
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    layer = ConformalCalibration(levels)
    truth = RNG.normal(size=(4000, 3, 2)) * np.array([1, 2, 3])[:, None]
    said = np.broadcast_to([0, -0.1, -0.05, 0, 0.05, 0.1], (4000, 3, 2, 6))  # far too sure
    layer.build(said.shape)
    layer.adapt(truth[:2000], said[:2000])
    answer = layer(tf.constant(said[2000:], tf.float32)).numpy()
    assert (np.diff(answer[..., 1:], axis=-1) >= 0).all()
    for low, high, share in ((1, 5, 0.9), (2, 4, 0.5)):
        inside = (answer[..., low] <= truth[2000:]) & (truth[2000:] <= answer[..., high])
        np.testing.assert_allclose(inside.mean(0), share, atol=0.05)


# Measures.


def test_measures_agree_with_their_definitions():
    truth, point = RNG.normal(5, 1, size=(2, 40, 3, 2))
    quantiles = point[..., None] + np.array([-1.0, 0, 1.0])
    truth[3, 1, 0] = np.nan
    series = np.arange(40) % 2
    spread, naive = np.array([[1.0, 2], [3, 4]]), np.array([[1.0, 1], [2, 2]])
    scores = Scores((0.1, 0.5, 0.9), spread, naive)
    for rows in (slice(0, 25), slice(25, 40)):
        scores.update(truth[rows], series[rows], point[rows], quantiles[rows])
    found = scores.summary(["a", "b"])
    error = truth - point
    assert found["mae"] == pytest.approx(np.nanmean(np.abs(error)))
    assert found["rmse"] == pytest.approx(np.sqrt(np.nanmean(error**2)))
    assert found["scaled_mse"] == pytest.approx(np.nanmean((error / spread[series][:, None]) ** 2))
    assert found["mase"] == pytest.approx(np.nanmean(np.abs(error) / naive[series][:, None]))
    assert found["smape"] == pytest.approx(
        np.nanmean(200 * np.abs(error) / (np.abs(truth) + np.abs(point)))
    )
    pinball = np.maximum(
        np.array([0.1, 0.5, 0.9]) * (truth[..., None] - quantiles),
        np.array([-0.9, -0.5, -0.1]) * (truth[..., None] - quantiles),
    )
    assert found["weighted_quantile_loss"] == pytest.approx(
        2 * np.nansum(pinball.mean(-1)) / np.nansum(np.abs(truth))
    )
    inside = (np.abs(error) <= 1)[np.isfinite(error)].mean()
    assert found["coverage_80"] == pytest.approx(inside)
    assert found["width_80"] == pytest.approx(2)
    assert found["by_horizon"]["mae"] == pytest.approx(np.nanmean(np.abs(error), axis=(0, 2)))
    assert found["by_target"]["b"]["mse"] == pytest.approx(np.nanmean(error[..., 1] ** 2))
    worse = Scores((0.1, 0.5, 0.9), spread, naive)
    worse.update(truth[1::2], series[1::2], point[1::2] + 100)
    worse.update(truth[::2], series[::2], truth[::2])
    apart = series_apart(["x", "y"], scores, [scores, worse])
    assert [*apart] == sorted(apart, key=lambda name: -apart[name]["mase"])
    for i, name in enumerate(("x", "y")):
        own = np.abs(error[series == i])
        assert apart[name]["mae"] == pytest.approx(np.nanmean(own))
        assert apart[name]["mase"] == pytest.approx(np.nanmean(own / naive[i]))
        best = 0.0 if i == 0 else np.nanmean(own)
        assert apart[name]["best_baseline_mae"] == pytest.approx(best)


def test_baselines_are_what_their_names_say():
    values = [RNG.normal(size=(200, 2)).astype(np.float32).cumsum(0)]
    shape = WindowShape(lookback=12, horizon=5, targets=2)
    train, held = Windows(values, [(12, 120)], shape, 16), Windows(values, [(125, 190)], shape, 16)
    found = baseline.baselines(train, held, season=4)
    history = values[0][None, 100:112]
    np.testing.assert_array_equal(found["last value"](history)[0], history[0][[-1] * 5])
    np.testing.assert_array_equal(
        found["seasonal naive"](history)[0], history[0][[8, 9, 10, 11, 8]]
    )
    slope = (history[0, -1] - history[0, 0]) / 11
    expected = history[0, -1] + np.arange(1, 6)[:, None] * slope
    np.testing.assert_allclose(found["drift"](history)[0], expected, rtol=1e-5)
    # A ridge by scikit-learn, at each of the strengths: the best on the held-out part is ours.
    x, y = (np.concatenate(c) for c in zip(*baseline._pairs(train), strict=True))
    held_x, held_y = (np.concatenate(c) for c in zip(*baseline._pairs(held), strict=True))
    errors, answers = [], []
    last = history[:, -1:]
    for strength in baseline._STRENGTHS:
        ridge = Ridge(strength, fit_intercept=False).fit(x, y)
        errors.append(np.abs(held_y - ridge.predict(held_x)).sum())
        answers.append(ridge.predict((history - last)[0].T).T + last[0])
    np.testing.assert_allclose(found["ridge"](history)[0], answers[np.argmin(errors)], rtol=1e-3)


@pytest.mark.system
def test_a_part_s_forecasts_lie_within_it_and_each_window_counts(run):
    app = rnnapps.load(run[0])
    parts = app._load()
    assert parts.ends == [(180, 240, 300)]
    for part, first, end in (("train", 24, 180), ("validation", 180, 240), ("test", 240, 300)):
        (span,) = parts.spans(part)
        assert span == (first, end - 6 + 1)
    found = app.evaluate()
    truth, point = app._pairs(parts, "test")
    assert len(truth) == 55
    assert found["mae"] == pytest.approx(np.abs(truth - point).mean(), rel=1e-5)
    scale = table()[["a", "b"]].iloc[:180].std(ddof=0).to_numpy()
    assert found["scaled_mse"] == pytest.approx((((truth - point) / scale) ** 2).mean(), rel=1e-4)
    baselines = {"last value", "seasonal naive", "drift", "ridge"}
    assert set(found["baselines"]) == baselines  # no Naive2, where a value is missing
    expected = {"fan_chart", "error_by_horizon", "backtest", "residual_autocorrelation"}
    assert expected <= {path.stem for path in (run[0] / "figures").glob("*.png")}


@pytest.mark.system
@eagerly()
def test_a_backtest_takes_a_stride_and_trains_anew_where_asked(run):
    app = rnnapps.load(run[0])
    parts = app._load()
    windows = list(answers.forecasts(app.graph, parts, parts.spans("test"), 24))
    assert np.concatenate([one.origin for one in windows]).tolist() == [240, 264, 288]
    truth = np.concatenate([one.truth for one in windows])
    point = np.concatenate([one.answer.point for one in windows])
    assert len(truth) == 3
    found = app.evaluate(backtest=True, stride=24)
    assert found["mae"] == pytest.approx(np.abs(truth - point).mean(), rel=1e-5)
    again = app.evaluate(backtest=True, stride=24, refit=True)
    assert again["mae"] != pytest.approx(found["mae"], rel=1e-6)
    assert again["baselines"]["last value"]["mae"] == found["baselines"]["last value"]["mae"]


@pytest.mark.system
@eagerly()
def test_series_of_unequal_length_are_trained_anew_together():
    frame = table()
    frame = pd.concat([frame.assign(place="north"), frame.iloc[:200].assign(place="south")])
    app = Forecaster(**{**TINY, "target": ("a",), "series_column": "place"}).fit(frame)
    found = app.evaluate(frame, backtest=True, stride=12, refit=True)
    assert np.isfinite(found["mae"])
    assert set(found["by_series"]) == {"north", "south"}
    assert all(0 < one["best_baseline_mae"] < np.inf for one in found["by_series"].values())


@pytest.mark.system
@eagerly()
def test_another_table_is_measured_with_what_was_trained(tmp_path):
    settings = {**TINY, "target": ("a",), "lookback": None}
    app = Forecaster(**settings).fit(table())
    lookback, short = app.task.lookback, table().iloc[:150]
    assert Forecaster(**settings).fit(short).task.lookback != lookback
    found = app.evaluate(short)
    assert {"ridge", "last value"} < set(found["baselines"])
    parts = app._load(test=short)
    history, truth, *_ = next(answers.forecasts(app.graph, parts, parts.spans("test")))
    assert history.shape[1] == lookback
    naive = np.abs(truth[..., 0] - history[:, -1:, 0]).mean()
    assert found["baselines"]["last value"]["mae"] == pytest.approx(naive, rel=1e-4)
    pd.testing.assert_frame_equal(app.predict(), app.predict(table()))
    app.save(tmp_path / "run")
    with pytest.raises(DataError, match=r"Expected a table, as one was given to fit\(\)"):
        rnnapps.load(tmp_path / "run").predict()


# Forecasts.


def test_forecasts_start_after_the_end_and_need_what_is_known_ahead(run, tmp_path):
    app = rnnapps.load(run[0])
    frame = table()
    with pytest.raises(DataError, match=r"no 'weather' for 2024-01-13 12:00:00; add rows"):
        app.predict()
    frame.loc[290:, ["a", "b"]] = np.nan
    frame.loc[290:, "wind"] = None
    found = app.predict(frame)
    assert found["time"].iloc[:6].tolist() == frame["time"].iloc[290:296].tolist()
    assert found["target"].tolist() == ["a"] * 6 + ["b"] * 6
    assert found.columns.tolist()[2:] == ["forecast", "q0.025", "q0.1", "q0.25", "q0.5", "q0.75",
                                          "q0.9", "q0.975"]  # fmt: skip
    parts = app._load(test=table())
    *_, (point, quantiles, _) = next(answers.forecasts(app.graph, parts, [(290, 291)]))
    np.testing.assert_allclose(found["forecast"], point[0].T.ravel(), rtol=1e-4)
    np.testing.assert_allclose(found["q0.9"], quantiles[0, ..., 5].T.ravel(), rtol=1e-4)
    changed = frame.assign(weather=frame["weather"] + 5 * (frame.index >= 290))
    assert np.abs(app.predict(changed)["forecast"] - found["forecast"]).max() > 1e-3
    with pytest.raises(DataError, match=r"at least 24 steps, the look-back, .* 10, 14 too few"):
        app.predict(frame.iloc[280:])


@eagerly()
def test_a_log_keeps_forecasts_over_their_floor():
    frame = table()[["time", "a"]]
    app = Forecaster(**{**TINY, "log": True}).fit(frame)
    found = app.predict(frame)
    assert (found["q0.025"] >= 0).all()
    with pytest.raises(DataError, match=r"over -1 in column 'a' with log=. Received: -4"):
        Forecaster(**{**TINY, "log": True}).fit(frame.assign(a=frame["a"].replace(20, -4)))


@eagerly()
def test_a_constant_series_is_forecast_and_noted(capsys):
    frame = table()[["time", "a"]].assign(place="moving")
    frame = pd.concat([frame, frame.assign(place="still", a=3.0)])
    app = Forecaster(**{**TINY, "series_column": "place"}).fit(frame)
    assert "Constant in the training part: 'a' of series still (3)." in capsys.readouterr().err
    found = app.predict(frame).set_index("series").loc["still"]
    assert np.isfinite(found["forecast"]).all()
    assert np.isfinite(app.evaluate(frame)["scaled_mae"])


# Odd values.


def untrained(frame, **settings):
    """A forecaster whose network has its first weights, and the parts of its data."""
    app = Forecaster(**{**TINY, **settings})
    parts = parts_of(app, frame)
    keras.utils.set_random_seed(1)
    counts = app.config.likelihood == "negative_binomial"
    scaler = Scaler(parts.task, parts.task.log, counts, name="scaler")
    scaler.adapt(parts.training)
    network = build_network(app.config, parts.task).get_layer("network")
    app.model = pipeline.assemble(scaler, network, app.config)
    return app, parts


@eagerly()
def test_a_high_level_hides_no_small_change():
    forecasts, truths = [], []
    for level in (0.0, 250_000_000.0):
        rising = level + 2.0 * np.arange(300) + np.sin(np.arange(300))
        frame = table()[["time"]].assign(y=rising)
        app, parts = untrained(frame)
        forecasts.append(app.predict(frame)["forecast"].to_numpy(float) - level)
        _, truth, *_ = next(answers.forecasts(app.graph, parts, parts.spans("test")))
        truths.append(truth - level)
    np.testing.assert_allclose(forecasts[1], forecasts[0], atol=0.01)
    np.testing.assert_allclose(truths[1], truths[0], atol=1e-6)
    (note,) = parts.task.notes
    assert "with a resolution of 16 at y's 2.5e+08, while it changes by" in note
    described = pipeline.serving_spec(app.model, app.config).assets["task.json"]
    assert json.loads(described)["notes"] == [note]


@pytest.mark.parametrize(
    ("values", "settings", "least"),
    [
        (lambda a: a, {}, 0),
        (lambda a: a + 0.5, {"log": True}, 0),
        (lambda a: a, {"model": "deepar", "distribution": "negative_binomial"}, 0),
        (lambda a: a + 0.5, {"lower_bound": 0.5}, 0.5),
        (lambda a: a + 0.5, {}, None),
        (lambda a: a - 20, {}, None),
        (lambda a: a, {"lower_bound": -np.inf}, None),
    ],
)
@eagerly()
def test_nothing_goes_below_what_counts_can_be(values, settings, least):
    frame = table()[["time", "a"]]
    app, parts = untrained(frame.assign(a=values(frame["a"])), **settings)
    app.model.calibrate.margins.assign(tf.fill(app.model.calibrate.margins.shape, 20.0))
    found = app.predict(frame.assign(a=values(frame["a"])))
    lowest = found.drop(columns=["time", "target"]).to_numpy(float).min()
    assert lowest == least if least is not None else lowest < -20
    suggested = any("--lower-bound 0" in note for note in parts.notes)
    assert suggested == (least is None and values(1) == 1.5)


def test_a_bound_that_the_data_breaks_is_refused():
    with pytest.raises(DataError, match=r"under lower_bound=1 in column 'a'. Received: 0"):
        parts_of(Forecaster(**TINY, target=("a",), lower_bound=1.0), table(a=[0.0, 2.0] * 150))


def test_a_rare_indicator_stays_a_number_like_the_others():
    rare = (np.arange(300) % 100 == 7).astype(float)
    word = np.where(np.arange(300) < 250, "no", "later")  # after the training part
    frame = table(rare=rare, word=word, steady=5.0)
    app = Forecaster(**{**TINY, "target": ("a",), "future_covariates": ("rare", "word", "steady")})
    parts = parts_of(app, frame[["time", "a", "rare", "word", "steady"]])
    assert "has no word=later" in parts.notes[-1] or "has no word=later" in parts.notes[-2]
    scaler = Scaler(parts.task)
    scaler.adapt(parts.training)
    values = parts.values[0] + np.where(np.arange(300) < 250, 0, [[0.0]] * 4 + [[7.0]]).T
    (scaled,) = scaler.scaled([values])
    np.testing.assert_array_equal(scaled[:, 1], rare)
    assert parts.task.columns.names == ("a", "rare", "word=later", "word=no", "steady")
    np.testing.assert_array_equal(scaled[:, [2, 4]], 0)  # what training never saw move


def test_an_interval_that_is_calibrated_does_not_collapse():
    levels = (0.1, 0.5, 0.9)
    layer = ConformalCalibration(levels)
    truth = RNG.normal(size=(2000, 1, 1))
    wide = np.broadcast_to([0.0, -9.0, 0, 9.0], (2000, 1, 1, 4))
    layer.build(wide.shape)
    layer.adapt(truth, wide)
    usual, narrow = layer(tf.constant([[[[0.0, -9, 0, 9]]], [[[0.0, -6, 0, 6]]]])).numpy()
    np.testing.assert_allclose(usual.ravel(), [0, -1.28, 0, 1.28], atol=0.1)
    np.testing.assert_allclose(narrow, usual * 2 / 3, atol=1e-5)


@eagerly()
def test_intervals_without_width_are_told(capsys):
    frame = table()[["time", "a"]]
    app, _ = untrained(frame)
    app.predict(frame)
    assert "collapsed" not in capsys.readouterr().err
    offsets = app.model.network.head.rest
    offsets.bias.assign(tf.fill(offsets.bias.shape, -100.0))  # as if it were that sure
    app.predict(frame)
    assert "The intervals have collapsed at 100.00% of the steps" in capsys.readouterr().err


@pytest.mark.parametrize("variant", [VARIANTS[i] for i in (0, 3, 5)], ids=lambda v: v["model"])
def test_a_network_sees_which_covariates_are_missing(variant):
    frame = table()
    frame.loc[40:50, "wind"] = None
    frame.loc[60:70, "weather"] = np.nan
    app = Forecaster(**{**TINY, **COLUMNS, **variant})
    parts = parts_of(app, frame)
    assert [parts.task.columns.names[i] for i in parts.task.gaps] == ["wind=N", "weather"]
    network = build_network(app.config, parts.task).get_layer("network")
    inputs = {"history": RNG.normal(size=(1, 24, 7)), "future": RNG.normal(size=(1, 6, 3))}
    before = network(inputs).numpy()
    for name, columns, step in (("history", [2, 3], 9), ("history", [4], 9), ("future", [0], 3)):
        held = {k: v.astype(np.float32) for k, v in inputs.items()}
        held[name][:, step, columns] = held[name][:, step - 1, columns]
        gap = {k: v.copy() for k, v in held.items()}
        gap[name][:, step, columns] = np.nan
        assert np.abs(network(gap).numpy() - network(held).numpy()).max() > 1e-4
    assert np.isfinite(before).all()


@eagerly()
def test_what_was_found_is_drawn_by_a_loaded_application_too(run, tmp_path):
    app = rnnapps.load(run[0])
    found = app.evaluate(backtest=True)
    app.evaluate()  # what is drawn is what is given, not what came last
    app._plot(found, tmp_path / "one")
    assert (tmp_path / "one" / "backtest.png").exists()
    again = rnnapps.load(run[0])
    again._plot(again.metrics["test"], tmp_path / "two")
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["error_by_horizon.png"]


def test_settings_of_earlier_versions_are_taken_with_a_note():
    with pytest.warns(FutureWarning, match="--validation is now --validation-share"):
        assert ForecastingConfig(validation=0.3).validation_share == 0.3


# Mistakes.


@pytest.mark.parametrize(
    ("settings", "changes", "sentence"),
    [
        ({"lookback": 200}, {}, "at least 206 steps to train on.*Received: 180.* 26 too few"),
        ({"horizon": 100}, {}, "at least 100 steps, the horizon, in the validation part"),
        ({"model": "deepar", "distribution": "negative_binomial"},
         {"a": np.linspace(0, 1, 300)}, "Expected counts .* Received: 0.00334"),
        ({"test_start": "soon"}, {}, "test_start= to be a time. Received: 'soon'"),
        ({"test_start": "2030-01-01"}, {}, "to lie within the data, 2024-01-01 00:00:00 to"),
        ({}, {"a": [np.nan] * 200 + [1.0, 2.0] * 50}, "'a' has no value in the training part"),
    ],
)  # fmt: skip
def test_series_that_cannot_be_learned_from(settings, changes, sentence):
    with pytest.raises((DataError, ConfigError), match=sentence):
        Forecaster(**{**TINY, **COLUMNS, **settings}).fit(table(**changes))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"quantiles": (0.1, 0.5)}, "ascend in pairs around 0.5"),
        ({"model": "deepar", "distribution": "quantiles"}, "which samples"),
        ({"target": ("a",), "past_covariates": ("a",)}, "each column in one place"),
        ({"validation_share": 0.5, "test_share": 0.5}, "leave something to train on"),
    ],
)
def test_settings_that_contradict_each_other(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        ForecastingConfig(**settings)


@eagerly()
def test_a_run_is_only_measured_on_the_data_it_learned_from(run):
    app = rnnapps.load(run[0])
    text = run[1].read_text()
    run[1].write_text(text.replace(",N,", ",S,", 1))
    with pytest.raises(RunError, match=r"did not learn from .*table.csv as it is now"):
        app.evaluate()
    run[1].write_text(text)
    assert app.evaluate(table())["mae"] > 0


@pytest.mark.system
def test_ett_reads_through_tfds_and_divides_as_usual(test_data, tmp_path):
    (tmp_path / "ETTh1.csv.gz").write_bytes((test_data / "ett" / "ETTh1.csv.gz").read_bytes())
    config = ForecastingConfig(data="ett_h1", data_dir=tmp_path, horizon=96)
    parts = division.divide(data.load_series(config), config)
    assert parts.ends == [(8640, 11520, 14400)]
    assert parts.task.columns.targets == ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
    frame = pd.read_csv(tmp_path / "ETTh1.csv.gz").iloc[:14400, 1:]
    np.testing.assert_allclose(parts.values[0], frame.to_numpy(), rtol=1e-6)
    assert sum(last - first for first, last in parts.spans("test")) == 2880 - 96 + 1
    assert (parts.task.lookback, parts.task.segment) == (720, 48)


# The command line.


def spoiled(row, column, value):
    frame = table().astype(object)
    frame.loc[row - 1, column] = value
    return frame


MISTAKES = [
    (table(), "--target c", "no column 'c' (--target); its columns are time, a, b, wind, weather."),
    (table(), "--past-covariates wnd", "(--past-covariates); its columns are time, a, b, wind, "),
    (spoiled(7, "time", "noon"), "", "Expected times in column time of table.csv. Received: 'noon'"
     " in row 7; leave that row out."),
    (spoiled(7, "time", "2024-01-01 06:30:00"), "", "Expected regular steps of h from 2024-01-01 "
     "00:00:00 on in table.csv. Received: 2024-01-01 06:30:00 in row 7;"),
    (table(100), "--lookback 60", "Expected at least 66 steps to train on, a look-back of 60 and a "
     "horizon of 6. Received: 60 (of 100 in all), 6 too few;"),
    (table(a=None), "", "table.csv has no value at all in column 'a'; leave it out"),
    (spoiled(7, "a", "inf"), "", "finite numbers in column 'a' of table.csv. Received: inf in row"),
    (spoiled(7, "a", "many"), "", "Expected numbers in column 'a' of table.csv. Received: 'many' in"
     " row 7."),
    (spoiled(7, "weather", "fair"), "--future-covariates weather", "Received: 'fair' in row 7."),
    (table(), "--freq weekly", "Expected --freq to be pandas' name of a step"),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "flags", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    frame, flags, sentence, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    frame.to_csv("table.csv", index=False)
    target = [] if "--target" in flags else ["--target", "a"]
    arguments = ["--data", "table.csv", "--horizon", "6", *target, *flags.split()]
    assert cli.main(["train", "forecasting", *arguments, "--run-dir", "run"]) == 2
    out, err = capsys.readouterr()
    assert sentence in err
    assert err.count("\n") == 1
    assert out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_the_verbs_on_a_run(run, tmp_path, capsys):
    run_dir, _ = run
    assert cli.main(["predict", str(run_dir)]) == 2
    assert "Received: no 'weather' for 2024-01-13 12:00:00;" in capsys.readouterr().err
    frame = table()
    frame.loc[290:, ["a", "b"]] = np.nan
    frame.to_csv(tmp_path / "later.csv", index=False)
    arguments = ["predict", str(run_dir), str(tmp_path / "later.csv")]
    assert cli.main([*arguments, "--output", str(tmp_path / "out.csv")]) == 0
    assert cli.main(arguments) == 0
    out, err = capsys.readouterr()
    said, kept = pd.read_csv(io.StringIO(out)), pd.read_csv(tmp_path / "out.csv")
    pd.testing.assert_frame_equal(said, kept, rtol=1e-6)  # seven digits of each number
    assert "(of 300: a 14, b 10); the network sees the last known value" in err
    assert pd.read_csv(tmp_path / "out.csv")["time"].iloc[0] == "2024-01-13 02:00:00"
    assert cli.main([*arguments, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 12
    assert rows[0]["q0.1"] <= rows[0]["q0.9"]
    assert cli.main(["evaluate", str(run_dir), "--backtest", "--stride", "12", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["baselines"]["ridge"]["mase"] > 0
    assert cli.main(["evaluate", str(run_dir), "--refit"]) == 2
    assert "Expected --backtest with --refit." in capsys.readouterr().err
    assert cli.main(["export", str(run_dir), str(tmp_path / "saved")]) == 0
    assert (tmp_path / "saved" / "1" / "assets" / "task.json").exists()
