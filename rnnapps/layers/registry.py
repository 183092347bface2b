"""The one place that turns the name of a cell into a layer, and registers new ones."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from rnnapps.config import CELLS
from rnnapps.layers.attention_lstm import AttentionLSTM
from rnnapps.layers.base import check_choice, check_units
from rnnapps.layers.gru import GRU
from rnnapps.layers.layer_norm_lstm import LayerNormLSTM
from rnnapps.layers.lstm import LSTM
from rnnapps.layers.mingru import MinGRU
from rnnapps.layers.peephole_lstm import PeepholeLSTM
from rnnapps.layers.slstm import SLSTM

_LAYERS: dict[str, Callable[..., keras.Layer]] = {
    "simple_rnn": keras.layers.SimpleRNN,
    "lstm": LSTM,
    "gru": GRU,
    "mingru": MinGRU,
    "slstm": SLSTM,
    "peephole_lstm": PeepholeLSTM,
    "layer_norm_lstm": LayerNormLSTM,
    "attention_lstm": AttentionLSTM,
}


def register(name: str, layer: Callable[..., keras.Layer]) -> None:
    """Registers a cell by name for `recurrent`, `RecurrentStack` and every configuration.

    Before a saved model is loaded, make the same call, with a class that is registered with Keras.

    Args:
        name: The name, such as `"my_lstm"`.
        layer: A callable that returns a `keras.layers.RNN`: it takes `units` first, then Keras'
            arguments `return_sequences`, `return_state`, `dropout`, `recurrent_dropout`, `seed`,
            `go_backwards`, `name` and `dtype`.

    Raises:
        ValueError: If another layer has this name.

    Example:
    >>> register("keras_lstm", keras.layers.LSTM)
    >>> recurrent("keras_lstm", 8)(np.zeros((2, 5, 3))).shape
    TensorShape([2, 8])
    """
    if _LAYERS.setdefault(name, layer) is not layer:
        raise ValueError(f"Expected a name that no cell has. Received: name={name!r}")
    if name not in CELLS:
        CELLS.append(name)


def recurrent(cell: str, units: int, bidirectional: bool = False, **arguments: Any) -> keras.Layer:
    """Creates a recurrent layer by the name of its cell.

    Args:
        cell: One of `rnnapps.config.CELLS`, or a name passed to `register`.
        units: The width of the hidden state, in each direction.
        bidirectional: Whether to run in both directions and concatenate the outputs.
        **arguments: Arguments of the layer: `return_sequences`, `dropout`, `seed`, ...

    Returns:
        The layer, or a `keras.layers.Bidirectional` around it.

    Raises:
        ValueError: If the cell is unknown, or an argument is out of range.
    """
    check_choice(cell, tuple(_LAYERS), "cell")
    check_units(units)
    make = _LAYERS[cell]
    if not bidirectional:
        return make(units, **arguments)
    name, seed = arguments.pop("name", None), arguments.pop("seed", None)
    # Keras' own copy of the layer would have the same seed and draw the same masks.
    forward, backward = independent_seeds(seed, 2)
    layer = make(units, seed=forward, **arguments)
    other = None if seed is None else make(units, seed=backward, go_backwards=True, **arguments)
    both = keras.layers.Bidirectional(layer, backward_layer=other, name=name)
    # Keras copies the layer, and identifies layers by address while it loads a model: keep the
    # original alive, so that no other layer gets its address.
    both.copied = lambda: layer  # Keras would save an attribute
    return both


def independent_seeds(seed: int | None, count: int) -> list[int | None]:
    """Derives independent seeds from one.

    Args:
        seed: The seed; `None` for different draws in each process.
        count: Number of seeds.

    Returns:
        The seeds; all `None` if `seed` is `None`.
    """
    if seed is None:
        return [None] * count
    return np.random.SeedSequence(seed).generate_state(count, np.uint32).tolist()
