"""TF Serving's gRPC services: Predict, GetModelMetadata, GetModelStatus."""

import concurrent.futures
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import Message
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from rnnapps.serving.server.model_manager import ModelManager
from rnnapps.serving.server.protos import from_proto, to_proto
from rnnapps.serving.server.servable import DEFAULT, Servable
from rnnapps.serving.server.status import StatusError, invalid
from rnnapps.serving.server.workers import Limits, Workers

_CODES = {code.value[0]: code for code in grpc.StatusCode}


def version_of(manager: ModelManager, spec: model_pb2.ModelSpec) -> Servable:
    """The loaded version that a request names.

    Args:
        manager: The models.
        spec: The model's name, and its version, if it says so.

    Raises:
        StatusError: If it is not loaded.
    """
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    if spec.HasField("version_label"):
        raise invalid(f"Unrecognized servable version label: {spec.version_label}")
    return manager.get(spec.name, spec.version.value if spec.HasField("version") else None)


def model_status(
    manager: ModelManager, request: get_model_status_pb2.GetModelStatusRequest
) -> get_model_status_pb2.GetModelStatusResponse:
    """The states of a model's versions."""
    spec = _spec(request)
    number = spec.version.value if spec.HasField("version") else None
    response = get_model_status_pb2.GetModelStatusResponse()
    for version, state in manager.states(spec.name, number).items():
        status = response.model_version_status.add(version=version)
        status.state = get_model_status_pb2.ModelVersionStatus.State.Value(state.name)
        status.status.error_code = int(state.code)
        status.status.error_message = state.message
    return response


def model_metadata(
    manager: ModelManager, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """A model's signatures."""
    spec = _spec(request)
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != "signature_def":
            raise invalid(f"Metadata field {field} is not supported")
    version = version_of(manager, spec)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in version.signatures.items():
        signatures.signature_def[name].CopyFrom(signature)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = version.model
    response.model_spec.version.value = version.number
    response.metadata["signature_def"].Pack(signatures)
    return response


def predict(
    manager: ModelManager, limits: Limits, request: predict_pb2.PredictRequest
) -> predict_pb2.PredictResponse:
    """A model's answer."""
    spec = _spec(request)
    version = version_of(manager, spec)
    for tensor in request.inputs.values():
        for dim in tensor.tensor_shape.dim[:1]:
            limits.check_rows(dim.size)
    inputs = {
        name: from_proto(name, tensor, limits.body) for name, tensor in request.inputs.items()
    }
    outputs = version.predict(spec.signature_name, inputs, request.output_filter)
    response = predict_pb2.PredictResponse()
    response.model_spec.name = version.model
    response.model_spec.version.value = version.number
    response.model_spec.signature_name = spec.signature_name or DEFAULT
    for name, array in outputs.items():
        response.outputs[name].CopyFrom(to_proto(array))
    return response


def _spec(request: Message) -> model_pb2.ModelSpec:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """TF Serving's `PredictionService`; the base class answers `UNIMPLEMENTED` for the rest.

    Args:
        manager: The models.
        workers: The threads that answer.
        limits: What a request may ask at most.
    """

    def __init__(self, manager: ModelManager, workers: Workers, limits: Limits):
        self._manager, self._workers, self._limits = manager, workers, limits

    def Predict(self, request, context):
        return _answer(self._workers, context, predict, self._manager, self._limits, request)

    def GetModelMetadata(self, request, context):
        return _answer(self._workers, context, model_metadata, self._manager, request)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """TF Serving's `ModelService`, without reloading its configuration.

    Args:
        manager: The models.
        workers: The threads that answer.
    """

    def __init__(self, manager: ModelManager, workers: Workers):
        self._manager, self._workers = manager, workers

    def GetModelStatus(self, request, context):
        return _answer(self._workers, context, model_status, self._manager, request)


def _answer(
    workers: Workers, context: grpc.ServicerContext, function: Callable, *arguments: Any
) -> Message:
    try:
        return workers.submit(function, *arguments).result()
    except StatusError as error:
        context.abort(_CODES[error.code], error.message)
    except concurrent.futures.CancelledError:
        context.abort(grpc.StatusCode.UNAVAILABLE, "The server is shutting down")


def make_grpc_server(manager: ModelManager, workers: Workers, limits: Limits) -> grpc.Server:
    """A gRPC server with TF Serving's services, which no port has been given yet.

    Args:
        manager: The models.
        workers: The threads that answer.
        limits: What a request may ask at most.

    Returns:
        The server.
    """
    # Its own threads only wait for the workers, which turn requests away when there are too many.
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(limits.waiting, "rnnapps-grpc"),
        options=[
            ("grpc.so_reuseport", 0),  # a taken port is a mistake
            ("grpc.max_receive_message_length", limits.body),
            ("grpc.max_send_message_length", -1),
        ],
        maximum_concurrent_rpcs=2 * limits.waiting,
    )
    prediction = PredictionService(manager, workers, limits)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        ModelService(manager, workers), server
    )
    return server
