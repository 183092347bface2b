"""Files that are odder still: each is read as meant, or refused by a sentence that mends it."""

import datetime
import gzip
import io
import json
import re
import tarfile
import zipfile

import openpyxl
import pandas as pd
import pytest
from reading import examples, pairs, refused, series, text, zipped

DAYS = pd.date_range("2013-12-01", periods=60)
ROWS = [(f"text {i}", "pos" if i % 2 else "neg") for i in range(6)]
TABLE = "text,label\n" + "".join(f"{one},{label}\n" for one, label in ROWS)
TWO = [("ein Haus", "a house"), ("ein Hund", "a dog")]
FILM = "这部电影非常好看"


def load(stamps=None, values=None, separator=","):
    stamps = DAYS.strftime("%Y-%m-%d") if stamps is None else stamps
    values = [i + 0.5 for i in range(len(stamps))] if values is None else values
    rows = (f"{stamp}{separator}{value}\n" for stamp, value in zip(stamps, values, strict=True))
    return f"date{separator}y\n" + "".join(rows)


def read(first="2013-12-01 00:00:00", freq="D", count=60, start=0.5):
    return first, freq, count, [start, start + 1, start + 2]


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def book(*rows, **sheets):
    found, file = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        found.active.append(row)
    for name, more in sheets.items():
        for row in more:
            found[name].append(row) if name in found else found.create_sheet(name).append(row)
    found.save(file)
    return file.getvalue()


def tar():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("book.txt"))
    return file.getvalue()


EXCEL = [[day.to_pydatetime(), i + 0.5] for i, day in enumerate(DAYS)]
HOURS = pd.date_range("2014-01-01", periods=60, freq="h")
MONTHS = pd.date_range("2014-01-01", periods=60, freq="MS")
WEEKS = [f"2014-W{i:02d}" for i in range(1, 53)]
CLOCKS = [f"{hour:%Y-%m-%d},{hour:%H:%M},{i + 0.5}\n" for i, hour in enumerate(HOURS)]
NUMBERS = [f"{hour:%d.%m.%Y},{hour.hour},{i + 0.5}\n" for i, hour in enumerate(HOURS)]
OLD = ("2014-01-01 00:00:00", "h", 60, [0.5, 1.5, 2.5])
EAST = ("2014-01-01 00:00:00+02:00", *OLD[1:])
NANOS = [1388534400 * 10**9 + i * 10**6 for i in range(60)]  # more than 2**53 of them
SHEET = [[hour.to_pydatetime().replace(hour=0), hour.hour, i + 0.5] for i, hour in enumerate(HOURS)]
READ = {
    "lines.csv": (examples, 'text,label\n"a\nb",1\n"a, ""b""\n\n",0\n', {},
                  [("a\nb", "1"), ('a, "b"\n\n', "0")], "2 rows"),
    "spaced.csv": (examples, 'text, label\n"a, b", "pos"\n"c, d", "neg"\n', {},
                   [("a, b", "pos"), ("c, d", "neg")], "classes: pos 1, neg 1"),
    "inches.csv": (examples, 'text,label\na 5" disk,1\n3" or so,0\n', {},
                   [('a 5" disk', "1"), ('3" or so', "0")], ""),
    "floats.csv": (examples, "text,label\na,1.0\nb,0.0\nc,1.0\n", {},
                   [("a", "1"), ("b", "0"), ("c", "1")], "classes: 1 2, 0 1"),
    "emoji.csv": (examples, "text,label\n👍🏽 👩‍👩‍👧,😀\nmeh,😡\n", {},
                  [("👍🏽 👩‍👩‍👧", "😀"), ("meh", "😡")], "😀 1, 😡 1"),
    "arabic.csv": (examples, "\u200ftext,\u200flabel\u200f\nفيلم رائع,جيد\nفيلم,سيئ\n", {},
                   [("فيلم رائع", "جيد"), ("فيلم", "سيئ")], "text from column 'text'"),
    "hollow_rows.csv": (examples, ",\n,\n" + TABLE, {}, ROWS, "6 rows"),
    "mac.csv": (examples, TABLE.replace("\n", "\r"), {}, ROWS, "6 rows"),
    "mac.jsonl": (examples, lines(*({"text": t, "label": k} for t, k in ROWS)).replace("\n", "\r"),
                  {}, ROWS, "6 rows"),
    "late.csv": (examples, TABLE + TABLE.partition("\n")[2] * 20 + "a,pos,\nb,neg,,\n", {},
                 [*ROWS * 21, ("a", "pos"), ("b", "neg")], "128 rows"),
    "columns.json": (examples, json.dumps({"text": ["a", "b"], "label": [1, 0]}), {},
                     [("a", "1"), ("b", "0")], "2 rows"),
    "titled.xlsx": (series, book(["Load", None], [None, None], ["date", "y"], *EXCEL), {}, read(),
                    "its title 'Load' left out"),
    "second.xlsx": (series, book(["Read me"], data=[["date", "y"], *EXCEL]), {"target": ("y",)},
                    read(), "sheet data"),
    "dots.csv": (series, load(DAYS.strftime("%d.%m.%Y")), {}, read(), "dates day first"),
    "short.csv": (series, load([f"{d.year}/{d.month}/{d.day}" for d in DAYS]), {}, read(), ""),
    "months.csv": (series, load(MONTHS.strftime("%b-%y")), {}, read("2014-01-01 00:00:00", "MS"),
                   "'Jan-14' is January 2014"),
    "weeks.csv": (series, load(WEEKS), {}, read("2013-12-30 00:00:00", "7D", 52), "step 7D"),
    "clock.csv": (series, "date,time,y\n" + "".join(CLOCKS), {}, OLD, "times from 'date', 'time'"),
    "hours.csv": (series, "date,hour,y\n" + "".join(NUMBERS), {}, OLD, "times from 'date', 'hour'"),
    "postgres.csv": (series, load(HOURS.strftime("%Y-%m-%d %H:%M:%S+02")), {}, EAST, "UTC+02:00"),
    "hour.csv": (series, load(HOURS.strftime("%Y-%m-%dT%H+02:00")), {}, EAST, "UTC+02:00"),
    "dotted.csv": (series, load(HOURS.strftime("%d.%m.%Y %H:%M+02")), {}, EAST, "UTC+02:00"),
    "named_zone.csv": (series, load(HOURS.strftime("%Y/%m/%d %H:%M +0200")),
                       {"time_format": "%Y/%m/%d %H:%M %z"}, EAST, "UTC+02:00"),
    "nanoseconds.csv": (series, load(NANOS), {}, ("2014-01-01 00:00:00+00:00", "ms", *OLD[2:]),
                        "times in ns since 1970"),
    "hours.xlsx": (series, book(["date", "hour", "y"], *SHEET), {}, OLD, "from 'date', 'hour'"),
    "clock.xlsx": (series, book(["date", "time", "y"], *([day, datetime.time(hour), y] for
                   day, hour, y in SHEET)), {}, OLD, "times from 'date', 'time'"),
    "format.csv": (series, load(DAYS.strftime("%Y~%m~%d")), {"time_format": "%Y~%m~%d"}, read(),
                   "times from 'date'"),
    "narrow.csv": (series, load(values=[f"1\u202f{i:03}" for i in range(60)]), {"thousands": " "},
                   read(start=1000), ""),
    "swiss.csv": (series, load(values=[f"1’{i:03}" for i in range(60)]), {"thousands": "'"},
                  read(start=1000), ""),
    "percent.csv": (series, load(values=[f"{i}.5 %" for i in range(60)]), {}, read(),
                    "'y' without its %"),
    "no_values.csv": (series, "date,y,x\n" + "".join(f"{d:%Y-%m-%d},{i}.5,\n" for i, d in
                      enumerate(DAYS)), {}, read(), "column 'x', which holds nothing, is left out"),
    "ends.csv": (series, load().replace("\n", ",\n").replace("y,", "y", 1), {}, read(), "60 rows"),
    "aligned.txt": (series, load(separator="    "), {"separator": "space"}, read(), "space"),
    "hundred.csv": (series, "date," + ",".join(f"c{i}" for i in range(100)) + "\n" + "".join(
        f"{d:%Y-%m-%d}" + f",{i}.5" * 100 + "\n" for i, d in enumerate(DAYS)), {}, read(),
        "'c4' and 95 more"),
    "mac.tsv": (pairs, "".join(f"{a}\t{b}\r" for a, b in TWO), {}, TWO, "2 pairs"),
    "gaps.tsv": (pairs, "\n\n".join(f"{a}\t{b}" for a, b in TWO), {}, TWO,
                 "empty lines left out: 1"),
    "pairs.xlsx": (pairs, book(*TWO), {}, TWO, "2 pairs"),
    "headed.xlsx": (pairs, book(["de", "en"], *TWO), {}, TWO, "source from column 'de'"),
    "inside.jsonl": (pairs, lines(*({"translation": {"en": b, "de": a}} for a, b in TWO)), {}, TWO,
                     "texts from inside column 'translation'"),
    "hebrew.txt": (text, "שלום 👋\r\n", {}, "שלום 👋\n", ""),
}  # fmt: skip
REFUSED = {
    "twice.csv": (examples, "text,label,label\na,b,c\n", "two columns named 'label'; give each"),
    "nameless.csv": (series, "date,y,,\n2014-01-01,1,2,3\n", "two columns without a name; give"),
    "open.csv": (examples, 'text,label\na,1\n"b,0\nc,0\n"d,1\ne,1\n', "line 3: a quotation mark"),
    "escaped.csv": (examples, 'text,label\n"say \\"hi\\", you",1\n', "within a text, write it"),
    "zeros.csv": (examples, TABLE.encode() + b"\0" * 512, "holds the byte 0x00 .at offset 77."),
    "textless.csv": (examples, "text,label\n,1\n ,0\n", "holds no text at all; .* --text-column"),
    "one.csv": (series, "date,y\n2014-01-01,5\n", "at least 3 steps to infer --freq"),
    "header.csv": (series, "date,y", "holds no rows"),
    "ragged.csv": (series, "date,y\n2014-01-01,5\n2014-01-02,6,7,8\n", "line 3: 4 fields where"),
    "far.csv": (series, load() + "2015-01-01,5,7\n", "line 62: 3 fields where the first line has"),
    "logged.csv": (series, "# a logger\n" + load(), "delete what stands above the columns' names"),
    "total.csv": (series, load() + "Total,9\n", "Received: 'Total' in row 61; leave that row out"),
    "year.csv": (series, load(DAYS.strftime("%d-%b")), "Received: '01-Dec' in row 1; .*--time-f"),
    "january.csv": (series, load(DAYS.strftime("%b-%d")), "Received: 'Dec-01' .* --time-format"),
    "swiss.csv": (series, load(values=["1'200"] * 60), "read it with --thousands=\"'\""),
    "thin.csv": (series, load(values=["1\u2009200"] * 60), "read it with --thousands=' '"),
    "share.csv": (series, load(values=["5%", "0.05"] * 30), "row 2, where others have a %; write"),
    "books.csv": (series, load(values=["(5.1)"] * 60), "write a minus where brackets mean one"),
    "units.csv": (series, load(values=["5.1 kWh"] * 60), "write the number without its unit"),
    "spaces.csv": (series, load(separator=" "), "say so with --separator=space"),
    "nested.jsonl": (examples, lines({"text": {"body": "a"}, "label": 1}), "Expected texts in col"),
    "list.jsonl": (examples, lines({"text": "a", "label": [1]}), "labels in column 'label'"),
    "broken.jsonl": (examples, lines({"text": "a", "label": 1}) + '{"text"\n', "line 2: not JSON"),
    "half.jsonl": (examples, '{"text": "a \\ud83d", "label": 1}\n', r"half a character .\\ud83d"),
    "uneven.json": (examples, '{"text": ["a", "b"], "label": [1]}', "Received: text 2, label 1"),
    "sheets.xlsx": (series, book(["Read me"], data=[["date", "y"], *EXCEL]), "2 sheets .Sheet, da"),
    "named.xlsx": (examples, TABLE, "is no Excel file; if it is a table of text, name it .csv"),
    "named.csv.gz": (examples, TABLE, "not gzipped; .* take .gz off its name"),
    "cut.csv.gz": (examples, gzip.compress(TABLE.encode())[:-9], "ends before all of it is unp"),
    "book.tar.gz": (text, tar(), "is an archive .\\.tar.; unpack it"),
    "book.zst": (text, b"\x28\xb5\x2f\xfd\0\xff", "is an archive .\\.zst.; unpack it"),
    "photo.txt": (text, bytes(range(256)), "is not a text: it holds bytes that no text does"),
    "big.csv": (examples, f"text,label\n{FILM},1\n{FILM},0\n".encode("utf-16-be"), "=utf-16-be"),
    "little.txt": (text, f"{FILM}\n{FILM}\n".encode("utf-16-le"), "--encoding=utf-16-le"),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
@pytest.mark.filterwarnings("error")
def test_read_as_meant(name, tmp_path):
    reader, content, settings, expected, said = READ[name]
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    found, sentence = reader(tmp_path / name, **settings)
    assert found == expected
    assert said in sentence


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("error")
def test_refused_by_a_sentence(name, tmp_path):
    reader, content, said = REFUSED[name]
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    sentence = refused(reader)(tmp_path / name)[1]
    assert re.search(said, sentence)
    assert name in sentence
    assert "\n" not in sentence


def test_a_folder_in_a_file_s_place(tmp_path):
    (tmp_path / "a.csv").write_text(TABLE)
    assert refused(series)(tmp_path)[1].endswith(
        f"is a folder; name a file, such as {tmp_path}/a.csv."
    )


def test_a_zip_of_two_files(tmp_path):
    archive = io.BytesIO(zipped(TABLE, "a.csv"))
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("b.csv", TABLE)
    (tmp_path / "two.zip").write_bytes(archive.getvalue())
    assert (
        "Received: 2 (a.csv, b.csv); unpack the one" in refused(examples)(tmp_path / "two.zip")[1]
    )
