"""Answers for tables: with a run and with its export, by the command and by the function."""

import csv
import json
import pathlib
import socket
import sys
import tarfile
import warnings

import pandas as pd
import pytest

from rnnapps import cli, load
from rnnapps.apps.bulk.answering import Model
from rnnapps.apps.bulk.job import answer_files
from rnnapps.apps.bulk.processes import in_this_process
from rnnapps.apps.bulk.question import Question
from rnnapps.errors import DataError, RunError
from rnnapps.files import locked

GOLDEN = pathlib.Path(__file__).parent / "golden" / "0.1.0" / "sentiment.tar.xz"
TEXTS = ["A fine film.", "dull, and\nlong", "", "A fine film.", "the cast was not superb"] * 70


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a run, its export, and a table of more rows than the first chunk has."""
    folder = tmp_path_factory.mktemp("bulk")
    with tarfile.open(GOLDEN) as archive:
        archive.extractall(folder, filter="data")
    with (folder / "reviews.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "text", "label"])
        table.writerows((f"{i:04}", text, "?") for i, text in enumerate(TEXTS))
    return folder


def test_a_run_and_its_export_answer_for_the_rows_of_a_table_alike(home, capsys):
    found = {}
    for kind in ("run", "export"):
        words = [home / "sentiment" / kind, home / "reviews.csv", "--output", home / f"{kind}.csv"]
        assert cli.main(["predict", *map(str, words)]) == 0
        out, err = capsys.readouterr()
        assert out == ""
        assert "has a column label; the prediction is in predicted_label" in err
        with (home / f"{kind}.csv").open(newline="") as file:
            found[kind] = list(csv.DictReader(file))
    rows = found["run"]
    assert [(row["id"], row["text"], row["label"]) for row in rows] == [
        (f"{i:04}", text, "?") for i, text in enumerate(TEXTS)
    ]
    answers = load(home / "sentiment" / "run").predict(TEXTS[:5])
    assert [row["predicted_label"] for row in rows[:5]] == [one["label"] for one in answers]
    for row, other in zip(rows, found["export"], strict=True):
        assert row["predicted_label"] == other["predicted_label"]
        assert float(row["probability"]) == pytest.approx(float(other["probability"]), abs=1e-5)


def test_a_word_is_a_file_unless_it_is_said_to_be_a_text(home, capsys, monkeypatch):
    monkeypatch.chdir(home)
    (home / "two.txt").write_text("A fine film.\ndull\n")
    assert cli.main(["predict", "sentiment/run", "two.txt", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == ["A fine film.", "dull"]
    assert cli.main(["predict", "sentiment/run", "two.txt", "--text"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("\ttwo.txt")


@pytest.mark.parametrize("output", ["answers.csv", "answers/"])
def test_a_model_that_cannot_answer_leaves_nothing(output, capsys, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.toml").write_text('application = "sentiment"\n')
    (tmp_path / "run" / "model.keras").touch()
    (tmp_path / "texts.txt").write_text("fine\n")
    words = ("predict", tmp_path / "run", tmp_path / "texts.txt", "--output")
    assert cli.main([*map(str, words), f"{tmp_path}/{output}"]) == 2
    assert "metrics.json" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"run", "texts.txt"}


def test_a_folder_beside_an_export_s_versions_is_none(capsys, tmp_path):
    (tmp_path / "1-old").mkdir()
    (tmp_path / "1-old" / "saved_model.pb").touch()
    assert cli.main(["predict", str(tmp_path), "hello"]) == 2
    assert "does not hold a run" in capsys.readouterr().err


def export_of(home):
    (version,) = (home / "sentiment" / "export").iterdir()
    return version


def ask(source, output, form=None, folder=False, engine=in_this_process, **settings):
    model = Model(settings.pop("model"))
    sources = source if isinstance(source, list) else [source]
    question = Question(model, sources, form=form, **{"part_rows": 100, **settings})
    with warnings.catch_warnings(action="ignore"):
        return answer_files(question, output, folder, engine)


def test_files_are_answered_in_their_order_into_one_or_into_parts(home, tmp_path):
    export = export_of(home)
    for number, texts in enumerate((TEXTS[:130], TEXTS[130:], ["the last"])):
        frame = pd.DataFrame({"id": range(len(texts)), "text": texts, "label": "?"})
        frame.to_csv(tmp_path / f"in-{number}.csv", index=False)
    sources = [tmp_path / f"in-{number}.csv" for number in range(3)]
    assert ask(sources, tmp_path / "one.csv", model=export) == 351
    assert ask(sources, tmp_path / "parts", folder=True, model=export) == 351
    one = pd.read_csv(tmp_path / "one.csv", keep_default_na=False)
    assert one["text"].tolist() == [*TEXTS, "the last"]
    parts = sorted((tmp_path / "parts").glob("*.csv"))
    assert [len(pd.read_csv(part)) for part in parts] == [100, 30, 100, 100, 20, 1]
    found = pd.concat([pd.read_csv(part, keep_default_na=False) for part in parts])
    pd.testing.assert_frame_equal(found.reset_index(drop=True), one)
    manifest = json.loads((tmp_path / "parts" / "manifest.json").read_text())
    assert (manifest["rows"], manifest["column"]) == (351, "text")
    (tmp_path / "others.csv").write_text("text,label,id\na,?,1\n")
    with pytest.raises(
        DataError, match=r"Expected all files to have the columns and the format of"
    ):
        answer_files(
            Question(Model(export), [*sources, tmp_path / "others.csv"]),
            tmp_path / "x.csv", False, in_this_process,
        )  # fmt: skip


def test_a_job_goes_on_where_it_was_and_takes_no_others_parts(home, tmp_path):
    export, source = export_of(home), home / "reviews.csv"
    ask(source, tmp_path / "whole.csv", model=export)
    answered = []

    def killed(answering, parts):
        for part in in_this_process(answering, parts):
            answered.append(part.number)
            if part.number == 2 and len(answered) == 3:
                raise KeyboardInterrupt
            yield part

    output, state = tmp_path / "broken.csv", tmp_path / ".broken.csv.partial"
    with pytest.raises(KeyboardInterrupt):
        ask(source, output, engine=killed, model=export)
    assert sorted(path.name for path in state.iterdir()) == [
        "manifest.json", "part-000000.csv", "part-000001.csv",
    ]  # fmt: skip
    assert not output.exists()
    other = Question(Model(export), [source], form="jsonl", part_rows=100)
    with pytest.raises(
        RunError, match=r"begun with other settings \(format: csv there, jsonl here"
    ):
        answer_files(other, output, False, in_this_process)
    with locked(state / ".lock"):
        same = Question(Model(export), [source], part_rows=100)
        with pytest.raises(RunError, match="is being written by another process"):
            answer_files(same, output, False, in_this_process)
    (state / ".part-000002.csv.host-1.draft").write_text("half")  # of a process that was killed
    ask(source, output, engine=killed, model=export)
    assert answered == [0, 1, 2, 2, 3]
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.csv", "whole.csv"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "tsv"])
def test_json_of_odd_rows_loses_nothing(form, home, tmp_path):
    source, output = tmp_path / "in.jsonl", tmp_path / f"out.{form}"
    rows = [
        {"text": "A fine film."}, {"text": None, "n": 1}, {"n": 0.5, "label": "mine"},
        {"text": 12}, {"text": "two\nlines\r", "label": ""},
    ]  # fmt: skip
    if form == "parquet":
        rows[3] = {"text": "12"}
    source.write_text("".join(json.dumps(row) + "\n\n" for row in rows))
    ask(source, output, part_rows=2, model=export_of(home))
    if form == "jsonl":
        found = [json.loads(line) for line in output.read_text().splitlines()]
    elif form == "parquet":
        found = pd.read_parquet(output).astype(object).where(lambda one: one.notna(), None)
        found = found.to_dict("records")
    else:
        with output.open(newline="") as file:
            found = list(csv.DictReader(file, delimiter="\t" if form == "tsv" else ","))
        rows = [{name: "" if v is None else str(v) for name, v in row.items()} for row in rows]
    for row, answer in zip(rows, found, strict=True):
        assert answer.pop("predicted_label") in ("good", "bad")
        assert 0.5 <= float(answer.pop("probability")) <= 1
        if form == "jsonl":
            assert answer == row
        else:
            nothing = None if form == "parquet" else ""
            assert answer == {name: row.get(name, nothing) for name in ("text", "n", "label")}


def test_a_table_without_rows_is_answered_by_one(home, tmp_path):
    (tmp_path / "in.csv").write_text("id,text\n")
    question = Question(Model(export_of(home)), [tmp_path / "in.csv"])
    assert answer_files(question, tmp_path / "out.csv", False, in_this_process) == 0
    assert (tmp_path / "out.csv").read_text() == "id,text\n"


def test_a_cluster_needs_ray(home, capsys, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.setitem(sys.modules, "ray", None)
    words = "predict sentiment/run reviews.csv --output x.csv --ray local"
    assert cli.main(words.split()) == 2
    assert "--ray needs the package ray: pip install 'rnnapps[ray]'." in capsys.readouterr().err


@pytest.mark.parametrize("listens", [False, True])
def test_where_no_cluster_answers_it_is_said(listens, home, capsys, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.chdir(home)
    monkeypatch.setattr("rnnapps.apps.bulk.on_ray._ANSWERS_WITHIN", 1)
    with socket.socket() as other:  # no Ray, and says nothing
        other.bind(("127.0.0.1", 0))
        if listens:
            other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        words = f"predict sentiment/run reviews.csv --output x.csv --ray {address}"
        assert cli.main(words.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"rnnapps: No Ray cluster answers at --ray={address} within 1 s; start")
    assert said.count("\n") == 1
    assert not (home / "x.csv").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sentiment/run three.csv", "No such file: three.csv; with --text, the word itself"),
        ("sentiment/run hello --output x.csv", "Expected a file of texts with --output."),
        ("sentiment/run hello --workers 2", "Expected a file of texts with --workers."),
        ("sentiment/run three*.csv", "No such file: three*.csv; with --text, the word itself"),
        ("sentiment/run reviews.csv hello", "No such file: hello; with --text, all the words"),
        ("sentiment/run reviews.csv rev*.csv", "Expected each file once. Received: reviews.csv"),
        ("sentiment/run reviews.csv --workers 0 --output x.csv", "--workers to be at least 1."),
        ("sentiment/run reviews.csv --workers two", "to be a whole number. Received: 'two'. See"),
        ("sentiment/run reviews.csv --format xml", "to be csv, jsonl, parquet, tsv. Received: 'x"),
        ("sentiment/run reviews.csv --part-rows 0", "Expected --part-rows to be at least 1."),
        ("sentiment/run reviews.csv --workers 2", "Expected --output with --workers."),
        ("sentiment/run reviews.csv --ray local", "Expected --output with --ray."),
        ("sentiment/run reviews.csv --output reviews.csv", "Expected --output to be a file of its"),
        (
            "sentiment/run reviews.csv --output sentiment",
            "sentiment holds something else than answ",
        ),
        (
            "sentiment/run reviews.csv --output sentiment/answers.json/",
            "Expected --output to be a direc",
        ),
        ("sentiment/run reviews.csv --output /dev/null", "Expected --output to be a file or a dir"),
        ("sentiment/run reviews.csv --format parquet", "Expected --output=FILE with --format=parq"),
        ("sentiment/run reviews.csv --explain", "--explain does not go with a file of texts."),
        ("sentiment/run reviews.csv --column texts", "Did you mean text?"),
        ("sentiment/run hello --units 3", "--units is settled when a run is trained, and is "),
    ],
)
def test_a_mistake_is_one_sentence(words, said, home, capsys, monkeypatch):
    monkeypatch.chdir(home)
    before = sorted(home.iterdir())
    assert cli.main(["predict", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert (out, err.count("\n")) == ("", 1)
    assert sorted(home.iterdir()) == before


def test_another_file_is_measured_with_its_name(home, capsys, monkeypatch):
    monkeypatch.chdir(home)
    with (home / "others.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label"])
        table.writerows([("A fine film.", "good"), ("dull", "bad"), ("dull and long", "bad")])
    assert cli.main(["evaluate", "sentiment/run", "--data", "others.csv"]) == 0
    assert capsys.readouterr().out.startswith("sentiment: others.csv\n")
    assert cli.main(["evaluate", "sentiment/run", "--data", "nothing.csv"]) == 2
    assert "No such file or folder: nothing.csv (--data)." in capsys.readouterr().err


def test_unknown_words_are_noted_once(home, capsys, monkeypatch):
    monkeypatch.chdir(home)
    (home / "new.txt").write_text("zyzzyva film\n" + "A fine film.\n" * 300 + "qwertz film\n")
    assert cli.main(["predict", "sentiment/run", "new.txt", "--format", "csv"]) == 0
    err = capsys.readouterr().err
    assert err.count("never seen in training, and read as unknown: ") == 1
    assert "'zyzzyva'" in err
