"""Who may come in: names, origins and tokens, asked of the application itself; and what an address cannot reach."""

import asyncio
import http.client
import socket
import threading

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from rtrl_jax.page.guard import host_is_ours, origin_is_ours, token_fits
from rtrl_jax.page.listener import Listener
from rtrl_jax.page.server import PLAY_PAGE, RUN_PAGE, application, serve


async def attend(viewer):
    await viewer.accept()
    await viewer.send_text("welcome")
    await viewer.close()


class Served:
    """A page served in a thread, and requests to it as they are on the wire."""

    def __init__(self, page, token):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.over = threading.Event()

        async def work():
            while not self.over.is_set():
                await asyncio.sleep(0.02)

        listener = Listener(self.listener, "127.0.0.1", token)
        self.thread = threading.Thread(
            target=lambda: asyncio.run(serve(application(page, token, attend), listener, work))
        )
        self.thread.start()

    def get(self, path, host=None, method="GET"):
        """(status, headers, text)."""
        connection = http.client.HTTPConnection(self.host, timeout=10)
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or self.host)
        connection.endheaders()
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read().decode()
        connection.close()
        return found

    def call(self, path="/live", host=None, origin=None):
        """Opens a connection as a browser would, says what comes, and closes it."""
        plain = socket.create_connection(self.listener.getsockname(), timeout=10)
        with plain, connect(f"ws://{host or self.host}{path}", sock=plain, origin=origin, proxy=None) as wire:
            return wire.recv()

    def close(self):
        self.over.set()
        self.thread.join(10)
        self.listener.close()


@pytest.fixture
def served():
    pages = []

    def begin(token=None, page=RUN_PAGE):
        pages.append(Served(page, token))
        return pages[-1]

    yield begin
    for page in pages:
        page.close()


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1:8000", True),
        ("localhost:9", True),
        ("LOCALHOST", True),
        ("[::1]:8000", True),
        ("evil.example:8000", False),
        ("127.0.0.1.evil.example", False),
        ("localhost:8000:evil.example", False),
        ("", False),
        (None, False),
    ],
)
def test_only_names_of_this_machine_are_answered_to(host, ours):
    assert host_is_ours(host, local_only=True) is ours


def test_elsewhere_the_token_decides_and_not_the_name():
    assert host_is_ours("laboratory.example:8000", local_only=False)
    assert not host_is_ours(None, local_only=False)


@pytest.mark.parametrize(
    ("origin", "ours"),
    [
        (None, True),
        ("http://localhost:8000", True),
        ("https://localhost:8000", True),
        ("http://localhost:8001", False),
        ("http://evil.example", False),
        ("null", False),
    ],
)
def test_a_connection_comes_from_a_page_of_ours(origin, ours):
    assert origin_is_ours(origin, "localhost:8000") is ours


@pytest.mark.parametrize(
    "query", [b"", b"token=", b"token=wrong", b"token=right&token=right", b"token=\xff", b"a=1&" * 50]
)
def test_a_wrong_token_does_not_fit(query):
    assert not token_fits(query, "right")
    assert token_fits(query, None)


def test_the_right_token_fits():
    assert token_fits(b"x=1&token=right", "right")


def test_strangers_see_neither_the_page_nor_the_run(served):
    free, closed = served(), served("secret")
    assert free.get("/")[0] == 200
    assert free.get("/", host="evil.example")[0] == 403
    assert closed.get("/")[0] == 403
    assert closed.get("/?token=wrong")[0] == 403
    assert closed.get("/?token=secret")[0] == 200
    for page, request in (
        (free, {"host": "evil.example"}),
        (free, {"origin": "http://evil.example"}),
        (closed, {}),
        (closed, {"path": "/live?token=wrong"}),
        (closed, {"path": "/live?token=secret", "origin": "http://evil.example"}),
    ):
        with pytest.raises(InvalidStatus, match="403"):
            page.call(**request)
    assert closed.call("/live?token=secret", origin=f"http://{closed.host}") == "welcome"
    assert free.call() == "welcome"


def test_no_address_reaches_another_file(served):
    page = served()
    for path in (
        "/../style.css",
        "/%2e%2e/style.css",
        "/..%2f..%2fsettings.py",
        "/static/style.css",
        "//etc/passwd",
        "/play.js",
        "/%00",
    ):
        assert page.get(path)[0] == 404, path


@pytest.mark.parametrize("page", [RUN_PAGE, PLAY_PAGE])
def test_every_file_of_a_page_is_there_and_guarded(served, page):
    visited = served(page=page)
    for name in ("", *page[1:]):
        status, headers, text = visited.get(f"/{name}")
        assert status == 200
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "http://" not in text.replace("http://www.w3.org", "")  # nothing from elsewhere
    assert visited.get("/", method="POST")[0] == 405
