import numpy as np
import pytest

from rnnapps.reference import SGD, EarlyStopping, fit


class Line:
    """y = w x: the smallest model that `fit` takes. A batch is x and y."""

    def __init__(self):
        self.params = {"w": np.zeros(1)}

    def loss(self, batch):
        x, y = batch
        return float(np.mean((self.params["w"] * x - y) ** 2))

    def loss_and_gradients(self, batch, rng=None):
        x, y = batch
        gradient = np.mean(2 * (self.params["w"] * x - y) * x, keepdims=True)
        return self.loss(batch), {"w": gradient}


X = np.array([1.0, -2.0, 0.5])


def test_fit_finds_the_line():
    model = Line()
    history = fit(model, [(X, 3 * X), (2 * X, 6 * X)], SGD(0.05), epochs=100)
    assert model.params["w"].item() == pytest.approx(3.0)
    assert len(history["loss"]) == 100
    assert history["loss"][-1] < 1e-12 * history["loss"][0]


def test_clipping_bounds_each_move():
    model = Line()
    fit(model, [(X, 1e6 * X)], SGD(0.1), epochs=5, clip_norm=2.0)
    assert model.params["w"].item() == pytest.approx(5 * 0.1 * 2.0)


def test_early_stopping_restores_the_best_weights():
    stopping = EarlyStopping(patience=2)
    params = {"w": np.zeros(1)}
    array = params["w"]
    stops = []
    for epoch, loss in enumerate([5.0, 3.0, 4.0, 2.0, 2.0, 2.5]):
        params["w"][...] = epoch
        stops.append(stopping.should_stop(loss, params))
    assert stops == [False, False, False, False, False, True]
    stopping.restore(params)
    assert params["w"] is array
    assert array.item() == 3  # the epoch of the loss 2.0
    assert stopping.best == 2.0


def test_early_stopping_asks_for_min_delta():
    stopping = EarlyStopping(patience=1, min_delta=0.1)
    assert not stopping.should_stop(1.0, {})
    assert stopping.should_stop(0.95, {})


def test_a_loss_that_is_no_number_is_no_improvement():
    stopping = EarlyStopping(patience=1)
    assert not stopping.should_stop(1.0, {"w": np.array([7.0])})
    params = {"w": np.array([np.nan])}
    assert stopping.should_stop(np.nan, params)
    stopping.restore(params)
    assert params["w"].item() == 7.0


def test_fit_stops_where_validation_turns_and_goes_back():
    # Training pulls w to 3; validation is best at w = 1, which the path passes on its way.
    model = Line()
    history = fit(
        model,
        [(X, 3 * X)],
        SGD(0.01),
        epochs=1000,
        validation=(X, X),
        early_stopping=EarlyStopping(patience=3),
    )
    losses = history["validation_loss"]
    assert len(losses) == np.argmin(losses) + 1 + 3
    assert model.loss((X, X)) == min(losses)
    assert model.params["w"].item() == pytest.approx(1.0, abs=0.05)


def test_early_stopping_needs_something_to_watch():
    with pytest.raises(ValueError, match=r"Expected a validation batch.*Received: None"):
        fit(Line(), [(X, X)], SGD(), epochs=1, early_stopping=EarlyStopping())
