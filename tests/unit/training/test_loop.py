"""Which weights a training leaves, how long it takes, and what networks learn with."""

import contextlib
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly

from rnnapps import SentimentConfig
from rnnapps.layers import RecurrentStack
from rnnapps.training import EpochSeconds, SaveEvery, compile_model, fit, members, spent

CONFIG = SentimentConfig(learning_rate=0.1, schedule="constant", clip_norm=0, patience=0)
X = np.ones((8, 1), np.float32)
WORSE = tf.data.Dataset.from_tensors((X, -X))  # the further it learns, the worse on these


class Rows:
    """A batch an epoch."""

    def __len__(self):
        return 1

    def epochs(self, first=0):
        return tf.data.Dataset.from_tensors((X, X)).repeat()


class Watch(keras.callbacks.Callback):
    """What the weight is after each epoch."""

    def on_train_begin(self, logs=None):
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(float(self.model.weights[0].numpy()[0, 0]))


@pytest.mark.parametrize("last", [False, True])
def test_the_best_weights_are_left_or_the_last(last):
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((1,)), layer])
    compile_model(model, CONFIG, 4, keras.losses.MeanSquaredError())
    watch = Watch()
    history = fit(model, Rows(), WORSE, CONFIG, 4, None, [watch], keep_last=last)
    losses = [row["val_loss"] for row in history]
    assert len(losses) == 4 and losses == sorted(losses)
    assert float(layer.kernel.numpy()[0, 0]) == watch.weights[3 if last else 0]


class Counted(keras.layers.Dense):
    """A layer that counts how often it is called: once for each graph."""

    calls = 0

    def call(self, inputs, training=None):
        self.calls += bool(training)
        return super().call(inputs, training)


def test_the_step_of_a_training_is_traced_once():
    layer = Counted(1)
    model = keras.Sequential([keras.Input((1,)), layer])
    compile_model(model, CONFIG, 4, keras.losses.MeanSquaredError())
    fit(model, Rows(), WORSE, CONFIG, 2)
    assert layer.calls == 1


def test_no_two_networks_have_one_seed_whatever_the_configurations():
    seeds = [[own.seed for _, own, _ in members(SentimentConfig(seed=s), 9, None)] for s in (0, 1)]
    assert [one[0] for one in seeds] == [0, 1]  # by which the data is divided, too
    assert len({*seeds[0], *seeds[1]}) == 18
    SentimentConfig(seed=max(map(max, seeds)))  # takes each of them


class Rounds(Rows):
    """Two batches an epoch."""

    def __len__(self):
        return 2


class Slow(keras.callbacks.Callback):
    """A network that takes a second for a step, and is killed before one of them."""

    def __init__(self, clock, step):
        super().__init__()
        self.clock, self.left = clock, step

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        self.clock[0] += 1.0


@eagerly()
def test_the_seconds_of_a_training_are_those_of_all_its_processes(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for step, seconds in ((3, 3.0), (99, 6.0)):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        compile_model(model, CONFIG, 6, keras.losses.MeanSquaredError())
        clock = EpochSeconds()
        with contextlib.suppress(KeyboardInterrupt):
            callbacks = [Slow(now, step), SaveEvery(1), clock]
            fit(model, Rounds(), WORSE, CONFIG, 3, tmp_path / "network", callbacks)
        assert spent(tmp_path) == seconds
        now[0] += 1000.0  # until it goes on
    assert clock.seconds == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_what_xla_compiles_has_no_cudnn_on_a_gpu(cell, monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["GPU:0"] * (kind == "GPU"))
    for jit in (False, True):
        stack = RecurrentStack(cell, 2, bidirectional=True)
        model = keras.Sequential([keras.Input((None, 1)), stack])
        config = CONFIG.model_copy(update={"jit": jit})
        compile_model(model, config, 1, keras.losses.MeanSquaredError())
        assert model.jit_compile is jit
        (both,) = stack.layers
        for one in (both.forward_layer, both.backward_layer):
            assert one.can_use_cudnn(training=True) is not jit
