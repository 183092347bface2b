import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from rnnapps.errors import RunError
from rnnapps.serving import ExportSpec, Signature, publish
from rnnapps.serving.export.export import is_served
from rnnapps.serving.export.requests import write_model_card
from rnnapps.serving.export.versions import next_version

HISTORY = tf.constant([[1.0, np.nan]])
SPECS = [tf.TensorSpec((None,), tf.string, "text"), tf.TensorSpec((None, 2), tf.float32, "history")]


def answer(text, history):
    return {"length": tf.strings.length(text), "sum": tf.reduce_sum(history, axis=1)}


@pytest.fixture
def version(tmp_path):
    signature = Signature(answer, SPECS, [tf.constant(["好看"]), HISTORY])
    signatures = {"serving_default": signature, "other": signature}
    model_card = {"application": "test", "metrics": {"accuracy": 0.5}}
    return publish(tmp_path / "counter", ExportSpec(signatures), model_card)


def test_the_warm_up_requests_are_real_requests_for_every_signature(version):
    loaded = tf.saved_model.load(str(version))
    records = list(
        tf.data.TFRecordDataset(str(version / "assets.extra/tf_serving_warmup_requests"))
    )
    asked = []
    for record in records:
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        inputs = {key: tf.constant(tf.make_ndarray(t)) for key, t in request.inputs.items()}
        found = loaded.signatures[request.model_spec.signature_name](**inputs)
        assert found["length"].numpy().tolist() == [6]
        asked.append((request.model_spec.name, request.model_spec.signature_name))
    assert asked == [("counter", "serving_default"), ("counter", "other")]


def test_the_card_holds_a_request_for_every_signature(version):
    model_card = json.loads((version / "model_card.json").read_text("utf-8"))
    assert model_card["application"] == "test"
    assert model_card["metrics"] == {"accuracy": 0.5}
    assert model_card["versions"]["tensorflow"] == tf.__version__
    inputs = model_card["requests"]["other"]["inputs"]
    assert inputs["text"] == ["好看"]
    np.testing.assert_array_equal(inputs["history"], HISTORY)


def test_bytes_that_are_no_text_are_base64_in_the_card(tmp_path):
    signature = Signature(answer, SPECS, [tf.constant([b"\xff"]), HISTORY])
    write_model_card(tmp_path, {}, {"serving_default": signature})
    model_card = json.loads((tmp_path / "model_card.json").read_text("utf-8"))
    assert model_card["requests"]["serving_default"]["inputs"]["text"] == [{"b64": "/w=="}]


def test_a_file_that_is_called_as_a_version_is_left_alone(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "2").touch()
    assert next_version(tmp_path) == tmp_path / "3"


def test_an_op_that_tf_serving_lacks_is_refused_and_nothing_is_left(tmp_path):
    def python(text):
        return {"text": tf.py_function(lambda text: text, [text], tf.string)}

    signature = Signature(python, SPECS[:1], [tf.constant(["a"])])
    with pytest.raises(RunError, match="EagerPyFunc, which TF Serving cannot run"):
        publish(tmp_path / "python", ExportSpec({"serving_default": signature}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("op", "served"),
    [("MatMul", True), ("StatelessWhile", True), ("SentencepieceOp", True),
     ("CudnnRNNV3", False), ("CudnnRNN", False), ("PyFuncStateless", False),
     ("Addons>GatherTree", False)],
)  # fmt: skip
def test_which_ops_are_served(op, served):
    assert is_served(op) == served
