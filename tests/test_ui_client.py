"""The public endpoint through gradio_client."""

from __future__ import annotations

import pytest
from fake_ui_engine import FakeEngine
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from cirdemo.ui.build import build_app, look


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
    engine = FakeEngine(tmp_path_factory.mktemp("pictures"))
    app = build_app(engine)
    app.queue()
    _, url, _ = app.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False, **look()
    )
    yield Client(url, verbose=False), engine
    app.close()
    patch.undo()


def test_search_with_a_gallery_picture(served):
    client, _ = served
    answer = client.predict(
        reference=None,
        reference_id="f000",
        modification="hugging",
        gallery="fables",
        rerank=20,
        reason=True,
        api_name="/search",
    )
    assert answer["descriptions"]["intersection"]["text"] == "two brown dogs with hats hugging"
    assert answer["reranked"][0]["rank"] == 1 and answer["rationale"]["conclusion"]
    assert "f000" not in [c["image_id"] for c in answer["coarse"]["union"]]


def test_search_with_a_file(served):
    client, engine = served
    answer = client.predict(
        reference=handle_file(str(engine.shelf.thumbnail("f002"))),
        reference_id="",
        modification="hugging",
        gallery="fables",
        api_name="/search",
    )
    assert answer["query"]["reference_id"] is None and len(answer["coarse"]["union"]) == 10


def test_an_error_arrives_as_its_sentence(served):
    client, _ = served
    with pytest.raises(AppError, match="Write what should change"):
        client.predict(
            reference=None,
            reference_id="f000",
            modification="",
            gallery="fables",
            api_name="/search",
        )


def test_only_thumbnails_are_served(served):
    import httpx

    client, engine = served
    base = client.src.rstrip("/")
    good = httpx.get(f"{base}/gradio_api/file={engine.shelf.thumbnail('f001')}")
    assert good.status_code == 200 and good.headers["content-type"] == "image/webp"
    assert httpx.get(f"{base}/gradio_api/file=/etc/hostname").status_code in (403, 404)
