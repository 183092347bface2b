"""A connection between two processes of a training."""

import contextlib
import json
import queue
import socket
import struct
from typing import Any

_SIZES = struct.Struct(">IQ")  # of a message and of the content that follows it
_LARGEST = 2**24  # bytes of a message
_SILENCE = 30  # seconds after which a machine that does not respond counts as lost
_TCP = {  # options that a system may lack
    "TCP_KEEPIDLE": 10,
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 4,
    "TCP_USER_TIMEOUT": 1000 * _SILENCE,
    "TCP_NODELAY": 1,
}


class Link:
    """Sends and receives messages: JSON objects, each followed by bytes.

    Args:
        connection: The connection. It is closed if the other machine does not respond for 30 s.
        peer: The index of the process at the other end.
    """

    def __init__(self, connection: socket.socket, peer: int = 0):
        self.connection, self.peer = connection, peer
        self.inbox: queue.SimpleQueue[tuple[dict[str, Any], bytes]] = queue.SimpleQueue()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _TCP.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def send(self, message: dict[str, Any], content: bytes = b"") -> None:
        """Sends a message.

        Args:
            message: A JSON object.
            content: The bytes that follow it.

        Raises:
            OSError: If the connection is closed.
        """
        text = json.dumps(message).encode()
        self.connection.sendall(_SIZES.pack(len(text), len(content)) + text)
        self.connection.sendall(content)

    def receive(self, timeout: float | None = None) -> tuple[dict[str, Any], bytes]:
        """Waits for the next message.

        Args:
            timeout: Seconds to wait for it; `None` for no limit.

        Returns:
            The message, and the bytes that follow it.

        Raises:
            OSError: If the connection is closed, or nothing was received in time.
            ValueError: If something else than a message was received.
        """
        self.connection.settimeout(timeout)
        size, rest = _SIZES.unpack(self._read(_SIZES.size))
        if size > _LARGEST:
            raise ValueError("not a message")
        message = json.loads(self._read(size))
        if not isinstance(message, dict):
            raise ValueError("not a message")
        return message, self._read(rest)

    def _read(self, size: int) -> bytes:
        content = bytearray()
        while len(content) < size:
            more = self.connection.recv(min(size - len(content), 2**20))
            if not more:
                raise ConnectionError("closed")
            content += more
        return bytes(content)

    def close(self) -> None:
        """Closes the connection, also for a thread that waits for a message."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()
