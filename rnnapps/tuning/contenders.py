"""The result of a comparison: a table of its contenders, as CSV and Markdown, and a figure."""

import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from rnnapps import figures
from rnnapps.errors import RunError
from rnnapps.files import enough_space, read_json, write
from rnnapps.tuning.report import read_search

_COSTS = ("parameters", "epochs", "seconds", "rows_a_second", "latency_ms", "export_mb")


def report(project: pathlib.Path | str) -> pd.DataFrame:
    """Writes `compare.csv`, `compare.md` and the figure into a comparison's folder.

    Args:
        project: The comparison's folder, `--project-dir`.

    Returns:
        The table, see `compare`.

    Raises:
        RunError: If no training has finished.
    """
    project = pathlib.Path(project)
    found = read_search(project)
    objective = found["objective"].removeprefix("val_")
    groups: dict[tuple, list[dict]] = {}
    for trial in found["trials"]:
        values = {name: v for name, v in trial["values"].items() if name != "seed"}
        if trial["score"] is not None:
            folder = project / f"trial_{trial['trial']}"
            row = {**trial, **read_json(folder / "cost.json")}
            groups.setdefault(tuple(values.items()), []).append(row)
    if not groups:
        raise RunError(f"No training of {project} has finished: {_reasons(found['trials'])}")
    rows = [_contender(dict(values), trials, objective) for values, trials in groups.items()]
    table = pd.DataFrame(rows).sort_values(
        objective, ascending=found["direction"] == "min", ignore_index=True
    )
    write(project / "compare.csv", table.to_csv(index=False))
    write(project / "compare.md", _markdown(table))
    curves = {
        ", ".join(map(str, dict(values).values())): [
            _curve(project / f"trial_{trial['trial']}" / "run", found["objective"])
            for trial in trials
        ]
        for values, trials in groups.items()
    }
    with enough_space(project):
        figures.quality_by_time(curves, objective, project / "figures" / "quality_by_time.png")
    return table


def _reasons(trials: Sequence[dict]) -> str:
    return "; ".join(dict.fromkeys(trial.get("reason", trial["status"]) for trial in trials))


def _contender(values: dict[str, Any], trials: Sequence[dict], objective: str) -> dict[str, Any]:
    """A row of the table, aggregated over seeds."""
    scores = [trial["score"] for trial in trials]
    row = {
        **values,
        objective: statistics.mean(scores),
        "deviation": statistics.stdev(scores) if len(scores) > 1 else float("nan"),
        "seeds": len(trials),
    }
    for name in _COSTS:
        numbers = [trial[name] for trial in trials if trial.get(name) is not None]
        row[name] = statistics.mean(numbers) if numbers else float("nan")
    return row


def _curve(run: pathlib.Path, objective: str) -> tuple[np.ndarray, np.ndarray]:
    """The learning curve: seconds and the metric, or the loss if the metric was not recorded."""
    history = pd.read_csv(run / "history.csv")
    seconds = np.cumsum(read_json(run / "run.json")["epoch_seconds"])
    values = history[objective if objective in history else "val_loss"].to_numpy()
    count = min(len(seconds), len(values))  # seconds may include several networks
    return seconds[:count], values[:count]


def _markdown(table: pd.DataFrame) -> str:
    rows = [list(map(_heading, table.columns)), ["---"] * len(table.columns)]
    rows += [[_text(value) for value in row] for row in table.itertuples(index=False)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def show(table: pd.DataFrame, project: pathlib.Path, as_json: bool) -> None:
    """Prints the table, with a column per combination, and its folder.

    Args:
        table: The table.
        project: The comparison's folder.
        as_json: Whether to print JSON.
    """
    if as_json:
        print(table.to_json(orient="records"))
        return
    console = Console(highlight=False)
    per_table = max(1, (console.width - 16) // 14)
    for first in range(0, len(table), per_table):
        printed = Table.grid(padding=(0, 2, 0, 0))
        printed.add_column(no_wrap=True)
        for name in table.columns:
            cells = table[name].iloc[first : first + per_table]
            printed.add_row(_heading(name), *map(_text, cells))
        for column in printed.columns[1:]:
            column.overflow = "fold"
        console.print(printed)
        console.print()
    console.print(f"on the validation part; saved in {project}", markup=False, soft_wrap=True)


def _heading(name: str) -> str:
    return name.replace("_", " ")


def _text(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    if np.isnan(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
