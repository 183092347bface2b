import datetime
import gzip
import hashlib

import numpy as np
import pytest
import tensorflow as tf

from rnnapps.data import PairBatches, clean_pairs, load_tfds, make_dates, read_pairs
from rnnapps.errors import DataError

SPLITS = {"train": 5, "val": 2, "test_2016_flickr": 1}


def write(path, content):
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def test_one_file_or_two_gzipped_or_not(tmp_path):
    both = "ein Mann\ta man\r\nein Hund, \u2028 zwei\ta dog, two\n".encode()
    expected = (["ein Mann", "ein Hund, \u2028 zwei"], ["a man", "a dog, two"])
    for name in ("pairs.tsv", "pairs.tsv.gz"):
        pairs = read_pairs(write(tmp_path / name, both))
        assert (pairs.sources, pairs.targets) == expected
    source = write(tmp_path / "train.de.gz", "\n".join(expected[0]).encode())
    target = write(tmp_path / "train.en", ("\n".join(expected[1]) + "\n").encode())
    pairs = read_pairs(source, target)
    assert (pairs.sources, pairs.targets) == expected
    assert pairs.take([1]).targets == ["a dog, two"]


@pytest.mark.parametrize(
    ("one", "other", "sentence"),
    [
        (b"a\tb\nc\n", None, r"one, line 2: expected a text, a tab.*Received: 1 columns"),
        (b"a\tb\tc\n", None, r"Received: 3 columns \(1, 2, 3\); name the two with source_column="),
        (b"", None, "one is empty"),
        (b"\xef\xbb\xbf", None, "one is empty"),
        ("\u00a0\n\u3000\n".encode(), None, "one is empty"),
        (b"a\nb\nc\n", b"x\ny\n", r"a line of .*other for each line of .*one.*2 lines for 3"),
        (b"a\n", b"\xff\n", r"other, line 1: byte 0xff is not UTF-8"),
        (b"a\n", None, "Received: 1 columns"),
    ],
)
def test_files_that_are_no_pairs(one, other, sentence, tmp_path):
    one = write(tmp_path / "one", one)
    other = None if other is None else write(tmp_path / "other", other)
    with pytest.raises(DataError, match=sentence):
        read_pairs(one, other)
    with pytest.raises(DataError, match=r"No such file or folder: .*nowhere"):
        read_pairs(tmp_path / "nowhere", other)


def test_the_codes_of_a_memory_are_no_text(tmp_path):
    segment = 'Klick <bpt i="1">{\\b </bpt><hi>OK</hi><ept i="1">}</ept> an<ph>&lt;br/&gt;</ph>.'
    variants = {"de": segment, "en-GB": "colour", "en": "color"}
    units = (f'<tuv xml:lang="{k}"><seg>{v}</seg></tuv>' for k, v in variants.items())
    path = write(tmp_path / "a.tmx", f"<tmx><body><tu>{''.join(units)}</tu></body></tmx>".encode())
    found = read_pairs(path, languages=("de", "en"))
    assert (found.sources, found.targets) == (["Klick OK an."], ["color"])


def test_what_is_left_out_is_counted():
    sources = tf.ragged.constant([[1] * n for n in (3, 0, 9, 2, 2, 8)], tf.int32)
    targets = tf.ragged.constant([[1] * n for n in (3, 4, 3, 7, 0, 2)], tf.int32)
    kept, found = clean_pairs(sources, targets, max_length=8, max_ratio=4.0)
    assert kept.tolist() == [0, 3, 5]
    assert found == {"pairs": 6, "empty": 2, "long": 1, "uneven": 0}
    kept, found = clean_pairs(sources, targets, max_length=8, max_ratio=3.0)
    assert (kept.tolist(), found["uneven"]) == ([0], 2)


@pytest.mark.parametrize("kept", [None, np.arange(1, 30, 3)])
def test_batches_of_pairs_shift_the_target_by_one(kept):
    rows = [([i + 4] * (i % 5 + 1), [i + 4] * (i % 3)) for i in range(30)]
    sources, targets = (
        tf.ragged.constant(list(side), tf.int32) for side in zip(*rows, strict=True)
    )
    batches = PairBatches(sources, targets, bos=2, eos=3, batch_size=8, seed=1, kept=kept)
    seen = []
    for (source, inputs), outputs, weights in batches.epochs(first=4).take(len(batches)):
        assert source.shape[0] == inputs.shape[0] == outputs.shape[0] == 8
        for a, b, c, w in zip(source.numpy(), inputs.numpy(), outputs.numpy(), weights.numpy(),
                              strict=True):  # fmt: skip
            n = int(w.sum())
            assert w.tolist() == [1] * n + [0] * (len(w) - n)
            assert not b[n:].any()
            if n:
                assert (b[0], c[n - 1]) == (2, 3)
                assert b[1:n].tolist() == c[: n - 1].tolist()
                seen.append((a[a > 0].tolist(), c[: n - 1].tolist()))
            else:
                assert not a.any()
    assert sorted(seen) == sorted(rows if kept is None else rows[1::3])


def test_batches_of_fixed_lengths():
    sources = tf.ragged.constant([[5] * n for n in range(1, 12)], tf.int32)
    batches = PairBatches(sources, sources, 2, 3, batch_size=4, boundaries=(4, 8, 16))
    shapes = {tuple(x.shape) for (s, i), _, _ in batches.one_pass()[0] for x in (s, i)}
    assert shapes <= {(4, 4), (4, 8), (4, 16)}


def test_dates_are_what_they_say():
    sources, targets = make_dates(500)
    assert (sources, targets) == make_dates(500)
    for source, target in zip(sources, targets, strict=True):
        date = datetime.datetime.fromisoformat(target)
        assert date.strftime("%Y-%m-%d %H:%M")[: len(target)] == target
        year = "".join("〇一二三四五六七八九"[int(digit)] for digit in str(date.year))
        assert str(date.year) in source or year in source
    assert sum(":" in target for target in targets) / 500 == pytest.approx(0.5, abs=0.1)


def multi30k_files(folder):
    """Small files of the names that the data set has."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in SPLITS.items():
        for language in ("de", "en"):
            text = "".join(f"{split} {language} {i} ä\n" for i in range(count))
            write(folder / f"{split}.{language}.gz", text.encode())
    return folder


@pytest.mark.parametrize("where", ["", "multi30k", "downloads/manual", "downloads/manual/multi30k"])
def test_multi30k_is_prepared_from_the_files_that_are_there(where, tmp_path, capsys):
    import rnnapps.data.multi30k  # noqa: F401  (registers the data set)

    multi30k_files(tmp_path / where)
    parts = load_tfds("multi30k", ("train", "validation", "test"), tmp_path)
    assert capsys.readouterr().out == ""
    assert [len(part) for part in parts] == list(SPLITS.values())
    assert parts[0][3] == {"de": "train de 3 ä".encode(), "en": "train en 3 ä".encode()}
    assert (tmp_path / "multi30k" / "1.0.0" / "dataset_info.json").exists()


def test_tfds_builds_multi30k_from_its_file(tmp_path):
    import simple_parsing
    from tensorflow_datasets.scripts.cli import build

    import rnnapps.data.multi30k as home

    multi30k_files(tmp_path / "data")
    # What `tfds build` runs; the whole of `tfds` imports Apache Beam.
    arguments = [home.__file__, "--data_dir", str(tmp_path / "data")]
    simple_parsing.parse(build.Args, args=arguments).execute()
    assert (tmp_path / "data" / "multi30k" / "1.0.0" / "dataset_info.json").exists()


def test_multi30k_is_what_its_checksums_say(test_data):
    from rnnapps.data.multi30k import Multi30k

    infos = Multi30k(data_dir="/nonexistent").url_infos
    assert len(infos) == 6
    for url, info in infos.items():
        content = (test_data / "multi30k" / url.rpartition("/")[2]).read_bytes()
        assert info.size == len(content)
        assert info.checksum == hashlib.sha256(content).hexdigest()
