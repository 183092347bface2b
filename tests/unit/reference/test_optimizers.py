"""Optimizers, schedules and clipping."""

import numpy as np
import pytest

from rnnapps.reference import (
    SGD,
    Adam,
    clip_by_global_norm,
    clip_by_value,
    exponential_decay,
    global_norm,
    step_decay,
)


def run(optimizer, gradients, start=0.0):
    """Return where one weight stands after each of its gradients."""
    params = {"w": np.array([start])}
    path = []
    for gradient in gradients:
        optimizer.update(params, {"w": np.array([gradient])})
        path.append(params["w"].item())
    return path


def test_plain_descent_is_the_gradient_times_the_learning_rate():
    np.testing.assert_allclose(run(SGD(0.1), [1.0, 2.0, -4.0], start=1.0), [0.9, 0.7, 1.1])


def test_momentum_adds_up_to_a_geometric_series():
    steps = -np.diff([0.0, *run(SGD(0.1, momentum=0.5), [1.0] * 5)])
    np.testing.assert_allclose(steps, 0.1 * (2 - 0.5 ** np.arange(5)))


def test_adam_steps_are_as_long_as_the_learning_rate_under_any_constant_gradient():
    for gradient in (1e-3, 1.0, 1e3):
        path = run(Adam(0.01, epsilon=0.0), [gradient] * 4)
        np.testing.assert_allclose(path, [-0.01, -0.02, -0.03, -0.04])


def test_adams_second_step_by_hand():
    # m = 0.9 * 0.1 - 0.1 * 3, v = 0.999 * 0.001 + 0.001 * 9; their biases 1 - 0.9^2, 1 - 0.999^2.
    first, second = run(Adam(0.1), [1.0, -3.0])
    assert first == pytest.approx(-0.1)
    step = 0.1 * (-0.21 / 0.19) / np.sqrt(0.009999 / 0.001999)
    assert second - first == pytest.approx(-step, rel=1e-7)


def test_each_weight_is_updated_in_place_with_a_memory_of_its_own():
    weights = {"a": np.zeros(2), "b": np.zeros((2, 2))}
    arrays = dict(weights)
    optimizer = SGD(1.0, momentum=1.0)
    optimizer.update(weights, {"a": np.ones(2), "b": np.zeros((2, 2))})
    optimizer.update(weights, {"a": np.zeros(2), "b": np.ones((2, 2))})
    assert all(weights[name] is arrays[name] for name in weights)
    np.testing.assert_array_equal(arrays["a"], [-2.0, -2.0])
    np.testing.assert_array_equal(arrays["b"], -np.ones((2, 2)))


def test_decays_have_the_values_of_their_formulas():
    smooth, stepped = exponential_decay(1.0, 0.25, 10), step_decay(1.0, 0.25, 10)
    np.testing.assert_allclose([smooth(t) for t in (0, 5, 10, 20)], [1, 0.5, 0.25, 0.0625])
    assert [stepped(t) for t in (0, 9, 10, 19, 20)] == [1, 1, 0.25, 0.25, 0.0625]


def test_a_schedule_counts_updates():
    path = run(SGD(step_decay(1.0, 0.5, 2)), [1.0] * 6)
    np.testing.assert_allclose(path, [-1, -2, -2.5, -3, -3.25, -3.5])


def test_clipping_by_value_cuts_each_entry():
    clipped = clip_by_value({"a": np.array([-3.0, 0.5]), "b": np.array([[2.0]])}, 1.0)
    np.testing.assert_array_equal(clipped["a"], [-1.0, 0.5])
    np.testing.assert_array_equal(clipped["b"], [[1.0]])


def test_clipping_by_global_norm_shortens_all_by_one_factor():
    gradients = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}
    assert global_norm(gradients) == 5.0
    clipped = clip_by_global_norm(gradients, 2.5)
    np.testing.assert_allclose(clipped["a"], [1.5, 0.0])
    np.testing.assert_allclose(clipped["b"], [[2.0]])


@pytest.mark.parametrize("limit", [5.0, 100.0])
def test_clipping_leaves_short_gradients_alone(limit):
    gradients = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}
    for name, clipped in clip_by_global_norm(gradients, limit).items():
        np.testing.assert_array_equal(clipped, gradients[name])


def test_clipping_takes_a_gradient_of_zero():
    np.testing.assert_array_equal(clip_by_global_norm({"a": np.zeros(3)}, 1.0)["a"], np.zeros(3))
