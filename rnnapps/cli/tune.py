"""`rnnapps tune`: searches the settings of an application, or reports on a search."""

import dataclasses
from pathlib import Path

from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.flags import Group, read_form
from rnnapps.cli.settings import application_first, read_settings
from rnnapps.data.cache import cache_in
from rnnapps.tuning.options import TuneOptions, complete
from rnnapps.tuning.processes import check_address, run_processes


@dataclasses.dataclass(frozen=True)
class Report:
    """Prints the results of a search so far."""

    report: Path
    """Folder of the search, its --project-dir."""
    json: bool = False
    """Print the report as JSON."""


def run(arguments: list[str]) -> None:
    """Runs the command."""
    if any(word.partition("=")[0] == "--report" for word in arguments):
        form = read_form("rnnapps tune", Report, arguments)
        from rnnapps.tuning.report import report

        report(form.report, form.json)
        return
    name, rest = application_first("tune", arguments)
    about = f"Searches the settings of {name} with KerasTuner. Other flags stay fixed."
    settings, found = read_settings("tune", about, name, rest, search=Group(TuneOptions))
    options = complete(TuneOptions(**found))
    if options.workers > 1:
        run_processes(["tune", *arguments], options.workers, options.project_dir)
    else:
        if options.role:
            check_address(options)
        import_tensorflow()
        from rnnapps.training import use_cores
        from rnnapps.tuning.search import run_search

        use_cores(settings)
        with cache_in(options.cache_dir):
            run_search(name, settings, options)
    if options.role is None:
        from rnnapps.tuning.report import report

        report(options.project_dir, options.json)
