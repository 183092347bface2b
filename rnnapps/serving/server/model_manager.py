"""The models of a folder: loads the latest version of each before it drops the previous one."""

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

_PATIENCE = 0.5  # seconds that `stop` waits for a version that is loading


@dataclasses.dataclass(frozen=True)
class State:
    """The lifecycle state of a version.

    Args:
        name: `LOADING`, `AVAILABLE`, `UNLOADING` or `END`.
        code: Status code of the reason it ended.
        message: The reason it ended.
    """

    name: str
    code: Code = Code.OK
    message: str = ""


class ModelManager:
    """Keeps the latest version of each model of a folder loaded, as TF Serving does.

    A new version is loaded and warmed up before it gets requests; the previous one is unloaded
    after its last request has been answered. If a version fails to load, the previous one stays,
    and loading is retried when the files change.

    Args:
        folder: The folder, with a subfolder per model, and in it one per version, named by number.
        seconds: Polling interval of the folder.
        threads: Concurrent requests per version.
        trust: Whether a SavedModel may read and write files.

    Raises:
        RunError: If the folder does not exist, or is a single model's folder.
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
            raise RunError(f"Expected a folder of models. Received: {folder}, not a folder.")
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

    # For requests.

    def get(self, model: str, number: int | None = None) -> Servable:
        """The loaded version of a model.

        Args:
            model: The model's name.
            number: The version number; `None` for the latest.

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
            number: A single version; `None` for all.

        Raises:
            StatusError: If there are no such versions.
        """
        states = dict(self._states.get(model, {}))
        if number is not None and number not in states:
            raise StatusError(Code.NOT_FOUND, f"Could not find version {number} of model {model}")
        if not states:
            raise StatusError(Code.NOT_FOUND, f"Could not find any versions of model {model}")
        return {key: states[key] for key in sorted(states, reverse=True) if number in (None, key)}

    @property
    def serving(self) -> dict[str, int]:
        """The served version number of each model."""
        return {name: version.number for name, version in sorted(self._serving.items())}

    @property
    def names(self) -> list[str]:
        """All models that have or had a version."""
        return sorted(name for name, states in list(self._states.items()) if states)

    @property
    def failures(self) -> list[tuple[str, int, State]]:
        """The versions that failed to load: model, number and state."""
        return [
            (name, number, state)
            for name, states in sorted(self._states.items())
            for number, state in sorted(states.items())
            if state.name == "END" and state.code != Code.OK
        ]

    # The folder.

    def start(self) -> None:
        """Loads the models in the folder and starts to watch it."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """Stops watching and cancels all running requests."""
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
            except OSError as error:  # such as a temporarily unavailable folder
                absl.logging.warning("%s cannot be read: %s", self.folder, error)

    def look(self) -> None:
        """Polls the folder once: loads new versions, drops removed ones."""
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
        if current and not versions:  # otherwise keep serving until another one is loaded
            self._leave(self._serving.pop(name))

    def _load(self, name: str, number: int, path: pathlib.Path) -> bool:
        """Loads a version and directs requests to it; returns whether that succeeded."""
        states = self._states.setdefault(name, {})
        stamp = _stamp(path)
        if self._failed.get((name, number)) == stamp or self._stop.is_set():
            return False
        states[number] = State("LOADING")
        version = self._loading = Servable(name, number, path, self._threads)
        try:
            version.load(self._trust)
        except Exception as error:  # TensorFlow raises anything for a damaged folder
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
        states[number] = State("AVAILABLE")  # last: clients may send requests at once
        if before is not None:
            self._leave(before)
        return True

    def _leave(self, version: Servable) -> None:
        self._states[version.model][version.number] = State("UNLOADING")
        self._leaving[version.model, version.number] = weakref.ref(version)

    def _bury(self) -> None:
        """Frees dropped versions once their last request has been answered."""
        if not self._leaving:
            return
        gc.collect()  # a loaded model has many reference cycles
        for (name, number), version in list(self._leaving.items()):
            if version() is None:
                del self._leaving[name, number]
                if self._states[name][number].name == "UNLOADING":
                    self._states[name][number] = State("END")


def _stamp(folder: pathlib.Path) -> tuple:
    """A value that changes when the folder's files do."""
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
