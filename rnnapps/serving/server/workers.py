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

_SMALL = 2**16  # bytes of a body that is always accepted


@dataclasses.dataclass(frozen=True)
class Limits:
    """The server's limits; excess requests are rejected before they use memory.

    Args:
        body: Bytes of one request, and of its texts if each is padded to the longest.
        rows: Rows of one request.
        waiting: Requests running or waiting.
        held: Bytes of all bodies being received or waiting; at least four times `body`.
        threads: Requests running at once.
        seconds: Time limit of a request, after it has been received.
        header_seconds: Time limit for receiving a request's headers.
        body_seconds: Time limit for receiving its body, and for a client that reads nothing of the
            response.
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
        """Raises `StatusError`, with TF Serving's message, if there are too many rows."""
        if rows > self.rows:
            raise invalid(f"Task size {rows} was larger than maximum input batch size {self.rows}")

    def check(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Raises `StatusError` if the inputs have too many rows or too long texts.

        A model pads a batch's texts to the longest, so the padded size counts.
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
    """The memory budget for all bodies being received or waiting.

    Args:
        limits: Limits of the server.
    """

    def __init__(self, limits: Limits):
        self._most = max(limits.held, 4 * limits.body)
        self._held, self._lock = 0, threading.Lock()

    def take(self, size: int, received: int) -> None:
        """Reserves memory for a chunk of a body.

        Args:
            size: Bytes of the chunk.
            received: Bytes of the body so far, including this chunk.

        Raises:
            StatusError: If the budget is exhausted; small bodies are always accepted.
        """
        with self._lock:
            if received > _SMALL and self._held + size > self._most:
                raise StatusError(Code.UNAVAILABLE, "Too many requests: no room for the body")
            self._held += size

    def give_back(self, size: int) -> None:
        """Releases `size` bytes."""
        with self._lock:
            self._held -= size


class Deadline:
    """The deadline of a request.

    Args:
        seconds: Seconds from now.
    """

    def __init__(self, seconds: float):
        self._seconds, self._end = seconds, time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """The seconds left, at least 0."""
        return max(0.0, self._end - time.monotonic())

    def error(self) -> StatusError:
        """The error for a missed deadline."""
        return StatusError(
            Code.DEADLINE_EXCEEDED,
            f"The request took longer than its time limit of {self._seconds:.3g} s",
        )


class Workers:
    """A thread pool with a bounded queue.

    Waiting callers get an error at their deadline or on shutdown, even while the threads are busy.

    Args:
        name: Name of the threads.
        threads: Number of threads.
        waiting: Maximum number of requests running or waiting.
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
        """Runs a function in a thread, unless its deadline passes before one is free.

        Args:
            deadline: The deadline.
            function: The function.
            *arguments: Its arguments.

        Returns:
            The future of its result, or of a `StatusError`.

        Raises:
            StatusError: If too many requests are waiting, or the server is shutting down.
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
        with contextlib.suppress(concurrent.futures.InvalidStateError):  # the caller gave up
            asked.set_result(answer) if error is None else asked.set_exception(error)

    def run(self, deadline: Deadline, function: Callable, *arguments: Any) -> Any:
        """Runs a function in a thread and returns its result; see `submit`."""
        asked = self.submit(deadline, function, *arguments)
        try:
            return asked.result(deadline.remaining)
        except TimeoutError:
            asked.cancel()
            raise deadline.error() from None

    async def run_async(self, deadline: Deadline, function: Callable, *arguments: Any) -> Any:
        """Runs a function in a thread and returns its result; see `submit`."""
        asked = self.submit(deadline, function, *arguments)
        try:
            async with asyncio.timeout(deadline.remaining):
                return await asyncio.wrap_future(asked)
        except TimeoutError:
            raise deadline.error() from None

    def stop(self) -> None:
        """Fails all waiting requests; threads end when their current function returns."""
        with self._lock:
            self._stopped = True
            waiting = list(self._asked)
        for asked in waiting:
            with contextlib.suppress(concurrent.futures.InvalidStateError):
                asked.set_exception(shutting_down())
        self._pool.shutdown(wait=False, cancel_futures=True)


def guarded(deadline: Deadline, function: Callable, *arguments: Any) -> Any:
    """Calls a function and turns every error into a `StatusError`.

    Args:
        deadline: The deadline.
        function: The function.
        *arguments: Its arguments.

    Returns:
        The function's result.

    Raises:
        StatusError: If the function fails or its deadline has passed.
    """
    if not deadline.remaining:
        raise deadline.error()
    try:
        return function(*arguments)
    except StatusError as error:
        if error.code == Code.DEADLINE_EXCEEDED:  # TensorFlow's own message is uninformative
            raise deadline.error() from None
        raise
    except MemoryError:
        raise StatusError(Code.RESOURCE_EXHAUSTED, "Out of memory over this request") from None
    except RecursionError:
        raise invalid("The request is nested too deeply") from None
    except Exception as error:  # a bug: the traceback goes to the log, not to the client
        logging.getLogger(__name__).exception("a request failed")
        raise StatusError(Code.INTERNAL, f"{type(error).__name__}: {error}") from None
