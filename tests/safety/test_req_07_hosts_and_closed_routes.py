"""Requirements 7 and 8: only own hosts, only own pages, only the routes that the page uses."""

import io
import re
from pathlib import Path

import gradio.routes
import pytest
from gradio_client import Client
from starlette.testclient import TestClient

from cirdemo.ui.shell import Guard, is_open

HOSTS = ("127.0.0.1", "localhost", "[::1]", "192.168.1.20")
EVIL = ("https://evil.example", "null", "http://127.0.0.1.evil.example", "http://localhost:1")
USED = """
/config /theme.css /robots.txt /favicon.ico /manifest.json /info /openapi.json /startup-events
/app_id /upload /upload_progress /cancel /reset /svelte/{path:path} /static/{path:path}
/assets/{path:path} /pwa_icon /pwa_icon/{size} /queue/join /queue/data /queue/status
/call/{api_name} /call/{api_name}/{event_id} /call/v2/{api_name} /call/v2/{api_name}/{event_id}
/run/{api_name} /heartbeat/{session_hash}
"""
ROUTES = ("/", "/config", "/gradio_api/queue/join", "/gradio_api/upload", "/gradio_api/info")


@pytest.mark.parametrize("route", ROUTES)
def test_a_name_that_is_not_ours_is_refused(served, route):
    port = served.url.rpartition(":")[2]
    for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", ""):
        answer = served.ask("GET", route, headers={"Host": host, "Origin": "https://evil.example"})
        assert answer.status_code == 400, host
        assert "access-control-allow-origin" not in answer.headers
    for host in HOSTS:
        answer = served.ask("GET", route, headers={"Host": f"{host}:{port}"})
        assert answer.status_code in (200, 405), host


@pytest.mark.parametrize("origin", EVIL)
def test_another_sites_page_may_neither_read_nor_write(served, origin):
    for host in (*HOSTS, "evil.example"):
        for method in ("GET", "POST", "OPTIONS"):
            for route in ROUTES:
                asked = {"Access-Control-Request-Method": "POST"}
                headers = {"Host": f"{host}:7860", "Origin": origin, **asked}
                answer = served.ask(method, route, headers=headers)
                assert answer.status_code in (400, 403), (method, host, route)
                assert "access-control-allow-origin" not in answer.headers


def test_req_08_a_foreign_upload_is_refused_unread(served):
    before = served.files()
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        files = {"files": ("a.png", io.BytesIO(b"x" * 1000))}
        answer = served.ask("POST", "/gradio_api/upload", headers=headers, files=files)
        assert answer.status_code == 403
    assert served.files() == before
    own = {"Origin": served.url, "Sec-Fetch-Site": "same-origin"}
    files = {"files": ("a.txt", io.BytesIO(b"x"))}
    assert served.ask("POST", "/gradio_api/upload", headers=own, files=files).status_code == 200
    # a link from elsewhere opens the page
    assert served.ask("GET", "/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


CLOSED = [
    "/gradio_api/file=http://127.0.0.1/",
    "/gradio_api/file=HTTP://example.org/x",
    "/gradio_api/file=/http://example.org/x",
    "/gradio_api/file=//http://example.org/x",
    "/gradio_api/file=%68ttp://example.org/x",
    "/gradio_api/file=ftp://example.org/x",
    "/gradio_api/file=relative.txt",
    "/gradio_api/file/http://example.org/x",
    "//gradio_api/file=http://example.org/x",
    "/gradio_api/proxy=http://example.org/x",
    "/proxy=http://example.org/x",
    "/monitoring",
    "/monitoring/",
    "/monitoring/summary",
    "/monitoring/x",
    "/gradio_api/runs",
    "/gradio_api/run-history/records",
    "/gradio_api/deep_link",
    "/gradio_api/dev/reload",
    "/gradio_api/component_server",
    "/gradio_api/process_recording",
    "/gradio_api/vibe-code/",
    "/gradio_api/profiling/summary",
    "/gradio_api/stream/x/1/1/playlist.m3u8",
    "/gradio_api/custom_component/1/client/component/x.js",
    "/gradio_api/api/search",
    "/login",
    "/docs",
    "/openapi.json",
    "/redoc",
    "/nothing",
]


@pytest.mark.parametrize("route", CLOSED)
def test_what_the_page_does_not_use_does_not_exist(served, route):
    for method in ("GET", "POST", "HEAD"):
        answer = served.ask(method, route)
        assert answer.status_code in (403, 404), (method, answer.status_code)


def test_every_route_of_gradio_was_decided():
    """A route that a new version adds is closed, or turns up here and is looked at."""
    source = Path(gradio.routes.__file__).read_text(encoding="utf-8")
    found = re.findall(r"@(app|router)\.\w+\(\s*f?[\"'](/[^\"']*)", source)
    paths = {("/gradio_api" if kind == "router" else "") + path for kind, path in found}
    opened = {p.rstrip("/").removeprefix("/gradio_api") for p in paths if is_open(p)}
    assert len(paths) > 60
    assert opened == {"", *USED.split()}


def test_answers_say_that_their_kind_is_meant(served):
    for route in ("/", "/config", "/nothing", "/gradio_api/info", "/theme.css"):
        assert served.ask("GET", route).headers["x-content-type-options"] == "nosniff"
    policy = served.ask("GET", "/").headers["content-security-policy"]
    assert "default-src 'self'" in policy and "http:" not in policy and "*" not in policy


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"in"})


def status(guard, path="/config", **headers):
    client = TestClient(guard, base_url="http://app")
    return client.get(path, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_behind_a_proxy_and_on_a_space(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    guard = Guard(app, more=("demo.example.org", "*.lab.example"))
    assert status(guard, host="demo.example.org").status_code == 200
    assert status(guard, host="x.lab.example:8080").status_code == 200
    assert status(guard, host="lab.example.evil.org").status_code == 400
    assert status(guard, host="me-cirdemo.hf.space").status_code == 400
    # a proxy that asks by address and says the name in another header
    proxied = {"host": "127.0.0.1:7860", "x_forwarded_host": "any.example.org"}
    assert status(guard, **proxied, origin="https://any.example.org").status_code == 200
    assert status(guard, **proxied, origin="https://evil.example.org").status_code == 403
    # a proxy that drops the port
    dropped = {"host": "demo.example.org", "origin": "https://demo.example.org:8443"}
    assert status(guard, **dropped).status_code == 200
    monkeypatch.setenv("SPACE_ID", "me/cirdemo")
    space = Guard(app)
    host = "me-cirdemo.hf.space"
    assert status(space, host=host, origin=f"https://{host}").status_code == 200
    assert status(space, host=host, origin="https://you-evil.hf.space").status_code == 403
    assert status(space, host="10.20.30.40:7860").status_code == 200  # a health check


def test_below_a_root_path():
    scope = {"type": "http", "path": "/demo/config", "root_path": "/demo"}
    from cirdemo.ui.shell import route_of

    assert route_of(scope) == "/config" and route_of({**scope, "path": "/config"}) == "/config"
    assert route_of({**scope, "path": "/demo"}) == "/"
    assert route_of({**scope, "path": "/demonic/config"}) == "/demonic/config"


def test_the_clients_still_work(served):
    client = Client(served.url, verbose=False)
    answer = client.predict("hugging", reference_id="f000", rerank=5, top=3, api_name="/search")
    assert len(answer["reranked"]) == 5
