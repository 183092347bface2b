"""Small searches on the command line, and what they come to."""

import subprocess
import sys
import time

from rnnapps.data import make_reviews
from rnnapps.tuning.report import read_search

TEXTS, LABELS = make_reviews(160)
TINY = {"epochs": 2, "units": 4, "embedding_dim": 4, "ngrams": 0, "bidirectional": False}
RANGES = {"units": "3:5", "learning_rate": "1e-3,1e-2"}


def flags(table, project, *more):
    """The command line of a small search."""
    words = ["tune", "sentiment", "--data", table, "--project-dir", project]
    for name, value in TINY.items():
        flag = "--" + name.replace("_", "-")
        words += ["--no-" + flag[2:]] if value is False else [flag, value]
    for name, text in RANGES.items():
        words += ["--range", f"{name}={text}"]
    return [str(word) for word in (*words, *more)]


def start(words):
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "rnnapps.cli", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def outcome(project):
    """What must not depend on kills: the trials, their values, scores and epochs."""
    rows = read_search(project)["trials"]
    return sorted(
        (row["trial"], row["status"], row["score"], row["epochs"], str(row["values"]))
        for row in rows
    )


def wait_for(condition, process=None, seconds=120):
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "nothing happened"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.02)
