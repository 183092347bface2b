import csv
import json
import re
import shutil
import statistics

import pytest
from searching import LABELS, TEXTS, start, wait_for

import rnnapps
from rnnapps import cli
from rnnapps.errors import ConfigError, RunError
from rnnapps.tuning import contenders
from rnnapps.tuning.report import report

pytestmark = pytest.mark.system

TINY = ["--epochs", "1", "--units", "4", "--embedding-dim", "4", "--ngrams", "0"]


def words(table, project, *more, cells="gru,simple_rnn"):
    found = ["compare", "sentiment", "--data", table, "--project-dir", project, *TINY]
    return [str(word) for word in (*found, "--range", f"cell={cells}", "--seeds", "2", *more)]


@pytest.fixture(scope="module")
def compared(table, tmp_path_factory):
    from eager import eagerly

    project = tmp_path_factory.mktemp("compare") / "whole"
    with eagerly():
        assert cli.main(words(table, project)) == 0
    return project


def rows_of(project):
    with open(project / "compare.csv") as file:
        return list(csv.DictReader(file))


def test_a_row_is_the_mean_of_the_runs_of_all_seeds(compared):
    runs = [rnnapps.load(path.parent) for path in compared.glob("trial_*/run/config.toml")]
    assert sorted((app.config.cell, app.config.seed) for app in runs) == [
        ("gru", 0), ("gru", 1), ("simple_rnn", 0), ("simple_rnn", 1),
    ]  # fmt: skip
    rows = rows_of(compared)
    for row in rows:
        mine = [app for app in runs if app.config.cell == row["cell"]]
        scores = [app.metrics["validation"]["accuracy"] for app in mine]
        assert float(row["accuracy"]) == pytest.approx(statistics.mean(scores))
        assert float(row["deviation"]) == pytest.approx(statistics.stdev(scores))
        counts = [sum(w.shape.num_elements() for w in app.network.weights) for app in mine]
        assert float(row["parameters"]) == statistics.mean(counts)
        assert float(row["latency_ms"]) > 0 and float(row["rows_a_second"]) > 0
    assert float(rows[0]["accuracy"]) >= float(rows[1]["accuracy"])
    assert (compared / "compare.md").read_text().count("\n") == 4
    assert (compared / "figures/quality_by_time.png").stat().st_size > 5000


def test_the_same_call_in_python_goes_on_to_the_same_table(table, compared):
    before = {path: path.stat().st_mtime_ns for path in compared.glob("trial_*/run/model.keras")}
    found = rnnapps.compare(
        "sentiment", {"cell": "gru,simple_rnn"}, seeds=2, project_dir=compared, data=str(table),
        epochs=1, units=4, embedding_dim=4, ngrams=0,
    )  # fmt: skip
    assert list(found.cell) == [row["cell"] for row in rows_of(compared)]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_other_ranges_are_another_comparison(table, compared, capsys):
    assert cli.main(words(table, compared, cells="gru,lstm")) == 2
    assert "range of cell (gru,simple_rnn, gru,lstm)" in capsys.readouterr().err


def test_a_comparison_that_was_killed_goes_on(table, compared, tmp_path):
    project = tmp_path / "killed"
    process = start(words(table, project, "--seeds", "1"))
    wait_for(lambda: (project / "trial_1").exists(), process)
    process.kill()
    process.communicate()
    trained = (project / "trial_0/run/model.keras").stat().st_mtime_ns
    assert cli.main(words(table, project, "--seeds", "1")) == 0
    assert (project / "trial_0/run/model.keras").stat().st_mtime_ns == trained
    for name in ("trial_0", "trial_1"):  # the first seed's, there as here
        found, expected = (
            json.loads((folder / name / "result.json").read_text())["measures"]
            for folder in (project, compared)
        )
        assert found["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-4)


def test_what_was_trained_is_measured_again_where_a_kill_left_no_cost(table, compared, tmp_path):
    project = tmp_path / "costless"
    shutil.copytree(compared, project)
    (project / "trial_2/cost.json").unlink()
    assert cli.main(words(table, project)) == 0
    assert json.loads((project / "trial_2/cost.json").read_text())["parameters"] > 0


def test_other_data_is_another_comparison(tmp_path):
    def compare(texts):
        return rnnapps.compare(
            "sentiment", {"units": "2"}, seeds=1, epochs=1, ngrams=0, embedding_dim=2,
            project_dir=tmp_path / "c", train=(texts, LABELS),
        )  # fmt: skip

    assert len(compare(TEXTS)) == len(compare(TEXTS)) == 1
    with pytest.raises(RunError, match=r"another one \(there, here\): learned from \(.*sha256"):
        compare([f"{text} indeed" for text in TEXTS])


def test_all_train_for_the_same_time(tmp_path):
    found = rnnapps.compare(
        "sentiment", {"cell": "gru,simple_rnn"}, seeds=1, time_per_run="2s", ngrams=0,
        project_dir=tmp_path / "c", train=(TEXTS, LABELS), units=4, embedding_dim=4,
    )  # fmt: skip
    assert (found.seconds >= 2).all() and (found.epochs < 1000).all()


def write(path, found):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))


def test_at_80_columns_nothing_of_trials_of_several_networks_is_cut(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    manifest = {"application": "tagging", "objective": "val_f1", "direction": "max"}
    write(tmp_path / "search.json", manifest)
    cells = ("gru", "lstm", "simple_rnn", "peephole_lstm", "layer_norm_lstm", "attention_lstm")
    write(tmp_path / "oracle.json", {"start_order": list(map(str, range(len(cells))))})
    for number, cell in enumerate(cells):
        values = {"seed": 0, "cell": cell, "units": 128, "dropout": 0.25, "learning_rate": 1.25e-3}
        trial = {"trial_id": str(number), "status": "COMPLETED", "score": 0.8765 - number / 1e4}
        folder = tmp_path / f"trial_{number}"
        write(folder / "trial.json", {**trial, "hyperparameters": {"values": values}})
        write(folder / "cost.json", {"parameters": 123456, "latency_ms": 1.25, "export_mb": 30.5})
        write(folder / "result.json", {"epochs": 2, "seconds": 63.5, "rows_a_second": 98765.4})
        write(folder / "run/run.json", {"epoch_seconds": [1.0, 2.0, 1.0]})  # of two networks
        (folder / "run/history.csv").write_text("epoch,val_loss,val_f1\n1,2.5,0.25\n2,1.5,0.5\n")
        (folder / "run/config.toml").write_text(f'cell = "{cell}"\n')
    contenders.show(contenders.report(tmp_path), tmp_path, False)
    compared = capsys.readouterr().out
    report(tmp_path, False)
    for out in (compared, capsys.readouterr().out):
        assert "…" not in out
        words = re.split(r"[\s=]+", out)
        assert {*cells, "0.8765", "0.8761", "0.25", "128"} <= set(words)
    assert compared.count("123456") == compared.count("98,765") == len(cells)


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        ({"units": "4:8"}, "Expected range= units= to list values"),
        ({"cell": "gru,grue"}, "range= cell=gru,grue breaks a bound"),
        ({"depth": "1,2"}, "'depth' does not exist"),
        ({}, "Expected range= with what to compare"),
    ],
)
def test_what_cannot_be_compared_is_said(ranges, said, tmp_path):
    with pytest.raises((ConfigError, RunError)) as caught:
        rnnapps.compare("sentiment", ranges, project_dir=tmp_path / "none")
    assert said in str(caught.value)
    assert not (tmp_path / "none").exists()
