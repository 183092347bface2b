"""The models of a folder: each one's latest version, loaded before the previous one is dropped."""

import contextlib
import dataclasses
import gc
import pathlib
import threading
import weakref

import absl.logging
import tensorflow as tf

from rnnapps.errors import RunError
from rnnapps.serving.export.versions import versions_of
from rnnapps.serving.server.servable import Servable
from rnnapps.serving.server.status import Code, StatusError

_PATIENCE = 0.5  # seconds that ending waits for a version that is being loaded


@dataclasses.dataclass(frozen=True)
class State:
    """Where a version is in its life.

    Args:
        name: `LOADING`, `AVAILABLE`, `UNLOADING` or `END`.
        code: Why it ended, as a code.
        message: Why it ended, in words.
    """

    name: str
    code: Code = Code.OK
    message: str = ""


class ModelManager:
    """Keeps the latest version of each model of a folder loaded, as TF Serving does.

    A new version is loaded and warmed up before requests go to it; the version before it lives
    until the last request on it has been answered. A version that does not load leaves the one
    before it in place, and is tried again when its files change.

    Args:
        folder: The folder: a folder for each model, in it a folder for each version, named by its
            number.
        seconds: How often the folder is looked at.
        threads: How many requests a version may answer at once.
        trust: Whether a SavedModel may read and write files.

    Raises:
        RunError: If there is no such folder, or it is itself one model's.
    """

    def __init__(
        self,
        folder: pathlib.Path | str,
        seconds: float = 1.0,
        threads: int = 2,
        trust: bool = False,
    ):
        self.folder = pathlib.Path(folder)
        if not self.folder.is_dir():
            raise RunError(f"Expected a folder of models. Received: {folder}, which is none.")
        if versions_of(self.folder):
            raise RunError(
                f"{folder} is one model's folder; give the folder of models that it is in: "
                f"{self.folder.parent}."
            )
        self.seconds, self._threads, self._trust = seconds, threads, trust
        self._loading: Servable | None = None
        self._serving: dict[str, Servable] = {}
        self._states: dict[str, dict[int, State]] = {}
        self._failed: dict[tuple[str, int], tuple] = {}
        self._leaving: dict[tuple[str, int], weakref.ref] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="rnnapps-manager", daemon=True)

    # What requests ask.

    def get(self, model: str, number: int | None = None) -> Servable:
        """The loaded version of a model.

        Args:
            model: The model's name.
            number: The version's number; `None` for the latest.

        Raises:
            StatusError: If it is not loaded.
        """
        version = self._serving.get(model)
        if version is None or number not in (None, version.number):
            asked = f"Latest({model})" if number is None else f"Specific({model}, {number})"
            raise StatusError(Code.NOT_FOUND, f"Servable not found for request: {asked}")
        return version

    def states(self, model: str, number: int | None = None) -> dict[int, State]:
        """The states of a model's versions by number, the latest first.

        Args:
            model: The model's name.
            number: The only version to tell of; `None` for all.

        Raises:
            StatusError: If there are none.
        """
        states = dict(self._states.get(model, {}))
        if number is not None and number not in states:
            raise StatusError(Code.NOT_FOUND, f"Could not find version {number} of model {model}")
        if not states:
            raise StatusError(Code.NOT_FOUND, f"Could not find any versions of model {model}")
        return {key: states[key] for key in sorted(states, reverse=True) if number in (None, key)}

    @property
    def serving(self) -> dict[str, int]:
        """The number of the version served, by model."""
        return {name: version.number for name, version in sorted(self._serving.items())}

    @property
    def names(self) -> list[str]:
        """All models that have, or had, a version."""
        return sorted(name for name, states in list(self._states.items()) if states)

    @property
    def failures(self) -> list[tuple[str, int, State]]:
        """The versions that could not be loaded: model, number, and why."""
        return [
            (name, number, state)
            for name, states in sorted(self._states.items())
            for number, state in sorted(states.items())
            if state.name == "END" and state.code != Code.OK
        ]

    # The folder.

    def start(self) -> None:
        """Loads what is in the folder, and begins to watch it."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """Ends watching, and whatever the versions are at."""
        self._stop.set()
        for version in (self._loading, *self._serving.values()):
            if version is not None:
                version.close()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)
        for name in list(self._serving):
            version = self._serving.pop(name)
            version.close()
            self._leave(version)
        self._bury()

    def _watch(self) -> None:
        while not self._stop.wait(self.seconds):
            try:
                self.look()
            except OSError as error:  # the folder is away for a while, say
                absl.logging.warning("%s cannot be read: %s", self.folder, error)

    def look(self) -> None:
        """Looks at the folder once: loads what is new in it, drops what is gone."""
        self._bury()
        names = {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}
        for name in sorted(names | set(self._serving)):
            try:
                self._update(name, versions_of(self.folder / name))
            except OSError as error:
                absl.logging.warning("%s cannot be read: %s", self.folder / name, error)

    def _update(self, name: str, versions: dict[int, pathlib.Path]) -> None:
        current = self._serving.get(name)
        for number, state in list(self._states.get(name, {}).items()):
            if state.name == "LOADING" and number not in versions:
                gone = "The version was removed before it was loaded"
                self._states[name][number] = State("END", Code.NOT_FOUND, gone)
        for number, path in reversed(versions.items()):
            if (current and current.number == number) or self._load(name, number, path):
                return
        if current and not versions:  # else it serves on until one that is there is loaded
            self._leave(self._serving.pop(name))

    def _load(self, name: str, number: int, path: pathlib.Path) -> bool:
        """Whether a version could be loaded, which then takes the requests."""
        states = self._states.setdefault(name, {})
        stamp = _stamp(path)
        if self._failed.get((name, number)) == stamp or self._stop.is_set():
            return False
        states[number] = State("LOADING")
        version = self._loading = Servable(name, number, path, self._threads)
        try:
            version.load(self._trust)
        except Exception as error:  # a folder that is not whole makes TensorFlow raise anything
            version.close()
            states[number] = State("END", *_reason(error))
            self._failed[name, number] = stamp
            return False
        finally:
            self._loading = None
        if _stamp(path) != stamp or self._stop.is_set():  # it is still being copied
            version.close()
            return False
        self._failed.pop((name, number), None)
        before = self._serving.get(name)
        self._serving[name] = version
        states[number] = State("AVAILABLE")  # and not before: whoever reads it may ask at once
        if before is not None:
            self._leave(before)
        return True

    def _leave(self, version: Servable) -> None:
        self._states[version.model][version.number] = State("UNLOADING")
        self._leaving[version.model, version.number] = weakref.ref(version)

    def _bury(self) -> None:
        """Frees what was dropped, once the last request on it has been answered."""
        if not self._leaving:
            return
        gc.collect()  # a loaded model is full of cycles
        for (name, number), version in list(self._leaving.items()):
            if version() is None:
                del self._leaving[name, number]
                if self._states[name][number].name == "UNLOADING":
                    self._states[name][number] = State("END")


def _stamp(folder: pathlib.Path) -> tuple:
    """What changes when a folder's files do."""
    files = []
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            files.append((str(path), status.st_size, status.st_mtime_ns, status.st_ino))
    return tuple(files)


def _reason(error: Exception) -> tuple[Code, str]:
    if isinstance(error, StatusError):
        return error.code, error.message
    if isinstance(error, tf.errors.OpError):
        return Code(error.error_code), error.message
    return Code.INTERNAL, f"{type(error).__name__}: {error}"
