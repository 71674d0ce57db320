"""The page itself, made once and sent to every visitor.

Gradio copies and writes out the whole configuration for each request of the page, which holds the
server's one interpreter for tens of milliseconds, and sends it uncompressed; what comes out depends
on the address it was asked under and on nothing else, as long as nobody logs in.
"""

from __future__ import annotations

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import brotli
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEPT = 8  # pages: one an address, and each as its readers take it packed
ADDRESS = ("host", "x-forwarded-host", "x-forwarded-proto", "x-gradio-server")
ASKED = ("page", "deep_link")  # parameters of the query that Gradio makes another page of
PACKED: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("br", lambda body: bytes(brotli.compress(body, quality=6))),
    ("gzip", lambda body: gzip.compress(body, 6, mtime=0)),
)


@dataclass(slots=True)
class _Answer:
    """A response as it is sent."""

    start: Message
    body: bytes = b""

    async def send(self, send: Send) -> None:
        """Send it; whoever sends may add headers to a copy of their own."""
        await send({**self.start, "headers": list(self.start["headers"])})
        await send({"type": "http.response.body", "body": self.body})


class FrontPage:
    """Answers `GET /` from memory, where the same was answered before."""

    def __init__(self, app: ASGIApp) -> None:
        """Before the application that makes the page."""
        self.app = app
        self._kept: OrderedDict[tuple[object, ...], _Answer] = OrderedDict()
        self._making = asyncio.Lock()  # of many who come at once, one has it made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the page, or pass anything else on."""
        if scope["type"] != "http" or (key := _key(scope)) is None:
            await self.app(scope, receive, send)
            return
        answer = self._kept.get(key)
        if answer is None:
            async with self._making:
                answer = self._kept.get(key) or await self._make(scope, receive, str(key[-1]))
        if answer.start["status"] == 200:
            self._kept[key] = answer
            self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        await answer.send(send)

    async def _make(self, scope: Scope, receive: Receive, packed: str) -> _Answer:
        answer = _Answer({"status": 500, "headers": []})

        async def take(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.start = message
            elif message["type"] == "http.response.body":
                answer.body += message.get("body", b"")

        await self.app(scope, receive, take)
        headers = MutableHeaders(scope=answer.start)
        if packed and "content-encoding" not in headers:
            answer.body = await asyncio.to_thread(dict(PACKED)[packed], answer.body)
            headers["Content-Encoding"] = packed
            headers["Content-Length"] = str(len(answer.body))
        headers.add_vary_header("Accept-Encoding")
        return answer


def _key(scope: Scope) -> tuple[object, ...] | None:
    """What the page depends on, how it may be packed last; None for anything but the page."""
    headers = Headers(scope=scope)
    plain = scope["method"] == "GET" and str(scope["path"]).removeprefix(scope["root_path"]) == "/"
    if not plain or "origin" in headers:  # which is answered in headers of its own
        return None
    if any(name in QueryParams(scope["query_string"]) for name in ASKED):
        return None
    takes = headers.get("accept-encoding", "")
    packed = next((name for name, _ in PACKED if name in takes), "")
    address = (headers.get(name) for name in ADDRESS)
    return (scope["scheme"], scope["root_path"], scope["path"], *address, packed)
