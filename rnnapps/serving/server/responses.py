"""HTTP responses in TF Serving's form."""

import json

from starlette.responses import Response

from rnnapps.serving.server.status import StatusError


def json_response(body: bytes, status: int = 200) -> Response:
    """A response with a JSON body."""
    return Response(body, status, media_type="application/json")


def error_response(error: StatusError) -> Response:
    """The response that tells an error."""
    return json_response(json.dumps({"error": error.message}).encode(), error.http_status)
