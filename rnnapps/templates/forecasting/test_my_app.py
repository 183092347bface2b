"""Trains small, on a table made here, and asks what was trained, saved and exported."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from my_app.app import Forecaster

HOURS = np.arange(600)
TABLE = pd.DataFrame({
    "time": pd.date_range("2024-01-01", periods=len(HOURS), freq="h"),
    "load": 100 + 20 * np.sin(2 * np.pi * HOURS / 24) + np.random.default_rng(0).normal(size=600),
})  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    app = Forecaster(
        target=["load"], horizon=12, lookback=48, segment=12, units=16, epochs=2, dropout=0.0,
        learning_rate=1e-2,
    )  # fmt: skip
    return app.fit(TABLE, run_dir=tmp_path_factory.mktemp("runs") / "small")


def test_it_learns(app):
    found = app.evaluate(TABLE)
    assert found["mae"] < found["baselines"]["last value"]["mae"] / 2


def test_a_saved_run_answers_the_same(app):
    again = Forecaster.load(app.run_dir)
    pd.testing.assert_frame_equal(again.predict(TABLE), app.predict(TABLE))


def test_an_export_answers_the_same(app, tmp_path):
    version = app.export(tmp_path / "my_app")
    export = tf.saved_model.load(str(version)).signatures["serving_default"]
    history = tf.constant(TABLE["load"].to_numpy()[-48:].reshape(1, 48, 1), tf.float32)
    forecast = export(history=history)["forecast"].numpy()  # (1, horizon, 1)
    np.testing.assert_allclose(forecast.ravel(), app.predict(TABLE)["forecast"], rtol=1e-4)
