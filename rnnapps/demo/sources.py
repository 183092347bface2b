"""What `rnnapps demo` is given: runs and exports. Imports no TensorFlow."""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import rnnapps
from rnnapps.apps.run import read_run
from rnnapps.apps.run_info import RunInfo
from rnnapps.apps.updating import GIVEN
from rnnapps.errors import ConfigError, RunError
from rnnapps.files import checksum, read_json
from rnnapps.serving.export.versions import versions_of


@dataclasses.dataclass(frozen=True)
class Source:
    """A run or an export.

    Args:
        name: What it is called on the page, and by the server.
        folder: The run directory, or the folder of an export's version.
        settings: The settings that it was trained with; `data` as it is found from here.
        exported: Whether it is an export.
        examples: What a run keeps of its data for a person to try the model on.
    """

    name: str
    folder: pathlib.Path
    settings: dict[str, Any]
    exported: bool
    examples: tuple[Any, ...] = ()


def locate(words: Sequence[str]) -> list[Source]:
    """Finds what is to be shown.

    Args:
        words: The paths of run directories, exports' versions, or folders of such versions.

    Returns:
        A source for each, of different names.

    Raises:
        ConfigError: If there is none.
        RunError: If a path holds neither a run nor an export.
    """
    if not words:
        raise ConfigError("Expected a run or an export after demo, such as runs/sentiment.")
    found: list[Source] = []
    for word in words:
        one, taken = _locate(pathlib.Path(word)), {other.name for other in found}
        names = [one.name, *(f"{one.name}-{i}" for i in range(2, len(words) + 1))]
        name = next(name for name in names if name not in taken)
        found.append(dataclasses.replace(one, name=name))
    return found


def _locate(path: pathlib.Path) -> Source:
    folder = path.resolve()
    if (folder / "config.toml").is_file():
        settings = read_run(folder)
        if info := RunInfo.read(folder):
            settings = _own(info.located(settings), info.source)
            return Source(folder.name, folder, settings, False, tuple(info.examples))
        return Source(folder.name, folder, settings, False)
    if versions := versions_of(folder):
        folder = list(versions.values())[-1]
    if (folder / "saved_model.pb").is_file():
        card = folder / "model_card.json"
        card = read_json(card) if card.is_file() else {}
        settings = {"application": card.get("application"), **card.get("configuration", {})}
        return Source(folder.parent.name, folder, _own(settings, card.get("data")), True)
    what = "holds neither a run (config.toml) nor an export (saved_model.pb)"
    raise RunError(
        f"{path} {what if path.exists() else 'does not exist'}; give a run directory, which "
        "`rnnapps train` makes, or the folder of an export, which `rnnapps export` makes."
    )


def _own(settings: dict[str, Any], source: str | None) -> dict[str, Any]:
    """The settings, whose data is what the model learned from: it may have been given to `fit`."""
    return settings | ({"data": GIVEN} if source == GIVEN else {})


def cache_of(source: Source) -> pathlib.Path:
    """Where a run's export is kept, so that it is made once.

    Args:
        source: The run.

    Returns:
        The folder of the export's versions; another one if the run changes, or rnnapps does.
    """
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    parts = [checksum(source.folder / name) for name in ("config.toml", "model.keras")]
    key = hashlib.sha256(" ".join([rnnapps.__version__, *parts]).encode()).hexdigest()[:16]
    return pathlib.Path(home) / "rnnapps" / "demo" / key / source.name
