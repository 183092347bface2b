"""Additions to a SavedModel: warm-up requests and a model card."""

import base64
import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

import rnnapps


@dataclasses.dataclass(frozen=True)
class Signature:
    """One function of a SavedModel.

    Args:
        function: Maps tensors to a dictionary of named tensors, with stock TensorFlow ops.
        inputs: The `tf.TensorSpec` of each argument, with its name.
        example: Arguments for comparing the written model with `function` and for warm-up.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: Sequence[tf.TensorSpec]
    example: Sequence[tf.Tensor]

    @property
    def request(self) -> dict[str, tf.Tensor]:
        """The example's arguments by name."""
        return {spec.name: tensor for spec, tensor in zip(self.inputs, self.example, strict=True)}


def asset_signature(assets: Mapping[str, str]) -> Signature:
    """The signature `describe`, through which remote clients read a model's assets.

    Args:
        assets: Texts by file name, as in `ExportSpec`.

    Returns:
        A signature from `name (batch,)` to `text (batch,)`, empty for unknown names.
    """
    names, texts = list(assets), list(assets.values())

    def answer(name):
        found = tf.fill(tf.shape(name), "")
        for one, text in zip(names, texts, strict=True):
            found = tf.where(name == one, text, found)
        return {"text": found}

    spec = tf.TensorSpec((None,), tf.string, "name")
    return Signature(answer, [spec], [tf.constant(names)])


def write_requests(version: pathlib.Path, model: str, signatures: Mapping[str, Signature]) -> None:
    """Writes a TF Serving warm-up request for each signature.

    Args:
        version: The version's folder.
        model: The model's name.
        signatures: The signatures by name.

    Reference:
        [SavedModel Warmup](https://www.tensorflow.org/tfx/serving/saved_model_warmup)
    """
    folder = version / "assets.extra"
    folder.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        for name, signature in signatures.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model
            request.model_spec.signature_name = name
            for key, tensor in signature.request.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(tensor))
            log = prediction_log_pb2.PredictLog(request=request)
            record = prediction_log_pb2.PredictionLog(predict_log=log)
            writer.write(record.SerializeToString())


def write_model_card(
    version: pathlib.Path, model_card: Mapping[str, Any], signatures: Mapping[str, Signature]
) -> None:
    """Writes `model_card.json`: a description and an example request for each signature.

    Args:
        version: The version's folder.
        model_card: The description.
        signatures: The signatures by name.
    """
    versions = {"rnnapps": rnnapps.__version__, "tensorflow": tf.__version__}
    requests = {
        name: {
            "signature_name": name,
            "inputs": {key: _plain(tensor) for key, tensor in signature.request.items()},
        }
        for name, signature in signatures.items()
    }
    text = json.dumps({**model_card, "versions": versions, "requests": requests}, indent=2)
    (version / "model_card.json").write_text(text + "\n", encoding="utf-8")


def _plain(tensor: tf.Tensor) -> Any:
    """A tensor as JSON values: missing numbers as `NaN`, which TF Serving reads."""
    values = np.asarray(tensor)
    if values.dtype == object:
        values = np.vectorize(_as_text, otypes=[object])(values)
    return values.tolist()


def _as_text(value: bytes) -> str | dict[str, str]:
    """Bytes as TF Serving reads them: as text, or as base64 if they are not valid UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}
