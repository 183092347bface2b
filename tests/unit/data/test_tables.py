import gzip
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from rnnapps.data import read_examples
from rnnapps.errors import DataError

FRAME = pd.DataFrame(
    {"review": ["good, really", "NA", "", 'a "bad"\nline', "太好了"], "stars": [5, 1, 3, 1, 5]}
)


def write(frame, path):
    if ".csv" in path.name:
        frame.to_csv(path, index=False)
    elif ".tsv" in path.name:
        frame.to_csv(path, index=False, sep="\t")
    elif ".jsonl" in path.name:
        frame.to_json(path, orient="records", lines=True, force_ascii=False)
    else:
        frame.to_parquet(path)


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "tsv", "jsonl", "jsonl.gz", "parquet"])
def test_every_format_gives_the_same_examples(tmp_path, kind):
    path = tmp_path / f"reviews.{kind}"
    write(FRAME, path)
    examples = read_examples(path, "review", "stars")["all"]
    assert examples.texts == FRAME["review"].tolist()
    assert examples.labels == ["5", "1", "3", "1", "5"]


def test_a_packed_file_may_be_named_in_capitals(tmp_path):
    (tmp_path / "A.CSV.GZ").write_bytes(gzip.compress(b"text,label\na,1\nb,0\n"))
    assert read_examples(tmp_path / "A.CSV.GZ")["all"].texts == ["a", "b"]


def test_labels_are_the_same_however_they_are_written(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\na,1.0\nb, 2\nc,10 \n")
    frame = pd.DataFrame({"text": ["a", "b", "c"], "label": [1.0, 2.0, 10.0]})
    frame.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        assert read_examples(tmp_path / name)["all"].labels == ["1", "2", "10"]


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "json"])
def test_whole_numbers_stay_whole_where_some_lack(tmp_path, kind):
    large = 2**53
    table = pa.Table.from_pylist(
        [{"text": 5, "label": large + 1}, {"text": 6, "label": large}, {"text": None}]
    )
    if kind == "parquet":
        pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    else:
        rows = [*map(json.dumps, table.to_pylist())]
        text = "\n".join(rows) if kind == "jsonl" else f"[{','.join(rows)}]"
        (tmp_path / f"a.{kind}").write_text(text)
    found = read_examples(tmp_path / f"a.{kind}")["all"]
    assert (found.texts, found.labels) == (["5", "6"], [str(large + 1), str(large)])


def test_folders_per_class_with_their_own_splits(tmp_path):
    for split in ("train", "test"):
        for label in ("neg", "pos", "unsup"):
            (tmp_path / split / label).mkdir(parents=True)
            (tmp_path / split / label / "0_1.txt").write_text(f"{split} {label}")
    parts = read_examples(tmp_path)
    assert parts["train"].texts == ["train neg", "train pos"]
    assert parts["test"].labels == ["neg", "pos"]
    assert read_examples(tmp_path / "train")["all"].labels == ["neg", "pos"]


def bad_files(folder):
    (folder / "empty.csv").write_text("")
    (folder / "header.csv").write_text("text,label\n")
    (folder / "columns.csv").write_text("txt,label\na,b\n")
    (folder / "bytes.csv").write_bytes(b"text,label\ngood,1\nbad \xff,0\n")
    (folder / "nan.csv").write_text("text,label\nbad,\nugly,NaN\n")
    (folder / "comma.csv").write_text("text,label\ngood, really,pos\nbad, really,neg\n")
    (folder / "broken.jsonl").write_text('{"text": "a", "label": 1}\n{"text": \n')
    (folder / "wide.csv").write_text("text,label\na,b\na,b,c,d\n")
    (folder / "broken.parquet").write_bytes(b"PAR1 nothing")
    (folder / "cut.csv.gz").write_bytes(gzip.compress(b"text,label\na,b\n" * 99)[:30])
    (folder / "data.xlsx").write_bytes(b"")
    (folder / "data.html").write_bytes(b"<p>")
    (folder / "broken.xlsx").write_bytes(b"PK nothing")
    (folder / "mark.csv").write_bytes(b"\xff\xfe")
    (folder / "deep.json").write_text("[" * 100_000)  # more than any Python descends
    (folder / "hollow").mkdir()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing.csv", "No such file or folder: .*missing.csv"),
        ("empty.csv", "empty.csv is empty"),
        ("header.csv", "header.csv holds no rows"),
        ("columns.csv", r"no column 'text' \(text_column=\); its columns are txt, label.*txt\?"),
        ("bytes.csv", "bytes.csv, line 3: byte 0xff is not UTF-8; .* encoding="),
        ("nan.csv", r"no label in row 1 of column 'label' \(2 of 2 rows have none\)"),
        ("comma.csv", "comma.csv, line 2: 3 fields where the first line has 2; .* separator="),
        ("broken.jsonl", "broken.jsonl, line 2: not JSON"),
        ("wide.csv", "wide.csv, line 3: 4 fields where the first line has 2"),
        ("broken.parquet", "broken.parquet is not a readable parquet file"),
        ("cut.csv.gz", "cut.csv.gz ends before all of it is unpacked; fetch it again"),
        ("data.html", "data.html to be a folder, or to end in .csv, .tsv"),
        ("data.xlsx", "data.xlsx is empty"),
        ("broken.xlsx", "broken.xlsx is no Excel file; if it is a table of text, name it .csv"),
        ("mark.csv", "mark.csv is empty"),
        ("deep.json", "deep.json is nested too deeply"),
        ("hollow", "holds no folder per class"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path, name, sentence):
    bad_files(tmp_path)
    with pytest.raises(DataError, match=sentence) as raised:
        read_examples(tmp_path / name)
    assert "\n" not in str(raised.value)
