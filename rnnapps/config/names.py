"""The names of cells, and of what may stand in their place. Imports no TensorFlow."""

import dataclasses
from typing import Annotated, Any, Literal

from pydantic_core import core_schema


@dataclasses.dataclass(frozen=True)
class OneOf:
    """The names that a field takes; unlike those of a `Literal`, others can be added to them.

    Args:
        names: The list to which names are added.
        but: Those of them that the field does not take.
        more: Those that it takes beside them.
    """

    names: list[str]
    but: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[str, ...]:
        """The names that the field takes now."""
        return (*(name for name in self.names if name not in self.but), *self.more)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, name: str) -> str:
        if name not in self.values:
            *some, last = map(repr, self.values)
            raise ValueError(f"{', '.join(some)} or {last}")
        return name


# The names of cells; `rnnapps.layers.register` adds to them.
CELLS = [
    "simple_rnn", "lstm", "gru", "mingru", "slstm", "peephole_lstm", "layer_norm_lstm",
    "attention_lstm",
]  # fmt: skip


TRANSFORMER = "transformer"  # which is no cell, and goes by a cell's name where there are layers


def _cell(but: tuple[str, ...] = (), more: tuple[str, ...] = ()) -> Any:
    """The type of a field that names a cell, any but some, or something more."""
    return Annotated[str, OneOf(CELLS, but, more)]


Cell = _cell()
BodyCell = _cell(more=(TRANSFORMER,))  # of what `rnnapps.layers.make_body` makes
# Those whose output at a step is its own: attention_lstm has one output for a whole sequence.
StepCell = _cell(but=("attention_lstm",))
StepBodyCell = _cell(but=("attention_lstm",), more=(TRANSFORMER,))
Block = Literal["plain", "pre_norm"]  # what stands around each recurrent layer
