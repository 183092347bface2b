"""Pairs that do not fit into memory: those that are read at once, their ids and batches."""

import numpy as np
import pytest

from rnnapps.apps.translation import data
from rnnapps.apps.translation.config import TranslationConfig
from rnnapps.data import PairBatches, StoredTexts, make_dates, read_pairs
from rnnapps.data import long_text as module
from rnnapps.data.cache import cache_in
from rnnapps.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path):
    with cache_in(tmp_path / "cache"):
        yield


def both_ways(monkeypatch, *arguments, **named):
    """What is read at once, and what is read line by line."""
    found = []
    for large in (10**9, 0):
        monkeypatch.setattr(module, "_LARGE", large)
        found.append(read_pairs(*arguments, **named))
    assert isinstance(found[1].sources, StoredTexts)
    assert not isinstance(found[0].sources, StoredTexts)
    return found


def same(one, other):
    assert (one.sources, one.targets) == (list(other.sources), list(other.targets))
    assert one.said == other.said


def test_lines_of_two_files_and_columns_of_one(tmp_path, monkeypatch):
    source, target = tmp_path / "x.de", tmp_path / "x.en"
    source.write_bytes("eins\r\nzwei\rdrei\n\nvier \u2028 fünf".encode())
    target.write_bytes(b"one\ntwo\n\nfour\n")
    same(*both_ways(monkeypatch, source, target))
    for content in (
        'a "b\tc\n\nd\te\r\n',
        "ein\tone\rzwei\ttwo\r",
        "de\tnotes\ten\nein\t1\tone\nzwei\t2\ttwo\n",
        "ein\tone\t(CC BY 2.0)\nzwei\ttwo\t(CC BY 2.0)\n",
    ):
        source.write_text(content, newline="")
        same(*both_ways(monkeypatch, source, languages=("de", "en")))
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        source.write_bytes("\ufeffein\tone\nzwei\ttwo\n".encode(encoding))
        same(*both_ways(monkeypatch, source))


def test_of_many_pairs_no_more_than_ten_thousand_are_set_aside(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("".join(f"{i // 2}\t{i}\n" for i in range(500_000)))
    parts = data.load_splits(TranslationConfig(data=str(path)))
    train, *held = (set(part.sources) for part in (parts.train, parts.validation, parts.test))
    assert [len(parts.validation), len(parts.test)] == [10_000, 10_000]
    assert len(parts.train) == 480_000
    assert train.isdisjoint(held[0] | held[1]) and held[0].isdisjoint(held[1])


def test_mistakes_name_file_and_line(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_LARGE", 0)
    source, target = tmp_path / "x.de", tmp_path / "x.en"
    source.write_text("ein\tone\n" * 2000 + "zwei\n")
    with pytest.raises(DataError, match=r"x\.de, line 2001: expected a text, a tab"):
        read_pairs(source)
    target.write_text("one\n" * 1999)
    with pytest.raises(DataError, match=r"x\.en, which ends before line 2,000 of .*x\.de"):
        read_pairs(source, target)


def test_splits_and_batches_are_those_made_in_memory(tmp_path, monkeypatch):
    path = tmp_path / "dates.txt"
    sources, targets = make_dates()
    lines = zip(sources[:900], targets[:900], strict=True)
    path.write_text("".join(f"{one}\t{other}\n" for one, other in lines))
    config = TranslationConfig(data=str(path), max_length=16)
    found = []
    for large in (10**9, 0):
        monkeypatch.setattr(module, "_LARGE", large)
        splits = data.load_splits(config)
        tokenizers = data.make_tokenizers(splits.train, config)
        ids, kept, counts = data.encode(splits.train, tokenizers, config)
        assert len(kept) < len(splits.train)  # some are left out
        batches = PairBatches(*ids, 2, 3, 16, seed=1, kept=kept).epochs().take(60)
        print_ = data.fingerprint(splits.train, splits.validation)
        found.append((splits, print_, counts, [one.vocabulary for one in tokenizers], batches))
    (splits, *rest, batches), (others, *same_rest, same_batches) = found
    assert rest == same_rest
    for part in ("train", "validation", "test"):
        same(getattr(splits, part), getattr(others, part))
    for one, other in zip(batches, same_batches, strict=True):
        for value, again in zip((*one[0], *one[1:]), (*other[0], *other[1:]), strict=True):
            np.testing.assert_array_equal(value, again)
