"""Tables of any size as a stream: every row and column comes back, in its order."""

import csv
import gzip
import json

import pandas as pd
import pytest

from rnnapps.data.rows import open_rows, writing_rows
from rnnapps.errors import ConfigError, DataError

ROWS = [
    {"id": "001", "text": "two\nlines, and a comma", "n": ""},
    {"id": "2", "text": 'a "quoted" word', "n": "NA"},
    {"id": "3", "text": "ein Maß", "n": "1.50"},
]


def copy(source, output, form=None):
    with open_rows(source) as rows, writing_rows(output, rows, form) as write:
        for chunk, _ in rows.chunks:
            write([{**row, "length": len(row["text"])} for row in chunk])


def write_table(path):
    kind = path.name.partition(".")[2]
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif kind == "parquet":
        pd.DataFrame(ROWS).to_parquet(path)
    else:
        opened = gzip.open if kind.endswith("gz") else open
        with opened(path, "wt", encoding="utf-8", newline="") as file:
            separator = {"tsv": "\t", "csv": ";"}.get(kind, ",")
            table = csv.DictWriter(file, list(ROWS[0]), delimiter=separator)
            table.writeheader()
            table.writerows(ROWS)


def read_table(path):
    if path.suffix == ".parquet":
        return pd.read_parquet(path).to_dict("records")
    with open_rows(path) as rows:
        return [row for chunk, _ in rows.chunks for row in chunk]


@pytest.mark.parametrize("kind", ["csv", "tsv", "csv.gz", "jsonl", "parquet"])
@pytest.mark.parametrize("written", [None, "csv", "tsv", "jsonl", "parquet"])
def test_a_table_comes_back_with_a_column_more(kind, written, tmp_path):
    source, output = tmp_path / f"in.{kind}", tmp_path / f"out.{written or kind}"
    write_table(source)
    copy(source, output, written)
    found = read_table(output)
    assert [{**row, "length": str(row["length"])} for row in found] == [
        {**row, "length": str(len(row["text"]))} for row in ROWS
    ]
    if kind == "csv" and written in (None, "csv"):
        assert output.read_text("utf-8").startswith("id;text;n;length\n")  # as it was written


def test_lines_of_a_text_come_in_chunks_of_bounded_size(tmp_path):
    (tmp_path / "lines.txt").write_text("".join(f"line {i}\r\n" for i in range(10_000)))
    with open_rows(tmp_path / "lines.txt") as rows:
        chunks = [(len(chunk), chunk[0]["text"], share) for chunk, share in rows.chunks]
    assert chunks[0][:2] == (256, "line 0")  # its answers come soon
    assert [size for size, *_ in chunks[1:]] == [4096, 4096, 10_000 - 2 * 4096 - 256]
    shares = [share for *_, share in chunks]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_a_failure_leaves_what_was_there(tmp_path):
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("text,n\na,1\nb,2,3\n")
    output.write_text("an earlier answer")
    with pytest.raises(DataError, match=r"in\.csv, line 3: 3 fields where the first line has 2"):
        copy(source, output)
    assert output.read_text() == "an earlier answer"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]
    write_table(source)
    with pytest.raises(ConfigError, match="Expected output=FILE with format=parquet"):
        copy(source, None, "parquet")
    source.write_bytes("text\nMaß\n".encode("cp1252"))
    with pytest.raises(DataError, match="likely cp1252: name it with encoding="):
        copy(source, output)
