"""TF Serving's REST API as an ASGI application.

Reference:
    [TF Serving's REST API](https://www.tensorflow.org/tfx/serving/api_rest)
"""

import json
import re
import urllib.parse
from typing import Any

from google.protobuf.json_format import MessageToDict
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
)

from rnnapps.serving.server.json_tensors import read_request, write_answer
from rnnapps.serving.server.model_manager import ModelManager
from rnnapps.serving.server.rpc import model_metadata, model_status, version_of
from rnnapps.serving.server.servable import DEFAULT
from rnnapps.serving.server.status import Code, StatusError, invalid
from rnnapps.serving.server.workers import Limits, Workers

_VERSION = r"(?:(?:/versions/(?P<version>\d+))|(?:/labels/(?P<label>[^/:]+)))?"
_ASK = re.compile(
    r"/v1/models/(?P<model>[^/:]+)" + _VERSION + ":(?P<method>classify|regress|predict)",
    re.ASCII | re.IGNORECASE,
)
_LOOK = re.compile(
    r"/v1/models(?:/(?P<model>[^/:]+))?" + _VERSION + "(?:/(?P<method>metadata))?",
    re.ASCII | re.IGNORECASE,
)
_PATIENCE = 16  # how many times the longest body is read, and thrown away, before hanging up


class RestApi:
    """Answers HTTP requests as TF Serving does.

    Args:
        manager: The models.
        workers: The threads that answer.
        limits: What a request may ask at most.
    """

    def __init__(self, manager: ModelManager, workers: Workers, limits: Limits):
        self._manager, self._workers, self._limits = manager, workers, limits
        self._held = 0  # bytes of bodies
        self._room = max(limits.held, 4 * limits.body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        body, status = bytearray(), 200
        try:
            await self._receive(request, body)
            path = scope.get("raw_path", scope["path"].encode()).decode("utf-8", "replace")
            answer = await self._workers.run(self._answer, request.method, path, bytes(body))
        except ClientDisconnect:
            return
        except StatusError as error:
            answer, status = json.dumps({"error": error.message}).encode(), error.http_status
        finally:
            self._held -= len(body)
        await Response(answer, status, media_type="application/json")(scope, receive, send)

    async def _receive(self, request: Request, body: bytearray) -> None:
        """Reads the body. One that is too long is read on without being kept, to be answered."""
        most, received = self._limits.body, 0
        async for chunk in request.stream():
            received += len(chunk)
            if received <= most:
                if self._held + len(chunk) > self._room:
                    raise StatusError(Code.UNAVAILABLE, "Too many requests: no room for the body")
                body += chunk
                self._held += len(chunk)
            elif received > _PATIENCE * most:
                break
        if received > most:
            raise StatusError(
                Code.INVALID_ARGUMENT, f"Request body is longer than {most} bytes", http_status=413
            )

    def _answer(self, method: str, path: str, body: bytes) -> bytes:
        found = {"POST": _ASK, "GET": _LOOK}.get(method)
        match = found and found.fullmatch(path)
        if not path.lower().startswith("/v1/"):
            raise StatusError(Code.NOT_FOUND, "Not Found")
        if not match:
            raise invalid(f"Malformed request: {method} {path}")
        spec = _spec(match)
        if method == "GET":
            return self._look(spec, match["method"])
        if match["method"] == "predict":
            return self._predict(spec, body)
        if match["method"] in ("classify", "regress"):
            return self._refuse(spec, match["method"])
        raise invalid(f"Malformed request: {method} {path}")

    def _look(self, spec: model_pb2.ModelSpec, what: str | None) -> bytes:
        if not spec.name:
            raise invalid("Missing model name in request.")
        if what == "metadata":
            request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec)
            request.metadata_field.append("signature_def")
            response = model_metadata(self._manager, request)
            signatures = get_model_metadata_pb2.SignatureDefMap()
            response.metadata["signature_def"].Unpack(signatures)
            answer = {
                "model_spec": _as_dict(response.model_spec),
                "metadata": {"signature_def": _as_dict(signatures)},
            }
        else:
            request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
            answer = _as_dict(model_status(self._manager, request))
        return json.dumps(answer, indent=1).encode()

    def _predict(self, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
        version = None

        def input_types(signature: str) -> dict[str, str]:
            nonlocal version
            version = version_of(self._manager, spec)
            return version.input_types(signature)

        signature, inputs, rows = read_request(body, input_types)
        for array in inputs.values():
            self._limits.check_rows(len(array) if array.ndim else 1)
        return write_answer(version.predict(signature, inputs), rows)

    def _refuse(self, spec: model_pb2.ModelSpec, method: str) -> bytes:
        """Our models have no signatures to classify or regress with, and TF Serving says so."""
        version = version_of(self._manager, spec)
        kind = {"classify": "classification", "regress": "regression"}[method]
        if DEFAULT not in version.signatures:
            raise invalid(f"No signature was found with the name: {DEFAULT}")
        received = version.signatures[DEFAULT].method_name
        raise invalid(
            f"Expected {kind} signature method_name to be tensorflow/serving/{method}. "
            f"Was: {received}"
        )


def _spec(match: re.Match) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=urllib.parse.unquote(match["model"] or ""))
    if match["version"]:
        digits = match["version"].lstrip("0") or "0"
        if len(digits) > 19 or int(digits) >= 2**63:
            raise invalid(f"Failed to convert version: {match['version']} to numeric.")
        spec.version.value = int(digits)
    if match["label"]:
        spec.version_label = urllib.parse.unquote(match["label"])
    return spec


def _as_dict(message: Any) -> dict[str, Any]:
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
