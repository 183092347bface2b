"""The training, validation and test data of an application, without leaks."""

import abc
import dataclasses
import itertools
import pathlib
import types
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rnnapps.apps.run_info import RunInfo
from rnnapps.apps.updating import GIVEN
from rnnapps.config import TrainingConfig
from rnnapps.data import Splits
from rnnapps.data.learned import Learned, hashes, joined, to_training, without
from rnnapps.data.subset import fewer
from rnnapps.errors import DataError, RunError
from rnnapps.progress import working

if TYPE_CHECKING:
    from rnnapps.apps.application import Application


_FEW = 5
_LOOKED_AT = 200  # texts, of which a few are kept
_LONGEST = 2_000  # characters of a text that is kept


def few(texts: Iterable[str]) -> list[str]:
    """The first texts that are not among the longer ones, for a person to try a model on.

    Args:
        texts: The texts.

    Returns:
        A few; each once, none of them blank, very long, or of bytes that are no UTF-8.
    """
    first = dict.fromkeys(filter(_shown, itertools.islice(texts, _LOOKED_AT)))
    shorter = set(sorted(first, key=len)[: (len(first) + 1) // 2])
    return [text for text in first if text in shorter][:_FEW]


def _shown(text: str) -> bool:
    bytes_alone = any("\ud800" <= character <= "\udfff" for character in text)
    return bool(text.strip()) and len(text) <= _LONGEST and not bytes_alone


class InParts(abc.ABC):
    """What an application says of its data, and what it has learned from of it."""

    config: TrainingConfig
    info: RunInfo
    given: tuple[Any, Any]
    """What `fit` was given to learn from, and to choose the weights."""
    learned: Learned
    data_room: ClassVar[types.ModuleType]
    """Has `load_splits(config)` and `given_splits(config, train=, validation=, test=)`, and the
    `fingerprint` of parts. `check_parts(splits, where)`, if any, refuses what nothing can be
    learned from by itself; an update adds such parts, too."""
    divides: ClassVar[bool] = False
    """Whether what `fit` is given holds the test part, too."""

    def _load(self, train: Any = None, validation: Any = None, test: Any = None) -> Any:
        """The data in its parts: the configuration's, or examples that a person has given.

        Args:
            train: Examples to learn from, as `fit` takes them.
            validation: Examples that choose the weights; `None` for a part of `train`.
            test: Examples to measure on, as `evaluate` takes them: then there are no others.

        Returns:
            The parts, as `data.Splits` has them or in another form that says what was read (`said`)
            and what was mended in it (`notes`).
        """
        if train is None and test is None:
            return self.data_room.load_splits(self.config)
        return self.data_room.given_splits(
            self.config, train=train, validation=validation, test=test
        )

    def _fingerprint(self, splits: Any) -> str:
        """What tells the parts that are learned from, and choose the weights, from any others."""
        return self.data_room.fingerprint(splits.train, splits.validation)

    def _taken(self, train: Any = None, validation: Any = None) -> Any:
        """The data in its parts, as much of each as the configuration takes.

        Raises:
            DataError: If nothing can be learned from them.
        """
        splits, room = self._load(train, validation), getattr(self, "data_room", None)
        divided = validation is None or splits.validation  # an empty one is refused later
        if divided and hasattr(room, "check_parts"):
            room.check_parts(splits, "" if train is not None else f" of {self.config.data}")
        return self._fewer(splits)

    def _fewer(self, splits: Any) -> Any:
        """The share of each part that the configuration takes."""
        return self._of_rows(fewer(self._in_rows(splits), self.config))

    def _in_rows(self, splits: Any) -> Splits:
        """The parts as `data.learned.Rows`; as they are, where they are such."""
        return splits

    def _of_rows(self, splits: Splits) -> Any:
        """The parts from `_in_rows`."""
        return splits

    def _keys(self, splits: Any) -> Iterable[str | bytes] | np.ndarray:
        """What tells the rows of the training part from others."""
        part = self._in_rows(splits).train
        return getattr(part, "keys", ())

    def examples(self) -> list[Any]:
        """A few inputs that were not learned from, for a person to try the model on.

        Returns:
            Those that the run keeps; without any, those of the configuration's data.

        Raises:
            DataError: If the data cannot be read.
        """
        if self.info.examples or self.info.source == GIVEN:
            return self.info.examples
        return self._examples(self._load())

    def _examples(self, splits: Any) -> list[Any]:
        """A few inputs of the validation part, as JSON has them; none in others' applications."""
        return []

    def _kept_apart(self, splits: Any, seen: np.ndarray) -> Any:
        """The parts, where rows of these hashes are only learned from."""
        if not len(seen):
            return splits
        whose, rows = self.config.init_from or "the run", self._in_rows(splits)
        found = to_training(rows, seen, whose)
        for name in ("validation", "test"):
            part = getattr(rows, name)
            if part and not getattr(found, name):
                raise DataError(
                    f"Expected rows in the {name} part that {whose} has not learned from. "
                    f"Received: {len(part):,}, all of which it has."
                )
        return self._of_rows(found)

    def _added(self, new: Any, splits: Any) -> Any:
        """New data in its parts, without the rows that are there already.

        Args:
            new: The path of a file as `data` names it, or examples as `fit` takes them.
            splits: What there is.

        Raises:
            DataError: If nothing is left to learn from.
        """
        if isinstance(new, pathlib.Path):
            settings = {**self.config.in_updates, "data": str(new)}
            loaded = type(self)(self.config.model_copy(update=settings))._load()
        else:
            loaded = self._load(new)
        found = without(self._in_rows(loaded), self._in_rows(splits))
        if not (found.train or found.validation):
            what = str(new) if isinstance(new, pathlib.Path) else "data"
            raise DataError(
                "Expected rows to learn from that the run's data does not have. Received: "
                f"{what}, with none."
            )
        seen = np.union1d(hashes(self._keys(splits)), self.learned.before)
        return self._of_rows(to_training(found, seen, "the run"))

    def _joined(self, splits: Any, added: Any) -> Any:
        """What there is, and what was added to it, as one."""
        return self._of_rows(joined(self._in_rows(splits), self._in_rows(added)))

    def _measured_apart(self, splits: Any, added: Any) -> dict[str, Any]:
        """What is measured before and after an update: parts without training, by name."""
        found = {"old": splits, "new": added}
        return {name: dataclasses.replace(one, train=None) for name, one in found.items()}

    def _has(self, splits: Any, part: str) -> bool:
        """Whether there is anything to measure on in a part."""
        return bool(getattr(splits, part))

    def _given_data(self) -> Any:
        """What `fit` was given, in its parts."""
        return self._kept_apart(self._taken(*self.given), self.learned.before)

    def _given_again(self, splits: Any) -> tuple[Any, Any]:
        """What `fit` would have to be given for these parts."""
        return splits.train, splits.validation

    def _set_aside(self: "Application") -> Any:
        """The data whose test part is measured on, or answered, where a person gives none.

        Raises:
            DataError: If `fit` was given data, and no part of it was set aside.
            RunError: If there is no model, or the configuration's data is not what it learned from.
        """
        _ = self.model  # there has to be one
        if self.info.source != GIVEN:
            with working("reading the data"):
                return self._trained_on()
        test = self.given[0] if self.divides else self.given[1]
        if test is None:
            raise DataError(
                "Expected test data, or inputs to answer, as this model learned from what fit() "
                "was given, without validation=. Received: None."
            )
        return self._kept_apart(self._read(test), self.learned.before)

    def _read(self, test: Any) -> Any:
        with working("reading the data"):
            return self._load(test=test)

    def _trained_on(self) -> Any:
        """The configuration's data, if it still is what the model was trained on.

        Raises:
            RunError: If it is not: its test part may hold what the model has learned.
        """
        splits = self._kept_apart(self._taken(), self.learned.before)
        for source in self.info.added:
            splits = self._joined(splits, self._added(pathlib.Path(source), splits))
        if self._fingerprint(splits) != self.info.fingerprint:
            raise RunError(
                f"This run did not learn from {self.config.data} as it is now, whose test part may "
                "hold what it was trained on; train again, or give test data to app.evaluate()."
            )
        return splits
