"""What `evaluate` and `predict` take: a run directory, then what its application has."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnapps.apps import command_options
from rnnapps.apps.run import read_run
from rnnapps.cli.flags import Group, read
from rnnapps.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class OutputOptions:
    """How results are printed."""

    json: bool = False
    """Print the results as JSON."""


def read_run_options(
    command: str, arguments: Sequence[str], own: type = OutputOptions
) -> tuple[Path, Any, dict[str, Any]]:
    """Reads the run directory, which comes first, and the flags that its application has.

    Args:
        command: `"evaluate"` or `"predict"`.
        arguments: What stands behind it.
        own: The dataclass of the command's own flags.

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
            print(f"`rnnapps {command} RUN_DIR --help` says what RUN_DIR's application takes.")
            raise SystemExit(0)
        raise ConfigError(f"Expected a run directory after {command}.")
    run_dir = Path(arguments[0])
    name = read_run(run_dir)["application"]
    options_class = command_options(name, command)
    found = read(
        f"rnnapps {command} {run_dir}",
        options_class.__doc__,
        {name: Group(options_class), "output": Group(own)},
        arguments[1:],
    )
    names = [field.name for field in dataclasses.fields(options_class)]
    return run_dir, options_class(**{key: found.pop(key) for key in names}), found
