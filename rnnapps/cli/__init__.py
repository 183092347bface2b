"""The command line. Imports no TensorFlow before it has parsed its arguments."""

import importlib
import os
import sys
from collections.abc import Sequence

from rnnapps.errors import ConfigError, RnnappsError, in_shell
from rnnapps.files import full_disk

_USAGE = """\
usage: rnnapps COMMAND ...

Ready-made applications of recurrent networks in Keras / TensorFlow.

commands:
  train APPLICATION          train on a data set or on your own data: {applications}
  tune APPLICATION           search its settings; tune --report DIR shows a search
  compare APPLICATION        train contenders alike, and say which is better on your data
  evaluate RUN_DIR           measure a run on its test part, with baselines beside it
  update RUN_DIR NEW ...     go on with new data, unless the old data would lose by it
  predict RUN_DIR [...]      answer for what follows, or for standard input
  predict RUN_DIR FILE ...   answer for the rows of files of any size, by --workers processes
  predict --server URL NAME  have a model server answer
  detect RUN_DIR [FILE]      say where series are off by more than their forecasts are
  report RUN_DIR             write a run as one page to read, or to send to a colleague
  export RUN_DIR MODEL_DIR   publish the next version of a SavedModel for TF Serving
  serve [SAVED_MODELS]       serve exports as TF Serving does, where there is no Docker
  demo RUN_OR_EXPORT ...     a page on which to try models in a browser
  new APPLICATION NAME       copy an application out as the start of a package of your own
  quickstart                 all on embedded data: train, evaluate, export, ask; five minutes
  doctor                     versions, devices, and what will be slow and why

`rnnapps help COMMAND` says more.
"""
_COMMANDS = (
    "train", "tune", "compare", "update", "evaluate", "predict", "detect", "report", "export",
    "serve", "demo", "new", "quickstart", "doctor",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: The words after the program's name; `None` for the process' own.

    Returns:
        The exit status: 0; 1 where another process of a training has ended; 2 after a user's
        mistake; 3 where `update` left a run as it is; 130
        after Ctrl-C.
    """
    with in_shell():
        return _run(list(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> int:
    try:
        status = _dispatch(arguments)
        sys.stdout.flush()
    except RnnappsError as error:
        print(f"rnnapps: {error}", file=sys.stderr)
        return error.status
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.filename is None and full_disk(error) is None:
            raise
        print(f"rnnapps: {error.filename or 'output'}: {error.strerror}.", file=sys.stderr)
        if error.filename is None:  # what stands in the buffer cannot be written either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except KeyboardInterrupt:
        print("\nrnnapps: interrupted.", file=sys.stderr)
        return 130
    return status


def _dispatch(arguments: list[str]) -> int:
    command, rest = (arguments or ["--help"])[0], arguments[1:]
    if command == "help":
        command, rest = (rest or ["--help"])[0], [*rest[1:], "--help"]
    if command in ("-h", "--help"):
        from rnnapps.apps import APPLICATIONS, installed

        names = ", ".join([*APPLICATIONS, *installed()])
        print(_USAGE.format(applications=names), end="")
    elif command == "--version":
        from rnnapps import __version__

        print(__version__)
    elif command in _COMMANDS:
        return importlib.import_module(f"rnnapps.cli.{command}").run(rest) or 0
    else:
        from rnnapps.errors import nearest

        known = nearest(command, _COMMANDS)
        raise ConfigError(f"Unknown command {command!r}.{known} See rnnapps --help.")
    return 0
