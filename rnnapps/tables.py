"""What commands print: tables and colours for people, JSON for programs."""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text


@dataclasses.dataclass(frozen=True)
class Measure:
    """What a metric says.

    Args:
        better: `"max"`, `"min"`, or the value that is best.
        meaning: What it is, in a few words.
    """

    better: str | float
    meaning: str

    @property
    def arrow(self) -> str:
        """Where it is better: up, down, or the value itself."""
        return {"max": "↑", "min": "↓"}.get(self.better, f"→ {self.better}")

    def best(self, values: Sequence[float]) -> float:
        """The best of some values."""
        if self.better in ("max", "min"):
            return {"max": max, "min": min}[self.better](values)
        return min(values, key=lambda value: abs(value - self.better))


_SHOWN = {"series": 20}  # rows of a table, of which there may be thousands
_BOUND = "noise alone"  # what no forecaster can beat: it is no competitor

MEASURES = {
    "accuracy": Measure("max", "share of the texts, or tokens, that are classified correctly"),
    "accuracy_unseen": Measure("max", "the same for tokens that are not in the training part"),
    "f1": Measure("max", "harmonic mean of precision and recall"),
    "precision": Measure("max", "share of the predicted spans with the right start, end and kind"),
    "recall": Measure("max", "share of the true spans that are predicted so"),
    "macro_f1": Measure("max", "mean of F1 over the classes"),
    "roc_auc": Measure("max", "probability that a positive ranks above a negative; 0.5 is chance"),
    "log_loss": Measure("min", "mean of -log p(right class), in nats"),
    "calibration_error": Measure("min", "mean gap between confidence and accuracy"),
    "nats_per_character": Measure("min", "mean of -log p(character), in nats"),
    "bits_per_character": Measure("min", "the same in bits: what a compressor would need"),
    "nats_per_character_windowed": Measure("min", "the same, on windows without the text before"),
    "perplexity": Measure("min", "exp of the mean of -log p(token)"),
    "unknown": Measure("min", "share of tokens that are not in the vocabulary"),
    "bleu": Measure("max", "n-grams shared with the references, 0 to 100"),
    "chrf": Measure("max", "character n-grams shared with the references, 0 to 100"),
    "exact_match": Measure("max", "share of translations equal to the reference"),
    "mae": Measure("min", "mean absolute error, in the data's units"),
    "rmse": Measure("min", "root of the mean squared error, in the data's units"),
    "mse": Measure("min", "mean squared error"),
    "scaled_mae": Measure("min", "mae in standard deviations of the training part"),
    "scaled_mse": Measure("min", "mse in squared standard deviations of the training part"),
    "mase": Measure("min", "mae over the seasonal naive forecast's in training; above 1 is worse"),
    "smape": Measure("min", "symmetric absolute error, in percent"),
    "rmsse": Measure("min", "root of the mean squared error over that of repeating the last value"),
    "owa": Measure("min", "mean of smape and mase, each over Naive2's (M4); under 1 is better"),
    "weighted_quantile_loss": Measure("min", "quantile loss over the mean absolute value"),
}


def measure_of(name: str) -> Measure | None:
    """What a metric says; `None` of one that nothing is known of.

    Args:
        name: The metric's name, such as `"coverage_80"`.
    """
    kind, _, level = name.partition("_")
    if kind in ("coverage", "width") and level.replace(".", "", 1).isdigit():
        return _coverage(level) if kind == "coverage" else _width(level)
    return MEASURES.get(name)


def _coverage(level: str) -> Measure:
    return Measure(float(level) / 100, f"share of the values inside the {level} % interval")


def _width(level: str) -> Measure:
    return Measure("min", f"mean width of the {level} % interval, in the data's units")


@dataclasses.dataclass(frozen=True)
class Cell:
    """A value as it is shown.

    Args:
        text: The digits; empty where there is no value.
        best: Whether it is as good as the best of its row.
    """

    text: str
    best: bool


@dataclasses.dataclass(frozen=True)
class Row:
    """A metric of a model and of its baselines.

    Args:
        name: The metric's name, with spaces.
        arrow: Where it is better; empty where nothing is known of the metric.
        meaning: What it is.
        cells: A cell for each column.
    """

    name: str
    arrow: str
    meaning: str
    cells: list[Cell]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A table of metrics, with a column for the model and one for each baseline.

    Args:
        columns: The columns' names: `rnnapps`, then the baselines'.
        rows: The rows.
    """

    columns: list[str]
    rows: list[Row]


def compare(found: dict[str, Any]) -> Comparison:
    """Puts a model's metrics beside its baselines'.

    Args:
        found: Metrics by name; `baselines` holds such dictionaries by the baseline's name.
    """
    columns = {"rnnapps": found, **found.get("baselines", {})}
    rows = []
    for name in [name for name, value in found.items() if isinstance(value, float)]:
        measure = measure_of(name)
        values = [row.get(name) for column, row in columns.items() if column != _BOUND]
        numbers = [value for value in values if isinstance(value, float)]
        best = measure.best(numbers) if measure and len(set(numbers)) > 1 else None
        shown = [number(row.get(name)) for row in columns.values()]
        cells = [Cell(text, best is not None and text == number(best)) for text in shown]
        arrow, meaning = (measure.arrow, measure.meaning) if measure else ("", "")
        rows.append(Row(name.replace("_", " "), arrow, meaning, cells))
    return Comparison(list(columns), rows)


def show(found: dict[str, Any], as_json: bool, title: str) -> None:
    """Prints metrics, with a column for the model and one for each baseline.

    Args:
        found: Metrics by name; `baselines` holds such dictionaries by the baseline's name, those
            that begin with `by_` such dictionaries by class, target or series (of which the first
            ones are printed, so that the worst should stand first), and `mistakes` the
            most confident mistakes.
        as_json: Whether to print JSON.
        title: The table's title.
    """
    if as_json:
        print(json.dumps(found))
        return
    console = Console(highlight=False)
    _print_metrics(console, found, title)
    for name, rows in found.items():
        if name.startswith("by_") and isinstance(rows, dict):
            _print_parts(console, name.removeprefix("by_"), rows)
    for mistake in found.get("mistakes", [])[:3]:
        text = " ".join(mistake["text"].split())
        console.print(
            f"{mistake['label']} predicted as {mistake['predicted']} "
            f"({mistake['probability']:.3f}): {text[:160]}{'...' if len(text) > 160 else ''}",
            markup=False,
        )


def _print_metrics(console: Console, found: dict[str, Any], title: str) -> None:
    """A table of metrics, or several under each other where the baselines have no room beside."""
    compared = compare(found)
    if not compared.rows:
        return
    others, parts = list(range(1, len(compared.columns))), []
    per_table = max(1, (console.width - 36) // 11)
    for first in range(0, max(1, len(others)), per_table):
        parts.append([0, *others[first : first + per_table]])
    console.print(title, style="italic", markup=False)
    for part in parts:
        table = Table("metric", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.columns[0].no_wrap = True
        for column in part:
            name = compared.columns[column]
            table.add_column(name, justify="right", overflow="fold", min_width=8)
        for row in compared.rows:
            cells = [_marked(row.cells[column]) for column in part]
            table.add_row(f"{row.name} {row.arrow}", *cells)
        console.print(table)
    if others:
        console.print("* best of the row", style="dim")
    for row in compared.rows:
        if row.meaning:
            console.print(f"{row.name}: {row.meaning}", style="dim", markup=False)


def _print_parts(console: Console, kind: str, rows: dict[str, Any]) -> None:
    """A table with a row for each class, target or series."""
    rows = {name: row for name, row in rows.items() if isinstance(row, dict)}
    if not rows:
        return
    names = list(dict.fromkeys(key for row in rows.values() for key in row))
    kept = names[: max(1, (console.width - 24) // 10)]
    table = Table(kind, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.columns[0].overflow = "fold"
    for name in kept:
        table.add_column(name.replace("_", " "), justify="right", overflow="fold", min_width=8)
    shown = list(rows)[: _SHOWN.get(kind)]
    for name in shown:
        table.add_row(Text(name), *(number(rows[name].get(key)) for key in kept))
    console.print(table)
    if more := len(rows) - len(shown):
        console.print(f"and {more:,} more {kind}, which --json lists", style="dim", markup=False)


def show_training(said: Sequence[str], metrics: dict[str, Any], commands: Sequence[str]) -> None:
    """Prints what a training did, how good it is on the validation part, and what comes next.

    Args:
        said: Sentences on the training.
        metrics: The metrics of the validation part, where there is one.
        commands: What comes next, to paste.
    """
    console = Console(highlight=False)
    for line in said:
        console.print(line, markup=False, soft_wrap=True)
    _print_metrics(console, metrics, "validation part")
    if better := better_baselines(metrics):
        console.print(
            f"Better: {', '.join(better)}. Train on more data, or for longer.", markup=False
        )
    show_next(commands)


def better_baselines(metrics: dict[str, Any]) -> list[str]:
    """The baselines that are better than the model in the first metric that both have.

    Args:
        metrics: Metrics by name; `baselines` holds such dictionaries by the baseline's name.
    """
    found = []
    for baseline, others in metrics.get("baselines", {}).items():
        for name, value in metrics.items():
            measure, other = measure_of(name), others.get(name)
            if measure and isinstance(other, float):
                if other != value and measure.best((value, other)) == other and baseline != _BOUND:
                    found.append(baseline)
                break
    return found


def show_next(commands: Sequence[str]) -> None:
    """Prints commands to paste.

    Args:
        commands: The commands.
    """
    print("next:", *(f"  {command}" for command in commands), sep="\n")


def stopped(
    history: Sequence[dict[str, float]],
    epochs: int,
    patience: int,
    last: bool = False,
    ema: bool = False,
    mean: int = 0,
) -> str:
    """Says how many epochs there were, why there were no more, and which weights are kept.

    Args:
        history: A dictionary for each epoch.
        epochs: The most that there could be; 0 where the application went by the amount of data.
        patience: Epochs without a better validation loss before training stops.
        last: Whether the last weights were kept, whatever the validation loss.
        ema: Whether an epoch's weights are a moving average.
        mean: The last epochs whose mean has the lowest loss; 0 where an epoch's weights have it.
    """
    losses = [row["val_loss"] for row in history if "val_loss" in row]
    said = f"{len(history)} of {epochs} epochs" if epochs else f"{len(history)} epochs"
    if last or len(losses) < len(history) or not losses:
        kept, why = "the last one's weights", ""
    else:
        best = min(range(len(losses)), key=losses.__getitem__)
        if len(history) < epochs or (not epochs and 0 < patience < len(history) - best):
            said += f", as {patience} in a row had no lower validation loss"
        kept, why = f"the weights of epoch {best + 1}", ", whose loss is the lowest"
        if mean:
            kept = f"the mean of the last {mean} epochs' weights"
    if ema:
        kept += ", a moving average (--ema),"
    return f"{said}; {kept} {'is' if mean else 'are'} kept{why}"


def show_cost(cost: dict[str, Any]) -> None:
    """Prints what narrow weights cost.

    Args:
        cost: `weights`, their type; `validation`, pairs of metrics before and after by name, or
            `unknown`, why there are none.
    """
    if "unknown" in cost:
        print(f"The cost of {cost['weights']} weights is unknown: {cost['unknown']}")
        return
    title = "validation part"
    table = Table("metric", "float32", cost["weights"], title=title, title_justify="left")
    for name, pair in cost["validation"].items():
        table.add_row(name, *map(number, pair))
    Console().print(table)


def show_update(found: dict[str, Any], run_dir: str) -> None:
    """Prints what an update changed.

    Args:
        found: What `Application.update` returned.
        run_dir: Where the updated run is.
    """
    title = found["objective"] if found["updated"] else f"{found['objective']}: not updated"
    table = Table("part", "before", "after", title=title, title_justify="left")
    for part in ("validation", "test"):
        for name, pair in found[part].items():
            values = ("unknown" if value is None else number(value) for value in pair.values())
            table.add_row(f"{name} {part}", *values)
    Console().print(table)
    print(f"run: {run_dir}" if found["updated"] else "The run is unchanged.")


def show_findings(findings: dict[str, str | list[str]], as_json: bool) -> None:
    """Prints what the doctor found.

    Args:
        findings: What is to be said of each subject.
        as_json: Whether to print JSON.
    """
    if as_json:
        print(json.dumps(findings))
        return
    table = Table.grid("", "", padding=(0, 2))
    for subject, finding in findings.items():
        for line in finding if isinstance(finding, list) else [finding]:
            table.add_row(Text(subject, "bold"), Text(line))
    Console().print(table)


def number(value: float | None) -> str:
    """A number as shown: four places, or as many as leave five digits; whole ones as they are."""
    if value is None or isinstance(value, int):
        return "" if value is None else f"{value:,}"
    digits = len(str(int(abs(value)))) if math.isfinite(value) else 1
    return f"{value:.{max(0, 5 - max(1, digits))}f}"


def digits(value: float) -> str:
    """A number as answers show it: seven digits, and all of those before the point."""
    return f"{value:.0f}" if 1e6 <= abs(value) < math.inf else f"{value:.7g}"


def _marked(cell: Cell) -> Text:
    """A number, with a star where it is as good as the best one as it is shown."""
    return Text(f"* {cell.text}", "bold") if cell.best else Text(cell.text)
