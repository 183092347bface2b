import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import keras_tuner
import pandas as pd
import pytest
import tensorflow as tf

from rnnapps import SentimentConfig, cli
from rnnapps.data import make_reviews
from rnnapps.errors import ConfigError
from rnnapps.tuning import Candidate, HyperApplication
from rnnapps.tuning.options import TuneOptions
from rnnapps.tuning.processes import check_address
from rnnapps.tuning.report import read_search

TEXTS, LABELS = make_reviews(160)
TINY = {"epochs": 2, "units": 4, "embedding_dim": 4, "ngrams": 0, "bidirectional": False}
RANGES = {"units": "3:5", "learning_rate": "1e-3,1e-2"}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    pd.DataFrame({"text": TEXTS, "label": LABELS}).to_csv(path, index=False)
    return path


def flags(table, project, *more):
    """The command line of a small search."""
    words = ["tune", "sentiment", "--data", table, "--project-dir", project]
    for name, value in {**TINY, "epochs": 2}.items():
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


@pytest.fixture(scope="module")
def searched(table, tmp_path_factory):
    """A search that nothing disturbed."""
    project = tmp_path_factory.mktemp("search") / "whole"
    assert cli.main(flags(table, project, "--trials", "4", "--json")) == 0
    return project


def test_the_tuners_of_keras_tuner_take_an_application(tmp_path):
    config = SentimentConfig(**TINY)
    hypermodel = HyperApplication(config, ranges=RANGES, train=(TEXTS, LABELS))
    tuner = keras_tuner.Hyperband(
        hypermodel, objective="val_accuracy", max_epochs=2, factor=2, seed=3, directory=tmp_path,
        project_name="hyperband",
    )  # fmt: skip
    tuner.search(verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert {trial.status for trial in trials} == {"COMPLETED"}
    assert {trial.hyperparameters.values["tuner/epochs"] for trial in trials} == {1, 2}
    best = tuner.get_best_models()[0]
    assert isinstance(best, Candidate)
    values = tuner.get_best_hyperparameters()[0].values
    assert best.app.config.units == values["units"]
    answer = best(tf.constant(["the plot was dull"]))["label"].numpy()[0].decode()
    assert answer == best.app.predict(["the plot was dull"])[0]["label"]
    score = tuner.oracle.get_best_trials()[0].score
    assert score == pytest.approx(best.app.metrics["validation"]["accuracy"])


def test_a_search_reports_its_trials_and_its_best_configuration(searched, capsys, table):
    found = read_search(searched)
    assert len(found["trials"]) == 4
    assert found["trials"][0]["score"] == max(trial["score"] for trial in found["trials"])
    first = next(trial for trial in found["trials"] if trial["trial"] == "0")
    assert first["values"]["units"] == 4  # the configuration as it stands
    best = SentimentConfig(
        **{k: v for k, v in _toml(searched / "best.toml").items() if k != "application"}
    )
    assert best.units == found["trials"][0]["values"]["units"]
    assert str(best.data) == str(table)
    for name in ("scores_by_trial", "scores_by_setting"):
        assert (searched / "figures" / f"{name}.png").stat().st_size > 1000
    logs = list((searched / "logs").rglob("events.out.tfevents*"))
    plugins = {
        value.metadata.plugin_data.plugin_name
        for path in logs
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert "hparams" in plugins
    capsys.readouterr()
    assert cli.main(["tune", "--report", str(searched)]) == 0
    assert f"rnnapps train sentiment --config {searched}/best.toml" in capsys.readouterr().out
    assert cli.main(["tune", "--report", str(searched), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["trials"]) == 4


def _toml(path):
    import tomllib

    return tomllib.loads(path.read_text())


def test_a_search_that_is_killed_goes_on_within_its_trial(table, searched, tmp_path):
    project = tmp_path / "killed"
    words = flags(table, project, "--trials", "4")
    process = start(words)
    wait_for(lambda: list(project.glob("trial_1/.run.partial/*/epoch-00001")), process)
    process.kill()
    process.wait()
    finished = (project / "trial_0/result.json").stat().st_mtime_ns
    again = start(words)
    _, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert outcome(project) == outcome(searched)
    assert (project / "trial_0/result.json").stat().st_mtime_ns == finished


def test_a_failed_trial_says_why_and_the_search_goes_on(table, tmp_path):
    project = tmp_path / "failing"
    words = flags(table, project, "--trials", "8", "--epochs", "1", "--clip-norm", "0")
    for text in ("cell=gru,attention_lstm", "pooling=max_mean,last", "learning_rate=1e-3,1e30"):
        words += ["--range", text]
    assert cli.main([*words, "--range", "units=4"]) == 0
    trials = read_search(project)["trials"]
    assert {trial["status"] for trial in trials} == {"completed", "failed"}
    reasons = {"impossible": set(), "diverged": set()}
    for trial in trials:
        values = trial["values"]
        impossible = (values["cell"], values["pooling"]) == ("attention_lstm", "last")
        if impossible or values["learning_rate"] > 1:
            reasons["impossible" if impossible else "diverged"].add(trial.get("reason", ""))
    assert all("Expected --pooling attention" in reason for reason in reasons["impossible"])
    assert any("loss became" in reason for reason in reasons["diverged"])
    assert trials[0]["score"] is not None
    assert trials[-1]["score"] is None


def test_a_time_budget_ends_the_search_with_its_best_so_far(table, tmp_path):
    project = tmp_path / "short"
    words = flags(table, project, "--trials", "50", "--epochs", "500", "--patience", "0")
    assert cli.main([*words, "--time-budget", "4s"]) == 0
    found = read_search(project)
    assert 4 <= found["seconds"] < 60
    assert 1 <= len(found["trials"]) < 50
    assert all(trial["status"] == "completed" for trial in found["trials"])
    assert found["trials"][-1]["epochs"] < 500
    assert (project / "best.toml").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--range", "units=3:9"], "range of units (3:5, 3:9)"),
        (["--dropout", "0.5"], "dropout (0.3, 0.5)"),
        (["--tuner", "bayesian"], "tuner (random, bayesian)"),
        (["--objective", "loss"], "objective (val_accuracy, val_loss)"),
        (["--objective", "bleu"], "Expected --objective to be one of accuracy, macro_f1"),
        (["--trials", "0"], "Expected --trials to be at least 1"),
        (["--time-budget", "soon"], "Expected --time-budget to be a time such as 90s"),
        (["--tune", "unts"], "Did you mean units?"),
    ],
)
def test_another_search_or_a_mistake_is_one_sentence(more, sentence, table, searched, capsys):
    before = sorted(path.name for path in searched.iterdir())
    capsys.readouterr()
    assert cli.main(flags(table, searched, "--trials", "4", *more)) == 2
    out, err = capsys.readouterr()
    assert sentence in err
    assert err.count("\n") == 1
    assert out == ""
    assert sorted(path.name for path in searched.iterdir()) == before


def test_a_folder_with_something_else_is_left_alone(table, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("all of it")
    assert cli.main(flags(table, tmp_path)) == 2
    assert "exists and holds no search" in capsys.readouterr().err
    assert cli.main(["tune", "--report", str(tmp_path)]) == 2
    assert "holds no search" in capsys.readouterr().err


def test_two_chiefs_on_one_port_and_a_worker_without_a_chief():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        oracle = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigError, match="Expected --oracle to be free for a chief"):
            check_address(TuneOptions(role="chief", oracle=oracle))
        check_address(TuneOptions(role="worker", oracle=oracle))
    began = time.monotonic()
    with pytest.raises(ConfigError, match="No chief answers at --oracle"):
        check_address(TuneOptions(role="worker", oracle=oracle))
    assert time.monotonic() - began < 30


def children(parent):
    """The processes that a process has started, by the name of their part in the search."""
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_text().split("\0")
            status = (folder / "status").read_text()
        except OSError:  # it has ended meanwhile
            continue
        if f"\nPPid:\t{parent}\n" in status and "--worker-id" in words:
            found[words[words.index("--worker-id") + 1]] = int(folder.name)
    return found


@pytest.mark.skipif(not pathlib.Path("/proc/self/cmdline").exists(), reason="there is no /proc")
def test_chief_and_workers_survive_being_killed(table, searched, tmp_path):
    project = tmp_path / "distributed"
    process = start(flags(table, project, "--trials", "4", "--workers", "2"))
    wait_for(lambda: list(project.glob("trial_*/.run.partial/*/epoch-00001")), process)
    family = children(process.pid)
    assert set(family) == {"chief", "worker-0", "worker-1"}
    worker = family["worker-0"]
    os.kill(worker, signal.SIGKILL)
    wait_for(
        lambda: children(process.pid).get("worker-0", family["worker-0"]) != family["worker-0"]
    )
    os.kill(family["chief"], signal.SIGKILL)
    _, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    rows, expected = outcome(project), outcome(searched)
    assert [row[:2] for row in rows] == [row[:2] for row in expected]
    for mine, other in zip(rows, expected, strict=True):
        assert mine[2] == pytest.approx(other[2], abs=1e-6)
        assert mine[3] == other[3]
