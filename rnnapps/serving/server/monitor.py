"""Prometheus metrics, and the access log."""

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Iterator
from typing import TextIO

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from rnnapps.serving.server.status import Code, StatusError

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_LABELS = ("model", "version", "api")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds


@dataclasses.dataclass
class Call:
    """A request in progress.

    Args:
        api: `"rest"` or `"grpc"`.
        what: Method and path.
        client: The client's address.
        model: The requested model, once known; only served models are set, to bound the labels.
        version: Its version.
        predicts: Whether it is a predict request; only these are counted.
        code: Its status code.
    """

    api: str
    what: str
    client: str
    model: str = ""
    version: str = ""
    predicts: bool = False
    code: str = "OK"


class Monitor:
    """Counts requests and errors and measures latency, by model and version.

    Args:
        log: Stream for the access log, one line per request; `None` for no log.
    """

    def __init__(self, log: TextIO | None = None):
        self._log = log
        self._registry = here = CollectorRegistry()
        self._requests = Counter("rnnapps_requests", "Predict requests.", _LABELS, registry=here)
        self._errors = Counter(
            "rnnapps_errors", "Failed predict requests.", (*_LABELS, "code"), registry=here
        )
        self._seconds = Histogram(
            "rnnapps_request_seconds",
            "Latency of predict requests.",
            _LABELS,
            registry=here,
            buckets=_BUCKETS,
        )

    @contextlib.contextmanager
    def watch(self, api: str, what: str, client: str) -> Iterator[Call]:
        """Counts and logs the request handled within this context.

        Args:
            api: `"rest"` or `"grpc"`.
            what: Method and path.
            client: The client's address.

        Yields:
            The call, whose model the caller sets.
        """
        call, began = Call(api, what, client), time.monotonic()
        try:
            yield call
        except StatusError as error:
            call.code = Code(error.code).name
            raise
        except BaseException:
            call.code = Code.CANCELLED.name
            raise
        finally:
            self._keep(call, time.monotonic() - began)

    def _keep(self, call: Call, seconds: float) -> None:
        if call.predicts:
            labels = call.model, call.version, call.api
            self._requests.labels(*labels).inc()
            self._seconds.labels(*labels).observe(seconds)
            if call.code != "OK":
                self._errors.labels(*labels, call.code).inc()
        if self._log:
            now = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
            what = ascii(call.what)[1:-1]  # escaped, to stay on one line
            line = f"{now} {call.client} {call.api} {what} {call.code} {1000 * seconds:.1f} ms"
            with contextlib.suppress(OSError, ValueError):  # the stream is closed
                self._log.write(line + "\n")
                self._log.flush()

    def metrics(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
