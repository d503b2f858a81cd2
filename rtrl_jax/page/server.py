"""Serves a page: a fixed list of files, and a connection that tells what happens. No address reaches the file system."""

import asyncio
import contextlib
import importlib.resources

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from rtrl_jax.page.guard import guarded
from rtrl_jax.page.listener import Listener
from rtrl_jax.page.messages import LONGEST

KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
SHARED = ("style.css", "icon.svg", "wire.js")
RUN_PAGE = ("run.html", "run.js", "timeline.js", "charts.js", "uPlot.iife.min.js", "uPlot.min.css")
PLAY_PAGE = ("play.html", "play.js")
MOST_CONNECTIONS = 64


def application(page: tuple[str, ...], token: str | None, attend):
    """Args: page: its files, the page itself first. attend: an async function that serves a connection (WebSocket)."""
    folder = importlib.resources.files("rtrl_jax.page") / "static"
    content = {name: (folder / name).read_bytes() for name in (*page, *SHARED)}

    def file(name: str):
        response = Response(content[name], media_type=KINDS[name.rsplit(".", 1)[1]])

        async def endpoint(_):
            return response

        return endpoint

    routes = [Route("/", file(page[0])), *(Route(f"/{name}", file(name)) for name in (*page[1:], *SHARED))]
    return guarded(Starlette(routes=[*routes, WebSocketRoute("/live", attend)]), token)


async def serve(app, listener: Listener, work) -> None:
    """Serves until `work`, an async function, returns."""
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # the token is in the address
            lifespan="off",
            server_header=False,
            loop="asyncio",
            http="h11",
            ws="websockets-sansio",
            ws_max_size=LONGEST,
            ws_per_message_deflate=False,
            limit_concurrency=MOST_CONNECTIONS,
            ws_ping_interval=5.0,
            ws_ping_timeout=10.0,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener.socket]))
    working = asyncio.create_task(work())
    try:
        await asyncio.wait([serving, working], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        working.cancel()
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await serving


class _Server(uvicorn.Server):
    """Leaves signals to those who started it."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield
