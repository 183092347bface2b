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
    """Creates the body of a network: a stack of recurrent layers or of Transformer blocks.

    Both have the same `call` and `step`.

    Args:
        cell: One of `rnnapps.config.CELLS`, or `"transformer"`.
        units: The width of each layer, for recurrent layers in each direction.
        bidirectional: Whether a step also sees later steps.
        num_heads: Heads per Transformer block.
        positions: A Transformer's position encoding, see `TransformerStack`.
        length: Number of learned positions, with `positions="learned"`.
        window: Number of earlier steps that a Transformer attends to; all by default.
        **arguments: Arguments of `RecurrentStack`. A Transformer takes `num_layers`, `dropout`,
            `return_sequences`, `return_state`, `seed`, `name` and `dtype`, and ignores the others.

    Returns:
        The stack.

    Raises:
        ValueError: If the cell is unknown, or an argument is out of range.

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
