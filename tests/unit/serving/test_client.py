"""The client, against the local server by REST and by gRPC."""

import http.server
import json
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

from rnnapps.errors import ConfigError, DataError, ServerError
from rnnapps.serving import Client, ExportSpec, Limits, Server, Signature, publish


@pytest.fixture(scope="module", params=["rest", "grpc"])
def client(request, server):
    address = server.rest_address if request.param == "rest" else server.grpc_address
    with Client(address, "toy") as client:
        yield client


def test_texts_are_answered_row_by_row(client):
    assert client.predict(["好看", "a\ud800"]) == [
        {"length": 6, "text": "好看", "text_bytes": "好看".encode()},
        {"length": 2, "text": "a?", "text_bytes": b"a?"},
    ]
    assert client.predict([]) == []
    assert client.predict([b"\xff"])[0] == {"length": 1, "text": "\ufffd", "text_bytes": b"\xff"}


def test_named_inputs_and_single_outputs(client):
    pair = np.array([[1, 2], [3, np.nan]], np.float32)
    first, second = client.predict(signature="weigh", text=["a", ""], pair=pair)
    assert first == {"total": 3.0}
    assert np.isnan(second["total"])
    assert client.predict(signature="weigh", text="", pair=pair[:1]) == [{"total": -3.0}]
    assert client.predict(pair.tolist()[:1], "plus_one") == [{"pair": [2.0, 3.0]}]
    assert client.predict([[0.1, 0.2]], "plus_one") == [{"pair": [1.1, 1.2]}]


def test_generation_streams_with_no_state_on_the_server(client):
    assert "".join(client.generate_stream("abc", length=7, temperature=1.0, seed=1)) == "bcabcab"
    assert "".join(client.generate_stream("abc", length=3, temperature=2.0)) == "ABC"


def test_status_and_signatures(client):
    assert client.status() == {1: ("AVAILABLE", "")}
    assert client.signature("weigh").inputs == {"text": "DT_STRING", "pair": "DT_FLOAT"}
    assert client.signature().outputs["length"] == "DT_INT32"


@pytest.mark.parametrize(
    ("arguments", "options", "kind", "said"),
    [
        (["one text"], {}, DataError, "Expected a list of inputs. Received: 'one text'."),
        ([["a"], "weigh"], {}, DataError, "has the inputs pair, text; give each by its name"),
        ([], {"txt": ["a"]}, DataError, "Expected the inputs text .* Received: txt"),
        ([], {}, DataError, "Received: none"),
        ([], {"text": "a"}, DataError, "Expected inputs with the same number of rows"),
        ([None, "weigh"], {"text": ["a"], "pair": [[1, 2]] * 2}, DataError, "Expected inputs with"),
        ([["a"], "none"], {}, ServerError, "no signature none; it has divide, half, kinds"),
        ([[0], "divide"], {}, ServerError, "Integer division by zero"),
        ([[1]], {}, (DataError, ServerError), "string"),
        ([["a"], "uneven"], {}, ServerError, "with the same number of rows"),
    ],
)
def test_a_wrong_question_is_one_sentence(client, arguments, options, kind, said):
    with pytest.raises(kind, match=said):
        client.predict(*arguments, **options)


def test_unknown_models_and_versions(server):
    for address in (server.rest_address, server.grpc_address):
        with pytest.raises(ServerError, match=r"Servable not found for request: Latest\(half\)"):
            Client(address, "half").predict(["a"])
        with pytest.raises(ServerError, match=r"Specific\(toy, 3\)"):
            Client(address, "toy", version=3).predict(["a"])
        assert Client(address, "toy", version=1).predict(["a"])[0]["length"] == 1


@pytest.mark.parametrize("kind", ["rest", "grpc"])
def test_a_version_that_comes_may_have_other_outputs_and_inputs(tmp_path, publish_constant, kind):
    def size(words):
        return {"size": tf.strings.length(words)}

    words = tf.TensorSpec((None,), tf.string, "words")
    one = ExportSpec({"serving_default": Signature(size, [words], [tf.constant(["a"])])})
    with Server(tmp_path, rest_port=0, grpc_port=0, seconds=3600) as server:
        client = Client(getattr(server, f"{kind}_address"), "m")

        def publish_next(write):
            write()
            server.manager.look()

        publish_next(lambda: publish_constant(tmp_path / "m", 1))
        assert client.predict(["abc"]) == [{"text": "abc", "value": 1}]
        publish_next(lambda: publish(tmp_path / "m", one))
        with pytest.raises(ServerError):
            client.predict(["abc"])
        assert client.predict(words=["abc"]) == [{"size": 3}]
        publish_next(lambda: publish_constant(tmp_path / "m", 3))
        with pytest.raises(ServerError):
            client.predict(["abc"])
        assert client.predict(["abc"]) == [{"text": "abc", "value": 3}]


def test_an_only_output_has_its_new_name_when_the_old_one_is_not_fresh(tmp_path, monkeypatch):
    words = tf.TensorSpec((None,), tf.string, "words")

    def length_as(name):
        def function(words):
            return {name: tf.strings.length(words)}

        return ExportSpec({"serving_default": Signature(function, [words], [tf.constant(["a"])])})

    with Server(tmp_path, rest_port=0, grpc_port=0, seconds=3600) as server:
        client = Client(server.rest_address, "m")
        for name in ("size", "length"):
            publish(tmp_path / "m", length_as(name))
            server.manager.look()
            assert client.predict(["abc"]) == [{name: 3}]
            monkeypatch.setattr("rnnapps.serving.client.client._FRESH", 0.0)


def test_a_server_that_gives_up_is_quoted(spinners):
    with Server(spinners, 0, 0, limits=Limits(seconds=0.5)) as server:
        for address in (server.rest_address, server.grpc_address):
            with pytest.raises(ServerError, match=r"took longer than its time limit of 0\.5 s"):
                Client(address, "spin").predict([-1])


def test_what_json_does_not_hold_is_one_sentence(server):
    with pytest.raises(DataError, match="inputs that JSON holds"):
        Client(server.rest_address, "toy").predict([object()])


@pytest.mark.parametrize("url", ["http://me:secret@host:1", "grpc://me:secret@host:x"])
def test_a_password_is_refused_and_not_shown(url):
    with pytest.raises(ConfigError, match="without a user or password") as refused:
        Client(url, "toy")
    assert "secret" not in str(refused.value)


def test_a_host_that_cannot_be_one_is_one_sentence():
    with pytest.raises(ServerError, match=r"^http://a\.\.b: "):
        Client("http://a..b", "toy").status()


@pytest.mark.parametrize(
    "url", ["localhost:8501", "ftp://host", "http://", "grpc://host", "http://host:x", ""]
)
def test_an_address_that_is_none(url):
    with pytest.raises(ConfigError, match="Expected http://HOST:PORT"):
        Client(url, "toy")


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_is_away_is_waited_for(folder, scheme):
    probe = Server(folder, rest_port=0, grpc_port=0)
    with probe:
        ports = {"http": probe.rest_port, "grpc": probe.grpc_port}
    client = Client(f"{scheme}://127.0.0.1:{ports[scheme]}", "toy", retries=2)
    with pytest.raises(ServerError, match=r"Cannot reach|UNAVAILABLE"):
        client.predict(["a"])
    late = Server(folder, rest_port=ports["http"], grpc_port=ports["grpc"])
    starting = threading.Timer(0.3, late.start)
    starting.start()
    try:
        client.retries = 10
        assert client.predict(["a"])[0]["length"] == 1
    finally:
        starting.join()
        late.stop()


def test_a_busy_server_is_asked_again_and_nonsense_is_an_error():
    answers = [(503, b"busy"), (503, b'{"error": "busy"}'), (200, b'{"model_version_status": []}'),
               (200, b"<html>"), (200, b"{}"), (500, b"x" * 5000)]  # fmt: skip

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answers.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = Client(f"http://127.0.0.1:{server.server_port}", "toy", retries=2)
        assert client.status() == {}  # at the last try
        for said in ("answered 200: <html>", "answered 200: {}", "answered 500: x{1000}$"):
            with pytest.raises(ServerError, match=said):
                client.status()
        answers += [(503, b"busy")] * 3
        with pytest.raises(ServerError, match="busy"):
            client.status()
        server.shutdown()
    assert answers == []


def test_a_server_that_does_not_answer_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for scheme in ("http", "grpc"):
            client = Client(f"{scheme}://127.0.0.1:{port}", "toy", timeout=0.3, retries=0)
            with pytest.raises(ServerError, match=r"within 0\.3 s|UNAVAILABLE"):
                client.predict(["a"])


def test_rest_imports_no_tensorflow(server):
    script = (
        "import sys, json\n"
        "from rnnapps.serving import Client\n"
        f"print(json.dumps(Client({server.rest_address!r}, 'toy').predict(['a'])[0]['length']))\n"
        "assert 'tensorflow' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "1\n"), run.stderr


def test_the_command_line_asks_a_server(server):
    def run(*arguments, text=None):
        program = [sys.executable, "-m", "rnnapps.cli", "predict", "--server", server.rest_address]
        return subprocess.run([*program, *arguments], input=text, capture_output=True, text=True)

    found = run("toy", "好看", "b", "--json")
    assert found.returncode == 0, found.stderr
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    assert [(row["input"], row["length"]) for row in rows] == [("好看", 6), ("b", 1)]
    found = run("toy", "--signature", "plus_one", text="[1, 2.5]\n")
    assert (found.stdout, found.returncode) == ("[2.0, 3.5]\n", 0)
    found = run("toy", __file__, "--signature", "plus_one")
    assert found.returncode == 2
    assert "Expected no --signature with the file of a table" in found.stderr
    found = run("toy", "--signature", "plus_one", "x")
    assert (found.returncode, found.stderr) == (
        2,
        "rnnapps: Expected numbers as JSON, such as [1, 2.5]. Received: 'x'.\n",
    )
