import os
import threading
import unicodedata

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from rnnapps.text import (
    CharacterTokenizer,
    NGramClassifier,
    Shorten,
    SubwordTokenizer,
    WordTokenizer,
    naive_bayes_ratios,
)
from rnnapps.text.unknown import warn_of_unknown

TEXTS = [
    "Not bad, not bad at all!<br /><br />I'd see it again 😀",
    "",
    "这部电影不错",
    "L'été à Łódź — 100% naïve\u2028line\n\\n",
]


def test_words_are_cut_at_spaces_and_punctuation():
    tokens = WordTokenizer().tokens(tf.constant(TEXTS)).to_list()
    spaced = "not bad , not bad at all ! i'd see it again 😀"
    assert b" ".join(tokens[0]).decode() == spaced
    assert tokens[1] == []
    assert [t.decode() for t in tokens[3]][:6] == ["l'été", "à", "łódź", "—", "100", "%"]


def cut(text):
    """The words of a text, a character at a time."""
    found, word, place = [], lambda c: c == "_" or unicodedata.category(c)[0] in "LMN", 0
    while place < len(text):
        end = place + 1
        if word(text[place]):
            while word(text[end : end + 1] or " "):
                end += 1
            while text[end : end + 1] in ("'", "’") and text[end + 1 : end + 2].isalpha():
                end += 2
                while text[end : end + 1].isalpha():
                    end += 1
        found += text[place:end].split()
        place = end
    return found


def test_words_are_those_that_a_walk_along_the_characters_finds():
    alphabet = [
        *"aBß9_中٣½'’.-!😀 \t\n\f\v",
        "é",
        "e\u0301",
        "\u0301",
        "\u200d",
        "x'y",
        "n't",
        "'s",
    ]
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(alphabet, rng.integers(15))) for _ in range(5000)]  # three chunks
    tokenizer = WordTokenizer(lower=False)
    tokenizer.adapt(texts)
    found = [[tokenizer.vocabulary[i] for i in row] for row in tokenizer.encode(texts).to_list()]
    assert found == [cut(text) for text in texts]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes have no cores")
def test_texts_are_read_by_as_many_threads_as_there_are_cores():
    cores, before = os.sched_getaffinity(0), threading.active_count()
    tokenizer = CharacterTokenizer()
    tokenizer.adapt(["a"])
    os.sched_setaffinity(0, {min(cores)})
    try:
        parts = tokenizer.encode_parts("a" for _ in range(3 * 2048))
        next(parts)
        assert threading.active_count() == before + 1
        parts.close()
    finally:
        os.sched_setaffinity(0, cores)


@pytest.mark.parametrize("kind", [WordTokenizer, CharacterTokenizer, SubwordTokenizer])
def test_texts_are_constants_of_a_graph_that_encodes_them(kind):
    tokenizer = kind(max_tokens=45)
    tokenizer.adapt(TEXTS * 3)
    graph = tf.function(lambda: tokenizer.encode(TEXTS).to_tensor())
    np.testing.assert_array_equal(graph(), tokenizer(tf.constant(TEXTS)))


def test_ids_go_by_frequency_and_zero_is_padding():
    tokenizer = WordTokenizer()
    tokenizer.adapt(["b a a", "a c c"])
    assert tokenizer.vocabulary == ["", "[UNK]", "a", "c", "b"]
    np.testing.assert_array_equal(
        tokenizer(tf.constant(["c a never", "b", ""])), [[3, 2, 1], [4, 0, 0], [0, 0, 0]]
    )


def test_rare_tokens_stay_outside():
    tokenizer = WordTokenizer(max_tokens=3)
    tokenizer.adapt(["a a b b b"])
    assert tokenizer.vocabulary == ["", "[UNK]", "b"]
    tokenizer = WordTokenizer(min_count=3)
    tokenizer.adapt(["a a b b b"])
    assert tokenizer.vocabulary == ["", "[UNK]", "b"]


@pytest.mark.parametrize("kind", [WordTokenizer, CharacterTokenizer, SubwordTokenizer])
def test_every_text_passes_alone_in_a_batch_and_through_a_file(kind, tmp_path):
    tokenizer = kind(max_tokens=45)
    tokenizer.adapt(TEXTS * 3)
    odd = [*TEXTS, b"\xff\xfe not UTF-8 \xc3", "word " * 10_000]
    together = tokenizer(tf.constant(odd)).numpy()
    for text, row in zip(odd, together, strict=True):
        alone = tokenizer(tf.constant([text])).numpy()[0]
        np.testing.assert_array_equal(row[: len(alone)], alone)
        assert not row[len(alone) :].any()
    assert together.max() < tokenizer.vocabulary_size == len(tokenizer.vocabulary)

    text = keras.Input((), dtype="string")
    model = keras.Model(text, tokenizer(text))
    model.save(tmp_path / "tokenizer.keras")
    again = keras.models.load_model(tmp_path / "tokenizer.keras")
    np.testing.assert_array_equal(again(tf.constant(odd)), together)
    assert tokenizer(tf.constant([], tf.string)).shape[0] == 0
    assert tokenizer.encode([]).shape[0] == 0


def test_characters_and_subwords_give_the_text_back():
    for tokenizer in (CharacterTokenizer(lower=False), SubwordTokenizer(60, lower=False)):
        texts = ["Not bad at all!", "这部电影不错"]
        tokenizer.adapt(texts * 4)
        ids = tokenizer(tf.constant(texts))
        assert [t.decode() for t in tokenizer.detokenize(ids).numpy()] == texts


def test_subwords_keep_how_a_character_is_written():
    texts = ["真的！（很好），½ ㎡…", "می‌خواهم", "e\u0301 é", "👩‍👩‍👧"]
    tokenizer = SubwordTokenizer(80, lower=False)
    tokenizer.adapt(texts * 4)
    written = tokenizer.detokenize(tokenizer(tf.constant([*texts, "é \u00a0\n\té "]))).numpy()
    assert [text.decode() for text in written] == [*texts, "é é"]


def test_unknown_characters_are_named_also_where_pieces_have_none():
    tokenizer = SubwordTokenizer(60)
    tokenizer.adapt(["the cat sat on the mat", "the dog sat on the log"] * 5)
    with pytest.warns(UserWarning, match="read as unknown: '漢', '字'$"):
        warn_of_unknown(tokenizer, ["the 漢字 sat", "a 漢"])


def test_subwords_agree_with_sentencepiece_itself():
    import sentencepiece

    tokenizer = SubwordTokenizer(60)
    tokenizer.adapt(["the cat sat on the mat", "the dog sat on the log"] * 5)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=tokenizer._model)
    text = "the cat on the log"
    assert tokenizer(tf.constant([text])).numpy()[0].tolist() == pieces.encode(text)
    assert tokenizer.vocabulary == [pieces.id_to_piece(i) for i in range(len(pieces))]


def test_shorten_keeps_head_and_tail():
    ids = tf.constant([[1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 0, 0, 0, 0], [0] * 7])
    np.testing.assert_array_equal(
        Shorten(5)(ids), [[1, 2, 3, 6, 7], [1, 2, 3, 0, 0], [0, 0, 0, 0, 0]]
    )
    np.testing.assert_array_equal(Shorten(9)(ids), ids)


def count_ngrams(row, n):
    row = [i for i in row if i]
    return {tuple(row[i : i + k]) for k in range(1, n + 1) for i in range(len(row) - k + 1)}


def test_ngrams_are_counted_once_each():
    rows = np.random.default_rng(0).integers(1, 9, (20, 30))
    rows[3, 10:] = 0
    rows[4] = 0
    layer = NGramClassifier(2, n=3, bits=22)
    hashes = layer.hashes(tf.constant(rows)).numpy()
    for row, found in zip(rows, hashes, strict=True):
        distinct = found[found > 0]
        assert len(distinct) == len(set(distinct)) == len(count_ngrams(row, 3))
    wider = layer.hashes(tf.pad(tf.constant(rows), [[0, 0], [0, 5]])).numpy()
    for row, padded in zip(hashes, wider, strict=True):
        assert set(row) | {0} == set(padded)


def test_what_was_never_counted_adds_nothing():
    rng = np.random.default_rng(0)
    known, others = (tf.constant(low + rng.integers(0, 40, (60, 20)), tf.int32) for low in (1, 41))
    layer = NGramClassifier(2, n=2, bits=12)  # half of the buckets are full
    layer.adapt(tf.RaggedTensor.from_tensor(known), [0, 1] * 30)
    counted = {gram for row in known.numpy() for gram in count_ngrams(row, 2)}
    assert 0.7 * len(counted) < np.count_nonzero(layer.check) <= len(counted)
    wrong = np.count_nonzero(layer.buckets(others)) / np.count_nonzero(layer.hashes(others))
    assert wrong < 0.01
    expected = layer(tf.zeros((1, 2), tf.int32))  # no n-gram: the bias
    assert (np.abs(layer(others[:, :1]) - expected).max(axis=1) == 0).mean() > 0.9


def test_without_room_for_all_the_ngrams_of_one_text_are_left_out():
    rows = np.arange(1, 241).reshape(8, 30)
    rows[:, :10] = np.arange(1, 11)  # in all texts alike
    layer = NGramClassifier(2, n=2, bits=8)
    layer.adapt(tf.RaggedTensor.from_tensor(tf.constant(rows, tf.int32)), [0, 1] * 4)
    assert np.count_nonzero(layer.check) <= 10 + 9
    found = layer.buckets(tf.constant(rows[:, 10:], tf.int32))
    assert np.count_nonzero(found) <= 2  # 1 in 255 passes for another one


@pytest.mark.parametrize("classes", [2, 3])
def test_the_ngram_classifier_agrees_with_scikit_learn(classes):
    """The hashed table answers as logistic regression on explicit n-grams does."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, 150)
    words = np.array(["red", "green", "blue", "good", "bad", "so", "film"])
    texts = [" ".join(rng.choice(np.roll(words, y)[:5], 12)) for y in labels]
    tokenizer = WordTokenizer()
    tokenizer.adapt(texts)
    layer = NGramClassifier(classes, n=2, bits=18, strength=0.5)
    layer.adapt(tokenizer.encode(texts), labels)
    logits = layer(tokenizer(tf.constant(texts))).numpy()

    seen = CountVectorizer(ngram_range=(1, 2), binary=True).fit_transform(texts).toarray()
    for column in range(1, classes) if classes == 2 else range(classes):
        mine = labels == column
        inside, outside = 1 + seen[mine].sum(0), 1 + seen[~mine].sum(0)
        ratio = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
        solver = LogisticRegression(C=0.5, solver="liblinear", dual=True, tol=1e-2)
        expected = solver.fit(seen * ratio, mine).decision_function(seen * ratio)
        np.testing.assert_allclose(logits[:, column], expected, atol=0.05)


def test_the_strength_is_the_one_that_suits_held_out_texts():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 240)
    ids = np.where(rng.random((240, 6)) < 0.6, labels[:, None] * 2, 0) + rng.integers(
        1, 9, (240, 6)
    )
    ids, strengths = tf.RaggedTensor.from_tensor(tf.constant(ids, tf.int32)), (0.1, 0.2, 0.5, 1.0)
    noise = np.where(np.arange(100) % 3 == 0, (labels[140:] + 1) % 3, labels[140:])
    for known, best in ((labels[140:], 0.2), (noise, 0.1)):
        losses = []
        for strength in strengths:
            layer = NGramClassifier(3, n=2, bits=14, strength=strength)
            layer.adapt(ids[:140], labels[:140])
            scores = tf.nn.log_softmax(layer(ids[140:].to_tensor())).numpy()
            losses.append(-scores[np.arange(100), known].mean())
        assert strengths[int(np.argmin(losses))] == best
        chosen = NGramClassifier(3, n=2, bits=14)
        chosen.adapt(ids[:140], labels[:140], (ids[140:], known))
        assert chosen.get_config()["strength"] == best
        expected = -tf.nn.log_softmax(chosen(ids[140:].to_tensor())).numpy()
        assert expected[np.arange(100), known].mean() == pytest.approx(min(losses), abs=1e-5)


def test_empty_buckets_have_no_share_in_the_ratios():
    seen = scipy.sparse.csr_matrix(np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]]))
    wide = scipy.sparse.csr_matrix((seen.data, seen.indices, seen.indptr), shape=(4, 50))
    mine = np.array([True, False, False, False])
    expected = np.log(np.array([2 / 4, 2 / 4])) - np.log(np.array([2 / 5, 3 / 5]))
    np.testing.assert_allclose(naive_bayes_ratios(seen, mine)[:2], expected)
    np.testing.assert_allclose(naive_bayes_ratios(wide, mine)[:2], expected)
