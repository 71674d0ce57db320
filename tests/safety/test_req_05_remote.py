"""Requirements 5, 25 and 36: a server of models is asked at one address, for a bounded time, and
what it says is a probability or nothing.

tests/test_remote.py has tries, pauses, refusals and the coarse order that stays.
"""

import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from cirdemo.config import Settings
from cirdemo.models import server as servers
from cirdemo.models.remote import RemoteModel
from cirdemo.models.server import Unanswered
from cirdemo.profiles import ModelSettings
from cirdemo.rerank import RemoteJudge
from cirdemo.types import CirError
from tests.fakes import fake_engine
from tests.fixtures_server import as_json, serving

CANARY = "canary-of-the-server /srv/models/secret"
PICTURES = [Image.new("RGB", (16, 16), (v, v, v)) for v in (10, 200)]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(servers, "PAUSE", 0.01)


def model_at(address, **given):
    return RemoteModel(ModelSettings(remote=address, remote_model="m", **given))


def verdicts(model):
    return list(model.margins([PICTURES[0], "is it so?"], PICTURES))


def told(logprobs, content="Yes"):
    message = {"role": "assistant", "content": content}
    return as_json({"choices": [{"message": message, "logprobs": logprobs}]})


def first(*pairs):
    return {"content": [{"top_logprobs": [{"token": t, "logprob": p} for t, p in pairs]}]}


def test_req_05_no_redirect_no_proxy_no_picture_elsewhere(monkeypatch):
    reached, bodies = [], []

    def elsewhere(path, headers, body):
        reached.append(path)
        return as_json({})

    with serving(elsewhere) as canary:

        def server(path, headers, body):
            bodies.append(json.dumps(body))
            location = {"Location": f"{canary}/stolen", "content-type": "text/html"}
            return 302, location, f"<img src='{canary}/x.png'>".encode()

        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, canary)
        with serving(server) as address:
            found = verdicts(model_at(address, remote_tries=1, remote_parallel=4))
    assert all(isinstance(v, Unanswered) for v in found) and reached == []
    assert bodies and all("data:image/jpeg;base64," in body for body in bodies)
    assert all("http://" not in body and "https://" not in body for body in bodies)


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
def test_req_05_strangers_read_nothing_of_a_server(status, caplog):
    with serving(lambda *_: as_json({"error": {"message": CANARY}}, status)) as address:
        settings = Settings(remote=address, remote_model="m", remote_tries=1, public=True)
        with pytest.raises(CirError) as caught:
            RemoteModel(settings).caption(PICTURES[:1])
        said = str(caught.value)
        assert CANARY not in said and address.rpartition("/")[2] not in said
        assert CANARY in caplog.text


MALFORMED = [
    None,
    [],
    {},
    "Yes",
    0.9,
    {"content": None},
    {"content": []},
    {"content": [None]},
    {"content": [{"top_logprobs": None}]},
    {"content": [{"top_logprobs": []}]},
    {"content": [{"top_logprobs": [{"token": "Yes"}]}]},
    {"content": [{"top_logprobs": [{"logprob": -1}]}]},
    first(("Yes", None)),
    first(("Yes", "high")),
    first(("Yes", float("nan"))),
    first(("Yes", float("inf")), ("No", -1.0)),
    first(("Yes", float("-inf")), ("No", float("-inf"))),
    first(("Maybe", -0.1), ("Perhaps", -3.0)),
    first(("yesterday", -0.1), ("north", -3.0)),
]


@pytest.mark.parametrize("logprobs", MALFORMED, ids=str)
def test_req_36_no_score_is_made_of_a_malformed_answer(logprobs):
    with serving(lambda *_: told(logprobs)) as address:
        try:
            found = verdicts(model_at(address, remote_tries=1, remote_parallel=4))
        except CirError as fault:
            assert str(fault).endswith(".")
            return
    assert all(isinstance(v, Unanswered) for v in found), found


RAW = [
    b"",
    b"{",
    b"[1, 2]",
    b"null",
    b"<html>busy</html>",
    b'{"choices": []}',
    b'{"choices": null}',
    b'{"choices": [{}]}',
    b'{"error": "x"}',
    b"\xff\xfe\x00",
    b'{"choices": [' * 5000,
]


@pytest.mark.parametrize("body", RAW, ids=lambda b: str(b[:20]))
def test_req_36_no_score_is_made_of_other_bytes(body):
    head = {"content-type": "application/json"}
    with serving(lambda *_: (200, head, body)) as address:
        try:
            found = verdicts(model_at(address, remote_tries=1, remote_parallel=4))
        except CirError as fault:
            assert str(fault)
            return
    assert all(isinstance(v, Unanswered) for v in found)


def trickle(stop, piece):
    """A server that is always about to say something, in small or in large pieces; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)

    def serve():
        with listener, ThreadPoolExecutor(8) as pool:
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                pool.submit(drip, connection)

    def drip(connection):
        with connection:
            connection.recv(1 << 20)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
            while not stop.is_set():
                try:
                    connection.send(b" " * piece)
                except OSError:
                    return
                time.sleep(0.02 if piece == 1 else 0)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("piece", [1, 1 << 16])
def test_req_25_an_answer_that_trickles_or_never_ends_is_given_up(piece):
    """The server goes on until it is stopped."""
    stop = threading.Event()
    model = model_at(trickle(stop, piece), remote_tries=1, remote_timeout=1.0, remote_parallel=4)
    late = threading.Timer(LATE, stop.set)  # so that a broken test ends
    late.start()
    try:
        found = verdicts(model)
        assert all(isinstance(v, Unanswered) for v in found) and not stop.is_set()
    finally:
        late.cancel()
        stop.set()


OVER = threading.Event()  # a test that has a server hang
LATE = 120.0  # seconds; a hundred times what the waits below may take


def hang(path, headers, body):
    OVER.wait(2 * LATE)


FAULTS = {
    "refuses the connection": None,
    "hangs up": lambda *_: None,
    "hangs": hang,
    "has no place": lambda *_: as_json({}, 503, retry_after="600"),
    "is asked too often": lambda *_: as_json({}, 429, retry_after="600"),
    "breaks": lambda *_: as_json({}, 500),
    "sends half": lambda *_: (200, {"content-length": "900"}, b'{"choices": ['),
    "sends ten megabytes": lambda *_: (200, {}, b" " * 10_000_000),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_req_25_whatever_the_server_does_the_wait_is_bounded(fault):
    """One question: 1.5 seconds with all its tries, and the pauses that the server asks for."""
    OVER.clear()
    with contextlib.ExitStack() as stack:
        stack.callback(OVER.set)
        address = "http://127.0.0.1:9"  # nobody listens there
        if FAULTS[fault] is not None:
            address = stack.enter_context(serving(FAULTS[fault]))
        wait = LATE if fault == "sends ten megabytes" else 1.5
        model = model_at(address, remote_tries=4, remote_timeout=wait, remote_parallel=2)
        began = time.monotonic()
        found = verdicts(model)
        assert time.monotonic() - began < LATE  # the server asks for ten minutes, or never answers
    assert len(found) == 2 and all(isinstance(v, Unanswered) for v in found)
    if fault == "sends ten megabytes":
        assert "longer than 2 MB" in str(found[0])


def test_req_25_a_dead_server_rests_and_is_asked_again(monkeypatch):
    monkeypatch.setattr(servers, "REST", 600.0)
    asked, alive = [], []

    def server(path, headers, body):
        asked.append(path)
        return told(first(("Yes", -0.1), ("No", -3.0))) if alive else None

    with serving(server) as address:
        model = model_at(address, remote_tries=1, remote_parallel=1)
        for _ in range(20):
            with pytest.raises(Unanswered):
                model.server.ask("chat/completions", {})
        assert len(asked) == servers.DEAD  # the others were not asked
        alive.append(True)
        with pytest.raises(Unanswered, match="nobody answered 5 times"):
            model.server.ask("chat/completions", {})
        model.server._asked_from = 0.0  # the rest is over
        assert verdicts(model) == [pytest.approx(2.9)] * 2
        alive.clear()
        with pytest.raises(Unanswered):  # one failure after an answer is no reason to rest
            model.server.ask("chat/completions", {})
        alive.append(True)
        assert verdicts(model) == [pytest.approx(2.9)] * 2


def test_req_25_the_coarse_list_stands_whatever_the_judge_does():
    """The search of a fake engine with a remote judge that is not there."""
    engine = fake_engine(judge=RemoteJudge(model_at("http://127.0.0.1:9", remote_tries=1)))
    ids = engine.gallery("fables").ids
    query = engine.make_query(text="make it red", reference_id=ids[0])
    stages = list(engine.search(query, rerank=5, reason=False))
    coarse = next(s for s in stages if s.stage == "coarse")
    assert coarse.coarse["intersection"].ids  # shown before any waiting
    assert not any("judge" in notice for notice in coarse.notices)
    last = stages[-1]
    assert not last.reranked and last.coarse == coarse.coarse
    assert any("The intersection list stands" in notice for notice in last.notices)
