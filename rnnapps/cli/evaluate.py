"""`rnnapps evaluate`: measures a run on its test part, next to baselines."""

import dataclasses
import shlex
from pathlib import Path

from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.run_options import OutputOptions, read_run_options
from rnnapps.data.cache import CacheOptions, cache_in
from rnnapps.files import check_there


@dataclasses.dataclass(frozen=True)
class MeasureOptions(OutputOptions, CacheOptions):
    """What is measured."""

    data: str | None = None
    """Another file to evaluate on, in the format of the training data. By default the test part of
    the run's data."""


def run(arguments: list[str]) -> None:
    """Runs the command."""
    run_dir, options, found = read_run_options("evaluate", arguments, MeasureOptions)
    if found["data"] is not None:
        check_there(found["data"], "data")
    import_tensorflow()
    from rnnapps.apps.application import load
    from rnnapps.tables import show, show_next

    app = load(run_dir)
    test = Path(found["data"]) if found["data"] else None
    with cache_in(found["cache_dir"]):
        metrics = app.evaluate(test, **dataclasses.asdict(options))
    show(metrics, found["json"], f"{app.name}: {found['data'] or 'test part'}")
    if not found["json"]:
        model_dir = f"saved_models/{app.name}"
        show_next([f"rnnapps export {shlex.quote(str(run_dir))} {model_dir}", "rnnapps serve"])
