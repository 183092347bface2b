"""A text in a file: the characters, lines, ids and windows that the same text in memory has."""

import gzip
import random

import numpy as np
import pytest
import tensorflow as tf

from rnnapps.apps.chargen import data
from rnnapps.apps.chargen.config import CharGenConfig
from rnnapps.data import LongText, Streams, read_bytes, read_long_text, read_text
from rnnapps.data import long_text as module
from rnnapps.data.cache import cache_in
from rnnapps.errors import DataError
from rnnapps.text import KneserNey


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    """Pieces of a few characters, of files that are all long."""
    monkeypatch.setattr(module, "_PIECE", 50)
    monkeypatch.setattr(module, "_LARGE", 0)
    with cache_in(tmp_path / "cache"):
        yield


def odd_text(count=400):
    rng = random.Random(0)
    words = ["the", "cat", "über", "漢字", "😀", "\r\n", "\n", "\n\n", "\r", "\x0b", "\u2028", " "]
    return "".join(rng.choice(words) + rng.choice(["", " "]) for _ in range(count))


@pytest.mark.parametrize("newlines", ["normalize", "keep"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_it_is_the_text_that_is_read_at_once(tmp_path, newlines, encoding):
    named = None if encoding != "cp1252" else encoding
    path = tmp_path / "text.txt.gz"
    path.write_bytes(gzip.compress(odd_text().encode(encoding, "ignore")))
    whole = read_text(path, named, newlines=newlines)
    text = read_long_text([path], named, newlines=newlines)
    assert len(text) == len(whole)
    assert "".join(text) == whole
    assert list(text.splitlines(True)) == whole.splitlines(True)
    for first, last in [(0, 7), (3, 3), (60, 61), (40, 500), (-100, None), (0, len(whole))]:
        part = text[first:last]
        assert isinstance(part, LongText)
        assert ("".join(part), len(part)) == (whole[first:last], len(whole[first:last]))
        assert "".join(part[5:20]) == whole[first:last][5:20]


def test_bytes_are_kept_and_files_end_with_a_line(tmp_path):
    paths = [tmp_path / name for name in "abc"]
    for path, content in zip(paths, [b"one\xff\n\xe2\x82" * 30, b"", b"two\0" * 40], strict=True):
        path.write_bytes(content)
    text = "".join(read_long_text(paths, as_bytes=True))
    assert text == read_bytes(paths[0]) + "\n" + read_bytes(paths[2]) + "\n"
    with pytest.raises(DataError, match="c is not a text: it holds the byte 0x00"):
        read_long_text(paths[2:])
    with pytest.raises(DataError, match="a, line 1: byte 0xff is not UTF-8"):
        read_long_text(paths[:1])


@pytest.mark.parametrize("tokenizer", ["character", "word", "byte"])
def test_parts_ids_and_windows_are_those_in_memory(tmp_path, monkeypatch, tokenizer):
    (tmp_path / "text.txt").write_text(odd_text(3000), newline="")
    config = CharGenConfig(data=str(tmp_path / "text.txt"), tokenizer=tokenizer)
    long = data.load_splits(config)
    monkeypatch.setattr(module, "_LARGE", 10**9)
    short = data.load_splits(config)
    assert isinstance(long.train, LongText)
    assert data.fingerprint(long.train) == data.fingerprint(short.train)
    assert long.said == short.said
    assert list(data.keys(long.train)) == list(data.keys(short.train))
    assert data.first_line(long.test) == data.first_line(short.test)
    tokenizers = [data.make_tokenizer(config, one.train) for one in (long, short)]
    assert tokenizers[0].vocabulary == tokenizers[1].vocabulary
    for part in ("train", "validation", "test"):
        one, other = (data.encode(tokenizers[0], getattr(all_, part)) for all_ in (long, short))
        np.testing.assert_array_equal(one, other)
    ids, other = (data.encode(tokenizers[0], one.train) for one in (long, short))
    assert ids.dtype in ("uint8", "uint16")
    batches = [Streams(one, 4, 16, seed=3).epochs().take(300) for one in (ids, other)]
    for one, same in zip(*batches, strict=True):
        np.testing.assert_array_equal(one[0][0], same[0][0])
        np.testing.assert_array_equal(one[1], same[1])
    grams = [KneserNey(3, tokenizers[0].vocabulary_size) for _ in range(2)]
    for model, one in zip(grams, (ids, other), strict=True):
        model.adapt(one)
    np.testing.assert_array_equal(grams[0].nats(ids[:200]), grams[1].nats(other[:200]))


def test_places_that_32_bits_do_not_hold(tmp_path):
    size = 1_200_000_000
    ids = np.memmap(tmp_path / "ids", np.uint8, "w+", shape=size)  # a file that takes no room
    ids[-9:-5] = [1, 2, 3, 4]
    streams = Streams(ids, 2, 4)
    # The second stream's last window ends one lap behind where the first one's first began.
    _, targets = streams._batch(tf.constant(size - 5), tf.constant(len(streams) - 1))
    np.testing.assert_array_equal(targets[1], [1, 2, 3, 4])
