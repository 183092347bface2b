"""Two replicas, on the two logical CPUs that tests have, against one device."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnnapps.errors import ConfigError
from rnnapps.training import Checkpoint, GradientNorms, make_strategy, share_cores
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


def test_every_replica_gets_as_many_rows():
    for rows, cores in itertools.product(range(1, 130), range(1, 12)):
        count = replicas_for(rows, cores)
        assert rows % count == 0
        assert count == 1 or (count <= min(cores, 8) and rows // count >= 8)
    assert [replicas_for(64, 2), replicas_for(64, 16), replicas_for(15, 2)] == [2, 8, 1]


def test_no_core_is_a_mistake():
    with pytest.raises(ConfigError, match=r"Expected threads= to be at least 1\. Received: 0"):
        share_cores(0)
