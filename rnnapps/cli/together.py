"""The processes of `rnnapps train`: those in TF_CONFIG, or those of `--workers`."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

from rnnapps.cores import usable_cores
from rnnapps.errors import ConfigError
from rnnapps.workers import (
    Cluster,
    WorkerLost,
    check_threads,
    cluster_here,
    cluster_of,
    processes_of,
    rnnapps_process,
    shares,
    without,
)

_NAME = "TF_CONFIG"
_LAST = 30  # seconds in which the other processes have to end


def cluster_of_run(strategy: str, count: int | None) -> Cluster | None:
    """The processes that this one trains with.

    Args:
        strategy: `--strategy`.
        count: `--workers`, if given.

    Returns:
        The cluster; `None` if this process trains alone.

    Raises:
        ConfigError: If flags and environment contradict each other, or TF_CONFIG is invalid.
    """
    if count is None and strategy != "multi_worker":
        if (several := processes_of(os.environ)) > 1:
            raise ConfigError(
                f"Expected --strategy=multi_worker where TF_CONFIG names {several} processes. "
                f"Received: {strategy}; to train alone, unset TF_CONFIG."
            )
        return None
    if count is not None and count < 1:
        raise ConfigError(f"Expected --workers to be at least 1. Received: {count}.")
    if count is not None and strategy not in ("auto", "multi_worker"):
        raise ConfigError(
            f"Expected --strategy to be auto or multi_worker with --workers. Received: {strategy}."
        )
    if count is None or _NAME in os.environ:
        cluster = cluster_of(os.environ)
        if count not in (None, len(cluster.addresses)):
            raise ConfigError(
                "Expected --workers to be the number of processes in TF_CONFIG, "
                f"{len(cluster.addresses)}. Received: {count}; to start all processes on this "
                "machine, unset TF_CONFIG."
            )
        return cluster
    return cluster_here(count)


@contextlib.contextmanager
def local_workers(
    cluster: Cluster, words: Sequence[str], threads: int | None
) -> Iterator[tuple[list[subprocess.Popen], int | None]]:
    """Starts the other processes of `--workers`; those in TF_CONFIG are started by the user.

    Args:
        cluster: The processes.
        words: The arguments of `rnnapps`.
        threads: Cores to use in all processes together; `None` for all available.

    Yields:
        The processes that were started, and the threads of each.
    """
    if _NAME in os.environ:
        yield [], threads
        return
    count = len(cluster.addresses)
    check_threads(threads)
    threads = max(1, (threads or usable_cores()) // count)
    words = [*without(words, "--threads"), "--threads", str(threads)]
    with contextlib.ExitStack() as stack:
        started, logs = [], []
        for index, share in list(enumerate(shares(count)))[1:]:
            task = {"type": "worker", "index": index}
            config = {"cluster": {"worker": cluster.addresses}, "task": task}
            logs.append(stack.enter_context(tempfile.TemporaryFile("w+")))
            environment = {_NAME: json.dumps(config)}
            # Ctrl-C is for the chief, which then tells the others.
            own = {"stderr": logs[-1], "process_group": 0}
            started.append(rnnapps_process(words, share, environment, **own))
            stack.callback(_end, started[-1])
        try:
            yield started, threads
        except WorkerLost:
            for log in logs:
                log.seek(0)
                if "Traceback" in (said := log.read()):  # a bug in a worker
                    print(said, file=sys.stderr)
            raise


def _end(process: subprocess.Popen) -> None:
    """Waits for a process, which ends by itself once the chief has closed its connection."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_LAST)
    process.kill()
    process.wait()
