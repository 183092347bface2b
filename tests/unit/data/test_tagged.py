"""Tagged sentences from people's files."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from rnnapps.apps.tagging.config import TaggingConfig
from rnnapps.apps.tagging.data import batches, fingerprint, load_splits, tag_names
from rnnapps.config import TableOptions
from rnnapps.data import (
    Forms,
    Splits,
    Table,
    TagColumns,
    TaggedBatches,
    from_long_table,
    large,
    make_names,
    make_tagged,
    read_tagged,
)
from rnnapps.data.cache import cache_in
from rnnapps.data.learned import without
from rnnapps.data.stored import StoredRows
from rnnapps.errors import DataError
from rnnapps.text import TokenEncoder

TOKENS, TAGS = [["Ada", "lives"], ["in", "Rome", "."]], [["B-p", "O"], ["O", "B-l", "O"]]


def written(path, text):
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("name", ["a.conll", "a.txt", "a.bio", "eng.train", "a"])
def test_columns_under_any_ending(tmp_path, name):
    text = "-DOCSTART- -X- O\n\nAda NNP B-p\nlives VBZ O\n\n\nin IN O\nRome NNP B-l\n. . O\n"
    found = read_tagged(written(tmp_path / name, text))
    assert (found.tokens, found.tags) == (TOKENS, TAGS)
    assert "1 -DOCSTART- skipped" in found.said[0]
    other = read_tagged(tmp_path / name, TagColumns(tag="2"))
    assert other.tags[0] == ["NNP", "VBZ"] and not other.scheme.name


def test_tabs_keep_spaces_within_tokens_and_quotation_marks(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes(gzip.compress(b'New York\tB-l\r\n"\tO\r\n\t\r\n#1\tO\r\n'))
    assert read_tagged(path).tokens == [["New York", '"'], ["#1"]]


def test_conllu_skips_comments_and_what_is_no_word(tmp_path):
    rows = [
        "# text = can't",
        "1-2\tcan't" + "\t_" * 8,
        "1\tca\tcan\tAUX\tMD" + "\t_" * 5,
        "2\tn't\tnot\tPART\tRB" + "\t_" * 5,
        "2.1\tx" + "\t_" * 8,
        "",
    ]
    path = written(tmp_path / "a.conllu", "\n".join(rows))
    assert read_tagged(path).tokens == [["ca", "n't"]]
    assert read_tagged(path).tags == [["AUX", "PART"]]
    assert read_tagged(path, TagColumns(tag="xpos")).tags == [["MD", "RB"]]
    with pytest.raises(DataError, match=r"upos.*Did you mean xpos"):
        read_tagged(path, TagColumns(tag="xposs"))


def test_objects_a_line_with_tokens(tmp_path):
    rows = [{"tokens": a, "tags": b} for a, b in zip(TOKENS, TAGS, strict=True)]
    path = written(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert read_tagged(path).tags == TAGS
    assert read_tagged(written(tmp_path / "a.json", json.dumps(rows))).tags == TAGS


def test_spans_in_characters(tmp_path):
    rows = [
        {"text": "Ada lives", "spans": [{"start": 0, "end": 3, "label": "p"}]},
        {"text": "in Rome.", "spans": [[3, 7, "l"]]},
        {"text": "x", "spans": []},
    ]
    path = written(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    found = read_tagged(path)
    assert (found.tokens[:2], found.tags[:2]) == (TOKENS, TAGS) and not found.notes


def test_spans_of_chinese_are_of_characters(tmp_path):
    row = {"text": "我在北京", "spans": [[2, 4, "地"]]}
    found = read_tagged(written(tmp_path / "a.jsonl", json.dumps(row)))
    assert found.tokens == [list("我在北京")] and found.tags == [["O", "O", "B-地", "I-地"]]


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ([[0, 3, "p"], [1, 6, "q"]], "do not cross.*'Ada'"),
        ([[0, 99, "p"]], "within the text's 9 characters"),
        ([[3, 4, "p"]], "hold a token.*leave it out"),
        ([{"start": 0, "end": 3}], "a start, an end and a label"),
    ],
)
def test_spans_that_cannot_be(tmp_path, spans, said):
    path = written(tmp_path / "a.jsonl", json.dumps({"text": "Ada lives", "spans": spans}))
    with pytest.raises(DataError, match=rf"line 1.*{said}"):
        read_tagged(path)


def test_a_span_within_a_token_takes_all_of_it(tmp_path):
    path = written(tmp_path / "a.jsonl", json.dumps({"text": "Ada lives", "spans": [[4, 7, "v"]]}))
    found = read_tagged(path)
    assert found.tags == [["O", "B-v"]] and "1 spans" in found.notes[0] and "liv" in found.notes[0]


def test_a_long_table(tmp_path):
    text = (
        "Sentence #,Word,POS,Tag\nS1,Ada,NNP,B-p\n,lives,VBZ,O\nS2,in,IN,O\n,Rome,N,B-l\n,.,.,O\n"
    )
    path = written(tmp_path / "a.csv", text)
    assert read_tagged(path, TagColumns(sentence="Sentence #")).tags == TAGS
    frame = pd.DataFrame({"w": ["a", "b", "c"], "t": ["X", "Y", "X"], "n": [7, 3, 7]})
    found = from_long_table(Table(frame), TagColumns("w", "t", "n"))
    assert found.tokens == [["a", "c"], ["b"]]
    with pytest.raises(DataError, match="no column 'Satz'"):
        read_tagged(path, TagColumns(sentence="Satz"))
    with pytest.raises(DataError, match="row 1: expected a sentence in column 'n'"):
        from_long_table(Table(frame.assign(n=[None, 3, 7])), TagColumns("w", "t", "n"))


def test_a_row_of_fewer_columns_names_its_line(tmp_path):
    path = written(tmp_path / "a.conll", "Ada NNP B-p\nlives O\n")
    with pytest.raises(DataError, match=r"a\.conll, line 2: expected 3 columns.*Received: 2"):
        read_tagged(path)
    with pytest.raises(DataError, match="one column"):
        read_tagged(written(tmp_path / "b.conll", "Ada\nlives\n"))
    with pytest.raises(DataError, match="is empty"):
        read_tagged(written(tmp_path / "c.conll", "\n \n"))


def test_an_inside_without_a_beginning_is_mended_and_said(tmp_path):
    found = read_tagged(written(tmp_path / "a.conll", "a O\nb I-p\n\nc B-p\nd I-q\n"))
    assert found.tags == [["O", "B-p"], ["B-p", "B-q"]]
    assert "2 sentences" in found.notes[0] and "line 1" in found.notes[0]
    with pytest.raises(DataError, match="refused by strict"):
        read_tagged(tmp_path / "a.conll", options=TableOptions(strict=True))


def test_empty_sentences_are_left_out_and_said():
    found = make_tagged([["a"], [], ["b"]], [["X"], [], ["Y"]])
    assert found.tokens == [["a"], ["b"]] and found.notes == ("1 empty sentences are left out",)
    with pytest.raises(DataError, match="sentence 1: expected a tag for each token"):
        make_tagged([["a", "b"]], [["X"]])


def test_what_is_put_together_is_written_alike():
    first, second = make_tagged([["a", "b"]], [["B-p", "I-p"]]), make_tagged([["c"]], [["S-q"]])
    assert (first + second).tags == [["B-p", "I-p"], ["B-q"]]
    assert (second + first).tags == [["S-q"], ["B-p", "E-p"]]


def test_sentences_that_are_there_are_known_under_another_scheme():
    tokens = [["New", "York", "is"], ["big"]]
    old = make_tagged(tokens, [["B-l", "I-l", "O"], ["O"]])
    new = make_tagged([*tokens, ["Rome"]], [["B-l", "E-l", "O"], ["O"], ["S-l"]])
    found = without(Splits(train=new), Splits(train=old))
    assert found.train.tokens == [["Rome"]]
    assert found.notes == ("2 new rows are in the run's data already, and are left out",)


def test_encodings_are_told(tmp_path):
    path = tmp_path / "a.conll"
    path.write_bytes("Zoë B-p\nist O\n".encode("cp1252"))
    assert read_tagged(path, options=TableOptions(encoding="cp1252")).tokens == [["Zoë", "ist"]]
    with pytest.raises(DataError, match="line 1: byte 0xeb"):
        read_tagged(path)


@pytest.mark.parametrize(
    ("name", "sentences", "scheme"),
    [
        ("ud_english_ewt/dev.conllu.gz", 2001, ""),
        ("wnut17/emerging.dev.conll", 1009, "IOB2"),
        ("resume_ner/dev.char.bmes", 463, "BMES"),
    ],
)
def test_published_files(test_data, name, sentences, scheme):
    found = read_tagged(test_data / name)
    assert (len(found), found.scheme.name, found.notes) == (sentences, scheme, ())


def test_the_samples_words_are_names_by_context():
    tokens, tags = make_names(2000)
    assert (tokens, tags) == make_names(2000)
    seen = {}
    for words, labels in zip(tokens, tags, strict=True):
        assert len(words) == len(labels)
        for word, label in zip(words, labels, strict=True):
            seen.setdefault(word, set()).add(label)
    names = {word: found for word, found in seen.items() if any(t[0] == "B" for t in found)}
    assert names and all(len(found) > 1 for found in names.values())


def test_batches_hold_each_sentence_once():
    tokens = tf.ragged.constant([[1, 2, 3], [3], [2, 2]], dtype=tf.int32)
    tags = tf.ragged.constant([[0, 1, 0], [1], [0, 0]], dtype=tf.int32)
    letters = np.array([[0, 0, 0], [5, 0, 0], [6, 7, 0], [8, 0, 0]], np.int32)
    forms = Forms(tf.constant([0, 10, 20, 1]), tf.constant(letters))
    batches = TaggedBatches(tokens, tags, forms, 2, seed=3)
    dataset, order = batches.one_pass()
    assert order.tolist() == [1, 2, 0]
    ((ids, characters), found, weights), (_, last, rest) = list(dataset)
    assert ids.numpy().tolist() == [[1, 0], [20, 20]]
    assert characters.shape == (2, 2, 2) and characters.numpy()[1, 0].tolist() == [6, 7]
    assert found.numpy().tolist() == [[1, -1], [0, 0]]
    assert last.numpy().tolist() == [[0, 1, 0], [-1, -1, -1]]
    share = 4 / 3  # what makes the mean over the rows, the filling included, that of the sentences
    np.testing.assert_allclose([*weights, *rest], [share, share, share, 0])


CONLL = "-DOCSTART- O\n\n" + "".join(
    f"{name} I-p\nmet O\n\n{name} I-p\n{name}son I-p\n\n{'x O' + chr(10)}" * 3 for name in "ABCDE"
)
OBJECTS = [{"tokens": list("ab"), "tags": ["O", "B-x"]}, {"tokens": [], "tags": []}] * 5
LARGE = {
    "a.tsv": "New\u2028York\tB-x\nof old\tO\n",
    "a.conll": CONLL,
    "a.txt.gz": CONLL.replace("\n", "\r\n"),
    "a.conllu": "# 1\n1-2\t_\t" + "\t" * 7 + "\n1\tc\tc\tN" + "\t_" * 6 + "\n\n",
    "a.jsonl": "\n".join(map(json.dumps, OBJECTS)) + "\n",
}


@pytest.mark.parametrize("name", LARGE)
def test_large_files_hold_what_they_do_in_memory(tmp_path, monkeypatch, name):
    content = LARGE[name].encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    whole = read_tagged(tmp_path / name)
    monkeypatch.setattr(large, "_LARGE", 0)
    with cache_in(tmp_path / "cache"):
        for _ in range(2):
            found = read_tagged(tmp_path / name)
            assert isinstance(found.tokens, StoredRows)
            assert [[*column] for column in (found.tokens, found.tags, found.keys)] == [
                whole.tokens, whole.tags, whole.keys]  # fmt: skip
            assert (found.said, found.notes, found.scheme) == (
                whole.said, whole.notes, whole.scheme)  # fmt: skip
        some = [3, 0] if len(whole) > 3 else [0]
        assert [*(found.take(some) + found.take([0])).tags] == (
            whole.take(some) + whole.take([0])
        ).tags


def test_batches_of_a_large_file_are_those_made_in_memory(tmp_path, monkeypatch):
    path = written(tmp_path / "a.conll", CONLL)
    config = TaggingConfig(data=str(path), batch_size=4, max_length=2)
    found = []
    with cache_in(tmp_path / "cache"):
        for limit in (1 << 25, 0):
            monkeypatch.setattr(large, "_LARGE", limit)
            parts = load_splits(config)
            encoder = TokenEncoder(max_characters=5, affix_buckets=50, pair_buckets=50)
            encoder.adapt(token for row in parts.train.tokens for token in row)
            made = batches(parts.train, encoder, tag_names(parts.train), config)
            found.append([fingerprint(parts.train, parts.test), *made.epochs().take(20)])
    (one, *first), (other, *second) = found
    assert one == other and [*tmp_path.glob("cache/*/pairs")]
    for batch, same in zip(first, second, strict=True):
        for value, again in zip(tf.nest.flatten(batch), tf.nest.flatten(same), strict=True):
            np.testing.assert_array_equal(value, again)


@pytest.mark.parametrize(
    "row",
    [
        {"tokens": ["a", None], "tags": ["O", "B-x"]},
        {"text": None, "spans": []},
        {"text": 12, "spans": [[0, 2, "n"]]},
        {"text": "Ada", "spans": None},
    ],
)
def test_what_is_no_text_is_refused(tmp_path, row):
    path = written(tmp_path / "a.jsonl", json.dumps(row))
    with pytest.raises(DataError, match=r"a\.jsonl, line 1: expected .*text"):
        read_tagged(path)


def test_mistakes_in_large_files_name_the_line_and_leave_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(large, "_LARGE", 0)
    mistakes = {
        "a O\nb\n": "a, line 2: expected 2 columns",
        "a B-x\n\nb S-y\nc U-y\n": "tags of one scheme.*line 3",
        '{"tokens": ["a"], "tags": []}\n': "a, line 1: expected a tag for each token",
        '{"tokens": ["a\\tb"], "tags": ["X"]}\n': "a, line 1: expected tokens without tabs",
        '{"tokens": ["a"], "tags": ["X"]}\n{"x": 1}\n': "a, line 2: expected 'tokens' and 'tags'",
    }
    for content, said in mistakes.items():
        path = written(tmp_path / "a", content)
        with cache_in(tmp_path / "cache"), pytest.raises(DataError, match=said):
            read_tagged(path)
    assert not [*tmp_path.glob("cache/*")]
