import numpy as np
import pytest

from rnnapps.reference import mean_squared_error, softmax_cross_entropy

from .central_differences import assert_is_gradient

MASKS = [None, np.array([[True, False, True], [False, True, True]]), np.zeros((2, 3), bool)]


@pytest.mark.parametrize("mask", MASKS)
def test_cross_entropy_gradients_are_central_differences(mask):
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(2, 3, 4)), rng.integers(4, size=(2, 3))
    _, d_logits = softmax_cross_entropy(logits, targets, mask)
    assert_is_gradient(d_logits, lambda: softmax_cross_entropy(logits, targets, mask)[0], logits)


@pytest.mark.parametrize("mask", MASKS)
def test_squared_error_gradients_are_central_differences(mask):
    rng = np.random.default_rng(0)
    predictions, targets = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    _, d_predictions = mean_squared_error(predictions, targets, mask)
    assert_is_gradient(
        d_predictions, lambda: mean_squared_error(predictions, targets, mask)[0], predictions
    )


def test_cross_entropy_of_known_distributions():
    # Knowing nothing about 8 classes costs log 8; shares 1/2, 1/4, 1/4 cost log 2 and log 4.
    assert softmax_cross_entropy(np.zeros((3, 8)), np.array([0, 3, 7]))[0] == pytest.approx(
        np.log(8)
    )
    logits = np.log([[0.5, 0.25, 0.25]] * 2)
    assert softmax_cross_entropy(logits, np.array([0, 2]))[0] == pytest.approx(np.log(8) / 2)


def test_cross_entropy_is_exact_where_the_probability_underflows():
    loss, d_logits = softmax_cross_entropy(np.array([[0.0, 5000.0]]), np.array([0]))
    assert loss == pytest.approx(5000.0)
    np.testing.assert_allclose(d_logits, [[-1.0, 1.0]])


def test_what_is_masked_does_not_count():
    targets = np.array([[0, 1, 2]])
    logits = np.log([[[0.5, 0.25, 0.25], [0.9, 0.05, 0.05], [0.25, 0.25, 0.5]]])
    loss, _ = softmax_cross_entropy(logits, targets, np.array([[True, False, True]]))
    assert loss == pytest.approx(np.log(2))
    mask = np.array([True, False, True])
    loss, _ = mean_squared_error(np.array([1.0, 9.0, 3.0]), np.zeros(3), mask)
    assert loss == pytest.approx((1 + 9) / 2)


def test_squared_error_does_not_broadcast():
    with pytest.raises(ValueError, match=r"targets of shape \(3, 1\).*Received: shape \(3,\)"):
        mean_squared_error(np.zeros((3, 1)), np.zeros(3))
