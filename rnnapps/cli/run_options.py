"""The arguments of `evaluate` and `predict`: a run directory, then its application's flags."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnapps.apps import command_options, config_class
from rnnapps.apps.run import read_run
from rnnapps.cli.flags import Group, read
from rnnapps.errors import ConfigError, flag


@dataclasses.dataclass(frozen=True)
class OutputOptions:
    """How results are printed."""

    json: bool = False
    """Print the results as JSON."""


def read_run_options(
    command: str, arguments: Sequence[str], own: type | None = None
) -> tuple[Path, Any, dict[str, Any]]:
    """Reads the run directory, which comes first, and the flags that its application has.

    Args:
        command: `"evaluate"` or `"predict"`.
        arguments: What stands behind it.
        own: The dataclass of the command's own flags; those of predict are for texts.

    Returns:
        The run directory, the application's options, and the values of the command's own flags.

    Raises:
        ConfigError: If the arguments do not fit.
        RunError: If there is no run.
        SystemExit: After `--help`.
    """
    if not arguments or arguments[0].startswith("-"):
        if arguments and arguments[0] in ("-h", "--help"):
            print(f"usage: rnnapps {command} RUN_DIR [OPTIONS]\n")
            print(f"`rnnapps {command} RUN_DIR --help` lists the options of its application.")
            raise SystemExit(0)
        raise ConfigError(f"Expected a run directory after {command}.")
    run_dir = Path(arguments[0])
    run = read_run(run_dir)
    name = run["application"]
    options_class = command_options(name, command)
    if own is None or (command == "predict" and "text" not in options_class.__dataclass_fields__):
        own = OutputOptions
    known = {field.name for one in (options_class, own) for field in dataclasses.fields(one)}
    _refuse_settings(name, run, known, arguments[1:])
    found = read(
        f"rnnapps {command} {run_dir}",
        options_class.__doc__,
        {name: Group(options_class), "output": Group(own)},
        arguments[1:],
    )
    names = [field.name for field in dataclasses.fields(options_class)]
    return run_dir, options_class(**{key: found.pop(key) for key in names}), found


def _refuse_settings(name: str, run: dict[str, Any], known: set[str], words: Sequence[str]) -> None:
    """Explains a setting of the training that is given to a finished run."""
    settings = config_class(name).model_fields
    for word in words:
        field = word.partition("=")[0].removeprefix("--").replace("-", "_")
        if word.startswith("--") and field in settings and field not in known:
            value = run.get(field, settings[field].get_default())
            raise ConfigError(
                f"{flag(field)} is settled when a run is trained, and is {value} in this one; "
                f"train another: rnnapps train {name} {flag(field)} ..."
            )
