"""The threads that answer requests."""

import asyncio
import concurrent.futures
import dataclasses
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from rnnapps.serving.server.status import Code, StatusError, invalid


@dataclasses.dataclass(frozen=True)
class Limits:
    """What the server takes on at most; the rest is turned away before it costs memory.

    Args:
        body: Bytes of one request.
        rows: Rows of one request.
        waiting: Requests at work or waiting.
        held: Bytes of all the bodies that are being received or waited for; four of the longest
            always have room.
        threads: Requests at work.
    """

    body: int = 32 * 2**20
    rows: int = 4096
    waiting: int = 256
    held: int = 256 * 2**20
    threads: int = max(2, os.cpu_count() or 2)

    def check_rows(self, rows: int) -> None:
        """Raises `StatusError`, in TF Serving's words, where there are too many rows."""
        if rows > self.rows:
            raise invalid(f"Task size {rows} was larger than maximum input batch size {self.rows}")


class Workers:
    """A pool of threads with a bound on what waits for it.

    Args:
        limits: The bounds.
    """

    def __init__(self, limits: Limits):
        self._waiting = limits.waiting
        self._pool = concurrent.futures.ThreadPoolExecutor(limits.threads, "rnnapps-worker")
        self._admitted = 0
        self._lock = threading.Lock()

    def submit(self, function: Callable, *arguments: Any) -> concurrent.futures.Future:
        """Has a thread run a function.

        Args:
            function: The function.
            *arguments: Its arguments.

        Returns:
            The future of its answer, or of a `StatusError`.

        Raises:
            StatusError: If too many are waiting.
        """
        with self._lock:
            if self._admitted >= self._waiting:
                raise StatusError(
                    Code.UNAVAILABLE, f"Too many requests: {self._waiting} are waiting already"
                )
            self._admitted += 1
        future = self._pool.submit(_guarded, function, *arguments)
        future.add_done_callback(self._leave)
        return future

    async def run(self, function: Callable, *arguments: Any) -> Any:
        """What a function answers, which a thread runs; see `submit`."""
        return await asyncio.wrap_future(self.submit(function, *arguments))

    def _leave(self, _: concurrent.futures.Future) -> None:
        with self._lock:
            self._admitted -= 1

    def stop(self) -> None:
        """Ends the threads, once they have answered what they are at; what waits is cancelled."""
        self._pool.shutdown(cancel_futures=True)


def _guarded(function: Callable, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except StatusError:
        raise
    except MemoryError:
        raise StatusError(Code.RESOURCE_EXHAUSTED, "Out of memory over this request") from None
    except RecursionError:
        raise invalid("The request is nested too deeply") from None
    except Exception as error:  # a bug: its traceback is for the log, not for whoever asked
        logging.getLogger(__name__).exception("a request failed")
        raise StatusError(Code.INTERNAL, f"{type(error).__name__}: {error}") from None
