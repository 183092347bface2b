"""Prediction on this machine, in this process or in several, of which some may die.

Each answers with one thread: what it answers is the same, to the last digit, whichever it is.
"""

import collections
import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from rnnapps.apps.bulk.answering import Answering
from rnnapps.apps.bulk.parts import Answered, Part
from rnnapps.errors import RnnappsError, RunError
from rnnapps.progress import say

_ATTEMPTS = 10  # deaths of those who answer for one part
_ONE_THREAD = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def one_thread() -> None:
    """Has TensorFlow answer with one thread, where it has not started yet."""
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    # Several processes on a GPU: else the first of them takes all of its memory.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


def in_this_process(answering: Answering, parts: Iterable[Part]) -> Iterator[Answered]:
    """Answers for parts one after the other.

    Args:
        answering: How.
        parts: The parts.

    Yields:
        Each with its answers, in their order.
    """
    one_thread()
    answer = None
    for part in parts:
        answer = answer or answering.start()
        yield answer(part)


def in_processes(answering: Answering, parts: Iterable[Part], workers: int) -> Iterator[Answered]:
    """Answers for parts in processes of this machine.

    One that dies is replaced, and its part is answered by another.

    Args:
        answering: How.
        parts: The parts; of those that wait for an answer there are as many as workers.
        workers: How many processes.

    Yields:
        Each part with its answers, in the order in which they come.

    Raises:
        RunError: If the processes die of a part again and again.
    """
    deaths: collections.Counter[int] = collections.Counter()
    todo, again = iter(parts), collections.deque[Part]()
    at_work: dict[Connection, tuple[Any, Part]] = {}
    try:
        while True:
            fresh: list[tuple[Any, Connection, Part]] = []  # all start before one has to listen
            while len(at_work) + len(fresh) < workers and (part := _next(again, todo)):
                fresh.append((*_start(answering), part))
            for one in fresh:
                _send(at_work, *one)
            if not at_work:
                return
            ready = wait(list(at_work))
            for link in [one for one in at_work if one in ready]:
                process, part = at_work.pop(link)
                try:
                    found = link.recv()
                except (EOFError, OSError):
                    process.join()
                    deaths[part.number] += 1
                    _tell(process.exitcode, part, deaths[part.number])
                    again.append(part)
                    continue
                if isinstance(found, Exception):
                    _end(process)
                    raise found
                if part := _next(again, todo):
                    _send(at_work, process, link, part)
                else:
                    _end(process)
                yield found
    finally:
        for process, _ in at_work.values():
            _end(process)


def _next(again: collections.deque[Part], todo: Iterator[Part]) -> Part | None:
    return again.popleft() if again else next(todo, None)


def _start(answering: Answering) -> tuple[Any, Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(answering, theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _send(
    at_work: dict[Connection, tuple[Any, Part]], process: Any, link: Connection, part: Part
) -> None:
    with contextlib.suppress(OSError):  # it has died, which `wait` finds
        link.send(part)
    at_work[link] = process, part


def _end(process: Any) -> None:
    process.kill()  # it has nothing to put away
    process.join()


def _tell(status: int | None, part: Part, times: int) -> None:
    how = f"status {status}"
    if status and status < 0:
        how = signal.Signals(-status).name
    if times > _ATTEMPTS:
        raise RunError(
            f"The workers that answered for {part.where} died {times} times, the last by {how}; "
            "with fewer --workers each has more memory, with fewer --part-rows a part takes less."
        )
    say([f"a worker died ({how}); {part.where} are predicted again"])


def _work(answering: Answering, link: Connection) -> None:
    """A worker: answers what it is sent, until its connection ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    one_thread()
    answer = None
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            part = link.recv()
            try:
                answer = answer or answering.start()
                found: Any = answer(part)
            except RnnappsError as error:
                found = error
            except Exception:
                found = RuntimeError(f"A worker failed:\n{traceback.format_exc()}")
            link.send(found)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
