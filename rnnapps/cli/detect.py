"""`rnnapps detect`: finds values that are further from their forecasts than usual."""

from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.run_options import OutputOptions, read_run_options


def run(arguments: list[str]) -> None:
    """Runs the command."""
    run_dir, options, found = read_run_options("detect", arguments, OutputOptions)
    import_tensorflow()
    from rnnapps.apps.application import load

    load(run_dir)._print_alarms(options, found["json"])
