"""HTTP responses in TF Serving's form."""

import json

from starlette.responses import Response

from rnnapps.serving.server.status import StatusError


def json_response(body: bytes, status: int = 200) -> Response:
    """A response with a JSON body."""
    return Response(body, status, media_type="application/json")


def html_response(body: bytes) -> Response:
    """A page that may not run scripts or load anything from other sites."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
    headers = {"content-security-policy": policy, "x-content-type-options": "nosniff"}
    return Response(body, media_type="text/html", headers=headers)


def error_response(error: StatusError) -> Response:
    """The response for an error."""
    return json_response(json.dumps({"error": error.message}).encode(), error.http_status)
