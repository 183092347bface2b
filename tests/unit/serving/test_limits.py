"""What one client asks costs the others nothing: limits of time and size, and the server's end."""

import concurrent.futures
import contextlib
import http.client
import json
import logging
import socket
import sys
import time
import urllib.parse

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from rnnapps.serving import Limits, Server
from rnnapps.serving.server.servable import Servable
from rnnapps.serving.server.status import Code, StatusError

ENDLESS, ONE_ROUND = b'{"instances": [-1]}', b'{"instances": [1]}'
PREDICT = "/v1/models/spin:predict"
SLACK = 10  # seconds that a busy machine may add


def seconds_of(function, *arguments):
    start = time.monotonic()
    return function(*arguments), time.monotonic() - start


def host_of(server):
    parts = urllib.parse.urlsplit(server.rest_address)
    return parts.hostname, parts.port


def ask(server, path, body=None, headers=()):
    connection = http.client.HTTPConnection(*host_of(server), timeout=60)
    connection.request("POST" if body else "GET", path, body, dict(headers))
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


def channel_of(server):
    return grpc.insecure_channel(server.grpc_address.removeprefix("grpc://"))


@pytest.fixture
def channel(short):
    with channel_of(short) as channel:
        yield channel


def request_of(rounds):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "spin"
    request.inputs["rounds"].CopyFrom(tf.make_tensor_proto([rounds]))
    return request


@pytest.fixture(scope="module")
def short(spinners):
    """A server with little patience."""
    limits = Limits(threads=2, seconds=2, header_seconds=0.5, body_seconds=0.5, held=0, body=2**18)
    with Server(spinners, rest_port=0, grpc_port=0, limits=limits) as server:
        yield server


def test_two_endless_requests_freeze_nothing_and_end_at_their_time(short, channel):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        endless = [pool.submit(ask, short, PREDICT, ENDLESS) for _ in range(2)]
        time.sleep(0.3)
        models = model_service_pb2_grpc.ModelServiceStub(channel)
        status = get_model_status_pb2.GetModelStatusRequest()
        status.model_spec.name = "spin"
        for expected, path, body in (
            (200, "/v1/models/spin", None),
            (200, "/v1/models/spin/metadata", None),
            (404, "/v1/models/nothing", None),
            (404, "/v1/models/nothing:predict", b'{"instances": [1]}'),
            (400, PREDICT, b'{"instances"'),
            (400, PREDICT, b'{"instances": ["a"]}'),
        ):
            assert ask(short, path, body)[0] == expected
        assert models.GetModelStatus(status, timeout=5).model_version_status
        assert not any(future.done() for future in endless)
        for future in endless:
            assert future.result(SLACK) == (
                504,
                {"error": "The request took longer than its time limit of 2 s"},
            )
    assert ask(short, PREDICT, ONE_ROUND) == (200, {"predictions": [1]})  # their work has ended


def test_the_time_limit_holds_by_grpc_and_a_shorter_deadline_counts(spinners, short, channel):
    with pytest.raises(grpc.RpcError) as refused:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request_of(-1))
    assert refused.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert refused.value.details() == "The request took longer than its time limit of 2 s"
    limits = Limits(threads=1, seconds=600)
    with Server(spinners, 0, 0, limits=limits) as server, channel_of(server) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError):
            stub.Predict(request_of(-1), timeout=0.5)
        assert stub.Predict(request_of(1), timeout=60).outputs["rounds"].int_val == [1]


def test_what_runs_and_what_waits_at_the_end_is_told_so(spinners, caplog):
    server = Server(spinners, 0, 0, limits=Limits(threads=1, seconds=600))
    server.start()
    channel = channel_of(server)
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    with concurrent.futures.ThreadPoolExecutor(2) as pool, channel:
        rest = [pool.submit(ask, server, PREDICT, ENDLESS) for _ in range(2)]
        rpc = stub.Predict.future(request_of(-1), timeout=60)
        time.sleep(0.5)
        _, seconds = seconds_of(server.stop, 0.5)
        assert seconds < 2 + SLACK
        for future in rest:
            assert future.result(SLACK) == (503, {"error": "The server is shutting down"})
        assert rpc.code() == grpc.StatusCode.UNAVAILABLE
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_refusal_in_the_graph_arrives_as_its_sentence(short, channel):
    said = "Expected rounds, [0] is none."
    assert ask(short, PREDICT, b'{"instances": [0]}') == (400, {"error": said})
    with pytest.raises(grpc.RpcError) as refused:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request_of(0))
    assert refused.value.details() == said


def test_a_time_that_is_over_is_no_leave_to_go_on_for_ever(spinners):
    version = Servable("spin", 1, spinners / "spin" / "1")
    version.load()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        endless = pool.submit(version.predict, "", {"rounds": np.array([-1], np.int32)}, (), 0.0)
        try:
            with pytest.raises(StatusError) as refused:
                endless.result(SLACK)
        finally:
            version.close()
    assert refused.value.code == Code.DEADLINE_EXCEEDED


# What does not arrive.


def receive(client):
    client.settimeout(SLACK)
    head, _, body = b"".join(iter(lambda: client.recv(65536), b"")).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


@pytest.mark.parametrize(
    "before", [b"", b"GET /v1/models/spin HTTP/1.1\r\nHost: localhost\r\n\r\n"]
)
def test_headers_that_do_not_end_are_refused(short, before):
    with socket.create_connection(host_of(short), SLACK) as client:
        client.sendall(before)
        while before and not client.recv(65536).endswith(b"}"):
            pass
        client.sendall(b"GET / HTTP/1.1\r\n")
        (status, said), seconds = seconds_of(receive, client)
    assert (status, said) == (408, "The headers did not arrive in time")
    assert 0.3 < seconds < SLACK


def upload(server, length, sent):
    client = socket.create_connection(host_of(server), SLACK)
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
    client.sendall(head.encode() + b" " * sent)
    return client


def test_a_body_that_does_not_end_is_refused(short):
    with upload(short, 100, 50) as client:
        assert receive(client) == (408, "The request did not arrive within 0.5 s")


@pytest.mark.system
def test_unfinished_uploads_turn_no_small_request_away(spinners):
    limits = Limits(body=2**18, held=0, body_seconds=3)
    with Server(spinners, 0, 0, limits=limits) as server, contextlib.ExitStack() as uploads:
        clients = [uploads.enter_context(upload(server, 2**18, 2**18 - 1)) for _ in range(8)]
        time.sleep(0.5)
        assert ask(server, PREDICT, ONE_ROUND)[0] == 200
        long = ONE_ROUND + b" " * 2**17
        assert ask(server, PREDICT, long)[0] == 503
        assert {receive(client)[0] for client in clients} == {408, 503}
        assert ask(server, PREDICT, long)[0] == 200


def test_messages_that_wait_are_held_in_the_room_that_there_is(spinners):
    limits = Limits(threads=2, seconds=1, held=0, body=2**19, rows=2**17)
    request = request_of(-1)
    request.inputs["rounds"].CopyFrom(tf.make_tensor_proto([-1] * (2**17 - 2**10)))
    with Server(spinners, 0, 0, limits=limits) as server, channel_of(server) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        codes = [one.code().name for one in [stub.Predict.future(request) for _ in range(12)]]
        assert set(codes) == {"DEADLINE_EXCEEDED", "UNAVAILABLE"}
        with pytest.raises(grpc.RpcError) as refused:  # nothing of it lasts
            stub.Predict(request)
        assert refused.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_grpc_message_that_does_not_arrive_is_cancelled(short, channel):
    call = channel.stream_unary("/tensorflow.serving.PredictionService/Predict")
    end = concurrent.futures.Future()
    never = call.future(iter(end.result, None))
    code, seconds = seconds_of(never.code)
    end.set_result(None)
    assert code == grpc.StatusCode.CANCELLED
    assert seconds < SLACK


@pytest.mark.parametrize("refused", [False, True])
def test_a_body_may_be_slow_whatever_was_asked_before(server, monkeypatch, refused):
    monkeypatch.setattr("rnnapps.serving.server.http._LINGER", 0.3)
    body = b'{"instances": ["a"]}'
    ask = f"POST /v1/models/toy:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
    before = b"GET /v1/models/toy HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(host_of(server), SLACK) as client:
        if refused:  # before its body has arrived
            client.sendall(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\n")
            while not client.recv(65536).endswith(b"}"):
                pass
            before = b"x"
        client.sendall(before + ask.encode() + b"\r\nConnection: close\r\n\r\n" + body[:5])
        time.sleep(1)
        client.sendall(body[5:])
        answers = b"".join(iter(lambda: client.recv(65536), b""))
    assert answers.endswith(b'"text_bytes": {"b64": "YQ=="}}]}')


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")
def test_a_client_that_reads_nothing_of_its_answer_is_hung_up_on(folder):
    length, received = 5_000_000, 0
    body = json.dumps({"instances": ["a" * length]}).encode()
    head = f"POST /v1/models/toy:predict HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n"
    with Server(folder, 0, 0, limits=Limits(body_seconds=1)) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        client.connect(host_of(server))
        client.sendall(head.encode() + body)
        received += len(client.recv(1))
        time.sleep(2.5)
        with contextlib.suppress(ConnectionResetError):
            while piece := client.recv(2**20):
                received += len(piece)
    assert received < length


# What is too long.


@pytest.mark.parametrize(("length", "end"), [(70_000, b""), (70_000, b"\r\n\r\n"), (10**6, b"")])
def test_headers_that_are_too_long_are_refused(short, length, end):
    with socket.create_connection(host_of(short), SLACK) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nLong: " + b"x" * length + end)
        client.shutdown(socket.SHUT_WR)
        assert receive(client) == (431, "The headers are longer than 65536 bytes")


def test_texts_are_counted_as_long_as_the_longest(folder):
    with Server(folder, 0, 0, limits=Limits(body=100_000)) as server:
        path = "/v1/models/toy:predict"
        texts = ["a" * 1000] + ["a"] * 99
        assert ask(server, path, json.dumps({"instances": texts}).encode())[0] == 200
        assert ask(server, path, json.dumps({"instances": [*texts, "a"]}).encode()) == (
            400,
            {
                "error": "Expected the texts of text, each filled up to the longest, to be at most "
                "100000 bytes. Received: 101 texts, the longest of 1000 bytes."
            },
        )
