"""The client's gRPC transport. Its protos import TensorFlow."""

from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from rnnapps.errors import DataError, ServerError
from rnnapps.serving.client.transport import SignatureTypes, Unavailable
from rnnapps.serving.decimals import shortest

_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class GrpcTransport:
    """Sends gRPC requests over one channel.

    Args:
        address: `host:port`.
        model: The model's name.
        version: The version number; `None` for the latest.
        timeout: Time limit of one request, in seconds.
    """

    def __init__(self, address: str, model: str, version: int | None, timeout: float):
        self._address, self._timeout = address, timeout
        self._spec = model_pb2.ModelSpec(name=model)
        if version is not None:
            self._spec.version.value = version
        self._channel = grpc.insecure_channel(address, _OPTIONS)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(
        self, signature: str, types: SignatureTypes, inputs: dict[str, list]
    ) -> dict[str, Any]:
        request = predict_pb2.PredictRequest(model_spec=self._spec)
        request.model_spec.signature_name = signature
        for name, values in inputs.items():
            dtype = tf.dtypes.as_dtype(types_pb2.DataType.Value(types.inputs[name]))
            try:
                tensor = tf.make_tensor_proto(_as_bytes(values), dtype)
            except (TypeError, ValueError) as error:
                raise DataError(f"Input {name} is not a {dtype.name} tensor: {error}.") from None
            request.inputs[name].CopyFrom(tensor)
        response = self._ask(self._prediction.Predict, request)
        return {name: _as_lists(name, response.outputs[name]) for name in sorted(response.outputs)}

    def signatures(self) -> dict[str, SignatureTypes]:
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._spec, metadata_field=["signature_def"]
        )
        response = self._ask(self._prediction.GetModelMetadata, request)
        found = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(found)
        return {
            name: SignatureTypes(_types(signature.inputs), _types(signature.outputs))
            for name, signature in found.signature_def.items()
            if signature.inputs
        }

    def status(self) -> dict[int, tuple[str, str]]:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=self._spec)
        response = self._ask(self._models.GetModelStatus, request)
        name = get_model_status_pb2.ModelVersionStatus.State.Name
        return {
            status.version: (name(status.state), status.status.error_message)
            for status in response.model_version_status
        }

    def close(self) -> None:
        self._channel.close()

    def _ask(self, method: grpc.UnaryUnaryMultiCallable, request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout)
        except grpc.RpcError as error:
            where, code, said = f"grpc://{self._address}", error.code(), error.details()
        if said == "Deadline Exceeded":  # gRPC's own message; a server words its limit differently
            raise ServerError(f"{where} did not answer within {self._timeout:g} s.")
        kind = Unavailable if code == grpc.StatusCode.UNAVAILABLE else ServerError
        raise kind(f"{where} answered {code.name}: {said[:1000]}")


def _types(side: Any) -> dict[str, str]:
    return {name: types_pb2.DataType.Name(info.dtype) for name, info in side.items()}


def _as_bytes(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_bytes(element) for element in value]
    return value.encode("utf-8", "replace") if isinstance(value, str) else value


def _as_lists(name: str, proto: Any) -> Any:
    """A tensor in the form that REST returns."""
    array = tf.make_ndarray(proto)
    if array.dtype == object and not name.endswith("_bytes"):
        array = np.vectorize(lambda text: text.decode("utf-8", "replace"), [object])(array)
    elif array.dtype == np.float32:
        array = shortest(array)
    return array.tolist()
