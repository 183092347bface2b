"""The report of a run: one page of HTML. Imports no TensorFlow."""

import csv
import pathlib
import shlex
from typing import Any

from rnnapps.apps import config_class
from rnnapps.apps.card import Card
from rnnapps.apps.placing import draft_of, put_in_place
from rnnapps.apps.run import read_run
from rnnapps.apps.run_info import RunInfo
from rnnapps.errors import RunError
from rnnapps.files import checksum, read_json, write
from rnnapps.pages import as_data_url, render

NAME = "report.html"
_CAPTIONS = {
    "learning_curves": "Each metric over the epochs, of the training and the validation part.",
    "confusion_matrix": "True classes (rows) and predicted classes (columns).",
    "reliability_diagram": "Calibration: how often the model is right, by how sure it is; a "
    "calibrated model lies on the diagonal.",
    "bits_per_character": "Bits per character along the text.",
    "bleu_by_length": "BLEU by the length of the texts.",
    "fan_chart": "A forecast of the test part, with its intervals.",
    "backtest": "Forecasts from several origins, with the observed values.",
    "error_by_horizon": "Error by steps ahead, with the baselines'.",
    "residual_autocorrelation": "Autocorrelation of the residuals: bars beyond the band say that "
    "there is more to be learned.",
}
_ALIGNMENT = "Which words of the text each word of a translation attended to."


def write_report(
    run_dir: pathlib.Path | str, output: pathlib.Path | str | None = None
) -> pathlib.Path:
    """Writes a run's report: one HTML file that needs nothing beside it.

    It says what the run's own files say, and measures nothing.

    Args:
        run_dir: The run directory.
        output: The file; `None` for `report.html` in the run directory.

    Returns:
        The file.

    Raises:
        RunError: If there is no run, one of its files is damaged, or a file in the way is not an
            earlier report.
    """
    run_dir = pathlib.Path(run_dir)
    card = read_card(run_dir)
    page = render(
        "report.html",
        card=card,
        figures=_figures(run_dir, card.info),
        run=shlex.quote(str(run_dir)),
    )
    if output is not None:
        output = pathlib.Path(output)
        if output.is_dir():
            raise RunError(f"Expected --output to be a file. Received: {output}, a folder.")
        if not output.parent.is_dir():
            raise RunError(f"There is no folder {output.parent} to write --output={output} into.")
        write(output, page)
        return output
    mine = card.info.checksums
    if not mine:
        raise RunError(
            f"{run_dir} is a run of rnnapps 0.1.0, which is left as it is: use --output."
        )
    target = run_dir / NAME
    if target.exists() and (NAME not in mine or checksum(target) != mine[NAME]):
        raise RunError(f"{target} exists, and is not what the run wrote: move it, or use --output.")
    with draft_of(run_dir) as draft:
        write(draft / NAME, page)
        put_in_place(draft, run_dir, card.info)
    return target


def read_card(run_dir: pathlib.Path) -> Card:
    """What a run's files say of it.

    Args:
        run_dir: The run directory.

    Raises:
        RunError: If there is no run, or one of its files is damaged.
    """
    settings = read_run(run_dir)
    name = settings.pop("application")
    metrics, info = read_json(run_dir / "metrics.json"), RunInfo.read(run_dir)
    if info:
        info.check(run_dir)
    else:
        info = RunInfo.of_metrics(metrics, run_dir).model_copy(update={"checksums": {}})
    with (run_dir / "history.csv").open(encoding="utf-8", newline="") as file:
        history = [_numbers(row) for row in csv.DictReader(file)]
    return Card(name, config_class(name).of_run(settings), info, metrics, history)


def _numbers(row: dict[str, str]) -> dict[str, float]:
    return {key: float(value) for key, value in row.items() if value}


def _figures(run_dir: pathlib.Path, info: RunInfo) -> list[dict[str, Any]]:
    """The figures that the run wrote, as they were written."""
    found = []
    for name, sums in info.checksums.items():
        path = run_dir / name
        if path.suffix == ".png" and path.is_file() and checksum(path) == sums:
            caption = _CAPTIONS.get(
                path.stem, _ALIGNMENT if "attention" in path.stem else path.stem
            )
            title = path.stem.replace("_", " ").capitalize()
            found.append(
                {"stem": path.stem, "title": title, "caption": caption, "url": as_data_url(path)}
            )
    place = {stem: i for i, stem in enumerate(_CAPTIONS)}
    return sorted(found, key=lambda one: (place.get(one["stem"], len(place)), one["stem"]))
