"""Requirements 16, 19 and 20: bodies are bounded, addresses are refused, the queue has no way
round it."""

import http.client
import io
import json
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from PIL import Image

from tests.safety.conftest import rss, until

MB = 1_000_000


def send(served, path, body, headers):
    """A request whose body is made while it is sent; the status of the answer."""
    split = urlsplit(served.url)
    connection = http.client.HTTPConnection(split.hostname, split.port, timeout=300)
    try:
        connection.request("POST", path, body=body, headers=headers)
        return connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError):  # the server answered and hung up
        return connection.getresponse().status
    finally:
        connection.close()


def blocks(count, head=b"", tail=b""):
    yield head
    for _ in range(count):
        yield b"x" * MB
    yield tail


FIELD = b'--b\r\nContent-Disposition: form-data; name="files"\r\n\r\n'
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    ("path", "headers", "size"),
    [
        ("/gradio_api/upload", {**FORM, "Content-Length": str(68 * MB)}, 68),
        ("/gradio_api/upload", FORM, 20),  # in pieces, no length said
        ("/gradio_api/queue/join", {"Content-Length": str(100 * MB)}, 100),
        ("/gradio_api/queue/join", {"Content-Type": "application/json"}, 20),
        ("/gradio_api/run/search", {"Content-Length": str(3 * MB)}, 3),
        ("/gradio_api/call/search", {"Content-Length": str(3 * MB)}, 3),
        ("/gradio_api/mcp/", {"Content-Length": str(3 * MB)}, 3),
        ("/gradio_api/cancel", {"Content-Length": "9" * 40}, 3),
    ],
)
def test_a_large_body_is_refused_and_not_kept(served, path, headers, size):
    before = rss()
    assert send(served, path, blocks(size, FIELD), headers) in (400, 413)
    assert rss() - before < 20


def test_a_file_and_many_files_are_bounded(served):
    before = served.files()
    big = {"files": ("a.png", io.BytesIO(b"x" * 21 * MB))}
    assert served.ask("POST", "/gradio_api/upload", files=big).status_code == 413
    many = [("files", (f"{n}.png", io.BytesIO(b"x" * MB))) for n in range(65)]
    assert served.ask("POST", "/gradio_api/upload", files=many).status_code == 413
    assert served.files() == before
    few = [("files", (f"{n}.png", io.BytesIO(b"x" * MB))) for n in range(3)]
    assert served.ask("POST", "/gradio_api/upload", files=few).status_code == 200


def test_long_headers_are_refused(served):
    answer = served.ask("GET", "/config", headers={"X-Long": "x" * 100_000})
    assert answer.status_code in (400, 431)


@pytest.mark.parametrize(
    "told",
    [
        {"path": "http://127.0.0.1:9/a.png"},
        {"path": "https://example.org/a.png"},
        {"path": "/etc/passwd"},
        {"path": "x", "url": "http://127.0.0.1:9/a.png"},
        {"path": "file:///etc/passwd"},
    ],
)
def test_req_19_an_address_in_place_of_a_file_is_refused(served, told, monkeypatch):
    """No connection is made: the resolver and the socket are watched while it is tried."""
    import socket

    reached = []
    real = socket.socket.connect

    def watched(self, address):
        if isinstance(address, tuple) and address[1] in (9, 80, 443):
            reached.append(address)
        return real(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)
    monkeypatch.setattr(socket.socket, "connect_ex", watched)
    before = served.files()
    told = {**told, "meta": {"_type": "gradio.FileData"}, "orig_name": "a.png"}
    data = ["hugging", "", told, "fables", "union", 0, "union", False, False, 3]
    answer = served.call(served.fn("search"), data)
    assert answer.get("success") is False or answer.get("status", 200) >= 400, answer
    assert reached == [] and served.files() == before


def test_req_20_the_queue_cannot_be_skipped(served):
    index = served.fn("search")
    data = ["hugging", "f000", None, "fables", "union", 0, "union", False, False, 3]
    for route in ("run", "api"):
        for name in ("search", "predict", "x"):
            body = {"data": data, "fn_index": index}
            answer = served.ask("POST", f"/gradio_api/{route}/{name}", json=body)
            assert answer.status_code in (404, 422, 500), (route, name, answer.status_code)
            assert "reranked" not in answer.text


def test_req_20_the_model_is_never_busier_than_its_limit(served, monkeypatch):
    """A burst over every way in; the stand-in for the model counts who is inside."""
    inside, most, done, lock = 0, 0, 0, threading.Lock()
    real = served.engine.search

    def counted(*args, **named):
        nonlocal inside, most, done
        with lock:
            inside += 1
            most = max(most, inside)
        try:
            time.sleep(0.02)
            yield from real(*args, **named)
        finally:
            with lock:
                inside -= 1
                done += 1

    monkeypatch.setattr(served.engine, "search", counted)
    data = ["hugging", "f000", None, "fables", "union", 0, "union", False, False, 3]

    def one(n):
        body = {"data": data, "fn_index": served.fn("search"), "session_hash": uuid.uuid4().hex}
        if n % 3 == 0:
            return served.ask("POST", "/gradio_api/run/search", json=body).status_code
        if n % 3 == 1:
            return served.ask("POST", "/gradio_api/call/search", json={"data": data}).status_code
        return served.ask("POST", "/gradio_api/queue/join", json=body).status_code

    with ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(one, range(60)))
    until(lambda: done >= codes.count(200))
    assert 200 in codes and 404 in codes and done == codes.count(200)
    assert 1 <= most <= 2


def test_a_picture_that_is_none_leaves_a_sentence(served, tmp_path):
    broken = {"files": ("a.png", io.BytesIO(b"\x89PNG\r\n\x1a\n broken"))}
    path = served.ask("POST", "/gradio_api/upload", files=broken).json()[0]
    told = {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "a.png"}
    data = ["hugging", "", told, "fables", "union", 0, "union", False, False, 3]
    answer = served.call(served.fn("search"), data)
    assert answer["success"] is False and answer["output"]["error"]
    good = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(good, "PNG")
    path = served.ask("POST", "/gradio_api/upload", files={"files": ("a.png", good.getvalue())})
    data[2] = {**told, "path": path.json()[0]}
    answer = served.call(served.fn("search"), data)
    assert answer["success"] is True, json.dumps(answer)[:300]
