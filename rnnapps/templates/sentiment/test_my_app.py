"""Trains small, on texts made here, and asks what was trained, saved and exported."""

import pytest
import tensorflow as tf

from my_app.app import SentimentClassifier

WORDS = {"good": ["fine", "bright", "superb"], "bad": ["dull", "clumsy", "stale"]}
TEXTS = ["what a superb film", "a clumsy , stale plot", ""]


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    pairs = [
        (f"a {word} {thing} of {i} minutes", label)
        for i in range(20)
        for thing in ("film", "plot", "score")
        for label, words in WORDS.items()
        for word in words
    ]
    texts, labels = zip(*pairs, strict=True)
    app = SentimentClassifier(units=8, embedding_dim=8, epochs=4, learning_rate=1e-2)
    return app.fit((texts, labels), run_dir=tmp_path_factory.mktemp("runs") / "small")


def test_it_learns(app):
    assert [answer["label"] for answer in app.predict(TEXTS[:2])] == ["good", "bad"]


def test_a_saved_run_answers_the_same(app):
    assert SentimentClassifier.load(app.run_dir).predict(TEXTS) == app.predict(TEXTS)


def test_an_export_answers_the_same(app, tmp_path):
    version = app.export(tmp_path / "my_app")
    export = tf.saved_model.load(str(version)).signatures["serving_default"]
    labels = [label.decode() for label in export(text=tf.constant(TEXTS))["label"].numpy()]
    assert labels == [answer["label"] for answer in app.predict(TEXTS)]
