"""What is known of a run beside its model and settings: `run.json`. Imports no TensorFlow."""

import glob
import importlib.metadata
import pathlib
import platform
from typing import Any, Self

from pydantic import BaseModel, ValidationError

import rnnapps
from rnnapps.errors import RunError
from rnnapps.files import checksum, read_json

_PARTS = ("config.toml", "model.keras", "history.csv", "metrics.json")
_PACKAGES = ("keras", "tensorflow")


class RunInfo(BaseModel):
    """What is known of a run beside its settings, model and metrics: `run.json`."""

    source: str
    """The configuration's data, or that it was given to `fit`."""
    folder: str = ""
    """Where the training was started: what its relative paths are meant from."""
    fingerprint: str = ""
    """Of the training data: an interrupted run goes on, and a finished one is measured, with
    these."""
    sizes: dict[str, int] = {}
    """How much is in each part of the data."""
    notes: list[str] = []
    """What was mended in the data as it was read."""
    examples: list[Any] = []
    """A few inputs of the validation part, on which a person tries the model."""
    seconds: float = 0.0
    """How long the training took, what earlier processes have done of it included."""
    epoch_seconds: list[float] = []
    """How long each epoch took, of one network after the other."""
    frozen: list[str] = []
    """The settings of word vectors whose rows stay as they are, in what starts from it, too."""
    lineage: list[str] = []
    """The runs that this one goes on from, the nearest first."""
    added: list[str] = []
    """The data that updates have added to the source, in their order."""
    versions: dict[str, str] = {}
    """Of Python and the packages, when the model was trained."""
    checksums: dict[str, str] = {}
    """SHA-256 of each file that the run has written, by its path in the run directory."""

    @classmethod
    def read(cls, run_dir: pathlib.Path) -> Self | None:
        """Reads a run's `run.json`; those of rnnapps 0.1.0 have none."""
        path = run_dir / "run.json"
        if not path.exists():
            return None
        try:
            return cls(**read_json(path))
        except ValidationError as error:
            raise RunError(f"{path} is damaged: {error.errors()[0]['msg']}.") from None

    @classmethod
    def of_metrics(cls, metrics: dict[str, Any], run_dir: pathlib.Path) -> Self:
        """Takes what a run of rnnapps 0.1.0 keeps among its metrics out of these."""
        source, data = metrics.pop("source", "unknown"), metrics.pop("data", "")
        seconds, notes = metrics.pop("seconds", 0.0), metrics.pop("notes", [])
        files = [path for path in files_in(run_dir) if path.name in _PARTS]
        sums = {path.name: checksum(path) for path in files}
        try:
            return cls(
                source=source, fingerprint=data, seconds=seconds, notes=notes, checksums=sums
            )
        except ValidationError as error:
            raise RunError(
                f"{run_dir / 'metrics.json'} is damaged: {error.errors()[0]['msg']}."
            ) from None

    def located(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings whose data is found from another folder, too.

        Args:
            settings: A run's settings.

        Returns:
            The same, with the absolute paths of files that are where they were, but not from here.
        """
        paths = {name: settings[name] for name in ("data", "target_data") if settings.get(name)}
        moved = {
            name: str(pathlib.Path(self.folder, path))
            for name, path in paths.items()
            if self.folder and not _found(path)
        }
        return settings | {name: path for name, path in moved.items() if _found(path)}

    def check(self, run_dir: pathlib.Path) -> None:
        """Refuses files that are not what the run has written.

        Args:
            run_dir: The run directory.

        Raises:
            RunError: If a file that the run needs is missing or has changed.
        """
        for name in _PARTS:
            if not (run_dir / name).is_file():
                raise RunError(f"The run in {run_dir} is not whole: it has no {name}.")
            if checksum(run_dir / name) != self.checksums.get(name):
                raise RunError(
                    f"{run_dir / name} is damaged: it is not what the run wrote (its checksum is "
                    "another one); take the file from a copy, or train again."
                )


def _found(path: str) -> bool:
    """Whether there is such a file or folder, or one that matches a pattern."""
    return pathlib.Path(path).exists() or any(glob.iglob(path, recursive=True))


def lineage(run_dir: pathlib.Path | str | None) -> list[str]:
    """What a run that starts from another one notes of its origin, the nearest run first.

    Args:
        run_dir: The other run; `None` where there is none.
    """
    if run_dir is None:
        return []
    run_dir = pathlib.Path(run_dir)
    info = RunInfo.read(run_dir) or RunInfo.of_metrics(read_json(run_dir / "metrics.json"), run_dir)
    said = f"{run_dir}: {info.source}, {info.fingerprint}; model.keras "
    return [said + info.checksums.get("model.keras", "unknown")[:16], *info.lineage]


def installed_versions() -> dict[str, str]:
    """The versions of Python and of the packages that a model depends on."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "rnnapps": rnnapps.__version__, **versions}


def files_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """All files below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]
