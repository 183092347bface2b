"""The models of a page: each a client of a server, this process' own or another one."""

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rnnapps.apps import config_class
from rnnapps.apps.bulk.answering import Ask, Model
from rnnapps.config import TableOptions, TrainingConfig
from rnnapps.demo.sources import Source, cache_of
from rnnapps.errors import ConfigError, RnnappsError, RunError
from rnnapps.progress import say
from rnnapps.serving import Client
from rnnapps.serving.export.versions import versions_of

# By which signature, and which of its outputs or inputs, an application's export is known.
_KNOWN = {
    "chargen": ("generate", "text"),
    "translation": ("n_best", "translations"),
    "forecasting": ("serving_default", "quantiles"),
    "tagging": ("serving_default", "tags"),
    "sentiment": ("serving_default", "probabilities"),
}
_READ = 20 * 2**20  # bytes of a file of data that is read for examples; more would take too long


@dataclasses.dataclass(frozen=True)
class Shown:
    """A model on the page.

    Args:
        name: Its name.
        application: Which application's it is.
        url: Where its server is.
        client: What asks it.
        settings: The settings that it was trained with; empty where a server keeps them.
        folder: The folder of its export; `None` where a server keeps it.
    """

    name: str
    application: str
    url: str
    client: Client
    settings: dict[str, Any]
    folder: pathlib.Path | None

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

    def examples(self, read: Callable[[Any], Sequence[str]]) -> list[str]:
        """Examples of the model's own data.

        Args:
            read: What gives them, of the configuration.

        Returns:
            A few; none where the data is not here, or takes long to read.
        """
        config = self.config
        if config is None or not _quickly_read(config.data):
            return []
        try:
            return list(dict.fromkeys(text for text in read(config) if text.strip()))[:5]
        except RnnappsError:  # the data has changed, or gone
            return []


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
    """Serves runs and exports to this process alone.

    Args:
        sources: What is to be served; a run is exported first.

    Yields:
        The models.
    """
    from rnnapps.serving import Limits, Server  # import TensorFlow

    with tempfile.TemporaryDirectory(prefix="rnnapps-demo-") as folder:
        root, versions = pathlib.Path(folder), {}
        for source in sources:
            versions[source.name] = version = _exported(source)
            (root / source.name).mkdir()
            (root / source.name / version.name).symlink_to(version, target_is_directory=True)
        with Server(root, 0, 0, limits=Limits(seconds=60.0), seconds=3600.0) as server:
            for name, _, state in server.manager.failures:
                raise RunError(f"{versions[name]} cannot be served: {state.message}")
            yield [
                _shown(server.rest_address, one.name, one.settings, versions[one.name])
                for one in sources
            ]


def asked(url: str, names: Sequence[str]) -> list[Shown]:
    """The models of another server.

    Args:
        url: Where it is.
        names: Their names.
    """
    if not names:
        raise ConfigError("Expected the names of models of the server after demo. Received: none.")
    return [_shown(url, name, {}, None) for name in names]


def _exported(source: Source) -> pathlib.Path:
    if source.exported:
        return source.folder
    cache = cache_of(source)
    if found := versions_of(cache):
        return list(found.values())[-1]
    from rnnapps.apps.application import load

    say([f"{source.folder} is exported once, to {cache}."])
    return load(source.folder).export(cache)


def _shown(url: str, name: str, settings: dict[str, Any], folder: pathlib.Path | None) -> Shown:
    client = Client(url, name, retries=2)
    return Shown(name, _application(client, name), url, client, settings, folder)


def _application(client: Client, name: str) -> str:
    for application, (signature, output) in _KNOWN.items():
        with contextlib.suppress(RnnappsError):
            if output in client.signature(signature).outputs:
                return application
    client.signature()  # says that there is no such server, or model
    raise RunError(
        f"{name} is no model of an application that the demo knows: {', '.join(_KNOWN)}."
    )


def _quickly_read(data: str) -> bool:
    path = pathlib.Path(data)
    return data == "sample" or (path.is_file() and path.stat().st_size < _READ)
