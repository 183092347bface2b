"""What training on data that does not fit into memory takes: memory and the time of reading.

    python benchmarks/memory.py [--share 0.1] [ROW...]

Rows: `sentiment` (2 GB of CSV), `chargen` (1 GB of text), `translation` (5 million pairs) and
`forecasting` (10,000 series of 2,000 steps in one CSV), all generated, or a share of them. The
memory is the peak of what the process has resident, mapped files and libraries included, in one
epoch of a small network, with large batches, which take more memory and make the epoch shorter;
reading is from the file to stored texts, or to the series, in CPU seconds, which other work on the
machine hardly changes. Of `sentiment` it also measures the way on to ids: vocabulary and encoding.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import options_of, record, show_machine, verdict

BAR, SPEED = 2.5, 15.0  # GB; MB/s, of `sentiment`
SMALL = ("--epochs", 1, "--units", 16)
WORDS = (*SMALL, "--embedding-dim", 16)
ROWS = {  # the bytes of the whole; and how they are trained on
    "sentiment": (2e9, "reviews.csv", (*WORDS, "--batch-size", 256)),
    "chargen": (1e9, "text.txt", (*WORDS, "--batch-size", 512)),
    "translation": (
        7e8,
        "pairs.txt",
        (*WORDS, "--batch-size", 256, "--max-length", 40, "--max-tokens", 2000),
    ),
    "forecasting": (
        8.1e8,
        "series.csv",
        (*SMALL, "--batch-size", 512, "--target", "x", "--series-column", "id"),
    ),
}
READ = """
import pathlib, sys, time

from rnnapps.data import *
from rnnapps.text import WordTokenizer

path, began = pathlib.Path(sys.argv[1]), time.process_time()
{code}
print(time.process_time() - began)
"""
READERS = {
    "sentiment": "read_examples(path)",
    "chargen": "read_long_text([path])",
    "translation": "read_pairs(path)",
    "forecasting": "read_series(path, Columns(targets=('x',), series='id'))",
}
TO_IDS = """
(examples,) = read_examples(path).values()
tokenizer = WordTokenizer()
tokenizer.adapt(examples.texts)
encode_texts(tokenizer, examples.texts)
"""
STEPS = 2000  # of each series


def write(name: str, path: Path, size: float) -> None:
    """Writes texts of words that are as frequent as those of a language are."""
    rng, letters = np.random.default_rng(0), np.array([*"abcdefghijklmnopqrstuvwxyz"])
    words = np.array(["".join(rng.choice(letters, rng.integers(2, 10))) for _ in range(60_000)])
    shares = np.cumsum(1 / np.arange(1, len(words) + 1) ** 1.05)
    shortest, longest = {"sentiment": (60, 280), "chargen": (5, 20), "translation": (4, 16)}[name]
    with path.open("w", encoding="utf-8") as file:
        file.write("label,text\n" if name == "sentiment" else "")
        while file.tell() < size:
            lengths = rng.integers(shortest, longest, 1000)
            places = np.searchsorted(shares, rng.random(lengths.sum()) * shares[-1])
            for one in np.split(words[places], np.cumsum(lengths)[:-1]):
                text = " ".join(one)
                if name == "sentiment":
                    positive = rng.random() < 0.5
                    file.write(f'{"np"[positive]},"{text}, {("bad", "good")[positive]}"\n')
                else:
                    file.write(f"{text}\t{text[::-1]}\n" if name == "translation" else f"{text}\n")


def write_series(path: Path, size: float) -> None:
    """Writes a long table of series, one behind the other."""
    rng, hours = np.random.default_rng(0), np.arange(STEPS)
    times = np.datetime_as_string(np.datetime64("2020-01-01T00") + hours, unit="s")
    with path.open("w") as file:
        file.write("id,time,x\n")
        for number in itertools.count():
            if file.tell() >= size:
                break
            values = (10 + np.sin(hours * np.pi / 12) + rng.normal(size=STEPS)).round(4).tolist()
            file.writelines(
                f"series-{number:05},{time},{value}\n"
                for time, value in zip(times, values, strict=True)
            )


def speed(path: Path, code: str) -> float:
    """The megabytes of a file that code reads in a second of one core."""
    words = [sys.executable, "-c", READ.format(code=code), path]
    return path.stat().st_size / 1e6 / float(subprocess.check_output(words, text=True))


def train(name: str, path: Path, words: tuple, folder: Path) -> float:
    """The gigabytes that one epoch takes at most."""
    command = [sys.executable, "-m", "rnnapps.cli", "train", name, "--data", path, *words]
    command += ["--run-dir", folder / f"run-{name}"]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{name}: training ended with status {status}")
    return used.ru_maxrss * 1024 / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=0.1, help="of the data's whole size")
    options = options_of(parser, ROWS)
    show_machine()
    for name in options.row or ROWS:
        size, file, words = ROWS[name]
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            path = Path(folder, file)
            if name == "forecasting":
                write_series(path, size * options.share)
            else:
                write(name, path, size * options.share)
            row = {"read, MB in a CPU second": speed(path, READERS[name])}
            if name == "sentiment":
                verdict(f"{name}: MB read in a CPU second", *row.values(), np.inf, low=SPEED)
                row["to ids, MB in a CPU second"] = speed(path, TO_IDS)
            peak = train(name, path, words, Path(folder))
        verdict(f"{name}: GB at the peak, of {options.share:g} of the data", peak, BAR)
        record("memory", {f"{name}, {options.share:g}": {"peak, GB": peak, **row}})


if __name__ == "__main__":
    main()
