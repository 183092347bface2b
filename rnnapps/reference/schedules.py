"""Learning-rate decay: large steps first, small ones near the optimum.

A schedule is a function from the number of updates made so far to a learning rate.
"""

from collections.abc import Callable

Schedule = Callable[[int], float]


def exponential_decay(initial: float, rate: float, steps: int) -> Schedule:
    """Multiply by `rate` every `steps` updates, smoothly: initial * rate^(step / steps).

    Args:
        initial: Learning rate at first.
        rate: Factor, below 1.
        steps: Updates between two factors.

    Returns:
        The schedule.
    """
    return lambda step: initial * rate ** (step / steps)


def step_decay(initial: float, rate: float, steps: int) -> Schedule:
    """Multiply by `rate` every `steps` updates, at once: initial * rate^floor(step / steps).

    Args:
        initial: Learning rate at first.
        rate: Factor, below 1.
        steps: Updates between two factors.

    Returns:
        The schedule.
    """
    return lambda step: initial * rate ** (step // steps)
