"""Data that does not fit into memory: the same examples, splits, batches; a cache that is whole."""

import gzip
import json
import os
import pathlib
import random
import resource
import threading

import numpy as np
import pandas as pd
import pytest

from rnnapps.apps.sentiment import data
from rnnapps.apps.sentiment.config import SentimentConfig
from rnnapps.config import TableOptions
from rnnapps.data import StoredTexts, make_reviews, read_examples
from rnnapps.data.cache import cache_in, cached
from rnnapps.data.learned import among, hashes
from rnnapps.data.splits import json_pieces
from rnnapps.data.stored import TextWriter, joined, let_go, mapped, take
from rnnapps.errors import ConfigError, DataError, DiskError

ROLLUP = pathlib.Path("/proc/self/smaps_rollup")
ODD = ["", "x" * 31, "x" * 32, "x" * 33, "x" * 64, "a", "a\0", "a\0\0b", "a\0b", "\ud7ff", "\ue000",
       "😀", "\ud800", "é", "e", "x" * 64 + "\0", "x" * 70, "x" * 70 + "y"]  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path):
    with cache_in(tmp_path / "cache"):
        yield tmp_path / "cache"


def stored(texts, folder):
    folder.mkdir()
    writer = TextWriter(folder)
    writer.add(texts)
    writer.close()
    return StoredTexts(folder)


def reviews(count=600):
    """Reviews with what is hard to read, as a table."""
    texts, labels = make_reviews(count, 3)
    rng = random.Random(0)
    ends = ["", ' "quoted"', "\nanother line", "\r\nx", ", a comma", " ü 漢字 😀"]
    texts = [text + rng.choice(ends) for text in texts]
    texts[5], texts[7], labels[20] = texts[3], "", ""
    return pd.DataFrame({"label": labels, "n": range(count), "text": texts})


def write(table, path, name):
    kind = name.partition(".")[2]
    if kind == "parquet":
        table.to_parquet(path)
    elif kind == "jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        encoding = "utf-16" if kind == "csv.gz" else "utf-8"
        table.to_csv(path, index=False, sep=";" if kind == "tsv" else ",", encoding=encoding)


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.csv.gz", "x.jsonl", "x.parquet"])
def test_parts_hold_what_the_whole_table_does(tmp_path, name):
    table = reviews()
    write(table, tmp_path / name, name)
    (tmp_path / "parts").mkdir()
    for part in range(3):
        some = table[part * 200 : (part + 1) * 200]
        write(some, tmp_path / "parts" / f"part-{part}-{name}", name)
    whole = read_examples(tmp_path / name)["all"]
    for path in (tmp_path / "parts", tmp_path / "parts" / "part-*"):
        parts = read_examples(path)["all"]
        assert isinstance(parts.texts, StoredTexts)
        assert (list(parts.texts), parts.labels) == (whole.texts, whole.labels)
        assert parts.said[1:] == whole.said[1:]
        assert parts.said[0].startswith(f"{path}: 600 rows; 3 files")


def test_splits_and_batches_are_those_made_in_memory(tmp_path):
    table = reviews()
    table.to_csv(tmp_path / "all.csv", index=False)
    for part in range(2):
        some = table[part * 300 : (part + 1) * 300]
        some.to_csv(tmp_path / f"part-{part}.csv", index=False)
    found = []
    for name in ("all.csv", "part-*.csv"):
        config = SentimentConfig(data=str(tmp_path / name), batch_size=16, crops=0.3)
        splits = data.load_splits(config)
        parts = data.encode(splits, config)[0]
        batches, held = data.training_batches(parts, config)
        found.append((splits, parts, batches.epochs(), held))
    (splits, parts, batches, held), (others, other_parts, other_batches, other_held) = found
    for name in ("train", "validation", "test"):
        one, other = getattr(splits, name), getattr(others, name)
        assert (one.texts, one.labels) == (list(other.texts), other.labels)
        np.testing.assert_array_equal(hashes(one.keys), hashes(other.keys))
    assert data.fingerprint(splits.train, splits.test) == data.fingerprint(
        others.train, others.test
    )
    assert parts.tokenizer.vocabulary == other_parts.tokenizer.vocabulary
    assert other_parts.ids.dtype == "uint8"
    for one, other in ((batches.take(60), other_batches.take(60)), (held, other_held)):
        for batch, same in zip(one, other, strict=True):
            for value, again in zip(batch, same, strict=True):
                np.testing.assert_array_equal(value, again)


def test_stored_texts_are_a_sequence(tmp_path):
    rng = random.Random(1)
    texts = [rng.choice(ODD) + rng.choice(ODD) for _ in range(300)]
    found = stored(texts, tmp_path / "texts")
    assert list(found) == texts
    assert (found[3], found[-1], found[5:50:7]) == (texts[3], texts[-1], texts[5:50:7])
    rows = [7, 3, 3, 250]
    assert list(take(found, rows)) == [texts[i] for i in rows] == take(texts, rows)
    both = joined(found.take(range(9)), found.take([100]))
    assert list(both) == [*texts[:9], texts[100]]
    assert joined(both, ["z"]) == [*both, "z"]
    with pytest.raises(IndexError):
        found[300]


def test_distinct_texts_stand_as_numpy_sorts_them(tmp_path):
    rng = random.Random(2)
    texts = [rng.choice(ODD) + rng.choice(ODD) + rng.choice(ODD) for _ in range(2000)]
    _, first, group = np.unique(np.array(texts, object), return_index=True, return_inverse=True)
    found = stored(texts, tmp_path / "texts")
    for one, other in zip(found.distinct(), (first, group), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(hashes(found), hashes(texts))
    seen = hashes(texts[:5])
    np.testing.assert_array_equal(among(found, seen), among(texts, seen))


@pytest.mark.parametrize("count", [0, 1, 4096, 5000])
def test_json_in_pieces_is_json(count):
    texts = [f'"{i} ü\n' for i in range(count)]
    whole = json.dumps([texts, texts[:3]]).encode()
    assert b"".join(json_pieces(texts, texts[:3])) == whole


def test_a_cache_is_found_again_unless_it_is_damaged(cache):
    made = []

    def make(folder):
        made.append(folder)
        (folder / "numbers").write_bytes(b"123")

    place = cached(make, "key", 1)
    assert cached(make, "key", 1) == place
    assert cached(make, "key", 2) != place
    assert len(made) == 2
    (place / "numbers").write_bytes(b"124")
    assert (cached(make, "key", 1) / "numbers").read_bytes() == b"123"
    (place / "checksums.json").unlink()  # as a killed deletion leaves it
    cached(make, "key", 1)
    assert len(made) == 4

    def fail(folder):
        (folder / "half").write_bytes(b"1")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(fail, "key", 3)
    assert {one.name for one in cache.iterdir()} == {place.name, cached(make, "key", 2).name}


def test_what_another_process_made_meanwhile_stays(cache):
    def make(folder):
        (folder / "numbers").write_bytes(b"123")

    def late():
        with cache_in(cache):
            found.append(cached(make, "key"))

    found = []
    place = cached(make, "key")
    (place / "checksums.json").unlink()
    os.mkfifo(place / "checksums.json")  # whoever looks whether it is whole waits
    thread = threading.Thread(target=late)
    thread.start()
    with (place / "checksums.json").open("w") as pipe:
        place.rename(cache / "damaged")
        (cached(make, "key") / "in use").touch()
        pipe.write("{")
    thread.join()
    assert found == [place]
    assert (place / "in use").exists()


def test_a_full_disk_is_said(cache):
    def make(folder):
        (folder / "numbers").write_bytes(bytes(5000))

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(DiskError, match=f"{cache} has .* MB free"):
            cached(make, "key")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(cache.iterdir())


def test_a_cache_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "x").write_text("")
    for place in (tmp_path / "x", tmp_path / "x" / "y"):
        with pytest.raises(ConfigError, match=r"to be a folder.*/x is a file"), cache_in(place):
            pass


def test_mistakes_name_the_file(tmp_path):
    with pytest.raises(DataError, match=r"files that match .*part-\*.csv. Received: none"):
        read_examples(tmp_path / "part-*.csv")
    good = "label,text\n1,a\n2,b\n"
    (tmp_path / "part-1.csv").write_text(good)
    sentences = {
        "label,texts\n1,a\n": "part-2.csv has no column 'text'",
        "label,text\n1,a,b\n": "part-2.csv, line 2: 3 fields where the first line has 2",
        'label,text\n1,"a\n2,b\n': "part-2.csv, line 2: a quotation mark is opened",
        "label,text\n1,a\0b\n": "part-2.csv is not a text: it holds the byte 0x00",
    }
    for content, sentence in sentences.items():
        (tmp_path / "part-2.csv").write_text(content)
        with pytest.raises(DataError, match=sentence):
            read_examples(tmp_path / "part-*.csv")
    (tmp_path / "part-2.csv").write_bytes(b"label,text\n1,a\n" + b"2,b\n" * 300_000 + b"1,\xff\n")
    with pytest.raises(DataError, match=r"part-2\.csv is not utf-8"):
        read_examples(tmp_path / "part-*.csv")
    (tmp_path / "part-2.csv").write_bytes(gzip.compress(good.encode())[:-9])
    with pytest.raises(DataError, match=r"part-2\.csv is damaged"):
        read_examples(tmp_path / "part-*.csv")


def test_a_part_may_be_empty_but_not_all(tmp_path):
    (tmp_path / "part-1.csv").write_text("label,text\n")
    (tmp_path / "part-2.csv").write_text("")
    with pytest.raises(DataError, match=r"part-\*.csv holds no rows"):
        read_examples(tmp_path / "part-*.csv")
    (tmp_path / "part-3.csv").write_text("label,text\n1,a\n")
    found = read_examples(tmp_path / "part-*.csv")["all"]
    assert list(found.texts) == ["a"]
    assert "part-1.csv holds no rows; part-2.csv holds no rows" in found.said[0]


def test_what_a_file_is_its_first_bytes_say(tmp_path):
    (tmp_path / "part-1.csv").write_text("sep=;\nlabel;text\n1;a\n")
    (tmp_path / "part-2.csv").write_bytes(gzip.compress(b"text\tlabel\nb\t2\n"))
    pd.DataFrame({"text": ["c"], "label": [1]}).to_parquet(tmp_path / "part-3.csv")
    (tmp_path / "part-4.jsonl").write_text('[{"label": 2, "text": "d"}]')
    found = read_examples(tmp_path / "part-*", options=TableOptions())["all"]
    assert (list(found.texts), found.labels) == ([*"abcd"], ["1", "2", "1", "2"])


@pytest.mark.skipif(not ROLLUP.exists(), reason="the system does not say what memory is used")
def test_the_memory_of_mapped_ids_is_given_back(tmp_path):
    def held():
        return int(ROLLUP.read_text().partition("\nRss:")[2].split()[0]) * 1024

    size = 1 << 28
    with (tmp_path / "ids").open("wb") as file:
        file.seek(size - 1)
        file.write(b"\1")
    ids = mapped(tmp_path / "ids", "uint8")
    assert ids.sum() == 1  # reads all of it
    before = held()
    let_go()
    assert before - held() > size / 2
    assert ids[-2:].tolist() == [0, 1]
