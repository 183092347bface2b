"""The processes of a training meet, compare what they train, and end together.

Each worker keeps a connection to the chief, who compares what they have and tells them what it has
kept. Who dies closes theirs, whatever TensorFlow is at; the chief tells the others. TensorFlow's
server takes the same port when all have met: connections that are open leave it free.
"""

import contextlib
import io
import os
import pathlib
import selectors
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rnnapps import progress
from rnnapps.errors import ConfigError, RnnappsError
from rnnapps.files import remove_tree
from rnnapps.workers.cluster import Cluster
from rnnapps.workers.link import Link

_PATIENCE = 600.0  # seconds for all to come: machines start, and images are loaded
_ANSWER = 20.0  # seconds in which whoever is there answers
_WHOLE = 1.0  # seconds in which the rest of a message comes that has begun
_GRACE = 5.0  # seconds in which training that has lost a worker ends by itself
_CURSOR = "\r\x1b[K\x1b[?25h"  # what a bar has hidden, at the beginning of an empty line
_ON = "started again with the same --run-dir, it goes on from what was kept"

_group: "_Group | None" = None  # that this process belongs to


class WorkerLost(RnnappsError):
    """Training that ends because another of its processes did: no mistake, it can go on."""

    status = 1


def cluster() -> Cluster | None:
    """The processes that this one has joined.

    Returns:
        The cluster; `None` where this process trains alone.
    """
    return None if _group is None else _group.cluster


def is_chief() -> bool:
    """Whether this process writes and prints.

    Returns:
        True of the chief, and of a process that trains alone.
    """
    return _group is None or _group.cluster.is_chief


def lost() -> bool:
    """Whether this process is about to end because another one has.

    Returns:
        True from when the other's end was noticed.
    """
    return _group is not None and _group.lost is not None


@contextlib.contextmanager
def joined(
    cluster: Cluster,
    started: Sequence[subprocess.Popen] = (),
    **same: Mapping[str, Any],
) -> Iterator[None]:
    """A context in which this process trains together with others.

    Whatever ends it in one process ends it in all; at its end a worker waits for the chief.

    Args:
        cluster: The processes.
        started: Those of them that this one has started.
        **same: What has to be the same in all of them: values by their names.

    Yields:
        Nothing.

    Raises:
        ConfigError: If a port is taken, a process does not come, or has something else.
        WorkerLost: If another process ends before this one.
    """
    global _group
    with contextlib.ExitStack() as stack:
        if not cluster.is_chief:
            stack.enter_context(progress.muted())
        group = _Group(cluster)
        stack.callback(group.close)
        try:
            group.meet(started)
            _group = group
            for what, values in same.items():
                agree(what, values)
            yield
            group.part()
        except BaseException as error:
            group.leave(error)
            raise
        finally:
            _group = None


def agree(what: str, values: Mapping[str, Any]) -> None:
    """Compares what the processes have; nothing where there is but one.

    Args:
        what: What it is, such as `"settings"`.
        values: Of what JSON holds, by their names.

    Raises:
        ConfigError: In all of them, if a worker has something else than the chief.
    """
    if _group is None:
        return
    values = {name: str(value) for name, value in values.items()}
    if not _group.cluster.is_chief:
        _group.links[0].send({"kind": "have", "what": what, "values": values})
        wrong = _group.next(_group.links[0], "verdict")[0]["wrong"]
    else:
        wrong = ""
        for link in _group.links.values():
            found = _group.next(link, "have")[0]
            wrong = wrong or _difference(_group.cluster, link.peer, what, values, found)
        _group.parted = bool(wrong)
        for link in _group.links.values():
            link.send({"kind": "verdict", "wrong": wrong})
    if wrong:
        raise ConfigError(wrong)


def _difference(
    cluster: Cluster, index: int, what: str, mine: dict[str, str], found: dict[str, Any]
) -> str:
    """What a worker has otherwise than the chief, or nothing."""
    who, theirs = cluster.name(index), found["values"]
    if found["what"] != what:
        return f"Expected {who} to have the chief's {what}. Received: its {found['what']}."
    for name in {**mine, **theirs}:
        if mine.get(name) != theirs.get(name):
            return (
                f"Expected {who} to have the same {what} as the chief. Received: "
                f"{name}={theirs.get(name)}, where the chief has {name}={mine.get(name)}."
            )
    return ""


def share(folder: pathlib.Path, but: Sequence[str] = ()) -> None:
    """Gives the workers a copy of the chief's files; nothing where there are none.

    Args:
        folder: The chief's folder, and where a worker puts the copy.
        but: The names of what is not shared.
    """
    if _group is None:
        return
    if not _group.cluster.is_chief:
        content = _group.next(_group.links[0], "files")[1]
        with tarfile.open(fileobj=io.BytesIO(content)) as files:
            files.extractall(folder, filter="data")
        _group.folder = folder
        return
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as files:
        for path in sorted(folder.iterdir()):
            if path.name not in (".lock", *but):
                files.add(path, path.name)
    for link in _group.links.values():
        link.send({"kind": "files"}, packed.getvalue())


class _Group:
    """This process' connections to the others: from the chief to each, or to the chief."""

    def __init__(self, cluster: Cluster):
        self.cluster, self.links = cluster, dict[int, Link]()
        self.folder: pathlib.Path | None = None  # of a worker's copies
        self.parted = False  # whether an end is to be expected
        self.lost: WorkerLost | None = None
        self.known, self.lock = threading.Event(), threading.Lock()

    def meet(self, started: Sequence[subprocess.Popen]) -> None:
        """Connects the chief with each worker."""
        if self.cluster.is_chief:
            with progress.working("waiting for the workers"):
                self._wait(started)
        else:
            self._call()
        for link in self.links.values():
            threading.Thread(target=self._listen, args=(link,), daemon=True).start()
        if not self.cluster.is_chief:
            self._open().close()  # TensorFlow dies without a sentence where its port is taken

    def _open(self) -> socket.socket:
        """Listens on this process' own port."""
        host, port = self.cluster.address(self.cluster.index)
        own = host if host == "127.0.0.1" else ""  # TensorFlow's server listens on all, too
        both = not own and socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        try:
            return socket.create_server((own, port), family=family, dualstack_ipv6=both)
        except OSError as error:
            raise ConfigError(
                f"Expected the port of {self.cluster.name(self.cluster.index)} to be free. "
                f"Received: {error.strerror}."
            ) from None

    def _wait(self, started: Sequence[subprocess.Popen]) -> None:
        until, missing = time.monotonic() + _PATIENCE, set(range(1, len(self.cluster.addresses)))
        with self._open() as server, selectors.DefaultSelector() as calls:
            server.settimeout(0.5)
            calls.register(server, selectors.EVENT_READ)
            while missing:
                if any(process.poll() is not None for process in started):
                    raise WorkerLost("A worker has ended before it was met.")
                if time.monotonic() > until:
                    raise ConfigError(
                        f"Expected {self.cluster.name(min(missing))} to come within "
                        f"{_PATIENCE:.0f} s. Received: nothing from there."
                    )
                for key, _ in calls.select(0.5):  # who calls and says nothing keeps no one waiting
                    if key.data is None:
                        with contextlib.suppress(OSError):  # who has left again
                            link = Link(server.accept()[0])
                            calls.register(link.connection, selectors.EVENT_READ, link)
                        continue
                    calls.unregister(key.fileobj)
                    try:
                        missing.discard(self._welcome(key.data, missing))
                    except (OSError, ValueError, KeyError):  # no worker of ours
                        key.data.close()
            for key in calls.get_map().values():
                if key.data is not None:
                    key.data.close()

    def _welcome(self, link: Link, missing: set[int]) -> int | None:
        """Answers a worker, or somebody else: the number of the worker."""
        said = link.receive(_WHOLE)[0]
        if said.get("kind") != "hello":
            link.close()
            return None
        if said.get("addresses") != list(self.cluster.addresses) or said["index"] not in missing:
            wrong = (
                f"Expected the workers to have the chief's TF_CONFIG, each with an index of its "
                f"own. Received: index {said['index']} of {said['addresses']}, where the chief has "
                f"{list(self.cluster.addresses)}."
            )
            link.send({"kind": "verdict", "wrong": wrong})
            link.close()
            raise ConfigError(wrong)
        link.peer = said["index"]
        self.links[link.peer] = link
        link.send({"kind": "verdict", "wrong": ""})
        return link.peer

    def _call(self) -> None:
        """A worker calls the chief until it is there."""
        cluster, until = self.cluster, time.monotonic() + _PATIENCE
        while True:
            try:
                connection = socket.create_connection(cluster.address(0), timeout=_ANSWER)
                break
            except OSError as error:  # it, or its name, is not there yet
                if time.monotonic() > until:
                    raise ConfigError(
                        f"Expected {cluster.name(0)} to answer within {_PATIENCE:.0f} s. "
                        f"Received: {error.strerror or error}."
                    ) from None
                time.sleep(0.3)
        self.links[0] = link = Link(connection)
        try:
            link.send({"kind": "hello", "index": cluster.index, "addresses": cluster.addresses})
            wrong = str(link.receive(_ANSWER)[0]["wrong"])
        except (OSError, ValueError, KeyError):
            wrong = (
                f"Expected {cluster.name(0)} to answer. Received: another program's answer, or "
                "none; its port may be taken."
            )
        if wrong:
            raise ConfigError(wrong)

    def next(self, link: Link, kind: str) -> tuple[dict[str, Any], bytes]:
        """The next message of another process, of the kind that is due."""
        message, content = link.inbox.get()
        if message["kind"] != kind:
            raise WorkerLost(
                f"Expected {kind!r} from {self.cluster.name(link.peer)}. Received: "
                f"{message['kind']!r}; do all processes run the same command?"
            )
        return message, content

    def _listen(self, link: Link) -> None:
        """Takes messages as they come, and notices when there are no more."""
        try:
            while True:
                message, content = link.receive()
                if message["kind"] == "failed":
                    self._lose(link, str(message["said"]), int(message["status"]))
                    return
                if message["kind"] == "done" or message.get("wrong"):
                    self.parted = True
                link.inbox.put((message, content))
        except (OSError, ValueError, KeyError):
            self._lose(
                link, f"{self.cluster.name(link.peer)} has ended, and so has this one; {_ON}."
            )

    def _lose(self, link: Link, said: str, status: int = 1) -> None:
        """Ends this process, and tells the others why, when one of them has ended."""
        said = said[0].upper() + said[1:]
        with self.lock:
            if self.parted:
                return
            self.parted, self.lost = True, WorkerLost(said)
            self.lost.status = status
        self._tell({"kind": "failed", "said": said, "status": status}, but=link)
        self.known.set()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(_GRACE)
        # Training does not come back from TensorFlow, which waits for what will never come.
        if self.folder is not None:
            remove_tree(self.folder)
        if sys.stderr.isatty():
            print(_CURSOR, end="", file=sys.stderr)
        print(f"rnnapps: {said}", file=sys.stderr, flush=True)
        os._exit(status)

    def _tell(self, message: dict[str, Any], but: Link | None = None) -> None:
        """Sends a last message; who is there no more needs none."""
        for link in self.links.values():
            if link is not but:
                with contextlib.suppress(OSError):
                    link.send(message)

    def leave(self, error: BaseException) -> None:
        """Tells the others what has ended this process, or says what of theirs it was."""
        if type(error).__module__.startswith("tensorflow"):
            self.known.wait(_GRACE)  # it notices sooner, but not who it was
        with self.lock:
            lost, parted, self.parted = self.lost, self.parted, True
        if lost is not None:
            self.known.wait(1)
            raise lost from None
        if not parted:
            me = self.cluster.name(self.cluster.index)
            said, status = f"{me} has ended, and so has this one; {_ON}.", 1
            if isinstance(error, RnnappsError):
                said, status = f"{me}: {error}", error.status
            self._tell({"kind": "failed", "said": said, "status": status})

    def part(self) -> None:
        """The chief says that all is done, and a worker waits for it."""
        if not self.cluster.is_chief:
            self.next(self.links[0], "done")
            return
        self.parted = True
        self._tell({"kind": "done"})

    def close(self) -> None:
        """Closes the connections."""
        self.parted = True
        for link in self.links.values():
            link.close()
