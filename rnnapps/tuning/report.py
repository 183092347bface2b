"""The result of a search: a table of its trials, its best configuration, and figures."""

import json
import pathlib
from typing import Any

from rich.console import Console
from rich.table import Table

from rnnapps import figures
from rnnapps.errors import RunError
from rnnapps.files import enough_space, read_json, write

COUNTS = ("epochs", "seconds", "rows_a_second")  # recorded by each trial


def read_search(project: pathlib.Path | str) -> dict[str, Any]:
    """Reads a search from its folder, finished or not.

    Args:
        project: The search's folder, `--project-dir`.

    Returns:
        `application`, `objective`, `direction` and `seconds`; `trials`, the best first and failed
        ones last, each with `trial`, `status`, `score`, `epochs`, `seconds`,
        `rows_a_second`, `values` and, if it failed, `reason`.

    Raises:
        RunError: If the folder holds no search.
    """
    project = pathlib.Path(project)
    if not (project / "search.json").is_file():
        what = "holds no search" if project.exists() else "does not exist"
        raise RunError(f"{project} {what}; create one with `rnnapps tune`.")
    manifest = read_json(project / "search.json")
    oracle = project / "oracle.json"
    names = read_json(oracle)["start_order"] if oracle.exists() else []
    trials = [_read_trial(project / f"trial_{name}", manifest["objective"]) for name in names]
    sign = -1 if manifest["direction"] == "max" else 1
    trials.sort(key=lambda t: (t["score"] is None, sign * (t["score"] or 0), int(t["trial"])))
    spent = project / "seconds"
    return {
        "application": manifest["application"],
        "objective": manifest["objective"],
        "direction": manifest["direction"],
        "seconds": float(spent.read_text()) if spent.exists() else 0.0,
        "trials": trials,
    }


def _read_trial(folder: pathlib.Path, objective: str) -> dict[str, Any]:
    state = read_json(folder / "trial.json")
    values = state["hyperparameters"]["values"]
    found = {
        "trial": state["trial_id"],
        "status": state["status"].lower(),
        "score": state["score"] if state["status"] == "COMPLETED" else None,
        **dict.fromkeys(COUNTS),
        "values": {k: v for k, v in values.items() if not k.startswith("tuner/")},
    }
    for path in (folder / "progress.json", folder / "result.json"):
        if path.exists():
            counts = read_json(path)
            found |= {name: counts.get(name) for name in COUNTS}
    if found["status"] in ("failed", "invalid") and (folder / "failure.txt").exists():
        found["reason"] = (folder / "failure.txt").read_text().strip()
    return found


def report(project: pathlib.Path | str, as_json: bool) -> None:
    """Prints a search's trials, and writes `best.toml` and the figures into its folder.

    Args:
        project: The search's folder, `--project-dir`.
        as_json: Whether to print JSON.

    Raises:
        RunError: If the folder holds no search.
    """
    project = pathlib.Path(project)
    found = read_search(project)
    done = [trial for trial in found["trials"] if trial["score"] is not None]
    if done:
        best = project / f"trial_{done[0]['trial']}" / "run" / "config.toml"
        objective, folder = found["objective"], project / "figures"
        write(project / "best.toml", best.read_text("utf-8"))
        with enough_space(project):
            figures.scores_by_trial(done, objective, found["direction"], folder)
            figures.scores_by_setting(done, objective, folder)
    if as_json:
        print(json.dumps(found))
        return
    console = Console()
    table = Table("trial", found["objective"], "epochs", "seconds", "settings")
    for column in table.columns[:-1]:
        column.no_wrap = True
    for trial in found["trials"]:
        score = trial["status"] if trial["score"] is None else f"{trial['score']:.4f}"
        numbers = (trial["epochs"], trial["seconds"])
        counts = ["" if number is None else f"{number:.0f}" for number in numbers]
        values = (f"{name}={_short(value)}" for name, value in trial["values"].items())
        table.add_row(trial["trial"], score, *counts, " ".join(values))
    console.print(table)
    for trial in found["trials"]:
        if "reason" in trial:
            console.print(
                f"trial {trial['trial']} failed: {trial['reason']}", markup=False, highlight=False
            )
    console.print(f"{found['seconds']:.0f} s in all", highlight=False)
    if done:
        console.print(
            f"rnnapps train {found['application']} --config {project / 'best.toml'}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
