"""What the tables say, at 80 columns: whole names, directions, winners, why a training ended."""

import numpy as np
import pandas as pd
import pytest

from rnnapps import TaggingConfig, TranslationConfig, tables
from rnnapps.apps.card import Card
from rnnapps.apps.forecasting.printing import print_forecasts
from rnnapps.apps.run_info import RunInfo

FORECASTS = {"mae": 2.5, "mase": 3.1, "weighted_quantile_loss": 0.12, "coverage_80": 0.7}
BASELINES = ("last value", "seasonal naive", "drift", "ridge", "an uncommonly long name of one")


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def row_of(out: str, start: str) -> list[str]:
    """The cells behind a metric's name, of all tables."""
    lines = [line for line in out.splitlines() if line.strip().startswith(start)]
    return " ".join(line.strip().removeprefix(start) for line in lines).split()


def test_the_winner_is_marked_and_no_name_is_cut(capsys):
    others = {name: {**FORECASTS, "mae": 3.0 + i} for i, name in enumerate(BASELINES)}
    others["drift"] = {"mae": 3.0, "mase": 0.9, "coverage_80": 0.79}
    others["noise alone"] = {"mae": 0.1}
    tables.show({**FORECASTS, "baselines": others}, False, "forecasting: test part")
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "…" not in out
    words = set(out.split())
    assert all(word in words for name in [*BASELINES, "noise alone"] for word in name.split())
    mae = row_of(out, "mae ↓")
    assert {mae[i + 1] for i, cell in enumerate(mae) if cell == "*"} == {"2.5000"}
    assert row_of(out, "mase ↓").count("*") == 1
    cells = row_of(out, "coverage 80 → 0.8")
    assert cells[cells.index("*") + 1] == "0.7900"
    assert "mase: mae over the seasonal naive forecast's in training; above 1 is worse" in out


def test_a_better_baseline_does_not_pass_unremarked(capsys):
    metrics = {"mae": 2.0, "mase": 3.1, "baselines": {"last value": {"mae": 1.0, "mase": 1.5}}}
    tables.show_training(["training: 70 steps"], metrics, ["rnnapps evaluate runs/x"])
    out = capsys.readouterr().out
    assert "Better: last value. Train on more data, or for longer." in out
    assert out.endswith("next:\n  rnnapps evaluate runs/x\n")
    assert not tables.better_baselines({**metrics, "mae": 0.5})
    assert not tables.better_baselines({"bleu": 20.0, "baselines": {"copy": {"bleu": 2.0}}})


def test_classes_have_their_own_table(capsys):
    rows = {"good": {"precision": 0.5, "recall": 1.0, "f1": 0.6667, "examples": 1200}}
    tables.show({"accuracy": 0.5, "by_class": rows}, False, "sentiment: test part")
    line = next(one for one in capsys.readouterr().out.splitlines() if one.startswith(" good"))
    assert line.split() == ["good", "0.5000", "1.0000", "0.6667", "1,200"]


def test_of_many_series_the_first_are_shown(capsys):
    rows = {f"shop {i}": {"mae": 1.0, "mase": 9.0 - i / 10} for i in range(32)}
    tables.show({"mae": 1.0, "by_series": rows}, False, "forecasting: test part")
    out = capsys.readouterr().out
    assert [i for i in range(32) if f"shop {i} " in out] == list(range(20))
    assert "and 12 more series, which --json lists" in out


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([0.3, 0.2, 0.25, 0.26], "4 of 9 epochs, as 2 in a row had no lower validation loss; the "
         "weights of epoch 2 are kept, whose loss is the lowest"),
        ([0.3] * 8 + [0.1], "9 of 9 epochs; the weights of epoch 9 are kept, whose loss is the "
         "lowest"),
        ([None], "1 of 9 epochs; the last one's weights are kept"),
    ],
)  # fmt: skip
def test_it_is_said_why_a_training_ended(losses, said):
    history = [{"loss": 1.0, **({"val_loss": one} if one else {})} for one in losses]
    assert tables.stopped(history, 9, 2) == said
    last = f"{len(losses)} of 9 epochs; the last one's weights are kept"
    assert tables.stopped(history, 9, 0, last=True) == last
    unset = said.replace(" of 9", "", 1)  # where the epochs went by the amount of data
    assert tables.stopped(history, 0, 2) == unset


@pytest.mark.parametrize(
    ("settings", "metrics", "kept"),
    [
        ({}, {"averaged": False}, "the weights of epoch 2 are kept"),
        ({}, {"averaged": True}, "the mean of the last 3 epochs' weights is kept"),
        ({"average": 2}, {"averaged": True}, "the mean of the last 2 epochs' weights is kept"),
        ({"ema": 0.9}, {}, "the weights of epoch 2, a moving average (--ema), are kept"),
    ],
)
def test_of_weights_that_are_averages_it_is_said(settings, metrics, kept):
    history = [{"loss": 1.0, "val_loss": one} for one in (0.3, 0.2, 0.25)]
    config = TranslationConfig(epochs=3, **settings)
    said = Card("translation", config, RunInfo(source="sample"), metrics, history).training
    assert said == f"3 of 3 epochs; {kept}, whose loss is the lowest; 0 s in all"


def test_of_a_language_model_alone_its_own_epochs_count():
    history = [{"loss": 1.0, "val_loss": one} for one in (0.3, 0.2)]
    config = TaggingConfig(pretrain_only=True, pretrain_epochs=2, patience=0)
    said = Card("tagging", config, RunInfo(source="sample"), {}, history).training
    kept = "2 of 2 epochs; the weights of epoch 2 are kept, whose loss is the lowest"
    assert said == f"{kept}; 0 s in all"


def test_printed_forecasts_have_seven_digits_and_a_file_and_json_all(capsys, tmp_path):
    values = [0.123456789012, -3.0, 1234567890.5, float("nan"), 0.0000123456789]
    frame = pd.DataFrame({"time": range(5), "forecast": values})
    print_forecasts(frame, None, as_json=False)
    shown = [line.split(",")[1] for line in capsys.readouterr().out.splitlines()]
    assert shown == ["forecast", "0.1234568", "-3", "1234567890", "", "1.234568e-05"]
    print_forecasts(frame, tmp_path / "all.csv", as_json=False)
    np.testing.assert_array_equal(pd.read_csv(tmp_path / "all.csv")["forecast"], values)
    print_forecasts(frame, None, as_json=True)
    assert '"forecast":0.123456789' in capsys.readouterr().out
