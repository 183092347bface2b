import keras_tuner
import pytest

from rnnapps import ForecastingConfig, SentimentConfig
from rnnapps.config import Tune, TuneChoice
from rnnapps.errors import ConfigError
from rnnapps.tuning.options import TuneOptions, complete, parse_duration
from rnnapps.tuning.space import declare, describe, make_space, parse_names, parse_ranges

CONFIG = SentimentConfig(units=48, cell="lstm")


def test_what_a_run_settles_is_not_varied_and_how_it_thaws_where_it_is_named():
    started = make_space(SentimentConfig(init_from="runs/a"))
    assert "dropout" in started
    assert not set(started) & set(SentimentConfig.inherited)
    named = make_space(CONFIG, ["layer_rate_decay", "unfreeze_gradually"])
    assert named["layer_rate_decay"].low == 0.3
    names = ["freeze", "pretrain_epochs", "weight_drop", "crops", "adversarial", "warmup"]
    assert [*declare(keras_tuner.HyperParameters(), make_space(CONFIG, names), CONFIG)] != []
    assert not {*names} & {*make_space(CONFIG)}


def test_without_names_the_fields_with_a_range_of_their_own_are_tuned():
    space = make_space(CONFIG)
    fields = SentimentConfig.model_fields

    def ranged(field):
        found = [one for one in field.metadata if isinstance(one, Tune | TuneChoice)]
        return any(not getattr(one, "by_name", False) for one in found)

    assert space["units"] == Tune(32, 256, step=32)
    assert set(space) == {name for name in fields if ranged(fields[name])}


def test_names_and_ranges_choose_the_space():
    ranges = {"units": "64:512:64", "learning_rate": "1e-4:1e-2:log", "dropout": "0.1,0.5"}
    space = make_space(CONFIG, ["cell", "residual"], ranges)
    assert space["units"] == Tune(64, 512, 64)
    assert space["learning_rate"] == Tune(1e-4, 1e-2, sampling="log")
    assert space["dropout"] == TuneChoice((0.1, 0.5))
    assert space["cell"].values[:2] == ("simple_rnn", "lstm")
    assert space["residual"] == TuneChoice((False, True))
    assert set(space) == {"units", "learning_rate", "dropout", "cell", "residual"}
    assert describe({"dropout": Tune(0.0, 0.6, 0.1)}) == {"dropout": "0.0:0.6:0.1"}
    again = make_space(CONFIG, [], describe(space))
    assert {k: v for k, v in again.items() if k != "residual"} == {
        k: v for k, v in space.items() if k != "residual"
    }


def test_keras_tuner_starts_from_the_configuration_and_stays_in_range():
    space = make_space(CONFIG, ["cell", "units", "learning_rate", "residual", "batch_size"])
    hp = keras_tuner.HyperParameters()
    assert declare(hp, space, CONFIG) == {
        "cell": "lstm", "units": 48, "learning_rate": CONFIG.learning_rate, "residual": False,
        "batch_size": 64,
    }  # fmt: skip
    far = SentimentConfig(units=512, batch_size=100)
    nearest = {"units": 256, "batch_size": 128}
    assert declare(keras_tuner.HyperParameters(), make_space(far, [*nearest]), far) == nearest
    own = ForecastingConfig(segment=20)
    words = make_space(own, [], {"segment": "12,24"})
    assert ForecastingConfig(**declare(keras_tuner.HyperParameters(), words, own)).segment == 12
    for one in hp.space:
        for seed in range(20):
            SentimentConfig(**{one.name: one.random_sample(seed)})


@pytest.mark.parametrize(
    ("names", "ranges", "sentence"),
    [
        (["unts"], {}, "The setting 'unts' does not exist; .* Did you mean units?"),
        (["data"], {}, "The setting 'data' cannot be tuned"),
        (["seed"], {}, "The setting 'seed' cannot be tuned"),
        (
            [],
            {"units": "0:64"},
            "range= units=0:64 breaks a bound: Expected units= to be",
        ),
        ([], {"cell": "lstm,gur"}, "range= cell=lstm,gur breaks a bound: Expected cell="),
        ([], {"dropout": "0.1:1.5"}, "range= dropout=0.1:1.5 breaks a bound"),
        ([], {"units": "64:32"}, "Expected range= units to be low:high"),
        ([], {"units": "many"}, "Expected range= units to be low:high"),
        ([], {"units": "32:64:0"}, "Expected range= units to be low:high"),
        ([], {"cell": "a:b"}, "Expected range= cell to be low:high"),
        ([], {"dropout": "0:0.5:log"}, "Expected range= dropout to be low:high"),
    ],
)
def test_a_mistake_in_the_space_is_one_sentence(names, ranges, sentence):
    with pytest.raises(ConfigError, match=sentence):
        make_space(CONFIG, names, ranges)


def test_words_of_the_command_line():
    assert parse_names("cell, --learning-rate,units") == ["cell", "learning_rate", "units"]
    assert parse_ranges(["learning-rate=1:2", "cell=a,b"]) == {
        "learning_rate": "1:2", "cell": "a,b",
    }  # fmt: skip
    for word in ("units", "units=", "=1:2", ",=1:2", "units,layers=1:2"):
        with pytest.raises(ConfigError, match="Expected range= FIELD=RANGE"):
            parse_ranges([word])
    assert [parse_duration(t) for t in ("90s", "30m", "1h30m", "5", None)] == [
        90,
        1800,
        5400,
        5,
        None,
    ]
    for text in ("soon", "0s", "-3m", "1d", ""):
        with pytest.raises(ConfigError, match="Expected time_budget= to be a time"):
            parse_duration(text)


def test_roles_come_from_flags_or_from_keras_tuners_variables(monkeypatch):
    for name in ("ORACLE_IP", "ORACLE_PORT", "TUNER_ID"):
        monkeypatch.delenv(f"KERASTUNER_{name}", raising=False)
    assert complete(TuneOptions()).role is None
    with pytest.raises(ConfigError, match="role= and oracle= together"):
        complete(TuneOptions(role="worker"))
    with pytest.raises(ConfigError, match="Expected oracle= to be HOST:PORT"):
        complete(TuneOptions(role="worker", oracle="here"))
    for name in ("my-chief", "a/b", ""):
        with pytest.raises(ConfigError, match="Expected worker_id= to be letters, digits"):
            complete(TuneOptions(role="worker", oracle="here:1", worker_id=name))
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "10.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    found = complete(TuneOptions())
    assert (found.role, found.oracle) == ("chief", "10.0.0.1:8000")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "tuner3")
    found = complete(TuneOptions())
    assert (found.role, found.worker_id) == ("worker", "tuner3")
