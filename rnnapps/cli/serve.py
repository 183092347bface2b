"""`rnnapps serve`: serves exports with TF Serving's API. Starts without TensorFlow."""

import dataclasses
import sys
from pathlib import Path

from tyro.conf import FlagCreatePairsOff, Positional

from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.parsing import parse
from rnnapps.errors import ConfigError, flag


@dataclasses.dataclass(frozen=True)
class Serve:
    """Serves a folder of models as TF Serving does, by REST and gRPC, without Docker."""

    folder: Positional[Path] = Path("saved_models")
    """A folder for each model, in it a folder for each version; new versions are picked up."""
    rest_port: int = 8501
    """The port for REST; 0 for a free one."""
    grpc_port: int = 8500
    """The port for gRPC; 0 for a free one."""
    host: str = "127.0.0.1"
    """The address to listen at; 0.0.0.0 lets other machines ask."""
    max_megabytes: int = 32
    """How long a request may be."""
    max_rows: int = 4096
    """How many rows a request may have."""
    max_waiting: int = 256
    """How many requests may wait; the others are answered 503."""
    timeout: float = 30.0
    """Seconds that a request may take; its work ends then, even if its client has gone."""
    allow_host: tuple[str, ...] = ()
    """Names besides its own address that the server may be asked as; * for any."""
    cors_origin: tuple[str, ...] = ()
    """Origins of web pages that may ask, such as https://example.org; * for any."""
    trust: bool = False
    """Serve a SavedModel that reads or writes files; only if you trust whoever made it."""
    access_log: bool = False
    """Write a line to standard error for each request: when, whose, what, how it ended."""

    def run(self) -> None:
        """Serves until Ctrl-C or SIGTERM."""
        for name in ("max_megabytes", "max_rows", "max_waiting"):
            if getattr(self, name) < 1:
                raise ConfigError(f"Expected {flag(name)} over 0. Received: {getattr(self, name)}.")
        if not 0 < self.timeout < 1e6:
            raise ConfigError(f"Expected --timeout to be seconds over 0. Received: {self.timeout}.")
        if self.max_megabytes >= 2048:  # gRPC counts a message's bytes in an int32
            raise ConfigError(
                f"Expected --max-megabytes under 2048. Received: {self.max_megabytes}."
            )
        try:
            from rnnapps.serving.server.server import Server, serve
        except ModuleNotFoundError as error:
            if error.name not in ("starlette", "uvicorn", "prometheus_client"):
                raise
            raise ConfigError(
                f"rnnapps serve needs {error.name}: pip install 'rnnapps[serving]'."
            ) from None
        from rnnapps.serving.server.workers import Limits

        limits = Limits(
            body=self.max_megabytes * 2**20,
            rows=self.max_rows,
            waiting=self.max_waiting,
            seconds=self.timeout,
        )
        serve(
            Server(
                self.folder,
                self.rest_port,
                self.grpc_port,
                self.host,
                limits,
                hosts=self.allow_host,
                origins=self.cors_origin,
                trust=self.trust,
                access_log=sys.stderr if self.access_log else None,
            )
        )


def run(arguments: list[str]) -> None:
    """Runs the command."""
    form = parse(FlagCreatePairsOff[Serve], "rnnapps serve", arguments)
    import_tensorflow()
    form.run()
