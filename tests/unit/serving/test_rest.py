"""TF Serving's REST contract: its documentation's and its tests' words, literally."""

import base64
import concurrent.futures
import json
import math
import tracemalloc
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow as tf

from rnnapps.serving import Limits, Server
from rnnapps.serving.server.json_text import parse
from rnnapps.serving.server.status import StatusError


def error(answer):
    status, body = answer
    assert set(body) == {"error"}
    return status, body["error"]


# Predict.


def test_rows_and_columns_answer_in_their_own_format(predict):
    rows = [{"text": "ab", "pair": [1, 2]}, {"text": "", "pair": [3, 4.5]}]
    assert predict({"signature_name": "plus_one", "instances": [[1, 2], [3, -4.5]]}) == (
        200,
        {"predictions": [[2.0, 3.0], [4.0, -3.5]]},
    )
    assert predict({"signature_name": "plus_one", "inputs": [[1, 2]]}) == (
        200,
        {"outputs": [[2.0, 3.0]]},
    )
    assert predict({"signature_name": "plus_one", "inputs": {"pair": [[1, 2]]}})[0] == 200
    assert predict({"signature_name": "plus_one", "instances": [{"pair": [1, 2]}]}) == (
        200,
        {"predictions": [[2.0, 3.0]]},
    )
    assert predict({"signature_name": "weigh", "instances": rows}) == (
        200,
        {"predictions": [3.0, -7.5]},
    )
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    assert predict({"signature_name": "weigh", "inputs": columns}) == (
        200,
        {"outputs": [3.0, -7.5]},
    )


def test_several_outputs_are_named_and_bytes_are_base64(predict):
    encoded = {"b64": base64.b64encode("好看".encode()).decode()}
    row = {"length": 6, "text": "好看", "text_bytes": encoded}
    assert predict({"instances": ["好看"]}) == (200, {"predictions": [row]})
    assert predict({"instances": [encoded]}) == (200, {"predictions": [row]})
    assert predict({"inputs": [encoded]}) == (
        200,
        {"outputs": {name: [value] for name, value in row.items()}},
    )
    for text in ("a", "ab", "abc"):  # which base64 fills up with two signs, with one and with none
        padded = base64.b64encode(text.encode()).decode()
        for written in (padded, padded.rstrip("="), "\n".join(padded)):
            _, body = predict({"instances": [{"text": {"b64": written}}]})
            assert body["predictions"][0]["text"] == text
    assert error(predict({"instances": [{"b64": "$"}]}))[1].endswith("Unable to base64 decode")


def test_the_documented_answer_is_written_as_documented(predict):
    status, body = predict(
        b'{"signature_name": "plus_one", "instances": [[0.2, 1e30]]}', as_bytes=True
    )
    assert (status, body) == (200, b'{"predictions": [[1.2, 1e+30]]}')


def test_an_empty_batch(predict):
    assert predict({"inputs": []}) == (
        200,
        {"outputs": {"length": [], "text": [], "text_bytes": []}},
    )
    assert error(predict({"instances": []})) == (
        400,
        "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array",
    )


def test_strings_that_are_not_utf8_come_back_as_they_were(predict):
    status, body = predict(b'{"instances": ["\xff\xc3( \\u00e9"]}', as_bytes=True)
    assert status == 200
    assert b'"text": "\xff\xc3( \xc3\xa9"' in body
    assert base64.b64encode(b"\xff\xc3( \xc3\xa9") in body


def test_not_a_number_goes_in_and_out(predict):
    status, body = predict(
        b'{"signature_name": "plus_one", "instances": [[NaN, Infinity], [-Infinity, 1]]}',
        as_bytes=True,
    )
    assert status == 200
    assert b"[[NaN, Infinity], [-Infinity, 2.0]]" in body
    assert math.isnan(json.loads(body)["predictions"][0][0])


def test_every_type_goes_in_and_out(predict):
    row = {
        "float32": 0.1, "float64": 0.1, "int8": -7, "int16": -7, "int32": -(2**31),
        "int64": -(2**63), "uint8": 200, "uint32": 2**32 - 1, "uint64": 2**64 - 1,
        "bool": True, "string": "é\u0000\"\n",
    }  # fmt: skip
    assert predict({"signature_name": "kinds", "instances": [row]}) == (
        200,
        {"predictions": [row]},
    )
    columns = {name: [value, value] for name, value in row.items()}
    assert predict({"signature_name": "kinds", "inputs": columns}) == (200, {"outputs": columns})
    for name, value, shown in [
        ("int32", 2**31, "2147483648"), ("int64", 2**63, "9223372036854775808"),
        ("uint32", -1, "-1"), ("uint64", 2**64, "18446744073709551616"), ("int32", 1.0, "1.0"),
        ("float32", "1", '"1"'), ("float64", None, "null"), ("bool", 1, "1"),
        ("string", 1, "1"), ("int64", True, "true"),
    ]:  # fmt: skip
        status, said = error(
            predict({"signature_name": "kinds", "instances": [{**row, name: value}]})
        )
        assert status == 400
        columns = {key: [one] for key, one in {**row, name: value}.items()}
        assert error(predict({"signature_name": "kinds", "inputs": columns})) == (
            400, said.partition("INVALID_ARGUMENT: ")[2],
        )  # fmt: skip
        kind = {"float32": "float", "float64": "double"}.get(name, name)
        types = {str: "String", type(None): "Null", bool: "True"}
        assert said == (
            f"Failed to process element: 0 key: {name} of 'instances' list. Error: "
            f"INVALID_ARGUMENT: JSON Value: {shown} Type: {types.get(type(value), 'Number')} "
            f"is not of expected type: {kind}"
        )


# The words of TF Serving's tests: json_tensor_test.cc, http_rest_api_handler_test.cc.
ERRORS = [
    (b"", "JSON Parse error: The document is empty"),
    (b"  \n", "JSON Parse error: The document is empty. at offset: 3"),
    (b"instances = [1, 2]", "JSON Parse error: Invalid value. at offset: 0"),
    (b'{"instances": ["a"}', "JSON Parse error: Missing a comma or ] after an array element. at"),
    (b'{"instances": ["a"] 1', "JSON Parse error: Missing a comma or } after an object member. at"),
    (b'{"instances" ["a"]}', "JSON Parse error: Missing a colon after a name of object member. at"),
    (b"{instances: 1}", "JSON Parse error: Missing a name for object member. at offset: 1"),
    (b'{"instances": ["a]}', "JSON Parse error: Missing a closing quotation mark in string. at"),
    (b'{"instances": ["\\x"]}', "JSON Parse error: Invalid escape character in string. at"),
    (b'{"instances": ["\\u12"]}', "JSON Parse error: Incorrect hex digit after \\u escape in"),
    (b'{"instances": ["\\ud800"]}', "JSON Parse error: The surrogate pair in string is invalid."),
    (b'{"instances": [1e999]}', "JSON Parse error: Number too big to be stored in double."),
    (b'{"instances": [' + b"9" * 5000, "JSON Parse error: Number too big to be stored in double."),
    (b"[1, 2]", "JSON Value: [1, 2] Is not object"),
    (b'{"signature_name": 5}', "'signature_name' key must be a string value."),
    (b"{}", "Missing 'inputs' or 'instances' key"),
    (b'{"instances": 1, "inputs": 2}', "Not formatted correctly expecting only one of 'inputs' or "
     "'instances' keys to exist "),
    (b'{"instances": 1}', "Expecting 'instances' to be an list/array"),
    (b'{"instances": [1]}', "Failed to process element: 0 of 'instances' list. Error: "
     "INVALID_ARGUMENT: JSON Value: 1 Type: Number is not of expected type: string"),
    (b'{"instances": [{"txt": "a"}]}', "JSON object: does not have named input: txt"),
    (b'{"instances": [{}]}', "JSON object: {} keys must be equal to: text"),
    (b'{"instances": [{"text": "a"}, "b"]}', "Expecting object but got list at item 1 of input "
     "list"),
    (b'{"instances": ["b", {"text": "a"}]}', "Expecting value/list but got object at item 1 of "
     "input list"),
    (b'{"instances": [["a"], ["b", "c"]]}', "Expecting tensor size: 1 but got: 2"),
    (b'{"instances": ["a", ["b"]]}', "Expecting shape [] but got: [1]"),
    (b'{"inputs": [["a"], "b"]}', 'JSON Value: "b" found at incorrect level: 2 in the JSON DOM. '
     "Expected at level: 2"),
    (b'{"inputs": ["a", ["b"]]}', "Encountered list at unexpected level: 1 expected < 1"),
    (b'{"inputs": [["a"], ["b", "c"]]}', "Encountered list at unexpected size: 2 at level: 1 "
     "expected size: 1"),
    (b'{"inputs": {"txt": ["a"]}}', "Missing named input: text in 'inputs' object."),
    (b'{"inputs": [{"b65": "a"}]}', "not formatted correctly for base64 data"),
    (b'{"signature_name": "weigh", "inputs": ["a"]}', "inputs is a plain value/list, but expecting "
     "an object as multiple input tensors required as per tensorinfo_map"),
    (b'{"signature_name": "weigh", "instances": ["a"]}', "instances is a plain list, but expecting "
     "list of objects as multiple input tensors required as per tensorinfo_map"),
    (b'{"signature_name": "weigh", "instances": [{"b64": "AA=="}]}', "Type: Object is not "
     "of expected type: float"),
    (b'{"signature_name": "none", "instances": ["a"]}', 'Serving signature name: "none" not found '
     "in signature def"),
    (b'{"signature_name": "__saved_model_init_op", "instances": ["a"]}', "Failed to get input map "
     "for signature: __saved_model_init_op"),
    (b'{"signature_name": "uneven", "instances": ["a"]}', "Tensor name: count has no shape "
     "information "),
    (b'{"signature_name": "half", "instances": [1]}', "Failed to write JSON value for tensor type: "
     "half"),
    (b'{"signature_name": "divide", "instances": [0]}', "Integer division by zero"),
    (b'{"instances": [' + b"[" * 500 + b"]" * 500 + b"]}", "Expecting at most 31 dimensions of a"),
    (b'{"instances": [' + b'{"text":' * 500 + b"1" + b"}" * 500 + b"]}", "not formatted correctly"),
    (b'{"signature_name":' + b"[" * 500_000, "The document is nested too deeply."),
]  # fmt: skip


@pytest.mark.parametrize(("body", "said"), ERRORS)
def test_a_wrong_body_is_answered_in_tf_servings_words(predict, body, said):
    status, message = error(predict(body))
    assert status == 400
    assert said in message


def test_a_request_is_not_held_to_the_shape_in_the_signature(predict):
    assert predict({"signature_name": "divide", "instances": [[1], [2]]}) == (
        200,
        {"predictions": [[1], [0]]},
    )


def test_a_model_of_tensorflow_1_is_served_as_tf_serving_does(tmp_path):
    """TF Serving's own example, half_plus_two."""
    v1, graph = tf.compat.v1, tf.Graph()
    with graph.as_default(), v1.Session(graph=graph) as session:
        x = v1.placeholder(tf.float32, [None, 1])
        half = v1.get_variable("half", initializer=0.5, use_resource=False)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(
            session, str(tmp_path / "m" / "1"), {"x": x}, {"y": half * x + 2}
        )
    with Server(tmp_path, rest_port=0, grpc_port=0) as server:
        url = server.rest_address + "/v1/models/m:predict"
        with urllib.request.urlopen(url, b'{"instances": [2.0, 3.0, 4.0]}', timeout=30) as answer:
            assert json.load(answer) == {"predictions": [3.0, 3.5, 4.0]}


def test_what_follows_the_document_is_ignored(predict):
    assert predict(b'{"instances": ["a"]} and more')[0] == 200
    assert predict(b'\xef\xbb\xbf{"instances": ["a"]}')[0] == 200


def test_surrogates_make_pairs_or_an_error():
    assert parse(rb'["\ud83d\ude00", "\\ud800"]') == ["😀", r"\ud800"]
    for body in (rb'["\ud83d"]', rb'["\ude00"]', rb'["\ud83d\ud83d"]', rb'["\\\ude00"]',
                 rb'["\\ud83d\ude00"]', rb'["\\ud83d\udc80"]'):  # fmt: skip
        with pytest.raises(StatusError, match="surrogate pair"):
            parse(body)
    assert parse(rb'["a"] "\ud800"') == ["a"]  # what follows is not read


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"instances": ["' + b"a" * 2**21 + b"\\n" * 2**20 + b'" 1', "Missing a comma or ]"),
        (b'["' + b"\\\\" * 2**21 + b'\\ud800"]', "surrogate pair"),
    ],
    ids=["string", "backslashes"],
)
def test_what_is_wrong_with_a_long_body_is_found_in_little_memory(body, said):
    tracemalloc.start()
    try:
        with pytest.raises(StatusError, match=said):
            parse(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * len(body)


def test_a_long_value_is_cut_in_a_message(predict):
    status, said = error(predict({"inputs": {"text": ["a" * 10_000, 1]}, "instances": 1}))
    assert status == 400
    assert len(said) < 700


# Addresses.

ADDRESSES = [
    ("GET", "/v1/foo", 400, "Malformed request: GET /v1/foo"),
    ("POST", "/v1/foo", 400, "Malformed request: POST /v1/foo"),
    ("PUT", "/v1/models/toy", 400, "Malformed request: PUT /v1/models/toy"),
    ("DELETE", "/v1/models/toy:predict", 400, "Malformed request: DELETE /v1/models/toy:predict"),
    ("GET", "/v1/models", 400, "Missing model name in request."),
    ("POST", "/v1/models", 400, "Malformed request: POST /v1/models"),
    ("GET", "/v1/models/toy:predict", 400, "Malformed request: GET /v1/models/toy:predict"),
    ("GET", "/v1/models/debug/model_name", 400, "Malformed request: GET /v1/models/debug/model_"),
    ("POST", "/v1/models/toy/metadata", 400, "Malformed request: POST /v1/models/toy/metadata"),
    ("POST", "/v1/models/toy/version/5:predict", 400, "Malformed request"),
    ("POST", "/v1/models/toy/versions/x:predict", 400, "Malformed request"),
    ("POST", "/v1/models/toy/versions/5/labels/a:predict", 400, "Malformed request"),
    ("POST", "/v1/models/toy:PREDICT", 400, "Malformed request"),
    ("POST", "/v1/models/toy/versions/18446744073709551615:predict", 400,
     "Failed to convert version: 18446744073709551615 to numeric."),
    ("POST", "/v1/models/half:predict", 404, "Servable not found for request: Latest(half)"),
    ("POST", "/v1/models/toy/versions/99:predict", 404,
     "Servable not found for request: Specific(toy, 99)"),
    ("POST", "/v1/models/toy/labels/stable:predict", 400,
     "Unrecognized servable version label: stable"),
    ("GET", "/v1/models/half", 404, "Could not find any versions of model half"),
    ("GET", "/v1/models/toy/versions/99", 404, "Could not find version 99 of model toy"),
    ("GET", "/v1/models/half/metadata", 404, "Servable not found for request: Latest(half)"),
    ("POST", "/v1/models/toy:classify", 400, "Expected classification signature method_name to be "
     "tensorflow/serving/classify. Was: tensorflow/serving/predict"),
    ("GET", "/v1/models/../../../etc/passwd", 400, "Malformed request"),
    ("GET", "/v1/models/%2e%2e%2f%2e%2e%2fetc", 404, "Could not find any versions of model ../../"),
    ("POST", "/v1/models/..:predict", 404, "Servable not found for request: Latest(..)"),
    ("GET", "/v1/models/%ff%00", 404, "Could not find any versions of model"),
    ("GET", "/index", 404, "Not Found"),
    ("GET", "/../../etc/passwd", 404, "Not Found"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "status", "said"), ADDRESSES)
def test_an_address_that_leads_nowhere(ask, method, path, status, said):
    body = b'{"instances": ["a"]}' if method == "POST" else None
    received, message = error(ask(method, path, body))
    assert (received, message[: len(said)]) == (status, said)


def test_a_model_without_a_default_signature_has_none_to_classify_with(tmp_path):
    vector = tf.TensorSpec([None], name="x")
    model = tf.Module()
    model.same = tf.function(lambda x: {"y": x}, input_signature=[vector])
    tf.saved_model.save(model, str(tmp_path / "plain" / "1"), {"same": model.same})
    with Server(tmp_path, rest_port=0, grpc_port=0) as server:
        url = server.rest_address + "/v1/models/plain:classify"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url, b"{}", timeout=30)
        assert error((refused.value.code, json.load(refused.value))) == (
            400,
            "No signature was found with the name: serving_default",
        )


def test_versions_and_case_in_addresses(ask):
    body = b'{"instances": ["a"]}'
    for path in ("toy/versions/1", "toy/versions/001", "t%6fy"):
        assert ask("POST", f"/V1/Models/{path}:predict?x=1", body)[0] == 200


# Status and metadata.


def test_the_status_is_that_of_the_documentation(ask):
    expected = {
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }
    assert ask("GET", "/v1/models/toy") == (200, expected)
    assert ask("GET", "/v1/models/toy/versions/1") == (200, expected)


def test_the_metadata_name_every_signature_as_tf_servings_do(ask):
    status, found = ask("GET", "/v1/models/toy/metadata")
    assert status == 200
    assert found["model_spec"] == {"name": "toy", "signature_name": "", "version": "1"}
    signature = found["metadata"]["signature_def"]["signature_def"]["weigh"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["pair"]["dtype"] == "DT_FLOAT"
    assert signature["inputs"]["pair"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}, {"size": "2", "name": ""}],
        "unknown_rank": False,
    }
    assert set(signature["outputs"]) == {"total"}


# Limits.


def test_a_long_body_is_refused_and_the_server_goes_on(predict):
    said = error(predict(b"x" * 100_000_000))
    assert said == (413, f"Request body is longer than {Limits().body} bytes")
    assert predict({"instances": ["a"]})[0] == 200


def test_too_many_rows_are_refused(predict):
    most = Limits().rows
    assert predict({"instances": ["a"] * most})[0] == 200
    for body in (
        {"instances": ["a"] * (most + 1)},
        {"inputs": ["a"] * (most + 1)},
        {"instances": [1] * (most + 1)},  # they are not even read
        {"inputs": {"text": [1] * (most + 1)}},
    ):
        assert error(predict(body)) == (
            400,
            f"Task size {most + 1} was larger than maximum input batch size {most}",
        )


def test_requests_that_find_no_room_are_turned_away(folder):
    body = b'{"instances": ["' + b"a" * 5000 + b'"]}'
    limits = Limits(waiting=1, threads=1, body=6000, held=30_000)
    with Server(folder, rest_port=0, grpc_port=0, limits=limits) as server:
        url = server.rest_address + "/v1/models/toy:predict"

        def post(_):
            try:
                return urllib.request.urlopen(url, body, timeout=30).status
            except urllib.error.HTTPError as error:
                assert json.load(error)["error"].startswith("Too many requests")
                return error.code

        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            statuses = set(pool.map(post, range(400)))
        assert statuses == {200, 503}
        assert post(0) == 200  # nothing of it lasts


def test_the_longest_body_always_finds_room(folder):
    body = b'{"instances": ["' + b"a" * 50_000 + b'"]}'
    limits = Limits(body=len(body), held=1000)
    with Server(folder, rest_port=0, grpc_port=0, limits=limits) as server:
        url = server.rest_address + "/v1/models/toy:predict"
        with urllib.request.urlopen(url, body, timeout=30) as answer:
            assert json.load(answer)["predictions"][0]["length"] == 50_000


def test_numbers_keep_their_precision(predict):
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(64, 2)).astype(np.float32) * 10.0 ** rng.integers(-30, 30, (64, 1))
    status, body = predict({"signature_name": "plus_one", "instances": pairs.tolist()})
    assert status == 200
    np.testing.assert_array_equal(np.array(body["predictions"], np.float32), np.float32(pairs) + 1)
