"""The folder of a search: whose it is, and which process writes in it. Imports no TensorFlow."""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from rnnapps.errors import RnnappsError, RunError
from rnnapps.files import alone, read_json, remove_tree, write


@contextlib.contextmanager
def one_search(project: pathlib.Path, manifest: dict[str, Any]) -> Iterator[None]:
    """Begins a search, or goes on with it; keeps a second one out of its folder meanwhile.

    Args:
        project: The folder.
        manifest: What the search is: another one must not go on there.

    Yields:
        Nothing.

    Raises:
        RunError: If the folder holds something else, or a search that is another or is running.
    """
    begun = (project / "search.json").exists()
    if project.exists() and not begun and not all(map(_left_behind, project.iterdir())):
        raise RunError(f"{project} exists and holds no search; choose another --project-dir.")
    project.mkdir(parents=True, exist_ok=True)
    with alone(project / ".lock", f"Another search is running in {project}."):
        if begun:
            check_same(project, manifest)
        else:
            write(project / "search.json", json.dumps(manifest, indent=2))
        yield


def _left_behind(path: pathlib.Path) -> bool:
    """Whether a search that was killed as it began may have left this."""
    return path.name == ".lock" or path.match(".search.json.*draft")


def check_same(project: pathlib.Path, manifest: dict[str, Any]) -> None:
    """Refuses to take part in a search that is another one.

    Args:
        project: The search's folder.
        manifest: What the search is taken for.

    Raises:
        RunError: If the folder holds no search, or another one.
    """
    path = project / "search.json"
    if not path.exists():
        raise RunError(f"{project} holds no search; a worker shares its chief's --project-dir.")
    there = read_json(path)
    changed = [
        f"{key} ({there.get(key, 'not there')}, {manifest.get(key, 'not here')})"
        for key in {**there, **manifest}
        if there.get(key) != manifest.get(key)
    ]
    if changed:
        raise RunError(
            f"The search in {project} is another one (there, here): {'; '.join(changed)}; "
            "repeat that one to go on with it, or choose another --project-dir."
        )


@contextlib.contextmanager
def undone_by_mistakes(project: pathlib.Path) -> Iterator[None]:
    """Takes a search away again that a user's mistake ends before any of its trials has an epoch.

    Args:
        project: The search's folder; one that was there before stays.

    Yields:
        Nothing.
    """
    project = project.resolve()
    before = (project / "search.json").exists()
    try:
        yield
    except RnnappsError:
        new = not before and (project / "search.json").exists()
        worth = ("trial_*/result.json", "trial_*/.run.partial/*/epoch-*")
        if new and not any(path for kind in worth for path in project.glob(kind)):
            with contextlib.suppress(RunError), alone(project / ".lock", "another process' search"):
                remove_tree(project)
        raise
