"""`rnnapps report`: writes a run's report as one page. Imports no TensorFlow."""

import dataclasses
from pathlib import Path

from tyro.conf import FlagCreatePairsOff, Positional

from rnnapps.cli.parsing import parse


@dataclasses.dataclass(frozen=True)
class Report:
    """Writes a run's report: one HTML file, to read in a browser or to send."""

    run_dir: Positional[Path]
    """What `rnnapps train` wrote, and `rnnapps evaluate` measured."""
    output: Path | None = None
    """The file to write; by default report.html in the run directory."""

    def run(self) -> None:
        """Writes the report, and prints where it is."""
        from rnnapps.apps.report import write_report

        print(write_report(self.run_dir, self.output))


def run(arguments: list[str]) -> None:
    """Runs the command."""
    parse(FlagCreatePairsOff[Report], "rnnapps report", arguments).run()
