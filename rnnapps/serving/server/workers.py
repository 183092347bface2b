"""The threads that read requests and run models, and their limits."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnnapps.serving.server.status import Code, StatusError, invalid, shutting_down

_SMALL = 2**16  # bytes of a body that always finds room


@dataclasses.dataclass(frozen=True)
class Limits:
    """What the server takes on at most; the rest is turned away before it costs memory.

    Args:
        body: Bytes of one request; and of its texts, if each were as long as the longest.
        rows: Rows of one request.
        waiting: Requests at work or waiting.
        held: Bytes of all the bodies that are being received or waited for; four of the longest
            always have room.
        threads: Requests at work.
        seconds: How long one request may take, from when it has been received.
        header_seconds: How long the headers of a request may take to arrive.
        body_seconds: How long its body may take to arrive, and a client take nothing of an answer.
    """

    body: int = 32 * 2**20
    rows: int = 4096
    waiting: int = 256
    held: int = 256 * 2**20
    threads: int = max(2, os.cpu_count() or 2)
    seconds: float = 30.0
    header_seconds: float = 10.0
    body_seconds: float = 30.0

    def check_rows(self, rows: int) -> None:
        """Raises `StatusError`, in TF Serving's words, where there are too many rows."""
        if rows > self.rows:
            raise invalid(f"Task size {rows} was larger than maximum input batch size {self.rows}")

    def check(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Raises `StatusError` where the inputs have too many rows, or texts that are too long.

        A model fills a batch's texts up to the longest, so that is what is counted.
        """
        for name, array in inputs.items():
            self.check_rows(len(array) if array.ndim else 1)
            if array.dtype == object and array.size:
                longest = max(map(len, array.flat))
                if array.size * longest > self.body:
                    raise invalid(
                        f"Expected the texts of {name}, each filled up to the longest, to be at "
                        f"most {self.body} bytes. Received: {array.size} texts, the longest of "
                        f"{longest} bytes."
                    )


class Room:
    """What there is for all the bodies that are being received or waited for.

    Args:
        limits: What the server takes on at most.
    """

    def __init__(self, limits: Limits):
        self._most = max(limits.held, 4 * limits.body)
        self._held, self._lock = 0, threading.Lock()

    def take(self, size: int, received: int) -> None:
        """Takes room for a piece of a body.

        Args:
            size: Bytes of the piece.
            received: Bytes of the body so far, with these.

        Raises:
            StatusError: If there is none; for a small body there always is.
        """
        with self._lock:
            if received > _SMALL and self._held + size > self._most:
                raise StatusError(Code.UNAVAILABLE, "Too many requests: no room for the body")
            self._held += size

    def give_back(self, size: int) -> None:
        """Gives back room for so many bytes."""
        with self._lock:
            self._held -= size


class Deadline:
    """When a request has to be answered.

    Args:
        seconds: In how many seconds.
    """

    def __init__(self, seconds: float):
        self._seconds, self._end = seconds, time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """The seconds left; 0 where there are none."""
        return max(0.0, self._end - time.monotonic())

    def error(self) -> StatusError:
        """The error of a request that has taken longer."""
        return StatusError(
            Code.DEADLINE_EXCEEDED,
            f"The request took longer than its time limit of {self._seconds:.3g} s",
        )


class Workers:
    """A pool of threads with a bound on what waits for it.

    Whoever waits is told when time is over, or the server ends, whatever the threads are at.

    Args:
        name: What they do.
        threads: How many there are.
        waiting: How many requests may be at work or waiting.
    """

    def __init__(self, name: str, threads: int, waiting: int):
        self._waiting = waiting
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, f"rnnapps-{name}")
        self._asked: set[concurrent.futures.Future] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def submit(
        self, deadline: Deadline, function: Callable, *arguments: Any
    ) -> concurrent.futures.Future:
        """Has a thread run a function, unless its time is over before one is free.

        Args:
            deadline: When its time is over.
            function: The function.
            *arguments: Its arguments.

        Returns:
            The future of its answer, or of a `StatusError`.

        Raises:
            StatusError: If too many are waiting, or the server ends.
        """
        asked: concurrent.futures.Future = concurrent.futures.Future()
        with self._lock:
            if self._stopped:
                raise shutting_down()
            if len(self._asked) >= self._waiting:
                raise StatusError(
                    Code.UNAVAILABLE, f"Too many requests: {self._waiting} are waiting already"
                )
            self._asked.add(asked)
            self._pool.submit(self._answer, asked, deadline, function, *arguments)
        return asked

    def _answer(
        self,
        asked: concurrent.futures.Future,
        deadline: Deadline,
        function: Callable,
        *arguments: Any,
    ) -> None:
        answer = error = None
        try:
            if not asked.done():
                answer = guarded(deadline, function, *arguments)
        except StatusError as raised:
            error = raised
        with self._lock:
            self._asked.discard(asked)
        with contextlib.suppress(concurrent.futures.InvalidStateError):  # no one waits any more
            asked.set_result(answer) if error is None else asked.set_exception(error)

    def run(self, deadline: Deadline, function: Callable, *arguments: Any) -> Any:
        """What a function answers, which a thread runs; see `submit`."""
        asked = self.submit(deadline, function, *arguments)
        try:
            return asked.result(deadline.remaining)
        except TimeoutError:
            asked.cancel()
            raise deadline.error() from None

    async def run_async(self, deadline: Deadline, function: Callable, *arguments: Any) -> Any:
        """What a function answers, which a thread runs; see `submit`."""
        asked = self.submit(deadline, function, *arguments)
        try:
            async with asyncio.timeout(deadline.remaining):
                return await asyncio.wrap_future(asked)
        except TimeoutError:
            raise deadline.error() from None

    def stop(self) -> None:
        """Tells all who wait that the server ends; a thread ends when it has done what it is at."""
        with self._lock:
            self._stopped = True
            waiting = list(self._asked)
        for asked in waiting:
            with contextlib.suppress(concurrent.futures.InvalidStateError):
                asked.set_exception(shutting_down())
        self._pool.shutdown(wait=False, cancel_futures=True)


def guarded(deadline: Deadline, function: Callable, *arguments: Any) -> Any:
    """What a function answers, or a `StatusError` whatever goes wrong in it.

    Args:
        deadline: When its time is over.
        function: The function.
        *arguments: Its arguments.

    Returns:
        The function's answer.

    Raises:
        StatusError: If the function fails, or has no time left.
    """
    if not deadline.remaining:
        raise deadline.error()
    try:
        return function(*arguments)
    except StatusError as error:
        if error.code == Code.DEADLINE_EXCEEDED:  # TensorFlow's words for it say nothing
            raise deadline.error() from None
        raise
    except MemoryError:
        raise StatusError(Code.RESOURCE_EXHAUSTED, "Out of memory over this request") from None
    except RecursionError:
        raise invalid("The request is nested too deeply") from None
    except Exception as error:  # a bug: its traceback is for the log, not for whoever asked
        logging.getLogger(__name__).exception("a request failed")
        raise StatusError(Code.INTERNAL, f"{type(error).__name__}: {error}") from None
