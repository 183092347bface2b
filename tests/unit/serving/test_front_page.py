"""What the server has beside TF Serving's routes: a front page, health, counts and a log."""

import html
import http.client
import io
import json
import re
import subprocess
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from prometheus_client.parser import text_string_to_metric_families

from rnnapps.serving import Client, ExportSpec, Server, Signature, publish
from rnnapps.serving.server.rest import METRICS

TEXT = tf.TensorSpec((None,), tf.string, "text")
PAIR = tf.TensorSpec((None, 2), tf.float32, "pair")
SIGNATURES = {
    "serving_default": Signature(
        lambda text: {"length": tf.strings.length(text)}, [TEXT], [tf.constant(["it's"])]
    ),
    "weigh": Signature(
        lambda text, pair: {"total": tf.reduce_sum(pair, 1), "text": text},
        [TEXT, PAIR],
        [tf.constant(["a"]), tf.constant([[1.0, 2.0]])],
    ),
}


@pytest.fixture(scope="module")
def log():
    return io.StringIO()


@pytest.fixture(scope="module")
def served(tmp_path_factory, publish_constant, log):
    """A server of two models, one of them with markup in its name and a long example."""
    folder = tmp_path_factory.mktemp("served")
    publish(
        folder / "toy", ExportSpec(SIGNATURES), {"application": "counting", "data": "a <b> of it"}
    )
    publish_constant(folder / "it's", 3)
    card = folder / "it's" / "1" / "model_card.json"
    found = json.loads(card.read_text())
    found["requests"]["serving_default"]["inputs"]["text"] = ["x" * 3000]
    found["application"] = "of unknown data"
    card.write_text(json.dumps(found))
    publish_constant(folder / "bare", 4)
    card = folder / "bare" / "1" / "model_card.json"
    card.write_text('{"application": "of other tools", "requests": ["a"]}')
    (folder / "broken" / "1").mkdir(parents=True)
    with Server(folder, 0, 0, access_log=log) as server:
        yield server


def get(server, path, accept="*/*"):
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=60)
    connection.request("GET", path, headers={"Accept": accept})
    response = connection.getresponse()
    content = response.read().decode()
    connection.close()
    return response.status, response.headers["Content-Type"], content


def counts(server):
    _, kind, text = get(server, METRICS)
    assert kind.startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_programs_get_json_of_all_models_and_browsers_a_page(served):
    status, kind, content = get(served, "/")
    assert (status, kind) == (200, "application/json")
    models = {model["name"]: model for model in json.loads(content)["models"]}
    assert set(models) == {"toy", "it's", "bare", "broken"}
    assert models["it's"]["about"] == "of unknown data"
    assert (models["bare"]["about"], models["bare"]["signatures"][0]["curl"]) == ("", "")
    assert [one["state"] for one in models["toy"]["versions"]] == ["AVAILABLE"]
    assert [one["state"] for one in models["broken"]["versions"]] == ["END"]
    assert models["toy"]["signatures"][1]["inputs"] == [
        "pair: float [batch, 2]",
        "text: string [batch]",
    ]
    status, kind, page = get(served, "/", "text/html,application/xhtml+xml")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert "counting, of the data a &lt;b&gt; of it" in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert "<script" not in page


@pytest.mark.parametrize("model", ["toy", "it's"])
def test_a_shell_runs_each_line_of_the_page(served, model):
    """The second model's example is too long for a line, and is fetched first."""
    _, _, page = get(served, "/", "text/html")
    lines = [html.unescape(line) for line in re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)]
    name = model.replace("'", "%27")
    mine = [line for line in lines if f"/v1/models/{name}:predict" in line]
    assert len(mine) == {"toy": 2, "it's": 1}[model]
    for line in mine:
        run = subprocess.run(line, shell=True, capture_output=True, text=True, check=True)
        assert "outputs" in json.loads(run.stdout), line


def test_health_and_what_leads_nowhere(served):
    status, _, content = get(served, "/healthz")
    models = {"bare": 1, "it's": 1, "toy": 1}
    assert (status, json.loads(content)) == (200, {"status": "ok", "models": models})
    for path in ("/examples/toy/none", "/examples/none/serving_default", "/healthz/", "/examples"):
        status, kind, content = get(served, path)
        assert (status, kind, set(json.loads(content))) == (404, "application/json", {"error"})


def test_requests_errors_and_seconds_are_counted_by_model_and_version(served):
    before = counts(served)
    client = Client(served.rest_address, "toy")
    for _ in range(3):
        client.predict(["ab"])
    Client(served.grpc_address, "toy").predict(["ab"])
    for model, body in (("toy", b"{}"), ("nobody" * 9, b'{"instances": ["a"]}')):
        request = urllib.request.Request(f"{served.rest_address}/v1/models/{model}:predict", body)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request)
    after = counts(served)
    grown = {key: value - before.get(key, 0) for key, value in after.items()}
    rest = ("api", "rest"), ("model", "toy"), ("version", "1")
    grpc = ("api", "grpc"), *rest[1:]
    assert grown["rnnapps_requests_total", *rest] == 4
    assert grown["rnnapps_requests_total", *grpc] == 1
    bad = ("api", "rest"), ("code", "INVALID_ARGUMENT"), *rest[1:]
    assert grown["rnnapps_errors_total", *bad] == 1
    assert grown["rnnapps_request_seconds_count", *rest] == 4
    assert 0 < grown["rnnapps_request_seconds_sum", *rest] < 60
    buckets = [
        v
        for k, v in grown.items()
        if k[0].endswith("_bucket") and k[1] == rest[0] and ("model", "toy") in k
    ]
    assert np.all(np.diff(buckets) >= 0)
    assert buckets[-1] == 4
    assert not [key for key in after if "nobody" in str(key)]


def test_the_log_has_a_line_for_each_request_whatever_is_asked(served, log):
    start = len(log.getvalue())
    get(served, "/v1/models/toy")
    get(served, "/%0anot-a-line")
    get(served, "/healthz")
    lines = log.getvalue()[start:].splitlines()
    said = [
        re.fullmatch(r"\S+T\S+ 127\.0\.0\.1 rest (GET \S+) (\w+) \d+\.\d ms", line)
        for line in lines
    ]
    assert [one.groups() for one in said] == [
        ("GET /v1/models/toy", "OK"),
        ("GET /%0anot-a-line", "NOT_FOUND"),
        ("GET /healthz", "OK"),
    ]
