"""The processes of a search: starts, checks and restarts them. No TensorFlow."""

import contextlib
import pathlib
import socket
import subprocess
import time
from collections.abc import Callable, Sequence

from rnnapps.errors import ConfigError, RunError
from rnnapps.tuning.options import TuneOptions
from rnnapps.tuning.project import undone_by_mistakes
from rnnapps.workers import rnnapps_process, shares, without

_PATIENCE = 20.0  # seconds that a worker waits for its chief
_RESTARTS = 10  # of all processes together, until a trial finishes


def check_address(options: TuneOptions) -> None:
    """Checks that a chief can listen on its address, or that a worker can reach its chief.

    Args:
        options: The options, with `role` and `oracle`.

    Raises:
        ConfigError: If the chief's port is in use, or a worker's chief does not respond.
    """
    host, port = options.address
    if options.role == "chief":
        # Checked here: gRPC lets two servers share a port.
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taken.bind((host, int(port)))
            except (OSError, OverflowError) as error:
                raise ConfigError(
                    f"Expected --oracle to be free for a chief. Received: {options.oracle}, which "
                    f"cannot be opened ({error})."
                ) from None
        return
    began = time.monotonic()
    while not _answers(host, int(port)):
        if time.monotonic() - began > _PATIENCE:
            raise ConfigError(
                f"No chief answers at --oracle {options.oracle}; start one with --role chief."
            )
        time.sleep(0.5)


def _answers(host: str, port: int) -> bool:
    with contextlib.suppress(OSError, OverflowError):
        socket.create_connection((host, port), timeout=2).close()
        return True
    return False


def run_processes(arguments: Sequence[str], workers: int, project: pathlib.Path) -> None:
    """Runs a chief and workers on this machine until the search is finished.

    Processes that die are restarted: a worker resumes its trial, a chief its search.

    Args:
        arguments: The command line of this process, after `rnnapps`.
        workers: Number of workers.
        project: The search's folder.

    Raises:
        RunError: If the processes die repeatedly, or hit a user error.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cores = {f"worker-{i}": share for i, share in enumerate(shares(workers))}
    running: dict[str, subprocess.Popen] = {}

    def start(name: str) -> None:
        role = "chief" if name == "chief" else "worker"
        words = without(arguments, "--workers")
        words += ["--role", role, "--oracle", f"127.0.0.1:{port}", "--worker-id", name]
        running[name] = rnnapps_process(words, cores.get(name))

    with undone_by_mistakes(project):
        try:
            for name in ("chief", *cores):
                start(name)
            _watch(running, start, port, project)
        finally:
            for process in running.values():
                process.terminate()
            for process in running.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()


def _watch(
    running: dict[str, subprocess.Popen],
    start: Callable[[str], None],
    port: int,
    project: pathlib.Path,
) -> None:
    """Restarts dead processes until all workers have finished."""
    restarts = ended = 0
    while any(name != "chief" for name in running):
        time.sleep(0.2)
        for name, process in list(running.items()):
            status = process.poll()
            if status is None:
                continue
            del running[name]
            if status == 0:
                continue
            # A user error; a worker also exits like this if the chief has not started yet.
            if status == 2 and (name == "chief" or _answers("127.0.0.1", port)):
                raise RunError(f"The search cannot go on; its {name} said why above.")
            before, ended = ended, _ended(project)
            restarts = 1 if ended > before else restarts + 1
            if restarts > _RESTARTS:
                raise RunError(f"The search's processes died {restarts} times; the last: {name}.")
            start(name)


def _ended(project: pathlib.Path) -> int:
    """Number of trials with a result or a failure reason."""
    kinds = ("result.json", "failure.txt")
    return sum(1 for kind in kinds for _ in project.glob(f"trial_*/{kind}"))
