"""A person's own metrics: functions from what is true and what was predicted to a number."""

import pathlib
import tarfile

import numpy as np
import pytest

import rnnapps
from rnnapps.errors import ConfigError

GOLDEN = pathlib.Path(__file__).parent / "golden" / "0.1.0"
# Each is an own form of a metric that the application has, by that one's name.
SAME = {
    "sentiment": ("accuracy", lambda true, predicted: np.mean(np.equal(true, predicted))),
    "chargen": ("nats_per_character", lambda text, nats: nats.sum() / len(text)),
    "translation": (
        "exact_match",
        lambda true, predicted: np.mean([a == b for a, b in zip(true, predicted, strict=True)]),
    ),
    "forecasting": ("mae", lambda true, predicted: np.nanmean(np.abs(true - predicted))),
}


@pytest.mark.system
@pytest.mark.parametrize("application", SAME)
def test_metrics_of_ones_own_stand_beside_the_applications(application, tmp_path, monkeypatch):
    with tarfile.open(GOLDEN / f"{application}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(next(tmp_path.iterdir()))  # the run names its data from there
    app = rnnapps.load("run")
    name, metric = SAME[application]
    found = app.evaluate(metrics={"mine": metric})
    assert found["mine"] == pytest.approx(found[name], rel=1e-4)
    assert rnnapps.load("run").metrics["test"]["mine"] == found["mine"]
    if application == "sentiment":
        with pytest.raises(ConfigError, match="accuracy"):
            app.evaluate(metrics={"accuracy": metric})
