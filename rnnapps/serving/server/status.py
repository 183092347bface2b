"""TF Serving's status codes, for REST and gRPC."""

import enum


class Code(enum.IntEnum):
    """Status codes, numbered as in absl, gRPC and `tensorflow.error.Code`."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


HTTP_STATUS = {
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.UNAUTHENTICATED: 401,
}
"""TF Serving's HTTP status for a code; 500 for the others."""


class StatusError(Exception):
    """A failed request.

    Args:
        code: The status code.
        message: The error message: TF Serving's own, if it has one.
        http_status: The HTTP status, if it differs from the code's.
    """

    def __init__(self, code: int, message: str, http_status: int | None = None):
        super().__init__(message)
        self.code = Code(code)
        self.message = message
        self.http_status = http_status or HTTP_STATUS.get(self.code, 500)


def invalid(message: str) -> StatusError:
    """The error for an invalid request."""
    return StatusError(Code.INVALID_ARGUMENT, message)


def shutting_down() -> StatusError:
    """The error for requests during shutdown."""
    return StatusError(Code.UNAVAILABLE, "The server is shutting down")
