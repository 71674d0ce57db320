"""The public endpoints through gradio_client and as MCP tools."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import pytest
from fake_ui_engine import FakeEngine
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from cirdemo.ui.api import ENDPOINTS, ApiHandlers
from cirdemo.ui.build import build_app, look
from tests.fakes import fake_engine


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
    engine = FakeEngine(tmp_path_factory.mktemp("pictures"))
    app = build_app(engine, public=True)
    app.queue()
    _, url, _ = app.launch(
        server_name="127.0.0.1",
        prevent_thread_lock=True,
        quiet=True,
        ssr_mode=False,
        mcp_server=importlib.util.find_spec("mcp") is not None,
        **look(),
    )
    yield Client(url, verbose=False), engine
    app.close()
    patch.undo()


ASKED = {"modification": "hugging", "reference_id": "f000"}


def test_nothing_but_the_documented_endpoints_is_public(served):
    client, _ = served
    told = client.view_api(return_format="dict", print_info=False)
    assert set(told["named_endpoints"]) == {f"/{name}" for name in ENDPOINTS}
    assert not told["unnamed_endpoints"]
    for name, endpoint in told["named_endpoints"].items():
        assert endpoint["description"].endswith("."), name
    with pytest.raises(Exception, match=r"private|Cannot find"):
        client.predict(api_name="/run")


def test_search_with_a_gallery_picture(served):
    client, _ = served
    answer = client.predict(**ASKED, rerank=20, api_name="/search")
    assert answer["descriptions"]["intersection"]["text"] == "two brown dogs with hats hugging"
    assert answer["reranked"][0]["rank"] == 1 and answer["rationale"]["conclusion"]
    assert "f000" not in [c["image_id"] for c in answer["coarse"]["union"]]
    assert len(answer["coarse"]["union"]) == 10


def test_search_with_a_file(served):
    client, engine = served
    picture = handle_file(str(engine.shelf.thumbnail("f002")))
    options = {"top": 3, "rerank": 0, "reason": False, "methods": "union, intersection"}
    answer = client.predict("hugging", reference=picture, **options, api_name="/search")
    assert answer["query"]["reference_id"] is None and answer["reranked"] == []
    assert {n: len(rows) for n, rows in answer["coarse"].items()} == {"union": 3, "intersection": 3}


def test_describe(served):
    client, _ = served
    answer = client.predict(**ASKED, api_name="/describe")
    assert answer["descriptions"]["union"]["cues"][0] == {
        "text": "two brown dogs",
        "status": "kept",
    }
    assert "coarse" not in answer


def test_rerank(served):
    client, engine = served
    options = {"image_ids": "f003, f004,f003", "wanted": "two dogs"}
    rows = client.predict(**ASKED, **options, api_name="/rerank")["reranked"]
    assert [(r["image_id"], r["rank"], r["coarse_rank"]) for r in rows] == [
        ("f004", 1, 2),
        ("f003", 2, 1),
    ]
    assert rows[0]["p_yes"] > rows[1]["p_yes"] and engine.wanted == "two dogs"


def test_explain(served):
    client, _ = served
    answer = client.predict(texts="two dogs\nhugging", image_id="f001", api_name="/explain")
    assert [m["text"] for m in answer["maps"]] == ["two dogs", "hugging"]
    assert len(answer["maps"][0]["values"]) == 7 and answer["maps"][0]["range"] == [0.05, 0.31]


@pytest.mark.parametrize(
    ("name", "asked", "says"),
    [
        ("search", {**ASKED, "modification": "x" * 400}, "too long"),
        ("search", {"modification": "hugging"}, "Give one picture"),
        ("search", {**ASKED, "gallery": "moon"}, "no gallery 'moon'"),
        ("search", {**ASKED, "top": 2.5}, "top must be a whole number"),
        ("search", {**ASKED, "rerank": 1000}, "rerank must lie between 0 and 100"),
        ("search", {**ASKED, "methods": " , "}, "at least one name"),
        ("describe", {**ASKED, "modes": "unoin"}, "no mode 'unoin'"),
        ("rerank", {**ASKED, "image_ids": ""}, "at least one name"),
        ("explain", {"texts": "", "image_id": "f001"}, "1 to 20 texts"),
        ("evaluate", {"dataset": "fables", "limit": -1}, "limit must be a whole number"),
        ("evaluate", {"dataset": "fables", "limit": 0}, "1 to 50 queries"),
    ],
)
def test_an_error_arrives_as_its_sentence(served, name, asked, says):
    client, _ = served
    with pytest.raises(AppError, match=says):
        client.predict(**asked, api_name=f"/{name}")


def test_evaluate_is_the_command_lines_object():
    answer = ApiHandlers(fake_engine()).evaluate(
        "fables", "val", "text, setr", 1, "reference-excluded"
    )
    assert answer["queries"] == 1 and {"text", "setr"} <= set(answer["methods"])
    assert answer["methods"]["setr"]["R@1"] == 1.0


def test_the_judge_of_the_real_engine_judges_named_pictures():
    engine = fake_engine()
    answer = ApiHandlers(engine).rerank("green", "blue, green", "red", None, "fables", "")
    assert [r["image_id"] for r in answer["reranked"]] == ["green", "blue"]
    with pytest.raises(gr.Error, match="Did you mean 'green'"):
        ApiHandlers(engine).rerank("green", "gren", "red", None, "fables", "")


def test_the_endpoints_are_mcp_tools_with_their_words(served):
    """Over the wire, as a client of the protocol would: initialize, list, call."""
    pytest.importorskip("mcp")
    import anyio
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    client, _ = served

    async def talk():
        address = client.src.rstrip("/") + "/gradio_api/mcp/"
        async with (
            streamablehttp_client(address) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = (await session.list_tools()).tools
            good = await session.call_tool("describe", dict(ASKED))
            bad = await session.call_tool("describe", {"modification": "hugging"})
            return tools, good, bad

    # in a thread of its own: a browser that other tests keep open has a loop in this one
    with ThreadPoolExecutor(1) as aside:
        tools, good, bad = aside.submit(anyio.run, talk).result()
    assert {t.name.split("_")[-1] for t in tools} == set(ENDPOINTS)
    search = next(t for t in tools if t.name.endswith("search"))
    assert search.description.startswith("Find the pictures of a gallery")
    told = search.inputSchema["properties"]["modification"]
    assert told["type"] == "string" and "What should change" in told["description"]
    assert "two brown dogs with hats hugging" in good.content[0].text
    assert bad.isError and "Give one picture" in bad.content[0].text


def test_only_thumbnails_are_served(served):
    import httpx

    client, engine = served
    base = client.src.rstrip("/")
    engine.gallery("fables")
    good = httpx.get(f"{base}/thumbnails/fables/f001.webp")
    assert good.status_code == 200 and good.headers["content-type"] == "image/webp"
    file = engine.shelf.thumbnail("f001")
    for other in (file, "/etc/hostname"):
        assert httpx.get(f"{base}/gradio_api/file={other}").status_code in (403, 404)
