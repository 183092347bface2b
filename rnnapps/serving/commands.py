"""What `rnnapps serve` and `rnnapps predict --server` take. Imports no TensorFlow."""

import base64
import dataclasses
import json as json_format
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from rnnapps.config import flag
from rnnapps.errors import ConfigError, DataError
from rnnapps.standard_input import texts_of


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

    def run(self) -> None:
        """Serves until Ctrl-C or SIGTERM."""
        for name in ("max_megabytes", "max_rows", "max_waiting"):
            if getattr(self, name) < 1:
                raise ConfigError(f"Expected {flag(name)} over 0. Received: {getattr(self, name)}.")
        if self.max_megabytes >= 2048:  # gRPC counts a message's bytes in an int32
            raise ConfigError(
                f"Expected --max-megabytes under 2048. Received: {self.max_megabytes}."
            )
        try:
            from rnnapps.serving.server.server import Server, serve
        except ModuleNotFoundError as error:
            if error.name not in ("starlette", "uvicorn"):
                raise
            raise ConfigError(
                f"rnnapps serve needs {error.name}: pip install starlette uvicorn."
            ) from None
        from rnnapps.serving.server.workers import Limits

        limits = Limits(
            body=self.max_megabytes * 2**20, rows=self.max_rows, waiting=self.max_waiting
        )
        serve(Server(self.folder, self.rest_port, self.grpc_port, self.host, limits))


@dataclasses.dataclass(frozen=True)
class Ask:
    """Has a model server answer: `rnnapps serve`, or TF Serving."""

    server: str
    """Where it is: http://HOST:PORT for REST, grpc://HOST:PORT for gRPC."""
    name: Positional[str]
    """The model's name."""
    text: Positional[tuple[str, ...]] = ()
    """The rows to answer for, JSON where the model takes numbers; none for standard input."""
    signature: str = "serving_default"
    """The signature to ask, with one input."""
    json: bool = False
    """Print a JSON object a line."""

    def run(self) -> None:
        """Prints an answer a line."""
        from rnnapps.serving.client.client import Client

        rows = texts_of(self.text)
        with Client(self.server, self.name) as client:
            inputs = client.signature(self.signature).inputs
            texts = set(inputs.values()) == {"DT_STRING"}
            answers = client.predict(rows if texts else list(map(_number, rows)), self.signature)
        for row, answer in zip(rows, answers, strict=True):
            print(_line(row, answer, self.json))


def _number(row: str) -> Any:
    try:
        return json_format.loads(row)
    except ValueError:
        raise DataError(f"Expected numbers as JSON, such as [1, 2.5]. Received: {row!r}.") from None


def _line(row: str, answer: dict[str, Any], as_json: bool) -> str:
    """JSON; or a label and its probability before the text; or the outputs alone."""
    if as_json:
        return _json({"input": row, **answer})
    if {"label", "probability"} <= answer.keys():
        return f"{answer['label']}\t{answer['probability']:.4f}\t{' '.join(row.split())}"
    return "\t".join(_short(value) for _, value in sorted(answer.items()))


def _short(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return json_format.dumps(
        value, ensure_ascii=False, default=lambda data: {"b64": base64.b64encode(data).decode()}
    )
