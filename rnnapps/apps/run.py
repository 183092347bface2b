"""The run directory: what is in it, and how it is written. Imports no TensorFlow."""

import contextlib
import errno
import glob
import importlib.metadata
import os
import pathlib
import platform
import sys
from collections.abc import Callable, Iterator
from typing import Any, Self

import tomli_w
from pydantic import BaseModel, ValidationError

import rnnapps
from rnnapps import workers
from rnnapps.config import TrainingConfig, read_toml
from rnnapps.errors import ConfigError, RnnappsError, RunError
from rnnapps.files import (
    alone,
    checksum,
    draft_folder,
    enough_space,
    read_json,
    remove_tree,
    write,
)

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
        files = [path for path in _files(run_dir) if path.name in _PARTS]
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


def partial_dir(run_dir: pathlib.Path) -> pathlib.Path:
    """The hidden folder beside a run's in which its state is kept until it is whole."""
    run_dir = run_dir.resolve()
    return run_dir.with_name(f".{run_dir.name}.partial")


@contextlib.contextmanager
def state_of(run_dir: pathlib.Path) -> Iterator[pathlib.Path]:
    """Holds the folder in which a run's state is kept, so that no other process trains in it.

    A state without its `config.toml` is none: nobody knows whose it is.

    Args:
        run_dir: The run directory.

    Yields:
        The folder; it is made where there is none.

    Raises:
        RunError: If another process holds it.
    """
    state_dir = partial_dir(run_dir)
    state_dir.mkdir(parents=True, exist_ok=True)
    taken = f"{run_dir} is being trained by another process; choose another --run-dir."
    with alone(state_dir / ".lock", taken):
        if not (state_dir / "config.toml").exists():
            for left in state_dir.iterdir():
                if left.is_dir():
                    remove_tree(left)
        try:
            yield state_dir
        finally:
            if not (state_dir / "config.toml").exists():
                remove_tree(state_dir)


def write_settings(path: pathlib.Path, application: str, config: TrainingConfig) -> None:
    """Writes what `read_run` reads.

    Args:
        path: The file.
        application: The application's name.
        config: Its configuration.
    """
    write(path, tomli_w.dumps({"application": application, **config.to_dict()}))


def keep_to_settings(application: str, config: TrainingConfig, state_dir: pathlib.Path) -> None:
    """Refuses to go on from another run's state; notes whose it is where there is none.

    Args:
        application: The application's name.
        config: Its configuration.
        state_dir: Where the run's state is kept.

    Raises:
        RunError: If the interrupted run in it has other settings.
    """
    if not (state_dir / "config.toml").exists():
        write_settings(state_dir / "config.toml", application, config)
        return
    settings = read_run(state_dir)
    if settings.pop("application") != application:
        raise RunError(f"{state_dir} holds another application's interrupted run.")
    changed = config.of_run(settings).differences(config)
    if changed:
        raise RunError(
            f"The interrupted run in {state_dir} has other settings (there, here): "
            f"{', '.join(changed)}; use those, another --run-dir, or --overwrite."
        )


def keep_to_data(fingerprint: str, state_dir: pathlib.Path, what: str = "data") -> None:
    """Notes what a run learns from, and refuses to go on with anything else.

    Processes that train together have to have the same.

    Args:
        fingerprint: Of the data.
        state_dir: The folder of the run's state.
        what: What the data is called.

    Raises:
        ConfigError: If a worker has other data than the chief.
        RunError: If an interrupted run has learned from other data.
    """
    workers.agree("data", {what: fingerprint})
    note = state_dir / what
    if note.exists() and note.read_text() != fingerprint:
        raise RunError(
            f"The interrupted run in {state_dir} learned from other {what} "
            f"({note.read_text()}); use that, another --run-dir, or --overwrite."
        )
    write(note, fingerprint)


def forget_state(run_dir: pathlib.Path) -> None:
    """Deletes the state of an interrupted run.

    Args:
        run_dir: The run directory.

    Raises:
        RunError: If another process is training in it.
    """
    if partial_dir(run_dir).exists():
        with state_of(run_dir) as state_dir:
            remove_tree(state_dir)


def check_free(run_dir: pathlib.Path, application: str) -> None:
    """Refuses a folder in which a run of this application would overwrite something else.

    Args:
        run_dir: The folder in which the run is to be written.
        application: The application's name.

    Raises:
        RunError: If the folder holds anything but a run of this application.
    """
    recover(run_dir)
    if not run_dir.exists() or (run_dir.is_dir() and not any(run_dir.iterdir())):
        return
    if not (run_dir / "config.toml").is_file():
        raise RunError(f"{run_dir} exists and does not hold a run; choose another --run-dir.")
    other = read_run(run_dir)["application"]
    if other != application:
        raise RunError(f"{run_dir} holds a run of {other}; choose another --run-dir.")


def read_run(run_dir: pathlib.Path | str) -> dict[str, Any]:
    """Reads a run's settings, after it has been made whole where its writing was interrupted.

    Args:
        run_dir: The run directory.

    Returns:
        The configuration's fields, and `application`.

    Raises:
        RunError: If the folder holds no run.
    """
    run_dir = pathlib.Path(run_dir)
    recover(run_dir)
    path = run_dir / "config.toml"
    if not path.is_file():
        what = "does not hold a run (no config.toml)" if run_dir.exists() else "does not exist"
        raise RunError(f"{run_dir} {what}; `rnnapps train` makes one.")
    try:
        settings = read_toml(path)
    except ConfigError as error:
        raise RunError(str(error)) from None
    if not isinstance(settings.get("application"), str):
        raise RunError(f"{path} does not name its application.")
    return settings


def check_start(run_dir: pathlib.Path | str, application: str) -> None:
    """Refuses what no run of this application can start from (`init_from`).

    Args:
        run_dir: The other run's folder.
        application: The application's name.

    Raises:
        RunError: If it holds no run, or another application's.
    """
    wanted = f"Expected --init-from to be a run of {application}. Received: "
    if not str(run_dir):  # which `Path` takes for the current folder
        raise RunError(f"{wanted}''.")
    try:
        other = read_run(run_dir)["application"]
    except RunError as error:
        raise RunError(wanted + error.args[0]) from None
    if other != application:
        raise RunError(f"{wanted}{run_dir}, of {other}.")


@contextlib.contextmanager
def draft_of(run_dir: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder to write files of a run in, from which `put_in_place` takes them.

    Args:
        run_dir: The run directory.

    Yields:
        The folder, empty.
    """
    run_dir = run_dir.resolve()
    with draft_folder(run_dir.parent, f".{run_dir.name}.draft-") as draft:
        draft.mkdir()
        yield draft


def put_in_place(draft: pathlib.Path, run_dir: pathlib.Path, info: RunInfo) -> RunInfo:
    """Gives a run the files of a draft, all or none of them, and writes its `run.json`.

    Only what the run itself wrote is replaced. A process that is killed in the middle leaves a
    hidden folder of what is still to be moved, and `recover` moves it.

    Args:
        draft: The draft, see `draft_of`.
        run_dir: The run directory; it appears whole where there is none.
        info: What is known of the run; its `checksums` are those of files that stay.

    Returns:
        The same with the checksums of the draft's files.

    Raises:
        PermissionError: If the run directory may only be read; it is as it was.
    """
    run_dir = run_dir.resolve()
    if run_dir.exists() and not os.access(run_dir, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(run_dir))
    sums = {str(path.relative_to(draft)): checksum(path) for path in _files(draft)}
    info = info.model_copy(update={"checksums": {**info.checksums, **sums}})
    write(draft / "run.json", info.model_dump_json(indent=2) + "\n")
    if not run_dir.exists():
        draft.rename(run_dir)
        return info
    while True:
        try:
            draft.rename(_new_files(run_dir))
        except OSError:
            if not _finish(run_dir):  # what another process was about to move
                raise
        else:
            _finish(run_dir)
            return info


def recover(run_dir: pathlib.Path) -> None:
    """Finishes the writing of a run that was interrupted, and says so.

    Args:
        run_dir: The run directory.
    """
    if _finish(run_dir.resolve()):
        print(
            f"rnnapps: the writing of {run_dir} was interrupted, and is finished now.",
            file=sys.stderr,
        )


def _new_files(run_dir: pathlib.Path) -> pathlib.Path:
    """The hidden folder beside a run's of files that are whole and to be moved there."""
    return run_dir.with_name(f".{run_dir.name}.new")


def _finish(run_dir: pathlib.Path) -> bool:
    """Moves what is to be moved into a run; `run.json`, which says what the run owns, at last."""
    new = _new_files(run_dir)
    if not new.exists():
        return False
    before, after = RunInfo.read(run_dir), RunInfo.read(new)
    if before and after:
        for name in before.checksums.keys() - after.checksums.keys():
            (run_dir / name).unlink(missing_ok=True)
    for path in sorted(_files(new), key=lambda path: path.name == "run.json"):
        target = run_dir / path.relative_to(new)
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process has moved it
            path.replace(target)
    remove_tree(new)
    return True


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def read_file(read: Callable[[pathlib.Path], Any], path: pathlib.Path) -> Any:
    """Reads a file of a run, and says in one sentence why that cannot be done.

    Args:
        read: What reads it.
        path: The file.

    Returns:
        What `read` returns.

    Raises:
        RunError: If it cannot be read, or holds code that Keras would have to run to read it.
    """
    try:
        with enough_space(path.parent):  # Keras unpacks weights into the temporary folder
            return read(path)
    except RnnappsError:
        raise
    except Exception as error:  # there are many kinds: of Keras, HDF5, zip, pandas
        said = " ".join(str(error).split())[:200]
        if "arbitrary code execution" in str(error):
            raise RunError(
                f"{path} is unsafe: it holds a Lambda layer, whose code would run as it is loaded, "
                "which no application of rnnapps writes; it is not loaded."
            ) from error
        raise RunError(
            f"{path} cannot be read, it is damaged or of another version: {said}"
        ) from error
