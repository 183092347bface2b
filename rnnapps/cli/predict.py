"""`rnnapps predict`: answers with a run, or has a model server answer."""

import base64
import dataclasses
import json as json_format
from typing import Any

from tyro.conf import FlagCreatePairsOff, Positional

from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.parsing import parse
from rnnapps.cli.run_options import read_run_options
from rnnapps.errors import DataError
from rnnapps.standard_input import texts_of


def run(arguments: list[str]) -> None:
    """Runs the command."""
    if any(word.split("=")[0] == "--server" for word in arguments):
        ask = parse(FlagCreatePairsOff[Ask], "rnnapps predict", arguments)
        if ask.server.startswith("grpc:"):  # its protos import TensorFlow
            import_tensorflow()
        ask.run()
        return
    run_dir, options, found = read_run_options("predict", arguments)
    import_tensorflow()
    from rnnapps.apps.application import load

    load(run_dir).respond(options, found["json"])


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
