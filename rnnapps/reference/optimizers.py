"""Optimizers. An update changes the weights' arrays in place."""

import numpy as np

from rnnapps.reference.layer import Array
from rnnapps.reference.schedules import Schedule


class Optimizer:
    """Base class of the optimizers: a learning rate and an update count.

    Args:
        learning_rate: A number, or a schedule: a function from `iterations` to a number.
    """

    def __init__(self, learning_rate: float | Schedule):
        self._learning_rate = learning_rate
        self.iterations = 0

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next update."""
        if callable(self._learning_rate):
            return self._learning_rate(self.iterations)
        return self._learning_rate


class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    For a weight w with the gradient g:

        v = momentum * v - learning_rate * g
        w = w + v

    Args:
        learning_rate: A number or a schedule.
        momentum: Fraction of the last update to repeat; 0 is plain gradient descent.
    """

    def __init__(self, learning_rate: float | Schedule = 0.01, momentum: float = 0.0):
        super().__init__(learning_rate)
        self.momentum = momentum
        self.v: dict[str, Array] = {}

    def update(self, params: dict[str, Array], gradients: dict[str, Array]) -> None:
        """Move every weight in `params` once, in place."""
        for name, g in gradients.items():
            v = self.v.get(name, 0.0)
            self.v[name] = self.momentum * v - self.learning_rate * g
            params[name] += self.v[name]
        self.iterations += 1


class Adam(Optimizer):
    """Gradient descent with an adaptive step size for each weight.

    At update t, for a w with the gradient g:

        m = beta_1 * m + (1 - beta_1) * g              running mean of the gradient
        v = beta_2 * v + (1 - beta_2) * g^2            and of its square
        m_hat = m / (1 - beta_1^t)                     bias correction: both start at 0
        v_hat = v / (1 - beta_2^t)
        w = w - learning_rate * m_hat / (sqrt(v_hat) + epsilon)

    For gradients of any size, each weight's step is about `learning_rate`.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Decay rate of the mean.
        beta_2: Decay rate of the mean square.
        epsilon: Avoids division by zero.

    Reference:
        Kingma & Ba, 2015, Adam: a method for stochastic optimization.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
    ):
        super().__init__(learning_rate)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.m: dict[str, Array] = {}
        self.v: dict[str, Array] = {}

    def update(self, params: dict[str, Array], gradients: dict[str, Array]) -> None:
        """Move every weight in `params` once, in place."""
        t = self.iterations + 1
        for name, g in gradients.items():
            m = self.beta_1 * self.m.get(name, 0.0) + (1 - self.beta_1) * g
            v = self.beta_2 * self.v.get(name, 0.0) + (1 - self.beta_2) * g**2
            m_hat = m / (1 - self.beta_1**t)
            v_hat = v / (1 - self.beta_2**t)
            params[name] -= self.learning_rate * m_hat / (np.sqrt(v_hat) + self.epsilon)
            self.m[name], self.v[name] = m, v
        self.iterations += 1
