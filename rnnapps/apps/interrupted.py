"""The state of a training that is not through, and what it goes on with. Imports no TensorFlow."""

import contextlib
import pathlib
from collections.abc import Iterator

import tomli_w

from rnnapps import workers
from rnnapps.apps.run import read_run
from rnnapps.config import TrainingConfig
from rnnapps.errors import RunError
from rnnapps.files import alone, remove_tree, write


def partial_dir(run_dir: pathlib.Path) -> pathlib.Path:
    """The hidden folder beside a run's in which its state is kept until it is whole."""
    run_dir = run_dir.resolve()
    return run_dir.with_name(f".{run_dir.name}.partial")


@contextlib.contextmanager
def state_of(run_dir: pathlib.Path) -> Iterator[pathlib.Path]:
    """Holds the folder in which a run's state is kept, so that no other process trains in it.

    A state without its `config.toml` is none: nobody knows whose it is.

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
        if not (state_dir / "config.toml").exists():
            for left in state_dir.iterdir():
                if left.is_dir():
                    remove_tree(left)
        try:
            yield state_dir
        finally:
            if not (state_dir / "config.toml").exists():
                remove_tree(state_dir)


def write_settings(path: pathlib.Path, application: str, config: TrainingConfig) -> None:
    """Writes what `read_run` reads.

    Args:
        path: The file.
        application: The application's name.
        config: Its configuration.
    """
    write(path, tomli_w.dumps({"application": application, **config.to_dict()}))


def keep_to_settings(application: str, config: TrainingConfig, state_dir: pathlib.Path) -> None:
    """Refuses to go on from another run's state; notes whose it is where there is none.

    Args:
        application: The application's name.
        config: Its configuration.
        state_dir: Where the run's state is kept.

    Raises:
        RunError: If the interrupted run in it has other settings.
    """
    if not (state_dir / "config.toml").exists():
        write_settings(state_dir / "config.toml", application, config)
        return
    settings = read_run(state_dir)
    if settings.pop("application") != application:
        raise RunError(f"{state_dir} holds another application's interrupted run.")
    changed = config.of_run(settings).differences(config)
    if changed:
        raise RunError(
            f"The interrupted run in {state_dir} has other settings (there, here): "
            f"{', '.join(changed)}; use those, another --run-dir, or --overwrite."
        )


def keep_to_data(fingerprint: str, state_dir: pathlib.Path, what: str = "data") -> None:
    """Notes what a run learns from, and refuses to go on with anything else.

    Processes that train together have to have the same.

    Args:
        fingerprint: Of the data.
        state_dir: The folder of the run's state.
        what: What the data is called.

    Raises:
        ConfigError: If a worker has other data than the chief.
        RunError: If an interrupted run has learned from other data.
    """
    workers.agree("data", {what: fingerprint})
    note = state_dir / what
    if note.exists() and note.read_text() != fingerprint:
        raise RunError(
            f"The interrupted run in {state_dir} learned from other {what} "
            f"({note.read_text()}); use that, another --run-dir, or --overwrite."
        )
    write(note, fingerprint)


def forget_state(run_dir: pathlib.Path) -> None:
    """Deletes the state of an interrupted run.

    Args:
        run_dir: The run directory.

    Raises:
        RunError: If another process is training in it.
    """
    if partial_dir(run_dir).exists():
        with state_of(run_dir) as state_dir:
            remove_tree(state_dir)
