"""What Python people expect of an application object: copies, pickles, a `repr`, clear mistakes."""

import copy
import pickle

import pytest
from eager import eagerly

from rnnapps import SentimentClassifier, SentimentConfig, load
from rnnapps.apps.sentiment.data import load_splits
from rnnapps.errors import ConfigError, DataError, RunError

TEXTS = ["the plot was dull", "the cast was superb", ""]


@eagerly()
def test_a_trained_application_copies_and_pickles(sample_run):
    app = load(sample_run)
    for other in (copy.deepcopy(app), pickle.loads(pickle.dumps(app))):
        assert other is not app
        assert other.predict(TEXTS) == app.predict(TEXTS)
        assert (other.config, other.metrics) == (app.config, app.metrics)
        assert other.run_dir is None
    assert app.run_dir == sample_run
    new = pickle.loads(pickle.dumps(SentimentClassifier(units=7)))
    assert new.config == SentimentConfig(units=7)


def test_it_shows_its_settings_data_and_metrics(sample_run):
    app = load(sample_run)
    assert repr(SentimentClassifier(units=7)) == "SentimentClassifier(units=7, not trained)"
    shown = repr(app)
    assert shown.startswith("SentimentClassifier(learning_rate=0.003, ")
    assert (
        f"trained on sample, validation accuracy {app.metrics['validation']['accuracy']:.4g}"
        in (shown)
    )
    assert "<li>units=64</li>" in app._repr_html_()


def test_a_mistake_in_python_names_what_is_taken(sample_run):
    with pytest.raises(ConfigError, match="Expected a SentimentConfig, or settings by name"):
        SentimentClassifier(64)
    app = load(sample_run)
    with pytest.raises(DataError, match="put it into a list"):
        app.predict("one text")
    with pytest.raises(DataError, match=r"fit\(texts, labels=...\)"):
        app.fit(TEXTS, ["bad", "good", "bad"])
    with pytest.raises(DataError, match="Received: a int"):
        app.predict(3)
    with pytest.raises(RunError, match="call fit"):
        SentimentClassifier().predict()


@eagerly()
def test_without_arguments_it_answers_what_was_set_aside(sample_run):
    app = load(sample_run)
    assert app.predict() == app.predict(load_splits(app.config).test.texts)
    app.info.source, app.run_dir = "given to fit()", None  # other tests have this run, too
    for ask in (app.evaluate, app.predict):
        with pytest.raises(DataError, match="Expected test data, or inputs to answer"):
            ask()
    app.given = (None, (TEXTS[:2], ["negative", "positive"]))
    assert app.evaluate()["accuracy"] == 1.0
    assert app.predict() == app.predict(TEXTS[:2])
