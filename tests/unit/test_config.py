import tomllib

import pytest
import tomli_w

from rnnapps import (
    CharGenConfig,
    ForecastingConfig,
    SentimentConfig,
    TaggingConfig,
    TranslationConfig,
)
from rnnapps.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"units": 0}, "Expected units= to be greater than or equal to 1. Received: 0."),
        ({"unts": 64}, "Unknown setting unts=. Did you mean units=?"),
        ({"dropout": 1.0}, "Expected dropout= to be less than 1. Received: 1.0."),
        ({"learning_rate": 0}, "Expected learning_rate= to be greater than 0. Received: 0."),
        ({"vectors": ""}, "Expected vectors= to be a path. Received: ''."),
        (
            {"cell": "attention_lstm", "pooling": "last"},
            "Expected pooling=attention with cell=attention_lstm, which attends by itself. "
            "Received: 'last'.",
        ),
    ],
)
def test_a_wrong_setting_is_one_sentence_with_its_flag(settings, sentence):
    with pytest.raises(ConfigError) as raised:
        SentimentConfig(**settings)
    assert str(raised.value) == sentence


def test_an_unknown_cell_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"cell= to be 'simple_rnn', 'lstm'.*Received: 'ltsm'"):
        SentimentConfig(cell="ltsm")


def test_what_takes_no_transformer_names_what_it_takes():
    with pytest.raises(ConfigError, match=r"model=segment with cell=transformer\. Rec.*'direct'"):
        ForecastingConfig(cell="transformer", model="direct")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"heads": 5}, "heads= to divide units=128 into heads of an even width"),
        ({"units": 12}, "heads= to divide units=12 into heads of an even width, which pos"),
        ({"units": 10, "positions": "none"}, "heads= to divide units=10 into heads with"),
        ({"units": 9, "heads": 3, "positions": "sinusoidal"}, "units= to be even with"),
        ({"residual": True}, "no residual= with cell=transformer"),
        ({"normalization": "layer"}, "no normalization= with cell=transformer"),
        ({"block": "pre_norm"}, "no block= with cell=transformer"),
        ({"recurrent_dropout": 0.1}, "no recurrent_dropout= with cell=transformer"),
        ({"positions": "rotating"}, "positions= to be 'rotary', 'sinusoidal', 'learned' or 'none'"),
    ],
)
@pytest.mark.parametrize("config_class", [CharGenConfig, SentimentConfig])
def test_a_transformer_s_settings_agree(config_class, settings, sentence):
    with pytest.raises(ConfigError, match=sentence) as raised:
        config_class(**{"cell": "transformer", "units": 128, **settings})
    assert str(raised.value).count(". ") == 1  # Expected ... . Received: ... .


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("score", "dot"),
        ("input_feeding", True),
        ("decoder", "first_state"),
        ("block", "pre_norm"),
        ("recurrent_dropout", 0.1),
    ],
)
def test_a_transformer_that_translates_refuses_what_says_nothing_of_it(name, value):
    with pytest.raises(ConfigError, match=f"Expected no {name}= with cell=transformer.* Received"):
        TranslationConfig(cell="transformer", **{name: value})


def test_no_window_is_longer_than_the_learned_positions():
    learned = {"cell": "transformer", "positions": "learned", "learned_positions": 64}
    texts = [(one, "max_length") for one in (SentimentConfig, TaggingConfig, TranslationConfig)]
    for config_class, name in [(CharGenConfig, "window"), *texts]:
        assert config_class(**learned, **{name: 64})
        with pytest.raises(ConfigError, match=rf"{name}= to be at most .*64\)\. Received: 65\."):
            config_class(**learned, **{name: 65})
    with pytest.raises(ConfigError, match=r"window= .* Received: 128\."):  # where none is set
        CharGenConfig(**learned)
    with pytest.raises(ConfigError, match="embedding_dim= to be at least 1 with cell=transformer"):
        CharGenConfig(cell="transformer", embedding_dim=0)


def test_texts_take_no_settings_of_numbers_and_times():
    marks = {"decimal": ",", "thousands": ".", "time_format": "%d.%m.%Y", "day_first": True}
    assert ForecastingConfig(**marks).thousands == "."
    for config_class in (CharGenConfig, SentimentConfig, TranslationConfig):
        assert not marks.keys() & config_class.model_fields.keys()
    # A run that was saved with them loads; whoever sets one is told.
    assert SentimentConfig.of_run({"units": 7, "day_first": False}) == SentimentConfig(units=7)
    with pytest.raises(ConfigError, match="Unknown setting day_first="):
        SentimentConfig(day_first=True)


def test_a_word_stands_for_a_tuple_of_one():
    config = ForecastingConfig(target="load", calendar=["hour", "month"])
    assert (config.target, config.calendar) == (("load",), ("hour", "month"))


def test_a_configuration_survives_toml(tmp_path):
    config = SentimentConfig(data_dir="somewhere", units=7, bidirectional=False, ngrams=0)
    path = tmp_path / "run.toml"
    path.write_text(tomli_w.dumps(config.to_dict()))
    assert SentimentConfig.from_toml(path) == config
    assert tomllib.loads(path.read_text())["units"] == 7


def test_differences_name_the_fields():
    changed = SentimentConfig(units=7).differences(SentimentConfig(units=8))
    assert changed == ["units (7, 8)"]


def test_a_file_that_is_not_toml_is_named(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("units 7")
    with pytest.raises(ConfigError, match=r"run\.toml is not a TOML file"):
        SentimentConfig.from_toml(path)


def test_a_field_s_former_name_is_taken_with_a_note(tmp_path):
    expected = CharGenConfig(tokenizer="byte")
    with pytest.warns(FutureWarning, match="--unit is now --tokenizer."):
        assert CharGenConfig(unit="byte") == expected
    (tmp_path / "run.toml").write_text('unit = "byte"')
    with pytest.warns(FutureWarning, match="--unit is now --tokenizer."):
        assert CharGenConfig.from_toml(tmp_path / "run.toml") == expected
    assert CharGenConfig(**CharGenConfig.renew({"unit": "byte"})) == expected
    assert "unit" not in expected.to_dict()


def test_an_update_of_what_several_processes_trained_takes_one():
    assert ForecastingConfig(strategy="multi_worker").in_updates["strategy"] == "auto"
    assert "strategy" not in ForecastingConfig(strategy="cpu").in_updates
