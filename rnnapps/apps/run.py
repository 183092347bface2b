"""The run directory, as it is read and checked. Imports no TensorFlow."""

import pathlib
from collections.abc import Callable
from typing import Any

from rnnapps.apps.placing import recover
from rnnapps.config import read_toml
from rnnapps.errors import ConfigError, RnnappsError, RunError
from rnnapps.files import enough_space


def read_run(run_dir: pathlib.Path | str) -> dict[str, Any]:
    """Reads a run's settings, after it has been made whole where its writing was interrupted.

    Args:
        run_dir: The run directory.

    Returns:
        The configuration's fields, and `application`.

    Raises:
        RunError: If the folder holds no run.
    """
    run_dir = pathlib.Path(run_dir)
    recover(run_dir)
    path = run_dir / "config.toml"
    if not path.is_file():
        what = "does not hold a run (no config.toml)" if run_dir.exists() else "does not exist"
        raise RunError(f"{run_dir} {what}; `rnnapps train` makes one.")
    try:
        settings = read_toml(path)
    except ConfigError as error:
        raise RunError(str(error)) from None
    if not isinstance(settings.get("application"), str):
        raise RunError(f"{path} does not name its application.")
    return settings


def check_start(run_dir: pathlib.Path | str, application: str) -> None:
    """Refuses what no run of this application can start from (`init_from`).

    Args:
        run_dir: The other run's folder.
        application: The application's name.

    Raises:
        RunError: If it holds no run, or another application's.
    """
    wanted = f"Expected --init-from to be a run of {application}. Received: "
    if not str(run_dir):  # which `Path` takes for the current folder
        raise RunError(f"{wanted}''.")
    try:
        other = read_run(run_dir)["application"]
    except RunError as error:
        raise RunError(wanted + error.args[0]) from None
    if other != application:
        raise RunError(f"{wanted}{run_dir}, of {other}.")


def check_free(run_dir: pathlib.Path, application: str) -> None:
    """Refuses a folder in which a run of this application would overwrite something else.

    Args:
        run_dir: The folder in which the run is to be written.
        application: The application's name.

    Raises:
        RunError: If the folder holds anything but a run of this application.
    """
    recover(run_dir)
    if not run_dir.exists() or (run_dir.is_dir() and not any(run_dir.iterdir())):
        return
    if not (run_dir / "config.toml").is_file():
        raise RunError(f"{run_dir} exists and does not hold a run; choose another --run-dir.")
    other = read_run(run_dir)["application"]
    if other != application:
        raise RunError(f"{run_dir} holds a run of {other}; choose another --run-dir.")


def read_file(read: Callable[[pathlib.Path], Any], path: pathlib.Path) -> Any:
    """Reads a file of a run, and says in one sentence why that cannot be done.

    Args:
        read: What reads it.
        path: The file.

    Returns:
        What `read` returns.

    Raises:
        RunError: If it cannot be read, or holds code that Keras would have to run to read it.
    """
    try:
        with enough_space(path.parent):  # Keras unpacks weights into the temporary folder
            return read(path)
    except RnnappsError:
        raise
    except Exception as error:  # there are many kinds: of Keras, HDF5, zip, pandas
        said = " ".join(str(error).split())[:200]
        if "arbitrary code execution" in str(error):
            raise RunError(
                f"{path} is unsafe: it holds a Lambda layer, whose code would run as it is loaded, "
                "which no application of rnnapps writes; it is not loaded."
            ) from error
        raise RunError(
            f"{path} cannot be read, it is damaged or of another version: {said}"
        ) from error
