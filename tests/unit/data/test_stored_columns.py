"""Tables of time series that are read a chunk at a time: the same series as those read whole."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from rnnapps.config import SeriesOptions
from rnnapps.data import Columns, read_series
from rnnapps.data import large as module
from rnnapps.data.cache import cache_in
from rnnapps.errors import DataError

STEPS = 2000
ONE = Columns(targets=("x",), series="id", past=("weather", "k"))


@pytest.fixture(autouse=True)
def cache(tmp_path):
    with cache_in(tmp_path / "cache"):
        yield tmp_path / "cache"


def long_table():
    rng, rows = np.random.default_rng(0), 3 * STEPS
    times = pd.date_range("2020-01-01", periods=STEPS, freq="h")
    return pd.DataFrame(
        {
            "time": np.tile(times, 3),
            "id": np.repeat(["b", "007", "c"], STEPS),
            "x": rng.normal(size=rows).round(3),
            "weather": rng.choice(["sun", "rain"], rows),
            "k": rng.integers(0, 5, rows),
        }
    )


def late(column, value):
    """A table with another value behind the first chunks."""
    table = long_table().astype({column: object})
    table.loc[5500, column] = value
    return table


def both(monkeypatch, read):
    """What is read, or the error, from the table as a whole and a chunk at a time."""
    found = []
    for large in (1 << 25, 0):
        monkeypatch.setattr(module, "_LARGE", large)
        try:
            found.append(read())
        except DataError as error:
            found.append(str(error))
    return found


def check_same(one, other):
    assert (one.columns, one.notes, one.said) == (other.columns, other.notes, other.said)
    for first, second in zip(one.series, other.series, strict=True):
        assert first.name == second.name
        pd.testing.assert_index_equal(first.times, second.times)
        np.testing.assert_array_equal(first.values, second.values)


@pytest.mark.parametrize(
    ("table", "columns", "options", "separator"),
    [
        (long_table(), ONE, {}, ","),
        (long_table().sample(frac=1, random_state=0), ONE, {}, ","),
        (late("x", ""), ONE, {}, ","),
        (late("x", "NA"), ONE, {}, ","),
        (long_table().assign(id=np.repeat([3, 1, 2], STEPS)), ONE, {}, ","),
        (long_table().assign(time=lambda t: t.time.dt.strftime("%d/%m/%Y %H:%M")), ONE, {}, ","),
        (long_table().assign(time=lambda t: t.time.dt.strftime("%FT%TZ")), ONE, {}, "|"),
        (long_table().assign(x=lambda t: t.x.map("{:.3f}".format).str.replace(".", ",")),
         ONE, {}, ";"),
        (long_table().assign(x=lambda t: (1e4 * t.x).map("{:,.1f}".format)),
         ONE, {"thousands": ","}, ","),
        (long_table().assign(time=lambda t: t.time.dt.strftime("%Y%m%d%H")),
         ONE, {"time_format": "%Y%m%d%H"}, ","),
        (long_table()[::700].assign(id="a", time=pd.date_range("2020-01-01", periods=9, freq="MS")
                                    .strftime("%Y-%d-%m")), ONE, {"time_format": "%Y-%d-%m"}, ","),
        (long_table()[["time", "x", "k"]][:STEPS], Columns(), {}, ","),
        (long_table()[["x", "k"]][:STEPS], Columns(), {}, ","),
    ],
)  # fmt: skip
def test_the_series_are_those_of_the_table_read_whole(
    tmp_path, monkeypatch, table, columns, options, separator
):
    path = tmp_path / "table.csv"
    table.to_csv(path, index=False, sep=separator)
    check_same(
        *both(monkeypatch, lambda: read_series(path, columns, options=SeriesOptions(**options)))
    )


def test_columns_without_a_name_are_left_out_where_they_hold_nothing(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    text = long_table().to_csv(index=False).replace("\n", ",,\n")
    path.write_text(text)
    check_same(*both(monkeypatch, lambda: read_series(path, ONE)))
    path.write_text(text.removesuffix(",,\n") + ",1,2\n")
    one, other = both(monkeypatch, lambda: read_series(path, ONE))
    assert one == other == f"{path} has two columns without a name; give each its own name."


def test_a_table_that_is_read_otherwise_is_stored_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_LARGE", 0)
    path = tmp_path / "table.csv"
    days = pd.date_range("2014-01-01", periods=60)
    path.write_text("date;y,z\n" + "".join(f"{day:%F};{i},5\n" for i, day in enumerate(days)))
    assert read_series(path, Columns(("date",))).columns.targets == ("y,z",)
    with pytest.raises(DataError, match=r"'2014-01-01;0' in row 1"):  # of a column "date;y"
        read_series(path, Columns(targets=("z",)))


def optional(rows):
    """The lines of objects, of which each third has another name, and late ones one more."""
    for i, row in enumerate(rows):
        more = {"k": row.pop("k")} if i % 3 == 0 else {}
        yield json.dumps({**row, **more, **({"late": i} if i > 5000 else {})}) + "\n"


def zoned(times, zone):
    return times.dt.tz_localize("UTC").dt.tz_convert(zone)


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("parquet", long_table()),
        ("parquet", long_table().assign(time=np.tile(np.arange(STEPS), 3), k=lambda t: t.k > 2)),
        ("parquet", long_table()[:STEPS].set_index("time")),
        ("parquet", long_table()[:STEPS].set_index("time").rename_axis(index=None)),
        ("parquet", long_table().iloc[::-1]),
        ("parquet", long_table().assign(time=lambda t: zoned(t.time, "Europe/Berlin"))),
        ("parquet", long_table().assign(time=lambda t: zoned(t.time, "+02:00"))),
        ("jsonl", long_table()),
        ("jsonl", late("x", None)),
        ("jsonl", long_table().assign(k=lambda t: t.k > 2)),
        ("jsonl", long_table().assign(time=np.tile(np.arange(2000, 2000 + STEPS), 3))),
        ("optional", long_table()),
    ],
)
def test_so_are_those_of_parquet_and_objects(tmp_path, monkeypatch, kind, table):
    path = tmp_path / f"table.{'parquet' if kind == 'parquet' else 'jsonl'}"
    if kind == "parquet":
        table.to_parquet(path)
    else:
        lines = table.assign(time=table.time.astype(str)) if kind == "optional" else table
        rows = lines.to_json(orient="records", lines=True, date_format="iso")
        path.write_text("".join(optional(lines.to_dict("records"))) if kind == "optional" else rows)
    columns = dataclasses.replace(ONE, past=("k",) if kind == "jsonl" else ("weather", "k"))
    columns = columns if len(table) > STEPS else Columns(targets=("x",))
    check_same(*both(monkeypatch, lambda: read_series(path, columns)))


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("x", "12a", "Expected numbers in column 'x' of .*Received: '12a' in row 5501"),
        ("k", "many", "Expected numbers in column 'k' of .*Received: 'many' in row 5501"),
        ("id", " ", "Expected the name of a series .* in row 5501"),
        ("time", "2020-02-30", "Expected times in column time of .*'2020-02-30' in row 5501"),
    ],
)
def test_what_is_wrong_is_said_as_of_a_table_read_whole(tmp_path, monkeypatch, column, value, said):
    path = tmp_path / "table.csv"
    late(column, value).to_csv(path, index=False)
    one, other = both(monkeypatch, lambda: read_series(path, ONE))
    assert one == other
    with pytest.raises(DataError, match=said):
        read_series(path, ONE)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_several_files_are_one_table_that_is_kept(tmp_path, cache, kind):
    whole = long_table()
    expected = read_series(whole, ONE)
    for i, part in enumerate(np.array_split(np.arange(len(whole)), 4)):
        rows, path = whole.iloc[part], tmp_path / f"part-{i}.{kind}"
        rows.to_parquet(path) if kind == "parquet" else rows.to_csv(path, index=False)
    found = read_series(str(tmp_path / f"part-*.{kind}"), ONE)
    for one, other in zip(found.series, expected.series, strict=True):
        assert one.name == other.name
        assert (one.times == other.times).all()
        np.testing.assert_array_equal(one.values, other.values)
    assert "6,000 rows; 4 files" in found.said[0]
    made = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    read_series(str(tmp_path / f"part-*.{kind}"), ONE)
    assert made == {path: path.stat().st_mtime_ns for path in cache.rglob("*")}


def test_files_of_other_columns_or_forms_are_refused(tmp_path, cache):
    for name in ("part-1.csv", "part-2.csv"):
        long_table().rename(columns={"k": name[:6]}).to_csv(tmp_path / name, index=False)
    with pytest.raises(DataError, match=r"the columns time, .*part-1. Received: .*part-2.csv, wi"):
        read_series(str(tmp_path / "part-*.csv"), Columns(targets=("x",), series="id"))
    assert not [*cache.glob("*")]
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("[]")
    with pytest.raises(DataError, match=r"parquet that match .* Received: a.json, b.json"):
        read_series(str(tmp_path / "*.json"), ONE)
