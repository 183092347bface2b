import numpy as np
import pytest

from rnnapps.reference import (
    GRU,
    LSTM,
    Adam,
    EarlyStopping,
    Forecaster,
    PeepholeLSTM,
    SimpleRNN,
    exponential_decay,
    fit,
    sliding_windows,
)

from .central_differences import assert_is_gradient


def mean_square(errors):
    return float(np.mean(errors**2))


def batches_of(windows, next_values, size=32):
    return [
        (windows[k : k + size], next_values[k : k + size]) for k in range(0, len(windows), size)
    ]


@pytest.mark.parametrize("cell", [SimpleRNN, LSTM, GRU, PeepholeLSTM])
def test_a_sine_is_predicted_far_better_than_by_its_last_value(cell):
    # The last value errs by 1 - cos(2 pi / 20) = 0.049 in the mean square.
    series = np.sin(2 * np.pi * np.arange(400) / 20)
    windows, next_values = sliding_windows(series, 12)
    train, unseen = slice(0, 288), slice(288, None)
    persistence = mean_square(next_values[unseen] - windows[unseen, -1])
    assert persistence == pytest.approx(1 - np.cos(2 * np.pi / 20), rel=0.05)

    model = Forecaster(8, cell)
    batches = batches_of(windows[train], next_values[train])
    fit(model, batches, Adam(exponential_decay(0.02, 0.5, 100)), epochs=12, clip_norm=1.0)
    assert model.loss((windows[unseen], next_values[unseen])) < 0.0005


def test_a_noisy_series_is_predicted_nearly_as_well_as_can_be():
    # x[t] = 1.6 x[t-1] - 0.9 x[t-2] + noise of variance 0.01, which is the least error possible.
    rng = np.random.default_rng(0)
    noise = rng.normal(0.0, 0.1, 1200)
    series = np.zeros(1200)
    for t in range(2, 1200):
        series[t] = 1.6 * series[t - 1] - 0.9 * series[t - 2] + noise[t]
    windows, next_values = sliding_windows(series, 8)
    train, validation, unseen = slice(0, 640), slice(648, 900), slice(908, None)

    model = Forecaster(12, LSTM)
    fit(
        model,
        batches_of(windows[train], next_values[train]),
        Adam(0.01),
        epochs=60,
        validation=(windows[validation], next_values[validation]),
        clip_norm=1.0,
        early_stopping=EarlyStopping(patience=8),
    )
    loss = model.loss((windows[unseen], next_values[unseen]))
    assert loss < 1.15 * mean_square(noise[8 + 908 :])
    assert loss < 0.25 * mean_square(next_values[unseen] - windows[unseen, -1])


def test_windows_are_followed_by_their_next_values():
    windows, next_values = sliding_windows(np.arange(6.0), 3)
    np.testing.assert_array_equal(windows, [[0, 1, 2], [1, 2, 3], [2, 3, 4]])
    np.testing.assert_array_equal(next_values, [3, 4, 5])


def test_gradients_are_central_differences():
    rng = np.random.default_rng(0)
    model = Forecaster(3)
    batch = rng.normal(size=(4, 5)), rng.normal(size=4)
    loss, gradients = model.loss_and_gradients(batch)
    assert loss == pytest.approx(model.loss(batch))
    assert list(gradients) == list(model.params)
    for name, weight in model.params.items():
        assert_is_gradient(gradients[name], lambda: model.loss(batch), weight)
