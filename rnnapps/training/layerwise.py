"""Layers with learning rates of their own, and from different epochs on."""

import re
from collections.abc import Sequence
from typing import Any, TypeVar

import keras

from rnnapps.config import TrainingConfig

C = TypeVar("C", bound=TrainingConfig)


def as_whole(config: C) -> C:
    """The configuration of a network of which no layer has learned anything before.

    Args:
        config: That of a network whose layers may differ in it.

    Returns:
        The configuration, by which all layers learn alike.
    """
    alike = {"freeze": False, "unfreeze_gradually": False, "layer_rate_decay": 1.0}
    return config.model_copy(update={**alike, "init_from": None})


def levels(variables: Sequence[keras.Variable]) -> list[int]:
    """How high in its network each weight stands.

    Embeddings stand at 0, then come the recurrent layers or a Transformer's blocks, one above the
    other, and at the top all that is neither, such as the layer that makes the output.

    Args:
        variables: Weights of a network, in its order.

    Returns:
        The level of each.
    """
    blocks: dict[str, int] = {}  # recurrent layers and what stands around each of them, by path
    owners: list[str | None] = []
    for variable in variables:
        parts = variable.path.split("/")
        inside = [i for i, part in enumerate(parts) if "_cell" in part]
        inside = inside or [i + 1 for i, part in enumerate(parts) if re.match(r"block_\d+$", part)]
        if inside:
            end = inside[0] - (parts[inside[0] - 1].startswith(("forward_", "backward_")))
            own = (part for part in parts[: max(1, end)] if part not in ("forward", "backward"))
            block = _numbered("/".join(own))  # a stack for each direction has the same levels
            blocks.setdefault(block, 1 + len(blocks))
            owners.append(block)
        elif "normalization" in parts[-2] and owners and owners[-1]:
            owners.append(owners[-1])
        else:
            owners.append("" if "embed" in "/".join(parts[:-1]) else None)
    top = 1 + len(blocks)
    return [top if one is None else blocks.get(one, 0) for one in owners]


def _numbered(path: str) -> str:
    """A layer's path with its number alone: `recurrent/gru_1` and `recurrent/block_1` are one."""
    return re.sub(r"[a-z_]+_(\d+)$", r"\1", path)


def freeze(model: keras.Model) -> None:
    """Leaves only the top level of a network to be trained, see `levels`; before it is compiled.

    Args:
        model: The network.
    """
    variables = model.trainable_variables
    heights = levels(variables)
    for variable, level in zip(variables, heights, strict=True):
        variable.trainable = level == max(heights)


class LayerwiseAdam(keras.optimizers.Adam):
    """Adam whose learning rate falls from the top of a network to its bottom.

    A layer learns at `decay` times the rate of the one above it; the weight decay is decoupled, as
    in AdamW, and falls alike. A layer that is frozen has no rate.

    Args:
        learning_rate: Of the top level (`levels`).
        decay: What each level below has of it.
        shrink: The weight decay; biases and the like have none.
        **options: Arguments of `keras.optimizers.Adam`.

    Reference:
        - [Howard and Ruder, 2018](https://arxiv.org/abs/1801.06146), section 3.2
    """

    def __init__(self, learning_rate: Any, decay: float, shrink: float = 0.0, **options: Any):
        super().__init__(learning_rate, **options)
        self.decay, self.shrink = decay, shrink

    def build(self, variables):
        """Creates the optimizer's variables."""
        if self.built:
            return
        super().build(variables)
        self.heights = tuple(levels(variables))
        names = ("bias", "gamma", "beta")
        self.shrinks = tuple(not any(name in v.name for name in names) for v in variables)
        rates = self._rates(max(self.heights))

        def initial(shape, dtype=None):  # this may happen within a graph, where nothing is assigned
            return keras.ops.convert_to_tensor(rates, dtype)

        self.rates = self.add_variable((len(rates),), initial, name="rates")

    def thaw(self, depth: int) -> None:
        """Trains so many levels below the top, and no others.

        Args:
            depth: How many.
        """
        self.rates.assign(self._rates(depth))

    def _rates(self, depth: int) -> list[float]:
        """The share of the rate that each level has."""
        below = range(max(self.heights), -1, -1)
        return [self.decay**d if d <= depth else 0.0 for d in below]

    def update_step(self, gradient, variable, learning_rate):
        """Changes one variable."""
        index = self._get_variable_index(variable)
        rate = learning_rate * keras.ops.cast(self.rates[self.heights[index]], "float32")
        if self.shrink and self.shrinks[index]:
            factor = keras.ops.cast(self.shrink * rate, variable.dtype)
            self.assign_sub(variable, variable * factor)
        super().update_step(gradient, variable, rate)


class GradualUnfreezing(keras.callbacks.Callback):
    """Trains the top of a network in the first epoch, and one level more in each that follows.

    The model's optimizer is a `LayerwiseAdam`. Which levels learn depends on the epoch's number
    alone, so that an interrupted training goes on as it would have.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.thaw(epoch)
