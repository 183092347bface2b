"""Word vectors: forms that read to the same arrays, in bounded memory; where damage is named."""

import gzip
import tracemalloc

import keras
import numpy as np
import pytest

from rnnapps.config import VectorOptions
from rnnapps.errors import ConfigError, DataError
from rnnapps.text import (
    CharacterTokenizer,
    WordTokenizer,
    at_width_of_vectors,
    read_vectors,
    start_from_vectors,
    vectors_width,
)

WORDS = ["the", "Käse", "猫", ".", "cat", "1"]
VECTORS = np.random.default_rng(0).normal(size=(len(WORDS), 5)).astype(np.float32)


def text_of(words, rows, end="\n", separator=" "):
    return "".join(
        separator.join([word, *(repr(float(x)) for x in row)]) + end
        for word, row in zip(words, rows, strict=True)
    ).encode()


def glove():
    return text_of(WORDS, VECTORS)


def fasttext():
    return f"{len(WORDS)} 5\n".encode() + text_of(WORDS, VECTORS, end=" \n")


def word2vec(end=b"\n"):
    rows = zip(WORDS, VECTORS, strict=True)
    return f"{len(WORDS)} 5\n".encode() + b"".join(
        word.encode() + b" " + row.tobytes() + end for word, row in rows
    )


FORMS = {
    "glove": glove(),
    "windows": b"\xef\xbb\xbf" + text_of(WORDS, VECTORS, end="\r\n"),
    "fasttext": fasttext(),
    "word2vec": word2vec(),
    "word2vec without line ends": word2vec(b""),
}


@pytest.fixture
def write(tmp_path):
    def write(content, name="vectors"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize("form", FORMS)
def test_all_forms_read_to_the_same_arrays(form, pack, write):
    path = write(pack(FORMS[form]))
    assert vectors_width(path) == 5
    rows, found = read_vectors(path, ["", "猫", "Hund", " the", "Käse", "the", "1"])
    assert found.tolist() == [False, True, False, True, True, True, True]
    np.testing.assert_array_equal(rows[found], VECTORS[[2, 0, 1, 0, 5]])
    assert not rows[~found].any()


def test_tokens_with_spaces_are_read_over_as_glove_840b_has_them(write):
    words = ["the", ". . .", "at name@domain.com", "", "\x85", "cat"]
    rows, found = read_vectors(write(text_of(words, VECTORS)), ["the", ".", "at", "cat", "\x85"])
    assert found.tolist() == [True, False, False, True, True]
    np.testing.assert_array_equal(rows[found], VECTORS[[0, 5, 4]])


def test_bytes_that_are_not_utf_8_harm_no_other_word(write):
    path = write(b"\xff\xfe" + text_of([" ", *WORDS], np.vstack([VECTORS[:1], VECTORS]))[1:])
    assert read_vectors(path, ["Käse", "cat"]).found.all()


def test_only_a_word_that_is_nowhere_as_it_is_takes_one_that_differs_in_case(write):
    path = write(text_of(["PARIS", "Paris", "paris", "ROM", "Rom"], VECTORS[:5]))
    rows, found = read_vectors(path, ["paris", "rom", "wien"], lower=True)
    assert found.tolist() == [True, True, False]
    np.testing.assert_array_equal(rows[:2], VECTORS[[2, 3]])  # the first of those that differ
    assert read_vectors(path, ["paris", "rom"]).found.tolist() == [True, False]
    rows, found = read_vectors(path, ["Rom", "rOM", "pARIS", "Paris"], lower=True)
    assert found.all()
    np.testing.assert_array_equal(rows, VECTORS[[4, 3, 0, 1]])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty: it has no vectors"),
        (b"0 300\n", "has no vectors: it says 0 of width 300"),
        (b"9 99999999999\n", "has no vectors"),
        (b"text,label\nfine,good\n", "line 1: Expected a word and numbers.*'text,label'"),
        (glove().replace(b"\n.", b"\nx 1 2\n."), r"line 4: Expected a word and 5 numbers.*'x 1 2'"),
        (glove().replace(b"\ncat ", b"\ncat 1 "), r"line 5: Expected a word and 5 numbers.*more"),
        (text_of(["the", "cat"], [[1, 2], [3, np.nan]]), "line 2: Expected a number.*'nan'"),
        (text_of(["the"], [[1, 2]]) + b"cat 1 2,5\n", "line 2: Expected a number.*'2,5'"),
        (b"x 1 2\n" + b"1" * 2**20, "line 2: Expected a word and 2 numbers"),
        (fasttext().rpartition(b"1 ")[0], "cut off: it ends behind 5 of the 6 vectors"),
        (fasttext().replace(b"\ncat", b"\nca t 1"), "line 6.*more"),
        (word2vec()[:-9], "cut off: it ends behind 5 of the 6 vectors"),
        (b"2 300\n" + bytes(3000), "vector 1: Expected a word of less than 1,000 bytes"),
        (word2vec().replace(VECTORS[4].tobytes(), np.full(5, np.nan, np.float32).tobytes()),
         "vector 5: Expected numbers"),
        (gzip.compress(glove())[:-20], "Cannot read .*end-of-stream"),
        (b"\xba\x16\x4f\x2f" + bytes(99), r"is a fastText model; take the text file \(.vec\)"),
        (b"PK\x03\x04" + bytes(99), "is a zip archive; unpack it"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_said_in_one_sentence_with_the_place(content, said, write):
    with pytest.raises(DataError, match=said) as raised:
        read_vectors(write(content), ["the", "cat", "."])
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"Cannot read .*nowhere: No such file"):
        vectors_width(tmp_path / "nowhere")


def test_memory_is_that_of_the_vocabulary(tmp_path):
    """Of a file of 20 MB, and of a line without an end, a few MB are kept at a time."""
    row = b" ".join(f"{x:.5f}".encode() for x in np.linspace(-1, 1, 300))
    big, endless = tmp_path / "big.gz", tmp_path / "endless"
    with gzip.open(big, "wb", compresslevel=1) as file:
        for number in range(8_000):
            file.write(b"w%d " % number + row + b"\n")
    endless.write_bytes(b"word 1 2\n" + b"1" * 20_000_000)
    tracemalloc.start()
    try:
        assert read_vectors(big, ["w7999", "w3"]).found.all()
        with pytest.raises(DataError, match="line 2"):
            read_vectors(endless, ["word"])
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()


class Options(VectorOptions):
    embedding_dim: int = 128


def test_the_width_is_the_file_s_unless_it_was_set(write, capsys):
    path = write(glove())
    assert at_width_of_vectors(Options()).embedding_dim == 128
    assert at_width_of_vectors(Options(vectors=path)).embedding_dim == 5
    assert "embedding_dim is 5, the width of" in capsys.readouterr().err
    assert at_width_of_vectors(Options(vectors=path, embedding_dim=5)).embedding_dim == 5
    assert capsys.readouterr().err == ""
    with pytest.raises(
        ConfigError, match=r"Expected vectors= to be of width 64.*or embedding_dim=5"
    ):
        at_width_of_vectors(Options(vectors=path, embedding_dim=64))
    with pytest.raises(DataError, match=r"No such file or folder: gone \(vectors=\)\."):
        at_width_of_vectors(Options(vectors="gone"))


def test_an_embedding_starts_from_what_is_known_at_the_scale_of_it(write, capsys):
    tokenizer = WordTokenizer()
    tokenizer.adapt(["the cat the dog", "the käse"])
    keras.utils.set_random_seed(0)
    embedding = keras.layers.Embedding(8, 5)  # and two rows of no word
    embedding.build()
    [before] = embedding.get_weights()
    ids = tokenizer.encode(["the cat the dog", "the käse"])
    start_from_vectors(embedding, tokenizer, ids, None, frozen=True)
    assert not embedding.trainable  # such as in the update of a run that began with a file
    np.testing.assert_array_equal(before, *embedding.get_weights())
    start_from_vectors(embedding, tokenizer, ids, write(glove()), frozen=True)
    [after] = embedding.get_weights()
    assert tokenizer.vocabulary[2:] == ["the", "cat", "dog", "käse"]
    np.testing.assert_array_equal(after[[3, 2, 5]], VECTORS[[4, 0, 1]])
    scale = VECTORS[[4, 0, 1]].std() / before.std()
    drawn = [0, 1, 4, 6, 7]
    np.testing.assert_allclose(after[drawn], before[drawn] * scale, rtol=1e-6)
    assert not embedding.trainable
    said = capsys.readouterr().err
    assert "has 3 of 4 words (75.0%), which are 83.3% of the training text's tokens" in said


def test_what_are_no_words_or_are_not_there_is_refused(write):
    embedding = keras.layers.Embedding(8, 5)
    embedding.build()
    path = write(glove())
    for tokenizer, said in (
        (CharacterTokenizer(), "Expected words with vectors .* made characters"),
        (WordTokenizer(), "has none of the training text's 2 words"),
    ):
        tokenizer.adapt(["qqq zzz"])
        with pytest.raises(DataError, match=said):
            start_from_vectors(embedding, tokenizer, tokenizer.encode(["qqq"]), path)
