"""`rnnapps evaluate`: measures a run on its test part, with baselines beside it."""

import dataclasses
import shlex

from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.run_options import read_run_options


def run(arguments: list[str]) -> None:
    """Runs the command."""
    run_dir, options, found = read_run_options("evaluate", arguments)
    import_tensorflow()
    from rnnapps.apps.application import load
    from rnnapps.tables import show, show_next

    app = load(run_dir)
    metrics = app.evaluate(**dataclasses.asdict(options))
    show(metrics, found["json"], f"{app.name}: test part")
    if not found["json"]:
        model_dir = f"saved_models/{app.name}"
        show_next([f"rnnapps export {shlex.quote(str(run_dir))} {model_dir}", "rnnapps serve"])
