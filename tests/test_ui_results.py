"""The Results tab shows the stored pages as they are, and says how to make them where none are."""

import gradio as gr

from cirdemo.ui import results_tab


def _texts(folder):
    with gr.Blocks() as page:
        results_tab.render(folder)
    return [b.value for b in page.blocks.values() if isinstance(b, gr.Markdown)]


def test_pages_are_shown_with_their_figures(tmp_path):
    (tmp_path / "fables-test.md").write_text("# fables\n\n| a |\n\n![bars](fables-test-bars.png)\n")
    (tmp_path / "fables-test.json").write_text("{}")
    lead, page = _texts(tmp_path)
    assert "typed by hand" in lead
    assert "| a |" in page
    assert f"(gradio_api/file={tmp_path.as_posix()}/fables-test-bars.png)" in page


def test_where_nothing_is_stored_the_command_is_named(tmp_path):
    (only,) = _texts(tmp_path)
    assert "evaluate fables" in only


def test_addresses_elsewhere_stay_as_they_are(tmp_path):
    (tmp_path / "x.md").write_text("![a](https://x.org/a.png) ![b](../b.png)")
    assert results_tab.pages(tmp_path)["x"] == "![a](https://x.org/a.png) ![b](../b.png)"
