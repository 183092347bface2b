"""Protects against cross-site requests and DNS rebinding by checking `Host` and `Origin`."""

import ipaddress
import urllib.parse
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from rnnapps.serving.server.responses import error_response
from rnnapps.serving.server.status import Code, StatusError


class OriginGuard:
    """Accepts only requests whose `Host` and `Origin` are the server's own, or allowed.

    A page from another site sends its own origin; with DNS rebinding, it sends its own name as the
    host. Other programs send no origin, and the address that they connect to as the host.

    Args:
        app: The ASGI application for accepted requests.
        host: The address that the server listens on.
        hosts: Other allowed hosts; `*` for any.
        origins: Other allowed origins, such as `https://example.org`; `*` for any.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        hosts: Collection[str] = (),
        origins: Collection[str] = (),
    ):
        self._hosts = {host.lower(), *map(str.lower, hosts)}
        self._origins = {origin.lower().rstrip("/") for origin in origins}  # as browsers send them
        self._app = app
        if origins:
            self._app = CORSMiddleware(
                app, allow_origins=list(self._origins), allow_methods=["*"], allow_headers=["*"]
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            self._check(Headers(scope=scope), scope.get("server"))
        except StatusError as error:
            await error_response(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, headers: Headers, server: tuple[str, int | None] | None) -> None:
        host, origin = headers.get("host", "").lower(), headers.get("origin", "").lower()
        name = _name(host)
        listening = server[0] if server else ""
        if host and not ("*" in self._hosts or name in self._hosts or _is_own(name, listening)):
            raise StatusError(
                Code.PERMISSION_DENIED,
                f"Expected the header Host to be this server's address. Received: {host[:100]!r}, "
                "which --allow-host would allow.",
            )
        own = host and origin in (f"http://{host}", f"https://{host}")
        if origin and not (own or "*" in self._origins or origin in self._origins):
            raise StatusError(
                Code.PERMISSION_DENIED,
                f"Expected the header Origin to be this server's address. Received: "
                f"{origin[:100]!r}, which --cors-origin would allow.",
            )


def _name(host: str) -> str:
    """The host without its port."""
    try:
        return urllib.parse.urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_own(name: str, listening: str) -> bool:
    """Whether a name always resolves to this machine."""
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
        return address.is_loopback or address == ipaddress.ip_address(listening)
    except ValueError:
        return False
