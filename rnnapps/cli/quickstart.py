"""`rnnapps quickstart`: the whole path, for all applications."""

import dataclasses
from pathlib import Path

from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.flags import read_form


@dataclasses.dataclass(frozen=True)
class Quickstart:
    """Trains, evaluates and exports all applications on embedded data, and queries the exports."""

    run_dir: Path = Path("runs/quickstart")
    """Folder of the runs, with a folder for each application."""
    model_dir: Path = Path("saved_models")
    """Folder of the SavedModels, with a folder for each application."""

    def run(self) -> None:
        """Runs the whole path."""
        from rnnapps.quickstart import quickstart

        quickstart(self.run_dir, self.model_dir)


def run(arguments: list[str]) -> None:
    """Runs the command."""
    form = read_form("rnnapps quickstart", Quickstart, arguments)
    import_tensorflow()
    form.run()
