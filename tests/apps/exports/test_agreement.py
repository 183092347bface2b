"""Whichever way an export of any application is asked, it answers as the application does."""

import json
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import tensorflow_text
from tensorflow.core.protobuf import saved_model_pb2

from rnnapps import CharGenerator, Forecaster, SentimentClassifier, Tagger, Translator
from rnnapps.data import make_dates, make_names, make_reviews
from rnnapps.serving import Client, Server
from rnnapps.serving.export.accelerating import rounded

pytestmark = pytest.mark.system

HOURS = np.arange(300)
LINE = "the cat sat on the mat, 猫坐在垫子上。 été — and the dog lay on the log.\n"
TINY = {"units": 16, "embedding_dim": 8, "epochs": 1}


@pytest.fixture(scope="module", autouse=True)
def optimized():
    """The graphs are those that people run; see tests/conftest.py."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def train_sentiment(folder):
    file = folder / "reviews.csv"
    pd.DataFrame(dict(zip(("text", "label"), make_reviews(200), strict=True))).to_csv(file)
    return SentimentClassifier(**TINY, data=str(file), pooling="attention").fit()


def train_chargen(folder):
    file = folder / "text.txt"
    file.write_text(LINE * 40, "utf-8")
    return CharGenerator(**TINY, data=str(file), window=16, layers=1, tokenizer="byte").fit()


def train_translation(folder):
    file = folder / "dates.tsv"
    file.write_text("".join(f"{a}\t{b}\n" for a, b in zip(*make_dates(400), strict=True)), "utf-8")
    return Translator(**TINY, data=str(file), max_tokens=200, beam_width=2).fit()


def train_forecasting(folder):
    file = folder / "load.csv"
    columns = {
        "time": pd.date_range("2024-01-01", periods=len(HOURS), freq="h"),
        "load": 50 + 10 * np.sin(2 * np.pi * HOURS / 24) + 3 * np.cos(HOURS),
        "heat": np.cos(HOURS / 5),
    }
    pd.DataFrame(columns).to_csv(file, index=False)
    return Forecaster(
        data=str(file), target=("load",), future_covariates=("heat",), calendar=("hour",), units=32,
        epochs=1, lookback=24, horizon=6, segment=6,
    ).fit()  # fmt: skip


def train_tagging(folder):
    file = folder / "names.conll"
    rows = (zip(*row, strict=True) for row in zip(*make_names(200), strict=True))
    file.write_text("\n".join("".join(f"{a} {b}\n" for a, b in row) for row in rows), "utf-8")
    return Tagger(**TINY, data=str(file), batch_size=16).fit()


TRAINED = [train_sentiment, train_chargen, train_translation, train_forecasting, train_tagging]


@pytest.fixture(scope="module", params=TRAINED, ids=lambda train: train.__name__[6:])
def app(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def signatures(app):
    return app.serving_spec().signatures


@pytest.fixture(scope="module")
def own(signatures):
    """The application's own functions, each a graph that is made once."""
    return {name: tf.function(one.function, autograph=False) for name, one in signatures.items()}


@pytest.fixture(scope="module")
def version(app, tmp_path_factory):
    return app.export(tmp_path_factory.mktemp("saved") / app.name)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A program that asks TensorFlow's C++ loader, which is TF Serving's."""
    if shutil.which("gcc") is None:
        pytest.skip("there is no C compiler")
    home, program = pathlib.Path(tf.sysconfig.get_lib()), tmp_path_factory.mktemp("c") / "caller"
    subprocess.run(
        ["gcc", "-O1", "-o", program, pathlib.Path(__file__).with_name("caller.c"),
         f"-I{tf.sysconfig.get_include()}", home / "libtensorflow_cc.so.2",
         home / "libtensorflow_framework.so.2", f"-Wl,-rpath,{home}"],
        check=True,
    )  # fmt: skip
    return program


def graph_of(version):
    saved = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    return saved.meta_graphs[0]


def ask_cpp(program, version, name, request):
    signature, words = graph_of(version).signature_def[name], []
    for key, tensor in request.items():
        kind = {tf.string: "s", tf.int32: "i", tf.int64: "l", tf.float32: "f"}[tensor.dtype]
        words += ["in", *signature.inputs[key].name.split(":"), kind, str(tensor.shape.rank)]
        words += map(str, tensor.shape)
        values = tensor.numpy().reshape(-1).tolist()
        words += values if kind == "s" else map(str, values)
    keys = sorted(signature.outputs)
    for key in keys:
        words += ["out", *signature.outputs[key].name.split(":")]
    ops = pathlib.Path(tensorflow_text.__file__).parent / "python/ops/_sentencepiece_tokenizer.so"
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "OP_LIBRARY": str(ops)}
    run = subprocess.run([program, version, *words], capture_output=True, env=environment)
    assert run.returncode == 0, run.stderr
    return dict(zip(keys, map(read_line, run.stdout.decode().splitlines()), strict=True))


def read_line(line):
    rank, *words = line.split(" ")
    shape, values = [int(size) for size in words[: int(rank)]], words[int(rank) :]
    texts = [bytes.fromhex(value[1:]) for value in values if value.startswith("x")]
    return np.array(texts or values, object if texts else float).reshape(shape)


def ask_client(client, name, request):
    rows = client.predict(signature=name, **{key: x.numpy() for key, x in request.items()})
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


def numpy(answer):
    return {key: tensor.numpy() for key, tensor in answer.items()}


def check_same(expected, received, tolerance):
    """Texts are identical, numbers near; behind the rows of the second there may be filling."""
    assert set(received) == set(expected)
    for key, values in expected.items():
        kept = received[key][tuple(slice(size) for size in values.shape)]
        assert np.count_nonzero(kept) == np.count_nonzero(received[key])
        if values.dtype == object:
            assert list(map(text_of, kept.flat)) == list(map(text_of, values.flat))
        else:
            np.testing.assert_allclose(kept, values, tolerance, tolerance)


def text_of(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def test_four_ways_of_asking_agree(app, version, program, signatures, own):
    loaded = tf.saved_model.load(str(version)).signatures
    with Server(version.parents[1], rest_port=0, grpc_port=0) as server:
        clients = [Client(url, app.name) for url in (server.rest_address, server.grpc_address)]
        for name, one in signatures.items():
            expected, request = numpy(own[name](*one.example)), one.request
            check_same(expected, numpy(loaded[name](**request)), 1e-5)
            check_same(expected, ask_cpp(program, version, name, request), 1e-5)
            for client in clients:
                check_same(expected, ask_client(client, name, request), 1e-5)


def test_compiled_and_narrow_it_answers_the_same_from_half_the_room(
    app, version, program, signatures, own, tmp_path
):
    accelerated = app.export(tmp_path / app.name, xla=True, precision="bfloat16")
    with rounded(app.serving_spec().compiled_methods):
        expected = {name: numpy(own[name](*one.example)) for name, one in signatures.items()}
    for name, one in signatures.items():
        check_same(expected[name], ask_cpp(program, accelerated, name, one.request), 1e-4)

    functions = graph_of(accelerated).graph_def.library.function
    calls = [node for function in functions for node in function.node_def
             if "_XlaMustCompile" in node.attr and node.attr["_XlaMustCompile"].b]  # fmt: skip
    assert calls and all("PartitionedCall" in node.op for node in calls)
    narrow, wide = (
        sum(file.stat().st_size for file in (folder / "variables").glob("*.data-*"))
        for folder in (accelerated, version)
    )
    # A generator's tables of n-grams stay as they are.
    assert wide - narrow > 0.45 * 4 * app.network.count_params()

    model_card = json.loads((accelerated / "model_card.json").read_text("utf-8"))
    cost = model_card["precision"]["validation"]
    assert set(cost) == set(app.objectives) & set(app.metrics["validation"])
    for name, (before, after) in cost.items():
        assert before == pytest.approx(app.metrics["validation"][name], rel=1e-4)
        if name not in ("bleu", "chrf", "exact_match"):  # which move in steps, a text at a time
            assert after == pytest.approx(before, rel=0.1)


def test_the_card_says_whose_model_it_is(app, version, signatures):
    model_card = json.loads((version / "model_card.json").read_text("utf-8"))
    assert (model_card["application"], model_card["data"]) == (app.name, app.config.data)
    assert type(app)(**model_card["configuration"]).config == app.config
    assert model_card["metrics"]["validation"].keys() <= app.metrics["validation"].keys()
    assert set(model_card["requests"]) == set(signatures)
    for name, one in signatures.items():
        assert set(model_card["requests"][name]["inputs"]) == set(one.request)
