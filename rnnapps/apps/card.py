"""The model card of a trained model. Imports no TensorFlow.

Reference:
    [Mitchell et al., 2019, Model Cards for Model Reporting](https://arxiv.org/abs/1810.03993)
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from rnnapps.apps.run_info import RunInfo
from rnnapps.config import TrainingConfig
from rnnapps.pages import render
from rnnapps.tables import Comparison, compare, number, stopped

_ROWS = 20  # of a table of classes, targets or series, of which there may be thousands
_EXAMPLES = 10
_LONGEST = 400  # characters of a text that is quoted


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
class Confusion:
    """Two classes of which one is taken for the other.

    Args:
        true: The right one.
        answered: What it was taken for.
        count: How often.
        share: Of those whose class is the right one.
    """

    true: str
    answered: str
    count: int
    share: float


@dataclasses.dataclass(frozen=True)
class Measured:
    """How good a model is on a part of its data.

    Args:
        part: `"test"` or `"validation"`.
        comparison: Its metrics beside its baselines'.
        tables: The same by class, target, series or length.
        confusions: The classes that are confused most often.
        said: What else there is to say, a sentence each.
    """

    part: str
    comparison: Comparison
    tables: list[PartTable]
    confusions: list[Confusion]
    said: list[str]


def ended(config: Any, history: Sequence[dict[str, float]], metrics: dict[str, Any]) -> str:
    """Says how a training ended, and which weights it kept.

    Args:
        config: The application's configuration.
        history: A dictionary for each epoch.
        metrics: What `metrics.json` holds.
    """
    alone = getattr(config, "pretrain_only", False)  # a language model, of which the best is kept
    epochs = config.passes if alone else config.epochs
    mean = min(config.average, len(history)) if metrics.get("averaged") else 0
    last = config.keep_last and not alone
    return stopped(history, epochs, config.patience, last, config.ema > 0, mean)


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
        said = ended(self.config, self.history, self.metrics)
        return f"{said}; {self.info.seconds:,.0f} s in all"

    @property
    def measured(self) -> list[Measured]:
        """The parts that it was measured on, the test part first."""
        parts = [part for part in ("test", "validation") if self.metrics.get(part)]
        return [_measured(part, self.metrics[part]) for part in parts]

    @property
    def mistakes(self) -> list[dict[str, str]]:
        """What the model got wrong in the test part, and was surest of."""
        return [
            {
                "text": _in_a_line(one["text"]),
                "expected": str(one["label"]),
                "answered": f"{one['predicted']} ({one['probability']:.3f})",
            }
            for one in self.metrics.get("test", {}).get("mistakes", [])[:_EXAMPLES]
        ]

    @property
    def translations(self) -> dict[str, list[dict[str, str]]]:
        """The best translations of the test part, and the worst, with their scores."""
        test = self.metrics.get("test", {})
        return {
            name: [
                {key: _in_a_line(one[key]) for key in ("text", "expected", "answered")}
                | {"chrf": f"{one['chrf']:.1f}"}
                for one in test[name]
            ]
            for name in ("worst", "best")
            if test.get(name)
        }

    def markdown(self, signatures: Sequence[tuple[str, str]] = ()) -> str:
        """`MODEL_CARD.md`. It quotes nothing of the data.

        Args:
            signatures: What an export answers: a name, and its inputs.
        """
        text = render("model_card.md", card=self, signatures=signatures)
        return re.sub(r"\n{3,}", "\n\n", text)  # where a list is empty


def _in_a_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]


def _measured(part: str, found: dict[str, Any]) -> Measured:
    by = {
        name.removeprefix("by_"): _named(rows)
        for name, rows in found.items()
        if name.startswith("by_")
    }
    tables = [_part_table(kind, rows) for kind, rows in by.items()]
    said = []
    if (skill := found.get("skill")) and "against" in skill:
        said.append(
            f"Skill against {skill['against']}: {skill['skill']:.3f}, within {skill['low']:.3f} "
            f"and {skill['high']:.3f} by a bootstrap; over 0 is better."
        )
    tables = [table for table in tables if table.rows]
    return Measured(part, compare(found), tables, _confusions(found), said)


def _named(rows: dict[str, Any] | list[dict[str, Any]]) -> dict[str, Any]:
    """Rows by name, those of groups of lengths too."""
    if isinstance(rows, dict):
        return rows
    return {
        f"{row['up_to']} words at most": {key: row[key] for key in row if key != "up_to"}
        for row in rows
    }


def _confusions(found: dict[str, Any]) -> list[Confusion]:
    """What lies beside the diagonal of the confusion matrix, the most first."""
    classes, counts = found.get("classes", []), found.get("confusion", [])
    if len(classes) != len(counts):  # of version 0.1.0
        return []
    beside = [
        Confusion(true, answered, count, count / sum(row))
        for i, (true, row) in enumerate(zip(classes, counts, strict=True))
        for j, (answered, count) in enumerate(zip(classes, row, strict=True))
        if i != j and count
    ]
    return sorted(beside, key=lambda one: -one.count)[:_EXAMPLES]


def _part_table(kind: str, rows: dict[str, Any]) -> PartTable:
    rows = {name: row for name, row in rows.items() if isinstance(row, dict)}
    names = list(dict.fromkeys(key for row in rows.values() for key in row))
    shown = {name: [number(rows[name].get(key)) for key in names] for name in list(rows)[:_ROWS]}
    return PartTable(kind, names, shown, len(rows) - len(shown))
