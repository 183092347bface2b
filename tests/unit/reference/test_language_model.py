"""A grammar small enough that its entropy is known, with a word that depends on one far back.

    the king|queen sees|meets|hears|greets the dog|cat|horse|bird near him|her .

A sentence has 2 * 4 * 4 equally likely forms on 8 words, so that no model can do better than
log(32) / 8 = 0.433 nats per word, a perplexity of 1.54. "him" or "her" follows from "king" or
"queen": a model that cannot look back five words pays log(2) / 8 = 0.087 nats more.
"""

import numpy as np
import pytest

from rnnapps.reference import (
    GRU,
    LSTM,
    Adam,
    LanguageModel,
    PeepholeLSTM,
    encode_words,
    fit,
    next_word_examples,
)

from .central_differences import assert_is_gradient

ENTROPY = np.log(32) / 8
FORGETFUL = ENTROPY + np.log(2) / 8


def sentence(rng):
    ruler, pronoun = [("king", "him"), ("queen", "her")][rng.integers(2)]
    verb = rng.choice(["sees", "meets", "hears", "greets"])
    animal = rng.choice(["dog", "cat", "horse", "bird"])
    return f"the {ruler} {verb} the {animal} near {pronoun} . "


def text(sentences, seed):
    rng = np.random.default_rng(seed)
    return "".join(sentence(rng) for _ in range(sentences))


@pytest.fixture(scope="module")
def trained():
    """A model trained on 400 sentences; the same number of other ones; the vocabulary."""
    ids, vocabulary = encode_words(text(400, seed=0) + text(400, seed=1))
    words, next_words = next_word_examples(ids[: len(ids) // 2], time=16)
    unseen = next_word_examples(ids[len(ids) // 2 :], time=16)
    batches = [(words[k : k + 20], next_words[k : k + 20]) for k in range(0, len(words), 20)]
    model = LanguageModel(len(vocabulary), embedding_units=8, units=24, dropout=0.1)
    history = fit(model, batches, Adam(0.01), epochs=25, clip_norm=1.0)
    return model, history, unseen, vocabulary


def test_loss_falls_to_near_the_entropy_of_the_grammar(trained):
    model, history, unseen, _ = trained
    assert history["loss"][0] > 1.0
    shares = np.bincount(unseen[1].ravel()) / unseen[1].size
    unigram_entropy = -np.sum(shares * np.log(shares))
    loss = model.loss(unseen)
    assert loss < unigram_entropy / 4
    assert ENTROPY - 0.02 < loss < FORGETFUL - 0.02  # perplexity 1.54 to 1.65


def test_generated_sentences_agree_with_their_subject(trained):
    model, _, _, vocabulary = trained
    full_stop = vocabulary.index(".")
    ids = model.generate([full_stop], 800, np.random.default_rng(0))
    assert len(ids) == 800
    sentences = " ".join(vocabulary[k] for k in ids).split(" . ")
    agree = [
        {"king", "him"} <= set(s.split()) or {"queen", "her"} <= set(s.split()) for s in sentences
    ]
    assert np.mean(agree) > 0.9  # by chance: 0.5


def test_words_and_ids_go_both_ways():
    ids, vocabulary = encode_words("the cat and\n the dog")
    assert [vocabulary[k] for k in ids] == ["the", "cat", "and", "the", "dog"]
    assert sorted(vocabulary) == ["and", "cat", "dog", "the"]


def test_next_words_are_one_word_on():
    words, next_words = next_word_examples(np.arange(10), time=4)
    np.testing.assert_array_equal(words, [[0, 1, 2, 3], [4, 5, 6, 7]])
    np.testing.assert_array_equal(next_words, [[1, 2, 3, 4], [5, 6, 7, 8]])
    words, next_words = next_word_examples(np.arange(9), time=4)
    np.testing.assert_array_equal(next_words, [[1, 2, 3, 4], [5, 6, 7, 8]])


@pytest.mark.parametrize("cell", [LSTM, GRU, PeepholeLSTM])
def test_gradients_are_central_differences_under_dropout(cell):
    model = LanguageModel(5, 2, 3, dropout=0.5, cell=cell)
    batch = next_word_examples(np.array([0, 1, 2, 1, 4, 0, 3, 2, 2]), time=4)

    def loss():
        return model.loss_and_gradients(batch, np.random.default_rng(0))[0]

    _, gradients = model.loss_and_gradients(batch, np.random.default_rng(0))
    assert list(gradients) == list(model.params)
    for name, weight in model.params.items():
        assert_is_gradient(gradients[name], loss, weight)


def test_predictions_are_distributions_that_the_loss_is_about():
    model = LanguageModel(5, 2, 3)
    words, next_words = next_word_examples(np.array([0, 1, 2, 1, 4, 0, 3, 2, 2]), time=4)
    p, _ = model.predict(words)
    np.testing.assert_allclose(p.sum(axis=-1), np.ones((2, 4)))
    p_next = np.take_along_axis(p, next_words[..., None], axis=-1)
    assert model.loss((words, next_words)) == pytest.approx(-np.log(p_next).mean())
