"""What `rnnapps demo` is given: runs and exports. Imports no TensorFlow."""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import rnnapps
from rnnapps.apps.run import RunInfo, read_run
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
    """

    name: str
    folder: pathlib.Path
    settings: dict[str, Any]
    exported: bool


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
        info = RunInfo.read(folder)
        return Source(folder.name, folder, info.located(settings) if info else settings, False)
    if versions := versions_of(folder):
        folder = list(versions.values())[-1]
    if (folder / "saved_model.pb").is_file():
        card = folder / "model_card.json"
        card = read_json(card) if card.is_file() else {}
        settings = {"application": card.get("application"), **card.get("configuration", {})}
        return Source(folder.parent.name, folder, settings, True)
    what = "holds neither a run (config.toml) nor an export (saved_model.pb)"
    raise RunError(
        f"{path} {what if path.exists() else 'does not exist'}; give a run directory, which "
        "`rnnapps train` makes, or the folder of an export, which `rnnapps export` makes."
    )


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
