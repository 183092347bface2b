"""Sentiment classifiers that learn a language first."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly

import rnnapps
from rnnapps import SentimentClassifier, SentimentConfig
from rnnapps.data import make_reviews
from rnnapps.data.learned import Learned
from rnnapps.errors import ConfigError, RunError

TEXTS, LABELS = make_reviews(120)
TINY = {"units": 4, "embedding_dim": 5, "epochs": 2, "pretrain_epochs": 1, "batch_size": 16}


@pytest.fixture
def unlabelled(tmp_path):
    path = tmp_path / "more.txt"
    path.write_text("".join(f"a zebra is number {i}\n" for i in range(60)) + TEXTS[5])
    return str(path)


class Stop(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.system
@eagerly()
def test_a_classifier_learns_the_language_first_and_goes_on_after_a_stop(unlabelled, tmp_path):
    validation = (TEXTS[:9], LABELS[:9])
    given, more = (TEXTS[9:], LABELS[9:]), {"unlabelled": unlabelled}
    more |= {"bidirectional": False, "ngrams": 0}
    whole = SentimentClassifier(**TINY, **more).fit(given, validation)
    assert "zebra" in whole.model.get_layer("tokenizer").vocabulary
    found = whole.metrics["pretraining"]
    assert found["perplexity"] > 1 and found["epochs"] == 1
    assert whole.info.notes[-1].startswith("1 unlabelled texts are left out")
    broken = SentimentClassifier(**TINY, **more)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(given, validation, tmp_path / "run", [Stop()])
    broken.fit(given, validation, tmp_path / "run")
    for a, b in zip(whole.model.get_weights(), broken.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert rnnapps.load(tmp_path / "run").metrics["pretraining"]["loss"] == found["loss"]
    states = whole.encoder(tf.constant(["a zebra", "a"]))
    assert states.shape == (2, 2, 4)
    np.testing.assert_array_equal(states._keras_mask, [[True, True], [True, False]])


@pytest.mark.system
def test_an_update_keeps_what_was_learned_of_the_unlabelled_texts_words(unlabelled, tmp_path):
    still = {**TINY, "epochs": 1, "learning_rate": 1e-12}  # the weights stay where they start
    app = SentimentClassifier(**still, unlabelled=unlabelled, ngrams=0).fit((TEXTS, LABELS))
    before = row_of("zebra", app)
    head = app.model.get_layer("network").get_layer("logits").kernel
    np.testing.assert_allclose(head, 0, atol=1e-9)  # a random one would pull about the rest
    pathlib.Path(unlabelled).unlink()  # is not read again
    new = [f"an okapi is {word} {n}" for n in range(20) for word in ("fine", "dull")]
    found = app.update((new, ["positive", "negative"] * 20), tolerance=0.99)
    assert found["updated"]
    assert "okapi" in app.model.get_layer("tokenizer").vocabulary
    np.testing.assert_allclose(row_of("zebra", app), before, rtol=1e-5)


def row_of(word, app):
    tokens = app.model.get_layer("tokenizer").vocabulary
    return np.array(app.network.get_layer("embedding").embeddings[tokens.index(word)])


def test_a_run_of_the_language_model_alone(unlabelled, tmp_path):
    app = SentimentClassifier(**TINY, pretrain_only=True, unlabelled=unlabelled)
    app.fit((TEXTS, LABELS), run_dir=tmp_path / "run")
    loaded = rnnapps.load(tmp_path / "run")
    assert [layer.name for layer in loaded.model.layers[1:]] == ["tokenizer", "shorten", "network"]
    text = tf.constant(["not bad", "bad"])
    np.testing.assert_array_equal(loaded.encoder(text), app.encoder(text))
    assert set(loaded.metrics) == {"pretraining"}
    for verb in (
        lambda: loaded.predict(["a"]),
        lambda: loaded.evaluate((TEXTS, LABELS)),
        lambda: loaded.export(tmp_path / "export"),
        lambda: loaded.update((TEXTS, LABELS)),
    ):
        with pytest.raises(RunError, match="language model alone"):
            verb()
    # What it has read is not measured on by what starts from it.
    texts = [f"a zebra is number {i}" for i in range(60)] + [f"a horse of {i}" for i in range(60)]
    other = SentimentClassifier(init_from=str(tmp_path / "run"))
    parts = other._kept_apart(
        other._load((texts, ["a", "b"] * 60)), Learned.read(tmp_path / "run").all
    )
    assert parts.validation.texts and not any("zebra" in text for text in parts.validation.texts)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"cell": "attention_lstm", "pretrain_epochs": 1}, "other than attention_lstm"),
        ({"pretrain_only": True, "pretrain_epochs": 0}, "pretrain_epochs= of at least 1"),
        ({"cell": "simple_rnn", "weight_drop": 0.1}, "weight_drop="),
        ({"cell": "mingru", "weight_drop": 0.1}, "weight_drop="),
        ({"cell": "transformer", "pretrain_epochs": 1}, "other than transformer, which sees"),
    ],
)
def test_settings_that_contradict_each_other(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        SentimentConfig(**settings)
