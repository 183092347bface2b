"""The gradient as its definition has it, to hold the hand-written ones against."""

from collections.abc import Callable

import numpy as np


def central_differences(loss: Callable[[], float], array: np.ndarray) -> np.ndarray:
    """Return d loss() / d array: nudge each entry in place, up and down, and put it back."""
    step = 1e-5
    gradient = np.empty_like(array)
    for index in np.ndindex(array.shape):
        entry = array[index]
        array[index] = entry + step
        above = loss()
        array[index] = entry - step
        below = loss()
        array[index] = entry
        gradient[index] = (above - below) / (2 * step)
    return gradient


def assert_is_gradient(gradient: np.ndarray, loss: Callable[[], float], array: np.ndarray) -> None:
    """Check every entry to 1e-6 relative; below 1e-3, where differences round, to 1e-9."""
    assert gradient.shape == array.shape
    np.testing.assert_allclose(gradient, central_differences(loss, array), rtol=1e-6, atol=1e-9)
