"""Every application can be searched, by each of the objectives that it names."""

import keras_tuner
import numpy as np
import pandas as pd
import pytest

from rnnapps import CharGenConfig, ForecastingConfig, TaggingConfig, TranslationConfig
from rnnapps.data import make_names
from rnnapps.tuning import HyperApplication

HOURS = pd.date_range("2024-01-01", periods=400, freq="h")
LOAD = 5 + np.sin(np.arange(400) * np.pi / 12) + np.random.default_rng(0).normal(0, 0.1, 400)
SEARCHES = {
    "chargen": (
        CharGenConfig(epochs=1, units=4, layers=1, embedding_dim=4, window=16, batch_size=16),
        "the plot was dull and the cast was not . " * 60,
    ),
    "translation": (
        TranslationConfig(epochs=1, units=4, embedding_dim=4, tokenizer="character"),
        ([f"eins {i}" for i in range(60)], [f"one {i}" for i in range(60)]),
    ),
    "forecasting": (
        ForecastingConfig(epochs=1, units=4, horizon=6, lookback=24, segment=6, season=24),
        pd.DataFrame({"time": HOURS, "load": LOAD}),
    ),
    "tagging": (
        TaggingConfig(epochs=1, units=4, embedding_dim=4, character_units=2),
        make_names(60),
    ),
}


@pytest.mark.system
@pytest.mark.parametrize("name", SEARCHES)
def test_a_trial_measures_what_the_application_says_it_can_be_judged_by(name, tmp_path):
    config, data = SEARCHES[name]
    hypermodel = HyperApplication(config, ranges={"units": "3:5"}, train=data)
    objectives = hypermodel.application.objectives
    first, direction = next(iter(objectives.items()))
    tuner = keras_tuner.RandomSearch(
        hypermodel, objective=keras_tuner.Objective(f"val_{first}", direction), max_trials=1,
        seed=0, directory=tmp_path, project_name=name,
    )  # fmt: skip
    tuner.search(verbose=0)
    (trial,) = tuner.oracle.trials.values()
    assert trial.status == "COMPLETED", trial.message
    assert {f"val_{one}" for one in objectives} <= set(trial.metrics.metrics)
    app = tuner.get_best_models()[0].app
    assert app.config.units == trial.hyperparameters.values["units"]
    assert app.metrics["validation"][first] == pytest.approx(trial.score)
