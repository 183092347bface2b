"""The processes of a training connect, compare what they train, and stop together.

Each worker keeps a connection to the chief, which compares settings, versions and data, and sends
the saved state. The connection of a process that dies is closed, whatever TensorFlow is doing; the
chief tells the others. Once all are connected, TensorFlow's server uses the same port, which open
connections do not block.
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

_PATIENCE = 600.0  # seconds to connect: machines have to start, and images to load
_ANSWER = 20.0  # seconds in which a chief that was reached has to answer
_WHOLE = 1.0  # seconds in which a message has to arrive once it has begun
_GRACE = 5.0  # seconds in which training may stop by itself after the loss of a worker
_CURSOR = "\r\x1b[K\x1b[?25h"  # shows the cursor again, which a progress bar hides
_ENDED = "{} ended, and training with it; repeat the command with the same --run-dir to resume."

_group: "_Group | None" = None  # that this process belongs to


class WorkerLost(RnnappsError):
    """Training that stops because another of its processes is gone; it can be resumed."""

    status = 1


def cluster() -> Cluster | None:
    """The processes that this one trains with.

    Returns:
        The cluster; `None` if this process trains alone.
    """
    return None if _group is None else _group.cluster


def is_chief() -> bool:
    """Whether this process writes the run and prints.

    Returns:
        True for the chief, and for a process that trains alone.
    """
    return _group is None or _group.cluster.is_chief


def lost() -> bool:
    """Whether this process is stopping because another one is gone.

    Returns:
        True as soon as that was noticed.
    """
    return _group is not None and _group.lost is not None


@contextlib.contextmanager
def joined(
    cluster: Cluster,
    started: Sequence[subprocess.Popen] = (),
    **same: Mapping[str, Any],
) -> Iterator[None]:
    """A context in which this process trains together with others.

    An error in one process stops all. At the end, a worker waits for the chief.

    Args:
        cluster: The processes.
        started: Those that this process has started.
        **same: What has to be the same in all processes: values by their names.

    Yields:
        Nothing.

    Raises:
        ConfigError: If a port is in use, or the processes differ in what has to be the same.
        WorkerLost: If another process does not connect, or ends before this one.
    """
    global _group
    with contextlib.ExitStack() as stack:
        group = _Group(cluster)
        stack.callback(group.close)
        try:
            group.meet(started)
            if not cluster.is_chief:
                stack.enter_context(progress.muted())
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
    """Compares values between the processes; does nothing in a process that trains alone.

    Args:
        what: What the values are called, such as `"settings"`.
        values: The values by their names; they are compared as strings.

    Raises:
        ConfigError: In all processes, if a worker's values are not those of the chief.
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
    """The first difference between a worker and the chief, in a sentence; `""` if there is none."""
    who, theirs = cluster.name(index), found["values"]
    if found["what"] != what:
        return (
            f"Expected {who} to compare the {what} with the chief. Received: its {found['what']}; "
            "run the same command on all workers."
        )
    for name in {**mine, **theirs}:
        if mine.get(name) != theirs.get(name):
            return (
                f"Expected {who} to have the same {what} as the chief. Received: "
                f"{name}={theirs.get(name)}, but {name}={mine.get(name)} on the chief; start all "
                f"workers with the same {what}."
            )
    return ""


def share(folder: pathlib.Path, but: Sequence[str] = ()) -> None:
    """Copies the chief's files to the workers; does nothing in a process that trains alone.

    Args:
        folder: On the chief the folder to copy, on a worker the folder for the copy.
        but: Names of files and folders that are not copied.
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
    """The connections of this process: the chief's to all workers, or a worker's to the chief."""

    def __init__(self, cluster: Cluster):
        self.cluster, self.links = cluster, dict[int, Link]()
        self.folder: pathlib.Path | None = None  # a worker's copy of the chief's files
        self.parted = False  # whether connections may be closed
        self.lost: WorkerLost | None = None
        self.known, self.lock = threading.Event(), threading.Lock()

    def meet(self, started: Sequence[subprocess.Popen]) -> None:
        """Connects the chief and each worker."""
        if self.cluster.is_chief:
            with progress.working("waiting for the workers"):
                self._wait(started)
        else:
            with progress.working(f"waiting for {self.cluster.name(0)}"):
                self._call()
            self._listen_to(self.links[0])
            self._open().close()  # TensorFlow aborts the process if its port is in use

    def _open(self) -> socket.socket:
        """Listens on the port of this process."""
        host, port = self.cluster.address(self.cluster.index)
        own = host if host == "127.0.0.1" else ""  # all interfaces, like TensorFlow's server
        both = not own and socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        try:
            return socket.create_server((own, port), family=family, dualstack_ipv6=both)
        except OSError as error:
            raise ConfigError(
                f"Expected the port of {self.cluster.name(self.cluster.index)} to be free. "
                f"Received: {error.strerror}; stop the program that uses it, or change the port."
            ) from None

    def _wait(self, started: Sequence[subprocess.Popen]) -> None:
        until, missing = time.monotonic() + _PATIENCE, set(range(1, len(self.cluster.addresses)))
        with self._open() as server, selectors.DefaultSelector() as calls:
            server.settimeout(0.5)
            calls.register(server, selectors.EVENT_READ)
            while missing:
                for index, process in enumerate(started, 1):
                    if process.poll() is not None:
                        raise WorkerLost(
                            f"Expected {self.cluster.name(index)} to connect to the chief. "
                            f"Received: its end, with status {process.returncode}; repeat the "
                            "command."
                        )
                if time.monotonic() > until:
                    raise WorkerLost(
                        f"Expected {self.cluster.name(min(missing))} to connect to the chief "
                        f"within {_PATIENCE:.0f} s. Received: no connection; start it with the "
                        "same command and TF_CONFIG, and open the chief's port to it."
                    )
                for key, _ in calls.select(0.5):  # a silent connection does not block the others
                    if key.data is None:
                        with contextlib.suppress(OSError):  # it is closed already
                            link = Link(server.accept()[0])
                            calls.register(link.connection, selectors.EVENT_READ, link)
                        continue
                    calls.unregister(key.fileobj)
                    try:
                        missing.discard(self._welcome(key.data, missing))
                    except (OSError, ValueError, KeyError):  # not a worker
                        key.data.close()
            for key in calls.get_map().values():
                if key.data is not None:
                    key.data.close()

    def _welcome(self, link: Link, missing: set[int]) -> int | None:
        """Answers a connection; returns the worker's index, or `None` if it is not a worker."""
        said = link.receive(_WHOLE)[0]
        if said.get("kind") != "hello":
            link.close()
            return None
        if said.get("addresses") != list(self.cluster.addresses) or said["index"] not in missing:
            wrong = (
                "Expected the cluster in TF_CONFIG to be the same everywhere, and each index to "
                f"be used once. Received: a worker with index {said['index']} in "
                f"{said['addresses']}, but {list(self.cluster.addresses)} on the chief, where "
                f"{sorted(missing)} are still missing; correct TF_CONFIG."
            )
            link.send({"kind": "verdict", "wrong": wrong})
            link.close()
            raise ConfigError(wrong)
        link.peer = said["index"]
        self.links[link.peer] = link
        link.send({"kind": "verdict", "wrong": ""})
        self._listen_to(link)  # now: it may end while others are still missing
        return link.peer

    def _call(self) -> None:
        """Connects a worker to the chief as soon as the chief is there."""
        cluster, until = self.cluster, time.monotonic() + _PATIENCE
        while True:
            try:
                connection = socket.create_connection(cluster.address(0), timeout=_ANSWER)
                break
            except OSError as error:  # the process, or the host's name, does not exist yet
                if time.monotonic() > until:
                    raise WorkerLost(
                        f"Expected {cluster.name(0)} to answer within {_PATIENCE:.0f} s. "
                        f"Received: {error.strerror or error}; start it with the same command and "
                        "TF_CONFIG, and open its port to this worker."
                    ) from None
                time.sleep(0.3)
        self.links[0] = link = Link(connection)
        try:
            link.send({"kind": "hello", "index": cluster.index, "addresses": cluster.addresses})
            wrong = str(link.receive(_ANSWER)[0]["wrong"])
        except (OSError, ValueError, KeyError):
            wrong = (
                f"Expected {cluster.name(0)} to answer. Received: no valid answer; stop the "
                "program that uses its port, or change the port."
            )
        if wrong:
            raise ConfigError(wrong)

    def next(self, link: Link, kind: str) -> tuple[dict[str, Any], bytes]:
        """The next message of another process, which has to be of a kind."""
        message, content = link.inbox.get()
        if message["kind"] != kind:
            raise ConfigError(
                f"Expected a message {kind!r} from {self.cluster.name(link.peer)}. Received: "
                f"{message['kind']!r}; run the same command on all workers."
            )
        return message, content

    def _listen_to(self, link: Link) -> None:
        threading.Thread(target=self._listen, args=(link,), daemon=True).start()

    def _listen(self, link: Link) -> None:
        """Receives messages until the connection is closed."""
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
            self._lose(link, _ENDED.format(self.cluster.name(link.peer)))

    def _lose(self, link: Link, said: str, status: int = 1) -> None:
        """Stops this process and tells the others why, after another one has ended."""
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
        # The main thread is still inside TensorFlow, which waits for the lost process.
        if self.folder is not None:
            remove_tree(self.folder)
        if sys.stderr.isatty():
            print(_CURSOR, end="", file=sys.stderr)
        print(f"rnnapps: {said}", file=sys.stderr, flush=True)
        os._exit(status)

    def _tell(self, message: dict[str, Any], but: Link | None = None) -> None:
        """Sends a last message to all that are still connected."""
        for link in self.links.values():
            if link is not but:
                with contextlib.suppress(OSError):
                    link.send(message)

    def leave(self, error: BaseException) -> None:
        """Tells the others why this process stops, or raises what has ended another one."""
        if type(error).__module__.startswith("tensorflow"):
            self.known.wait(_GRACE)  # TensorFlow notices a lost process first, but not which
        with self.lock:
            lost, parted, self.parted = self.lost, self.parted, True
        if lost is not None:
            self.known.wait(1)
            raise lost from None
        if not parted:
            me = self.cluster.name(self.cluster.index)
            said, status = _ENDED.format(me), 1
            if isinstance(error, RnnappsError):
                said, status = f"{me}: {error}", error.status
            self._tell({"kind": "failed", "said": said, "status": status})

    def part(self) -> None:
        """The chief tells the workers that it is done; a worker waits for that."""
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
