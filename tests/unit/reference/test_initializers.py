import numpy as np
import pytest

from rnnapps.reference import glorot_uniform, he_normal, lstm_bias, orthogonal


@pytest.mark.parametrize("shape", [(5, 5), (4, 16), (16, 4)])
def test_orthogonal_matrices_are_orthogonal(shape):
    matrix = orthogonal(shape, np.random.default_rng(0))
    assert matrix.shape == shape
    if shape[0] > shape[1]:
        matrix = matrix.T
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(len(matrix)), atol=1e-14)


def test_orthogonal_matrices_favour_no_direction():
    rng = np.random.default_rng(0)
    mean = np.mean([orthogonal((3, 3), rng) for _ in range(4000)], axis=0)
    # Each entry has the variance 1/3; five standard errors of the mean are 0.046.
    np.testing.assert_allclose(mean, np.zeros((3, 3)), atol=0.046)


def test_glorot_uniform_has_its_limit_and_its_variance():
    weights = glorot_uniform((300, 200), np.random.default_rng(0))
    assert np.abs(weights).max() <= np.sqrt(6 / 500)
    assert weights.var() == pytest.approx(2 / 500, rel=0.02)


def test_he_normal_keeps_the_mean_square_through_relu_layers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 400))
    for _ in range(3):
        x = np.maximum(x @ he_normal((400, 400), rng), 0)
    assert np.mean(x**2) == pytest.approx(1.0, rel=0.1)


def test_forget_bias_is_one():
    np.testing.assert_array_equal(lstm_bias(2), [0, 0, 1, 1, 0, 0, 0, 0])
