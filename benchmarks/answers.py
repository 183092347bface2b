"""Batch prediction for a large table: latency, memory, recovery from kills, and two workers.

    python benchmarks/answers.py [--rows 200000] [ROW...]

Rows: `first` (CPU seconds from the loaded model to the first predictions, which are robust to other
load, and the peak memory compared with a single text), `kills` (a command with two workers that is
killed ten times, as a whole or one worker, and restarted: the output must equal that of an
undisturbed run), and `workers` (seconds with two workers and with one, alternating, on an idle
machine). By default all. The export is a small sentiment classifier trained on the sample; the
table has generated reviews.
"""

import argparse
import csv
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

from rnnapps.apps.bulk.answering import Model
from rnnapps.apps.bulk.processes import one_thread
from rnnapps.apps.bulk.question import PART_ROWS, SOON, Question
from rnnapps.data.reviews import make_reviews

REVIEWS = "reviews.csv"


def make(folder: Path, rows: int) -> None:
    """Creates an export and a table."""
    run_dir = folder / "run"
    rnnapps("train", "sentiment", "--units", 16, "--epochs", 1, "--run-dir", run_dir)
    command = [sys.executable, "-m", "rnnapps.cli", "export", "run", "models"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with (folder / REVIEWS).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "text"])
        table.writerows(enumerate(make_reviews(rows)[0]))


def answering(folder: Path, *words: object) -> subprocess.Popen:
    """Starts a prediction command."""
    command = [sys.executable, "-m", "rnnapps.cli", "predict", "models", *map(str, words)]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=folder, stdout=quiet, stderr=quiet)


def peak(process: subprocess.Popen) -> float:
    """Waits for a process and returns its peak memory in MB."""
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, process.args
    return usage.ru_maxrss * 1024 / 1e6


def first(folder: Path, rows: int) -> None:
    one = peak(answering(folder, "not a bad film at all"))
    all_of_them = peak(answering(folder, REVIEWS, "--output", "first.csv"))
    one_thread()
    (version,) = (folder / "models").glob("[0-9]*")
    began = time.process_time()
    how, parts = Question(Model(version), [folder / REVIEWS], part_rows=SOON).read(None)
    read = time.process_time() - began
    answer = how.start()
    began = time.process_time()
    next(map(answer, parts))
    took = time.process_time() - began
    print(f"{rows:,} reviews are read in {read:.1f} CPU seconds, before the model is loaded")
    verdict("CPU seconds from the loaded model to the first answers", took, 3)
    verdict(f"MB over the {one:.0f} MB of one text", all_of_them - one, 200)
    record(
        "answers-first",
        {
            f"{rows:,} reviews": {
                "reading, CPU s": read,
                "first answers, CPU s": took,
                "peak, MB": all_of_them,
                "peak of one text, MB": one,
            }
        },
    )


def workers_of(process: subprocess.Popen) -> list[int]:
    """The worker processes of a process."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [
        int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def kills(folder: Path, rows: int, times: int = 10) -> None:
    draws, state = random.Random(0), folder / ".killed.csv.partial"
    command = (REVIEWS, "--output", "killed.csv", "--workers", 2)

    def finished() -> int:
        return len(list(state.glob("part-*")))

    count = -(-rows // PART_ROWS)
    left: list[int] = []
    hit: list[str] = []
    process = answering(folder, *command)
    for turn in range(times):
        enough = finished() + draws.randint(0, count // (2 * times))
        while finished() < enough and process.poll() is None:
            time.sleep(0.01)
        time.sleep(draws.random() / 5)
        if process.poll() is not None:
            raise SystemExit(f"All was answered after {turn} kills; take more --rows.")
        if turn % 3 == 2 and (pids := workers_of(process)):
            os.kill(draws.choice(pids), signal.SIGKILL)
            hit.append("worker")
        else:
            process.kill()
            process.wait()
            hit.append("command")
            process = answering(folder, *command)
        left.append(finished())
    peak(process)
    peak(answering(folder, REVIEWS, "--output", "whole.csv"))
    same = (folder / "killed.csv").read_bytes() == (folder / "whole.csv").read_bytes()
    print(f"of {count} parts there were {', '.join(map(str, left))} after each kill")
    verdict(f"files that differ after {times} kills", int(not same), 0)
    record(
        "answers-kills",
        {
            f"{rows:,} reviews": {
                "commands killed": hit.count("command"),
                "workers killed": hit.count("worker"),
                "parts": count,
                "parts at the last kill": left[-1],
                "same bytes": "yes" if same else "no",
            }
        },
    )


def workers(folder: Path, rows: int, turns: int) -> None:
    times: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(turns):
        for number, found in times.items():
            began = time.monotonic()
            peak(
                answering(folder, REVIEWS, "--output", f"{number}-{turn}.csv", "--workers", number)
            )
            found.append(time.monotonic() - began)
    one, two = map(statistics.median, times.values())
    print(f"{rows:,} reviews in {one:.1f} s by one worker, {two:.1f} s by two")
    verdict("seconds of two workers : of one", two / one, 0.6)
    record(
        "answers-workers",
        {f"{rows:,} reviews": {"one worker, s": one, "two workers, s": two, "ratio": two / one}},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000, help="of the table")
    parser.add_argument("--turns", type=int, default=3, help="runs of one and of two workers")
    names = ["first", "kills", "workers"]
    options = options_of(parser, names)
    show_machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, options.rows)
        for row in options.row or names:
            if row == "first":
                first(folder, options.rows)
            elif row == "kills":
                kills(folder, options.rows)
            else:
                workers(folder, options.rows, options.turns)


if __name__ == "__main__":
    main()
