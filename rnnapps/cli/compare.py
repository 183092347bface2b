"""`rnnapps compare`: trains several settings alike, and says which is better on your data."""

from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.flags import Group
from rnnapps.cli.settings import application_first, read_settings
from rnnapps.tuning.options import CompareOptions


def run(arguments: list[str]) -> None:
    """Runs the command."""
    name, rest = application_first("compare", arguments)
    about = f"Compares settings of {name} under equal conditions. Other flags stay fixed."
    settings, found = read_settings("compare", about, name, rest, compare=Group(CompareOptions))
    options = CompareOptions(**found)
    import_tensorflow()
    from rnnapps.training import use_cores
    from rnnapps.tuning.comparison import run_comparison
    from rnnapps.tuning.contenders import report, show

    use_cores(settings)
    run_comparison(name, settings, options)
    show(report(options.project_dir), options.project_dir, options.json)
