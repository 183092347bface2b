"""Adam with clipping by the global norm, decoupled weight decay and a schedule."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from rnnapps.config import TrainingConfig
from rnnapps.training.layerwise import LayerwiseAdam

FLOOR = 0.01  # what the exponential schedule leaves of the learning rate at the end


class Observed:
    """A mixin for optimizers: shows the gradients of each step, in the graph, to `observe`."""

    observe: Callable[[Sequence[tf.Tensor | None]], None] | None = None

    def apply(self, grads, trainable_variables=None):
        if self.observe is not None:
            self.observe(grads)
        return super().apply(grads, trainable_variables)


class ObservedAdam(Observed, keras.optimizers.Adam):
    """`keras.optimizers.Adam` that can be observed."""


class ObservedAdamW(Observed, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` that can be observed."""


class ObservedLayerwiseAdam(Observed, LayerwiseAdam):
    """`LayerwiseAdam` that can be observed."""


def make_optimizer(config: TrainingConfig, steps: int) -> keras.optimizers.Optimizer:
    """Makes the optimizer that a configuration asks for.

    With several replicas Keras clips each one's share of the gradients, before they are added.

    Args:
        config: Its `learning_rate`, `schedule`, `weight_decay`, `clip_norm`, `layer_rate_decay` and
            `unfreeze_gradually` are read.
        steps: Number of training steps over which the schedule runs.

    Returns:
        Adam, AdamW where the weights decay, or `LayerwiseAdam` where layers differ.

    Reference:
        - [Kingma and Ba, 2015](https://arxiv.org/abs/1412.6980)
        - [Loshchilov and Hutter, 2019](https://arxiv.org/abs/1711.05101)
    """
    rate = config.learning_rate
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    elif config.schedule == "exponential":
        rate = keras.optimizers.schedules.ExponentialDecay(rate, steps, FLOOR)
    options = {"learning_rate": rate, "global_clipnorm": config.clip_norm or None}
    if config.layer_rate_decay < 1 or config.unfreeze_gradually:
        return ObservedLayerwiseAdam(
            decay=config.layer_rate_decay, shrink=config.weight_decay, **options
        )
    if config.weight_decay:
        optimizer = ObservedAdamW(weight_decay=config.weight_decay, **options)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return optimizer
    return ObservedAdam(**options)
