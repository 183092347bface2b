"""Overhead of a hyperparameter search, its recovery from kills, and its result.

    python benchmarks/tuning.py [--data-dir DIR] [ROW...]

Rows: `overhead` (a search of one trial against the same `rnnapps train`, alternating), `kills` (ten
searches, each killed at a random moment and resumed, against an undisturbed one), `workers` (twelve
trials in one process and in two), `imdb` (half an hour on the IMDB reviews; requires --data-dir).
By default all.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import options_of, record, rnnapps, show_machine, verdict

SMALL = ("--units", "32", "--embedding-dim", "32", "--epochs", "3")
SEARCH = ("--range", "units=16:64:16", "--range", "learning_rate=1e-3:1e-2:log")


def overhead(folder: Path, repeats: int = 3) -> None:
    times: dict[str, list[float]] = {"train": [], "tune": []}
    for i in range(repeats):
        trained = rnnapps("train", "sentiment", "--run-dir", folder / f"run{i}")
        times["train"].append(trained["command_seconds"])
        project = ("--project-dir", folder / f"search{i}", "--trials", 1)
        times["tune"].append(rnnapps("tune", "sentiment", *project)["command_seconds"])
    train, tune = (statistics.median(times[name]) for name in ("train", "tune"))
    print(f"\none trial {tune:.1f} s, the same `rnnapps train` {train:.1f} s")
    verdict("seconds over", tune - train, 0.05 * train + 2)
    record("tuning-overhead", {"seconds": {"one trial": tune, "the same rnnapps train": train}})


def kills(folder: Path, moments: int = 10) -> None:
    words = ("tune", "sentiment", *SMALL, *SEARCH, "--trials", 4, "--project-dir")
    found = rnnapps(*words, folder / "whole")
    whole = found["command_seconds"]
    expected, wrong, again = outcome(found), 0, 0
    print(f"\nunkilled: {whole:.0f} s, best {found['trials'][0]['score']:.4f}")
    for i in range(moments):
        project, after = folder / f"killed{i}", random.Random(i).uniform(0, whole)
        command = [sys.executable, "-m", "rnnapps.cli", *map(str, words), str(project)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, start_new_session=True, **quiet)
        time.sleep(after)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kept = {path: path.stat().st_mtime_ns for path in project.glob("trial_*/result.json")}
        found = rnnapps(*words, project)
        rerun = sum(path.stat().st_mtime_ns != time for path, time in kept.items())
        same = outcome(found) == expected
        wrong, again = wrong + (not same), again + rerun
        print(
            f"killed after {after:5.1f} s with {len(kept)} finished, of which {rerun} ran again; "
            f"{'the same' if same else 'NOT the same'} trials, scores and best as unkilled"
        )
    verdict("searches that ended otherwise", wrong, 0)
    verdict("finished trials that ran again", again, 0)


def outcome(found: dict) -> list[tuple]:
    """The results that must not depend on kills, best first."""
    keys = ("trial", "status", "score", "epochs", "values")
    return [tuple(str(row[key]) for key in keys) for row in found["trials"]]


def workers(folder: Path, repeats: int = 2) -> None:
    words = ("tune", "sentiment", *SMALL, *SEARCH, "--trials", 12, "--project-dir")
    times: dict[int, list[float]] = {1: [], 2: []}
    for i in range(repeats):
        for count in times:
            project = folder / f"workers{count}-{i}"
            found = rnnapps(*words, project, "--workers", count)
            times[count].append(found["command_seconds"])
    one, two = (statistics.median(times[count]) for count in (1, 2))
    print(f"\n12 trials: one process {one:.0f} s, two workers {two:.0f} s")
    verdict("ratio", two / one, 0.8)
    record("tuning-workers", {"seconds": {"one process": one, "two workers": two}})


def imdb(folder: Path, data_dir: str) -> None:
    found = rnnapps(
        "tune", "sentiment", "--data", "imdb_reviews", "--data-dir", data_dir, "--trials", 100,
        "--max-epochs", 3, "--time-budget", "30m", "--project-dir", folder / "imdb",
        "--tune", "dropout,word_dropout,learning_rate", "--range", "learning_rate=1e-3:4e-3:log",
        "--workers", 2,
    )  # fmt: skip
    trials = [row for row in found["trials"] if row["score"] is not None]
    default = next(row for row in trials if int(row["trial"]) == 0)
    print(f"\nIMDB, {found['seconds']:.0f} s, {len(trials)} trials; validation accuracy")
    for row in trials:
        print(f"{row['score']:.4f}  trial {row['trial']}  {row['seconds']:.0f} s  {row['values']}")
    best = trials[0]["score"]
    print(f"best {best:.4f}, the default's {default['score']:.4f}: ", end="")
    print("met" if best > default["score"] else "MISSED")


def main() -> None:
    rows = {"overhead": overhead, "kills": kills, "workers": workers}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="prepared tensorflow_datasets, for imdb")
    options = options_of(parser, [*rows, "imdb"])
    wanted = options.row or [*rows, *(["imdb"] if options.data_dir else [])]
    if "imdb" in wanted and not options.data_dir:
        parser.error("imdb needs --data-dir")
    show_machine()
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            if name == "imdb":
                imdb(Path(folder), options.data_dir)
            else:
                rows[name](Path(folder))


if __name__ == "__main__":
    main()
