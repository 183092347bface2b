"""The folder of a search: its manifest and its lock. Imports no TensorFlow."""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from rnnapps.errors import RnnappsError, RunError
from rnnapps.files import alone, read_json, remove_tree, write


@contextlib.contextmanager
def one_search(project: pathlib.Path, manifest: dict[str, Any]) -> Iterator[None]:
    """Starts or resumes a search, and locks its folder meanwhile.

    Args:
        project: The folder.
        manifest: Description of the search; a different one must not resume there.

    Yields:
        Nothing.

    Raises:
        RunError: If the folder holds something else, a different search, or a running one.
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
    """Whether this may be left over from a search that was killed at its start."""
    return path.name == ".lock" or path.match(".search.json.*draft")


def check_same(project: pathlib.Path, manifest: dict[str, Any]) -> None:
    """Refuses to join a different search.

    Args:
        project: The search's folder.
        manifest: Description of the expected search.

    Raises:
        RunError: If the folder holds no search, or a different one.
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
            "repeat that search to resume it, or choose another --project-dir."
        )


@contextlib.contextmanager
def undone_by_mistakes(project: pathlib.Path) -> Iterator[None]:
    """Removes a search that a user error ends before the first epoch of any trial.

    Args:
        project: The search's folder; kept if it existed before.

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
