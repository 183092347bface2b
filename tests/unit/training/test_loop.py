"""Which weights a training leaves, and what networks learn with."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnnapps import SentimentConfig
from rnnapps.training import compile_model, fit, members

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


def test_no_two_networks_have_one_seed_whatever_the_configurations():
    seeds = [[own.seed for _, own, _ in members(SentimentConfig(seed=s), 9, None)] for s in (0, 1)]
    assert [one[0] for one in seeds] == [0, 1]  # by which the data is divided, too
    assert len({*seeds[0], *seeds[1]}) == 18
    SentimentConfig(seed=max(map(max, seeds)))  # takes each of them
