"""Two replicas, on the two logical CPUs that tests have, against one device."""

import contextlib
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly

from rnnapps import SentimentConfig
from rnnapps.errors import ConfigError
from rnnapps.training import (
    Checkpoint,
    GradientNorms,
    SaveEvery,
    compile_model,
    fit,
    make_strategy,
    share_cores,
    strategy_of,
    use_cores,
)
from rnnapps.training.losses import GlobalMean
from rnnapps.training.optimizer import Observed
from rnnapps.training.strategy import replicas_for

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(32, 3)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")
WEIGHTS = np.tile([1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0], 4).astype("float32")  # filled up
DATA = tf.data.Dataset.from_tensor_slices((X, Y, WEIGHTS)).batch(8)


class ObservedSGD(Observed, keras.optimizers.SGD):
    """Descends, and can be observed."""


def trained(strategy, optimizer=ObservedSGD, loss=GlobalMean):
    mean = keras.losses.MeanSquaredError("mean_with_sample_weight")
    with make_strategy(strategy).scope():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile(
            optimizer(0.1, global_clipnorm=0.7),
            loss(mean),
            weighted_metrics=["mean_absolute_error"],
        )
    norms = [GradientNorms()] if optimizer is ObservedSGD else []
    history = model.fit(
        DATA, epochs=2, validation_data=DATA, shuffle=False, verbose=0, callbacks=norms
    )
    return model.get_weights(), history.history


def test_the_numbers_are_those_of_one_device():
    (one, history), (two, other) = trained("cpu"), trained("mirrored")
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert history.keys() == other.keys() >= {"loss", "val_loss", "gradient_norm"}
    for name in history:
        np.testing.assert_allclose(history[name], other[name], rtol=1e-5)
    assert 0 < history["gradients_clipped"][0] <= 1


def keras_loss(loss):
    return loss


@pytest.mark.system
@pytest.mark.parametrize("kept", [{"optimizer": keras.optimizers.SGD}, {"loss": keras_loss}])
def test_keras_itself_still_gets_other_numbers(kept):
    """When this fails, Keras clips the sum, or has the global mean, and ours can go."""
    one, two = (trained(strategy, **kept)[0] for strategy in ("cpu", "mirrored"))
    assert np.abs(one[0] - two[0]).max() > 1e-4


def test_each_replica_draws_its_own_dropout_and_the_first_as_one_device(tmp_path):
    masks = []
    for name in ("cpu", "mirrored"):
        strategy = make_strategy(name)
        with strategy.scope():
            model = keras.Sequential([keras.Input((64,)), keras.layers.Dropout(0.5)])
        checkpoint = Checkpoint(tmp_path / name, seed=3)
        checkpoint.set_model(model)
        checkpoint.on_epoch_begin(0)
        drop = tf.function(lambda model=model: model(tf.ones((1, 64)), training=True))
        masks += strategy.experimental_local_results(strategy.run(drop))
    alone, first, second = masks
    np.testing.assert_array_equal(alone, first)
    assert np.any(first != second)


class Carrying(keras.Model):
    """Draws, measures and carries on: all that an epoch has begun."""

    def __init__(self, rows):
        super().__init__()
        self.dense, self.drop = keras.layers.Dense(1), keras.layers.Dropout(0.3)
        kept = {"synchronization": "on_read", "aggregation": "only_first_replica"}
        self.carried = [keras.Variable("zeros", (rows, 1), trainable=False, **kept)]
        self.dense.build((None, 3))
        self.built = True

    def call(self, x, training=None):
        y = self.dense(self.drop(x, training=training)) + 0.5 * self.carried[0]
        self.carried[0].assign(tf.stop_gradient(y))
        return y


class Rounds:
    """Four batches an epoch, others in each."""

    def __len__(self):
        return 4

    def epochs(self, first=0):
        return tf.data.Dataset.range(first, 99).flat_map(
            lambda e: DATA.skip(e % 2).concatenate(DATA.take(e % 2))
        )


class Killed(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_epoch_begin(self, epoch, logs=None):
        for variable in self.model.carried:  # as streams do
            variable.assign(tf.zeros(variable.shape))

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


@pytest.mark.system
@pytest.mark.parametrize("name", ["auto", "cpu", "mirrored"])
def test_training_goes_on_within_an_epoch_as_if_nothing_had_been(name, tmp_path):
    config = SentimentConfig(epochs=3, learning_rate=0.05, schedule="constant")
    found = []
    kills = [7] if name == "mirrored" else [7, 4]  # in epoch 2, and in 3
    for folder, steps in (("whole", [99]), ("killed", [*kills, 99])):
        for step in steps:
            keras.utils.set_random_seed(0)
            with make_strategy(name).scope():
                model = Carrying(4 if name == "mirrored" else 8)
                error = keras.metrics.MeanAbsoluteError()
                compile_model(model, config, 12, keras.losses.MeanSquaredError(), [error])
            extra = [Killed(step), SaveEvery(2)]
            try:
                with eagerly() if name == "auto" else contextlib.nullcontext():
                    history = fit(model, Rounds(), DATA, config, 3, tmp_path / folder, extra)
            except KeyboardInterrupt:
                assert [p.name for p in (tmp_path / folder).glob("epoch-*-*")]
        weights = [v.numpy() for v in model.trainable_variables]
        found.append((weights, [sorted(row.items()) for row in history]))
    (whole, rows), (killed, others) = found
    for one, other in zip(whole, killed, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    for row, other in zip(rows, others, strict=True):
        assert [k for k, _ in row] == [k for k, _ in other]
        np.testing.assert_allclose([v for _, v in row], [v for _, v in other], rtol=1e-5)


def test_every_replica_gets_as_many_rows():
    for rows, cores in itertools.product(range(1, 130), range(1, 12)):
        count = replicas_for(rows, cores)
        assert rows % count == 0
        assert count == 1 or (count <= min(cores, 8) and rows // count >= 8)
    assert [replicas_for(64, 2), replicas_for(64, 16), replicas_for(15, 2)] == [2, 8, 1]


def test_replicas_share_a_last_batch_of_any_size_and_what_a_batch_leaves_out():
    strategy = make_strategy("mirrored")
    batches = tf.data.Dataset.range(13).batch(5).map(lambda x: (x, None))
    shared = [rows for rows, _ in strategy.experimental_distribute_dataset(batches)]
    found = [
        [x.numpy().tolist() for x in strategy.experimental_local_results(rows)] for rows in shared
    ]
    assert found == [[[0, 1], [2, 3, 4]], [[5, 6], [7, 8, 9]], [[10], [11, 12]]]


def test_no_core_is_a_mistake():
    with pytest.raises(ConfigError, match=r"Expected threads= to be at least 1\. Received: 0"):
        share_cores(0)


def test_one_device_is_no_news_to_who_asked_for_one_core(capfd):
    config = SentimentConfig(batch_size=64)
    use_cores(config, threads=1)
    assert strategy_of(config).num_replicas_in_sync == 1
    assert capfd.readouterr().err == ""
