import json
import os
import re
import shutil
import subprocess
import sys
from typing import ClassVar

import pandas as pd
import pytest
from eager import eagerly

from rnnapps import cli
from rnnapps.apps import APPLICATIONS, config_class
from rnnapps.apps.interrupted import write_settings
from rnnapps.apps.run import read_run
from rnnapps.apps.sentiment.config import SentimentConfig
from rnnapps.apps.starting import agreed
from rnnapps.cli import flags
from rnnapps.config import TrainingConfig
from rnnapps.data import large, make_reviews

PROGRAM = [sys.executable, "-m", "rnnapps.cli"]
PLAIN = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}  # a user's


def ask(capsys, *arguments, status=0):
    """Runs a command in this process; returns its standard output and standard error."""
    capsys.readouterr()
    assert cli.main([str(a) for a in arguments]) == status
    return capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("--help", 0),
        ("help train", 0),
        ("train sentiment --help", 0),
        ("--version", 0),
        ("train sentiment --data nowhere.csv", 2),
        ("train sentiment --config nowhere.toml", 2),
        ("export nowhere there", 2),
        ("evaluate nowhere", 2),
    ],
)
def test_help_and_a_missing_file_need_no_tensorflow(arguments, status):
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "rnnapps.cli", *arguments.split()],
        capture_output=True, text=True,
    )  # fmt: skip
    imported = {line.rsplit("|", 1)[-1].strip() for line in run.stderr.splitlines()}
    assert not imported & {"tensorflow", "keras", "pandas", "sklearn", "numpy"}
    assert "pydantic" not in imported or arguments != "--help"
    assert run.returncode == status
    assert bool(run.stdout) == (status == 0)


@pytest.mark.parametrize("application", APPLICATIONS)
def test_help_has_its_groups_in_order_and_says_nothing_empty(application, capsys):
    for command, last in (("train", "run"), ("tune", "search")):
        with pytest.raises(SystemExit):
            cli.main(["help", command, application])
        text = capsys.readouterr().out
        titles = re.findall(r"(?<!\[)\b([a-z]+) options\b(?! [a-z])", text)
        own = ("options", "decoding", "tables", "pretraining")  # groups that not all have
        assert [name for name in titles if name not in own] == ["data", "model", "training", last]
        assert "{None}" not in text
        assert "(default: )" not in text
        assert set(re.findall(r"--([a-z-]+)", text)) > {
            name.replace("_", "-") for name in config_class(application).model_fields
        }


def test_help_of_train_and_tune_lists_applications_and_what_is_set_most_often(capsys):
    for command in ("train", "tune"):
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        text = capsys.readouterr().out
        assert all(f"  {name} " in text for name in APPLICATIONS)
        assert len(re.findall(r"^  --", text, re.M)) == 10


def test_a_flag_of_an_earlier_version_is_taken_with_a_note(capsys):
    class Newer(TrainingConfig):
        """Settings with a field that had another name."""

        renamed: ClassVar = {"rounds": "epochs"}

    group = {"settings": flags.Group(Newer)}
    for words in (["--rounds", "7"], ["--rounds=7"], ["--epochs", "7"]):
        assert flags.read("x", "x", group, words)["epochs"] == 7
    assert capsys.readouterr().err == "rnnapps: --rounds is now --epochs.\n" * 2


def test_every_setting_is_a_flag(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "sentiment", "--help"])
    text = capsys.readouterr().out
    flags = "data data-dir run-dir cell units epochs batch-size learning-rate seed config json jit"
    assert not [flag for flag in flags.split() if f"--{flag}" not in text]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("train sentiment --unts 3", "Did you mean --units?"),
        ("train sentiment --units 0", "Expected --units to be greater than or equal to 1."),
        ("train sentiment --cell ltsm", "Expected --cell to be 'simple_rnn', 'lstm',"),
        ("train sentiment --epochs many", "--epochs"),
        ("train sentimant", "Did you mean sentiment?"),
        ("train", "Expected an application"),
        ("tarin sentiment", "Did you mean train?"),
        ("train sentiment --config nowhere.toml", "Cannot read the configuration nowhere.toml"),
        ("train sentiment --data nowhere.csv", "No such file or folder: nowhere.csv (--data)."),
        ("train sentiment --data=", "Expected a path or a name (--data). Received: ''."),
        ("train sentiment --vectors=", "Expected --vectors to be a path. Received: ''."),
        ("train chargen --init-from=", "--init-from to be a run of chargen. Received: ''."),
        ("train chargen --run-dir=", "Expected --run-dir to be a path. Received: ''."),
        ("train sentiment --unlabelled gone", "No such file or folder: gone (--unlabelled)."),
        ("train tagging --vectors gone.vec", "No such file or folder: gone.vec (--vectors)."),
        ("train chargen --init-from gone", "No such file or folder: gone (--init-from)."),
        ("train sentiment --init-from .", "--init-from to be a run of sentiment. Received: . does"),
        (
            "train translation --data . --target-data gone.en",
            "No such file or folder: gone.en (--target-data).",
        ),
        ("train sentiment --data imbd_reviews", "--data to be sample, imdb_reviews, or the path"),
        ("train sentiment --strategy gpu", "Expected a GPU"),
        ("evaluate nowhere", "nowhere does not exist"),
        ("predict nowhere hello", "nowhere does not exist"),
        ("export nowhere there", "nowhere does not exist"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    arguments, sentence, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    out, err = ask(capsys, *arguments.split(), status=2)
    assert sentence in err
    assert err.count("\n") == 1
    assert out == ""
    assert [p for p in tmp_path.rglob("*") if p.name != "runs"] == []


@pytest.mark.system
def test_evaluate_keeps_what_it_makes_of_large_data(capsys, sample_run, tmp_path, monkeypatch):
    texts, labels = make_reviews(40, 7)
    pd.DataFrame({"text": texts, "label": labels}).to_csv(tmp_path / "more.csv", index=False)
    words = ("evaluate", sample_run, "--data", tmp_path / "more.csv", "--json")
    expected, _ = ask(capsys, *words)
    monkeypatch.setattr(large, "_LARGE", 0)
    made = []
    for _ in range(2):
        found, _ = ask(capsys, *words, "--cache-dir", tmp_path / "cache")
        assert json.loads(found) == json.loads(expected)
        made.append({p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*")})
    assert made[0] == made[1]
    assert [path.read_text() for path in made[0] if path.name == "texts"] == ["".join(texts)]


@pytest.mark.system
def test_no_network_and_no_prepared_data_names_the_flag(tmp_path):
    alone = ["unshare", "--map-root-user", "--net"]  # a process without any network
    if not shutil.which("unshare") or subprocess.run([*alone, "true"]).returncode:
        pytest.skip("this system cannot take a process off the network")
    run = subprocess.run(
        [*alone, *PROGRAM, "train", "sentiment", "--data", "imdb_reviews",
         "--data-dir", tmp_path / "data", "--run-dir", tmp_path / "run"],
        capture_output=True, text=True, env=PLAIN,
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "name the folder that holds it with --data-dir" in run.stderr
    assert list(tmp_path.iterdir()) == []


@eagerly()
def test_flags_override_the_file_and_the_run_keeps_both(capsys, tmp_path):
    reviews = tmp_path / "reviews.csv"
    reviews.write_text("text,label\n" + "".join(f"fine {i},1\nbad {i},0\n" for i in range(40)))
    settings = tmp_path / "run.toml"
    settings.write_text(f'data = "{reviews}"\nunits = 4\nembedding_dim = 4\nepochs = 3\n')
    out, _ = ask(capsys, "train", "sentiment", "--config", settings, "--epochs", 1,
                 "--run-dir", tmp_path / "run", "--json")  # fmt: skip
    assert json.loads(out)["validation"]["confusion"]
    kept = read_run(tmp_path / "run")
    assert (kept["units"], kept["epochs"]) == (4, 1)

    _, err = ask(capsys, "train", "sentiment", "--config", settings, "--run-dir", tmp_path / "run",
                 status=2)  # fmt: skip
    assert "already holds a finished run" in err
    (tmp_path / "run" / "config.toml").write_text('application = "forecasting"\n')
    _, err = ask(capsys, "train", "sentiment", "--config", settings, "--overwrite",
                 "--run-dir", tmp_path / "run", status=2)  # fmt: skip
    assert "holds a run of forecasting" in err


def test_an_overwriting_that_was_interrupted_is_gone_on_with(capsys, tmp_path):
    for folder, units in (("run", 4), (".run.partial", 5)):
        (tmp_path / folder).mkdir()
        config = SentimentConfig(units=units)
        write_settings(tmp_path / folder / "config.toml", "sentiment", config)
    words = ("train", "sentiment", "--run-dir", tmp_path / "run", "--units", 6)
    _, err = ask(capsys, *words, status=2)
    assert "other settings (there, here): units (5, 6)" in err


def test_a_run_from_another_that_was_interrupted_is_gone_on_with(
    capsys, sample_run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    state = tmp_path / "runs" / ".sentiment.partial"
    state.mkdir(parents=True)
    config = agreed(SentimentConfig(init_from=str(sample_run), epochs=1), "sentiment")
    write_settings(state / "config.toml", "sentiment", config)
    (state / "data").write_text("others")
    words = ("train", "sentiment", "--init-from", sample_run, "--epochs", 1)
    _, err = ask(capsys, *words, status=2)
    assert "learned from other data (others)" in err


def test_json_and_another_format_contradict_each_other(capsys, tmp_path):
    (tmp_path / "run").mkdir()
    write_settings(tmp_path / "run" / "config.toml", "sentiment", SentimentConfig())
    (tmp_path / "texts.txt").write_text("fine\n")
    words = ("predict", tmp_path / "run", tmp_path / "texts.txt", "--json", "--format", "csv")
    _, err = ask(capsys, *words, status=2)
    assert "Expected --json or --format. Received: both, and csv is no JSON." in err


def test_the_verbs_on_a_run(capsys, sample_run, tmp_path):
    out, _ = ask(capsys, "evaluate", sample_run, "--json")
    found = json.loads(out)
    assert found["accuracy"] >= 0.97
    assert found["baselines"]["NB-SVM (logistic)"]["accuracy"] < 0.9
    assert json.loads((sample_run / "metrics.json").read_text())["test"] == found
    for name in ("learning_curves", "confusion_matrix", "reliability_diagram"):
        assert (sample_run / "figures" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"

    out, _ = ask(capsys, "predict", sample_run, "the plot was not clumsy .", "--json")
    assert json.loads(out)["label"] == "positive"
    _, err = ask(capsys, "predict", sample_run, "--explain", "the plot was dull", status=2)
    assert "train one with --pooling=attention or --cell=attention_lstm" in err

    out, _ = ask(capsys, "export", sample_run, tmp_path / "saved")
    assert out.strip() == str(tmp_path / "saved" / "1")


@pytest.mark.system
def test_lines_of_standard_input_are_answered_one_by_one(sample_run):
    run = subprocess.run(
        [*PROGRAM, "predict", sample_run],
        input=b"the plot was dull\n\nthe cast was superb\nno \xff UTF-8\n", capture_output=True,
        env=PLAIN,
    )  # fmt: skip
    assert re.fullmatch(rb"rnnapps: never seen in training, [^\n]+\n", run.stderr)
    rows = [line.split("\t") for line in run.stdout.decode().splitlines()]
    assert [row[0].strip() for row in rows][:3:2] == ["negative", "positive"]
    assert [row[-1] for row in rows] == [
        "the plot was dull",
        "",
        "the cast was superb",
        "no � UTF-8",
    ]


@eagerly()
def test_an_explanation_has_a_weight_behind_each_word(capsys, tmp_path):
    reviews = tmp_path / "reviews.csv"
    reviews.write_text("text,label\n" + "".join(f"fine {i},1\nbad {i},0\n" for i in range(40)))
    ask(capsys, "train", "sentiment", "--data", reviews, "--units", 4, "--embedding-dim", 4,
        "--epochs", 1, "--pooling", "attention", "--run-dir", tmp_path / "run")  # fmt: skip
    out, _ = ask(capsys, "predict", tmp_path / "run", "--explain", "A fine film")
    words = out.rstrip().split("\t")[-1].split(" ")
    assert [word.partition("(")[0] for word in words] == ["a", "fine", "film"]
    weights = [float(word.partition("(")[2].rstrip(")")) for word in words]
    assert sum(weights) == pytest.approx(1, abs=0.01)


def test_the_doctor_names_versions_and_devices(capsys):
    findings = json.loads(ask(capsys, "doctor", "--json").out)
    assert {"tensorflow", "keras", "CPU", "GPU", "XLA", "CUDA and cuDNN"} <= set(findings)
    assert findings["XLA"] == "compiles"
