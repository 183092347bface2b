"""How a client talks to a server: by REST here, by gRPC in `grpc_transport`."""

import base64
import dataclasses
import http.client
import json
import ssl
import urllib.parse
from typing import Any, Protocol

from rnnapps.errors import DataError, ServerError


@dataclasses.dataclass(frozen=True)
class SignatureTypes:
    """The types of a signature's inputs and outputs by name, such as `DT_STRING`."""

    inputs: dict[str, str]
    outputs: dict[str, str]


class Unavailable(Exception):
    """The server is unreachable or too busy: the request can be retried."""


class Transport(Protocol):
    """The interface of a connection to one model, as `Client` uses it."""

    def predict(
        self, signature: str, types: SignatureTypes, inputs: dict[str, list]
    ) -> dict[str, Any]:
        """Maps inputs by name to outputs by name, all lists of rows."""

    def signatures(self) -> dict[str, SignatureTypes]:
        """The model's signatures by name."""

    def status(self) -> dict[int, tuple[str, str]]:
        """The state of each version by number, and its error message."""

    def close(self) -> None:
        """Closes the connection."""


class RestTransport:
    """Sends REST requests, each over its own connection.

    Args:
        url: The server's URL; its path is prefixed to `/v1`.
        model: The model's name.
        version: The version number; `None` for the latest.
        timeout: Time limit of one request, in seconds.
    """

    def __init__(
        self, url: urllib.parse.SplitResult, model: str, version: int | None, timeout: float
    ):
        self._url, self._timeout = url, timeout
        self._where = f"{url.scheme}://{url.netloc}"
        before = urllib.parse.quote(url.path.rstrip("/"), safe="/%")
        self._path = f"{before}/v1/models/{urllib.parse.quote(model, safe='')}"
        if version is not None:
            self._path += f"/versions/{version}"

    def predict(
        self, signature: str, types: SignatureTypes, inputs: dict[str, list]
    ) -> dict[str, Any]:
        try:
            body = json.dumps({"signature_name": signature, "inputs": _to_json(inputs)})
        except TypeError as error:
            raise DataError(f"Expected inputs that JSON holds. Received: {error}.") from None
        outputs = self._ask("POST", self._path + ":predict", "outputs", body.encode())
        if not isinstance(outputs, dict):  # a single output has no name
            if len(types.outputs) != 1:
                raise ServerError(f"The signature {signature} has changed; retry the request.")
            outputs = {next(iter(types.outputs)): outputs}
        return {name: _from_json(outputs[name]) for name in sorted(outputs)}

    def signatures(self) -> dict[str, SignatureTypes]:
        answer = self._ask("GET", self._path + "/metadata", "metadata")["signature_def"]
        return {
            name: SignatureTypes(
                *(
                    {key: info["dtype"] for key, info in signature.get(side, {}).items()}
                    for side in ("inputs", "outputs")
                )
            )
            for name, signature in answer["signature_def"].items()
            if signature.get("inputs")  # TensorFlow's init signature has none
        }

    def status(self) -> dict[int, tuple[str, str]]:
        return {
            int(status["version"]): (status["state"], status["status"]["error_message"])
            for status in self._ask("GET", self._path, "model_version_status")
        }

    def close(self) -> None:
        """Does nothing: no connection is kept open."""

    def _ask(self, method: str, path: str, key: str, body: bytes | None = None) -> Any:
        """The value of a key in the response."""
        connection = self._connect()
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            status, answer = response.status, response.read().decode("utf-8", "replace")
        except TimeoutError:
            raise ServerError(f"{self._where} did not answer within {self._timeout:g} s.") from None
        except (ssl.SSLError, UnicodeError) as error:  # UnicodeError: invalid host name
            raise ServerError(f"{self._where}: {error}.") from None
        except (OSError, http.client.HTTPException) as error:
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unavailable(f"Cannot reach {self._where}: {said}.") from None
        finally:
            connection.close()
        try:
            document = json.loads(answer)
        except ValueError:
            document = None
        if status == 200 and isinstance(document, dict) and key in document:
            return document[key]
        if isinstance(document, dict) and "error" in document:
            answer = document["error"]
        kind = Unavailable if status == 503 else ServerError
        raise kind(f"{self._where} answered {status}: {answer[:1000]}")

    def _connect(self) -> http.client.HTTPConnection:
        secure = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        assert self._url.hostname  # `Client` refuses a URL without one
        return kind(self._url.hostname, self._url.port, timeout=self._timeout)


def _to_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # replaces lone surrogates
    if isinstance(value, list):
        return [_to_json(element) for element in value]
    if isinstance(value, dict):
        return {key: _to_json(element) for key, element in value.items()}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    if isinstance(value, list):
        return [_from_json(element) for element in value]
    return value
