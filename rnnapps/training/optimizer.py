"""Adam with clipping by the global norm, decoupled weight decay and a schedule."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from rnnapps.config import TrainingConfig
from rnnapps.training.layerwise import LayerwiseAdam

FLOOR = 0.01  # what the exponential schedule leaves of the learning rate at the end


class Observed:
    """A mixin for optimizers: adds the gradients up before they are clipped and squared.

    Keras clips each replica's share; and it takes the norm and the squares of an embedding's
    gradient where the parts of a token that occurs several times are not added up yet. The sums of
    each step are shown, in the graph, to `observe`. Of the learning rate's schedules `spans` names
    the attributes that count steps, which are shares of `steps`. A moving average of the weights
    begins with a momentum of little more than 0, or it would long remember the weights that the
    training began with.
    """

    observe: Callable[[Sequence[tf.Tensor | None]], None] | None = None
    spans: Sequence[tuple[keras.optimizers.schedules.LearningRateSchedule, str]] = ()
    steps: int = 0

    @property
    def ema_momentum(self):
        """The momentum of the moving average at this step."""
        steps = keras.ops.cast(self.iterations, "float32")
        return keras.ops.minimum(self._ema, (1 + steps) / (10 + steps))

    @ema_momentum.setter
    def ema_momentum(self, value: float):
        self._ema = value

    def get_config(self):
        """What `from_config` takes."""
        return {**super().get_config(), "ema_momentum": self._ema}

    def apply(self, grads, trainable_variables=None):
        context, first = tf.distribute.get_replica_context(), True
        if context and context.num_replicas_in_sync > 1:
            known = [gradient for gradient in grads if gradient is not None]
            sums = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, known))
            grads = [None if gradient is None else next(sums) for gradient in grads]
            first = not tf.get_static_value(context.replica_id_in_sync_group)
        grads = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in grads]
        if self.observe is not None and first:
            self.observe(grads)
        return super().apply(grads, trainable_variables)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return list(grads_and_vars)  # which are sums already


class ObservedAdam(Observed, keras.optimizers.Adam):
    """`keras.optimizers.Adam` that can be observed."""


class ObservedAdamW(Observed, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` that can be observed."""


class ObservedLayerwiseAdam(Observed, LayerwiseAdam):
    """`LayerwiseAdam` that can be observed."""


@keras.saving.register_keras_serializable("rnnapps")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that first rises from 0.

    Args:
        rate: The learning rate, or its schedule, to which it rises.
        steps: Over how many training steps.

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762).
    """

    def __init__(self, rate: float | keras.optimizers.schedules.LearningRateSchedule, steps: int):
        super().__init__()
        self.rate, self.steps = rate, steps

    def __call__(self, step):
        rate = self.rate(step) if callable(self.rate) else self.rate
        return rate * keras.ops.minimum(1.0, (keras.ops.cast(step, "float32") + 1) / self.steps)

    def get_config(self):
        """What `from_config` takes."""
        return {"rate": keras.saving.serialize_keras_object(self.rate), "steps": self.steps}

    @classmethod
    def from_config(cls, config):
        """Makes the schedule from what `get_config` returned."""
        return cls(keras.saving.deserialize_keras_object(config["rate"]), config["steps"])


def make_optimizer(config: TrainingConfig, steps: int) -> keras.optimizers.Optimizer:
    """Makes the optimizer that a configuration asks for.

    Args:
        config: Its `learning_rate`, `schedule`, `warmup`, `weight_decay`, `clip_norm`, `ema`,
            `layer_rate_decay` and `unfreeze_gradually` are read.
        steps: Number of training steps over which the schedule runs.

    Returns:
        Adam, AdamW where the weights decay, or `LayerwiseAdam` where layers differ.

    Reference:
        - [Kingma and Ba, 2015](https://arxiv.org/abs/1412.6980)
        - [Loshchilov and Hutter, 2019](https://arxiv.org/abs/1711.05101)
        - [Polyak and Juditsky, 1992](https://doi.org/10.1137/0330046) for averages of weights
    """
    rate, spans = config.learning_rate, []
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
        spans.append((rate, "decay_steps"))
    elif config.schedule == "exponential":
        rate = keras.optimizers.schedules.ExponentialDecay(rate, steps, FLOOR)
        spans.append((rate, "decay_steps"))
    if warm := math.ceil(config.rising * steps):
        rate = WarmUp(rate, warm)
        spans.append((rate, "steps"))
    options = {"learning_rate": rate, "global_clipnorm": config.clip_norm or None}
    if config.ema:
        options |= {"use_ema": True, "ema_momentum": config.ema}
    optimizer = _with_decay(config, options)
    optimizer.spans, optimizer.steps = tuple(spans), steps
    return optimizer


def _with_decay(config: TrainingConfig, options: dict[str, Any]) -> keras.optimizers.Optimizer:
    if config.layer_rate_decay < 1 or config.unfreeze_gradually:
        return ObservedLayerwiseAdam(
            decay=config.layer_rate_decay, shrink=config.weight_decay, **options
        )
    if config.weight_decay:
        optimizer = ObservedAdamW(weight_decay=config.weight_decay, **options)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return optimizer
    return ObservedAdam(**options)
