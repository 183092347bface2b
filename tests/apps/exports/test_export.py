import json
import os
import re
import subprocess
import sys
import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import rnnapps
from rnnapps import SentimentClassifier
from rnnapps.data import make_reviews
from rnnapps.errors import RunError
from rnnapps.serving import ExportSpec, Signature, publish

TEXTS = [
    "not a bad film at all",
    "",
    "the plot was anything but superb <br /> 😀",
    "好看",
    "a " * 999,
]


@pytest.fixture(scope="module")
def app():
    settings = {"units": 6, "embedding_dim": 5, "epochs": 1, "pooling": "attention"}
    return SentimentClassifier(**settings).fit(make_reviews(200))


@pytest.fixture(scope="module")
def model_dir(app, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "sentiment"
    assert app.export(folder) == folder / "1"
    assert app.export(str(folder)) == folder / "2"
    return folder


def test_versions_appear_whole_and_count_up(model_dir):
    assert sorted(p.name for p in model_dir.iterdir()) == ["1", "2"]
    assert (model_dir / "1" / "assets" / "classes.txt").read_text() == "negative\npositive\n"


def test_the_card_says_whose_model_it_is_and_how_good(app, model_dir):
    model_card = json.loads((model_dir / "1" / "model_card.json").read_text("utf-8"))
    assert (model_card["application"], model_card["data"]) == ("sentiment", "given to fit()")
    assert SentimentClassifier(**model_card["configuration"]).config == app.config
    assert model_card["metrics"]["validation"]["accuracy"] == app.metrics["validation"]["accuracy"]
    assert set(model_card["requests"]) == {"serving_default", "explain"}


def test_the_export_answers_without_rnnapps_as_the_application_does(app, model_dir):
    script = (
        "import sys, json, tensorflow as tf\n"
        "loaded = tf.saved_model.load(sys.argv[1])\n"
        "answer = loaded.signatures['serving_default'](text=tf.constant(json.loads(sys.argv[2])))\n"
        "assert 'rnnapps' not in sys.modules\n"
        "print(json.dumps({k: v.numpy().astype(str).tolist() for k, v in answer.items()}))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(model_dir / "1"), json.dumps(TEXTS)],
        capture_output=True, text=True, cwd=model_dir,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    received, expected = json.loads(run.stdout), app.predict(TEXTS)
    assert received["label"] == [e["label"] for e in expected]
    for name in ("probability", "probabilities"):
        wanted = [list(e[name].values()) if name == "probabilities" else e[name] for e in expected]
        np.testing.assert_allclose(np.array(received[name], float), wanted, atol=1e-5)


def test_signatures_have_names_and_take_any_bytes(app, model_dir):
    signatures = tf.saved_model.load(str(model_dir / "1")).signatures
    assert set(signatures) == {"serving_default", "explain"}
    specs = signatures["serving_default"].structured_input_signature[1]
    assert specs["text"].shape.as_list() == [None]
    outputs = signatures["serving_default"].structured_outputs
    assert {k: (v.dtype.name, v.shape.as_list()) for k, v in outputs.items()} == {
        "label": ("string", [None]),
        "probability": ("float32", [None]),
        "probabilities": ("float32", [None, 2]),
    }
    answer = signatures["serving_default"](text=tf.constant([b"\xff\xfe\x00 \xc3\x28", b""]))
    assert np.isfinite(answer["probability"].numpy()).all()
    assert signatures["serving_default"](text=tf.constant([], tf.string))["label"].shape == (0,)

    explained = signatures["explain"](text=tf.constant(["the plot was dull", "dull"]))
    pairs = app.predict(["the plot was dull"], explain=True)[0]["tokens"]
    assert [t.decode() for t in explained["tokens"].numpy()[0]] == [token for token, _ in pairs]
    np.testing.assert_allclose(explained["weights"][0], [w for _, w in pairs], atol=1e-5)
    assert explained["tokens"].numpy()[1].tolist() == [b"dull", b"", b"", b""]


def test_only_stock_ops_are_in_the_graph(model_dir):
    meta = saved_model_pb2.SavedModel.FromString((model_dir / "1/saved_model.pb").read_bytes())
    graph = meta.meta_graphs[0].graph_def
    used = {node.op for node in graph.node}
    used |= {node.op for function in graph.library.function for node in function.node_def}
    assert len(used) > 20
    assert not {op for op in used if "Cudnn" in op or "PyFunc" in op or "SentencePiece" in op}


def test_a_failed_export_leaves_nothing(tmp_path, model_dir):
    layer = keras.layers.Dense(1)
    layer.build((None, 1))
    spec = tf.TensorSpec((None, 1), name="x")
    calls = []

    def unsteady(x):  # answers otherwise each time that Python runs it
        calls.append(x)
        return {"y": layer(x) + float(len(calls))}

    def python(x):
        return {"y": tf.reshape(tf.py_function(lambda v: v, [x], tf.float32), (-1, 1))}

    for function, sentence in ((unsteady, "differs from the application in y"), (python, "PyFunc")):
        signature = Signature(function, [spec], [tf.ones((1, 1))])
        with pytest.raises(RunError, match=sentence):
            publish(tmp_path / "model", ExportSpec({"serving_default": signature}))
        assert not (tmp_path / "model").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="Expected a folder"):
        publish(tmp_path / "file", ExportSpec({}))


def test_an_export_keeps_to_itself_beside_others(tmp_path):
    stale = tmp_path / "model" / f".draft-{os.getpid()}" / "assets"  # a killed export's
    stale.mkdir(parents=True)
    (stale / "old.txt").write_text("")
    spec, example = tf.TensorSpec((None,), name="x"), [tf.ones(1)]
    signature = Signature(lambda x: {"y": x + 1}, [spec], example)
    version = publish(tmp_path / "model", ExportSpec({"serving_default": signature}))
    assert list((version / "assets").iterdir()) == []

    def meets_another(x):
        (tmp_path / "new" / "1").mkdir()
        raise RunError("the reason")

    signature = Signature(meets_another, [spec], example)
    with pytest.raises(RunError, match="the reason"):
        publish(tmp_path / "new", ExportSpec({"serving_default": signature}))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["1"]


@pytest.fixture(scope="module")
def plus_one():
    spec = tf.TensorSpec((None,), name="x")
    return ExportSpec({"serving_default": Signature(lambda x: {"y": x + 1}, [spec], [tf.ones(1)])})


def test_a_folder_is_one_models(tmp_path, plus_one):
    """A server would take the next version, whosever it is, for a better one of the same model."""
    mine, theirs = {"application": "sentiment"}, {"application": "chargen"}
    folder = tmp_path / "models" / "generator"
    publish(folder, plus_one, theirs)
    for model_dir, sentence in {
        folder: "holds a model of chargen (version 1), which a server would replace by one of sen",
        tmp_path / "models": f"is a folder of models (generator); export to a folder in it, "
        f"such as {tmp_path / 'models' / 'sentiment'}.",
        folder / "1": f"is a version of a model; export to its folder, {folder}.",
    }.items():
        with pytest.raises(RunError, match=re.escape(sentence)):
            publish(model_dir, plus_one, mine)
    (folder / "1" / "model_card.json").unlink()
    with pytest.raises(RunError, match=r"holds a model of unknown origin \(version 1\)"):
        publish(folder, plus_one, theirs)
    assert [path.name for path in folder.iterdir()] == ["1"]
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["generator"]


def test_an_export_leaves_no_generated_code(tmp_path, plus_one, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    publish(tmp_path / "model", plus_one)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_numbers_that_no_server_reads_are_no_versions(tmp_path, plus_one):
    for name in (str(2**63), "9" * 40, "\u0663", "v7", "-1", ".5"):
        (tmp_path / name).mkdir()
    (tmp_path / "9").touch()
    assert publish(tmp_path, plus_one) == tmp_path / "1"
    (tmp_path / str(2**63 - 1)).mkdir()
    with pytest.raises(RunError, match="no server reads a higher one"):
        publish(tmp_path, plus_one)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "complex64", "uint16"])
def test_outputs_are_of_types_that_json_holds(dtype, tmp_path, plus_one):
    """TF Serving answers a request by REST for such with an error."""
    spec = tf.TensorSpec((None,), name="x")
    start = Signature(lambda x: {"state_0": tf.cast(x, dtype)}, [spec], [tf.ones(1)])
    sentence = rf"the output state_0 of the signature start .* JSON holds.* Received: {dtype}"
    with pytest.raises(RunError, match=sentence):
        publish(tmp_path / "model", ExportSpec({**plus_one.signatures, "start": start}))
    assert not (tmp_path / "model").exists()


@pytest.mark.system
def test_a_subword_model_needs_only_tf_text(tmp_path):
    settings = {"units": 6, "embedding_dim": 5, "epochs": 1, "tokenizer": "subword"}
    app = SentimentClassifier(**settings, max_tokens=200).fit(make_reviews(200))
    version = app.export(tmp_path / "subword")
    app.save(tmp_path / "run")
    again = rnnapps.load(tmp_path / "run")
    answer = tf.saved_model.load(str(version)).signatures["serving_default"](
        text=tf.constant(TEXTS)
    )
    for given in (app, again):
        np.testing.assert_allclose(
            answer["probability"], [e["probability"] for e in given.predict(TEXTS)], atol=1e-5
        )
