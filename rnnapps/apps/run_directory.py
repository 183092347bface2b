"""What a folder holds: a run, whose, or something that must not be overwritten."""

import contextlib
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

from rnnapps.config import read_toml
from rnnapps.errors import RunError
from rnnapps.files import alone


def partial_dir(run_dir: pathlib.Path) -> pathlib.Path:
    """The hidden folder beside a run's in which its state is kept until it is whole."""
    return run_dir.with_name(f".{run_dir.name}.partial")


@contextlib.contextmanager
def state_of(run_dir: pathlib.Path) -> Iterator[pathlib.Path]:
    """Holds the folder in which a run's state is kept, so that no other process trains in it.

    Args:
        run_dir: The run directory.

    Yields:
        The folder; it is made where there is none.

    Raises:
        RunError: If another process holds it.
    """
    state_dir = partial_dir(run_dir)
    state_dir.mkdir(parents=True, exist_ok=True)
    taken = f"{run_dir} is being trained by another process; choose another --run-dir."
    with alone(state_dir / ".lock", taken):
        yield state_dir


def forget_state(run_dir: pathlib.Path) -> None:
    """Deletes the state of an interrupted run.

    Args:
        run_dir: The run directory.

    Raises:
        RunError: If another process is training in it.
    """
    if partial_dir(run_dir).exists():
        with state_of(run_dir) as state_dir:
            shutil.rmtree(state_dir)


def check_free(run_dir: pathlib.Path, application: str) -> None:
    """Refuses a folder in which a run of this application would overwrite something else.

    Args:
        run_dir: The folder in which the run is to be written.
        application: The application's name.

    Raises:
        RunError: If the folder holds anything but a run of this application.
    """
    if not run_dir.exists() or (run_dir.is_dir() and not any(run_dir.iterdir())):
        return
    if not (run_dir / "config.toml").is_file():
        raise RunError(f"{run_dir} exists and does not hold a run; choose another --run-dir.")
    other = read_run(run_dir)["application"]
    if other != application:
        raise RunError(f"{run_dir} holds a run of {other}; choose another --run-dir.")


def read_run(run_dir: pathlib.Path | str) -> dict[str, Any]:
    """Reads a run's settings.

    Args:
        run_dir: The run directory.

    Returns:
        The configuration's fields, and `application`.

    Raises:
        RunError: If the folder holds no run.
    """
    run_dir = pathlib.Path(run_dir)
    if not (run_dir / "config.toml").is_file():
        what = "does not hold a run (no config.toml)" if run_dir.exists() else "does not exist"
        raise RunError(f"{run_dir} {what}; `rnnapps train` makes one.")
    settings = read_toml(run_dir / "config.toml")
    if "application" not in settings:
        raise RunError(f"{run_dir / 'config.toml'} does not name its application.")
    return settings
