"""The page is made once, and what sessions begin with is worked out once."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from copy import copy

import gradio as gr
import httpx
import pytest
from gradio.state_holder import SessionState

from cirdemo.ui.front import KEPT, FrontPage
from cirdemo.ui.shell import Page

BODY = b"<html>page</html>" * 100


class Maker:
    """An application that counts what it is asked for."""

    def __init__(self, status=200):
        self.asked, self.status = [], status

    async def __call__(self, scope, receive, send):
        self.asked.append(scope["path"])
        await asyncio.sleep(0.01)
        headers = [(b"content-type", b"text/html"), (b"content-length", b"%d" % len(BODY))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": BODY[:50], "more_body": True})
        await send({"type": "http.response.body", "body": BODY[50:]})


def ask(app, *requests):
    """Answers to (path, headers), all asked at once."""

    async def all_of_them():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
            return await asyncio.gather(*(client.get(p, headers=h) for p, h in requests))

    with ThreadPoolExecutor(1) as other:  # in this thread a browser's loop may run already
        return other.submit(asyncio.run, all_of_them()).result()


@pytest.mark.parametrize("packed", ["br", "gzip", "identity"])
def test_of_many_who_come_at_once_one_has_the_page_made(packed):
    maker = Maker()
    answers = ask(FrontPage(maker), *[("/", {"Accept-Encoding": packed})] * 9)
    assert maker.asked == ["/"]
    assert {answer.content for answer in answers} == {BODY}
    told = answers[-1].headers
    assert told.get("content-encoding", "identity") == packed
    assert told["vary"] == "Accept-Encoding" and told["content-type"] == "text/html"


def test_each_address_has_a_page_of_its_own_and_few_are_kept():
    maker = Maker()
    front = FrontPage(maker)
    hosts = [{"Host": f"h{n}.example"} for n in range(3)]
    proxied = [{"X-Forwarded-Proto": "https"}, {"X-Forwarded-Host": "b.example"}]
    ask(front, *[("/", headers) for headers in [*hosts, *proxied] * 2])
    assert len(maker.asked) == 5
    ask(front, *[("/?view=abc", {"Host": "h0.example"})])
    assert len(maker.asked) == 5  # what the query says is for the page's own script
    for n in range(2 * KEPT):
        ask(front, ("/", {"Host": f"h{n}.example"}))
    assert len(front._kept) == KEPT


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/config", {}), ("/?deep_link=x", {}), ("/?page=x", {}), ("/", {"Origin": "http://a"})],
)
def test_anything_else_is_passed_on_each_time(path, headers):
    maker = Maker()
    ask(FrontPage(maker), (path, headers), (path, headers))
    assert len(maker.asked) == 2


def test_an_error_is_not_kept():
    maker = Maker(status=500)
    front = FrontPage(maker)
    assert [a.status_code for a in ask(front, ("/", {}), ("/", {}))] == [500, 500]
    assert len(maker.asked) == 2


@pytest.fixture
def page():
    with Page(analytics_enabled=False) as page:
        box, out = gr.Textbox("a"), gr.Textbox()
        gr.Button().click(lambda text: gr.update(value=text, label="b"), box, out)
    yield page
    page.close()


def launched(page, **given):
    _, url, _ = page.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, _frontend=False, **given
    )
    return url


def test_the_page_is_gradios_own_and_not_kept_where_visitors_log_in(page):
    url = launched(page)
    fresh = httpx.get(f"{url}?page=", trust_env=False)  # the same page, and not remembered
    kept = [httpx.get(url, trust_env=False) for _ in range(3)]
    assert {answer.text for answer in kept} == {fresh.text} and "window.gradio_config" in fresh.text
    assert kept[0].headers["content-security-policy"]
    assert any(one.cls is FrontPage for one in page.app.user_middleware)
    page.close()
    launched(page, auth=("a", "b"))
    assert all(one.cls is not FrontPage for one in page.app.user_middleware)


def test_sessions_begin_with_what_was_worked_out_once(page, monkeypatch):
    fresh = SessionState(page).config_values  # by Gradio alone
    launched(page)
    first = SessionState(page)
    assert first.config_values == fresh
    asked = []
    told = gr.Textbox.get_config
    monkeypatch.setattr(gr.Textbox, "get_config", lambda *a: (asked.append(1), told(*a))[1])
    second = SessionState(page)
    assert second.config_values == fresh and not asked
    number = next(n for n, block in page.blocks.items() if isinstance(block, gr.Textbox))
    second._update_value_in_config(number, "mine")
    second[number] = gr.Textbox(label="changed", render=False)
    second._update_config(number)
    assert second.config_values[number]["props"]["label"] == "changed" and asked
    assert first.config_values == fresh == SessionState(page).config_values
    assert copy(page.default_config).blocks == page.blocks
