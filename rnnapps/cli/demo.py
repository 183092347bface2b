"""`rnnapps demo`: a page to try models in a browser."""

import dataclasses
import importlib.util
import os
import signal
import tempfile
import threading
from concurrent.futures import Future
from pathlib import Path

from tyro.conf import Positional

from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.flags import read_form
from rnnapps.errors import ConfigError
from rnnapps.files import temporary_files_in


@dataclasses.dataclass(frozen=True)
class Demo:
    """Serves a page to try models in a browser, with a tab for each model."""

    sources: Positional[tuple[str, ...]] = ()
    """Run directories or exports; with --server, names of its models."""
    port: int = 7860
    """Port of the page; 0 for any free one."""
    server: str | None = None
    """Use the models of a running server instead: http://HOST:PORT."""

    def run(self) -> None:
        """Shows the page until Ctrl-C."""
        from rnnapps.demo.sources import locate

        for package in ("gradio", "uvicorn", "prometheus_client"):
            if importlib.util.find_spec(package) is None:
                raise ConfigError(f"rnnapps demo needs {package}: pip install 'rnnapps[demo]'.")
        if self.server:
            from rnnapps.demo.models import asked

            self._show(asked(self.server, self.sources))
            return
        sources = locate(self.sources)
        import_tensorflow()
        from rnnapps.demo.models import served

        with served(sources) as models:
            self._show(models)

    def _show(self, models: list) -> None:
        from rnnapps.demo.page import build, launch

        with tempfile.TemporaryDirectory(prefix="rnnapps-demo-") as folder:
            os.environ["GRADIO_TEMP_DIR"] = folder  # what is uploaded and answered goes at the end
            with temporary_files_in(Path(folder)):
                page = build(models)
                end = threading.Event()
                address = launch(page, self.port)
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, lambda *_: end.set())
                print(f"{address}  (Ctrl-C ends)", flush=True)
                for model in models:
                    model.loaded.add_done_callback(lambda one: _failure(one) and end.set())
                end.wait()
                page.close(verbose=False)
        for failure in filter(None, (_failure(model.loaded) for model in models)):
            raise failure


def _failure(loaded: Future) -> BaseException | None:
    """Why a model is not loaded; `None` where it is, or will be."""
    return loaded.exception() if loaded.done() and not loaded.cancelled() else None


def run(arguments: list[str]) -> None:
    """Runs the command."""
    read_form("rnnapps demo", Demo, arguments).run()
