"""The processes of `rnnapps train`: those in TF_CONFIG, or those of `--workers`."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

from rnnapps.errors import ConfigError
from rnnapps.workers import (
    Cluster,
    WorkerLost,
    cluster_here,
    cluster_of,
    rnnapps_process,
    shares,
    without,
)

_NAME = "TF_CONFIG"
_LAST = 30  # seconds in which the processes end that training was shared with


def cluster_of_run(strategy: str, count: int | None) -> Cluster | None:
    """Says with which processes this one trains.

    Args:
        strategy: The setting.
        count: The processes of `--workers`, if any.

    Returns:
        The cluster; `None` where this process trains alone.

    Raises:
        ConfigError: If flags and environment contradict each other, or TF_CONFIG is damaged.
    """
    if count is None and strategy != "multi_worker":
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
                f"Expected --workers, which starts processes on this machine, or TF_CONFIG. "
                f"Received: both, of {count} and of {len(cluster.addresses)} processes."
            )
        return cluster
    return cluster_here(count)


@contextlib.contextmanager
def local_workers(
    cluster: Cluster, words: Sequence[str], threads: int | None
) -> Iterator[tuple[list[subprocess.Popen], int | None]]:
    """Starts the other processes on this machine, unless TF_CONFIG has others start them.

    Args:
        cluster: The processes.
        words: What this one was started with, after `rnnapps`.
        threads: The cores of them all; `None` for all that this process may use.

    Yields:
        Those that were started, and the threads of each.
    """
    if _NAME in os.environ:
        yield [], threads
        return
    count = len(cluster.addresses)
    cores = shares(1)[0]
    threads = max(1, (threads or (len(cores) if cores else os.cpu_count() or 1)) // count)
    words = [*without(words, "--threads"), "--threads", str(threads)]
    with contextlib.ExitStack() as stack:
        started, logs = [], []
        for index, share in list(enumerate(shares(count)))[1:]:
            task = {"type": "worker", "index": index}
            config = {"cluster": {"worker": cluster.addresses}, "task": task}
            logs.append(stack.enter_context(tempfile.TemporaryFile("w+")))
            environment = {_NAME: json.dumps(config)}
            started.append(rnnapps_process(words, share, environment, stderr=logs[-1]))
            stack.callback(_end, started[-1])
        try:
            yield started, threads
        except WorkerLost:
            for log in logs:
                log.seek(0)
                if "Traceback" in (said := log.read()):  # a bug, which the chief knows nothing of
                    print(said, file=sys.stderr)
            raise


def _end(process: subprocess.Popen) -> None:
    """Waits for a process that ends by itself, as its chief's connection is closed."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_LAST)
    process.kill()
    process.wait()
