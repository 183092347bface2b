"""TF Serving's REST API as an ASGI application.

Reference:
    [TF Serving's REST API](https://www.tensorflow.org/tfx/serving/api_rest)
"""

import asyncio
import contextlib
import json
import re
import urllib.parse
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToDict
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
)

from rnnapps.serving.server import front_page
from rnnapps.serving.server.http import HEADER_BYTES, HEADERS_TOO_LONG
from rnnapps.serving.server.json_tensors import read_request, write_answer
from rnnapps.serving.server.lookups import model_metadata, model_status, version_of
from rnnapps.serving.server.model_manager import ModelManager
from rnnapps.serving.server.monitor import CONTENT_TYPE, Call, Monitor
from rnnapps.serving.server.responses import error_response, html_response, json_response
from rnnapps.serving.server.servable import DEFAULT, Servable
from rnnapps.serving.server.status import Code, StatusError, invalid, shutting_down
from rnnapps.serving.server.workers import Deadline, Limits, Room, Workers

_VERSION = r"(?:(?:/versions/(?P<version>\d+))|(?:/labels/(?P<label>[^/:]+)))?"
_ASK = re.compile(
    r"/v1/models/(?P<model>[^/:]+)" + _VERSION + ":(?P<method>classify|regress|predict)",
    re.ASCII | re.IGNORECASE,
)
_LOOK = re.compile(
    r"/v1/models(?:/(?P<model>[^/:]+))?" + _VERSION + "(?:/(?P<method>metadata))?",
    re.ASCII | re.IGNORECASE,
)
METRICS = "/monitoring/prometheus/metrics"  # as in TF Serving
_EXAMPLE = re.compile(r"/examples/(?P<model>[^/]+)/(?P<signature>[^/]+)", re.ASCII)
_PATIENCE = 16  # multiple of the maximum body size to read and discard before disconnecting


class RestApi:
    """Answers HTTP requests as TF Serving does.

    Args:
        manager: The models.
        readers: The threads that parse requests.
        workers: The threads that run models.
        limits: Limits of a request.
        room: The memory budget for bodies.
        monitor: Metrics and access log.
    """

    def __init__(
        self,
        manager: ModelManager,
        readers: Workers,
        workers: Workers,
        limits: Limits,
        room: Room,
        monitor: Monitor,
    ):
        self._manager, self._readers, self._workers = manager, readers, workers
        self._limits, self._room, self._monitor = limits, room, monitor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope.get("raw_path", scope["path"].encode()).decode("utf-8", "replace")
        client = request.client.host if request.client else "-"
        try:
            with self._monitor.watch("rest", f"{request.method} {path}", client) as call:
                response = await self._respond(request, path, call)
        except ClientDisconnect:
            return
        except StatusError as error:
            response = error_response(error)
        await response(scope, receive, send)

    async def _respond(self, request: Request, path: str, call: Call) -> Response:
        body = bytearray()
        try:
            _check_headers(request)
            await self._receive(request, body)
            if request.method in ("GET", "HEAD") and not path.lower().startswith("/v1/"):
                return await self._show(request, path)
            return json_response(await self._answer(request.method, path, bytes(body), call))
        finally:
            self._room.give_back(len(body))

    async def _show(self, request: Request, path: str) -> Response:
        """The pages that TF Serving does not have, and its metrics."""
        deadline = Deadline(self._limits.seconds)
        if path == "/":
            address = f"{request.url.scheme}://{request.headers.get('host') or request.url.netloc}"
            found = await self._readers.run_async(
                deadline, front_page.describe, self._manager, address
            )
            if "text/html" in request.headers.get("accept", ""):
                return html_response(front_page.as_html(found))
            return json_response(json.dumps(found, indent=1).encode())
        if path == "/healthz":
            found = {"status": "ok", "models": self._manager.serving}
            return json_response(json.dumps(found).encode())
        if path == METRICS:
            return Response(self._monitor.metrics(), headers={"content-type": CONTENT_TYPE})
        if match := _EXAMPLE.fullmatch(path):
            names = map(urllib.parse.unquote, match.groups())
            return json_response(
                await self._readers.run_async(deadline, front_page.example, self._manager, *names)
            )
        raise StatusError(Code.NOT_FOUND, "Not Found")

    async def _receive(self, request: Request, body: bytearray) -> None:
        """Reads the body. Discards the rest of one that is too long, to answer with 413."""
        seconds = self._limits.body_seconds
        try:
            async with asyncio.timeout(seconds):
                await self._read(request, body)
        except TimeoutError:
            raise StatusError(
                Code.DEADLINE_EXCEEDED,
                f"The request did not arrive within {seconds:g} s",
                http_status=408,
            ) from None
        except asyncio.CancelledError:
            raise shutting_down() from None

    async def _read(self, request: Request, body: bytearray) -> None:
        most, received = self._limits.body, 0
        async for chunk in request.stream():
            received += len(chunk)
            if received <= most:
                self._room.take(len(chunk), received)
                body += chunk
            elif received > _PATIENCE * most:
                break
        if received > most:
            raise StatusError(
                Code.INVALID_ARGUMENT, f"Request body is longer than {most} bytes", http_status=413
            )

    async def _answer(self, method: str, path: str, body: bytes, call: Call) -> bytes:
        """Answers directly, or in a worker thread if a model has to run."""
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
            self._note(spec, call)
            return await self._predict(spec, body)
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

    async def _predict(self, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
        deadline = Deadline(self._limits.seconds)
        request = await self._readers.run_async(deadline, self._parse, spec, body)
        return await self._workers.run_async(deadline, _run, *request, deadline)

    def _note(self, spec: model_pb2.ModelSpec, call: Call) -> None:
        call.predicts = True
        with contextlib.suppress(StatusError):  # only served models are counted by name
            served = version_of(self._manager, spec)
            call.model, call.version = served.model, str(served.number)

    def _parse(
        self, spec: model_pb2.ModelSpec, body: bytes
    ) -> tuple[Servable, str, dict[str, np.ndarray], bool]:
        version = None

        def input_types(signature: str) -> dict[str, str]:
            nonlocal version
            version = version_of(self._manager, spec)
            return version.input_types(signature)

        signature, inputs, rows = read_request(body, input_types, self._limits.check_rows)
        self._limits.check(inputs)
        return version, signature, inputs, rows

    def _refuse(self, spec: model_pb2.ModelSpec, method: str) -> bytes:
        """Rejects `:classify` and `:regress`, which our models lack, as TF Serving does."""
        version = version_of(self._manager, spec)
        kind = {"classify": "classification", "regress": "regression"}[method]
        if DEFAULT not in version.signatures:
            raise invalid(f"No signature was found with the name: {DEFAULT}")
        received = version.signatures[DEFAULT].method_name
        raise invalid(
            f"Expected {kind} signature method_name to be tensorflow/serving/{method}. "
            f"Was: {received}"
        )


def _check_headers(request: Request) -> None:
    if sum(len(name) + len(value) for name, value in request.headers.raw) > HEADER_BYTES:
        raise StatusError(Code.INVALID_ARGUMENT, HEADERS_TOO_LONG, http_status=431)


def _run(
    version: Servable,
    signature: str,
    inputs: dict[str, np.ndarray],
    rows: bool,
    deadline: Deadline,
) -> bytes:
    return write_answer(version.predict(signature, inputs, seconds=deadline.remaining), rows)


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
