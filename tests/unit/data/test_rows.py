"""Tables of any size as a stream: every row and column comes back, in its order, from its parts."""

import csv
import datetime
import gzip
import json

import pandas as pd
import pyarrow.parquet
import pytest

from rnnapps.config import TableOptions
from rnnapps.data.row_writer import row_writer, types_of
from rnnapps.data.rows import open_rows
from rnnapps.errors import ConfigError, DataError

ROWS = [
    {"id": "001", "text": "two\nlines, and a comma", "n": ""},
    {"id": "2", "text": 'a "quoted" word', "n": "NA"},
    {"id": "3", "text": "ein Maß", "n": "1.50"},
    {"id": "4", "text": "a carriage\rreturn", "n": " "},
    {"id": "", "text": "", "n": ""},
]


def copy(source, output, form=None, part=2):
    """Writes a table with a column more, in parts that are then joined."""
    with open_rows(source) as rows:
        table = [row for chunk, _ in rows.chunks for row in chunk]
    writer = row_writer(rows, output, form)
    if rows.format == "jsonl" and writer.format == "parquet":
        schema = types_of(table, rows.names, writer.schema)
        writer = type(writer)("parquet", schema=schema)
    paths = [output.with_name(f"part-{start}") for start in range(0, len(table), part)]
    for number, path in enumerate(paths):
        some = table[number * part : (number + 1) * part]
        content = [{**row, "length": len(row["text"])} for row in some]
        path.write_bytes(writer.part(content, [*rows.names, "length"], header=number == 0))
    writer.join(paths, output, output.suffix == ".gz")


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
            table = csv.DictWriter(file, list(ROWS[0]), delimiter=separator, quoting=csv.QUOTE_ALL)
            table.writeheader()
            table.writerows(ROWS)


def read_table(path):
    if path.suffix == ".parquet":
        return pd.read_parquet(path).to_dict("records")
    with open_rows(path) as rows:
        return [row for chunk, _ in rows.chunks for row in chunk]


@pytest.mark.parametrize("kind", ["csv", "tsv", "csv.gz", "jsonl", "parquet"])
@pytest.mark.parametrize("written", [None, "csv", "csv.gz", "tsv", "jsonl", "parquet"])
def test_a_table_comes_back_with_a_column_more(kind, written, tmp_path):
    source, output = tmp_path / f"in.{kind}", tmp_path / f"out.{written or kind}"
    write_table(source)
    copy(source, output, (written or kind).removesuffix(".gz"))
    found = read_table(output)
    assert [{**row, "length": str(row["length"])} for row in found] == [
        {**row, "length": str(len(row["text"]))} for row in ROWS
    ]
    if kind == "csv" and written in (None, "csv"):
        # As it was written; the header's names need no quotation marks.
        assert output.read_text("utf-8").startswith("id;text;n;length\n")
    first = output.read_bytes()
    copy(source, output, (written or kind).removesuffix(".gz"))
    assert output.read_bytes() == first


def test_lines_of_a_text_come_in_chunks_of_bounded_size(tmp_path):
    (tmp_path / "lines.txt").write_text("".join(f"line {i}\r\n" for i in range(10_000)))
    with open_rows(tmp_path / "lines.txt") as rows:
        chunks = [(len(chunk), chunk[0]["text"], share) for chunk, share in rows.chunks]
    assert chunks[0][:2] == (256, "line 0")  # its answers come soon
    assert [size for size, *_ in chunks[1:]] == [4096, 4096, 10_000 - 2 * 4096 - 256]
    shares = [share for *_, share in chunks]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_values_of_odd_kinds_are_written(tmp_path):
    rows = [
        {"text": None, "n": [1, {"a": "ß"}]},
        {"text": "half \ud800 a pair", "n": datetime.date(2024, 2, 29)},
        {"n": True},
    ]
    with (tmp_path / "in.jsonl").open("w") as file:
        file.writelines(json.dumps(row, default=str) + "\n" for row in rows)
    with open_rows(tmp_path / "in.jsonl") as table:
        pass
    lines = row_writer(table, None, None).part(rows, table.names).decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        rows[0],
        {**rows[1], "n": "2024-02-29"},
        rows[2],
    ]
    separated = row_writer(table, None, "csv").part(rows, table.names).decode()
    assert separated == ('text,n\n,"[1, {""a"": ""ß""}]"\nhalf ? a pair,2024-02-29\n,True\n')


def test_json_becomes_parquet_by_the_types_of_all_its_rows(tmp_path):
    known = row_writer(head(tmp_path, '{"a": 1}\n'), tmp_path / "x.parquet", None).schema
    for row in ({"a": 1}, {"a": None}, {"a": 0.5}):
        known = types_of([row], ["a"], known)
    assert known.field("a").type == "double"
    with pytest.raises(DataError, match="values of one type in each column for format=parquet"):
        types_of([{"a": "words"}], ["a"], known)


def head(folder, text):
    (folder / "in.jsonl").write_text(text)
    with open_rows(folder / "in.jsonl") as rows:
        return rows


def test_parts_of_parquet_become_large_groups_of_rows(tmp_path):
    source, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    write_table(source)
    copy(source, output, part=1)
    assert pyarrow.parquet.ParquetFile(output).num_row_groups == 1


def test_a_file_that_is_not_what_it_says_is_refused(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("text,n\na,1\nb,2,3\n")
    with pytest.raises(DataError, match=r"in\.csv, line 3: 3 fields where the first line has 2"):
        read_table(path)
    with open_rows(path) as rows, pytest.raises(ConfigError, match="output=FILE with format=par"):
        row_writer(rows, None, "parquet")
    path.write_bytes("text\nMaß\n".encode("cp1252"))
    with pytest.raises(DataError, match="likely cp1252: name it with encoding="):
        read_table(path)
    packed = tmp_path / "in.csv.gz"
    packed.write_bytes(gzip.compress(b"text\n" + b"a\n" * 99)[:-9])
    with pytest.raises(DataError, match=r"in\.csv\.gz is damaged, it cannot be unpacked: "):
        read_table(packed)
    packed.write_bytes(b"text\na\n")
    with pytest.raises(DataError, match=r"in\.csv\.gz is damaged, it cannot be unpacked: Not a gz"):
        read_table(packed)


def test_a_name_that_comes_twice_is_refused(tmp_path):
    (tmp_path / "in.csv").write_text("text,n,n\na,1,2\n")
    with pytest.raises(DataError, match=r"in.csv has two columns named 'n'; give each its own"):
        read_table(tmp_path / "in.csv")
    (tmp_path / "in.csv").write_text("text,n,,\na,1,,\n")
    assert read_table(tmp_path / "in.csv") == [{"text": "a", "n": "1", "": ""}]


def test_bytes_are_written_as_the_text_that_they_are_read_as(tmp_path):
    row = {"text": "Maß".encode(), "list": [datetime.date(2024, 2, 29)]}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "in.parquet")
    for form in ("csv", "jsonl"):
        copy(tmp_path / "in.parquet", tmp_path / f"out.{form}")
    assert read_table(tmp_path / "out.csv")[0]["text"] == "Maß"
    (found,) = read_table(tmp_path / "out.jsonl")
    assert (found["text"], found["list"]) == ("Maß", ["2024-02-29"])


TWO = [{"text": "a, b", "n": "1"}, {"text": "c", "n": "2"}]
ODD = {
    "spaced.csv": 'text, n\n"a, b", "1"\n"c", "2"\n',
    "ends.csv": 'text,n\n"a, b",1,\nc,2,,\n',
    "after.csv": 'text,n\n"a, b" ,1\n"c" ,2\n',
    "hollow.csv": ',\ntext,n\n"a, b",1\nc,2\n',
    "aligned.psv": 'text     n\n"a, b"   1\nc        2\n',
    "mac.csv": 'text,n\r"a, b",1\rc,2\r',
    "mark.csv": '\ufeff\u200ftext,n\u200f\n"a, b",1\nc,2\n',
    "blank.csv": 'text,n\n"a, b",1\n  \nc,2\n',
    "wide.csv": 'text,n\n"a, b",1\nc,2\n'.encode("utf-16"),
    "wide.jsonl": '{"text": "a, b", "n": "1"}\n{"text": "c", "n": "2"}\n'.encode("utf-16"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_files_are_read_as_training_reads_them(name, tmp_path):
    path, content = tmp_path / name, ODD[name]
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    options = TableOptions(separator="space") if name == "aligned.psv" else TableOptions()
    with open_rows(path, options) as rows:
        found = [row for chunk, _ in rows.chunks for row in chunk]
    assert [{key: value.strip() for key, value in row.items()} for row in found] == TWO


def test_a_line_within_a_json_text_is_none_of_the_file(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "a\u2028b"}\n', "utf-8")
    assert read_table(tmp_path / "in.jsonl") == [{"text": "a\u2028b"}]


@pytest.mark.parametrize("rows", ['a,1\n"b,2\nc,3\n"d,4\n', 'a,1\n"b,2\nc,3\n', 'a,1\n"b,2'])
def test_a_quotation_that_is_not_closed_is_refused(rows, tmp_path):
    (tmp_path / "in.csv").write_text("text,n\n" + rows)
    with pytest.raises(DataError, match="line 3: a quotation mark is opened and never closed"):
        read_table(tmp_path / "in.csv")
