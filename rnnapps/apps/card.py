"""What is to be said of a trained model to those who use it: a model card. Imports no TensorFlow.

Reference:
    [Mitchell et al., 2019, Model Cards for Model Reporting](https://arxiv.org/abs/1810.03993)
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from rnnapps.apps.run import RunInfo
from rnnapps.config import TrainingConfig
from rnnapps.pages import render
from rnnapps.tables import Comparison, compare, number, stopped

_ROWS = 20  # of a table of classes, targets or series, of which there may be thousands
_EXAMPLES = 10


@dataclasses.dataclass(frozen=True)
class PartTable:
    """Metrics by class, target or series.

    Args:
        kind: What the rows are.
        columns: The metrics' names.
        rows: Names, and a cell for each column.
        more: How many rows are left out.
    """

    kind: str
    columns: list[str]
    rows: dict[str, list[str]]
    more: int


@dataclasses.dataclass(frozen=True)
class Measured:
    """How good a model is on a part of its data.

    Args:
        part: `"test"` or `"validation"`.
        comparison: Its metrics beside its baselines'.
        tables: The same by class, target or series.
        said: What else there is to say, a sentence each.
    """

    part: str
    comparison: Comparison
    tables: list[PartTable]
    said: list[str]


@dataclasses.dataclass(frozen=True)
class Card:
    """A model, its data, and how good it is: what a report and an export's card have in common.

    Args:
        name: The application's name.
        config: Its settings.
        info: What is known of the run.
        metrics: Metrics by part, as in `metrics.json`.
        history: A dictionary for each epoch.
        precision: What narrow weights cost, see `exporting.export`.
    """

    name: str
    config: TrainingConfig
    info: RunInfo
    metrics: dict[str, Any]
    history: Sequence[dict[str, float]]
    precision: dict[str, Any] | None = None

    @property
    def changed(self) -> dict[str, Any]:
        """The settings that are not the default ones."""
        usual = type(self.config)().to_dict()
        mine = self.config.to_dict()
        return {key: mine[key] for key in mine if mine[key] != usual.get(key) and key != "data"}

    @property
    def training(self) -> str:
        """How long the training was, and which weights were kept."""
        config = self.config
        last = not config.patience and config.keeps_last
        said = stopped(self.history, config.epochs, config.patience, last)
        return f"{said}; {self.info.seconds:,.0f} s in all"

    @property
    def measured(self) -> list[Measured]:
        """The parts that it was measured on, the test part first."""
        parts = [part for part in ("test", "validation") if self.metrics.get(part)]
        return [_measured(part, self.metrics[part]) for part in parts]

    @property
    def examples(self) -> list[dict[str, str]]:
        """Texts of the test part: confident mistakes, translations."""
        test = self.metrics.get("test", {})
        mistakes = [
            {
                "text": " ".join(one["text"].split())[:400],
                "expected": str(one["label"]),
                "answered": f"{one['predicted']} ({one['probability']:.3f})",
            }
            for one in test.get("mistakes", [])
        ]
        return mistakes[:_EXAMPLES]

    def markdown(self, signatures: Sequence[tuple[str, str]] = ()) -> str:
        """`MODEL_CARD.md`. It quotes nothing of the data.

        Args:
            signatures: What an export answers: a name, and its inputs.
        """
        text = render("model_card.md", card=self, signatures=signatures)
        return re.sub(r"\n{3,}", "\n\n", text)  # where a list is empty


def _measured(part: str, found: dict[str, Any]) -> Measured:
    tables = [
        _part_table(name.removeprefix("by_"), rows)
        for name, rows in found.items()
        if name.startswith("by_") and isinstance(rows, dict)
    ]
    said = []
    if (skill := found.get("skill")) and "against" in skill:
        said.append(
            f"Skill against {skill['against']}: {skill['skill']:.3f}, within {skill['low']:.3f} "
            f"and {skill['high']:.3f} by a bootstrap; over 0 is better."
        )
    return Measured(part, compare(found), [table for table in tables if table.rows], said)


def _part_table(kind: str, rows: dict[str, Any]) -> PartTable:
    rows = {name: row for name, row in rows.items() if isinstance(row, dict)}
    names = list(dict.fromkeys(key for row in rows.values() for key in row))
    shown = {name: [number(rows[name].get(key)) for key in names] for name in list(rows)[:_ROWS]}
    return PartTable(kind, names, shown, len(rows) - len(shown))
