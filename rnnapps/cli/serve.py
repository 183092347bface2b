"""`rnnapps serve`: serves exports with TF Serving's API. Starts without TensorFlow."""

import dataclasses
import sys
from pathlib import Path

from tyro.conf import Positional

from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.flags import read_form
from rnnapps.errors import ConfigError, flag


@dataclasses.dataclass(frozen=True)
class Serve:
    """Serves a folder of models with the REST and gRPC API of TF Serving, without Docker."""

    folder: Positional[Path] = Path("saved_models")
    """Folder with a folder per model, and in it one per version; new versions are picked up."""
    rest_port: int = 8501
    """Port for REST; 0 for any free one."""
    grpc_port: int = 8500
    """Port for gRPC; 0 for any free one."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets other machines connect."""
    max_megabytes: int = 32
    """Maximum size of a request, in megabytes."""
    max_rows: int = 4096
    """Maximum number of rows of a request."""
    max_waiting: int = 256
    """Maximum number of waiting requests; further ones are answered with status 503."""
    timeout: float = 30.0
    """Time limit of a request, in seconds; its computation stops then, even if the client left."""
    allow_host: tuple[str, ...] = ()
    """Host names, besides its own address, by which the server can be reached; * for any."""
    cors_origin: tuple[str, ...] = ()
    """Origins of web pages that may send requests, such as https://example.org; * for any."""
    trust: bool = False
    """Serve SavedModels that read or write files; only if you trust their source."""
    access_log: bool = False
    """Write a line to standard error for each request: time, client, request and status."""

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
    form = read_form("rnnapps serve", Serve, arguments)
    import_tensorflow()
    form.run()
