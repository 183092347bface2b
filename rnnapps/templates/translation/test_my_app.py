"""Trains small, on pairs made here, and asks what was trained, saved and exported."""

import itertools

import pytest
import tensorflow as tf

from my_app.app import Translator

DIGITS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5"}
TEXTS = ["two five", "four one three", ""]


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    rows = [row for count in (1, 2, 3) for row in itertools.product(DIGITS, repeat=count)]
    texts = [" ".join(row) for row in rows]
    translations = [" ".join(DIGITS[word] for word in row) for row in rows]
    app = Translator(
        units=32, embedding_dim=32, epochs=20, batch_size=16, learning_rate=1e-2, dropout=0.1,
        hidden_dropout=0.1, tokenizer="word", beam_width=2,
    )  # fmt: skip
    return app.fit((texts, translations), run_dir=tmp_path_factory.mktemp("runs") / "small")


def test_it_learns(app):
    assert [answer["translation"] for answer in app.predict(TEXTS[:2])] == ["2 5", "4 1 3"]


def test_a_saved_run_answers_the_same(app):
    assert Translator.load(app.run_dir).predict(TEXTS) == app.predict(TEXTS)


def test_an_export_answers_the_same(app, tmp_path):
    version = app.export(tmp_path / "my_app")
    export = tf.saved_model.load(str(version)).signatures["serving_default"]
    found = [text.decode() for text in export(text=tf.constant(TEXTS))["translation"].numpy()]
    assert found == [answer["translation"] for answer in app.predict(TEXTS)]
