"""What browser tests share: a running app, a browser, a page that fails on its own errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_ui_engine import FakeEngine

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 120_000  # milliseconds that anything on a page may take; a loaded machine is slow
SETTLED = """() => document.getAnimations().every(
  (one) => one.playState !== 'running' || one.effect.getTiming().iterations === Infinity)"""
EMBEDDED = Path(__file__).resolve().parents[1] / "checkpoints" / "embedded" / "mllm"


@pytest.fixture(scope="session")
def url(tmp_path_factory):
    """The address of a running app: real models where they are on disk."""
    from cirdemo.ui.build import build_app, look

    patch = pytest.MonkeyPatch()
    patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
    patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    if EMBEDDED.exists():
        from cirdemo.builder import build_engine
        from cirdemo.config import Settings

        engine = build_engine(Settings.from_env(profile="embedded"))
    else:
        engine = FakeEngine(tmp_path_factory.mktemp("pictures"), pause=0.15)
    app = build_app(engine)
    app.queue()
    _, address, _ = app.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False, **look()
    )
    yield address
    app.close()
    patch.undo()


@pytest.fixture(scope="session")
def browser():
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    sync_api = pytest.importorskip("playwright.sync_api")
    sync_api.expect.set_options(timeout=PATIENCE)
    with sync_api.sync_playwright() as play:
        found = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield found
        found.close()


def opened(browser, **given):
    """A new page that waits long enough."""
    page = browser.new_page(**given)
    page.set_default_timeout(PATIENCE)
    return page


def settled(page):
    """Wait until nothing moves or fades any more."""
    page.wait_for_function(SETTLED)


@pytest.fixture
def page(browser, url):
    """A page that fails its test on any error of its own."""
    faults: list[str] = []
    page = opened(browser, viewport={"width": 1440, "height": 900})
    page.on("pageerror", lambda error: faults.append(f"pageerror: {error}"))
    page.on(
        "console",
        lambda line: faults.append(f"console: {line.text}") if line.type == "error" else None,
    )
    page.goto(url)
    page.locator("#strip .mini").first.wait_for()
    yield page
    page.close()
    assert faults == []
