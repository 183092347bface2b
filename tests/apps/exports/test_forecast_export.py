import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from rnnapps import Forecaster

HOURS = np.arange(300)
TABLE = pd.DataFrame({
    "time": pd.date_range("2024-01-01", periods=300, freq="h"),
    "load": 50 + 10 * np.sin(2 * np.pi * HOURS / 24) + 3 * np.cos(HOURS),
    "price": 5 + np.cos(2 * np.pi * HOURS / 24),
    "wind": 2 + np.sin(HOURS / 9),
    "heat": np.cos(HOURS / 5),
})  # fmt: skip
TABLE.loc[[40, 41], "load"] = np.nan
SETTINGS = {
    "units": 6, "epochs": 1, "lookback": 24, "horizon": 6, "segment": 6, "samples": 20,
    "target": ("load", "price"), "past_covariates": ("wind",), "future_covariates": ("heat",),
    "target_units": ("MW", "EUR"),
}  # fmt: skip


@pytest.fixture(scope="module")
def app():
    return Forecaster(**SETTINGS).fit(TABLE)


@pytest.fixture(scope="module")
def version(app, tmp_path_factory):
    return app.export(tmp_path_factory.mktemp("saved") / "forecasting")


@pytest.fixture(scope="module")
def asked(app):
    """Inputs with missing values, and what the application answers."""
    history = np.array(TABLE.iloc[60:108, 1:], np.float32).reshape(2, 24, 4)
    history[0, 3:6, 0] = history[1, -2:, 1] = np.nan
    heat = TABLE["heat"].to_numpy(np.float32)
    future = np.stack([heat[84:90], heat[108:114]])[..., None]
    answer = app.model({"history": history, "future_covariates": future})
    return history, future, {name: tensor.numpy() for name, tensor in answer.items()}


def test_the_export_answers_in_units_without_rnnapps(version, asked, tmp_path):
    history, future, expected = asked
    np.savez(tmp_path / "inputs.npz", history=history, future_covariates=future)
    script = (
        "import sys, numpy as np, tensorflow as tf\n"
        "loaded = tf.saved_model.load(sys.argv[1]).signatures['serving_default']\n"
        "inputs = {k: tf.constant(v) for k, v in np.load(sys.argv[2]).items()}\n"
        "answer = loaded(**inputs)\n"
        "assert 'rnnapps' not in sys.modules\n"
        "np.savez(sys.argv[3], **{k: v.numpy() for k, v in answer.items()})\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, version, tmp_path / "inputs.npz", tmp_path / "out.npz"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    received = np.load(tmp_path / "out.npz")
    for name in ("forecast", "quantiles"):
        np.testing.assert_allclose(received[name], expected[name], rtol=1e-5, atol=1e-4)
    assert 20 < received["forecast"][..., 0].mean() < 80  # a load, not a scaled value
    np.testing.assert_array_equal(received["quantiles"][..., 3], received["forecast"])


def test_the_signature_and_its_asset_name_everything(version):
    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
    specs = signature.structured_input_signature[1]
    assert {k: v.shape.as_list() for k, v in specs.items()} == {
        "history": [None, 24, 4], "future_covariates": [None, 6, 1],
    }  # fmt: skip
    assert {k: v.shape.as_list() for k, v in signature.structured_outputs.items()} == {
        "forecast": [None, 6, 2], "quantiles": [None, 6, 2, 7],
    }  # fmt: skip
    described = json.loads((version / "assets" / "task.json").read_text())
    assert described["history"] == ["load", "price", "wind", "heat"]
    assert described["future_covariates"] == ["heat"]
    assert described["targets"] == ["load", "price"]
    assert described["units"] == {"load": "MW", "price": "EUR"}
    assert described["freq"] == "h"
    assert described["quantiles"] == [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975]


@pytest.mark.system
@pytest.mark.parametrize("model", ["encoder_decoder", "deepar"])
def test_decoders_and_series_names_are_exported(model, tmp_path):
    frame = pd.concat([TABLE.assign(place=name) for name in ("north", "south")])
    frame.loc[frame["place"] == "south", "load"] *= 100
    app = Forecaster(**{**SETTINGS, "model": model, "series_column": "place"}).fit(frame)
    version = app.export(tmp_path / "saved")
    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
    history = TABLE.iloc[60:84, 1:].to_numpy(np.float32)
    history = np.stack([history] * 3)
    history[1, :, 0] *= 100
    answer = signature(
        history=tf.constant(history),
        future_covariates=tf.zeros((3, 6, 1)),
        series=tf.constant(["north", "south", "never seen"]),
    )
    forecast = answer["forecast"].numpy()
    np.testing.assert_allclose(forecast[1, :, 0], 100 * forecast[0, :, 0], rtol=1e-2)
    assert np.isfinite(forecast).all()
    meta = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    graph = meta.meta_graphs[0].graph_def
    used = {node.op for node in graph.node}
    used |= {node.op for function in graph.library.function for node in function.node_def}
    assert not {op for op in used if "Cudnn" in op or "PyFunc" in op}
