"""Runs that start from other runs, and runs that go on with new data."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from eager import eagerly

import rnnapps
from rnnapps import CharGenerator, Forecaster, SentimentClassifier, Tagger, Translator
from rnnapps.apps.interrupted import state_of
from rnnapps.apps.run_info import RunInfo
from rnnapps.cli import main
from rnnapps.data import large, make_reviews
from rnnapps.data.learned import Learned, hashes
from rnnapps.errors import ConfigError, DataError, RunError

SMALL = {"epochs": 1, "units": 4, "embedding_dim": 4, "ngrams": 0}


def write_reviews(path, count, first=0):
    texts, labels = make_reviews(count)
    texts = [f"{text} {first + i}" for i, text in enumerate(texts)]
    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False)
    return texts


def write_more(folder):
    write_reviews(folder / "more.csv", 40, 2000)
    return folder / "more.csv"


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """A file of reviews and its run, and a file of others."""
    folder = tmp_path_factory.mktemp("reviews")
    write_reviews(folder / "old.csv", 120)
    write_reviews(folder / "new.csv", 60, 1000)
    with eagerly():
        SentimentClassifier(data=str(folder / "old.csv"), **SMALL).fit(run_dir=folder / "run")
    return folder


@eagerly()
def test_a_run_says_where_it_came_from_and_has_that_ones_settings(reviews):
    source = rnnapps.load(reviews / "run")
    config = {"data": str(reviews / "new.csv"), "epochs": 1, "ngrams": 0}
    app = SentimentClassifier(init_from=str(reviews / "run"), **config).fit(
        run_dir=reviews / "next"
    )
    assert (app.config.units, app.config.tokenizer) == (4, "word")
    checksum = source.info.checksums["model.keras"][:16]
    assert app.info.lineage == [
        f"{reviews / 'run'}: {reviews / 'old.csv'}, {source.info.fingerprint}; model.keras "
        f"{checksum}"
    ]
    assert app.model_card()["lineage"] == app.info.lineage
    assert "started from" in app.info.notes[-1]
    again = rnnapps.load(reviews / "next")
    assert again.evaluate()["accuracy"] >= 0
    assert (RunInfo.read(reviews / "next").checksums).keys() >= {"train_hashes.npz"}


@eagerly()
def test_what_was_learned_from_is_not_measured_on(reviews):
    rows = pd.read_csv(reviews / "old.csv").head(60)
    others = pd.read_csv(reviews / "new.csv")
    pd.concat([rows, others]).to_csv(reviews / "mixed.csv", index=False)
    config = {"data": str(reviews / "mixed.csv"), "init_from": str(reviews / "run"), "seed": 5}
    app = SentimentClassifier(epochs=1, ngrams=0, **config).fit(run_dir=reviews / "mixed")
    seen = Learned.read(reviews / "run").own
    parts = rnnapps.load(reviews / "mixed")._trained_on()
    for part in (parts.validation, parts.test):
        assert len(part)
        assert not np.isin(hashes(part.texts), seen).any()
    assert len(parts.train) + len(parts.validation) + len(parts.test) == 120
    assert any("are moved to the training part" in note for note in app.info.notes)
    learned = Learned.read(reviews / "mixed")
    np.testing.assert_array_equal(learned.before, seen)


def test_mistakes_are_one_sentence_and_leave_nothing(reviews, tmp_path):
    run = str(reviews / "run")
    with pytest.raises(ConfigError, match=r"Expected units= to be 4, as in .* Received: 128"):
        SentimentClassifier(init_from=run, units=128).fit(run_dir=tmp_path / "a")
    with pytest.raises(RunError, match=r"to be a run of chargen. Received: .*, of sentiment"):
        CharGenerator(init_from=run).fit("abc" * 300, run_dir=tmp_path / "a")
    with pytest.raises(RunError, match="does not exist"):
        SentimentClassifier(init_from=str(tmp_path / "none")).fit(run_dir=tmp_path / "a")
    with pytest.raises(DataError, match="has not learned from"):
        app = rnnapps.load(run)
        parts = app._load((["a b", "c d"] * 9, ["x", "y"] * 9), (["a b"], ["x"]))
        app._kept_apart(parts, hashes(["a b"]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["new.csv", "new.csv"], r"file of new data once\. Received: .*new\.csv again"),
        (["new.csv", "--threads", "0"], "Expected --threads to be at least 1"),
        (["held.csv"], r"the run's data does not have\. Received: .*held\.csv, with none"),
        (["new.csv", "copy.csv"], r"does not have\. Received: .*copy\.csv, with none"),
    ],
)
def test_what_no_update_can_learn_from_leaves_the_run(reviews, tmp_path, capsys, words, said):
    parts = rnnapps.load(reviews / "run")._trained_on()
    held = parts.validation + parts.test
    rows = pd.DataFrame({"text": held.texts, "label": held.labels})
    rows.to_csv(tmp_path / "held.csv", index=False)
    copied = pd.read_csv(reviews / "old.csv").sample(frac=1, random_state=0)
    copied.to_csv(tmp_path / "copy.csv", index=False)
    files = {name: tmp_path / name for name in ("held.csv", "copy.csv")}
    files["new.csv"] = reviews / "new.csv"
    given = [str(files.get(word, word)) for word in words]
    to = ["--run-dir", str(tmp_path / "to")]
    with eagerly():
        assert main(["update", str(reviews / "run"), *given, *to]) == 2
    assert re.search(said, capsys.readouterr().err)
    assert {path.name for path in tmp_path.iterdir()} == {"held.csv", "copy.csv"}


def test_new_rows_may_be_few_and_of_one_class_and_none_is_learned_from_twice(
    reviews, tmp_path, capsys
):
    rows, kinds = pd.read_csv(reviews / "old.csv"), ["positive", "negative"]
    learned = rnnapps.load(reviews / "run")._trained_on().train
    other = kinds[learned.labels[0] == "positive"]  # what the old data says otherwise
    more = [{"text": f"a dull day {i}", "label": "negative"} for i in range(3)]
    more.append({"text": learned.texts[0], "label": other})
    pd.concat([rows, pd.DataFrame(more)]).to_csv(tmp_path / "grown.csv", index=False)
    pd.DataFrame(more[:1]).to_csv(tmp_path / "one.csv", index=False)
    words = [str(reviews / "run"), *(str(tmp_path / f"{name}.csv") for name in ("one", "grown"))]
    with eagerly():
        to = ["--run-dir", str(tmp_path / "to"), "--tolerance", "0.99"]
        assert main(["update", *words, *to]) == 0
    assert "121 new rows are in the run's data already" in capsys.readouterr().err
    app = rnnapps.load(tmp_path / "to")
    parts = app._trained_on()
    assert sum(app.info.sizes.values()) == 120 + len(more)
    assert parts.train.texts.count(learned.texts[0]) == 2


GIVEN = {
    Tagger: lambda numbers: ([["Ada", str(n)] for n in numbers], [["O", "O"]] * len(numbers)),
    Translator: lambda numbers: ([f"le {n}" for n in numbers], [f"the {n}" for n in numbers]),
}


@pytest.mark.parametrize("application", GIVEN)
def test_what_is_there_already_is_not_added_and_little_is_enough(application):
    given, app = GIVEN[application], application()
    old = app._load(given(range(40)))
    added = app._added(given(range(30, 43)), old)
    assert sum(added.sizes.values()) == 3
    assert added.notes == ("10 new rows are in the run's data already, and are left out",)
    with pytest.raises(DataError, match="Received: data, with none"):
        app._added(given(range(9, 20)), old)


def test_a_text_is_not_added_to_itself():
    line = "a line of over forty characters, of which this is"
    text = "".join(f"{line} {n}\nno\n" for n in range(30))
    app = CharGenerator()
    old = app._load(text)
    with pytest.raises(DataError, match="Received: data, with none"):
        app._added(text, old)
    more = app._added(text.replace("line", "row"), old)
    assert more.train.startswith("a row of") and not more.notes


def test_an_updated_run_has_both_data_sets_and_answers_as_any(
    reviews, tmp_path, capsys, monkeypatch
):
    run_dir, new = tmp_path / "run", reviews / "new.csv"
    with eagerly(), monkeypatch.context() as patch:
        patch.setattr(large, "_LARGE", new.stat().st_size - 1)  # so that it is kept in files
        status = main(
            ["update", str(reviews / "run"), str(new), "--run-dir", str(run_dir), "--json",
             "--tolerance", "0.99", "--cache-dir", str(tmp_path / "cache")]
        )  # fmt: skip
    found = json.loads(capsys.readouterr().out)
    assert status == 0
    assert found["updated"]
    assert [*tmp_path.glob("cache/*/texts")]
    assert found["objective"] == "accuracy"
    for part in ("validation", "test"):
        assert found[part].keys() == {"old", "new"}
    app, old = rnnapps.load(run_dir), rnnapps.load(reviews / "run")
    assert app.config == old.config
    assert app.info.added == [str(new)]
    parts, before = app._trained_on(), old._trained_on()
    assert parts.test.texts[: len(before.test)] == before.test.texts
    assert len(parts.test) > len(before.test)
    with eagerly():
        assert app.evaluate()["accuracy"] >= 0
        assert app.predict(["a fine film"])[0]["label"] in app.classes
    assert app.export(tmp_path / "model").name == "1"
    assert main(["update", str(run_dir), str(new)]) == 2
    assert "new.csv, which the run has learned from." in capsys.readouterr().err
    assert main(["update", str(reviews / "run"), str(new), "--run-dir", str(run_dir)]) == 2
    assert "already holds a finished run" in capsys.readouterr().err
    with state_of(run_dir), pytest.raises(RunError, match="being trained by another process"):
        app.update(write_more(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"run", "model", "more.csv", "cache"}


@eagerly()
def test_a_run_that_would_get_worse_stays_as_it_is(tmp_path, capsys):
    kinds = {"right": (range(60), 1, 0), "wrong": (range(60, 260), 0, 1)}  # most of it is wrong
    for name, (numbers, fine, dull) in kinds.items():
        rows = (f"fine film {n},{fine}\ndull film {n},{dull}\n" for n in numbers)
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "".join(rows))
    settings = {**SMALL, "epochs": 3, "learning_rate": 0.1, "batch_size": 16}
    app = SentimentClassifier(data=str(tmp_path / "right.csv"), **settings)
    app.fit(run_dir=tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    status = main(["update", str(tmp_path / "run"), str(tmp_path / "wrong.csv")])
    assert status == 3
    assert "the run is not updated" in capsys.readouterr().err
    assert before == {
        path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()
    }
    assert {path.name for path in tmp_path.iterdir()} == {"run", "right.csv", "wrong.csv"}


def table(first, steps):
    times = pd.date_range(first, periods=steps, freq="h")
    noise = np.random.default_rng(steps).normal(0, 0.5, steps)
    return pd.DataFrame({"time": times, "load": np.sin(np.arange(steps) / 4) + noise})


FORECAST = {"horizon": 6, "lookback": 24, "segment": 12, "units": 8, "epochs": 1}


@pytest.mark.system
@eagerly()
def test_a_forecaster_goes_on_where_its_data_ends(tmp_path):
    table("2024-01-01", 300).to_csv(tmp_path / "old.csv", index=False)
    table("2024-01-13 14:00", 60).to_csv(tmp_path / "new.csv", index=False)  # two steps are missing
    app = Forecaster(data=str(tmp_path / "old.csv"), **FORECAST).fit(run_dir=tmp_path / "run")
    with pytest.raises(DataError, match=r"after 2024-01-13 11:00:00, .* Received: 2024-01-01"):
        app.update(table("2024-01-01", 30))
    with pytest.raises(DataError, match="at least 12 new steps"):
        app.update(table("2024-01-13 12:00", 11))
    found = app.update(tmp_path / "new.csv", tolerance=0.9)
    assert found["updated"]
    assert found["test"].keys() == {"new"}  # the old test period is learned from
    parts = rnnapps.load(tmp_path / "run")._trained_on()
    assert parts.ends == [(300 + 2 + 36, 300 + 2 + 48, 362)]
    assert np.isnan(parts.values[0][300:302]).all()
    again = rnnapps.load(tmp_path / "run")
    assert again.predict()["time"].iloc[0] == pd.Timestamp("2024-01-16 02:00")
    assert again.evaluate()["mae"] > 0


@pytest.mark.system
@eagerly()
def test_each_network_of_an_ensemble_goes_on_from_its_own(tmp_path):
    app = Forecaster(target=["load"], ensemble=2, **FORECAST)
    app.fit(table("2024-01-01", 200), run_dir=tmp_path / "run")
    settings = {**FORECAST, "ensemble": 3, "learning_rate": 1e-12, "target": ["load"]}
    other = Forecaster(**settings, init_from=str(tmp_path / "run"))
    other.fit(table("2024-01-01", 200))
    assert len(other.networks) == 3
    for mine, theirs in zip(other.networks, [*app.networks, app.networks[0]], strict=True):
        for a, b in zip(mine.weights, theirs.weights, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
    found = app.update(table("2024-01-09 08:00", 40), tolerance=0.99)
    assert found["updated"] and len(app.networks) == 2


@pytest.mark.system
@eagerly()
def test_what_a_forecaster_has_learned_moves_its_parts():
    app = Forecaster(target=["load"], **FORECAST)
    app.fit(table("2024-01-01", 300))
    other = Forecaster(target=["load"], **FORECAST, validation_share=0.3, test_share=0.3)
    parts = other._kept_apart(other._load(table("2024-01-01", 300)), app.learned.all)
    assert parts.ends == [(180, 210, 300)]  # was 120, 210, 300
    assert any("are moved to the training part" in note for note in parts.notes)
    grown = app.update(table("2024-01-13 12:00", 40), tolerance=0.99)
    assert grown["updated"]
    assert len(app.predict()) == 6
    assert app.evaluate()["mae"] > 0


def test_a_translator_takes_new_pairs_in_one_file(tmp_path):
    for name, day in {"de.txt": "le {} mai", "en.txt": "May {}"}.items():
        (tmp_path / name).write_text("".join(day.format(n) + "\n" for n in range(1, 31)))
    rows = "".join(f"le {n} mars\tMarch {n}\n" for n in range(1, 31))
    (tmp_path / "new.tsv").write_text(rows)
    app = Translator(data=str(tmp_path / "de.txt"), target_data=tmp_path / "en.txt")
    added = app._added(tmp_path / "new.tsv", app._load())
    assert sum(map(len, (added.train, added.validation, added.test))) == 30
    assert all(text.startswith("March") for text in added.train.targets)


@pytest.mark.system
@eagerly()
def test_a_tagger_learns_another_kind_of_name(tmp_path):
    tokens = [["Ada", "met", name, str(n)] for n in range(20) for name in ("Bob", "Eve")]
    app = Tagger(epochs=1, units=4, embedding_dim=4, character_units=2, batch_size=16)
    app.fit(tokens, labels=[["B-name", "O", "B-name", "O"]] * 40, run_dir=tmp_path / "run")
    more = [["we", "saw", "Rome", str(n)] for n in range(40)]
    found = app.update((more, [["O", "O", "B-place", "O"]] * 40), tolerance=0.99)
    assert found["updated"] and app.tags == ["O", "B-name", "B-place"]
    assert {"Rome", "Ada"} <= {*app.model.get_layer("encoder").words.vocabulary}
    assert rnnapps.load(tmp_path / "run").tags == app.tags


@pytest.mark.system
@eagerly()
def test_texts_and_translations_that_were_given_are_updated(tmp_path):
    app = CharGenerator(units=8, layers=1, epochs=1, window=32, validation_share=0.1)
    app.fit("the cat sat on the mat\n" * 60)
    found = app.update("a dog lay on the log\n" * 40, tolerance=0.99)
    assert found["updated"]
    assert found["validation"].keys() == {"old", "new"}
    assert "g" in app.tokenizer.vocabulary
    days = range(1, 31)
    pairs = [f"le {n} mai" for n in days], [f"May {n}" for n in days]
    more = [f"le {n} mars" for n in days], [f"March {n}" for n in days]
    settings = {"units": 8, "embedding_dim": 8, "layers": 1, "beam_width": 1, "max_length": 8}
    app = Translator(**settings, epochs=1, tokenizer="word").fit(pairs)
    app.update(more, tolerance=0.99)
    assert "march" in {token.strip() for token in app.model.target_tokenizer.vocabulary}
    app.save(tmp_path / "run")
    with pytest.raises(RunError, match="learned from what fit"):
        rnnapps.load(tmp_path / "run").update(more)
