"""`rnnapps doctor`: versions and devices of this machine."""

import dataclasses

from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.flags import read_form


@dataclasses.dataclass(frozen=True)
class Doctor:
    """Prints versions and devices, and what will be slow and why."""

    json: bool = False
    """Print the results as JSON."""

    def run(self) -> None:
        """Prints the findings."""
        from rnnapps.doctor import examine
        from rnnapps.tables import show_findings

        show_findings(examine(), self.json)


def run(arguments: list[str]) -> None:
    """Runs the command."""
    form = read_form("rnnapps doctor", Doctor, arguments)
    import_tensorflow()
    form.run()
