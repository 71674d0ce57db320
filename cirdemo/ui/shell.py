"""The outer shell: who may ask for what, how much may be sent, and what is said when it breaks.

It stands before everything that Gradio serves, so that a refused request is not read and gets no
header that another page could use. What is not on the list of open routes does not exist.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import itertools
import logging
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cirdemo import incident
from cirdemo.intake import check_picture
from cirdemo.types import BadInput, CirError
from cirdemo.ui.front import FrontPage
from cirdemo.ui.janitor import Janitor, uploads
from cirdemo.ui.sessions import Shared
from cirdemo.ui.wiring import LEFT, OTHER_KIND

log = logging.getLogger(__name__)

JSON_BYTES = 2_000_000  # of a request's body, and of any that does not say its length
HEADER_BYTES = 16_000  # of all headers; browsers and proxies send a tenth of it
FORM_BYTES = 64_000_000  # of an upload, all its files together
FILE_BYTES = 20_000_000  # of one uploaded file
QUEUED = 64  # events that wait; more than the visitors that two cores can serve in a minute
SESSIONS = 200  # whose state is kept; Gradio's own default is 10,000
API = "/gradio_api"

# What the page and the clients use. Anything else that Gradio has, or will have, is closed:
# proxies, monitoring, server functions of components, run history, recordings, streams.
_PAGE = "/ /config /theme.css /robots.txt /favicon.ico /manifest.json"
_CALLS = "info openapi.json theme.css startup-events app_id upload upload_progress cancel reset"
OPEN = frozenset([*_PAGE.split(), *(f"{API}/{name}" for name in _CALLS.split())])
_BELOW = "queue/ call/ run/ heartbeat/ mcp/ file=/"
OPEN_BELOW = (
    *("/assets/", "/static/", "/svelte/", "/thumbnails/", "/pwa_icon"),
    *(f"{API}/{name}" for name in _BELOW.split()),
)
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:|/", re.IGNORECASE)  # after `file=/`: a link, no path
THUMBNAIL = re.compile(r"[a-zA-Z0-9][\w-]*\.(jpg|webp)")
KINDS = {".jpg": "image/jpeg", ".webp": "image/webp"}

FOLDERS = re.compile(r"(?<![\w.:/])(?:/[^\s/'\",;]+)+/(?=[^\s/'\"])")  # before a file's own name

# Scripts and styles are written into Gradio's page; nothing may come from, or go to, elsewhere.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:{space}; object-src 'none'; "
    "base-uri 'self'; form-action 'self'"
)


class Guard:
    """Refuses foreign hosts, foreign pages, closed routes and large bodies; names its errors."""

    def __init__(
        self,
        app: ASGIApp,
        bound: str = "",
        more: Sequence[str] = (),
        janitor: Janitor | None = None,
    ) -> None:
        """Before an application.

        A page on another site can make its own name point to this machine (DNS rebinding) and
        would then count as this app's page. It cannot do that with an address in figures, so
        those are always answered.

        Args:
            app: What answers.
            bound: The name that the server listens on.
            more: Names that it is also known by; "*.example.org" stands for all below that,
                "*" for any.
            janitor: Says whether the disk has room for an upload; None: it always has.
        """
        space = "SPACE_ID" in os.environ
        self.app, self.janitor = app, janitor
        self.more = tuple(name.lower() for name in more)
        self.hosts = ("localhost", bound.lower(), *(("*.hf.space",) if space else ()), *self.more)
        self.policy = POLICY.format(space=" https://huggingface.co" if space else "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it before its body is read."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return  # nothing here speaks another protocol
        started = False

        async def send_safely(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
                if headers.get("content-type", "").startswith("text/html"):
                    headers["Content-Security-Policy"] = self.policy
            await send(message)

        headers = Headers(scope=scope)
        form = headers.get("content-type", "").startswith("multipart/")
        sized = headers.get("content-length", "").isdigit()
        limit = FORM_BYTES if form and sized else JSON_BYTES
        no = self.refusal(scope, headers, limit)
        size = int(headers["content-length"]) if sized else limit
        if no is None and form and self.janitor is not None and not self.janitor.has_room(size):
            no = 507, "This machine has no room for uploads now. Try again later."
        if no is not None:
            await PlainTextResponse(no[1], no[0])(scope, receive, send_safely)
            return
        try:
            await RequestBodyLimitMiddleware(self.app, limit)(scope, receive, send_safely)
        except Exception:
            if started:
                raise
            await PlainTextResponse(unexpected(), 500)(scope, receive, send_safely)

    def refusal(self, scope: Scope, headers: Headers, limit: int) -> tuple[int, str] | None:
        """Status and sentence for a request that is not passed on, or None."""
        if sum(len(name) + len(value) for name, value in headers.raw) > HEADER_BYTES:
            return 431, "The headers of that request are too long."
        host = name_of(headers.get("host", ""))
        if not self._is_own(host):
            return 400, "This app does not answer under that name. Its owner sets CIRDEMO_HOSTS."
        site, method = headers.get("sec-fetch-site"), scope["method"]
        foreign = site == "cross-site" and method not in ("GET", "HEAD")
        origin = headers.get("origin")
        if foreign or (origin is not None and not self._is_same(origin, headers)):
            return 403, "Another site's page may not use this app. Open the app itself."
        if not is_open(route_of(scope)):
            return 404, "There is nothing here."
        if int("0" + re.sub(r"\D", "", headers.get("content-length", ""))) > limit:
            return 413, f"That is too much at once: at most {limit / 1e6:.0f} MB can be sent."
        return None

    def _is_own(self, host: str) -> bool:
        with contextlib.suppress(ValueError):
            return bool(ipaddress.ip_address(host))
        if any(n in ("*", host) for n in self.hosts) and host:
            return True
        return any(n.startswith("*.") and host.endswith(n[1:]) for n in self.hosts)

    def _is_same(self, origin: str, headers: Headers) -> bool:
        """Whether a page's origin is this app, as the browser or a proxy before it names it."""
        there = origin.partition("://")[2].lower()
        for name in ("host", "x-forwarded-host"):  # no page can set the second by itself
            here = headers.get(name, "").lower()
            if here and (there == here or (name_of(here) == here and name_of(there) == here)):
                return True
        return name_of(there) in self.more


def name_of(netloc: str) -> str:
    """The host of `host:port`, without the brackets of an IPv6 address."""
    netloc = netloc.lower()
    if netloc.startswith("["):
        return netloc[1:].partition("]")[0]
    return netloc.partition(":")[0]


def route_of(scope: Scope) -> str:
    """The path below the app's own root, which a proxy may or may not have taken away."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return path[len(root) :] or "/" if root and f"{path}/".startswith(root + "/") else path


def is_open(path: str) -> bool:
    """Whether a route is one that the page or a client uses."""
    if path in OPEN or path.rstrip("/") in OPEN or path == f"{API}/mcp":
        return True
    if not path.startswith(OPEN_BELOW):
        return False
    file = path.removeprefix(f"{API}/file=/")
    return file == path or ADDRESS.match(file) is None


def unexpected() -> str:
    """Log the exception under way with a number, and the sentence that tells the number alone."""
    return (
        f"This program made an error (incident {incident.number(log)}); what you did is not lost. "
        "Try again; if it happens again, report the number: the log has the details."
    )


def check_files(inputs: Sequence[Any], components: Sequence[Any] = ()) -> None:
    """Let files in that were uploaded here, and pictures that may be decoded.

    Gradio checks the path of a file only where the value says that it is one, and its picture
    component decodes whatever stands there.

    Raises:
        BadInput: A value names another file or an address, or the picture is refused.
    """
    for number, value in enumerate(inputs):
        component = components[number] if number < len(components) else None
        if isinstance(component, gr.Image) and isinstance(value, str):
            raise BadInput(OTHER_KIND)
        one = isinstance(component, gr.Dropdown) and not component.multiselect
        if one and isinstance(value, list):  # Gradio takes a list of choices all the same
            raise BadInput(OTHER_KIND)
        for path in named_files(value):
            file = Path(path)
            if not file.is_absolute() or not file.resolve().is_relative_to(uploads().resolve()):
                raise BadInput("A file must be uploaded to this app first; nothing else is opened.")
            if isinstance(component, gr.Image):
                check_picture(file)


def named_files(value: Any) -> Iterator[str]:
    """The paths that a value from outside names as files, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "path" and inner is not None:
                yield str(inner)
            else:
                yield from named_files(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from named_files(inner)


def _check_click(event: Any) -> None:
    """What a click tells is names and plain values; anything else comes from no page.

    Raises:
        gr.Error: It is something else.
    """
    told = getattr(event, "_data", None)
    plain = (str, int, float, bool, type(None))
    if told and not (isinstance(told, dict) and all(isinstance(v, plain) for v in told.values())):
        raise gr.Error(OTHER_KIND, print_exception=False)


class Page(gr.Blocks):
    """Gradio's page inside the shell, however it is launched."""

    hosts: tuple[str, ...] = ()
    public = False  # whether strangers read what is said: then no folder of this machine is named
    janitor: Janitor | None = None
    thumbnail: Callable[[str, str], Path | None] = staticmethod(lambda gallery, name: None)

    def queue(self, *args: Any, **given: Any) -> Any:
        """The queue has an end and no way round it."""
        return super().queue(*args, **{"api_open": False, "max_size": QUEUED, **given})

    def launch(self, *args: Any, **given: Any) -> Any:
        """Launch with every limit set."""
        bound = str(given.get("server_name") or "")
        names: dict[str, Any] = {"bound": bound, "more": self.hosts, "janitor": self.janitor}

        @contextlib.asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[None]:
            # the first of all: Gradio's own would answer before it and let other pages read
            own = [Middleware(Guard, **names)]
            if app.auth is None and app.auth_dependency is None:
                own.append(Middleware(FrontPage))  # else every visitor has a page of their own
            app.user_middleware[:0] = own
            app.middleware_stack = app.build_middleware_stack()
            with self.janitor or contextlib.nullcontext():
                yield

        self.default_config = Shared(self.default_config)
        route = Route("/thumbnails/{gallery}/{name}", self._send_thumbnail)
        fixed = {
            "app_kwargs": {"lifespan": lifespan, "routes": [route]},
            "max_file_size": FILE_BYTES,
            "show_error": False,
            "enable_monitoring": False,
            "run_history": False,
            "share": False,
            "ssr_mode": False,
            "strict_cors": True,
            "allowed_paths": [],
            "state_session_capacity": SESSIONS,
        }
        return super().launch(*args, **{**given, **fixed})

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], *args: Any, **given: Any
    ) -> Any:
        """Look at what was sent before any component does."""
        try:
            check_files(inputs, block_fn.inputs)
            return await super().preprocess_data(block_fn, inputs, *args, **given)
        except (gr.Error, CirError):
            raise
        except Exception as error:  # components raise nearly anything on values of other kinds
            log.info("a value of another kind: %s", type(error).__name__)
            raise gr.Error(OTHER_KIND, print_exception=False) from error

    async def process_api(self, *args: Any, **given: Any) -> Any:
        """Run a handler; an error that it did not expect is told by a number."""
        LEFT.set(functools.partial(self._has_left, given.get("event_id")))
        event = given.get("event_data")
        clicked = getattr(args[0] if args else given.get("block_fn"), "collects_event_data", False)
        if clicked:
            _check_click(event)
        try:
            return await super().process_api(*args, **given)
        except gr.Error as error:
            error.message = self._told(str(error.message))
            raise
        except CirError as error:
            raise gr.Error(self._told(str(error)), print_exception=False) from error
        except Exception as error:
            if clicked and not getattr(event, "_data", None):  # a click on nothing: from no page
                log.info("an event without its data", exc_info=error)
                raise gr.Error(OTHER_KIND, print_exception=False) from error
            raise gr.Error(unexpected(), print_exception=False) from error

    def _has_left(self, event_id: str | None) -> bool:
        events = itertools.chain.from_iterable(filter(None, list(self._queue.active_jobs)))
        return any(e._id == event_id and not e.alive for e in events)

    def _told(self, message: str) -> str:
        return FOLDERS.sub("", message) if self.public else message

    async def _send_thumbnail(self, request: Request) -> Response:
        """A small copy that this program has written; nothing else is sent from a gallery."""
        gallery, name = (request.path_params[key] for key in ("gallery", "name"))
        file = self.thumbnail(gallery, name) if THUMBNAIL.fullmatch(name) else None
        if file is None:
            return PlainTextResponse("There is no such picture.", 404)
        cached = {"Cache-Control": "private, max-age=3600"}
        return FileResponse(file, media_type=KINDS[file.suffix], headers=cached)
