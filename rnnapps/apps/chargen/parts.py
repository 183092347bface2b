"""The parts of a generator's text, with lines as rows."""

from collections.abc import Iterator
from typing import ClassVar

from rnnapps.apps.chargen import data
from rnnapps.apps.chargen.config import CharGenConfig
from rnnapps.apps.parts import InParts, few
from rnnapps.data import Splits
from rnnapps.data.subset import fewer

_BEGINNING = 60  # characters of an example prompt
_READ = 20_000  # characters of the validation set to take examples from


class TextInParts(InParts):
    """The parts of a generator's text; see `InParts`."""

    config: CharGenConfig
    data_room: ClassVar = data

    def _fewer(self, splits: Splits[data.Text]) -> Splits[data.Text]:
        return fewer(splits, self.config, in_order=True)

    def _in_rows(self, splits: Splits[data.Text]) -> Splits[data.Lines]:
        return data.in_lines(splits)

    def _of_rows(self, splits: Splits[data.Lines]) -> Splits[data.Text]:
        return data.of_lines(splits)

    def _keys(self, splits: Splits[data.Text]) -> Iterator[str]:
        return data.keys(splits.train)

    def _fingerprint(self, splits: Splits[data.Text]) -> str:
        return data.fingerprint(splits.train)

    def _examples(self, splits: Splits[data.Text]) -> list[str]:
        return few(line[:_BEGINNING] for line in splits.validation[:_READ].splitlines())
