"""`rnnapps tune`: searches the settings of an application, or reports on a search."""

import dataclasses
from pathlib import Path

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes

from rnnapps.apps import config_class
from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.parsing import parse
from rnnapps.cli.settings import application_first, config_file
from rnnapps.tuning.options import TuneOptions, complete
from rnnapps.tuning.processes import check_address, run_processes


@dataclasses.dataclass(frozen=True)
class Report:
    """Prints what a search found so far."""

    report: Path
    """The search's --project-dir."""
    json: bool = False
    """Print it as JSON."""


def run(arguments: list[str]) -> None:
    """Runs the command."""
    if any(word.partition("=")[0] == "--report" for word in arguments):
        parsed = parse(FlagCreatePairsOff[Report], "rnnapps tune", arguments)
        from rnnapps.tuning.report import report

        report(parsed.report, parsed.json)
        return
    name, rest = application_first("tune", arguments)
    settings_class = config_class(name)
    defaults = settings_class(**config_file(name, rest))

    @dataclasses.dataclass(frozen=True)
    class Form:
        settings: OmitArgPrefixes[settings_class] = defaults
        search: OmitArgPrefixes[FlagCreatePairsOff[TuneOptions]] = dataclasses.field(
            default_factory=TuneOptions
        )

    Form.__doc__ = f"Searches the settings of {name} with KerasTuner. The other flags stay fixed."
    parsed = parse(Form, f"rnnapps tune {name}", rest)
    options = complete(parsed.search)
    if options.workers > 1:
        run_processes(["tune", *arguments], options.workers, options.project_dir)
    else:
        if options.role:
            check_address(options)
        import_tensorflow()
        from rnnapps.tuning.search import run_search

        run_search(name, parsed.settings, options)
    if options.role is None:
        from rnnapps.tuning.report import report

        report(options.project_dir, options.json)
