"""The moving average of a model's weights, against one that NumPy makes of the weights seen."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly

from rnnapps import SentimentConfig
from rnnapps.training import compile_model, fit, make_strategy

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(32, 3)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")
HELD = tf.data.Dataset.from_tensor_slices((X[:8] + 1, Y[:8])).batch(8)
MOMENTUM = 0.7
CONFIG = SentimentConfig(ema=MOMENTUM, learning_rate=0.1, schedule="constant", clip_norm=0)


class Rows:
    """Four batches an epoch."""

    def __len__(self):
        return 4

    def epochs(self, first=0):
        return tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).repeat()


class Watch(keras.callbacks.Callback):
    """What the weights are after each step, and what other callbacks are shown of an epoch."""

    def __init__(self):
        super().__init__()
        self.steps, self.epochs = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append([v.numpy() for v in self.model.trainable_variables])

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append([v.numpy() for v in self.model.trainable_variables])


def trained(epochs=4, strategy="cpu", validation=HELD, folder=None, config=CONFIG):
    with make_strategy(strategy).scope():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        compile_model(model, config, 16, keras.losses.MeanSquaredError())
    watch = Watch()
    with eagerly() if strategy == "cpu" else contextlib.nullcontext():  # in a graph: replicas
        history = fit(model, Rows(), validation, config, epochs, folder, [watch])
    return [v.numpy() for v in model.trainable_variables], history, watch


def averages(steps):
    """The average after each step."""
    found = [steps[0]]
    for t, weights in enumerate(steps[1:], start=1):
        momentum = min(MOMENTUM, (1 + t) / (10 + t))
        pairs = zip(found[-1], weights, strict=True)
        found.append([momentum * old + (1 - momentum) * new for old, new in pairs])
    return found


def loss(weights):
    kernel, bias = weights
    return float(np.mean(((X[:8] + 1) @ kernel + bias - Y[:8]) ** 2))


def assert_close(one, two, atol=1e-5):
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=atol)


def test_the_average_is_measured_and_the_best_of_it_is_kept():
    kept, history, watch = trained()
    ends = averages(watch.steps)[3::4]
    for row, average, shown in zip(history, ends, watch.epochs, strict=True):
        assert row["val_loss"] == pytest.approx(loss(average), rel=1e-5)
        assert_close(average, shown)
    best = int(np.argmin([row["val_loss"] for row in history]))
    assert_close(kept, ends[best])


def test_the_weights_themselves_learn_as_without_an_average():
    plain = CONFIG.model_copy(update={"ema": 0.0})
    for one, two in zip(trained()[2].steps, trained(config=plain)[2].steps, strict=True):
        assert_close(one, two, atol=0)


def test_without_a_validation_part_the_last_average_is_kept():
    kept, _, watch = trained(validation=None)
    assert_close(kept, averages(watch.steps)[-1])


@pytest.mark.system
def test_replicas_average_as_one_device():
    one, history, _ = trained()
    two, other, _ = trained(strategy="mirrored")
    assert_close(one, two)
    for row, like in zip(history, other, strict=True):
        assert row["val_loss"] == pytest.approx(like["val_loss"], rel=1e-4)


@pytest.mark.system
def test_an_interrupted_training_goes_on(tmp_path):
    expected, history, _ = trained()
    trained(epochs=2, folder=tmp_path)
    received, rows, _ = trained(folder=tmp_path)
    assert_close(expected, received, atol=0)
    assert rows == history


def test_layers_with_rates_of_their_own_are_averaged_too():
    config = CONFIG.model_copy(update={"layer_rate_decay": 0.5})
    kept, _, watch = trained(validation=None, config=config)
    assert_close(kept, averages(watch.steps)[-1])
