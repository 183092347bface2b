"""`rnnapps update`: updates a run with new data, unless it gets worse on the old data."""

import contextlib
import dataclasses
import json as json_format
from pathlib import Path

from tyro.conf import Positional

from rnnapps.apps import config_class
from rnnapps.apps.run import read_run
from rnnapps.apps.updating import TOLERANCE
from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.flags import read_form
from rnnapps.data.cache import CacheOptions, cache_in
from rnnapps.errors import ConfigError, RunError
from rnnapps.files import check_there

STAYS = 3  # the exit status where the run stays as it is


@dataclasses.dataclass(frozen=True)
class Update(CacheOptions):
    """Continues the training of a run, on its own data and new data together.

    Both validation parts choose the weights. If the old one's metric gets worse by more than
    the --tolerance, the run is left as it is, and the exit status is 3. If killed, either the old
    or the updated run is there.
    """

    folder: Positional[Path]
    """Run directory."""
    new: Positional[tuple[Path, ...]]
    """Files in the format of the training data; a forecaster's must continue it."""
    tolerance: float = TOLERANCE
    """How much worse the metric of the old validation part may get, as a share of it."""
    run_dir: Path | None = None
    """Run directory to write. By default the updated run replaces the old one."""
    epochs: int | None = None
    """Maximum passes over all data. By default a quarter of the run's epochs."""
    threads: int | None = None
    """CPU cores to use. By default all available."""
    json: bool = False
    """Print the results as JSON."""

    def run(self) -> int:
        """Updates, and prints what was measured before and after."""
        from rnnapps.apps.application import load
        from rnnapps.tables import show_update
        from rnnapps.training import use_cores

        settings, config = read_run(self.folder), None
        with contextlib.suppress(ConfigError):  # of a damaged run, which `load` says
            config = config_class(settings.pop("application")).of_run(settings)
        if config is not None:
            own = config.model_copy(update=config.in_updates)
            use_cores(own, self.threads)  # before TensorFlow runs
        app = load(self.folder)
        with cache_in(self.cache_dir):
            found = app.update(list(self.new), self.run_dir, self.tolerance, self.epochs)
        if self.json:
            print(json_format.dumps(found))
        else:
            show_update(found, str(self.run_dir or self.folder))
        return 0 if found["updated"] else STAYS


def run(arguments: list[str]) -> int:
    """Runs the command."""
    form = read_form("rnnapps update", Update, arguments)
    read_run(form.folder)  # says that there is none before TensorFlow is loaded
    if not form.new:
        raise ConfigError("Expected new data behind the run: rnnapps update RUN_DIR NEW ...")
    for path in form.new:
        check_there(path)
    other = form.run_dir is not None and form.run_dir.resolve() != form.folder.resolve()
    if other and (form.run_dir / "config.toml").exists():
        raise RunError(f"{form.run_dir} already holds a finished run; choose another --run-dir.")
    import_tensorflow()
    return form.run()
