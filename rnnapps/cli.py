"""The command line. Imports no TensorFlow before it has read its arguments."""

import contextlib
import dataclasses
import importlib
import io
import itertools
import json as json_format
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import tyro
from tyro.conf import (
    FlagCreatePairsOff,
    OmitArgPrefixes,
    Positional,
    PositionalMetavarFromFieldName,
)

from rnnapps.apps import APPLICATIONS, command_options, config_class, installed
from rnnapps.apps.run_directory import (
    check_free,
    forget_state,
    partial_dir,
    read_run,
    state_of,
)
from rnnapps.config import TrainingConfig, nearest, read_toml
from rnnapps.errors import ConfigError, RnnappsError, RunError
from rnnapps.new import copy_out
from rnnapps.serving.commands import Ask, Serve
from rnnapps.tuning.options import TuneOptions, complete
from rnnapps.tuning.processes import check_address, run_processes

Parsed = TypeVar("Parsed")
_USAGE = """\
usage: rnnapps COMMAND ...

Ready-made applications of recurrent networks in Keras / TensorFlow.

commands:
  train APPLICATION          train on a data set or on your own data: {applications}
  tune APPLICATION           search its settings; tune --report DIR shows a search
  evaluate RUN_DIR           measure a run on its test part, with baselines beside it
  predict RUN_DIR [...]      answer for what follows, or for standard input
  predict --server URL NAME  have a model server answer
  export RUN_DIR MODEL_DIR   publish the next version of a SavedModel for TF Serving
  serve [SAVED_MODELS]       serve exports as TF Serving does, where there is no Docker
  new APPLICATION NAME       copy an application out as the start of a package of your own
  quickstart                 all four on embedded data: train, evaluate, export, ask; five minutes
  doctor                     versions, devices, and what will be slow and why

`rnnapps COMMAND --help` says more.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: The words after the program's name; `None` for the process' own.

    Returns:
        The exit status: 0; 2 after a user's mistake; 130 after Ctrl-C.
    """
    try:
        _dispatch(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except RnnappsError as error:
        print(f"rnnapps: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.filename is None:
            raise
        print(f"rnnapps: {error.filename}: {error.strerror}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nrnnapps: interrupted.", file=sys.stderr)
        return 130
    return 0


def _dispatch(arguments: list[str]) -> None:
    command, rest = (arguments or ["--help"])[0], arguments[1:]
    if command in ("-h", "--help"):
        names = ", ".join([*APPLICATIONS, *installed()])
        print(_USAGE.format(applications=names), end="")
    elif command == "--version":
        from rnnapps import __version__

        print(__version__)
    elif command in _OF_AN_APPLICATION:
        _OF_AN_APPLICATION[command](rest)
    elif command in _COMMANDS:
        parsed = _parse(FlagCreatePairsOff[_COMMANDS[command]], f"rnnapps {command}", rest)
        _import_tensorflow()
        parsed.run()
    else:
        known = nearest(command, [*_OF_AN_APPLICATION, *_COMMANDS])
        raise ConfigError(f"Unknown command {command!r}.{known} See rnnapps --help.")


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """Where the run goes and how it is reported."""

    run_dir: Path | None = None
    """Where the run is kept; by default a new folder in runs/."""
    config: Path | None = None
    """A TOML file of settings; flags override it."""
    overwrite: bool = False
    """Replace a finished run in the same folder."""
    json: bool = False
    """Print the results as JSON."""


def _train(arguments: list[str]) -> None:
    name, rest = _application("train", arguments)
    settings_class = config_class(name)
    defaults = settings_class(**_config_file(name, rest))

    @dataclasses.dataclass(frozen=True)
    class Train:
        settings: OmitArgPrefixes[settings_class] = defaults
        run: OmitArgPrefixes[FlagCreatePairsOff[RunOptions]] = RunOptions()

    Train.__doc__ = f"Trains {name}. Started again with the same --run-dir, it goes on."
    parsed = _parse(Train, f"rnnapps train {name}", rest)
    _run_training(name, parsed.settings, parsed.run)


def _application(command: str, arguments: list[str]) -> tuple[str, list[str]]:
    """The application, which comes first, and the arguments after it."""
    names = ", ".join(APPLICATIONS)
    if arguments and arguments[0] in ("-h", "--help"):
        print(f"usage: rnnapps {command} {{{','.join(APPLICATIONS)}}} [OPTIONS]")
        raise SystemExit(0)
    if not arguments or arguments[0].startswith("-"):
        raise ConfigError(f"Expected an application after {command}: {names}.")
    return arguments[0], arguments[1:]


def _tune(arguments: list[str]) -> None:
    if any(word.partition("=")[0] == "--report" for word in arguments):
        parsed = _parse(FlagCreatePairsOff[Report], "rnnapps tune", arguments)
        from rnnapps.tuning.report import report

        report(parsed.report, parsed.json)
        return
    name, rest = _application("tune", arguments)
    settings_class = config_class(name)
    defaults = settings_class(**_config_file(name, rest))

    @dataclasses.dataclass(frozen=True)
    class Form:
        settings: OmitArgPrefixes[settings_class] = defaults
        search: OmitArgPrefixes[FlagCreatePairsOff[TuneOptions]] = dataclasses.field(
            default_factory=TuneOptions
        )

    Form.__doc__ = f"Searches the settings of {name} with KerasTuner. The other flags stay fixed."
    parsed = _parse(Form, f"rnnapps tune {name}", rest)
    options = complete(parsed.search)
    if options.workers > 1:
        run_processes(["tune", *arguments], options.workers, options.project_dir)
    else:
        if options.role:
            check_address(options)
        _import_tensorflow()
        from rnnapps.tuning.search import run_search

        run_search(name, parsed.settings, options)
    if options.role is None:
        from rnnapps.tuning.report import report

        report(options.project_dir, options.json)


@dataclasses.dataclass(frozen=True)
class Report:
    """Prints what a search found so far."""

    report: Path
    """The search's --project-dir."""
    json: bool = False
    """Print it as JSON."""


def _config_file(application: str, arguments: list[str]) -> dict[str, Any]:
    """The settings of the file named by --config, which are the defaults of the flags."""
    for i, word in enumerate(arguments):
        if word == "--config" and i + 1 < len(arguments):
            path = arguments[i + 1]
        elif word.startswith("--config="):
            path = word.removeprefix("--config=")
        else:
            continue
        settings = read_toml(path)
        other = settings.pop("application", application)
        if other != application:
            raise ConfigError(f"{path} is a configuration of {other}, not of {application}.")
        return settings
    return {}


def _run_training(name: str, settings: TrainingConfig, options: RunOptions) -> None:
    run_dir = options.run_dir or _new_run_dir(name, settings)
    check_free(run_dir, name)
    if options.overwrite:
        forget_state(run_dir.absolute())
    elif (run_dir / "config.toml").exists():
        raise RunError(
            f"{run_dir} already holds a finished run; choose another --run-dir, or --overwrite it."
        )
    _import_tensorflow()
    from rnnapps.apps import application_class
    from rnnapps.report import show

    try:
        app = application_class(name)(settings).fit(run_dir=run_dir)
    except KeyboardInterrupt:
        if partial_dir(run_dir.absolute()).exists():
            print(
                f"\nrnnapps: the same command with --run-dir {run_dir} goes on from the last "
                "whole epoch.",
                file=sys.stderr,
            )
        raise
    show({"run_dir": str(run_dir), **app.metrics}, options.json, f"{name}: validation part")


def _new_run_dir(name: str, settings: TrainingConfig) -> Path:
    """The first of runs/NAME, runs/NAME-2, ... that is free, or was interrupted with these."""
    mine = {"application": name, **settings.to_dict()}
    for number in itertools.count(1):
        run_dir = Path("runs", name if number == 1 else f"{name}-{number}")
        interrupted = partial_dir(run_dir) / "config.toml"
        if run_dir.exists():
            continue
        if not interrupted.exists():
            return run_dir
        with contextlib.suppress(RunError), state_of(run_dir):  # else it is still running
            if read_toml(interrupted) == mine:
                return run_dir


@dataclasses.dataclass(frozen=True)
class New:
    """Copies an application out as the start of a package of your own."""

    name: Positional[str]
    """The package's name, and that of its folder."""
    force: bool = False
    """Move a folder that has this name out of the way."""


def _new(arguments: list[str]) -> None:
    application, rest = _application("new", arguments)
    form = _parse(FlagCreatePairsOff[New], f"rnnapps new {application}", rest)
    folder = copy_out(application, form.name, form.force)
    print(f"{folder}: pip install -e ./{folder}, then rnnapps train {form.name}")


def _evaluate(arguments: list[str]) -> None:
    run_dir, options, as_json = _options_of_run("evaluate", arguments)
    from rnnapps.apps.application import load
    from rnnapps.report import show

    app = load(run_dir)
    show(app.evaluate(**dataclasses.asdict(options)), as_json, f"{app.name}: test part")


def _predict(arguments: list[str]) -> None:
    if any(word.split("=")[0] == "--server" for word in arguments):
        ask = _parse(FlagCreatePairsOff[Ask], "rnnapps predict", arguments)
        if ask.server.startswith("grpc:"):  # its protos import TensorFlow
            _import_tensorflow()
        ask.run()
        return
    run_dir, options, as_json = _options_of_run("predict", arguments)
    from rnnapps.apps.application import load

    load(run_dir).respond(options, as_json)


def _options_of_run(command: str, arguments: list[str]) -> tuple[Path, Any, bool]:
    """The run directory, which comes first, and the options that its application has."""
    if not arguments or arguments[0].startswith("-"):
        if arguments and arguments[0] in ("-h", "--help"):
            print(f"usage: rnnapps {command} RUN_DIR [OPTIONS]\n")
            print(f"`rnnapps {command} RUN_DIR --help` says what RUN_DIR's application takes.")
            raise SystemExit(0)
        raise ConfigError(f"Expected a run directory after {command}.")
    run_dir = Path(arguments[0])
    options_class = command_options(read_run(run_dir)["application"], command)

    @dataclasses.dataclass(frozen=True)
    class Form:
        options: OmitArgPrefixes[options_class] = dataclasses.field(default_factory=options_class)
        json: bool = False
        """Print the results as JSON."""

    Form.__doc__ = options_class.__doc__
    parsed = _parse(FlagCreatePairsOff[Form], f"rnnapps {command} {run_dir}", arguments[1:])
    _import_tensorflow()
    return run_dir, parsed.options, parsed.json


@dataclasses.dataclass(frozen=True)
class Export:
    """Publishes the next version of a SavedModel for TF Serving."""

    run_dir: Positional[Path]
    """What `rnnapps train` wrote."""
    model_dir: Positional[Path]
    """The model's folder, such as saved_models/sentiment; versions are the folders in it."""
    xla: bool = False
    """Have XLA compile the network, for a GPU or a TPU."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """How the weights are kept: bfloat16 takes half the room, and what it costs is printed."""
    json: bool = False
    """Print the result as JSON."""

    def run(self) -> None:
        """Exports, and prints the new version's folder and what narrow weights cost."""
        from rnnapps.apps.application import load
        from rnnapps.report import show_cost

        version = load(self.run_dir).export(self.model_dir, self.xla, self.precision)
        card = json_format.loads((version / "model_card.json").read_text("utf-8"))
        found = {"version": str(version)}
        if "precision" in card:
            found["precision"] = card["precision"]
        print(json_format.dumps(found) if self.json else version)
        if "precision" in card and not self.json:
            show_cost(card["precision"])


@dataclasses.dataclass(frozen=True)
class Quickstart:
    """Trains, evaluates and exports all four on embedded data, and asks each export."""

    run_dir: Path = Path("runs/quickstart")
    """Where the runs are kept, a folder for each application."""
    model_dir: Path = Path("saved_models")
    """Where the SavedModels go, a folder for each application."""

    def run(self) -> None:
        """Runs the whole path."""
        from rnnapps.quickstart import quickstart

        quickstart(self.run_dir, self.model_dir)


@dataclasses.dataclass(frozen=True)
class Doctor:
    """Says which versions and devices there are, and what will be slow and why."""

    json: bool = False
    """Print the findings as JSON."""

    def run(self) -> None:
        """Prints the findings."""
        from rnnapps.doctor import examine
        from rnnapps.report import show_findings

        show_findings(examine(), self.json)


_OF_AN_APPLICATION = {
    "train": _train,
    "tune": _tune,
    "new": _new,
    "evaluate": _evaluate,
    "predict": _predict,
}
_COMMANDS = {
    "export": Export,
    "serve": Serve,
    "quickstart": Quickstart,
    "doctor": Doctor,
}


def _parse(form: type[Parsed], prog: str, arguments: list[str]) -> Parsed:
    """Lets tyro read the arguments; the box that it draws round a mistake becomes a sentence."""
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            names = (PositionalMetavarFromFieldName,)
            return tyro.cli(form, prog=prog, args=arguments, config=names)
    except SystemExit as end:
        if not end.code:  # --help
            raise
        raise ConfigError(_sentence(box.getvalue(), prog)) from None


def _sentence(box: str, prog: str) -> str:
    """The text of one of tyro's boxes: its complaint, the option it suggests, where to read on."""
    lines = [line.strip("│ ") for line in box.splitlines() if line[:1] not in ("╭", "╰")]
    parts = [part for part in re.split(r" ?[─-]{5,} ?", " ".join(lines)) if part.strip()]
    parts = parts[0 if "╭" in box else 1 :]  # where output is not UTF-8, the title is a part
    suggestion = ""
    for part in parts[1:]:
        found = re.search(r"(--[\w-]+)", part)
        if part.startswith("Perhaps you meant") and found:
            suggestion = f" Did you mean {found[1]}?"
    return f"{parts[0].rstrip('.')}.{suggestion} See {prog} --help."


def _import_tensorflow() -> None:
    """Imports TensorFlow without what its C++ side logs, unless the user asked for its logs."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise ConfigError(
            f"Expected KERAS_BACKEND to be tensorflow or unset. Received: {backend!r}."
        )
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # Some lines are logged before that level is read; they are held back at the file descriptor.
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        importlib.import_module("tensorflow")
        importlib.import_module("absl.logging").set_verbosity("error")
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
