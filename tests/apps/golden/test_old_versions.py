"""What earlier versions wrote loads, and answers as it did."""

import json
import pathlib
import tarfile

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import rnnapps

HOME = pathlib.Path(__file__).parent
ARCHIVES = sorted(HOME.glob("*/*.tar.xz"))
# Random choices may fall otherwise where a sum is added up in another order; numbers may not.
CLOSE = {"rel": 1e-4, "abs": 1e-5}


@pytest.fixture(params=ARCHIVES, ids=lambda path: f"{path.parent.name}-{path.name[:-7]}")
def home(request, tmp_path, monkeypatch):
    """An archive's folder, which is the working directory, as it was when the run was trained."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = next(tmp_path.iterdir())
    monkeypatch.chdir(folder)
    return folder


def same(expected, received, where=""):
    """Asserts that all of an old answer is in a new one, which may say more."""
    if isinstance(expected, dict):
        assert set(expected) <= set(received), where
        for key, value in expected.items():
            same(value, received[key], f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(expected) == len(received), where
        for i, (one, other) in enumerate(zip(expected, received, strict=True)):
            same(one, other, f"{where}[{i}]")
    elif isinstance(expected, float):
        assert received == pytest.approx(expected, **CLOSE), where
    else:
        assert received == expected, where


def test_a_run_predicts_and_measures_as_it_did(home):
    old = json.loads((home / "answers.json").read_text("utf-8"))
    app = rnnapps.load("run")
    answer = app.predict(*([] if old["inputs"] is None else [old["inputs"]]), **old["options"])
    if isinstance(answer, pd.DataFrame):
        answer = json.loads(answer.to_json(orient="records", date_format="iso"))
    same(old["predict"], answer)
    same(old["evaluate"], app.evaluate())


def test_an_export_answers_as_it_did(home):
    import tensorflow_text  # noqa: F401 (registers the ops of subwords)

    old = json.loads((home / "answers.json").read_text("utf-8"))
    model = tf.saved_model.load(str(home / "export" / "1"))
    signature = model.signatures["serving_default"]
    types = {name: spec.dtype for name, spec in signature.structured_input_signature[1].items()}
    request = {name: tf.constant(value, types[name]) for name, value in old["request"].items()}
    for name, tensor in signature(**request).items():
        value = tensor.numpy()
        if value.dtype == object:
            value = np.char.decode(value.astype(bytes), "utf-8")
        same(old["served"][name], value.tolist(), name)
