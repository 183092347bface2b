"""The benchmarks' results, and the tables that are made of them."""

import json
import pathlib

import pytest

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def scripts(monkeypatch, tmp_path):
    """`common` and `tables`, with an empty folder of results."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import common
    import tables

    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    return common, tables


def test_a_row_is_kept_and_replaced(scripts, tmp_path):
    common, _ = scripts
    common.record("speed", {"ours": {"ms": 2.0, "count": 3}, "theirs": {"ms": 4.0}})
    common.record("speed", {"ours": {"ms": 1.0, "count": 4, "text": "no number"}}, ["ms", "count"])
    kept = json.loads((tmp_path / "results" / "speed.json").read_text())
    assert [*kept] == ["ours", "theirs"]
    assert {k: v for k, v in kept["ours"].items() if k != "date"} == {"ms": 1.0, "count": 4}


def test_a_table_has_a_column_for_each_measure(scripts, tmp_path, monkeypatch):
    common, tables = scripts
    common.record("speed", {"ours": {"ms": 2.0}, "theirs": {"ms": 1234.56, "count": 35000}})
    monkeypatch.setattr(tables, "HERE", tmp_path)
    text = "before\n<!-- table speed -->\nold\n<!-- end -->\nbehind\n"
    lines = tables.written(text).splitlines()
    assert lines[:6] == ["before", "<!-- table speed -->", "| | ms | count |", "|---|---|---|",
                         "| ours | 2.000 |  |", "| theirs | 1,235 | 35,000 |"]  # fmt: skip
    assert lines[-2:] == ["<!-- end -->", "behind"]
    assert tables.written(tables.written(text)) == tables.written(text)


def test_the_tables_say_what_the_results_hold(scripts):
    _, tables = scripts
    text = (BENCHMARKS / "RESULTS.md").read_text("utf-8")
    assert tables.written(text) == text, "run python benchmarks/tables.py"
