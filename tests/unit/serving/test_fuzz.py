"""Whatever is sent, an answer in TF Serving's form comes back, and the server goes on.

`make test` sends 200 requests, `make fuzz` 10,000 (the environment variable `RNNAPPS_FUZZ`).
"""

import concurrent.futures
import http.client
import json
import os
import socket
import string
import urllib.parse

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from rnnapps.serving import Limits, Server

REQUESTS = int(os.environ.get("RNNAPPS_FUZZ", 200))
ERRORS = {400, 403, 404, 413, 431, 501, 503}
CODES = {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED"}
SIGNATURES = ["serving_default", "weigh", "plus_one", "kinds", "uneven", "half", "divide", "start",
              "step", "__saved_model_init_op", ""]  # fmt: skip
NAMES = ["text", "pair", "number", "x", "token", "prompt", "int8", "string", "bool", "b64", ""]


def fuzz(share):
    return settings(
        max_examples=round(REQUESTS * share),
        deadline=None,
        database=None,
        derandomize="RNNAPPS_FUZZ" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )


words = st.text(max_size=8)
names = st.sampled_from(NAMES) | words
numbers = (
    st.integers(-(2**70), 2**70) | st.integers(-3, 300) | st.floats() | st.just(10**400)
)  # fmt: skip
leaves = st.none() | st.booleans() | numbers | words | st.builds(lambda t: {"b64": t}, words)
documents = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
deep = st.builds(
    lambda depth, kind, leaf: json.loads(kind[0] * depth + json.dumps(leaf) + kind[1] * depth),
    st.integers(1, 600),
    st.sampled_from([("[", "]"), ("[[],", "]"), ('{"text":', "}"), ('[{"b64":', "}]")]),
    st.none() | words | st.integers(-3, 3),
)
texts = st.lists(words | st.just({"b64": "AP8="}), max_size=4)
pairs = st.lists(st.lists(numbers, min_size=1, max_size=3), max_size=4)
nearly = st.fixed_dictionaries(
    {},
    optional={
        "signature_name": st.sampled_from(SIGNATURES) | documents,
        "instances": texts | pairs | documents | deep,
        "inputs": texts
        | pairs
        | documents
        | deep
        | st.dictionaries(names, texts | pairs, max_size=3),
    },
)


def as_json(document):
    return json.dumps(document).encode()


@st.composite
def damaged(draw):
    """A request with a few bytes replaced."""
    body = draw(nearly.map(as_json))
    start = draw(st.integers(0, len(body)))
    return body[:start] + draw(st.binary(max_size=5)) + body[start + draw(st.integers(0, 5)) :]


bodies = nearly.map(as_json) | damaged() | documents.map(as_json) | st.binary(max_size=60)
segments = st.sampled_from(
    ["v1", "models", "toy", "versions", "labels", "metadata", "1", "0", "99", "..", ".", "%2e%2e",
     "toy:predict", ":predict", "toy:classify", "%ff", "%00", "9" * 30, "V1", ""]
) | st.text(string.ascii_letters + string.digits + string.punctuation, max_size=6)  # fmt: skip
paths = st.lists(segments, max_size=6).map("/".join).map(lambda path: "/" + path) | st.lists(
    segments, max_size=3
).map(lambda parts: "/v1/models/toy" + "/".join(["", *parts]))
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "FOO"])
headers = st.dictionaries(
    st.sampled_from(["Content-Type", "Accept", "Content-Encoding", "Expect", "X-Forwarded-For",
                     "Origin", "Host", "Access-Control-Request-Method"]),
    st.sampled_from(["application/json", "gzip", "text/html; charset=utf-16", "*", "x" * 3000,
                     "x" * 70_000, "localhost", "http://localhost", "null", "[::1", "a.test:99999",
                     "http://[", "127.0.0.1", "@", ""]),
    max_size=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def address(server):
    parts = urllib.parse.urlsplit(server.rest_address)
    address = parts.hostname, parts.port
    yield address
    status, answer = send(address, "POST", "/v1/models/toy:predict", b'{"inputs": ["still here"]}')
    assert (status, answer["outputs"]["text"]) == (200, ["still here"])


def send(address, method, path, body, headers=()):
    """Sends a request; returns its status and what came back, which is in TF Serving's form."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    connection.request(method, path, body, dict(headers))
    response = connection.getresponse()
    content = response.read()
    connection.close()
    page = urllib.parse.urlsplit(path).path == "/" and "text/html" in dict(headers).get(
        "Accept", ""
    )
    if page and response.status == 200:
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        return response.status, None
    assert response.headers["Content-Type"] == "application/json"
    assert response.status == 200 or response.status in ERRORS
    if method == "HEAD":
        return response.status, None
    answer = json.loads(content.decode("utf-8", "surrogateescape"))
    if response.status != 200:
        assert set(answer) == {"error"}
        assert isinstance(answer["error"], str)
        assert "Traceback" not in answer["error"]
    return response.status, answer


@fuzz(0.6)
@given(body=bodies, version=st.sampled_from(["", "/versions/1"]))
def test_bodies(address, body, version):
    path = f"/v1/models/toy{version}:predict"
    status, answer = send(address, "POST", path, body)
    if status == 200:
        [(key, found)] = answer.items()
        asked, _ = json.JSONDecoder().raw_decode(body.decode("utf-8", "surrogateescape").lstrip())
        assert key == ("predictions" if "instances" in asked else "outputs")
        if key == "predictions":
            assert len(found) == len(asked["instances"])


@fuzz(0.2)
@given(method=methods, path=paths, headers=headers, body=bodies)
def test_addresses(address, method, path, headers, body):
    send(address, method, path, body, headers)


@fuzz(0.05)
@given(st.lists(st.binary(max_size=80) | st.sampled_from([
    b"POST /v1/models/toy:predict HTTP/1.1\r\n", b"Content-Length: 10\r\n", b"\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nabcde\r\n", b"Host: x\r\n", b"GET / HTTP/9.9\r\n",
    b'{"instances": ["a"]}', b"Content-Length: -1\r\n", b"Long: " + b"x" * 70_000,
    b"Content-Length: 10\r\n\r\n12345", b"Origin: http://[\r\n",
]), max_size=6))  # fmt: skip
def test_bytes_that_are_no_http(address, pieces):
    with socket.create_connection(address, timeout=60) as client:
        client.sendall(b"".join(pieces))
        client.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert b"Traceback" not in received
    assert not received or received.startswith(b"HTTP/1.1 ")
    assert not received.startswith(b"HTTP/1.1 500")


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc_address.removeprefix("grpc://")) as channel:
        yield channel
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "toy"
        request.inputs["text"].CopyFrom(tensor_pb2.TensorProto(dtype=7, string_val=[b"still here"]))
        request.inputs["text"].tensor_shape.dim.add(size=1)
        assert stub.Predict(request).outputs["length"].int_val == [10]


shapes = st.lists(st.sampled_from([0, 1, 2, 3, -1, 2**40]), max_size=3)


@st.composite
def tensors(draw):
    proto = tensor_pb2.TensorProto(
        dtype=draw(st.sampled_from([0, 1, 3, 7, 9, 10, 22]) | st.integers(0, 60))
    )
    proto.tensor_shape.unknown_rank = draw(st.integers(0, 9)) == 0
    for size in draw(shapes):
        proto.tensor_shape.dim.add(size=size)
    proto.float_val.extend(draw(st.lists(st.floats(width=32), max_size=3)))
    proto.int_val.extend(draw(st.lists(st.integers(-5, 300), max_size=3)))
    proto.string_val.extend(draw(st.lists(st.binary(max_size=5), max_size=3)))
    proto.tensor_content = draw(st.just(b"") | st.binary(max_size=9))
    return proto


specs = st.builds(
    model_pb2.ModelSpec,
    name=st.sampled_from(["toy", "toy", "toy", "half", ""]) | words,
    signature_name=st.sampled_from(SIGNATURES) | words,
)


@fuzz(0.1)
@given(spec=specs, inputs=st.dictionaries(names, tensors(), max_size=3),
       outputs=st.lists(names, max_size=2))  # fmt: skip
def test_messages(channel, spec, inputs, outputs):
    request = predict_pb2.PredictRequest(model_spec=spec, output_filter=outputs)
    for name, tensor in inputs.items():
        request.inputs[name].CopyFrom(tensor)
    prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    look = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=outputs)
    status = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
    for call, message in (
        (prediction.Predict, request),
        (prediction.GetModelMetadata, look),
        (models.GetModelStatus, status),
        (prediction.Classify, classification_pb2.ClassificationRequest(model_spec=spec)),
    ):
        try:
            call(message, timeout=60)
        except grpc.RpcError as error:
            assert error.code().name in CODES, error


@fuzz(0.05)
@given(data=st.binary(max_size=60))
def test_bytes_that_are_no_message(channel, data):
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    try:
        call(data, timeout=60)
    except grpc.RpcError as error:
        # INTERNAL is gRPC's own answer to what is no message.
        assert error.code().name in CODES | {"INTERNAL"}, error


@pytest.fixture(scope="module")
def hasty(spinners):
    with Server(spinners, 0, 0, limits=Limits(threads=2, seconds=0.2)) as server:
        parts = urllib.parse.urlsplit(server.rest_address)
        yield parts.hostname, parts.port


@fuzz(0.02)
@given(st.lists(st.sampled_from([-1, 0, 1, 1000, 2**31 - 1]), min_size=1, max_size=4))
def test_requests_without_end(hasty, rounds):
    def post(number):
        body = json.dumps({"instances": [number]}).encode()
        connection = http.client.HTTPConnection(*hasty, timeout=60)
        connection.request("POST", "/v1/models/spin:predict", body)
        return connection.getresponse().status

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        statuses = pool.map(post, rounds)
        assert send(hasty, "GET", "/v1/models/spin", b"")[0] == 200
        for number, status in zip(rounds, statuses, strict=True):
            assert status in {-1: {504}, 0: {400, 504}}.get(number, {200, 504})
