"""uvicorn's HTTP, with limits on headers and unread answers."""

import json
import socket

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol, RequestResponseCycle

HEADER_BYTES = 2**16  # of the headers of one request
HEADERS_TOO_LONG = f"The headers are longer than {HEADER_BYTES} bytes"
# Seconds for a client to send the rest of a rejected request and read the response. Closing at
# once, with unread bytes, would reset the connection and lose the response.
_LINGER = 2.0


class HttpProtocol(H11Protocol):
    """A client connection.

    Args:
        *args: Arguments of uvicorn's protocol.
        header_seconds: Time limit for receiving a request's headers.
        answer_seconds: Time limit for a client that reads nothing of a response.
        **kwargs: Arguments of uvicorn's protocol.
    """

    def __init__(self, *args, header_seconds: float, answer_seconds: float, **kwargs):
        super().__init__(*args, **kwargs)
        self._header_seconds, self._answer_seconds = header_seconds, answer_seconds
        self._late = None
        self._refused = False

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # otherwise a dead peer keeps it open forever
            patience = round(1000 * self._answer_seconds)
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
        self._watch()

    def connection_lost(self, exc) -> None:
        super().connection_lost(exc)
        self._unwatch()

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            super().data_received(data)
            self._watch()

    def on_response_complete(self) -> None:
        cycle = self.cycle
        super().on_response_complete()
        if self._is_unread(cycle):  # answered before it was fully read
            self.loop.call_later(_LINGER, self._close_unread, cycle)

    def _close_unread(self, cycle: RequestResponseCycle) -> None:
        if self._is_unread(cycle) and not self.transport.is_closing():
            self.transport.close()

    def _is_unread(self, cycle: RequestResponseCycle) -> bool:
        """Whether the body of this request, not of a later one, is still arriving."""
        return self.cycle is cycle and self.conn.their_state is h11.SEND_BODY

    def _watch(self) -> None:
        """Starts the timeout for the next request's headers; stops it once they are received."""
        if self.conn.their_state is not h11.IDLE:
            self._unwatch()
        elif self._late is None:
            self._late = self.loop.call_later(self._header_seconds, self._refuse_late)

    def _unwatch(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse_late(self) -> None:
        if not self.transport.is_closing():
            self._refuse(408, "The headers did not arrive in time")

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for invalid HTTP and for headers that are too long."""
        unread, _ = self.conn.trailing_data
        if len(unread) > HEADER_BYTES:
            self._refuse(431, HEADERS_TOO_LONG)
        else:
            self._refuse(400, msg)

    def _refuse(self, status: int, said: str) -> None:
        self._refused = True
        self._unwatch()
        if self.cycle is not None:
            self.cycle.disconnected = True  # suppresses the application's response
            self.cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        body = json.dumps({"error": said}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        reason = STATUS_PHRASES[status]
        for event in (
            h11.Response(status_code=status, headers=headers, reason=reason),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event))
        self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.close)
