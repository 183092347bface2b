"""An update that is killed with SIGKILL leaves the old run or the new one, whole."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from eager import eagerly

import rnnapps
from rnnapps import SentimentClassifier
from rnnapps.apps.run_info import RunInfo
from rnnapps.cli import main
from rnnapps.data import make_reviews

UPDATE = ["update", "run", "new.csv", "--tolerance", "0.99"]
# Kills itself before so many of the steps by which a run is written have been done: first whole
# files become `.run.new`, then each of them is moved into the run.
KILLED = """
import os, pathlib, signal, sys
from rnnapps.cli import main

left = int(sys.argv[1])

def killed(step):
    def one(self, target):
        global left
        if ".run.new" in (self.parent.name, pathlib.Path(target).name):
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
        return step(self, target)
    return one

pathlib.Path.rename = killed(pathlib.Path.rename)
pathlib.Path.replace = killed(pathlib.Path.replace)
main(sys.argv[2:])
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a run, its data, and new data."""
    folder = tmp_path_factory.mktemp("home")
    texts, labels = make_reviews(160)
    for name, rows in {"old.csv": slice(0, 100), "new.csv": slice(100, 160)}.items():
        table = {
            "text": [f"{text} {i}" for i, text in enumerate(texts)][rows],
            "label": labels[rows],
        }
        pd.DataFrame(table).to_csv(folder / name, index=False)
    settings = {"epochs": 1, "units": 4, "embedding_dim": 4, "ngrams": 0, "bidirectional": False}
    with eagerly():
        SentimentClassifier(data=str(folder / "old.csv"), **settings).fit(run_dir=folder / "run")
    return folder


@pytest.fixture
def folder(home, tmp_path, monkeypatch):
    """A copy of it, in which commands are given."""
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@eagerly()
def check(folder, updated):
    """The run is whole and loads; what the killed process left is taken away by the command."""
    app = rnnapps.load(folder / "run")
    RunInfo.read(folder / "run").check(folder / "run")
    assert app.info.added == ([str(folder / "new.csv")] if updated else [])
    assert app.evaluate()["accuracy"] >= 0  # its data is what it learned from
    assert main(UPDATE) == (2 if updated else 0)  # 2: it has learned from it already
    assert rnnapps.load(folder / "run").info.added == [str(folder / "new.csv")]
    assert {path.name for path in folder.iterdir()} == {"run", "old.csv", "new.csv"}


def test_a_kill_while_it_trains_leaves_the_old_run(folder):
    process = subprocess.Popen([sys.executable, "-m", "rnnapps.cli", *UPDATE, "--epochs", "500"])
    while not list(folder.glob(".run.partial/update/state/*/epoch-*")):
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    check(folder, updated=False)


@pytest.mark.parametrize("steps", [0, 3])
def test_a_kill_while_it_is_written_leaves_one_of_both(folder, steps):
    command = [sys.executable, "-c", KILLED, str(steps), *UPDATE]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert (folder / ".run.new").exists() == (steps > 0)
    check(folder, updated=steps > 0)
    assert pathlib.Path("run/model.keras").is_file()
