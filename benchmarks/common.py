"""Shared by the benchmarks: running commands, printing tables, recording results."""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")


def rnnapps(*words: object) -> dict[str, Any]:
    """Runs a command; returns its JSON result, with its duration as `command_seconds`."""
    command = [sys.executable, "-m", "rnnapps.cli", *map(str, words), "--json"]
    began = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return {**json.loads(done.stdout), "command_seconds": time.monotonic() - began}


def options_of(parser: argparse.ArgumentParser, rows: Iterable[str]) -> argparse.Namespace:
    """The command's options; `row` has the selected rows of the table, empty for all."""
    names = list(rows)
    parser.add_argument("row", nargs="*", help=", ".join(names))
    options = parser.parse_args()
    if unknown := set(options.row) - set(names):
        parser.error(f"there is no row {', '.join(unknown)}")
    return options


def show_machine() -> None:
    """Prints the date and the machine."""
    print(f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores")


def measured(found: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """The rows of an `rnnapps evaluate` result: the network's, and each baseline's."""
    return {"rnnapps": found, **found["baselines"]}


def show(title: str, rows: Mapping[str, Mapping[str, float]], measures: Iterable[str]) -> None:
    """Prints rows of numbers with a column per metric; missing values stay empty."""
    width = {name: max(len(name), 9) + 2 for name in measures}
    print(f"{title:28}" + "".join(f"{name:>{n}}" for name, n in width.items()))
    for name, row in rows.items():
        cells = (f"{row[m]:{n}.4f}" if m in row else " " * n for m, n in width.items())
        print(f"{name:28}" + "".join(cells))


def record(
    table: str, rows: Mapping[str, Mapping[str, float]], measures: Iterable[str] | None = None
) -> None:
    """Records rows of a table in `results/TABLE.json`; `tables.py` writes them into RESULTS.md.

    Args:
        table: The table's name.
        rows: The numbers by row and column; other rows are kept.
        measures: The columns to record; `None` for all.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{table}.json"
    kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for name, row in rows.items():
        columns = list(row) if measures is None else [m for m in measures if m in row]
        kept[name] = {"date": str(datetime.date.today()), **{m: row[m] for m in columns}}
    path.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")


def verdict(what: str, value: float, bar: float, low: float | None = None) -> None:
    """Prints a value, its bar, and whether it meets it."""
    met = (low is None or low <= value) and value <= bar
    bound = f"<= {bar:.4g}" if low is None else f"{low:.4g} to {bar:.4g}"
    print(f"{what}: {value:.4g} ({bound}): {'met' if met else 'MISSED'}")
