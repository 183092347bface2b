"""Sentiment classifiers of several networks, and networks that n-grams teach."""

import dataclasses

import keras
import numpy as np
import pytest
import scipy.optimize
import scipy.special
import tensorflow as tf
from eager import eagerly

import rnnapps
from rnnapps import SentimentClassifier, SentimentConfig
from rnnapps.apps.sentiment import self_training
from rnnapps.apps.sentiment.answers import probabilities_of
from rnnapps.apps.sentiment.data import Encoded, ordered_batches, training_batches
from rnnapps.apps.sentiment.model import build_network
from rnnapps.apps.sentiment.pipeline import (
    TEXT,
    build_classifier,
    fit_beside,
    logits_of,
    make_ngrams,
    networks_of,
)
from rnnapps.apps.sentiment.self_training import self_train, soft_labels
from rnnapps.data import Batches, make_reviews
from rnnapps.errors import ConfigError
from rnnapps.text import CharacterTokenizer, WordTokenizer

TINY = {"units": 4, "embedding_dim": 5, "epochs": 1, "batch_size": 16}
TEXTS, LABELS = make_reviews(160)
CONFIG = SentimentConfig(**TINY)
CLASSES = ["negative", "positive"]
rng = np.random.default_rng(0)


@pytest.fixture(scope="module")
def parts():
    tokenizer = WordTokenizer(name="tokenizer")
    tokenizer.adapt(TEXTS)
    ids, labels = tokenizer.encode(TEXTS), np.array([CLASSES.index(one) for one in LABELS])
    return Encoded(tokenizer, CLASSES, ids[:120], labels[:120], ids[120:], labels[120:])


def network_of(parts, seed):
    keras.utils.set_random_seed(seed)
    return build_network(CONFIG, parts.tokenizer.vocabulary_size, 2)


@pytest.mark.system
def test_networks_and_ngrams_are_added_up_with_their_weights(parts, tmp_path):
    networks = [network_of(parts, seed) for seed in range(3)]
    model = build_classifier(CONFIG, networks, parts)
    fit_beside(model, parts, CONFIG)
    assert [layer.name for layer in networks_of(model)] == ["network", "network_2", "network_3"]
    weights = rng.random(4)
    model.get_layer("ensemble").scale.assign(weights)
    ids = parts.held_ids
    batches = ordered_batches(ids, parts.held_labels, CONFIG)
    logits = [logits_of(network, batches) for network in networks]
    logits.append(logits_of(model.get_layer("ngrams"), Batches(ids, parts.held_labels, 16)))
    expected = tf.nn.softmax(np.tensordot(weights, np.stack(logits), 1))
    texts = tf.constant(TEXTS[120:])
    np.testing.assert_allclose(model(texts)["probabilities"], expected, atol=1e-5)
    share = weights[:3] / weights[:3].sum()
    alone = tf.nn.softmax(np.tensordot(share, np.stack(logits[:3]), 1))
    app = SentimentClassifier(CONFIG)
    app.model = model
    probabilities_of(app.graph, TEXTS[:1], 2)
    found = probabilities_of(app.graph, TEXTS[120:], 2)
    assert app.graph.experimental_get_tracing_count() == 1
    np.testing.assert_allclose(found.whole, expected, atol=1e-5)
    np.testing.assert_allclose(found.alone, alone, atol=1e-5)
    counts = []  # of how often each network's embedding is read: it runs as often as in the model
    for asked in (app.graph, tf.function(model, input_signature=[TEXT], autograph=False)):
        inside = asked.get_concrete_function().graph.captures
        handles = [one.get_layer("embedding").embeddings.value.handle for one in networks_of(model)]
        counts.append([len(b.consumers()) for h in handles for a, b in inside if a is h])
    assert counts[0] == counts[1] and len(counts[0]) == 3
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(again(texts)["probabilities"], expected, atol=1e-5)


def test_a_graph_of_logits_is_traced_once_whatever_the_lengths():
    traced = []

    class Lengths(keras.layers.Layer):
        """As its logits how many tokens a text has."""

        def call(self, ids):
            traced.append(ids.shape)
            return tf.math.count_nonzero(ids, axis=1, keepdims=True)

    lengths = [3, 1, 2, 5, 4]
    batches = Batches(tf.ragged.constant([[1] * n for n in lengths]), np.zeros(5), 2)
    np.testing.assert_array_equal(logits_of(Lengths(), batches)[:, 0], lengths)
    assert traced == [(2, None)]


def test_ngrams_are_triples_of_words_and_pairs_of_characters(parts):
    characters = CharacterTokenizer()
    characters.adapt(TEXTS)
    spelt = dataclasses.replace(parts, tokenizer=characters, ids=characters.encode(TEXTS[:120]))
    three = SentimentConfig(ngrams=3)
    found = [make_ngrams(*one).n for one in ((CONFIG, parts), (CONFIG, spelt), (three, spelt))]
    assert found == [3, 2, 3]


def test_labels_are_as_sure_as_their_teachers_are_apart():
    one, two = rng.normal(3, 5, (50, 1)), rng.normal(0, 0.1, (50, 1))
    known = np.array([1, 0, 1])
    opinions = [np.concatenate([0 * s, s], 1) for s in (one, two)]
    found = soft_labels(opinions, known)
    np.testing.assert_array_equal(found[:3, 1], known)
    rms = [s / np.sqrt(np.mean(s**2)) for s in (one, two)]
    score = 4 * (rms[0] + rms[1])[:, 0] / 2
    # Positive is as frequent among all texts as among the labelled ones.
    bias = scipy.optimize.brentq(lambda b: scipy.special.expit(score + b).mean() - 2 / 3, -20, 20)
    np.testing.assert_allclose(found[3:, 1], scipy.special.expit(score + bias)[3:], rtol=1e-5)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)
    none = soft_labels([np.zeros((6, 3))], np.array([0, 1, 1, 2]))  # a teacher without an opinion
    np.testing.assert_allclose(none[4:], [[0.25, 0.5, 0.25]] * 2, rtol=1e-6)


@pytest.mark.system
@pytest.mark.parametrize("pretrained", [False, True])
def test_teachers_are_ngrams_and_networks(parts, tmp_path, pretrained):
    seen, networks = [], [network_of(parts, seed) for seed in range(3)]

    def train(taught, folder, epochs):
        seen.append((taught, folder.name, epochs))
        return networks[len(seen) - 1]

    config = CONFIG.model_copy(update={"self_training": 2})
    unlabelled = parts.held_ids
    found, whole = self_train(train, parts, unlabelled, config, tmp_path / "network", pretrained)
    assert found is networks[len(seen) - 1]
    np.testing.assert_array_equal(whole.labels, seen[-1][0].labels.argmax(1))
    np.testing.assert_array_equal(whole.labels[:120], parts.labels)
    assert not whole.soft and whole.ids.nrows() == 160
    if pretrained:  # it has learned from the labelled texts alone
        taught, *how = seen.pop(0)
        assert taught is parts and how == ["network-labelled", 42]
    assert [how for _, *how in seen] == [["network-before-1", 1], ["network", 1]]
    ngrams, ids = make_ngrams(CONFIG, parts), tf.concat([parts.ids, unlabelled], 0)
    ngrams.adapt(parts.ids, parts.labels)
    first = logits_of(ngrams, Batches(ids, np.zeros(160), 16))
    others = [logits_of(n, ordered_batches(ids, np.zeros(160), CONFIG)) for n in networks[:2]]
    teachers = [[first, others[0]], others[1:]] if pretrained else [[first], [first, others[0]]]
    for (taught, *_), opinions in zip(seen, teachers, strict=True):
        assert taught.soft and taught.ids.nrows() == 160
        np.testing.assert_allclose(taught.labels, soft_labels(opinions, parts.labels))
    batches, held = training_batches(seen[0][0], CONFIG)
    _, labels, weights = next(iter(batches.epochs()))
    assert labels.shape == (16, 2) and labels.dtype == tf.float32
    np.testing.assert_allclose(tf.reduce_sum(labels, 1)[weights > 0], 1, rtol=1e-6)
    assert set(np.unique(next(iter(held))[1])) <= {0.0, 1.0}


@pytest.mark.system
@eagerly()
def test_several_networks_start_from_one_language_model(tmp_path):
    settings = {**TINY, "ensemble": 2, "pretrain_epochs": 1, "freeze": True}
    app = SentimentClassifier(**settings, pooling="attention")
    app.fit((TEXTS, LABELS), run_dir=tmp_path / "run")
    assert app.metrics["pretraining"]["epochs"] == 1
    loaded = rnnapps.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded._probabilities(TEXTS), app._probabilities(TEXTS))
    size = app.model.get_layer("tokenizer").vocabulary_size
    keras.utils.set_random_seed(app.config.seed)
    fresh, (first, second) = build_network(app.config, size, 2), loaded.networks
    # Padding is the language model's end of a text, and nothing to a classifier.
    assert np.abs(first.weights[0] - fresh.weights[0]).max(1)[0] > 1e-3
    for name in ("embedding", "recurrent"):  # which are frozen behind it
        for a, b in zip(first.get_layer(name).weights, second.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(a, b)
    assert np.abs(first.get_layer("logits").kernel - second.get_layer("logits").kernel).max() > 0
    [row] = loaded.predict(TEXTS[:1], explain=True)
    assert sum(weight for _, weight in row["tokens"]) == pytest.approx(1, abs=1e-5)
    settings = {"ensemble": 2, "pooling": "attention", "learning_rate": 1e-12, "epochs": 1}
    other = SentimentClassifier(**settings, init_from=str(tmp_path / "run"))
    other.fit((TEXTS, LABELS))
    for mine, theirs in zip(other.networks, loaded.networks, strict=True):
        for a, b in zip(mine.weights, theirs.weights, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.system
@eagerly()
def test_a_classifier_that_ngrams_taught_answers(tmp_path):
    (tmp_path / "more.txt").write_text("\n".join(f"a zebra, {text}" for text in TEXTS[:40]))
    app = SentimentClassifier(**TINY, self_training=1, unlabelled=str(tmp_path / "more.txt"))
    app.fit((TEXTS, LABELS), run_dir=tmp_path / "run")
    assert "zebra" in app.model.get_layer("tokenizer").vocabulary
    assert set(app.history[0]) == {"epoch", "accuracy", "loss", "val_accuracy", "val_loss"}
    loaded = rnnapps.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded._probabilities(TEXTS), app._probabilities(TEXTS))


@pytest.mark.system
@eagerly()
def test_taught_networks_start_from_one_language_model_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(self_training, "_EXAMPLES", 1)  # one pass of the labelled texts will do
    (tmp_path / "more.txt").write_text("\n".join(f"a zebra, {text}" for text in TEXTS[:40]))
    texts = {"unlabelled": str(tmp_path / "more.txt"), **TINY}
    SentimentClassifier(**texts, pretrain_only=True, pretrain_epochs=1).fit(
        (TEXTS, LABELS), run_dir=tmp_path / "language"
    )
    language = rnnapps.load(tmp_path / "language").networks[0].get_layer("recurrent")
    taught = {**texts, "self_training": 2, "freeze": True, "ensemble": 2}
    for start in ({"init_from": str(tmp_path / "language")}, {"pretrain_epochs": 1}):
        app = SentimentClassifier(**taught, **start).fit((TEXTS, LABELS))
        for network in app.networks:
            learned = network.get_layer("recurrent")
            for mine, theirs in zip(learned.weights, language.weights, strict=True):
                np.testing.assert_allclose(mine, theirs, atol=1e-6)
            assert network.get_layer("logits").kernel.numpy().any()  # which it has learned
        assert len([n for n in app.info.notes if "started from" in n]) == ("init_from" in start)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "Expected unlabelled= FILES with self_training=. Received: none."),
        ({"unlabelled": "a.txt", "ngrams": 0}, "ngrams= of at least 1 with self_training="),
        (
            {"unlabelled": "a.txt", "adversarial": 2.0},
            "or adversarial=, which needs classes. Received: both, 2.0.",
        ),
    ],
)
def test_self_training_says_what_it_needs(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        SentimentConfig(self_training=2, **settings)
    assert SentimentConfig(self_training=2, unlabelled="a.txt").passes == 0
