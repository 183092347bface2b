"""The processes that train together, and which of them this one is, from TF_CONFIG."""

import contextlib
import dataclasses
import json
import socket
from collections.abc import Mapping
from typing import Any

from rnnapps.errors import ConfigError

# As TensorFlow documents it.
_FORM = '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}'


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes of a training.

    Args:
        addresses: `HOST:PORT` of each; the first one is the chief's.
        index: Which of them this process is.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run and prints."""
        return self.index == 0

    def name(self, index: int) -> str:
        """What messages call a process."""
        who = f"worker {index}" if index else "the chief"
        return f"{who} ({self.addresses[index]})"

    def address(self, index: int) -> tuple[str, int]:
        """The host and port of a process."""
        host, _, port = self.addresses[index].rpartition(":")
        return host.strip("[]"), int(port)


def cluster_of(environment: Mapping[str, str]) -> Cluster:
    """Reads TF_CONFIG.

    Args:
        environment: The environment variables.

    Returns:
        The cluster; a task of type `chief` comes before those of type `worker`.

    Raises:
        ConfigError: If TF_CONFIG is missing or invalid.

    Example:
    >>> workers = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'
    >>> cluster_of({"TF_CONFIG": workers})
    Cluster(addresses=('a:1', 'b:1'), index=1)
    """
    text = environment.get("TF_CONFIG", "")
    if not text:
        raise ConfigError(
            "Expected --workers N, or TF_CONFIG in the environment, with --strategy=multi_worker. "
            "Received: neither."
        )
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"Expected TF_CONFIG to be JSON like {_FORM}. Received: {text[:80]!r} ({error})."
        ) from None
    cluster, task = (_part(found, name) for name in ("cluster", "task"))
    if others := sorted(cluster.keys() - {"chief", "worker"}):
        raise ConfigError(
            "Expected the cluster in TF_CONFIG to have only the types 'worker' and 'chief' with "
            f"--strategy=multi_worker. Received: {others[0]!r}."
        )
    kinds = {
        kind: _addresses(kind, cluster[kind]) for kind in ("chief", "worker") if kind in cluster
    }
    addresses = [one for them in kinds.values() for one in them]
    if twice := [one for one in addresses if addresses.count(one) > 1]:
        raise ConfigError(
            "Expected TF_CONFIG to give each process an address of its own. "
            f"Received: {twice[0]!r} more than once."
        )
    kind, index = str(task.get("type")), task.get("index")
    if isinstance(index, str) and index.isdecimal():
        index = int(index)  # Kubernetes' annotations are strings
    if kind not in kinds or type(index) is not int or not 0 <= index < len(kinds[kind]):
        there = " and ".join(f"{len(them)} of type {kind}" for kind, them in kinds.items())
        raise ConfigError(
            f"Expected the task in TF_CONFIG to be in its cluster, which has {there or 'none'} "
            f"(the first index is 0). Received: type={task.get('type')!r}, "
            f"index={task.get('index')!r}."
        )
    before = len(kinds.get("chief", ())) if kind == "worker" else 0
    return Cluster(tuple(addresses), before + index)


def processes_of(environment: Mapping[str, str]) -> int:
    """Counts the processes that TF_CONFIG names, of any type.

    Args:
        environment: The environment variables.

    Returns:
        Their number; 0 where it names none, or is in a form of some platform's own.

    Example:
    >>> processes_of({"TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:1"]}}'})
    2
    """
    try:
        cluster = _part(json.loads(environment.get("TF_CONFIG", "")), "cluster")
    except (ValueError, RecursionError, ConfigError):
        return 0
    return sum(len(kind) if isinstance(kind, list) else 1 for kind in cluster.values())


def _part(found: Any, name: str) -> dict[str, Any]:
    part = found.get(name) if isinstance(found, dict) else None
    if not isinstance(part, dict):
        raise ConfigError(
            f"Expected TF_CONFIG to have an object {name!r}, like {_FORM}. Received: "
            f"{json.dumps(found)[:80]}."
        )
    return part


def _addresses(kind: str, addresses: Any) -> list[str]:
    for one in addresses if isinstance(addresses, list) else [addresses]:
        host, _, port = str(one).rpartition(":")
        if not (host and port.isdecimal() and 0 < int(port) < 2**16):
            raise ConfigError(
                f"Expected {kind!r} in TF_CONFIG to be a list of HOST:PORT. Received: {one!r}."
            )
    return list(addresses) if isinstance(addresses, list) else [addresses]


def cluster_here(count: int) -> Cluster:
    """A cluster of processes on this machine, with this one as the chief.

    Args:
        count: The number of processes.

    Returns:
        The cluster, with free ports.
    """
    with contextlib.ExitStack() as stack:
        free = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in free:
            one.bind(("127.0.0.1", 0))
        return Cluster(tuple(f"127.0.0.1:{one.getsockname()[1]}" for one in free), 0)
