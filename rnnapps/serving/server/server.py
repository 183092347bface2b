"""The local model server: TF Serving's REST and gRPC API where there is no Docker."""

import functools
import gc
import os
import pathlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Collection
from typing import TextIO

import uvicorn

from rnnapps.errors import RunError
from rnnapps.serving.server.http import HEADER_BYTES, HttpProtocol
from rnnapps.serving.server.model_manager import ModelManager
from rnnapps.serving.server.monitor import Monitor
from rnnapps.serving.server.origins import OriginGuard
from rnnapps.serving.server.rest import RestApi
from rnnapps.serving.server.rpc import RpcApi, make_grpc_server
from rnnapps.serving.server.workers import Limits, Room, Workers

_FAREWELL = 0.15  # seconds for sending the shutdown error to waiting clients
_LAST = 4.5  # seconds after which a process that was told to stop is forced to exit
_READERS = 2  # threads that parse bodies; Python parses one at a time


class Server:
    """Serves a folder of models like TF Serving: a subfolder per model with its versions.

    For notebooks, tests and laptops; use TF Serving itself in production.

    Args:
        folder: The folder of models, such as `saved_models`.
        rest_port: The port for REST; 0 for any free port.
        grpc_port: The port for gRPC; 0 for any free port.
        host: The address to listen on.
        limits: Limits of the server.
        seconds: Polling interval for new versions.
        hosts: Allowed `Host` headers besides its own address; `*` for any.
        origins: Allowed `Origin` headers of browser requests; `*` for any.
        trust: Whether a SavedModel may read and write files.
        access_log: Stream for one line per request, such as `sys.stderr`; `None` for no log.

    Raises:
        RunError: If the folder does not exist.

    Example:
    >>> with Server("saved_models", rest_port=0, grpc_port=0) as server:
    ...     Client(server.rest_address, "sentiment").predict(["not bad at all"])
    """

    def __init__(
        self,
        folder: pathlib.Path | str,
        rest_port: int = 8501,
        grpc_port: int = 8500,
        host: str = "127.0.0.1",
        limits: Limits | None = None,
        seconds: float = 1.0,
        hosts: Collection[str] = (),
        origins: Collection[str] = (),
        trust: bool = False,
        access_log: TextIO | None = None,
    ):
        limits = limits or Limits()
        self.manager = ModelManager(folder, seconds, limits.threads, trust)
        self.rest_port, self.grpc_port, self.host = rest_port, grpc_port, host
        readers = Workers("reader", _READERS, limits.waiting)
        workers = Workers("worker", limits.threads, limits.waiting)
        self._pools = readers, workers
        room, monitor = Room(limits), Monitor(access_log)
        self._grpc = make_grpc_server(RpcApi(self.manager, workers, limits, room, monitor), limits)
        api = RestApi(self.manager, readers, workers, limits, room, monitor)
        self._rest = uvicorn.Server(
            uvicorn.Config(
                OriginGuard(api, host, hosts, origins),
                http=functools.partial(
                    HttpProtocol,
                    header_seconds=limits.header_seconds,
                    answer_seconds=limits.body_seconds,
                ),
                ws="none",
                h11_max_incomplete_event_size=HEADER_BYTES,
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
            )
        )
        self._thread: threading.Thread | None = None

    @property
    def rest_address(self) -> str:
        """The REST address, for `Client`."""
        return f"http://{_address(self.host, self.rest_port)}"

    @property
    def grpc_address(self) -> str:
        """The gRPC address, for `Client`."""
        return f"grpc://{_address(self.host, self.grpc_port)}"

    def start(self) -> None:
        """Loads the models and starts listening; returns when the server is ready.

        Raises:
            RunError: If a port is in use, or the address is not this machine's.
        """
        rest_socket = self._bind()
        try:
            self.manager.start()
        except BaseException:
            rest_socket.close()
            raise
        self._grpc.start()
        self._thread = threading.Thread(
            target=self._rest.run, kwargs={"sockets": [rest_socket]}, name="rnnapps-rest"
        )
        self._thread.start()
        while not self._rest.started and self._thread.is_alive():
            time.sleep(0.01)

    def _bind(self) -> socket.socket:
        if self.grpc_port:  # gRPC would also log that a port is in use
            _listen("grpc", self.host, self.grpc_port).close()
        rest_socket = _listen("rest", self.host, self.rest_port)
        self.rest_port = rest_socket.getsockname()[1]
        self.grpc_port = self._grpc.add_insecure_port(_address(self.host, self.grpc_port))
        return rest_socket

    def stop(self, seconds: float = 4.0) -> None:
        """Waits for requests in flight, cancels the rest, and stops the server.

        Args:
            seconds: How long to wait.
        """
        end = time.monotonic() + seconds
        grpc_stopped = self._grpc.stop(seconds + _FAREWELL)
        self._rest.should_exit = True
        self._join(seconds)
        grpc_stopped.wait(max(0, end - time.monotonic()))
        for pool in self._pools:
            pool.stop()
        self.manager.stop()  # cancels what still runs, with a shutdown error
        self._join(_FAREWELL)
        grpc_stopped.wait(_FAREWELL)
        self._rest.force_exit = True
        self._join(_FAREWELL)

    def _join(self, seconds: float) -> None:
        if self._thread:
            self._thread.join(seconds)

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listen(kind: str, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reason = "there is no such port"
    if 0 <= port < 2**16:
        try:
            return socket.create_server((host, port), family=family)
        except OSError as error:  # an unknown host has no error number
            number = error.errno or 0
            reason = os.strerror(number) if number > 0 else "there is no such address"
    raise RunError(f"Cannot listen at {_address(host, port)} (--{kind}-port): {reason}.")


def serve(server: Server) -> None:
    """Prints the addresses and serves until Ctrl-C or SIGTERM.

    Args:
        server: The server, not yet started.
    """
    gc.freeze()  # excludes imported modules, so that collecting dropped models is fast
    numbers = signal.SIGINT, signal.SIGTERM
    for number in numbers:  # no requests to wait for while models load
        signal.signal(number, signal.SIG_DFL)
    server.start()
    end = threading.Event()
    for number in numbers:
        signal.signal(number, lambda *_: end.set())
    _say_what_is_served(server)
    end.wait()
    last = threading.Timer(_LAST, os._exit, [0])  # a TensorFlow op may never return
    last.daemon = True
    last.start()
    server.stop()


def _say_what_is_served(server: Server) -> None:
    for name, number in server.manager.serving.items():
        print(f"{name}: version {number}")
    for name, number, state in server.manager.failures:
        print(f"{name}: version {number} is not served: {state.message}", file=sys.stderr)
    if not server.manager.serving:
        print(f"{server.manager.folder} has no models yet; models exported there will be served.")
    print(f"REST {server.rest_address}  gRPC {server.grpc_address}  (Ctrl-C ends)")
    print(
        "This server is for notebooks, tests and laptops. In production, use TF Serving, which "
        "reads the same folder: see saved_models/README.md.",
        flush=True,
    )
