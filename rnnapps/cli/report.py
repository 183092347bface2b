"""`rnnapps report`: writes a run's report as one page. Imports no TensorFlow."""

import dataclasses
from pathlib import Path

from tyro.conf import Positional

from rnnapps.cli.flags import read_form


@dataclasses.dataclass(frozen=True)
class Report:
    """Writes the report of a run as one HTML file, to read in a browser or to send."""

    run_dir: Positional[Path]
    """Run directory, with the results of `rnnapps evaluate`."""
    output: Path | None = None
    """HTML file to write. By default report.html in the run directory."""

    def run(self) -> None:
        """Writes the report, and prints where it is."""
        from rnnapps.apps.report import write_report

        print(write_report(self.run_dir, self.output))


def run(arguments: list[str]) -> None:
    """Runs the command."""
    read_form("rnnapps report", Report, arguments).run()
