"""`rnnapps export`: publishes the next version of a SavedModel."""

import dataclasses
import json as json_format
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from rnnapps.apps.run import read_run
from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.flags import read_form


@dataclasses.dataclass(frozen=True)
class Export:
    """Publishes the next version of a SavedModel for TF Serving."""

    run_dir: Positional[Path]
    """Run directory."""
    model_dir: Positional[Path]
    """Folder of the model, such as saved_models/sentiment; each version is a folder in it."""
    xla: bool = False
    """Compile the network with XLA, for a GPU or a TPU."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Data type of the stored weights; bfloat16 takes half the space, and its cost is printed."""
    json: bool = False
    """Print the results as JSON."""

    def run(self) -> None:
        """Exports, and prints the new version's folder and what narrow weights cost."""
        from rnnapps.apps.application import load
        from rnnapps.tables import show_cost

        version = load(self.run_dir).export(self.model_dir, self.xla, self.precision)
        model_card = json_format.loads((version / "model_card.json").read_text("utf-8"))
        found = {"version": str(version)}
        if "precision" in model_card:
            found["precision"] = model_card["precision"]
        print(json_format.dumps(found) if self.json else version)
        if "precision" in model_card and not self.json:
            show_cost(model_card["precision"])


def run(arguments: list[str]) -> None:
    """Runs the command."""
    form = read_form("rnnapps export", Export, arguments)
    read_run(form.run_dir)  # says that there is none before TensorFlow is loaded
    import_tensorflow()
    form.run()
