"""Small models with every kind of input and output, and a server of them."""

import http.client
import json
import urllib.parse

import keras
import pytest
import tensorflow as tf

from rnnapps.serving import ExportSpec, Server, Signature, publish

TEXT = tf.TensorSpec((None,), tf.string, "text")
PAIR = tf.TensorSpec((None, 2), tf.float32, "pair")
NUMBERS = ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64")
KINDS = (*NUMBERS, "bool", "string")


def answer(text):
    return {"length": tf.strings.length(text), "text": text, "text_bytes": text}


def weigh(text, pair):
    total = tf.reduce_sum(pair, axis=1)
    return {"total": tf.where(tf.strings.length(text) > 0, total, -total)}


def plus_one(pair):
    return {"pair": pair + 1}


def kinds(**values):
    return {name: tf.identity(value) for name, value in values.items()}


def uneven(text):
    return {"text": text, "count": tf.size(text)}


def ratio(x):
    return {"half": tf.cast(x, tf.float16)}


def divide(number):
    return {"quotient": 1 // number}


def start(prompt):
    """A generator that writes its prompt's bytes round and round, shifted by the seed."""
    return {"token": tf.zeros_like(tf.strings.length(prompt)), "state_0": prompt}


def step(token, temperature, seed, state_0):
    length = tf.maximum(tf.strings.length(state_0), 1)
    where = tf.math.floormod(token + seed, length)
    text = tf.strings.substr(state_0 + " ", where, tf.ones_like(where))
    text = tf.where(temperature > 1.0, tf.strings.upper(text), text)
    return {"token": token + 1, "text": text, "state_0": state_0}


def vector(name, dtype):
    return tf.TensorSpec((None,), dtype, name)


def toy_signatures():
    text = tf.constant(["a text", ""])
    pair = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    one, zero = tf.ones((1,)), tf.zeros((1,), tf.int32)
    prompt = tf.constant(["ab"])
    every = {
        kind: tf.cast(tf.constant([1]), kind) if kind != "string" else tf.constant(["1"])
        for kind in KINDS
    }
    return {
        "serving_default": Signature(answer, [TEXT], [text]),
        "weigh": Signature(weigh, [TEXT, PAIR], [text, pair]),
        "plus_one": Signature(plus_one, [PAIR], [pair]),
        "kinds": Signature(
            lambda *values: kinds(**dict(zip(KINDS, values, strict=True))),
            [vector(kind, kind) for kind in KINDS],
            list(every.values()),
        ),
        "uneven": Signature(uneven, [TEXT], [text]),
        "half": Signature(ratio, [vector("x", tf.float32)], [one]),
        "divide": Signature(divide, [vector("number", tf.int32)], [zero + 1]),
        "start": Signature(start, [vector("prompt", tf.string)], [prompt]),
        "step": Signature(
            step,
            [vector("token", tf.int32), vector("temperature", tf.float32),
             vector("seed", tf.int32), vector("state_0", tf.string)],
            [zero, one, zero, prompt],
        ),
    }  # fmt: skip


def spin(rounds):
    """Turns so many rounds; with fewer than none, it never ends."""
    fine = tf.reduce_all(rounds != 0)
    with tf.control_dependencies([tf.debugging.Assert(fine, ["Expected rounds, [0] is none."])]):
        rounds = tf.identity(rounds)
    turn = tf.while_loop(lambda i: tf.not_equal(i, rounds[0]), lambda i: [tf.abs(i + 1)], [0])[0]
    return {"rounds": tf.fill(tf.shape(rounds), turn)}


def constant_signature(value):
    """A model that answers one number, whatever it is asked; nothing else tells its versions."""
    return {
        "serving_default": Signature(
            lambda text: {"value": tf.fill(tf.shape(text), value), "text": text},
            [TEXT],
            [tf.constant(["a"])],
        )
    }


@pytest.fixture(scope="session")
def publish_constant():
    """Publishes the next version of a model that always answers one number."""
    return lambda model_dir, value: publish(model_dir, ExportSpec(constant_signature(value)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved_models")
    archive = keras.export.ExportArchive()  # `publish` refuses the type of half's output
    for name, one in toy_signatures().items():
        archive.add_endpoint(name, one.function, list(one.inputs))
    archive.write_out(str(folder / "toy" / "1"), verbose=False)
    return folder


@pytest.fixture(scope="session")
def spinners(tmp_path_factory):
    """A folder with a model that can be asked what never ends."""
    folder = tmp_path_factory.mktemp("spinners")
    one = Signature(spin, [vector("rounds", tf.int32)], [tf.constant([1])])
    publish(folder / "spin", ExportSpec({"serving_default": one}))
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with Server(folder, rest_port=0, grpc_port=0, seconds=0.1) as server:
        yield server


@pytest.fixture(scope="module")
def ask(server):
    """Sends one HTTP request; returns the status, the type of the answer and the answer."""

    def ask(method, path, body=None, headers=(), as_bytes=False):
        host = urllib.parse.urlsplit(server.rest_address)
        connection = http.client.HTTPConnection(host.hostname, host.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        assert response.headers["Content-Type"] == "application/json"
        return response.status, content if as_bytes else json.loads(content.decode("utf-8"))

    return ask


@pytest.fixture(scope="module")
def predict(ask):
    """Sends a body to the toy model's `:predict`."""

    def predict(body, **options):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return ask("POST", "/v1/models/toy:predict", body, **options)

    return predict
