"""`rnnapps predict`: answers with a run, or has a model server answer."""

import base64
import dataclasses
import json as json_format
import os
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.flags import Group, read
from rnnapps.cli.parsing import parse
from rnnapps.cli.run_options import OutputOptions, read_run_options
from rnnapps.errors import ConfigError, DataError, flag
from rnnapps.standard_input import batches_of


@dataclasses.dataclass(frozen=True)
class TableOutput(OutputOptions):
    """What goes with a file of texts: a table, or a text a line."""

    output: Path | None = None
    """For a file: the file to write, with its rows and the answers; by default standard output."""
    format: Literal["csv", "tsv", "jsonl", "parquet"] | None = None
    """For a file: how the answers are written; by default as the file is."""
    column: str | None = None
    """For a table: the column of the texts; by default the one that was trained on."""
    as_text: Annotated[bool, arg(name="text")] = False
    """Take the words for texts, even where one is a file's name."""


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """Answers with an export."""

    text: Positional[tuple[str, ...]] = ()
    """The texts, or a file of them; without any, the lines of standard input."""


def run(arguments: list[str]) -> None:
    """Runs the command."""
    with warnings.catch_warnings(action="ignore"):
        warnings.filterwarnings("always", "never seen in training")
        said: list[str] = []
        warnings.showwarning = lambda message, *_, **__: _note(str(message), said)
        _predict(arguments)


def _note(message: str, said: list[str]) -> None:
    """Says the first of several notes of a kind."""
    if message.partition(":")[0] not in said:
        said.append(message.partition(":")[0])
        print(f"rnnapps: {message}", file=sys.stderr)


def _predict(arguments: list[str]) -> None:
    if any(word.split("=")[0] == "--server" for word in arguments):
        ask = parse(FlagCreatePairsOff[Ask], "rnnapps predict", arguments)
        if ask.server.startswith("grpc:"):  # its protos import TensorFlow
            import_tensorflow()
        ask.run()
        return
    version = _version(arguments[0]) if arguments else None
    if version:
        _answer_with_export(version, arguments)
    else:
        _answer_with_run(arguments)


def _answer_with_run(arguments: list[str]) -> None:
    run_dir, options, found = read_run_options("predict", arguments, TableOutput)
    source = _file_of(getattr(options, "text", ()), found)
    if source:
        for field in dataclasses.fields(options):
            usual, value = field.default, getattr(options, field.name)
            if field.name not in ("text", *options.row_options) and value != usual:
                raise ConfigError(f"{flag(field.name)} does not go with a file of texts.")
    import_tensorflow()
    from rnnapps.apps.application import load

    app = load(run_dir)
    if not source:
        app._print_predictions(options, found["json"])
        return
    from rnnapps.apps.bulk import answerer_of_run

    settings = {name: getattr(options, name) for name in options.row_options}
    _answer_file(answerer_of_run(app, settings), source, found)


def _answer_with_export(version: Path, arguments: list[str]) -> None:
    groups = {"export": Group(ExportOptions), "output": Group(TableOutput)}
    prog = f"rnnapps predict {arguments[0]}"
    found = read(prog, ExportOptions.__doc__, groups, arguments[1:])
    source = _file_of(found["text"], found)
    import_tensorflow()
    from rnnapps.apps.bulk import answerer_of_export

    answerer = answerer_of_export(version)
    if source:
        _answer_file(answerer, source, found)
        return
    for texts in batches_of(found["text"]):
        for text, answer in zip(texts, answerer.ask(texts, 0), strict=True):
            print(_line(text, answer, found["json"]))


def _answer_file(answerer: Any, source: Path, found: dict[str, Any]) -> None:
    from rnnapps.apps.bulk import answer_table

    form = found["format"] or ("jsonl" if found["json"] else None)
    rows = answer_table(answerer, source, found["output"], form, found["column"])
    if found["output"]:
        print(f"rnnapps: {found['output']}: {rows:,} rows.", file=sys.stderr)


def _file_of(texts: Sequence[str], found: dict[str, Any]) -> Path | None:
    """The file that is the only argument; `None` where the words are texts."""
    word = texts[0] if len(texts) == 1 and not found["as_text"] else ""
    if os.path.isfile(word):
        return Path(word)
    if re.fullmatch(r"\S+\.(csv|tsv|txt|jsonl|json|xlsx|parquet)(\.gz)?", word):
        raise DataError(f"No such file: {word}; with --text, the word itself is the text.")
    for name in ("output", "format", "column"):
        if found.get(name) is not None:
            raise ConfigError(f"Expected a file of texts with {flag(name)}. Received: none.")
    return None


def _version(path: str) -> Path | None:
    """The newest version of an export; `None` where there is none."""
    folder = Path(path)
    if (folder / "saved_model.pb").is_file():
        return folder
    versions = [one for one in folder.glob("[0-9]*") if (one / "saved_model.pb").is_file()]
    return max(versions, key=lambda one: int(one.name), default=None)


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

        rows = [text for texts in batches_of(self.text) for text in texts]
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
