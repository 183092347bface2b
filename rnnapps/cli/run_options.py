"""What `evaluate` and `predict` take: a run directory, then what its application has."""

import dataclasses
from pathlib import Path
from typing import Any

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes

from rnnapps.apps import command_options
from rnnapps.apps.run_directory import read_run
from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.parsing import parse
from rnnapps.errors import ConfigError


def options_of_run(command: str, arguments: list[str]) -> tuple[Path, Any, bool]:
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
    parsed = parse(FlagCreatePairsOff[Form], f"rnnapps {command} {run_dir}", arguments[1:])
    import_tensorflow()
    return run_dir, parsed.options, parsed.json
