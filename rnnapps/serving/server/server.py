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

_FAREWELL = 0.15  # seconds to tell those who still wait that the server ends
_LAST = 4.5  # seconds after which a process that is told to end does, whatever it is at
_READERS = 2  # threads that read bodies; Python reads one at a time


class Server:
    """Serves a folder of models as TF Serving does: a folder for each model, in it its versions.

    It is for notebooks, tests and laptops; production wants TF Serving itself.

    Args:
        folder: The folder of models, such as `saved_models`.
        rest_port: The port for REST; 0 for a free one.
        grpc_port: The port for gRPC; 0 for a free one.
        host: The address to listen at.
        limits: What the server takes on at most.
        seconds: How often the folder is looked at for new versions.
        hosts: Hosts that it may be asked as besides its own address; `*` for any.
        origins: Origins whose pages may ask from a browser; `*` for any.
        trust: Whether a SavedModel may read and write files.
        access_log: Where each request is a line, such as `sys.stderr`; `None` for nowhere.

    Raises:
        RunError: If there is no such folder.

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
        """Where REST is, as `Client` takes it."""
        return f"http://{_address(self.host, self.rest_port)}"

    @property
    def grpc_address(self) -> str:
        """Where gRPC is, as `Client` takes it."""
        return f"grpc://{_address(self.host, self.grpc_port)}"

    def start(self) -> None:
        """Loads the models, then listens; returns when requests are answered.

        Raises:
            RunError: If a port is taken, or the address not this machine's.
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
        if self.grpc_port:  # gRPC would say in the log, too, that a port is taken
            _listen("grpc", self.host, self.grpc_port).close()
        rest_socket = _listen("rest", self.host, self.rest_port)
        self.rest_port = rest_socket.getsockname()[1]
        self.grpc_port = self._grpc.add_insecure_port(_address(self.host, self.grpc_port))
        return rest_socket

    def stop(self, seconds: float = 4.0) -> None:
        """Lets the requests in flight end; then ends them, and the server.

        Args:
            seconds: How long they have to end by themselves.
        """
        end = time.monotonic() + seconds
        grpc_stopped = self._grpc.stop(seconds + _FAREWELL)
        self._rest.should_exit = True
        self._join(seconds)
        grpc_stopped.wait(max(0, end - time.monotonic()))
        for pool in self._pools:
            pool.stop()
        self.manager.stop()  # what still runs ends by it, and is answered that the server does
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
        except OSError as error:  # a host that has no address has no number of an error, either
            number = error.errno or 0
            reason = os.strerror(number) if number > 0 else "there is no such address"
    raise RunError(f"Cannot listen at {_address(host, port)} (--{kind}-port): {reason}.")


def serve(server: Server) -> None:
    """Serves until Ctrl-C or SIGTERM, and says where.

    Args:
        server: The server, not yet started.
    """
    gc.freeze()  # what is imported stays, so that looking for dropped models is quick
    numbers = signal.SIGINT, signal.SIGTERM
    for number in numbers:  # while models are loaded, there is nothing to wait for
        signal.signal(number, signal.SIG_DFL)
    server.start()
    end = threading.Event()
    for number in numbers:
        signal.signal(number, lambda *_: end.set())
    _say_what_is_served(server)
    end.wait()
    last = threading.Timer(_LAST, os._exit, [0])  # an op of TensorFlow's may know no end
    last.daemon = True
    last.start()
    server.stop()


def _say_what_is_served(server: Server) -> None:
    for name, number in server.manager.serving.items():
        print(f"{name}: version {number}")
    for name, number, state in server.manager.failures:
        print(f"{name}: version {number} is not served: {state.message}", file=sys.stderr)
    if not server.manager.serving:
        print(f"{server.manager.folder} holds no model yet; what is exported there is served.")
    print(f"REST {server.rest_address}  gRPC {server.grpc_address}  (Ctrl-C ends)")
    print(
        "This server is for notebooks, tests and laptops. Production wants TF Serving, which "
        "reads the same folder: see saved_models/README.md.",
        flush=True,
    )
