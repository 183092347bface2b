"""Adversarial steps against finite differences, and spans of texts as examples."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnnapps import SentimentConfig
from rnnapps.apps.sentiment.model import build_network
from rnnapps.data import Batches, CroppedBatches
from rnnapps.training import PerturbedNetwork, compile_model

IDS = tf.constant([[3, 7, 2, 9], [5, 4, 0, 0], [0, 0, 0, 0]])
LABELS = np.array([0, 2, 0], np.int32)
CONFIG = SentimentConfig(units=3, embedding_dim=2, dropout=0.0, word_dropout=0.0)


def network(seed=0):
    keras.utils.set_random_seed(seed)
    made = build_network(CONFIG, 12, 3)
    made.set_weights([w * 3 for w in made.get_weights()])
    return made


def loss_at(model, moved):
    logits = model.head([IDS, tf.constant(moved)])
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, logits)
    return float(tf.reduce_sum(losses[:2]))


def test_the_worst_step_is_the_finite_differences():
    model = PerturbedNetwork(network(), adversarial=0.5)
    embedded = model.embedding(IDS).numpy()
    scale = embedded[IDS.numpy() > 0].std(axis=0)  # what normalized embeddings are divided by
    gradient = np.zeros_like(embedded)
    for place in np.ndindex(*embedded.shape):
        ends = []
        for sign in (1, -1):
            moved = embedded.copy()
            moved[place] += sign * 1e-2 * scale[place[-1]]
            ends.append(loss_at(model, moved))
        gradient[place] = (ends[0] - ends[1]) / 2e-2
    norms = np.sqrt((gradient**2).sum(axis=(1, 2), keepdims=True))
    expected = 0.5 * scale * gradient / np.maximum(norms, 1e-9)
    found = model.worst_step(IDS, LABELS).numpy()
    np.testing.assert_allclose(found, expected, atol=5e-3)
    assert loss_at(model, embedded + found) > loss_at(model, embedded)
    assert not found[IDS.numpy() == 0].any()


@pytest.mark.system
def test_a_perturbed_step_moves_the_weights_and_is_not_measured():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rows = np.array([1, 1, 0], "float32")
    ends = []
    for make in (lambda net: net, lambda net: PerturbedNetwork(net, adversarial=1.0)):
        model = make(network())
        compile_model(model, CONFIG, 10, loss)
        before = model.evaluate(IDS, LABELS, sample_weight=rows, verbose=0)
        seen = model.train_on_batch(IDS, LABELS, rows)
        ends.append((before, seen, model.get_weights()))
    (before, plain, one), (same, more, other) = ends
    assert before == same == pytest.approx(plain, rel=1e-5)
    assert more > 1.5 * plain
    assert any(np.abs(a - b).max() > 1e-6 for a, b in zip(one, other, strict=True))


def test_it_is_saved_and_loaded(tmp_path):
    model = PerturbedNetwork(network(), 1.5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(IDS), model(IDS))
    assert loaded.adversarial == 1.5


ROWS = tf.ragged.constant([[1 + j for j in range(i * 11 % 200)] for i in range(21)], tf.int32)


def test_spans_are_extra_examples_with_their_texts_labels():
    batches = CroppedBatches(Batches(ROWS, np.arange(21), 4, seed=1), 0.5)
    assert len(batches) == 6 + 3  # 10 spans
    seen, spans = [], 0
    for ids, labels, weights in batches.epochs().take(9):
        for row, label, weight in zip(ids.numpy(), labels.numpy(), weights.numpy(), strict=True):
            kept, text = row[row > 0], ROWS[int(label)].numpy()
            assert weight or not len(kept)
            assert (np.diff(kept) == 1).all() and kept.max(initial=0) <= len(text)
            seen += [int(label)] * int(weight)
            spans += 0 < len(kept) < len(text)
            assert len(kept) == len(text) or 8 <= len(kept) <= 100 or not weight
    assert len(seen) == 31 and set(seen) == set(range(21))
    assert 5 <= spans <= 10
    first, again = ([b[0].numpy() for b in batches.epochs(1).take(9)] for _ in range(2))
    straight = [b[0].numpy() for b in batches.epochs().skip(9).take(9)]
    for a, b, c in zip(first, again, straight, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
