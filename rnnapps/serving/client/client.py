"""A client for model servers, the local one or TF Serving. Imports no TensorFlow for REST."""

import random
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from rnnapps.errors import ConfigError, DataError, ServerError, SignatureError
from rnnapps.serving.client.transport import RestTransport, SignatureTypes, Transport, Unavailable
from rnnapps.spans import tokens_answered

Answer = TypeVar("Answer")
_FIRST_PAUSE = 0.1  # seconds, doubled from one retry to the next
_FRESH = 60.0  # seconds for which signatures are cached: REST does not name a single output


class Client:
    """Sends requests to one model of a server.

    Args:
        url: The server's address: `http://host:port` or `https://host:port` for REST,
            `grpc://host:port` for gRPC.
        model: The model's name.
        version: The version number; `None` for the latest.
        timeout: Time limit of one request, in seconds.
        retries: How often to resend a request if the server is unreachable or too busy, with
            exponential backoff from 0.1 s.

    Raises:
        ConfigError: If the URL is invalid.

    Example:
    >>> Client("http://127.0.0.1:8501", "sentiment").predict(["the plot was anything but dull"])
    [{'label': 'positive', 'probabilities': [0.01, 0.99], 'probability': 0.99}]
    """

    def __init__(
        self,
        url: str,
        model: str,
        version: int | None = None,
        timeout: float = 60.0,
        retries: int = 5,
    ):
        self.retries = retries
        self._transport = _transport(url, model, version, timeout)
        self._signatures: dict[str, SignatureTypes] = {}
        self._asked = 0.0  # when the signatures were fetched

    def predict(
        self, inputs: Sequence | None = None, signature: str = "serving_default", **named: Any
    ) -> list[dict[str, Any]]:
        """Runs the model on a batch.

        Args:
            inputs: The rows of the signature's only input, such as texts.
            signature: The signature's name.
            **named: The rows of each input by name, if there are several; a single number or text
                applies to every row.

        Returns:
            For each row its outputs by name.

        Raises:
            DataError: If the inputs do not match the signature.
            ServerError: If the server is unreachable or rejects the request.
        """
        try:
            types = self.signature(signature)
            columns = _columns(types, signature, inputs, named)
            outputs = self._patiently(lambda: self._transport.predict(signature, types, columns))
        except (DataError, ServerError):
            self._signatures = {}  # a newer version may have changed them
            raise
        sizes = {len(column) if isinstance(column, list) else None for column in outputs.values()}
        if len(sizes) != 1 or None in sizes:
            raise ServerError(f"Expected outputs of {signature} with the same number of rows.")
        return [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]

    def find_spans(self, texts: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Finds spans, such as names, with a tagger.

        Args:
            texts: The texts.

        Returns:
            For each text its spans: `start` and `end` in characters, `label`, `text`, and
            `probability`, that of the span's least likely tag.

        Raises:
            ServerError: If the model is not a tagger, or its tags do not mark spans.
        """
        answers = [tokens_answered(answer) for answer in self.predict(texts)]
        if not all("spans" in answer for answer in answers):
            raise ServerError("Expected a model that finds spans. Received: one that does not.")
        return [
            [{**span, "text": text[span["start"] : span["end"]]} for span in answer["spans"]]
            for text, answer in zip(texts, answers, strict=True)
        ]

    def generate_stream(
        self, prompt: str, length: int = 400, temperature: float = 0.8, seed: int = 0
    ) -> Iterator[str]:
        """Continues a text with a character generator, one request per token.

        Args:
            prompt: The text to continue.
            length: Number of tokens.
            temperature: Sampling temperature; near 0 always the most likely token.
            seed: The same seed gives the same text.

        Yields:
            The text of each token; empty until a multi-token character is complete.
        """
        state = self.predict([prompt], signature="start")[0]
        for _ in range(length):
            rows = {name: [value] for name, value in state.items()}
            [state] = self.predict(signature="step", temperature=temperature, seed=seed, **rows)
            yield state.pop("text")

    def signature(self, name: str = "serving_default") -> SignatureTypes:
        """The names and types of a signature's inputs and outputs.

        Args:
            name: The signature's name.

        Raises:
            SignatureError: If the model has no such signature.
            ServerError: If the server is unreachable or does not have the model.
        """
        if name not in self._signatures or time.monotonic() - self._asked > _FRESH:
            self._signatures = self._patiently(self._transport.signatures)
            self._asked = time.monotonic()
        if name not in self._signatures:
            known = ", ".join(sorted(self._signatures))
            raise SignatureError(f"The model has no signature {name}; it has {known}.")
        return self._signatures[name]

    def describe(self, name: str) -> str:
        """The text of one of the model's assets, such as `task.json`.

        Args:
            name: The asset's file name.

        Raises:
            ServerError: If the model has no signature `describe` or no such asset.
        """
        text = self.predict([name], signature="describe")[0]["text"]
        if not text:
            raise ServerError(f"The model has no asset {name}.")
        return text

    def status(self) -> dict[int, tuple[str, str]]:
        """The state of each version by number, such as `AVAILABLE`, and its error message.

        Raises:
            ServerError: If the server is unreachable or does not have the model.
        """
        return self._patiently(self._transport.status)

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        pause = _FIRST_PAUSE
        for retry in range(self.retries + 1):
            try:
                return ask()
            except Unavailable as error:
                if retry == self.retries:
                    raise ServerError(str(error)) from None
            time.sleep(pause * random.uniform(0.5, 1.0))  # jitter: clients retry at different times
            pause *= 2
        raise AssertionError

    def close(self) -> None:
        """Closes the connection."""
        self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _transport(url: str, model: str, version: int | None, timeout: float) -> Transport:
    try:
        parts = urllib.parse.urlsplit(url)
        schemes, port = ("http", "https", "grpc"), parts.port
        known = parts.scheme in schemes and parts.hostname and "@" not in parts.netloc
    except ValueError:  # the port is not a number
        known = False
    if not known or (parts.scheme == "grpc" and port is None):
        raise ConfigError(
            "Expected http://HOST:PORT, https://HOST:PORT or grpc://HOST:PORT, without a user or "
            f"password. Received: {re.sub('//.*@', '//...@', url)!r}."
        )
    if parts.scheme != "grpc":
        return RestTransport(parts, model, version, timeout)
    from rnnapps.serving.client.grpc_transport import GrpcTransport

    return GrpcTransport(parts.netloc, model, version, timeout)


def _columns(
    types: SignatureTypes, signature: str, inputs: Sequence | None, named: dict[str, Any]
) -> dict[str, list]:
    if inputs is not None:
        if isinstance(inputs, str | bytes) or not hasattr(inputs, "__len__"):
            raise DataError(f"Expected a list of inputs. Received: {inputs!r}.")
        if len(types.inputs) != 1:
            raise DataError(
                f"The signature {signature} has the inputs {', '.join(sorted(types.inputs))}; "
                "give each by its name."
            )
        named = {next(iter(types.inputs)): inputs, **named}
    if set(named) != set(types.inputs):
        raise DataError(
            f"Expected the inputs {', '.join(sorted(types.inputs))} for the signature {signature}. "
            f"Received: {', '.join(sorted(named)) or 'none'}."
        )
    columns = {name: plain(values) for name, values in named.items()}
    rows = {name: len(values) for name, values in columns.items() if isinstance(values, list)}
    if len(set(rows.values())) != 1:
        raise DataError(f"Expected inputs with the same number of rows. Received: {rows}.")
    count = next(iter(rows.values()))
    return {name: values if name in rows else [values] * count for name, values in columns.items()}


def plain(values: Any) -> Any:
    """Arrays, tensors and tuples as lists."""
    if hasattr(values, "numpy"):
        values = values.numpy()
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, list | tuple):
        return [plain(value) for value in values]
    return values
