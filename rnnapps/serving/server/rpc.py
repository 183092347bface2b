"""TF Serving's gRPC services: Predict, GetModelMetadata, GetModelStatus."""

import concurrent.futures
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import grpc
import numpy as np
from google.protobuf.message import DecodeError, Message
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from rnnapps.serving.server.lookups import model_metadata, model_status, spec_of, version_of
from rnnapps.serving.server.model_manager import ModelManager
from rnnapps.serving.server.monitor import Call, Monitor
from rnnapps.serving.server.protos import from_proto, to_proto
from rnnapps.serving.server.servable import DEFAULT, Servable
from rnnapps.serving.server.status import Code, StatusError
from rnnapps.serving.server.workers import Deadline, Limits, Room, Workers, guarded

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_SPARE = 64  # threads for requests that need no worker
_SAID = 1024  # bytes of an error message; gRPC loses the code if it is much longer

Request = TypeVar("Request", bound=Message)


class RpcApi:
    """Answers gRPC requests as TF Serving does; gRPC itself rejects other methods.

    Args:
        manager: The models.
        workers: The threads that run models.
        limits: Limits of a request.
        room: The memory budget for messages.
        monitor: Metrics and access log.
    """

    def __init__(
        self,
        manager: ModelManager,
        workers: Workers,
        limits: Limits,
        room: Room,
        monitor: Monitor,
    ):
        self._manager, self._workers, self._limits = manager, workers, limits
        self._room, self._monitor = room, monitor

    @property
    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """The handlers of TF Serving's services."""
        services = {
            "PredictionService": {
                "Predict": self._predict,
                "GetModelMetadata": self._metadata,
            },
            "ModelService": {"GetModelStatus": self._status},
        }
        return [
            grpc.method_handlers_generic_handler(
                f"tensorflow.serving.{service}",
                {name: self._handler(name, answer) for name, answer in methods.items()},
            )
            for service, methods in services.items()
        ]

    def _handler(
        self, name: str, answer: Callable[[bytes, Deadline, Call], Message]
    ) -> grpc.RpcMethodHandler:
        # Treated as a stream of one message, so that we control how long to wait for it.
        def handle(messages: Iterator[bytes], context: grpc.ServicerContext) -> Message:
            message = self._receive(messages, context)
            seconds = min(self._limits.seconds, context.time_remaining())  # infinity by default
            deadline = Deadline(seconds)
            try:
                with self._monitor.watch("grpc", name, context.peer()) as call:
                    self._room.take(len(message), len(message))
                    try:
                        return guarded(deadline, answer, message, deadline, call)
                    finally:
                        self._room.give_back(len(message))
            except StatusError as error:
                context.abort(_CODES[error.code], _cut(error.message))

        return grpc.stream_unary_rpc_method_handler(
            handle, response_serializer=lambda answer: answer.SerializeToString()
        )

    def _receive(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        late = threading.Timer(self._limits.body_seconds, context.cancel)
        late.daemon = True
        late.start()
        try:
            return next(messages)
        except StopIteration:
            context.abort(grpc.StatusCode.INTERNAL, "Expected a message. Received: none.")
        finally:
            late.cancel()

    def _status(self, message: bytes, *_: object) -> Message:
        request = _parse(get_model_status_pb2.GetModelStatusRequest, message)
        return model_status(self._manager, request)

    def _metadata(self, message: bytes, *_: object) -> Message:
        request = _parse(get_model_metadata_pb2.GetModelMetadataRequest, message)
        return model_metadata(self._manager, request)

    def _predict(self, message: bytes, deadline: Deadline, call: Call) -> Message:
        call.predicts = True
        return self._workers.run(deadline, _run, *self._read(message, call), deadline)

    def _read(
        self, message: bytes, call: Call
    ) -> tuple[predict_pb2.PredictRequest, Servable, dict[str, np.ndarray]]:
        request = _parse(predict_pb2.PredictRequest, message)
        version = version_of(self._manager, spec_of(request))
        call.model, call.version = version.model, str(version.number)
        for tensor in request.inputs.values():
            for dim in tensor.tensor_shape.dim[:1]:
                self._limits.check_rows(dim.size)
        most = self._limits.body
        inputs = {name: from_proto(name, tensor, most) for name, tensor in request.inputs.items()}
        self._limits.check(inputs)
        return request, version, inputs


def _parse(kind: type[Request], message: bytes) -> Request:
    try:
        return kind.FromString(message)
    except DecodeError:
        raise StatusError(Code.INTERNAL, f"Expected a {kind.DESCRIPTOR.name}.") from None


def _cut(message: str) -> str:
    """A message truncated to TF Serving's maximum length."""
    said = message.encode("utf-8", "replace")
    if len(said) > _SAID:
        said = said[:_SAID] + b"...TRUNCATED"
    return said.decode("utf-8", "ignore")


def _run(
    request: predict_pb2.PredictRequest,
    version: Servable,
    inputs: dict[str, np.ndarray],
    deadline: Deadline,
) -> predict_pb2.PredictResponse:
    signature = request.model_spec.signature_name
    outputs = version.predict(signature, inputs, request.output_filter, deadline.remaining)
    response = predict_pb2.PredictResponse()
    response.model_spec.name = version.model
    response.model_spec.version.value = version.number
    response.model_spec.signature_name = signature or DEFAULT
    for name, array in outputs.items():
        response.outputs[name].CopyFrom(to_proto(array))
    return response


def make_grpc_server(api: RpcApi, limits: Limits) -> grpc.Server:
    """Creates a gRPC server with TF Serving's services, without a port.

    Args:
        api: The service implementation.
        limits: Limits of the server.

    Returns:
        The server.
    """
    # Each request has a thread that reads it and waits; the workers reject excess requests.
    requests = limits.waiting + _SPARE
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(requests, "rnnapps-grpc"),
        handlers=api.handlers,
        options=[
            ("grpc.so_reuseport", 0),  # a port in use is an error
            ("grpc.max_receive_message_length", limits.body),
            ("grpc.max_send_message_length", -1),
            ("grpc.server_handshake_timeout_ms", round(1000 * limits.header_seconds)),
        ],
        maximum_concurrent_rpcs=requests,
    )
    return server
