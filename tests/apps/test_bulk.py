"""Answers for tables: with a run and with its export, by the command and by the function."""

import csv
import json
import pathlib
import tarfile

import pytest

from rnnapps import cli, load

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
        assert "has a column label; the answer's is predicted_label" in err
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sentiment/run three.csv", "No such file: three.csv; with --text, the word itself"),
        ("sentiment/run hello --output x.csv", "Expected a file of texts with --output."),
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
    assert "No such file or folder: nothing.csv." in capsys.readouterr().err


def test_unknown_words_are_noted_once(home, capsys, monkeypatch):
    monkeypatch.chdir(home)
    (home / "new.txt").write_text("zyzzyva film\n" + "A fine film.\n" * 300 + "qwertz film\n")
    assert cli.main(["predict", "sentiment/run", "new.txt", "--format", "csv"]) == 0
    err = capsys.readouterr().err
    assert err.count("never seen in training, and read as unknown: ") == 1
    assert "'zyzzyva'" in err
