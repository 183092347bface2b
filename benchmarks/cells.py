"""Compares recurrent cells and the Transformer in every application, at equal training time.

    python benchmarks/cells.py --data-dir DIR [--runs RUNS] [APPLICATION...] [-- FLAG...]

Compares `--cells` with `rnnapps compare`, for `--time-per-run` each, on one seed, and then the two
best of each application on more seeds, by validation metrics. DIR holds imdb_reviews,
tiny_shakespeare and multi30k as tensorflow_datasets or their sources, the folder ud_english_ewt,
and `ETTh1.csv` in any of its folders. With --runs the comparisons are kept in a folder, where an
interrupted one resumes.

Networks are compared alone, without the n-grams or linear forecasts of the applications. Flags of
the applications may follow a `--`; --name then sets the tables' name.
"""

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import options_of, record, show_machine
from forecasting import ett_dir

from rnnapps.tuning.report import read_search

CELLS = "lstm,gru,mingru,slstm,transformer"
COSTS = ("parameters", "epochs", "seconds", "rows_a_second", "latency_ms", "export_mb")
# Metric, data and flags of each application; two layers, as units of a minGRU interact only in the
# next layer, and few units, for several epochs within three minutes.
APPLICATIONS = {
    "sentiment": (
        "accuracy", "imdb_reviews",
        ["--ngrams", "0", "--max-length", "200", "--units", "64", "--embedding-dim", "64"],
    ),
    "chargen": (
        "nats_per_character", "tiny_shakespeare",
        ["--ngrams", "0", "--batch-size", "16", "--window", "128", "--dropout", "0.1"],
    ),
    "translation": ("bleu", "multi30k", ["--units", "128", "--embedding-dim", "128"]),
    "forecasting": (
        "scaled_mae", "ett_h1", ["--no-combine", "--horizon", "96", "--units", "128"],
    ),
    "tagging": ("accuracy", "ud_english_ewt", []),
}  # fmt: skip


def compared(application: str, cells: str, seeds: list[int], project: Path, flags: list) -> list:
    """Runs or resumes a comparison; returns a row of texts per cell, the best first."""
    command = [sys.executable, "-m", "rnnapps.cli", "compare", application, *map(str, flags)]
    command += ["--range", f"cell={cells}", "--seed", str(seeds[0]), "--seeds", str(len(seeds))]
    command += ["--project-dir", str(project)]
    print("\nrnnapps", *command[3:], flush=True)
    subprocess.run(command, check=True)
    with (project / "compare.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def scores(*projects: Path) -> dict[str, list[float]]:
    """The scores of each cell for all seeds of these comparisons."""
    found: dict[str, list[float]] = {}
    for project in projects:
        for trial in read_search(project)["trials"]:
            if trial["score"] is not None:
                found.setdefault(trial["values"]["cell"], []).append(trial["score"])
    return found


def cells_of(application: str, options: argparse.Namespace, runs: Path, flags: list[str]) -> None:
    measure, data, settings = APPLICATIONS[application]
    folder = options.data_dir if application != "forecasting" else ett_dir(options.data_dir)
    flags = [
        "--data", data, "--data-dir", folder, "--layers", 2, "--patience", 0, *settings, *flags,
        "--objective", measure, "--time-per-run", options.time_per_run,
    ]  # fmt: skip
    name = "-".join(filter(None, [application, options.name]))
    project, again = runs / name, runs / f"{name}-best"
    rows = compared(application, options.cells, [0], project, flags)
    reached = scores(project)
    if len(rows) > 2 and options.seeds > 1:
        best = ",".join(row["cell"] for row in rows[:2])
        compared(application, best, list(range(1, options.seeds)), again, flags)
        reached = scores(project, again)
    table = {}
    for row in rows:
        values = reached[row["cell"]]
        spread = {"deviation": statistics.stdev(values)} if len(values) > 1 else {}
        costs = {cost: float(row[cost]) for cost in COSTS if row[cost]}
        costs["parameters"] = int(costs["parameters"])
        table[row["cell"]] = {
            measure: statistics.mean(values), **spread, "seeds": len(values), **costs
        }  # fmt: skip
    record(f"cells-{name}", table)


def main() -> None:
    words = sys.argv[1:]
    flags = words[words.index("--") + 1 :] if "--" in words else []
    sys.argv[1:] = words[: len(words) - len(flags) - 1] if "--" in words else words
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--runs", type=Path, help="a folder that keeps the comparisons")
    parser.add_argument("--time-per-run", default="3m")
    parser.add_argument("--cells", default=CELLS)
    parser.add_argument("--seeds", type=int, default=3, help="of the two best")
    parser.add_argument("--name", help="what the tables are called, with other cells or flags")
    options = options_of(parser, APPLICATIONS)
    show_machine()
    with tempfile.TemporaryDirectory() as folder:
        for application in options.row or APPLICATIONS:
            cells_of(application, options, options.runs or Path(folder), flags)


if __name__ == "__main__":
    main()
