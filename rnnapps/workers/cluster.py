"""Which processes train together, and which of them this one is, from TF_CONFIG."""

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
        """Whether this process is the one that writes and prints."""
        return self.index == 0

    def name(self, index: int) -> str:
        """What a process is called in sentences."""
        who = f"worker {index}" if index else "the chief"
        return f"{who} ({self.addresses[index]})"

    def address(self, index: int) -> tuple[str, int]:
        """Host and port of a process."""
        host, _, port = self.addresses[index].rpartition(":")
        return host.strip("[]"), int(port)


def cluster_of(environment: Mapping[str, str]) -> Cluster:
    """Reads TF_CONFIG.

    Args:
        environment: The process' environment.

    Returns:
        The cluster; a task of type `chief` comes before those of type `worker`.

    Raises:
        ConfigError: If there is no TF_CONFIG, or it does not say who trains with whom.

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
    except ValueError as error:
        raise ConfigError(
            f"Expected TF_CONFIG to be JSON: {_FORM}. Received: {text[:80]!r} ({error})."
        ) from None
    cluster, task = (_part(found, name) for name in ("cluster", "task"))
    if others := sorted(cluster.keys() - {"chief", "worker"}):
        raise ConfigError(
            f"Expected TF_CONFIG's cluster to have workers, and perhaps a chief, which train with "
            f"--strategy=multi_worker. Received: {others[0]!r}."
        )
    kinds = {
        kind: _addresses(kind, cluster[kind]) for kind in ("chief", "worker") if kind in cluster
    }
    kind, index = task.get("type"), task.get("index")
    if isinstance(index, str) and index.isdecimal():
        index = int(index)  # Kubernetes' annotations are strings
    if kind not in kinds or type(index) is not int or not 0 <= index < len(kinds[kind]):
        there = " and ".join(f"{len(them)} of type {kind}" for kind, them in kinds.items())
        raise ConfigError(
            f"Expected TF_CONFIG's task to be one of its cluster, which has {there or 'none'}. "
            f"Received: type={task.get('type')!r}, index={task.get('index')!r}."
        )
    before = len(kinds.get("chief", ())) if kind == "worker" else 0
    return Cluster(tuple(one for them in kinds.values() for one in them), before + index)


def _part(found: Any, name: str) -> dict[str, Any]:
    part = found.get(name) if isinstance(found, dict) else None
    if not isinstance(part, dict):
        raise ConfigError(
            f"Expected TF_CONFIG to have a {name!r}: {_FORM}. Received: {json.dumps(found)[:80]}."
        )
    return part


def _addresses(kind: str, addresses: Any) -> list[str]:
    for one in addresses if isinstance(addresses, list) else [addresses]:
        host, _, port = str(one).rpartition(":")
        if not (host and port.isdecimal() and 0 < int(port) < 2**16):
            raise ConfigError(
                f"Expected TF_CONFIG's {kind} to be a list of HOST:PORT. Received: {one!r}."
            )
    return list(addresses) if isinstance(addresses, list) else [addresses]


def cluster_here(count: int) -> Cluster:
    """A cluster of processes on this machine, of which this one is the chief.

    Args:
        count: How many.

    Returns:
        The cluster, with ports that were free a moment ago.
    """
    with contextlib.ExitStack() as stack:
        free = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in free:
            one.bind(("127.0.0.1", 0))
        return Cluster(tuple(f"127.0.0.1:{one.getsockname()[1]}" for one in free), 0)
