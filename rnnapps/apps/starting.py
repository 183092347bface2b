"""A run that starts from the weights of another one."""

import contextlib
import pathlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import keras

from rnnapps.apps.run import check_start
from rnnapps.apps.saving import load
from rnnapps.config import TrainingConfig
from rnnapps.errors import ConfigError, flag
from rnnapps.files import checksum
from rnnapps.progress import say
from rnnapps.training import Rows, transfer

if TYPE_CHECKING:
    from rnnapps.apps.application import Application

_sources: dict[tuple[pathlib.Path, str], "Application"] = {}  # one at most


def agreed(config: TrainingConfig, name: str) -> TrainingConfig:
    """A configuration whose network is that of the run which it starts from.

    Args:
        config: The configuration; what it leaves open is as in the run that `init_from` names.
        name: The application.

    Returns:
        The configuration, as it is where it starts from no run.

    Raises:
        RunError: If there is no such run, or it is another application's.
        ConfigError: If the two contradict each other.
    """
    run = config.init_from
    if run is None:
        return config
    check_start(run, name)
    settled = source_of(run)._settled()
    for field, value in settled.items():
        mine = getattr(config, field)
        if field in config.model_fields_set and mine != value:
            raise ConfigError(
                f"Expected {flag(field)} to be {value!r}, as in {run} (--init-from), or not to be "
                f"set. Received: {mine!r}."
            )
    return type(config)(**{**config.model_dump(exclude_unset=True), **settled})


def start(
    app: "Application", network: keras.layers.Layer, rows: Mapping[str, Rows], number: int = 0
) -> None:
    """Gives a network the weights of the run that it is to start from, if any.

    Args:
        app: The application that is being trained.
        network: The network, which is not compiled yet.
        rows: What the rows of its weights stand for.
        number: Which of several networks it is: each starts from that of its number.

    Raises:
        RunError: If nothing fits.
    """
    if app.config.init_from is None:
        return
    source = source_of(app.config.init_from)
    other = source.networks[number % len(source.networks)]
    said = transfer(network, other, rows, source._rows())
    stay = "; its word vectors stay frozen" if app.info.frozen else ""
    note = f"started from {app.config.init_from}: {said}{stay}"
    if not number and note not in app.info.notes:  # of the others there is no more to say
        app.info.notes.append(note)
        say([note])


def names_of(run: str | None, rows: str) -> Sequence[Hashable]:
    """What rows of weights stand for in the run that another one starts from.

    So that what it has learned of words is kept which the other one's texts lack.

    Args:
        run: Its folder; `None` where there is none.
        rows: The pattern of the weights' names, such as `"embedding/*"`.

    Returns:
        Their names; of a vocabulary the most frequent first.
    """
    return () if run is None else source_of(run)._rows()[rows].names


def frozen_vectors(config: TrainingConfig) -> list[str]:
    """The settings of word vectors whose rows stay as they are.

    Args:
        config: The configuration.

    Returns:
        Those of the run that it starts from, where there is one.
    """
    if config.init_from is None:
        return list(config.frozen_vectors)
    source = source_of(config.init_from)
    return source.info.frozen or list(source.config.frozen_vectors)  # earlier versions note none


def source_of(run: pathlib.Path | str) -> "Application":
    """The run that another one starts from, which is read once for each training.

    Args:
        run: Its folder.
    """
    key = _key(run)
    if key not in _sources:
        forget_source()
        _sources[key] = load(run)
    return _sources[key]


@contextlib.contextmanager
def source_at(run: pathlib.Path | str, app: "Application") -> Iterator[None]:
    """A context in which a run that is loaded already is not read again.

    Args:
        run: Its folder.
        app: The run.

    Yields:
        Nothing.
    """
    forget_source()
    _sources[_key(run)] = app
    try:
        yield
    finally:
        forget_source()


def forget_source() -> None:
    """Frees the run that was started from."""
    _sources.clear()


def _key(run: pathlib.Path | str) -> tuple[pathlib.Path, str]:
    run = pathlib.Path(run).resolve()
    model = run / "model.keras"
    return run, checksum(model) if model.is_file() else ""
