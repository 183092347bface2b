"""`rnnapps evaluate`: measures a run on its test part, with baselines beside it."""

import dataclasses

from rnnapps.cli.run_options import options_of_run


def run(arguments: list[str]) -> None:
    """Runs the command."""
    run_dir, options, as_json = options_of_run("evaluate", arguments)
    from rnnapps.apps.application import load
    from rnnapps.tables import show

    app = load(run_dir)
    show(app.evaluate(**dataclasses.asdict(options)), as_json, f"{app.name}: test part")
