"""The local model server: TF Serving's REST and gRPC contract for where there is no Docker."""

import gc
import os
import pathlib
import signal
import socket
import threading
import time

import uvicorn

from rnnapps.errors import RunError
from rnnapps.serving.server.model_manager import ModelManager
from rnnapps.serving.server.rest import RestApi
from rnnapps.serving.server.rpc import make_grpc_server
from rnnapps.serving.server.workers import Limits, Workers

_GRACE = 5.0  # seconds that requests in flight have when the server ends


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
    ):
        self.manager = ModelManager(folder, seconds)
        self.rest_port, self.grpc_port, self.host = rest_port, grpc_port, host
        self._workers = Workers(limits or Limits())
        self._grpc = make_grpc_server(self.manager, self._workers, limits or Limits())
        api = RestApi(self.manager, self._workers, limits or Limits())
        self._rest = uvicorn.Server(
            uvicorn.Config(
                api,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=int(_GRACE),
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

    def stop(self) -> None:
        """Lets the requests in flight end, for a few seconds, and ends."""
        stopped = self._grpc.stop(_GRACE)
        self._rest.should_exit = True
        if self._thread:
            self._thread.join()
        stopped.wait()
        self._workers.stop()
        self.manager.stop()

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_) -> None:
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
            known = (error.errno or 0) > 0
            reason = os.strerror(error.errno) if known else "there is no such address"
    raise RunError(f"Cannot listen at {_address(host, port)} (--{kind}-port): {reason}.")


def serve(server: Server) -> None:
    """Serves until Ctrl-C or SIGTERM, and says where.

    Args:
        server: The server, not yet started.
    """
    gc.freeze()  # what is imported stays, so that looking for dropped models is quick
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
    with server:
        for name, number in server.manager.serving.items():
            print(f"{name}: version {number}")
        if not server.manager.serving:
            print(f"{server.manager.folder} holds no model yet; what is exported there is served.")
        print(f"REST {server.rest_address}  gRPC {server.grpc_address}  (Ctrl-C ends)")
        print(
            "This server is for notebooks, tests and laptops. Production wants TF Serving, which "
            "reads the same folder: see saved_models/README.md.",
            flush=True,
        )
        end.wait()
