"""Files that a visitor takes along: written here, copied by Gradio, gone after an hour."""

from __future__ import annotations

import functools
import secrets
import tempfile
from pathlib import Path

from cirdemo.ui.janitor import own_folder


@functools.cache
def _home() -> tempfile.TemporaryDirectory[str]:
    """A folder of this process alone, which goes with it."""
    return tempfile.TemporaryDirectory(prefix="cirdemo-files-")


def on_disk(name: str, data: bytes) -> str:
    """A file of that name for a download button, in a folder that nobody can guess."""
    own = own_folder()  # the janitor sweeps it
    folder = (own / "downloads" if own else Path(_home().name)) / secrets.token_hex(16)
    folder.mkdir(parents=True)
    (folder / name).write_bytes(data)
    return str(folder / name)


def stem(text: str) -> str:
    """A modification text as the name of a file: "cirdemo-make-it-red"."""
    words = "".join(c if c.isalnum() else "-" for c in text.lower())[:40]
    return f"cirdemo-{words.strip('-') or 'query'}"


def fetch(elem_id: str, then: str = "") -> str:
    """Script that follows a hidden download button once the event that filled it is over.

    Args:
        elem_id: The button's.
        then: More script, to run after it.
    """
    return f"""() => setTimeout(() => {{
  const box = document.getElementById('{elem_id}');
  (box?.matches('a, button') ? box : box?.querySelector('a, button'))?.click();
  {then}
}}, 150)"""
