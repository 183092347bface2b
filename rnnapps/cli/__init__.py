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
  train APPLICATION          train on a data set by name or your own data: {applications}
  tune APPLICATION           search for better settings; tune --report DIR prints the results
  compare APPLICATION        train with several settings, and say which is better on your data
  evaluate RUN_DIR           evaluate a run on its test part, next to baselines
  update RUN_DIR NEW ...     continue training with new data, unless the run gets worse on the old
  predict RUN_DIR [...]      predict for the arguments, or for standard input
  predict RUN_DIR FILE ...   predict for files of any size, in --workers processes
  predict --server URL NAME  predict with a model server
  detect RUN_DIR [FILE]      find anomalies in time series
  report RUN_DIR             write the report of a run as one HTML file
  export RUN_DIR MODEL_DIR   publish the next version of a SavedModel for TF Serving
  serve [SAVED_MODELS]       serve exports with the API of TF Serving, without Docker
  demo RUN_OR_EXPORT ...     serve a page to try models in a browser
  new APPLICATION NAME       copy an application into a package of your own
  quickstart                 train, evaluate, export and query all on embedded data; five minutes
  doctor                     print versions and devices, and what will be slow and why

`rnnapps help COMMAND` lists the options of a command.
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
