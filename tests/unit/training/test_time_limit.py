import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnnapps.config import TrainingConfig
from rnnapps.training import TimeLimit, make_optimizer


class Rates(keras.callbacks.Callback):
    """The learning rate of each step, and a network that takes its time."""

    def __init__(self, clock, seconds):
        super().__init__()
        self.clock, self.seconds, self.rates = clock, seconds, []

    def on_train_batch_end(self, batch, logs=None):
        self.clock[0] += self.seconds
        self.rates.append(float(self.model.optimizer.learning_rate))


@pytest.fixture
def clock(monkeypatch):
    """A clock that no other work on the machine moves."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("schedule", ["cosine", "exponential"])
def test_the_rate_has_come_down_when_the_time_is_up(schedule, clock):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    config = TrainingConfig(schedule=schedule, learning_rate=0.1)
    model.compile(make_optimizer(config, steps=10**6), loss="mse")
    rates, limit = Rates(clock, 0.01), TimeLimit(1.5)
    x = np.ones((64, 2), "float32")
    model.fit(x, x[:, :1], 1, epochs=1000, callbacks=[rates, limit], verbose=0)
    assert len(rates.rates) == pytest.approx(151, abs=1)  # and the first, which traces
    assert rates.rates[0] == pytest.approx(0.1, rel=1e-3)
    assert rates.rates[-1] < 0.004  # 0.001 is the exponential schedule's end
    assert all(
        later <= rate + 0.02 for rate, later in zip(rates.rates, rates.rates[1:], strict=False)
    )


def test_the_rate_rises_within_the_time_for_one_network_after_the_other(clock):
    limit, config = TimeLimit(1.0), TrainingConfig(warmup=0.2, learning_rate=0.1)
    for _ in range(2):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(make_optimizer(config, steps=10**6), loss="mse")
        rates, x = Rates(clock, 0.01), np.ones((64, 2), "float32")
        model.fit(x, x[:, :1], 1, epochs=1000, callbacks=[rates, limit], verbose=0)
        assert max(rates.rates) > 0.05
        assert rates.rates[-1] < 0.01


def test_replicas_end_in_time(clock):
    limit, config = TimeLimit(1.0), TrainingConfig(learning_rate=0.1)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(make_optimizer(config, steps=10**6), loss="mse")
    rates, x = Rates(clock, 0.1), np.ones((64, 2), "float32")
    model.fit(x, x[:, :1], 2, epochs=1000, callbacks=[rates, limit], verbose=0)
    assert len(rates.rates) == pytest.approx(11, abs=1)
    assert rates.rates[-1] < 0.01


@pytest.mark.system
def test_a_schedule_that_ends_before_the_time_stays_as_it_is(clock):
    found = []
    for limits in ([], [TimeLimit(600)]):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(make_optimizer(TrainingConfig(schedule="cosine"), steps=8), loss="mse")
        rates = Rates(clock, 0.01)
        x = np.ones((8, 2), "float32")
        model.fit(x, x[:, :1], 1, callbacks=[rates, *limits], verbose=0)
        found.append(rates.rates)
    assert found[0] == pytest.approx(found[1], rel=1e-6)


@pytest.mark.parametrize(("seconds", "steps"), [(1.0, 4), (0.0, 2)])
def test_a_clock_that_has_not_moved_yet_is_no_error(seconds, steps, clock):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(make_optimizer(TrainingConfig(), steps=4), loss="mse")
    rates, x = Rates(clock, 0.0), np.ones((4, 2), "float32")
    model.fit(x, x[:, :1], 1, callbacks=[rates, TimeLimit(seconds)], verbose=0)
    assert len(rates.rates) == steps
