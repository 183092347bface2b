"""Trains small, on a text made here, and asks what was trained, saved and exported."""

import pytest
import tensorflow as tf

from my_app.app import CharGenerator

TEXT = "the cat sat on the mat and the dog sat by the log\n" * 200
PROMPT = "the cat sat on the mat and "


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    app = CharGenerator(
        units=32, layers=1, embedding_dim=16, window=32, batch_size=8, epochs=8, dropout=0.0,
        learning_rate=2e-2,
    )  # fmt: skip
    return app.fit(TEXT, run_dir=tmp_path_factory.mktemp("runs") / "small")


def test_it_learns(app):
    assert app.predict([PROMPT], length=7, top_k=1) == ["the dog"]


def test_a_saved_run_writes_the_same(app):
    again = CharGenerator.load(app.run_dir)
    assert again.predict([PROMPT], length=50, seed=3) == app.predict([PROMPT], length=50, seed=3)


def test_an_export_writes_the_same(app, tmp_path):
    version = app.export(tmp_path / "my_app")
    export = tf.saved_model.load(str(version)).signatures["serving_default"]
    text = export(prompt=tf.constant([PROMPT]))["text"].numpy()[0].decode()
    assert text == app.predict([PROMPT])[0]
