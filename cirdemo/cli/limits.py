"""Every limit in force, by what it bounds, as `doctor` prints them."""

from __future__ import annotations

from typing import Any

from cirdemo import archives, intake
from cirdemo.config import Settings


def limits(settings: Settings) -> dict[str, dict[str, Any]]:
    """Names say the unit; the values are those that the code uses, read where they stand."""
    from cirdemo.gallery import decoding
    from cirdemo.models import server, trusted  # torch takes a while
    from cirdemo.ui import api, janitor, shell, view, wiring
    from cirdemo.ui.gallery import jobs

    album = archives.PUBLIC if settings.public else archives.LOCAL
    return {
        "request": {
            "header_bytes": shell.HEADER_BYTES,
            "body_bytes": shell.JSON_BYTES,
            "upload_bytes": shell.FORM_BYTES,
            "file_bytes": shell.FILE_BYTES,
            "hosts": ["localhost", "addresses in figures", *settings.hosts],
            "routes": sorted((*shell.OPEN, *(f"{prefix}..." for prefix in shell.OPEN_BELOW))),
        },
        "queue": {
            "waiting": shell.QUEUED,
            "at_the_models": wiring.MODEL["concurrency_limit"],
            "sessions": shell.SESSIONS,
            "builds_of_visitors": jobs.Jobs.VISITORS,
        },
        "text": {
            "characters": intake.MAX_TEXT,
            "link_characters": view.LIMIT,
            **{f"api_{name}": most for name, most in api.MOST.items()},
        },
        "picture": {
            "formats": list(intake.FORMATS),
            "pixels": intake.MAX_PIXELS,
            "side": [intake.MIN_SIDE, intake.MAX_SIDE],
            "bytes": intake.MAX_BYTES,
            "seconds_to_decode": decoding.SECONDS,
        },
        "archive": {
            "files": album.entries,
            "bytes": album.total_bytes,
            "file_bytes": album.file_bytes,
            "ratio": album.ratio,
        },
        "visitors_files": {
            "seconds": janitor.KEPT,
            "swept_every_seconds": janitor.EVERY,
            "bytes": janitor.QUOTA,
            "free_bytes": janitor.FREE,
        },
        "weights": {
            "header_bytes": trusted.HEADER_BYTES,
            "tensors": trusted.TENSORS,
            "lora_rank": trusted.RANKS[-1],
            "template_characters": trusted.TEMPLATE_CHARACTERS,
        },
        "server_of_models": {
            "tries": settings.remote_tries,
            "seconds": settings.remote_timeout,
            "connect_seconds": server.CONNECT,
            "pause_seconds": server.LONGEST,
            "unanswered_in_a_row": server.DEAD,
            "rest_seconds": server.REST,
            "answer_bytes": server.LONG,
            "at_once": settings.remote_parallel,
        },
    }
