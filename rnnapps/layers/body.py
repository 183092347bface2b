"""The one place that turns the name of a cell into the body of a network, recurrent or not."""

from typing import Any

from rnnapps.config import TRANSFORMER
from rnnapps.layers.stack import RecurrentStack
from rnnapps.layers.transformer import TransformerStack

_SHARED = ("num_layers", "dropout", "return_sequences", "return_state", "seed", "name", "dtype")


def make_body(
    cell: str,
    units: int,
    bidirectional: bool = False,
    num_heads: int = 4,
    positions: str = "rotary",
    length: int | None = None,
    window: int | None = None,
    **arguments: Any,
) -> RecurrentStack | TransformerStack:
    """Makes what reads a sequence: a stack of recurrent layers, or of a Transformer's blocks.

    Both are called alike, and step alike.

    Args:
        cell: One of `rnnapps.config.CELLS`, or `"transformer"`.
        units: The width of each layer, of a recurrent one in each direction.
        bidirectional: Whether a step sees those behind it, too.
        num_heads: Heads of each of a Transformer's blocks.
        positions: How a Transformer tells where steps stand, see `TransformerStack`.
        length: How many positions are learned, with `positions="learned"`.
        window: How many steps before its own a step of a Transformer sees; all by default.
        **arguments: Arguments of `RecurrentStack`. A Transformer has its own normalization and
            connections, and takes the number of layers, the dropout, what to return, the seed, the
            name and the type of them.

    Returns:
        The stack.

    Raises:
        ValueError: If there is no such cell, or an argument is out of range.

    Example:
    >>> [make_body(cell, 8, num_layers=2)(np.zeros((2, 5, 3))).shape
    ...  for cell in ("gru", "transformer")]
    [TensorShape([2, 5, 8]), TensorShape([2, 5, 8])]
    """
    if cell != TRANSFORMER:
        return RecurrentStack(cell, units, bidirectional=bidirectional, **arguments)
    return TransformerStack(
        units,
        num_heads=num_heads,
        causal=not bidirectional,
        window=window,
        positions=positions,
        length=length,
        **{name: value for name, value in arguments.items() if name in _SHARED},
    )
