"""An exported tagger: text in, tokens with tags and places out; what its client makes of them."""

import json

import numpy as np
import pytest
import tensorflow as tf

from rnnapps import Tagger, cli
from rnnapps.data import make_names
from rnnapps.serving import Client, Server

TEXTS = ["We met  Jordan\tBaker near the old mill .", "", "Zoë 😀 is in Paris"]


@pytest.fixture(scope="module")
def app():
    settings = {"units": 16, "embedding_dim": 16, "character_units": 4, "epochs": 6,
                "learning_rate": 2e-2, "dropout": 0.0, "batch_size": 16}  # fmt: skip
    return Tagger(**settings).fit(make_names(120))


@pytest.fixture(scope="module")
def version(app, tmp_path_factory):
    return app.export(tmp_path_factory.mktemp("saved") / "names")


def test_rows_are_filled_up_and_places_are_in_characters(app, version):
    found = tf.saved_model.load(str(version)).signatures["serving_default"](text=tf.constant(TEXTS))
    found = {name: value.numpy() for name, value in found.items()}
    assert set(found) == {"tokens", "tags", "starts", "ends", "probabilities", "lengths"}
    assert found["lengths"].tolist() == [9, 0, 5]
    for i, (text, own) in enumerate(zip(TEXTS, app.predict(TEXTS), strict=True)):
        n = found["lengths"][i]
        assert [x.decode() for x in found["tokens"][i, :n]] == own["tokens"]
        assert [x.decode() for x in found["tags"][i, :n]] == own["tags"]
        places = zip(found["starts"][i, :n], found["ends"][i, :n], strict=True)
        assert [text[a:b] for a, b in places] == own["tokens"]
        np.testing.assert_allclose(found["probabilities"][i, :n], own["probabilities"], atol=1e-5)
        for name in ("tokens", "tags"):
            assert set(found[name][i, n:]) <= {b""}
        for name in ("starts", "ends", "probabilities"):
            assert not found[name][i, n:].any()


def test_tokens_are_tagged_as_they_are(app, version):
    tag = tf.saved_model.load(str(version)).signatures["tag"]
    found = tag(tokens=tf.constant([["We", "met", "Jordan"], ["Yes", "", ""]]))
    assert found["lengths"].numpy().tolist() == [3, 1]
    own = app.predict([["We", "met", "Jordan"], ["Yes"]])
    tags = [[x.decode() for x in row if x] for row in found["tags"].numpy()]
    assert tags == [one["tags"] for one in own]
    empty = tag(tokens=tf.zeros([2, 0], tf.string))
    assert empty["lengths"].numpy().tolist() == [0, 0]


def test_a_text_of_too_many_tokens_is_refused_in_a_sentence(version):
    ask = tf.saved_model.load(str(version)).signatures["serving_default"]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"at most 20,000 tokens.*30000"):
        ask(text=tf.constant(["a " * 30_000]))


def test_the_client_gives_spans(app, version, tmp_path, capsys):
    expected = [one["spans"] for one in app.predict(TEXTS)]
    with Server(version.parents[1], rest_port=0, grpc_port=0) as server:
        for url in (server.rest_address, server.grpc_address):
            found = Client(url, "names").find_spans(TEXTS)
            assert [
                [(s["start"], s["end"], s["label"], s["text"]) for s in row] for row in found
            ] == [[(s["start"], s["end"], s["label"], s["text"]) for s in row] for row in expected]
    assert expected[0][0]["text"] == "Jordan\tBaker"
    lines = "".join(json.dumps({"text": text}) + "\n" for text in ("", TEXTS[0]))
    (tmp_path / "in.jsonl").write_text(lines)
    assert cli.main(["predict", str(version.parent), str(tmp_path / "in.jsonl")]) == 0
    empty, row = map(json.loads, capsys.readouterr().out.splitlines())
    assert empty["spans"] == "[]"
    assert [span["label"] for span in json.loads(row["spans"])] == ["person"]
