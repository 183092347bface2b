"""Sixty files of the kinds that people have: each is read as meant, or the error mends it."""

import gzip
import io
import re

import numpy as np
import pandas as pd
import pytest
from reading import dated, examples, excel, pairs, parquet, refused, series, text, zipped

from rnnapps import ForecastingConfig
from rnnapps.apps.forecasting.data import columns_of
from rnnapps.data import read_series, stamp_of
from rnnapps.errors import ConfigError

GOOD = [("gut, wirklich", "pos"), ("naja", "neg"), ("schön", "pos")]
FRAME = pd.DataFrame(GOOD, columns=["text", "label"])
PAIRS = [("Wie geht's?", "How are you?"), ("Schön", 'A "nice" one')]
BOOK = "Erste Zeile\nZweite Zeile: ä\n"


def table(separator=",", frame=FRAME):
    return frame.to_csv(index=False, sep=separator)


def unit(source, target):
    sides = (("EN-us", target), ("de", source))
    variants = [f'<tuv xml:lang="{name}"><seg>{said}</seg></tuv>' for name, said in sides]
    return f"<tu>{''.join(variants)}</tu>"


SENTIMENT = {
    "semicolons.csv": (table(";"), {}, GOOD, "separator semicolon"),
    "tabs.csv": (table("\t"), {}, GOOD, "separator tab"),
    "pipes.csv": (table("|"), {}, GOOD, "separator pipe"),
    "commas.tsv": (table(), {}, GOOD, "separator comma"),
    "mark.csv": (table().encode("utf-8-sig"), {}, GOOD, "3 rows"),
    "windows.csv": (table().encode("cp1252"), {"encoding": "cp1252"}, GOOD, "encoding cp1252"),
    "wide.txt": (table("\t").encode("utf-16"), {}, GOOD, "encoding utf-16-le"),
    "book.xlsx": (excel(FRAME), {}, GOOD, "classes: pos 2, neg 1"),
    "array.json": (FRAME.to_json(orient="records", force_ascii=False), {}, GOOD, "3 rows"),
    "packed.zip": (zipped(table()), {}, GOOD, "3 rows"),
}
TRANSLATION = {
    "anki.txt": ("".join(f"{a}\t{b}\tCC-BY 2.0 (France) Attribution: tatoeba.org #1\n"
                         for a, b in PAIRS), {}, PAIRS, "3 left out"),
    "tatoeba.tsv": ("".join(f"{i}\t{a}\t{i + 9}\t{b}\n" for i, (a, b) in enumerate(PAIRS)), {},
                    PAIRS, "source from column '2', target from column '4'"),
    "headed.tsv": ("de\ten\n" + "".join(f"{a}\t{b}\n" for a, b in PAIRS), {}, PAIRS,
                   "the first line is a header (de, en)"),
    "turned.csv": (table(frame=pd.DataFrame([p[::-1] for p in PAIRS], columns=["en", "de"])), {},
                   PAIRS, "source from column 'de', target from column 'en'"),
    "bare.csv": (pd.DataFrame(PAIRS).to_csv(index=False, header=False), {}, PAIRS, "2 pairs"),
    "lines.jsonl": (pd.DataFrame(PAIRS, columns=["src", "tgt"]).to_json(
        orient="records", lines=True), {}, PAIRS, "'src'"),
    "columns.parquet": (parquet(pd.DataFrame([(i, *p, "x") for i, p in enumerate(PAIRS)],
                                             columns=["id", "frage", "antwort", "note"])),
                        {"source_column": "frage", "target_column": "antwort"}, PAIRS, "id, note"),
    "memory.tmx": ("<tmx><body>" + "".join(unit(*pair) for pair in PAIRS) + "</body></tmx>", {},
                   PAIRS, "2 pairs of de and en"),
    "pairs.tsv.gz": (gzip.compress("".join(f"{a}\t{b}\r\n" for a, b in PAIRS).encode()), {}, PAIRS,
                     "2 pairs"),
    "latin.tsv": ("".join(f"{a}\t{b}\n" for a, b in PAIRS).encode("latin-1"),
                  {"encoding": "latin-1"}, PAIRS, "2 pairs"),
}  # fmt: skip
CHARGEN = {
    "unix.txt": (BOOK, {}, BOOK, ""),
    "dos.txt": (BOOK.replace("\n", "\r\n"), {}, BOOK, ""),
    "kept.txt": (BOOK.replace("\n", "\r\n"), {"newlines": "keep"}, BOOK.replace("\n", "\r\n"), ""),
    "mac.txt": (BOOK.replace("\n", "\r"), {}, BOOK, ""),
    "mark.txt": (BOOK.encode("utf-8-sig"), {}, BOOK, ""),
    "wide.txt": (BOOK.encode("utf-16"), {}, BOOK, ""),
    "windows.txt": (BOOK.encode("cp1252"), {"encoding": "cp1252"}, BOOK, ""),
    "chinese.txt": ("太好了\n".encode("gb18030"), {"encoding": "gb18030"}, "太好了\n", ""),
    "book.txt.gz": (gzip.compress(BOOK.encode()), {}, BOOK, ""),
    "book.zip": (zipped(BOOK, "book.txt"), {}, BOOK, ""),
}


def start(freq="D", count=60, zone="", first=0.5):
    return (f"2014-01-01 00:00:00{zone}", freq, count, [first, first + 1, first + 2])


COMMAS = [f"{i},5" for i in range(60)]
HOURS = pd.date_range("2014-01-01", periods=60, freq="h")
FORECASTING = {
    "months.csv": (dated("%d/%m/%Y", 120, "MS"), {}, start(freq="MS", count=120), "day first"),
    "american.csv": (dated("%m/%d/%Y"), {}, start(), "dates month first"),
    "german.csv": (dated("%d.%m.%Y", values=COMMAS, separator=";"), {}, start(), "decimal comma"),
    "thousands.csv": (dated("%Y-%m-%d", values=[f"${1000 + i:,}.50" for i in range(60)]),
                      {"thousands": ","}, start(first=1000.5),
                      "'y' without its $"),
    "zone.csv": (dated("%Y-%m-%dT%H:%M:%S+02:00", freq="h"), {}, start(freq="h", zone="+02:00"),
                 "UTC+02:00"),
    "epoch.csv": ("t,y\n" + "".join(f"{1388534400 + 3600 * i},{i + 0.5}\n" for i in range(60)), {},
                  start(freq="h", zone="+00:00"), "times in s since 1970"),
    "numbered.csv": ("step,y\n" + "".join(f"{i},{i + 0.5}\n" for i in range(60)), {},
                     ("0", "1", 60, [0.5, 1.5, 2.5]), "times from 'step'"),
    "values.csv": ("y\n" + "".join(f"{i + 0.5}\n" for i in range(60)), {},
                   ("0", "1", 60, [0.5, 1.5, 2.5]), "each row is a step"),
    "index.csv": (pd.read_csv(io.StringIO(dated("%Y-%m-%d"))).to_csv(), {}, start(),
                  "column without a name, which numbers the rows, is left out"),
    "indexed.parquet": (parquet(pd.DataFrame({"y": np.arange(60) + 0.5}, index=HOURS)), {},
                        start(freq="h"), "times from 'time'"),
}  # fmt: skip

NIGHT = pd.date_range("2024-10-26", periods=60, freq="h", tz="Europe/Berlin").tz_localize(None)
HOSTILE = {
    "latin.csv": (examples, table().encode("cp1252"), {}, "likely cp1252.*--encoding=cp1252"),
    "chinese.csv": (examples, ("text,label\n" + "这部电影非常好看,1\n" * 9).encode("gb18030"), {},
                    "--encoding=gb18030"),
    "markless.csv": (examples, table().encode("utf-16-le"), {}, "--encoding=utf-16-le"),
    "word.docx": (text, zipped(BOOK, "word/document.xml"), {}, "Word document; save it as text"),
    "paper.pdf": (text, b"%PDF-1.7 \xff", {}, "is a PDF; save it as text"),
    "two.zip": (examples, zipped(table(), "a.csv")[:-22] + b"", {}, "Cannot read .*two.zip"),
    "sheets.xlsx": (examples, excel(FRAME, FRAME), {}, "holds 2 sheets .Sheet1, Sheet2.; save"),
    "page.csv": (examples, "<!DOCTYPE html><html>", {}, "is a web page; download the table"),
    "floats.csv": (examples, "text,label\n" + "".join(f"t{i},{i / 7}\n" for i in range(400)), {},
                   "numbers .400 different ones.; .* group them into a few, .*--label-column"),
    "comma.csv": (examples, "text,label\na\nb, c, d\n", {}, "line 3: 3 fields .*--separator"),
    "quote.csv": (examples, 'text,label\n"a,1\nb,2\n', {}, "line 2: a quotation mark is opened"),
    "strict.csv": (examples, "text,label\na,1\nb,\nc,2\n", {"strict": True}, "no label in row 2"),
    "headless.csv": (series, "2014-01-01,5\n2014-01-02,6\n", {}, "has no header"),
    "either.csv": (series, dated("%d/%m/%Y", 12), {},
                   "2 January 2014 .--day-first. or 1 February 2014 .--time-format='%m/%d/%Y'"),
    "neither.csv": (series, "t,y\n01/02/2014,1\n05/03/2014,2\n07/09/2014,3\n08/11/2014,3\n", {},
                    "--day-first.*--time-format"),
    "night.csv": (series, pd.DataFrame({"t": NIGHT, "y": range(60)}).to_csv(index=False), {},
                  "comes twice in the night in which clocks are set back: .* offset"),
    "grouped.csv": (series, dated("%Y-%m-%d", values=["1,234"] * 60, separator=";"), {},
                    "1.234 with --decimal=',' and 1234 with --thousands=','"),
    "quoted.csv": (series, dated("%Y-%m-%d", values=COMMAS), {}, "read it with --decimal=','"),
    "places.csv": (series, dated("%Y-%m-%d", place=["Ulm"] * 60), {}, "so with --series-column"),
    "wide.tsv": (pairs, "eins\tone\tein\tun\n", {}, "4 columns .*--source-column and --target-"),
}  # fmt: skip


def cases():
    readers = {examples: SENTIMENT, pairs: TRANSLATION, text: CHARGEN, series: FORECASTING}
    for read, files in readers.items():
        for name, case in files.items():
            yield pytest.param(read, name, *case, id=f"{read.__name__}-{name}")
    for name, (read, content, settings, sentence) in HOSTILE.items():
        case = (refused(read), name, content, settings, "refused", sentence)
        yield pytest.param(*case, id=f"hostile-{name}")


CASES = list(cases())


@pytest.mark.parametrize(("read", "name", "content", "settings", "expected", "said"), CASES)
@pytest.mark.filterwarnings("error")
def test_sixty_files(read, name, content, settings, expected, said, tmp_path):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    found, sentence = read(path, **settings)
    assert found == expected
    if expected == "refused":
        assert re.search(said, sentence)
        assert "\n" not in sentence
    else:
        assert said in sentence


def test_there_are_sixty():
    assert len(CASES) == 60


@pytest.mark.filterwarnings("error")
def test_rows_without_a_label_and_labels_in_another_case_are_noted(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\na,positive\nb,\nc, Positive \nd,negative\ne,NaN\nf,positive\n")
    found, said = examples(path)
    assert found == [("a", "positive"), ("c", "Positive"), ("d", "negative"), ("f", "positive")]
    assert "2 of 6 rows have no label and are left out (the first is row 2)" in said
    assert "'positive' (2) and 'Positive' (1) differ only in case" in said


def test_a_missing_step_in_a_hundred_leaves_dates_decided(tmp_path):
    path = tmp_path / "hours.csv"
    rows = dated("%d/%m/%Y %H:%M", 12 * 24, "h").splitlines()
    path.write_text("\n".join(rows[:100] + rows[102:]))
    (first, freq, count, _), said = series(path)
    assert (first, freq, count) == ("2014-01-01 00:00:00", "h", 12 * 24)
    assert "dates day first, which makes the steps regular" in said
    assert "lacks 2 of 288 steps" in said


@pytest.mark.parametrize(
    ("form", "zone", "said", "meant"),
    [
        ("%d/%m/%Y", "", "04/03/2014", "2014-03-04"),
        ("%m/%d/%Y", "", "04/03/2014", "2014-04-03"),
        ("%d/%m/%Y", "", "2014-03-04", "2014-03-04"),
        ("%Y-%m-%d %H:%M", "+02:00", "2014-01-04 00:00", "2014-01-04"),
        ("%Y-%m-%d %H:%M", "+02:00", "2014-01-04 00:00Z", "2014-01-04 02:00"),
    ],
)
def test_a_single_time_is_read_as_the_table_s_were(form, zone, said, meant, tmp_path):
    path, config = tmp_path / "t.csv", ForecastingConfig()
    path.write_text(dated(form + zone, 90))
    found = read_series(path, columns_of(config), options=config)
    assert stamp_of(said, "test_start", found.columns, config) == pd.Timestamp(meant)
    with pytest.raises(ConfigError, match="Expected test_start= to be a time"):
        stamp_of("soon", "test_start", found.columns, config)


def test_how_a_table_was_read_is_kept_for_the_next(tmp_path):
    config = ForecastingConfig()
    (tmp_path / "one.csv").write_text(dated("%d/%m/%Y", values=COMMAS, separator=";"))
    columns = read_series(tmp_path / "one.csv", columns_of(config), options=config).columns
    (tmp_path / "two.csv").write_text("date;y\n02/03/2014;1,234\n03/03/2014;5,678\n04/03/2014;9\n")
    found = read_series(tmp_path / "two.csv", columns, options=config).series[0]
    assert found.times[0] == pd.Timestamp("2014-03-02")
    assert found.values[:, 0].tolist() == [1.234, 5.678, 9]
