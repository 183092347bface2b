import json
import shutil
import tomllib

import keras_tuner
import pandas as pd
import pytest
import tensorflow as tf
from searching import LABELS, RANGES, TEXTS, TINY, flags, outcome, start, wait_for

from rnnapps import SentimentClassifier, SentimentConfig, cli
from rnnapps.data import large
from rnnapps.tuning import Candidate, HyperApplication
from rnnapps.tuning.hypermodel import measures
from rnnapps.tuning.options import TuneOptions
from rnnapps.tuning.project import one_search
from rnnapps.tuning.report import read_search
from rnnapps.tuning.search import make_objective, manifest_of


@pytest.mark.system
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


@pytest.mark.parametrize(("patience", "loss"), [(3, 0.5), (0, 0.75)])
def test_a_trial_is_measured_at_the_epoch_whose_weights_it_keeps(patience, loss):
    app = SentimentClassifier(patience=patience)
    app.history = [{"val_loss": 0.5}, {"val_loss": 0.75}]
    assert measures(app) == {"val_loss": loss}


@pytest.mark.system
def test_hyperband_promotes_trials_to_more_epochs(table, tmp_path):
    project = tmp_path / "hyperband"
    assert cli.main(flags(table, project, "--tuner", "hyperband", "--max-epochs", "3")) == 0
    trials = read_search(project)["trials"]
    assert sorted(trial["epochs"] for trial in trials) == [1, 1, 1, 3, 3, 3]
    states = [json.loads(path.read_text()) for path in project.glob("trial_*/trial.json")]
    values = {state["trial_id"]: state["hyperparameters"]["values"] for state in states}
    (promoted,) = [found for found in values.values() if "tuner/trial_id" in found]
    origin = values[promoted["tuner/trial_id"]]
    assert {name: promoted[name] for name in RANGES} == {name: origin[name] for name in RANGES}
    assert _toml(project / "best.toml")["epochs"] == trials[0]["epochs"]


@pytest.mark.system
def test_a_bayesian_search_runs_past_its_random_beginning(table, tmp_path):
    project = tmp_path / "bayesian"
    more = ("--tuner", "bayesian", "--trials", "7", "--epochs", "1", "--range", "units=2:9")
    assert cli.main(flags(table, project, *more)) == 0
    trials = read_search(project)["trials"]
    assert [trial["status"] for trial in trials] == ["completed"] * 7
    assert len({str(trial["values"]) for trial in trials}) == 7


def test_a_search_that_has_ended_goes_on_to_the_same_report(table, searched, capsys):
    capsys.readouterr()
    assert cli.main(flags(table, searched, "--trials", "4", "--json")) == 0
    assert json.loads(capsys.readouterr().out) == read_search(searched)


def test_a_search_does_not_go_on_with_other_data_in_the_same_file(tmp_path, capsys):
    data, project = tmp_path / "reviews.csv", tmp_path / "search"
    pd.DataFrame({"text": TEXTS, "label": LABELS}).to_csv(data, index=False)
    hypermodel = HyperApplication(SentimentConfig(data=str(data), **TINY), ranges=RANGES)
    objective = make_objective("sentiment", None)
    manifest = manifest_of("sentiment", hypermodel, TuneOptions.tuner, objective, TINY["epochs"])
    with one_search(project, manifest):
        pass  # which is killed here
    pd.DataFrame({"text": TEXTS[::-1], "label": LABELS}).to_csv(data, index=False)
    assert cli.main(flags(data, project, "--trials", "1")) == 2
    assert "is another one (there, here): learned from (" in capsys.readouterr().err


def test_a_search_keeps_what_it_makes_of_large_data(table, searched, tmp_path, monkeypatch):
    monkeypatch.setattr(large, "_LARGE", 0)
    project, cache = tmp_path / "large", tmp_path / "cache"
    assert cli.main(flags(table, project, "--trials", "1", "--cache-dir", cache)) == 0
    assert [*cache.glob("*/texts")] and [*cache.glob("*/ids")]
    assert outcome(project) == outcome(searched)[:1]


def test_a_trial_that_was_killed_before_it_was_measured_is_not_trained_again(
    table, searched, tmp_path
):
    project = tmp_path / "measured"
    shutil.copytree(searched, project)
    (project / "trial_3/result.json").unlink()
    state = json.loads((project / "oracle.json").read_text())
    state["end_order"].remove("3")
    state["ongoing_trials"] = {"tuner0": "3"}
    (project / "oracle.json").write_text(json.dumps(state))
    trained = (project / "trial_3/run/model.keras").stat().st_mtime_ns
    assert cli.main(flags(table, project, "--trials", "4")) == 0
    assert outcome(project) == outcome(searched)
    assert (project / "trial_3/run/model.keras").stat().st_mtime_ns == trained


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
    for words in (("--report", str(searched), "--json"), ("--json", f"--report={searched}")):
        assert cli.main(["tune", *words]) == 0
        assert len(json.loads(capsys.readouterr().out)["trials"]) == 4


def _toml(path):
    return tomllib.loads(path.read_text())


@pytest.mark.system
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


@pytest.mark.system
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
    assert all("pooling=attention" in reason for reason in reasons["impossible"])
    assert any("loss became" in reason for reason in reasons["diverged"])
    assert trials[0]["score"] is not None
    assert trials[-1]["score"] is None
    assert any(trial["seconds"] for trial in trials if trial["status"] == "failed")


@pytest.mark.system
def test_a_trial_that_runs_out_of_memory_says_so(table, tmp_path):
    project = tmp_path / "large"
    words = flags(table, project, "--trials", "2", "--epochs", "1")
    for text in ("units=4", "learning_rate=1e-3", f"embedding_dim=4,{10**14}"):
        words += ["--range", text]
    assert cli.main(words) == 0
    first, second = read_search(project)["trials"]
    assert first["status"] == "completed"
    assert second["reason"].startswith("Out of memory: ")


@pytest.mark.system
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


def test_a_search_that_cannot_train_at_all_says_so_once_and_leaves_nothing(table, tmp_path, capsys):
    project = tmp_path / "search"
    classes = tmp_path / "classes.csv"
    labels = [("bad", "good", "fair")[i % 3] for i in range(len(TEXTS))]
    pd.DataFrame({"text": TEXTS, "label": labels}).to_csv(classes, index=False)
    for data, more, sentence in (
        (tmp_path / "nowhere.csv", [], "nowhere.csv"),
        (table, ["--text-column", "words"], "words"),
        (
            classes,
            ["--epochs", "1", "--objective", "roc_auc"],
            "one of accuracy, macro_f1, log_loss, loss, which can be measured on this data. "
            "Received: 'roc_auc'.",
        ),
    ):
        capsys.readouterr()
        assert cli.main(flags(data, project, "--trials", "3", *more)) == 2
        out, err = capsys.readouterr()
        *read, mistake = err.splitlines()  # what was read is said before
        assert sentence in mistake
        assert not [line for line in read if "Expected" in line]
        assert out == ""
        assert not project.exists()
