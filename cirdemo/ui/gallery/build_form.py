"""The components of the building part of the Gallery tab; no events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from cirdemo.archives import PUBLIC
from cirdemo.ui.context import Context
from cirdemo.ui.gallery import build_views
from cirdemo.ui.wiring import PLAIN

BROWSE, BUILD = "Look around", "Build your own"  # the modes of the Gallery tab
UPLOAD, FOLDER, DATASET = "Upload", "Folder on this machine", "Benchmark on this machine"
SURE = """
element.addEventListener('click', (event) => {
  const hit = event.target.closest('[data-action]');
  if (!hit || hit.disabled) return;
  const ask = `Delete gallery “${hit.dataset.id}”? Your own picture files stay where they are.`;
  if (hit.dataset.action === 'delete' && !confirm(ask)) return;
  trigger('select', {...hit.dataset});
});
"""


@dataclass(frozen=True)
class Local:
    """What only the owner of this machine may fill in."""

    source: gr.Radio
    copied: gr.HTML  # what happens to uploads
    path: gr.Textbox
    kind: gr.Dropdown
    name: gr.Textbox
    add: gr.Checkbox


@dataclass(frozen=True)
class BuildTab:
    """The components of the building part."""

    files: gr.File
    caption: gr.Checkbox
    build: gr.Button
    stop: gr.Button
    mine: gr.HTML
    panel: gr.HTML
    job: gr.State  # the build that this page watches; a visitor's only one
    fault: gr.State  # why the last build was not begun, ""
    local: Local | None  # None in public mode


def render(context: Context) -> BuildTab:
    """Build the components; no event yet. In public mode what reads this machine is not there."""
    made: dict[str, Any] = {}
    local = not context.public
    limit = (
        f"At most {PUBLIC.entries:,} files; deleted after an hour, like the gallery."
        if context.public
        else "They are copied, scaled down and without metadata, into the gallery."
    )
    with gr.Row(elem_id="gal-make"):
        with gr.Column(elem_id="gal-form", min_width=0):
            if local:
                source = gr.Radio(
                    [UPLOAD, FOLDER, DATASET],
                    value=UPLOAD,
                    label="Pictures from",
                    elem_id="gal-source",
                )
            made["files"] = gr.File(
                file_count="multiple",
                label="Pictures, or a ZIP archive",
                height=150,
                elem_id="gal-files",
            )
            said = gr.HTML(f'<p class="g-soft">{limit}</p>', elem_classes="ours", **PLAIN)
            made["local"] = Local(source, said, **_local()) if local else None
            made["caption"] = gr.Checkbox(
                False,
                label="Have the language model caption them",
                info="once a picture, kept, and marked as machine-written",
                elem_id="gal-caption",
            )
            with gr.Row(elem_classes="pair go"):
                made["build"] = gr.Button(
                    "Build", variant="primary", min_width=80, elem_id="gal-start"
                )
                made["stop"] = gr.Button(
                    "Stop", min_width=60, interactive=False, elem_id="gal-stop"
                )
        with gr.Column(elem_id="gal-result", min_width=0):
            made["panel"] = gr.HTML(
                build_views.idle(), elem_id="gal-panel", elem_classes="ours", **PLAIN
            )
            made["mine"] = gr.HTML(
                "", js_on_load=SURE, elem_id="gal-mine", elem_classes="ours", **PLAIN
            )
    return BuildTab(**made, job=gr.State(""), fault=gr.State(""))


def _local() -> dict[str, Any]:
    """The inputs below the upload that are not in public mode."""
    return {
        "path": gr.Textbox(
            label="Path of the folder",
            placeholder="/home/me/Pictures, or a ZIP archive",
            visible=False,
            elem_id="gal-path",
        ),
        "kind": gr.Dropdown(
            [("whichever is there", "auto"), "cirr", "circo", "fashioniq"],
            value="auto",
            label="Benchmark",
            info="annotations as published; pictures that are absent are listed",
            visible=False,
            elem_id="gal-kind",
        ),
        "name": gr.Textbox(
            label="Name of the gallery",
            placeholder="small letters, digits, - and _",
            max_length=40,
            elem_id="gal-name",
        ),
        "add": gr.Checkbox(
            False,
            label="Keep pictures that are no longer among the files",
            info="when a gallery of this name is built again",
            elem_id="gal-add",
        ),
    }
