"""Who may come in: the checks that every request passes before anything else sees it.

A page of another site, opened in the same browser, can send requests here. It cannot choose their Host and Origin headers: so the
name must be one of ours (against DNS rebinding), and a connection must come from a page that we served.
"""

import hmac
from urllib.parse import parse_qs

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",  # the token is in the address
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def host_is_ours(host: str | None, local_only: bool) -> bool:
    """Whether the Host header names this machine. Where others may come in too the token decides, not the name."""
    if not host:
        return False
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdecimal():
        name = host
    return not local_only or name.lower() in LOOPBACK_NAMES


def origin_is_ours(origin: str | None, host: str) -> bool:
    """Whether a connection comes from a page of ours. Programs that are no browsers send no Origin."""
    return origin is None or origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())


def token_fits(query: bytes, token: str | None) -> bool:
    """Args: query: of the address. token: the right one; None if none is asked for."""
    if token is None:
        return True
    try:
        given = parse_qs(query.decode("ascii"), max_num_fields=8).get("token", [""])
    except ValueError:
        return False
    return len(given) == 1 and hmac.compare_digest(given[0].encode(), token.encode())


def guarded(app, token: str | None):
    """An ASGI application around `app`: refuses strangers and adds HEADERS.

    The files of the page itself hold no secret; the page "/" and the connection "/live" ask for the token.
    """

    async def guard(scope, receive, send):
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host")
        reason = None
        if not host_is_ours(host, local_only=token is None):
            reason = "This page answers to 127.0.0.1 and localhost only."
        elif scope["type"] == "websocket" and not origin_is_ours(headers.get("origin"), host):
            reason = "Only a page from here may connect."
        elif scope["path"] in ("/", "/live") and not token_fits(scope["query_string"], token):
            reason = "The address lacks the right token: open the one that was printed at the start."
        if reason is None:
            await app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _with_headers(send)(
                {"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]}
            )
            await send({"type": "http.response.body", "body": reason.encode()})

    return guard


def _with_headers(send):
    async def sending(message):
        if message["type"] == "http.response.start":
            extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return sending
