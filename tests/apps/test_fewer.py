"""Runs that learn from a share of their data: told so, and measured beside the same share."""

import pytest
from eager import eagerly

from rnnapps import CharGenerator, Forecaster, SentimentClassifier, Tagger, Translator, load
from rnnapps.errors import ConfigError


@pytest.mark.parametrize("app_class", [SentimentClassifier, Translator, CharGenerator, Tagger])
def test_each_part_is_a_share_of_what_it_would_be(app_class):
    whole, some = (app_class(fraction=share)._taken() for share in (1.0, 0.1))
    for part in ("train", "validation", "test"):
        every, few = getattr(whole, part), getattr(some, part)
        assert len(few) == pytest.approx(len(every) / 10, abs=1)
        if isinstance(few, str):
            assert every.startswith(few)
        else:
            assert set(few.keys) <= set(every.keys)


def test_a_forecaster_takes_the_last_steps_of_its_one_series():
    whole, some = (Forecaster(max_examples=count)._taken() for count in (None, 2000))
    (every,), (few,) = whole.data.series, some.data.series
    assert len(few) == 2000 and (few.times == every.times[-2000:]).all()
    assert some.said[-1].startswith("taken: 2,000 of 17,")


@pytest.mark.system
@eagerly()
def test_a_run_is_measured_beside_its_share(tmp_path, capsys):
    settings = {"units": 4, "embedding_dim": 4, "epochs": 1, "max_examples": 300}
    SentimentClassifier(**settings).fit(run_dir=tmp_path / "run")
    assert "taken: 300 of 6,000 examples (train 240, validation 30, test 30)" in (
        capsys.readouterr().err
    )
    app = load(tmp_path / "run")
    assert app.info.fingerprint.startswith("240 texts")
    assert sum(sum(row) for row in app.evaluate()["confusion"]) == 30


@pytest.mark.parametrize("settings", [{"fraction": 0.0}, {"fraction": 1.1}, {"max_examples": 0}])
def test_a_share_that_is_none_is_refused(settings):
    (name,) = settings
    with pytest.raises(ConfigError, match=f"Expected {name}="):
        SentimentClassifier(**settings)
