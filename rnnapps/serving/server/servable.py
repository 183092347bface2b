"""One loaded version of a SavedModel."""

import pathlib
from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from rnnapps.serving.export.saved_model import load, ops
from rnnapps.serving.server.protos import from_proto
from rnnapps.serving.server.status import Code, StatusError, invalid

DEFAULT = "serving_default"


class Servable:
    """A version of a model, ready to answer.

    Args:
        model: The model's name.
        number: The version's number.
        path: The version's folder.

    Raises:
        StatusError: If the folder holds no SavedModel to serve.
        Exception: Whatever else TensorFlow raises over a folder that is not whole.
    """

    def __init__(self, model: str, number: int, path: pathlib.Path):
        self.model, self.number = model, number
        graph = _read(path)
        self.signatures: dict[str, meta_graph_pb2.SignatureDef] = dict(graph.signature_def)
        if not all(hasattr(tf.raw_ops, op) for op in ops(graph.graph_def)):
            import tensorflow_text  # noqa: F401 (registers ops that TF Serving has, too)
        self._model = load(path)
        self._warm_up(path / "assets.extra" / "tf_serving_warmup_requests")

    def input_types(self, signature: str) -> dict[str, str]:
        """The type of each input of a signature, such as `{"text": "string"}`.

        Args:
            signature: The signature's name; `""` for the default one.

        Raises:
            StatusError: If there is no such signature.
        """
        name = signature or DEFAULT
        if name not in self.signatures:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        return {key: _kind(info.dtype) for key, info in self.signatures[name].inputs.items()}

    def predict(
        self,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        wanted: Iterable[str] = (),
    ) -> dict[str, np.ndarray]:
        """Answers a request.

        Args:
            signature: The signature's name; `""` for the default one.
            inputs: The inputs by name.
            wanted: The names of the outputs to answer; none for all.

        Returns:
            The outputs by name.

        Raises:
            StatusError: If the request does not fit the signature, or the model fails over it.
        """
        name = signature or DEFAULT
        if name not in self.signatures or name not in self._model.signatures:
            raise StatusError(
                Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
            )
        signature_def = self.signatures[name]
        tensors = _tensors(signature_def, inputs)
        wanted = _outputs(signature_def, wanted)
        try:
            outputs = self._model.signatures[name](**tensors)
            return {key: _array(outputs[key]) for key in wanted}
        except tf.errors.OpError as error:
            raise StatusError(error.error_code, error.message) from None

    def _warm_up(self, path: pathlib.Path) -> None:
        if not path.exists():
            return
        for record in tf.data.TFRecordDataset(str(path)):
            log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
            request = log.predict_log.request
            inputs = {key: from_proto(key, tensor) for key, tensor in request.inputs.items()}
            self.predict(request.model_spec.signature_name, inputs)


def _read(path: pathlib.Path) -> meta_graph_pb2.MetaGraphDef:
    file = path / "saved_model.pb"
    if not file.exists():
        raise StatusError(
            Code.NOT_FOUND,
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}",
        )
    for graph in saved_model_pb2.SavedModel.FromString(file.read_bytes()).meta_graphs:
        if "serve" in graph.meta_info_def.tags:
            return graph
    raise StatusError(
        Code.NOT_FOUND, "Could not find meta graph def matching supplied tags: { serve }."
    )


def _kind(dtype: int) -> str:
    """A type's name in TF Serving's messages."""
    name = tf.dtypes.as_dtype(dtype).name
    return {"float32": "float", "float64": "double", "float16": "half"}.get(name, name)


def _tensors(
    signature: meta_graph_pb2.SignatureDef, inputs: Mapping[str, np.ndarray]
) -> dict[str, tf.Tensor]:
    given, known = set(inputs), set(signature.inputs)
    if given != known:
        # TF Serving's sentence, where the numbers differ; the same where only the names do.
        sets = given, known, given - known, known - given
        lists = ["{" + ",".join(sorted(names)) + "}" for names in sets]
        raise invalid(
            f"input size does not match signature: {len(given)}!={len(known)} "
            f"len({lists[0]}) != len({lists[1]}). Sent extra: {lists[2]}. "
            f"Missing but required: {lists[3]}."
        )
    tensors = {}
    for name, array in inputs.items():
        info = signature.inputs[name]
        dtype, shape = tf.dtypes.as_dtype(info.dtype), tf.TensorShape(info.tensor_shape)
        received = "string" if array.dtype == object else array.dtype.name
        if received != dtype.name:
            raise invalid(f"Expected input {name} to be {dtype.name} but got {received}.")
        if not shape.is_compatible_with(array.shape):
            received = tf.TensorShape(array.shape)
            raise invalid(f"Expected input {name} to be of shape {shape} but got {received}.")
        tensors[name] = tf.constant(array, dtype)
    return tensors


def _array(tensor: tf.Tensor) -> np.ndarray:
    return np.array(tensor.numpy(), object if tensor.dtype == tf.string else None)


def _outputs(signature: meta_graph_pb2.SignatureDef, wanted: Iterable[str]) -> list[str]:
    names = list(wanted)
    for name in names:
        if name not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the "
                f"set {{{','.join(sorted(signature.outputs))}}}."
            )
        if names.count(name) > 1:
            raise invalid(f"duplicate output tensor alias: {name}")
    return names or sorted(signature.outputs)
