"""What the demo shows is what the export answers: asked again, one by one, in another way."""

import dataclasses
import html
import itertools
import json
import re
import shutil
import tarfile
import time
from concurrent.futures import Future

import numpy as np
import pandas as pd
import pytest

import rnnapps
from rnnapps import Forecaster

gr = pytest.importorskip("gradio")

from rnnapps.apps import application_class, config_class  # noqa: E402
from rnnapps.apps.forecasting.client import forecast_table, read_for  # noqa: E402
from rnnapps.apps.forecasting.data import Task  # noqa: E402
from rnnapps.apps.forecasting.parts import kept_of, series_of  # noqa: E402
from rnnapps.apps.parts import few  # noqa: E402
from rnnapps.apps.run_info import RunInfo  # noqa: E402
from rnnapps.apps.sentiment.config import SentimentConfig  # noqa: E402
from rnnapps.apps.sentiment.data import load_splits  # noqa: E402
from rnnapps.apps.updating import GIVEN  # noqa: E402
from rnnapps.demo import asking, chargen, forecasting, marks, sentiment, translation  # noqa: E402
from rnnapps.demo.examples import own, own_texts  # noqa: E402
from rnnapps.demo.models import Shown, asked, served  # noqa: E402
from rnnapps.demo.sources import locate  # noqa: E402
from rnnapps.errors import DataError, RunError, ServerError  # noqa: E402

NAMES = ("sentiment", "chargen", "translation", "forecasting")


@pytest.fixture(scope="module")
def home(tmp_path_factory, request):
    """Exports of version 0.1.0, and a run, each beside its data."""
    home = tmp_path_factory.mktemp("demo")
    for name in NAMES:
        archive = request.config.rootpath / f"tests/apps/golden/0.1.0/{name}.tar.xz"
        with tarfile.open(archive) as found:
            found.extractall(home, filter="data")
    return home


@pytest.fixture(scope="module")
def shown(home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        paths = [home / name / "export" for name in NAMES[:3]] + [home / "forecasting/run"]
        sources = locate(list(map(str, paths)))
        assert [one.name for one in sources] == ["export", "export-2", "export-3", "run"]
        with served(sources) as models:
            yield dict(zip(NAMES, models, strict=True))


def test_each_is_known_by_its_card_or_by_what_it_answers(shown):
    assert {name: one.application for name, one in shown.items()} == {name: name for name in NAMES}
    for name, one in shown.items():
        [found] = asked(one.url, [one.name]) if one.client else []
        assert found.application == name


def test_a_page_is_there_before_its_models_are(home, monkeypatch):
    monkeypatch.chdir(home / "sentiment")  # beside its data
    began = time.monotonic()
    with served(locate([str(home / "chargen/export"), str(home / "sentiment/export")])) as models:
        waited = time.monotonic() - began
        assert not models[1].loaded.done()
        assert models[1].client.predict(["a fine film"])
        assert waited < time.monotonic() - began
        [first, *_] = own_texts(models[1])
        assert first.label == " ".join(first.values[0].split())[:60]


def test_a_version_may_have_been_given_another_name(home, tmp_path):
    shutil.copytree(home / "sentiment/export/1", tmp_path / "best")
    with served(locate([str(tmp_path / "best")])) as [model]:
        assert model.client.predict(["a fine film"])


@pytest.mark.parametrize("name", ["sentiment", "tagging", "translation", "chargen"])
def test_examples_are_of_the_validation_part(name):
    app = application_class(name)(config_class(name)())
    splits = app._load()
    found, part = app.examples(), splits.validation
    rows = {
        "sentiment": lambda: part.texts,
        "tagging": lambda: [" ".join(tokens) for tokens in part.tokens],
        "translation": lambda: part.sources,
        "chargen": lambda: [line[:60] for line in part.split("\n")],
    }[name]()
    assert len(found) == len(set(found)) == 5
    assert set(found) <= set(rows)
    assert max(map(len, found)) <= np.median(list(map(len, rows))) * 1.2


def test_few_texts_are_kept_and_none_that_a_page_cannot_show():
    texts = ["a\nb", " ", "a\nb", "\udcff", "x" * 3_000, "longer than", *"cdefghijkl"]
    assert few(texts) == list("cdefg")
    assert few(["only one"]) == ["only one"]
    assert few([]) == few(["", "\t"]) == []


def test_a_run_on_a_named_set_shows_what_it_keeps(sample_run):
    [source] = locate([str(sample_run)])
    parts = load_splits(SentimentConfig())
    assert set(source.examples) <= set(parts.validation.texts) - set(parts.train.texts)
    kept, old = (
        Shown("one", "sentiment", "", Future(), {"data": "imdb_reviews"}, None, examples)
        for examples in (source.examples, ())
    )
    assert [one.values for one in own_texts(kept)] == [(text,) for text in source.examples]
    assert own_texts(old) == []  # 50,000 texts are not read for five
    old = dataclasses.replace(old, settings=source.settings)
    assert own_texts(old) == own_texts(kept)
    said = json.dumps(rnnapps.load(sample_run).model_card())  # what an export says quotes none
    assert not any(text in said for text in source.examples)


def test_what_fit_was_given_is_not_taken_for_the_sample(sample_run, tmp_path):
    own = shutil.copytree(sample_run, tmp_path / "own")  # other tests have this run, too
    info = json.loads((own / "run.json").read_text())
    (own / "run.json").write_text(json.dumps(info | {"source": GIVEN, "examples": []}))
    [source] = locate([str(own)])
    assert own_texts(Shown("one", "sentiment", "", Future(), source.settings, None)) == []
    assert rnnapps.load(own).examples() == []


def test_a_words_share_is_what_the_class_loses_without_it(shown):
    words = ["a", "<i>fine</i>", "film"]
    bars, shades = sentiment.classify(shown["sentiment"], " ".join(words))
    ask = shown["sentiment"].client.predict
    whole = ask([" ".join(words)])[0]["probabilities"]
    best = int(np.argmax(whole))
    others = [" ".join(words).replace(word, "") for word in words]
    lost = [whole[best] - ask([other])[0]["probabilities"][best] for other in others]
    assert re.findall(r'title="([^"]+)"', shades) == [f"{one:+.3f}" for one in lost]
    assert re.findall(r'"number">([^<]+)<', bars) == [f"{p:.1%}" for p in sorted(whole)[::-1]]
    assert "<i>" not in shades


def test_a_generator_writes_what_generate_does_and_its_surprise_adds_up(shown):
    one = shown["chargen"]
    pages = list(chargen.write(one, "the ", 30, 0.8, 5, 0.9, 3))
    texts = [html.unescape(re.sub("<[^>]+>", "", page)) for page in pages]
    assert [len(text) for text in texts] == [6, 18, 30, 34]
    options = {"temperature": 0.8, "top_k": 5, "top_p": 0.9}
    [first] = one.client.predict(signature="generate", prompt=["the "], length=2, seed=3, **options)
    assert texts[0] == "the " + first["text"]
    bits = chargen.surprises(one, "the ", "cat sat")
    before, after = (
        answer["bits_per_character"] * len(text)
        for text in ("the ", "the cat sat")
        for answer in one.client.predict([text], signature="score")
    )
    assert np.isclose(sum(bits), after - before, rtol=1e-3)
    work = chargen.write(one, "", 2000, 1.0, 0, 1.0, None)
    next(work)
    work.close()  # as Gradio does when it is stopped
    with pytest.raises(StopIteration):
        next(work)


def test_a_translations_words_and_alternatives(shown):
    best, others, alignment = translation.translate(shown["translation"], "ein mann <b>")
    [answer] = shown["translation"].client.predict(["ein mann <b>"], signature="n_best")
    rows = re.findall(r"<tr><td>(.*?)</td>", others)
    assert [html.unescape(row) for row in rows] == answer["translations"]
    assert html.unescape(re.sub("<[^>]+>", "", best)) == answer["translations"][0]
    assert 'aria-label="Alignment"' in alignment


def test_a_word_is_as_sure_as_the_alternatives_that_have_it():
    shares = np.array([0.5, 0.3, 0.2])
    found = translation.confidences(["a b a", "a c", "b a a"], shares)
    assert [(text, round(share, 6)) for text, share, _ in found if text.strip()] == [
        ("a", 1.0),
        ("b", 0.7),
        ("a", 0.7),
    ]


def test_a_forecast_is_that_of_the_table_cut_off_at_its_origin(shown, home):
    one = shown["forecasting"]
    table = home / "forecasting" / "load.csv"
    described = json.loads(one.asset("task.json"))
    found = read_for(described, table)
    back = 7
    image, first, file = forecasting.forecast(one, described, found, "load", "", back, True)
    frame = pd.read_csv(table)
    frame.loc[frame["load"].last_valid_index() + 1 - back :, "load"] = np.nan
    expected = forecast_table(one.client, frame)
    received = pd.read_csv(file)
    assert list(received["time"].astype(str)) == list(expected["time"].astype(str))
    np.testing.assert_allclose(received["forecast"], expected["forecast"], rtol=1e-5)
    assert str(expected["time"][0]) in first
    assert f'aria-label="load: {expected["time"][0]} ' in image
    assert not re.search("#000000|fill: #ffffff|<img|<script", image)  # the page's own colours
    with pytest.raises(DataError, match="Expected at least"):
        forecasting.forecast(one, described, found, "load", "", len(frame) - 10, False)
    with pytest.raises(DataError, match=f"within the series' .* steps. Received: {len(frame)}"):
        forecasting.forecast(one, described, found, "load", "", len(frame), False)


def test_examples_of_a_forecast_are_origins_in_the_runs_own_data(shown, home):
    one = shown["forecasting"]
    described = json.loads(one.asset("task.json"))
    task = Task.from_dict(described["task"])
    found = read_for(described, home / "forecasting" / "load.csv")
    first, *others = itertools.islice(forecasting.origins(task, found), 5)
    known = pd.read_csv(home / "forecasting" / "load.csv").dropna(subset=["load"])
    place = len(known) - 1 - task.horizon
    assert first.label == f"load: {pd.Timestamp(known['time'].iloc[place])}"
    assert first.values[-1] == task.horizon
    assert [example.values[-1] for example in others][:1] == [0]
    for example in (first, *others):
        _, column, name, back = example.values
        forecasting.forecast(one, described, found, column, name, back, False)


def test_examples_of_a_forecaster_are_the_end_of_its_validation_part(shown, home, monkeypatch):
    monkeypatch.chdir(home / "forecasting")
    one, app = shown["forecasting"], rnnapps.load("run")
    info = RunInfo(source="", examples=app.examples()).model_dump_json()
    kept = json.loads(info)["examples"]
    described = json.loads(one.asset("task.json"))
    task = Task.from_dict(described["task"])
    [(_, end, _)] = app._load().ends
    assert len(kept[0]["values"]) == task.lookback + 2 * task.horizon
    gone = dataclasses.replace(one, settings={"data": "gone.csv"}, examples=tuple(kept))
    places = list(own(gone, lambda: forecasting.origins(task, series_of(gone.examples, task))))
    assert places
    for example in places:
        _, column, name, back = example.values
        _, _, file = forecasting.forecast(
            gone, described, series_of(kept, task), column, name, back, True
        )
        frame = pd.read_csv("load.csv")
        frame.loc[end - back :, "load"] = np.nan
        expected, received = forecast_table(one.client, frame), pd.read_csv(file)
        assert list(received["time"].astype(str)) == list(expected["time"].astype(str))
        np.testing.assert_allclose(received["forecast"], expected["forecast"], rtol=1e-5)


@pytest.mark.parametrize("times", ["zone", "numbers", "days", "none"])
def test_a_forecasters_examples_are_read_as_they_were(times):
    table = pd.DataFrame({"y": np.sin(np.arange(120.0)), "z": np.arange(120.0)})
    table.loc[95, "y"] = np.nan
    if times != "none":
        table["t"] = {
            "zone": pd.date_range("2024-03-29", periods=120, freq="h", tz="Europe/Berlin"),
            "numbers": np.arange(120) * 5,
            "days": pd.date_range("2024-01-31", periods=120, freq="D"),
        }[times]
    parts = Forecaster(target=["y"], past_covariates=["z"], horizon=4, lookback=8)._load(table)
    info = RunInfo(source="", examples=kept_of(parts)).model_dump_json()
    found = series_of(RunInfo.model_validate_json(info).examples, parts.task)
    [one], [(_, end, _)] = found.series, parts.ends
    [whole] = parts.data.series
    assert one.times.equals(whole.times[end - 16 : end])
    np.testing.assert_array_equal(one.values, table[["y", "z"]].to_numpy()[end - 16 : end])


def test_a_forecaster_keeps_few_numbers():
    names = [f"c{i}" for i in range(99)]
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(900, 99)), columns=names)
    apps = (Forecaster(target=names, horizon=24, lookback=back) for back in (96, 300))
    counts = [len(kept_of(app._load(table))) for app in apps]
    assert counts == [1, 0]


def test_a_run_is_exported_once(shown, home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    [version] = home.glob("cache/rnnapps/demo/*/run/*/saved_model.pb")
    before = version.stat().st_mtime_ns
    with served(locate([str(home / "forecasting/run")])) as [again]:
        assert again.folder == version.parent
    assert version.stat().st_mtime_ns == before


def test_a_running_server_is_asked_instead(shown, home):
    url = shown["sentiment"].url
    [other] = asked(url, ["export"])
    assert (other.application, other.folder, other.config) == ("sentiment", None, None)
    bars, _ = sentiment.classify(other, "a fine film")
    assert "class " in bars  # the other class' name the server does not tell
    with pytest.raises(ServerError, match="nobody"):
        asked(url, ["nobody"])


def test_a_table_gets_its_answers_behind_its_rows(shown, tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text('id,text\n1,a dull film\n2,"great, at last"\n')
    one = shown["sentiment"]
    answers = asking.answer_table(one, str(table), lambda texts: sentiment.labels_of(one, texts))
    found = pd.read_csv(answers)
    assert list(found.columns) == ["id", "text", "label", "probability"]
    assert list(found["label"]) == [a["label"] for a in one.client.predict(list(found["text"]))]
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"^other\.csv has no column 'text'"):
        asking.answer_table(one, str(tmp_path / "other.csv"), list)


def test_errors_are_sentences_in_the_shells_words(caplog):
    def fails():
        raise DataError("give --time-column another <name>")

    assert asking.said(fails, 3)() == (
        '<p class="rn-error" role="alert">give --time-column another &lt;name&gt;</p>', None, None,
    )  # fmt: skip
    broken = asking.said(lambda: 1 / 0)()
    assert "This is a bug of the page" in broken
    assert "ZeroDivisionError" not in broken
    assert "ZeroDivisionError" in caplog.text
    for text, said in ((" \n", "an empty one"), ("x" * 20_001, "Received: 20,001;")):
        with pytest.raises(DataError, match=said):
            asking.checked(text)


@pytest.mark.parametrize("name", ["nowhere", "empty", "damaged"])
def test_what_is_no_model_is_said(home, tmp_path, name):
    if name == "empty":
        (tmp_path / name).mkdir()
    if name == "damaged":
        shutil.copytree(home / "sentiment/export/1", tmp_path / name / "1")
        (tmp_path / name / "1" / "saved_model.pb").write_bytes(b"nothing")
    with (
        pytest.raises(RunError, match=str(tmp_path / name)),
        served(locate([str(tmp_path / name)])) as [one],
    ):
        one.client.status()


def test_all_that_is_shown_is_escaped():
    evil = '<img src=x onerror="y">'
    span = {"start": 0, "end": 4, "label": evil, "probability": 0.5}
    for page in (
        marks.bars([(evil, 0.5)]),
        marks.shaded([(evil, 0.5, evil), (evil, 0.0, "")]),
        marks.spans(evil, [span]),
        marks.ranked([(evil, evil)]),
        marks.heat_map(np.ones((1, 1)), [evil], [evil], evil),
        marks.drawing("<svg></svg>", evil, evil),
    ):
        assert "<img" not in page
        assert 'onerror="' not in page
