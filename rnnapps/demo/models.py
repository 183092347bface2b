"""The models of a page: each a client of a server, this process' own or another one."""

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from rnnapps.apps import config_class
from rnnapps.apps.bulk.answering import Ask, Model
from rnnapps.config import TableOptions, TrainingConfig
from rnnapps.demo.sources import Source, cache_of
from rnnapps.errors import ConfigError, RnnappsError, RunError, SignatureError
from rnnapps.progress import say
from rnnapps.serving import Client
from rnnapps.serving.export.versions import versions_of

if TYPE_CHECKING:
    from rnnapps.serving import Server

# By which signature, and which of its outputs or inputs, an application's export is known.
_KNOWN = {
    "chargen": ("generate", "text"),
    "translation": ("n_best", "translations"),
    "forecasting": ("serving_default", "quantiles"),
    "tagging": ("serving_default", "tags"),
    "sentiment": ("serving_default", "probabilities"),
}


@dataclasses.dataclass(frozen=True)
class Shown:
    """A model on the page.

    Args:
        name: Its name.
        application: Which application's it is.
        url: Where its server is.
        loaded: What asks it, once it is loaded.
        settings: The settings that it was trained with; empty where a server keeps them.
        folder: The folder of its export; `None` where a server keeps it.
        examples: What its run keeps of its data.
    """

    name: str
    application: str
    url: str
    loaded: Future[Client]
    settings: dict[str, Any]
    folder: pathlib.Path | None
    examples: tuple[Any, ...] = ()

    @property
    def client(self) -> Client:
        """What asks it. Waits until it is loaded.

        Raises:
            RunError: If it cannot be.
        """
        try:
            return self.loaded.result()
        except CancelledError:
            raise RunError("The demo ended before the model was loaded.") from None

    @property
    def config(self) -> TrainingConfig | None:
        """Its configuration, where that is known."""
        settings = {key: value for key, value in self.settings.items() if key != "application"}
        if not settings:
            return None
        try:
            return config_class(self.application).of_run(settings)
        except RnnappsError:  # of another version
            return None

    def asset(self, name: str) -> str:
        """The text of one of the export's assets.

        Args:
            name: Its file name.

        Raises:
            ServerError: If a server keeps the export and does not describe it.
        """
        if self.folder is None:
            return self.client.describe(name)
        return (self.folder / "assets" / name).read_text("utf-8")


@dataclasses.dataclass(frozen=True)
class TableModel(Model):
    """A model of the page, as tables of any size are answered with.

    Args:
        folder: Unused.
        settings: Those that it was trained with.
        ask: What answers texts: a row of columns for each.
    """

    ask: Callable[[Sequence[str]], list[dict[str, Any]]] = list

    def checksum(self) -> str:
        return ""

    def reading(self) -> tuple[str | None, TableOptions]:
        names = TableOptions.model_fields
        how = {name: self.settings[name] for name in names if name in self.settings}
        column = self.settings.get("text_column") or self.settings.get("source_column")
        return column, TableOptions(**how)

    def load(self) -> Ask:
        return lambda texts, _: self.ask(texts)


@contextlib.contextmanager
def served(sources: Sequence[Source]) -> Iterator[list[Shown]]:
    """Serves runs and exports to this process alone. They are loaded behind the page's back.

    Args:
        sources: What is to be served; a run is exported first.

    Yields:
        The models, one of which after the other will be loaded.
    """
    from rnnapps.serving import Limits, Server  # import TensorFlow

    with (
        tempfile.TemporaryDirectory(prefix="rnnapps-demo-") as folder,
        ThreadPoolExecutor(1, "rnnapps-loader") as loader,
        Server(folder, 0, 0, limits=Limits(seconds=60.0), seconds=3600.0) as server,
    ):
        models = []
        try:
            for source in sources:
                version = _exported(source)
                loaded = loader.submit(_load, server, source.name, version)
                model = _shown(source.name, server.rest_address, loaded, source.settings, version)
                models.append(dataclasses.replace(model, examples=source.examples))
            yield models
        finally:
            loader.shutdown(wait=False, cancel_futures=True)


def asked(url: str, names: Sequence[str]) -> list[Shown]:
    """The models of another server.

    Args:
        url: Where it is.
        names: Their names.
    """
    if not names:
        raise ConfigError("Expected the names of models of the server after demo. Received: none.")
    models = []
    for name in names:
        loaded = Future[Client]()
        loaded.set_result(_client(url, name))
        models.append(_shown(name, url, loaded, {}, None))
    return models


def _exported(source: Source) -> pathlib.Path:
    if source.exported:
        return source.folder
    cache = cache_of(source)
    if found := versions_of(cache):
        return list(found.values())[-1]
    from rnnapps.apps.application import load

    say([f"{source.folder} is exported once, to {cache}."])
    return load(source.folder).export(cache)


def _load(server: "Server", name: str, version: pathlib.Path) -> Client:
    """Puts a version into the server's folder, which is looked at by nobody else."""
    place = server.manager.folder / name
    place.mkdir()
    (place / "1").symlink_to(version, target_is_directory=True)  # which may have any name
    server.manager.look()
    for model, _, state in server.manager.failures:
        if model == name:
            raise RunError(f"{version} cannot be served: {state.message}")
    return _client(server.rest_address, name)


def _client(url: str, name: str) -> Client:
    return Client(url, name, retries=2)


def _shown(
    name: str,
    url: str,
    loaded: Future[Client],
    settings: dict[str, Any],
    folder: pathlib.Path | None,
) -> Shown:
    application = settings.get("application")
    if application not in _KNOWN:  # a copied application's, or one that describes itself to nobody
        application = _application(loaded.result(), name)
    return Shown(name, application, url, loaded, settings, folder)


def _application(client: Client, name: str) -> str:
    for application, (signature, output) in _KNOWN.items():
        with contextlib.suppress(SignatureError):
            if output in client.signature(signature).outputs:
                return application
    raise RunError(
        f"{name} is no model of an application that the demo knows: {', '.join(_KNOWN)}."
    )
