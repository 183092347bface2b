"""`rnnapps predict`: predicts with a run, or with a model server."""

import base64
import dataclasses
import functools
import glob
import json as json_format
import os
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from rnnapps.cli.backend import import_tensorflow, set_threads
from rnnapps.cli.flags import Group, read, read_form
from rnnapps.cli.run_options import OutputOptions, read_run_options
from rnnapps.errors import ConfigError, DataError, flag
from rnnapps.spans import tokens_answered
from rnnapps.standard_input import batches_of

_FILE = re.compile(r"\S+\.(csv|tsv|txt|jsonl|json|xlsx|parquet)(\.gz)?")


@dataclasses.dataclass(frozen=True)
class TableOutput(OutputOptions):
    """What goes with files of texts: tables, or a text a line."""

    output: str | None = None
    """For files: file to write, with the input rows and the predictions, or, with a / at its end, a
    folder for several files. By default standard output. If killed, the same command resumes."""
    format: Literal["csv", "tsv", "jsonl", "parquet"] | None = None
    """For files: format of the output. By default that of the input."""
    column: str | None = None
    """For tables: column of the text. By default that of the training data."""
    workers: int | None = None
    """For files: number of processes on this machine that predict, each with one thread."""
    ray: str | None = None
    """For files: address of a Ray cluster to use; local is one on this machine."""
    part_rows: int | None = None
    """For files: rows that a process predicts at a time, which are computed again if it is killed
    (default: 1024)."""
    as_text: Annotated[bool, arg(name="text")] = False
    """Take all arguments as texts, also names of files."""


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """Predicts with an exported model."""

    text: Positional[tuple[str, ...]] = ()
    """Texts, or files of texts; without any, the lines of standard input."""


def run(arguments: list[str]) -> None:
    """Runs the command."""
    with warnings.catch_warnings(action="ignore"):
        warnings.filterwarnings("always", "never seen in training|the table has a column")
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
        ask = read_form("rnnapps predict", Ask, arguments)
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
    sources = _files_of(options.text, found) if hasattr(options, "text") else []
    if sources:
        for field in dataclasses.fields(options):
            usual, value = field.default, getattr(options, field.name)
            if field.name not in ("text", *options.row_options) and value != usual:
                raise ConfigError(f"{flag(field.name)} does not go with a file of texts.")
        settings = {name: getattr(options, name) for name in options.row_options}
        _answer_files(run_dir, settings, sources, found)
        return
    import_tensorflow()
    set_threads(getattr(options, "threads", None))
    from rnnapps.apps.application import load

    load(run_dir)._print_predictions(options, found["json"])


def _answer_with_export(version: Path, arguments: list[str]) -> None:
    groups = {"export": Group(ExportOptions), "output": Group(TableOutput)}
    prog = f"rnnapps predict {arguments[0]}"
    found = read(prog, ExportOptions.__doc__, groups, arguments[1:])
    sources = _files_of(found["text"], found)
    if sources:
        _answer_files(version, {}, sources, found)
        return
    import_tensorflow()
    from rnnapps.apps.bulk.answering import Model

    ask = Model(version).load()
    for texts in batches_of(found["text"]):
        for text, answer in zip(texts, ask(texts, 0), strict=True):
            print(_line(text, answer, found["json"]))


def _answer_files(
    folder: Path, settings: dict[str, Any], sources: Sequence[Path], found: dict[str, Any]
) -> None:
    from rnnapps.apps.bulk.answering import Model
    from rnnapps.apps.bulk.job import answer_files, print_answers
    from rnnapps.apps.bulk.question import PART_ROWS, SOON, Question

    form = found["format"] or ("jsonl" if found["json"] else None)
    if found["json"] and form != "jsonl":
        raise ConfigError(f"Expected --json or --format. Received: both, and {form} is no JSON.")
    model = Model(folder.resolve(), settings)
    output, engine = found["output"], _engine(found)
    size = found["part_rows"] or (SOON if output is None else PART_ROWS)
    question = Question(model, sources, found["column"], form, size, import_tensorflow)
    if output is None:
        print_answers(question, engine)
        return
    into = Path(output)
    rows = answer_files(question, into, output.endswith("/") or into.is_dir(), engine)
    print(f"rnnapps: {output}: {rows:,} rows.", file=sys.stderr)


def _engine(found: dict[str, Any]) -> Any:
    """Who answers: this process, several, or a cluster."""
    from rnnapps.apps.bulk.processes import in_processes, in_this_process

    workers, address = found["workers"], found["ray"]
    for name in ("workers", "part_rows"):
        if found[name] is not None and found[name] < 1:
            raise ConfigError(f"Expected {flag(name)} to be at least 1. Received: {found[name]}.")
    for name in ("workers", "ray"):
        if found[name] is not None and found["output"] is None:
            raise ConfigError(f"Expected --output with {flag(name)}. Received: none.")
    if address is not None:
        from rnnapps.apps.bulk.on_ray import on_ray

        return on_ray(address, workers)
    return functools.partial(in_processes, workers=workers) if workers else in_this_process


def _files_of(words: Sequence[str], found: dict[str, Any]) -> list[Path]:
    """The files that the words name; none where they are texts."""
    if not words and "as_text" not in found:  # an application that answers for no texts
        return []
    named = [] if found["as_text"] else [_matching(word) for word in words]
    if any(named):
        for word, files in zip(words, named, strict=True):
            if not files:
                raise DataError(
                    f"No such file: {word}; with --text, all the words are texts, files' names too."
                )
        return _once([path for files in named for path in files])
    if words and not found["as_text"] and all(map(_FILE.fullmatch, words)):
        raise DataError(f"No such file: {words[0]}; with --text, the word itself is the text.")
    for field in dataclasses.fields(TableOutput):
        if field.name not in ("json", "as_text") and found.get(field.name) is not None:
            raise ConfigError(f"Expected a file of texts with {flag(field.name)}. Received: none.")
    return []


def _matching(word: str) -> list[Path]:
    """The files that a word names, or that match it where it is a pattern, in their order."""
    if os.path.isfile(word):
        return [Path(word)]
    pattern = _FILE.fullmatch(word) and glob.has_magic(word)
    return [Path(one) for one in sorted(glob.glob(word)) if os.path.isfile(one)] if pattern else []


def _once(paths: list[Path]) -> list[Path]:
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise DataError(f"Expected each file once. Received: {path} twice.")
        seen.add(path.resolve())
    return paths


def _version(path: str) -> Path | None:
    """The newest version of an export; `None` where there is none."""
    folder = Path(path)
    if (folder / "saved_model.pb").is_file():
        return folder
    numbered = (one for one in folder.glob("[0-9]*") if one.name.isdecimal())
    versions = [one for one in numbered if (one / "saved_model.pb").is_file()]
    return max(versions, key=lambda one: int(one.name), default=None)


@dataclasses.dataclass(frozen=True)
class Ask:
    """Predicts with a model server: `rnnapps serve` or TF Serving."""

    server: str
    """Address of the server: http://HOST:PORT for REST, grpc://HOST:PORT for gRPC."""
    name: Positional[str]
    """Name of the model."""
    text: Positional[tuple[str, ...]] = ()
    """Inputs, as JSON if the model takes numbers; without any, the lines of standard input. For a
    forecaster also the file of a table."""
    signature: str | None = None
    """Signature to call, which must have one input (default: serving_default)."""
    json: bool = False
    """Print a JSON object per line."""

    def run(self) -> None:
        """Prints an answer a line."""
        from rnnapps.serving.client.client import Client

        with Client(self.server, self.name) as client:
            signature = self.signature or "serving_default"
            inputs = client.signature(signature).inputs
            texts = set(inputs.values()) == {"DT_STRING"}
            if len(self.text) == 1 and os.path.isfile(self.text[0]) and not texts:
                self._ask_for_table(client)
                return
            rows = [text for texts in batches_of(self.text) for text in texts]
            answers = client.predict(rows if texts else list(map(_number, rows)), signature)
        for row, answer in zip(rows, answers, strict=True):
            print(_line(row, answer, self.json))

    def _ask_for_table(self, client: Any) -> None:
        """Has a table of time series forecast."""
        if self.signature is not None:
            raise ConfigError(
                "Expected no --signature with the file of a table, as its columns say which one a "
                f"forecaster is asked by. Received: --signature={self.signature}."
            )
        import_tensorflow()
        from rnnapps.apps.forecasting.client import forecast_table
        from rnnapps.apps.forecasting.printing import print_forecasts

        print_forecasts(forecast_table(client, self.text[0]), None, self.json)


def _number(row: str) -> Any:
    try:
        return json_format.loads(row)
    except ValueError:
        raise DataError(f"Expected numbers as JSON, such as [1, 2.5]. Received: {row!r}.") from None


def _line(row: str, answer: dict[str, Any], as_json: bool) -> str:
    """JSON; or a label and its probability before the text; or the outputs alone."""
    answer = tokens_answered(answer)
    if as_json:
        return _json({"input": row, **answer})
    if {"label", "probability"} <= answer.keys():
        return f"{answer['label']}\t{answer['probability']:.4f}\t{' '.join(row.split())}"
    return "\t".join(_short(value) for _, value in sorted(answer.items()))


def _short(value: Any) -> str:
    if isinstance(value, float):
        from rnnapps.tables import digits

        return digits(value)
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return json_format.dumps(
        value, ensure_ascii=False, default=lambda data: {"b64": base64.b64encode(data).decode()}
    )
