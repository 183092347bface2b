"""A training that is killed with SIGKILL ends as one that never was."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

import rnnapps
from rnnapps import SentimentClassifier
from rnnapps.apps.interrupted import write_settings
from rnnapps.cli import main
from rnnapps.data import make_reviews
from rnnapps.errors import RunError

SETTINGS = {
    "epochs": 6, "units": 8, "embedding_dim": 8, "layers": 2, "dropout": 0.3, "learning_rate": 5e-3,
    "recurrent_dropout": 0.2, "schedule": "plateau", "patience": 2, "normalization": "batch",
    "ngrams": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    texts, labels = make_reviews(800)
    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False)
    return {**SETTINGS, "data": str(path)}


def start(settings, run_dir):
    flags = [f"--{k.replace('_', '-')}={v}" for k, v in settings.items()]
    command = [sys.executable, "-m", "rnnapps.cli", "train", "sentiment", *flags]
    return subprocess.Popen(
        [*command, "--run-dir", run_dir], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def kill_after_epoch(process, run_dir, epoch):
    state = run_dir.with_name(f".{run_dir.name}.partial") / "network"
    while not any(int(p.name[6:]) >= epoch for p in state.glob("epoch-*")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(settings, tmp_path):
    unbroken = start(settings, tmp_path / "unbroken")
    broken = start(settings, tmp_path / "broken")
    kill_after_epoch(broken, tmp_path / "broken", 2)
    assert not (tmp_path / "broken").exists()  # nothing half-written
    resumed = start(settings, tmp_path / "broken")
    for process in (unbroken, resumed):
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors

    expected = SentimentClassifier.load(tmp_path / "unbroken")
    received = rnnapps.load(tmp_path / "broken")
    pd.testing.assert_frame_equal(pd.DataFrame(expected.history), pd.DataFrame(received.history))
    assert len(received.history) > 2
    assert len(received.info.epoch_seconds) == len(received.history)
    assert received.info.seconds > sum(received.info.epoch_seconds)
    for a, b in zip(expected.model.get_weights(), received.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken", "unbroken"]


def test_other_settings_do_not_take_up_an_interrupted_run(settings, tmp_path):
    run_dir = tmp_path / "run"
    partial = tmp_path / ".run.partial"
    partial.mkdir()
    config = SentimentClassifier(**settings).config
    write_settings(partial / "config.toml", "sentiment", config)
    changed = SentimentClassifier(**{**settings, "units": 9})
    with pytest.raises(RunError, match=r"other settings \(there, here\): units \(8, 9\)"):
        changed.fit(run_dir=run_dir)
    assert partial.exists()


def test_two_trainings_at_once_do_not_share_a_state(settings, tmp_path, monkeypatch):
    settings = {**settings, "layers": 1, "recurrent_dropout": 0.0, "strategy": "cpu"}
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "rnnapps.cli", "train", "sentiment"]
    command += [f"--{k.replace('_', '-')}={v}" for k, v in settings.items()]
    first = subprocess.Popen(command, cwd=tmp_path)
    while not any((tmp_path / "runs").glob(".sentiment.partial/network/epoch-*")):
        assert first.poll() is None
        time.sleep(0.005)
    os.kill(first.pid, signal.SIGSTOP)
    try:
        with pytest.raises(RunError, match="is being trained by another process; choose another"):
            SentimentClassifier(**settings).fit(run_dir=tmp_path / "runs" / "sentiment")
        named = [*command[3:], "--run-dir", "runs/sentiment", "--overwrite"]
        assert main(named) == 2
        assert subprocess.run(command, cwd=tmp_path).returncode == 0
        assert [path.name for path in (tmp_path / "runs").glob("[!.]*")] == ["sentiment-2"]
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert first.wait(300) == 0
    runs = [rnnapps.load(tmp_path / "runs" / name) for name in ("sentiment", "sentiment-2")]
    assert runs[0].history == runs[1].history


def test_a_loss_that_is_no_number_ends_training(settings):
    app = SentimentClassifier(**{**settings, "learning_rate": 1e30, "clip_norm": 0, "layers": 1})
    with pytest.raises(rnnapps.RnnappsError, match=r"loss became .* in epoch 1; lower"):
        app.fit()
