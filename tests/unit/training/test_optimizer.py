import keras
import numpy as np
import pytest
import tensorflow as tf

from rnnapps import SentimentConfig
from rnnapps.errors import ConfigError
from rnnapps.training import make_optimizer


def rates(schedule, steps=10, **settings):
    config = SentimentConfig(schedule=schedule, learning_rate=0.1, **settings)
    optimizer = make_optimizer(config, steps)
    weight = tf.Variable([1.0])
    found = []
    for _ in range(steps + 1):
        found.append(float(optimizer.learning_rate))
        optimizer.apply([tf.constant([1.0])], [weight])
    return np.array(found)


def test_schedules_fall_as_they_say():
    np.testing.assert_allclose(rates("constant"), 0.1)
    np.testing.assert_allclose(rates("exponential")[[0, 5, 10]], [0.1, 0.01, 0.001], rtol=1e-5)
    np.testing.assert_allclose(rates("cosine")[[0, 5, 10]], [0.1, 0.05, 0.0], atol=1e-6)


def test_a_rate_rises_before_it_falls():
    np.testing.assert_allclose(rates("constant", warmup=0.4)[:6], [0.025, 0.05, 0.075, *[0.1] * 3])
    risen = rates("cosine", warmup=0.4)
    np.testing.assert_allclose(risen[3:], rates("cosine")[3:], rtol=1e-6)
    np.testing.assert_allclose(risen[:3], rates("cosine")[:3] * [0.25, 0.5, 0.75], rtol=1e-6)
    assert rates("constant", 40, cell="transformer")[0] == pytest.approx(0.05)
    assert rates("plateau", cell="transformer")[0] == pytest.approx(0.1)
    with pytest.raises(ConfigError, match=r"no warmup= with schedule=plateau\. Received: 0\.1"):
        SentimentConfig(warmup=0.1, schedule="plateau")


@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_gradients_are_clipped_by_their_global_norm(clip):
    # One step of Adam with no memory and a large epsilon is nearly the gradient itself.
    optimizer = make_optimizer(
        SentimentConfig(clip_norm=clip, schedule="constant", learning_rate=1e-3), 1
    )
    optimizer.beta_1, optimizer.beta_2, optimizer.epsilon = 0.0, 0.0, 1e6
    weights = [tf.Variable([0.0]), tf.Variable([0.0])]
    optimizer.apply([tf.constant([3.0]), tf.constant([4.0])], weights)
    step = -np.array([float(w[0]) for w in weights]) * 1e6 / 1e-3
    np.testing.assert_allclose(step, [3.0, 4.0] if not clip else [0.3, 0.4], rtol=1e-3)


@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.1}, {"layer_rate_decay": 0.5}])
@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_a_token_that_occurs_often_counts_as_the_sum_of_its_gradients(settings, clip):
    config = SentimentConfig(clip_norm=clip, learning_rate=0.1, **settings)
    ids, rng = tf.constant([1, 1, 2, 1, 0, 1]), np.random.default_rng(0)
    parts = [tf.constant(rng.normal(1, 1, (6, 3)), tf.float32) for _ in range(4)]

    def trained(as_gradient):
        with keras.name_scope("embedding"):
            weight = keras.Variable(np.ones((4, 3), "float32"), name="embeddings")
        optimizer = make_optimizer(config, 4)
        for part in parts:
            optimizer.apply([as_gradient(tf.IndexedSlices(part, ids, (4, 3)))], [weight])
        return weight.numpy()

    def summed(slices):
        return tf.math.unsorted_segment_sum(slices.values, slices.indices, 4)

    np.testing.assert_allclose(trained(lambda slices: slices), trained(summed), rtol=1e-5)


def test_weights_decay_but_biases_do_not():
    optimizer = make_optimizer(
        SentimentConfig(weight_decay=0.1, schedule="constant", learning_rate=1e-3), 1
    )
    kernel, bias = tf.Variable([1.0], name="kernel"), tf.Variable([1.0], name="bias")
    optimizer.apply([tf.constant([0.0]), tf.constant([0.0])], [kernel, bias])
    np.testing.assert_allclose(kernel, [1 - 0.1 * 1e-3], rtol=1e-6)
    np.testing.assert_allclose(bias, [1.0])
