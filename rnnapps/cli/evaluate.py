"""`rnnapps evaluate`: measures a run on its test part, with baselines beside it."""

import dataclasses

from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.run_options import read_run_options


def run(arguments: list[str]) -> None:
    """Runs the command."""
    run_dir, options, found = read_run_options("evaluate", arguments)
    import_tensorflow()
    from rnnapps.apps.application import load
    from rnnapps.tables import show

    app = load(run_dir)
    metrics = app.evaluate(**dataclasses.asdict(options))
    show(metrics, found["json"], f"{app.name}: test part")
