"""Kills train, save, export and tune at random moments: `make kills`.

After each kill the next command has to work, what was whole before has to be there, and nothing of
the killed process may be left. Takes about ten minutes.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import pandas as pd
import tensorflow as tf

import rnnapps
from rnnapps.apps.run_info import RunInfo
from rnnapps.cli import main
from rnnapps.data import make_reviews
from rnnapps.files import remove_tree
from rnnapps.serving.export.saved_model import load
from rnnapps.tuning.report import read_search

PHASES = ("train", "overwrite", "save", "export", "tune")
TINY = [
    "--epochs", "2", "--units", "4", "--embedding-dim", "4", "--ngrams", "0", "--no-bidirectional",
]  # fmt: skip
TEXT = "not a bad film at all"


def start(work: Callable[[], int | None], log: pathlib.Path) -> int:
    """Does work in a process of its own, forked from this one, in which TensorFlow is idle."""
    process = os.fork()
    if process:
        return process
    with log.open("w") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
        try:
            status = work() or 0
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


class Phase:
    """A command that is killed, and what has to hold after it.

    Args:
        name: One of `PHASES`.
        folder: A folder of its own.
        table: A table of reviews.
    """

    def __init__(self, name: str, folder: pathlib.Path, table: pathlib.Path):
        self.name, self.folder, self.log = name, folder, folder.parent / f"{name}.log"
        self.run, self.models, self.search = (folder / one for one in ("run", "models", "search"))
        self.train = ["train", "sentiment", "--data", str(table), *TINY, "--run-dir", str(self.run)]
        folder.mkdir()
        if name != "train" and name != "tune":
            self.do(lambda: main(self.train))
            (self.run / "NOTES.txt").write_text("mine")
        search = ["--tune", "learning_rate", "--trials", "2", "--project-dir", str(self.search)]
        self.tune = ["tune", "sentiment", "--data", str(table), *TINY, *search]
        self.number = 0
        self.seconds = self.do(self.work)
        self.begin_anew()

    def do(self, work: Callable[[], int | None]) -> float:
        """Does work to its end, and says how long it took."""
        began = time.monotonic()
        _, status = os.waitpid(start(work, self.log), 0)
        assert status == 0, f"{self.name}: {self.log.read_text()[-3000:]}"
        return time.monotonic() - began

    def kill(self, moment: float) -> bool:
        """Kills the work at a moment; says whether it was still at it."""
        process = start(self.work, self.log)
        time.sleep(moment)
        os.kill(process, signal.SIGKILL)
        return os.WIFSIGNALED(os.waitpid(process, 0)[1])

    def work(self) -> int | None:
        """What is killed."""
        if self.name == "save":
            app = rnnapps.load(self.run)
            for _ in range(4):
                app.save(self.run)
                app.evaluate(make_reviews(10))
            return None
        return main(
            {
                "train": self.train,
                "overwrite": [*self.train, "--overwrite", "--seed", str(self.number)],
                "export": ["export", str(self.run), str(self.models)],
                "tune": self.tune,
            }[self.name]
        )

    def check(self) -> None:
        """Gives the next command, and looks at what there is after it."""
        self.number += 1
        if self.name in ("overwrite", "save", "export"):  # there was a run before
            self.do(lambda: main(["predict", str(self.run), TEXT]))
            assert (self.run / "NOTES.txt").read_text() == "mine"
        if self.name != "train" or not self.run.exists():  # killed as it had ended
            self.do(self.work)
        if self.name == "tune":
            trials = read_search(self.search)["trials"]
            assert [trial["status"] for trial in trials] == ["completed"] * 2, trials
            whole = {"search"}
        else:
            RunInfo.read(self.run).check(self.run)
            self.do(lambda: rnnapps.load(self.run) and None)
            whole = {"run", "models"} if self.name == "export" else {"run"}
        left = {path.name for path in self.folder.iterdir()}
        assert left == whole, f"{self.name} left {left - whole}"
        if self.name == "export":
            versions = sorted(self.models.iterdir())
            assert all(path.name.isdecimal() for path in versions), versions
            self.do(lambda: load(versions[-1]).signatures["serving_default"] and None)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Takes away what a command has made that does nothing where it is done."""
        if self.name in ("train", "tune"):
            remove_tree(self.run)
            remove_tree(self.search)


def run(kills: int, seed: int) -> None:
    """Kills, and prints what became of it."""
    draws = random.Random(seed)
    counts = dict.fromkeys(PHASES, 0)
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        tempfile.tempdir = str(home / "tmp")  # to see what is left there
        (home / "tmp").mkdir()
        table = home / "reviews.csv"
        pd.DataFrame(dict(zip(("text", "label"), make_reviews(160), strict=True))).to_csv(table)
        phases = {name: Phase(name, home / name, table) for name in PHASES}
        while sum(counts.values()) < kills:
            name = PHASES[sum(counts.values()) % len(PHASES)]
            phase = phases[name]
            moment = draws.uniform(0, phase.seconds)
            if not phase.kill(moment):
                phase.begin_anew()
                continue
            counts[name] += 1
            phase.check()
            print(f"{sum(counts.values())}: {name} killed after {moment:.2f} s", flush=True)
            left = [path.name for path in (home / "tmp").iterdir() if "autograph" in path.name]
            assert not left, f"{name} left {left}"
    print(json.dumps(counts))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tf.get_logger().setLevel("ERROR")
    run(options.kills, options.seed)
