"""The profile remote: a server's words and verdicts, tries and pauses, and what fails for good."""

# ruff: noqa: F811

import base64
import contextlib
import io
import itertools
import json
import math
import socket
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from cirdemo import prompts
from cirdemo.builder import build_engine
from cirdemo.config import Settings
from cirdemo.data import folder
from cirdemo.export import search_json
from cirdemo.models import remote, server
from cirdemo.models.remote import RemoteModel
from cirdemo.models.server import Refused, Unanswered
from cirdemo.profiles import ModelSettings
from cirdemo.rerank import RemoteJudge, reorder
from cirdemo.types import Candidate, CirError, Judgement, Query, Ranking
from cirdemo.ui.cards import Marks
from cirdemo.ui.search import judge_views
from cirdemo.ui.view import View
from tests.fixtures_hub import hub, hub_cache  # noqa: F401
from tests.fixtures_server import as_json, serving

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(server, "PAUSE", 0.01)


def shade(body):
    """The mean grey of the last picture of a chat request, 0 to 255."""
    pictures = [p for p in body["messages"][-1]["content"] if p["type"] == "image_url"]
    head, _, code = pictures[-1]["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    return float(np.asarray(Image.open(io.BytesIO(base64.b64decode(code))).convert("L")).mean())


def likely(**tokens):
    """A chat answer in vLLM's form with log-probabilities of tokens."""
    told = [{"token": t.replace("_", " "), "logprob": p} for t, p in tokens.items()]
    told.sort(key=lambda t: -t["logprob"])
    first = {"token": told[0]["token"], "logprob": told[0]["logprob"], "top_logprobs": told}
    message = {"role": "assistant", "content": told[0]["token"]}
    choice = {"index": 0, "message": message, "logprobs": {"content": [first]}}
    return as_json({"object": "chat.completion", "choices": [choice]})


def judging(path, headers, body):
    """Says Yes to bright pictures, and writes "a picture"."""
    if path == "/v1/models":
        return as_json({"object": "list", "data": [{"id": "org/some-model"}]})
    assert path == "/v1/chat/completions" and body["model"] == "org/some-model"
    assert body["temperature"] == 0
    if not body.get("logprobs"):
        message = {"role": "assistant", "content": "<|im_start|> assistant  a  picture\n"}
        return as_json({"choices": [{"message": message}]})
    assert body["max_tokens"] == 1 and body["top_logprobs"] == remote.LIKELIEST
    yes = shade(body) / 25.6  # 0 to 10
    return likely(Yes=yes - 11, _yes=-9.0, No=-yes - 1, Maybe=-30.0)


def model_at(address, **given):
    return RemoteModel(ModelSettings(remote=address, **given))


def greys(*values):
    return [Image.new("RGB", (40, 30), (v, v, v)) for v in values]


# --- what a server says -----------------------------------------------------------------------


def test_chat_writes_and_gives_the_margin_of_its_log_probabilities():
    with serving(judging) as address:
        model = model_at(address, remote_key="secret")
        assert model.caption(greys(3, 4)) == ["a picture"] * 2
        assert model.model == "org/some-model" and "secret" not in model.identity
        shades = (10, 128, 250)
        found = list(model.margins([greys(0)[0], "bright?"], greys(*shades)))
        for value, margin in zip(shades, found, strict=True):
            yes = value / 25.6
            wanted = np.logaddexp(yes - 11, -9.0) - (-yes - 1)
            assert margin == pytest.approx(wanted, abs=0.1)  # JPEG moves a grey by less than one
        assert model.ask(greys(0)[0], ["a", "b"], greys(128)[0]) == pytest.approx(
            [found[1]] * 2, abs=1e-6
        )


def test_one_word_that_is_missing_is_no_likelier_than_the_last_that_is_told():
    with serving(lambda *_: likely(Yes=-0.1, Sure=-3.0, Well=-5.0)) as address:
        (margin,) = model_at(address, remote_model="m").margins([], greys(1))
    assert margin == pytest.approx(-0.1 + 5.0)


def test_all_candidates_share_the_beginning_that_a_server_keeps():
    bodies = []

    def noted(path, headers, body):
        bodies.append(body)
        return likely(Yes=-0.1, No=-3.0)

    with serving(noted) as address:
        judge = RemoteJudge(model_at(address, remote_model="m"))
        query = Query(query_id="q", reference=greys(9)[0], modification="make it brighter")
        shown = [(f"p{n}", image) for n, image in enumerate(greys(*range(0, 240, 20)))]
        assert len(list(judge.judge(query, shown, "a brighter picture"))) == 12
    told = [json.dumps(body["messages"]) for body in bodies]
    *before, last = bodies[0]["messages"][0]["content"]
    kinds = [part["type"] for part in (*before, last)]
    assert kinds == ["image_url", "text", "image_url"]
    assert "make it brighter" in before[1]["text"] and "a brighter picture" in before[1]["text"]
    common = json.dumps([{"role": "user", "content": before}])[:-3]  # up to the candidate
    assert all(one.startswith(common) for one in told)
    assert len(set(told)) == 12
    rest = [{k: v for k, v in body.items() if k != "messages"} for body in bodies]
    assert all(one == rest[0] for one in rest)  # nothing else sets them apart


def test_no_more_are_asked_at_once_than_the_settings_say():
    lock, now, most, came = threading.Lock(), 0, 0, itertools.count()
    three = threading.Barrier(3)

    def counted(path, headers, body):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        if next(came) < 3:
            three.wait(120)  # the first three are here at once, however slow the machine is
        time.sleep(0.02)
        with lock:
            now -= 1
        return likely(Yes=-0.1, No=-3.0)

    with serving(counted) as address:
        model = model_at(address, remote_model="m", remote_parallel=3)
        assert len(list(model.margins([greys(0)[0], "bright?"], greys(*range(20))))) == 20
    assert most == 3


def test_a_server_that_is_full_is_asked_again_when_it_says(monkeypatch):
    monkeypatch.setattr(server, "PAUSE", 0.001)
    came = []

    def full(path, headers, body):
        came.append(time.monotonic())
        if len(came) < 3:
            return 429, {"Retry-After": "1"}, b"{}"
        return likely(Yes=-0.1, No=-3.0)

    with serving(full) as address:
        (margin,) = model_at(address, remote_model="m").margins([], greys(1))
    assert margin == pytest.approx(2.9) and len(came) == 3
    assert all(b - a >= 1 for a, b in itertools.pairwise(came))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda *_: likely(Sure=-0.1, Well=-5.0), "began with 'Sure'"),
        (lambda *_: as_json({"error": {"message": "too long."}}, 400), "status 400: too long"),
        (lambda *_: as_json([1]), "no JSON object; tried 2 times"),
        (lambda *_: (200, {}, b"<html>"), "no JSON object"),
        (lambda *_: as_json({"choices": []}), "without choices"),
        (lambda *_: None, "no connection"),
    ],
)
def test_an_answer_that_is_none_is_told_for_its_picture(answer, said):
    with serving(answer) as address:
        model = model_at(address, remote_model="m", remote_tries=2)
        (found,) = model.margins([], greys(1))
    assert isinstance(found, Unanswered) and said in str(found)


def test_without_logprobs_the_way_out_is_named():
    message = {"message": {"content": "Yes"}, "logprobs": None}
    with serving(lambda *_: as_json({"choices": [message]})) as address:
        with pytest.raises(Refused, match=r"no logprobs.*vLLM.*remote_api=systemone"):
            list(model_at(address, remote_model="m").margins([], greys(1)))


def test_a_key_is_sent_and_its_refusal_ends_it():
    asked = []

    def locked(path, headers, body):
        asked.append(headers.get("authorization"))
        return as_json({"detail": "bad key"}, 401)

    with serving(locked) as address, pytest.raises(Refused, match=r"401: bad key.*remote_key"):
        list(model_at(address, remote_model="m", remote_key="k1").margins([], greys(1)))
    assert asked == ["Bearer k1"]  # asked once: a key does not get better by waiting


def test_a_server_with_several_models_wants_a_name():
    listed = {"data": [{"id": "one"}, {"id": "two"}]}
    with serving(lambda *_: as_json(listed)) as address:
        with pytest.raises(CirError, match=r"lists 2 models \(one, two\).*remote_model"):
            model_at(address)
    with pytest.raises(CirError, match=r"does not say which models.*--profile embedded"):
        model_at(address, remote_tries=1)  # it is gone


# --- tries and pauses -------------------------------------------------------------------------


def test_what_may_pass_is_tried_again_with_growing_pauses(monkeypatch):
    pauses, asked = [], []
    monkeypatch.setattr(server.time, "sleep", pauses.append)
    monkeypatch.setattr(server, "PAUSE", 1.0)

    def shaky(path, headers, body):
        asked.append(path)
        if len(asked) == 1:
            return as_json({}, 503)
        if len(asked) == 2:
            return as_json({}, 429, retry_after="7")
        return None if len(asked) == 3 else likely(Yes=-0.5, No=-1.5)

    with serving(shaky) as address:
        (margin,) = model_at(address, remote_model="m", remote_tries=4).margins([], greys(1))
    assert margin == pytest.approx(1.0)
    assert len(pauses) == 3
    for pause, wanted in zip(pauses, (1, 7, 4), strict=True):  # the server's own wish counts
        assert wanted <= pause <= 1.4 * wanted


def test_a_slow_answer_is_not_waited_for():
    given_up = threading.Event()

    def slow(path, headers, body):
        given_up.wait(120)
        return likely(Yes=-0.5, No=-1.5)

    with serving(slow) as address:
        model = model_at(address, remote_model="m", remote_timeout=0.1, remote_tries=2)
        (found,) = model.margins([], greys(1))  # the time is of all tries together
        given_up.set()
    assert "no answer within 0.1 s; tried once" in str(found)


def test_a_dead_server_is_given_up_before_the_last_picture():
    asked = []

    def dead(path, headers, body):
        asked.append(path)
        time.sleep(0.02)

    with serving(dead) as address:
        model = model_at(address, remote_model="m", remote_tries=1, remote_parallel=2)
        found = list(model.margins([], greys(*range(40))))
        assert len(found) == 40 and len(asked) < 20
        assert "no connection" in str(found[1]) and "tried once" in str(found[1])
        assert "not asked, as nobody answered the first 2" in str(found[-1])
    broken = [as_json({}, 500)] * 9 + [likely(Yes=-1.0, No=-2.0)]
    with serving(lambda *_: broken.pop(0)) as address:
        model = model_at(address, remote_model="m", remote_tries=1, remote_parallel=1)
        *_, last = model.margins([], greys(*range(10)))  # it is there: all are asked
    assert last == pytest.approx(1.0)


# --- a part of the verdicts -------------------------------------------------------------------


def test_a_picture_without_a_verdict_keeps_its_rank():
    nan = math.nan
    margins = {"a": -1.0, "b": None, "c": 3.0, "d": 1.0}
    verdicts = [
        Judgement(image_id=i, yes_probability=nan, margin=nan, failed="no answer within 1 s")
        if m is None
        else Judgement(image_id=i, yes_probability=0.5, margin=m)
        for i, m in margins.items()
    ]
    candidates = tuple(
        Candidate(image_id=i, score=1 / n, rank=n) for n, i in enumerate("abcde", start=1)
    )
    order = reorder(Ranking(query_id="q", method="m", candidates=candidates), verdicts)
    assert [r.image_id for r in order] == ["c", "b", "d", "a", "e"]


def partly(path, headers, body):
    """As `judging`, but one picture of three has no answer."""
    if body and body.get("logprobs") and round(shade(body)) % 3 == 0:
        return as_json({"error": "out of memory"}, 500)
    return judging(path, headers, body)


def test_profile_remote_searches_photographs_and_marks_what_has_no_verdict(hub, tmp_path):
    with serving(partly) as address:
        engine = build_engine(
            Settings(
                profile="remote",
                assets=tmp_path,
                cache=tmp_path / "cache",
                remote=address,
                remote_tries=1,
                remote_parallel=3,
            )
        )
        methods = engine.methods()
        assert methods["setr"] is None and "hidden states" in methods["cot"]
        place = tmp_path / "greys"
        place.mkdir()
        for value in (10, 30, 60, 91, 121, 152, 182, 212):  # 30, 60: multiples of 3, and 0
            Image.new("RGB", (64, 48), (value,) * 3).save(place / f"{value}.png")
        list(engine.index("mine", folder.pictures_at(place)))
        query = engine.make_query(text="brighter", reference_id="10.png", gallery="mine")
        *_, result = engine.search(query, gallery="mine", rerank=7, top=7)
    assert set(result.unanswered) == {"30.png", "60.png"}
    assert len(result.judgements) == 5 and len(result.reranked) == 7
    for item in result.reranked:
        if item.image_id in result.unanswered:
            assert item.rank == item.coarse_rank and math.isnan(item.yes_probability)
    judged = [int(r.image_id[:-4]) for r in result.reranked if r.image_id in result.judgements]
    assert judged == sorted(judged, reverse=True)
    (notice,) = [n for n in result.notices if "no answer for 2 of 7" in n]
    assert "out of memory" in notice and "keep their coarse rank" in notice
    rows = {r["image_id"]: r for r in search_json(result)["reranked"]}
    assert "out of memory" in rows["30.png"]["failed"] and rows["30.png"]["p_yes"] is None

    class Shown:
        def src(self, image_id):
            return image_id

        alt = src

    html = judge_views.judge(result, Shown(), Marks(), View())
    assert html.count('<span class="yes" title="no verdict: ') == 2 and "out of memory" in html
    assert "nan" not in html.lower().replace("balance", "")
    *_, gone = engine.search(query, gallery="mine", rerank=7, top=7)  # the server is down now
    assert set(gone.unanswered) == {"30.png", "60.png"} and len(gone.judgements) == 5
    query = engine.make_query(text="darker", reference_id="10.png", gallery="mine")
    told = dict.fromkeys(("union", "intersection"), "a dark picture")
    *_, gone = engine.search(query, gallery="mine", rerank=7, descriptions=told)
    assert not gone.reranked and not gone.unanswered
    (notice,) = [n for n in gone.notices if n.startswith("The judge")]
    assert "no answer for any picture" in notice and "The intersection list stands." in notice
    shelf = engine.gallery("mine")
    judge = engine.parts.judge.get()
    assert isinstance(judge, RemoteJudge)
    with pytest.raises(CirError, match="no verdict on this picture"):
        judge.why(result.query, "30.png", shelf.image("30.png"), "bright")


def test_profile_remote_without_an_address_says_so(hub, tmp_path):
    engine = build_engine(Settings(profile="remote", assets=tmp_path, cache=tmp_path))
    assert "CIRDEMO_REMOTE" in engine.methods()["union"] and engine.methods()["text"] is None
    with pytest.raises(CirError, match="http://127"):
        Settings(remote="localhost:8000")


# --- transformers serve, for real -------------------------------------------------------------

SERVED = str(ROOT / "checkpoints/embedded/mllm")


@pytest.fixture(scope="module")
def served():
    """`transformers serve` with the embedded checkpoint; skipped where its extra is not here."""
    pytest.importorskip("openai", reason="pip install 'transformers[serving]'")
    from transformers.cli.serve import Serve

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {"device": "cpu", "dtype": "float32", "host": "127.0.0.1", "port": port}
    server = Serve(force_model=SERVED, non_blocking=True, **given)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(1500):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{address}/health", timeout=30).status_code == 200:
                    break
            time.sleep(0.2)
        else:
            pytest.fail("the server did not start")
        yield address
    finally:
        server.kill_server()


@pytest.mark.slow
@pytest.mark.weights
def test_transformers_serve_decides_and_writes_as_the_model_does(served):
    from transformers import pipeline

    from cirdemo.models.mllm import VisionLanguageModel

    model = model_at(served, remote_model=SERVED, remote_api="systemone", remote_timeout=600)
    home = ROOT / "assets/galleries/fables"
    shown = [Image.open(p).convert("RGB") for p in sorted(home.rglob("*.webp"))[:4]]
    assert len(shown) == 4
    sent = [Image.open(io.BytesIO(model._jpeg(p))) for p in shown]  # what the server sees
    local = VisionLanguageModel.load(SERVED)
    assert model.caption(shown[:2]) == local.caption(sent[:2])
    before = [shown[0], prompts.judge_prompt("make it white", "a white dog")]
    found = list(model.margins(before, shown[1:]))
    decide = pipeline("decision", model=SERVED, device="cpu", dtype="float32")
    state = f"[picture 1]\n{before[1]}\n[picture 2]"
    for margin, picture in zip(found, sent[1:], strict=True):
        assets = {"[picture 1]": sent[0], "[picture 2]": picture}
        asked = {"type": "noul", "instructions": remote.QUESTION}
        p = decide({"state": state, "questions": {"q": asked}, "assets": assets})["q"]["noul"]
        assert margin == pytest.approx(math.log(p / (1 - p)), abs=1e-3)
    assert np.ptp(found) > 1e-3  # the pictures are told apart
    judge = RemoteJudge(model)
    query = Query(query_id="q", reference=shown[0], modification="make it white")
    verdicts = list(judge.judge(query, [("a", shown[1])], "a white dog"))
    assert not verdicts[0].failed and 0 < verdicts[0].yes_probability < 1
    chat = model_at(served, remote_model=SERVED, remote_timeout=600)
    with pytest.raises(Refused, match="no logprobs"):  # its chat leaves them out without a word
        list(chat.margins(before, shown[1:2]))
    with pytest.raises(CirError, match="pinned"):
        model_at(served, remote_model="another", remote_tries=1).caption(shown[:1])
