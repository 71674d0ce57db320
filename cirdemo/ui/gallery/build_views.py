"""What the Gallery tab shows of galleries being built: pure functions from records to HTML."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from cirdemo.archives import LeftOut
from cirdemo.gallery.progress import Progress, Report, told_time
from cirdemo.ui.cards import Pictures, esc

SHOWN = 200  # rows on the page; the download has all
PAIRS = 24
KINDS = {
    "unreadable": "cannot be read as a picture",
    "other file": "is no picture",
    "hidden": "is hidden",
    "link": "is a link",
    "name": "has a name that cannot be used",
    "limit": "is above a limit",
    "missing": "is named but not there",
}
PHASES = {
    "fetching": "Fetching",
    "looking": "Looking through the files",
    "encoding": "Encoding",
    "writing": "Looking for near-duplicates and writing the gallery",
    "captioning": "Captioning with the language model",
    "done": "Done",
}


def idle() -> str:
    """Before anything is built."""
    return (
        '<section class="chapter g-quiet"><h2>Your pictures, searchable</h2><p class="lead">'
        "Every picture is encoded once into a vector; the vectors, small copies for this page and "
        "checksums of it all are what a gallery is. Your files are only read, never changed. A "
        "build can be stopped, or the program ended, at any moment: it goes on where it was. "
        "Updating encodes only what is new.</p><ul class='g-promises'>"
        "<li><b>Read:</b> JPEG, PNG, WebP, GIF, BMP, TIFF, and HEIC where the package pillow-heif "
        "is installed; told by content, not by name; upright by EXIF.</li>"
        "<li><b>Left out, and listed with the reason:</b> damaged files, links, other files, "
        "pictures above 50 megapixels.</li>"
        "<li><b>Reported:</b> identical pictures and near-duplicates.</li></ul></section>"
    )


def moving(name: str, step: Progress) -> str:
    """A build under way."""
    share = step.done / step.of if step.of else 0.0
    left = "" if step.seconds_left is None else f"about {told_time(step.seconds_left)} left"
    cells = [
        ("files", f"{step.done:,} of {step.of:,}" if step.of else "counting…"),
        ("new", f"{step.new:,}"),
        ("unchanged", f"{step.unchanged:,}"),
        ("left out", f"{step.left_out:,}"),
        ("a second", f"{step.rate:.1f}" if step.rate else "–"),
        ("so far", told_time(step.seconds)),
    ]
    return (
        f'<section class="chapter"><header class="g-plain"><div><h2>{esc(PHASES[step.phase])}…</h2>'
        f'<p class="lead">Gallery “{esc(name)}”</p></div><span class="took" role="status">'
        f'<i class="spin" aria-hidden="true"></i>{esc(left)}</span></header>'
        f'<div class="g-progress" role="progressbar" aria-label="Files looked at" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{share * 100:.0f}">'
        f'<i style="width:{share:.2%}"></i></div>{_cells(cells)}</section>'
    )


def halted(name: str, step: Progress | None, why: str = "") -> str:
    """A build that was stopped, or that failed."""
    done = f"{step.done:,} of {step.of:,} files were looked at. " if step and step.of else ""
    head, kind = ("It did not work", "g-bad") if why else ("Stopped", "g-calm")
    text = why or f"{done}What was encoded is kept: Resume goes on from there."
    return (
        f'<section class="chapter {kind}" role="status"><h2>{head}</h2>'
        f'<p class="lead">Gallery “{esc(name)}”. {esc(text)}</p></section>'
    )


def refused(why: str) -> str:
    """A build that was not begun."""
    return (
        '<section class="chapter g-bad" role="alert"><h2>Not built yet</h2>'
        f'<p class="lead">{esc(why)}</p></section>'
    )


def deleted(name: str) -> str:
    """In place of what a gallery came to, once it is gone."""
    return (
        f'<section class="chapter g-calm" role="status"><h2>Gallery “{esc(name)}” deleted</h2>'
        '<p class="lead">Your own picture files stay where they are.</p></section>'
    )


def finished(report: Report, pictures: Pictures | None, *, note: str = "") -> str:
    """The report of a build: numbers, files left out, near-duplicates, all of it to download."""
    cells = [
        ("pictures", f"{report.pictures:,}"),
        ("new", f"{report.new:,}"),
        ("unchanged", f"{report.unchanged:,}"),
        ("removed", f"{report.removed:,}"),
        ("left out", f"{len(report.left_out):,}"),
        ("took", told_time(report.seconds)),
    ]
    extra = f'<p class="note"><b aria-hidden="true">i</b> {esc(note)}</p>' if note else ""
    return (
        f'<section class="chapter g-done" role="status"><header class="g-plain"><div>'
        f'<h2><b class="g-tick" aria-hidden="true">✓</b> Gallery “{esc(title(report.gallery))}” is '
        f'ready</h2><p class="lead">Encoded by {esc(report.space)}. It is chosen at the top of the '
        f'page now, in every tab.</p></div><span class="took">{_download(report)}</span></header>'
        f"{_cells(cells)}{extra}</section>{_left_out(report.left_out)}"
        f"{_near(report.near, pictures)}"
    )


def title(name: str) -> str:
    """A gallery's name as the page says it."""
    return "Your pictures" if name.startswith("visitor-") else name


def galleries(rows: Sequence[Mapping[str, Any]]) -> str:
    """The user's galleries: finished ones to open, update, delete; interrupted ones to resume."""
    if not rows:
        return ""
    items = []
    for row in rows:
        name = esc(row["name"])
        said = row["says"]
        acts = "".join(
            f'<button type="button" class="g-act{" g-danger" if act == "delete" else ""}" '
            f'data-action="{act}" data-id="{name}" aria-label="{word} {name}">{word}</button>'
            for act, word in row["acts"]
        )
        mark = "" if row["whole"] else '<b class="g-tag">interrupted</b> '
        items.append(
            f'<li><div><h3>{name}</h3><p class="g-soft">{mark}{esc(said)}</p></div>'
            f'<span class="g-acts">{acts}</span></li>'
        )
    return (
        f'<section class="g-mine"><h2 class="small">Your galleries</h2>'
        f"<ul>{''.join(items)}</ul></section>"
    )


def fetchable(sets: Mapping[str, Any], embedded: bool) -> str:
    """Photographs that one click fetches: what they are, how large, under which licence."""
    if not sets:
        return ""
    items = "".join(
        f"<li><div><h3>{esc(name)}</h3><p class='g-soft'>{esc(one.title)}, {one.mib:.0f} MiB, "
        f'{esc(one.licence)}, <a href="{esc(one.source)}" rel="noreferrer" target="_blank">source'
        f'</a></p></div><span class="g-acts"><button type="button" class="g-act" '
        f'data-action="fetch" data-id="{esc(name)}" aria-label="Fetch {esc(name)}">Fetch</button>'
        f"</span></li>"
        for name, one in sets.items()
    )
    note = (
        "<p class='g-soft'>The models in use know only the two drawn worlds that come with the "
        "app, fables and wardrobe. For photographs, whoever runs the app starts it with "
        "<code>python app.py --profile photo</code>.</p>"
        if embedded
        else ""
    )
    return (
        f'<section class="g-mine"><h2 class="small">Free photographs</h2>{note}<ul>{items}</ul>'
        "</section>"
    )


def _cells(pairs: Sequence[tuple[str, str]]) -> str:
    cells = "".join(f"<div><dd>{esc(v)}</dd><dt>{esc(k)}</dt></div>" for k, v in pairs)
    return f'<dl class="g-cells">{cells}</dl>'


def _left_out(files: Sequence[LeftOut]) -> str:
    if not files:
        return (
            '<section class="chapter"><h2>Nothing was left out</h2>'
            '<p class="lead">Every file was a picture that could be read.</p></section>'
        )
    counts = Counter(f.kind for f in files)
    told = " · ".join(f"{n} × {KINDS.get(kind, kind)}" for kind, n in counts.most_common())
    rank = {"unreadable": 0, "missing": 1, "limit": 2, "name": 3}
    ordered = sorted(files, key=lambda f: (rank.get(f.kind, 9), f.path))
    rows = "".join(
        f'<tr><td class="g-path">{esc(f.path)}</td><td>{esc(f.reason)}</td></tr>'
        for f in ordered[:SHOWN]
    )
    rest = len(files) - SHOWN
    more = f'<p class="g-soft">and {rest:,} more in the download</p>' if rest > 0 else ""
    return (
        f'<section class="chapter"><h2>{_files(len(files))} left out</h2>'
        f'<p class="lead">{esc(told)}</p><div class="g-scroll" tabindex="0" role="region" '
        f'aria-label="Files left out"><table><thead><tr><th scope="col">file</th>'
        f'<th scope="col">why</th></tr></thead><tbody>{rows}</tbody></table></div>{more}</section>'
    )


def _files(count: int) -> str:
    return "1 file was" if count == 1 else f"{count:,} files were"


def _pairs(count: int) -> str:
    return "1 pair looks" if count == 1 else f"{count:,} pairs look"


def _near(pairs: Sequence[tuple[str, str, float]], pictures: Pictures | None) -> str:
    if not pairs:
        return ""
    identical = sum(d == 0 for _, _, d in pairs)
    shown = "".join(_pair(a, b, d, pictures) for a, b, d in pairs[:PAIRS])
    rest = len(pairs) - PAIRS
    more = f'<p class="g-soft">and {rest:,} more in the download</p>' if rest > 0 else ""
    return (
        f'<section class="chapter"><h2>{_pairs(len(pairs))} the same</h2><p class="lead">'
        f"{identical:,} identical; the others differ by at most 3 of 255 in a 12 × 12 colour "
        "copy, as resized or re-saved pictures do. Both stay in the gallery.</p>"
        f'<ul class="g-pairs">{shown}</ul>{more}</section>'
    )


def _pair(a: str, b: str, difference: float, pictures: Pictures | None) -> str:
    def small(image_id: str) -> str:
        src = esc(pictures.src(image_id)) if pictures else ""
        drawn = f'<img src="{src}" alt="" width="64" height="64" loading="lazy">' if src else ""
        return f"<figure>{drawn}<figcaption>{esc(image_id)}</figcaption></figure>"

    told = "identical" if difference == 0 else f"differ by {difference:.1f}"
    return f"<li>{small(a)}{small(b)}<span class='g-soft'>{told}</span></li>"


def _download(report: Report) -> str:
    data = json.dumps(report.as_json(), indent=2, ensure_ascii=False).encode()
    coded = base64.b64encode(data).decode()
    return (
        f'<a class="g-act" download="{esc(report.gallery)}-report.json" '
        f'href="data:application/json;base64,{coded}">Report (JSON)</a>'
    )
