"""A small stand-in for vLLM's and SGLang's OpenAI-compatible server, and files to be fetched."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], bytes]  # status, headers, body


def as_json(body: Any, status: int = 200, **headers: str) -> Answer:
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    return status, {"content-type": "application/json", **named}, json.dumps(body).encode()


@contextlib.contextmanager
def serving(answer: Callable[[str, dict[str, str], Any], Answer | None]) -> Iterator[str]:
    """A server on a free port; `answer(path, headers, body)`, None hangs up without a word."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            self.reply(json.loads(self.rfile.read(size) or b"null"))

        def do_GET(self) -> None:
            self.reply(None)

        def reply(self, body: Any) -> None:
            found = answer(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            if found is None:
                self.close_connection = True
                return
            status, headers, data = found
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "content-length" not in headers:
                self.send_header("content-length", str(len(data)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
