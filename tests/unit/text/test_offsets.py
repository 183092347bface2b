"""Tokens with their places in the text."""

import random

import pytest
import tensorflow as tf

from rnnapps.text import (
    OffsetTokenizer,
    TokenEncoder,
    WordTokenizer,
    kind_of_tokens,
    tokenize_texts,
)

TEXTS = [
    "It's late, isn't it?",
    "",
    "  \u00a0 ",
    "Zoë 😀 paid $3.14\tto U.S. banks…",
    "北京 ok\x1fno",
]


@pytest.mark.parametrize("kind", ["word", "treebank", "character"])
def test_tokens_stand_where_they_are_said_to(kind):
    rng = random.Random(0)
    drawn = [
        "".join(rng.choices("aB é'’.,1😀北\u0301\n-@", k=rng.randrange(30))) for _ in range(200)
    ]
    for text, (tokens, starts, ends) in zip(
        TEXTS + drawn, tokenize_texts(TEXTS + drawn, kind), strict=True
    ):
        assert [text[a:b] for a, b in zip(starts, ends, strict=True)] == tokens
        rest = list(text)
        for a, b in zip(starts, ends, strict=True):
            rest[a:b] = " " * (b - a)
        assert not "".join(rest).replace("\x1f", " ").strip(), "a character is in no token"


def test_words_are_those_of_the_word_tokenizer():
    texts = [text.replace("\u00a0", " ") for text in TEXTS[:4]]
    words = WordTokenizer(lower=False).tokens(tf.constant(texts)).to_list()
    assert [
        [one.encode() for one in tokens] for tokens, _, _ in tokenize_texts(texts, "word")
    ] == words


def test_treebanks_have_contractions_apart():
    text = "Don't say it's John's 3,000.5 e-mails: see www.a.b/c @x U.S. ..."
    assert tokenize_texts([text], "treebank")[0][0] == [
        "Do", "n't", "say", "it", "'s", "John", "'s", "3,000.5", "e-mails", ":", "see", "www.a.b/c",
        "@x", "U.S.", "...",
    ]  # fmt: skip


def test_how_texts_are_cut_goes_by_the_tokens():
    assert kind_of_tokens([["I", "do", "n't"]]) == "treebank"
    assert kind_of_tokens([["I", "go"], ["a"]]) == "word"
    assert kind_of_tokens([list("我在北京，")]) == "character"
    assert kind_of_tokens([["a", "b"]]) == "word"


def test_a_batch_is_filled_up():
    tokens, starts, ends = OffsetTokenizer()(tf.constant(["a bc", ""]))
    assert tokens.numpy().tolist() == [[b"a", b"bc"], [b"", b""]]
    assert starts.numpy().tolist() == [[0, 2], [0, 0]] and ends.numpy().tolist() == [[1, 4], [0, 0]]
    assert OffsetTokenizer()(tf.constant([], tf.string))[0].shape == (0, 1)


def test_long_words_lose_their_middle_and_case_is_kept():
    encoder = TokenEncoder(max_characters=4)
    encoder.adapt(["abcdef", "AB", "ab"])
    ids, characters = encoder(tf.constant([["abcdef", "AB", ""], ["ab", "nope", ""]]))
    assert len({int(ids[0, 0]), int(ids[0, 1]), int(ids[1, 0])}) == 3
    assert ids[1, 1] == 1 and ids[0, 2] == 0
    letters = encoder.characters.vocabulary
    assert "".join(letters[i] for i in characters[0, 0].numpy()) == "abef"
    assert "".join(letters[i] for i in characters[0, 1].numpy()) == "AB"


def test_pairs_are_of_a_token_and_the_next():
    encoder = TokenEncoder(max_characters=0, pair_buckets=1000)
    encoder.adapt(["a", "b"])
    ids, pairs = encoder(tf.constant([["a", "b", "a", "b"], ["a", "b", "", ""]]))
    assert pairs[0, 0] == pairs[0, 2] == pairs[1, 0] != pairs[0, 1]
    assert pairs[0, 3] == pairs[1, 1] and pairs[1, 2] == 0 and ids.shape == pairs.shape


def test_tokens_share_what_they_begin_and_end_with_and_their_shape():
    encoder = TokenEncoder(max_characters=0, affix_buckets=2**20)
    encoder.adapt(["a"])
    words = ["Paris", "paris", "Parma", "Chablis", "é", "É", "AB-12345", "XY-987", ""]
    _, affixes = encoder(tf.constant([words]))
    paris, lower, parma, chablis, small, large, code, other, none = affixes.numpy()[0]
    first, last, shape = slice(0, 8, 2), slice(1, 8, 2), 8  # of 1, 2, 3 and 4 characters
    assert (paris[:8] == lower[:8]).all() and paris[shape] != lower[shape]
    assert (paris[first] == parma[first]).tolist() == [True, True, True, False]
    assert (paris[last] == chablis[last]).tolist() == [True, True, False, False]
    assert paris[shape] == chablis[shape] == parma[shape]  # Xxxx
    assert (small[:8] == large[:8]).all() and small[shape] != large[shape]
    assert code[shape] == other[shape] and not none.any() and len(set(small[:8])) == 8
