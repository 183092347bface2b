"""TF Serving's status codes: how a request failed, for REST and gRPC alike."""

import enum


class Code(enum.IntEnum):
    """The codes of absl, gRPC and `tensorflow.error.Code`, which are one numbering."""

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
    """A request that cannot be answered.

    Args:
        code: Why, as a code.
        message: Why, in words: TF Serving's, where it has some.
        http_status: The HTTP status, where it is not the code's.
    """

    def __init__(self, code: int, message: str, http_status: int | None = None):
        super().__init__(message)
        self.code = Code(code)
        self.message = message
        self.http_status = http_status or HTTP_STATUS.get(self.code, 500)


def invalid(message: str) -> StatusError:
    """The error of a request that is wrong in itself."""
    return StatusError(Code.INVALID_ARGUMENT, message)


def shutting_down() -> StatusError:
    """The error of a request that the server no longer answers."""
    return StatusError(Code.UNAVAILABLE, "The server is shutting down")
