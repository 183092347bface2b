"""How server and client format numbers."""

import numpy as np


def shortest(array: np.ndarray) -> np.ndarray:
    """float32 numbers as the shortest decimals that round-trip: 0.2, not 0.20000000298."""
    return array.astype("U16").astype(np.float64)
