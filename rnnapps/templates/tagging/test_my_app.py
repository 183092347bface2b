"""Trains small, on sentences made here, and asks what was trained, saved and exported."""

import pytest
import tensorflow as tf

from my_app.app import Tagger

NAMES = ["Ada", "Bob", "Eve", "Max", "Zoe"]
TEXTS = ["yesterday  Ada met Max .", "nobody came", ""]


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    tokens, tags = [], []
    for n in range(30):
        for one in NAMES:
            for other in NAMES:
                tokens += [["yesterday", one, "met", other, "."], ["nobody", "came", str(n), one]]
                tags += [["O", "B-name", "O", "B-name", "O"], ["O", "O", "O", "B-name"]]
    app = Tagger(
        units=8, embedding_dim=8, character_units=4, epochs=2, learning_rate=2e-2, dropout=0.1
    )
    return app.fit((tokens, tags), run_dir=tmp_path_factory.mktemp("runs") / "small")


def test_it_learns(app):
    found = [[span["text"] for span in answer["spans"]] for answer in app.predict(TEXTS)]
    assert found == [["Ada", "Max"], [], []]


def test_a_saved_run_answers_the_same(app):
    assert Tagger.load(app.run_dir).predict(TEXTS) == app.predict(TEXTS)


def test_an_export_answers_the_same(app, tmp_path):
    version = app.export(tmp_path / "my_app")
    export = tf.saved_model.load(str(version)).signatures["serving_default"]
    tags = export(text=tf.constant(TEXTS))["tags"].numpy()
    found = [[tag.decode() for tag in row if tag] for row in tags]
    assert found == [answer["tags"] for answer in app.predict(TEXTS)]
