"""What the figures say: dates on the time axis, legends beside the data."""

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

from rnnapps import figures

LEVELS = (0.1, 0.5, 0.9)
TIMES = pd.date_range("2024-03-01", periods=72, freq="h")


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, in their order."""
    kept = []
    save = matplotlib.figure.Figure.savefig

    def keep(figure, path, **options):
        kept.append(figure)
        save(figure, path, **options)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", keep)
    return kept


def test_forecasts_are_drawn_over_dates_in_their_units(drawn, tmp_path):
    values = np.sin(np.arange(72.0))
    bands = values[:, None] + np.array([-1, 0, 1])
    figures.fan_chart(values[:48], values[48:], values[48:], bands[48:], LEVELS, "load",
                      tmp_path / "fan.png", TIMES, "MW")  # fmt: skip
    figures.backtest(values, values, bands, LEVELS, 24, "load", tmp_path / "b.png", TIMES, "MW")
    for figure in drawn:
        (axes,) = figure.axes
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert any(label.startswith("Mar-0") for label in labels), labels
        assert axes.get_ylabel() == "MW"
        legend = axes.get_legend()
        assert {"observed", "forecast", "80 %"} <= {one.get_text() for one in legend.get_texts()}
        assert legend.get_window_extent().x0 >= axes.get_window_extent().x1  # beside the data
        colours = {line.get_color() for line in axes.lines}
        assert len(colours) == 2


def test_letters_that_no_font_has_are_no_warning(tmp_path):
    figures.attention_map(["你", "好"], ["h"], [[0.5, 0.5]], tmp_path / "attention.png")
    assert (tmp_path / "attention.png").stat().st_size > 1000


def test_a_confusion_matrix_has_the_shares_of_each_true_class(drawn, tmp_path):
    figures.confusion_matrix([[8, 2], [30, 10]], ["bad", "good"], tmp_path / "confusion.png")
    (axes,) = drawn[0].axes
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.8, 0.2], [0.75, 0.25]])
    assert [(text.get_text(), *text.get_position()) for text in axes.texts] == [
        ("8", 0, 0), ("2", 1, 0), ("30", 0, 1), ("10", 1, 1),
    ]  # fmt: skip
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")


@pytest.mark.parametrize("epochs", [1, 2, 30])
def test_learning_curves_count_whole_epochs_and_stand_clear_of_each_other(drawn, epochs, tmp_path):
    row = {"loss": 0.725, "mae": 0.525, "mse": 0.475, "val_loss": 0.5, "val_mae": 0.4, "val_mse": 1}
    figures.learning_curves([{"epoch": i + 1, **row} for i in range(epochs)], tmp_path / "l.png")
    panels = drawn[0].axes
    for axes, before in zip(panels[1:], panels, strict=False):
        label = axes.yaxis.label.get_window_extent()
        assert label.x0 > before.get_window_extent().x1
    shown = [tick for tick in panels[0].get_xticks() if 1 <= tick <= epochs]
    assert shown and all(tick == int(tick) for tick in shown)
