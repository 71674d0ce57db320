"""Many queries: one JSON object a line in, one answer a line out, in order.

An input line is {"text", and "reference_id" or "image" (a file, relative to the input's folder)},
with "gallery", "id" and "options" where wanted. An answer is the object of `search --json` with
"line" and "input", a digest of the line it answers: so a run that was stopped goes on after its
last whole answer, and answers of another input are never mixed in.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cirdemo.export import finite, search_json
from cirdemo.registry import unknown
from cirdemo.types import BadInput, CirError, SearchResult

if TYPE_CHECKING:
    from cirdemo.engine import Engine

log = logging.getLogger(__name__)

FIELDS = ("text", "reference_id", "image", "gallery", "id", "options")
OPTIONS: dict[str, tuple[type, ...]] = {  # of a search -> the JSON types it may have
    "methods": (list,),
    "rerank": (int,),
    "rerank_on": (str,),
    "fuse": (bool,),
    "reason": (bool,),
    "top": (int,),
    "text_weight": (int, float),
    "descriptions": (dict,),
}
TOP = 10  # of the lists in an answer, as the command line's default
Progress = Callable[[str, int, int], None]


def options_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of `Engine.search` in a JSON object.

    Raises:
        CirError: A name is unknown, or a value is of another type.
    """
    for name, value in given.items():
        if name not in OPTIONS:
            raise unknown("option", name, OPTIONS)
        kinds = OPTIONS[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise BadInput(f"Option {name!r} must be of type {wanted}, got {value!r}.")
        if name in ("methods", "descriptions") and not _texts(given[name]):
            raise BadInput(f"Option {name!r} must hold texts, got {value!r}.")
    return dict(given)


def _texts(value: Any) -> bool:
    """Whether a list or an object holds nothing but texts."""
    return all(isinstance(v, str) for v in (value.values() if isinstance(value, dict) else value))


def answer(engine: Engine, asked: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], Any]:
    """One line: its answer, and the result behind it.

    Raises:
        CirError: The line cannot be answered; the text says why.
    """
    for name in asked:
        if name not in FIELDS:
            raise unknown("field", name, FIELDS)
    for name in ("text", "reference_id", "image", "gallery"):
        if not isinstance(asked.get(name, ""), str):
            raise BadInput(f"{name!r} must be a text, got {asked[name]!r}.")
    if not isinstance(asked.get("options", {}), Mapping):
        raise BadInput(f"'options' must be an object, got {asked['options']!r}.")
    options = options_of(asked.get("options", {}))
    gallery, image = asked.get("gallery", "fables"), asked.get("image")
    query = engine.make_query(
        text=asked.get("text", ""),
        reference=folder / image if image else None,
        reference_id=asked.get("reference_id"),
        gallery=gallery,
    )
    result = SearchResult(query=query, stage="")
    top = options.pop("top", TOP)
    for step in engine.search(query, gallery=gallery, top=top, **options):
        result = step
    return search_json(result, top=top), result


def run(
    engine: Engine,
    source: Path,
    out: Path,
    *,
    reports: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Answer every line of a file that is not answered yet.

    Args:
        engine: Who answers.
        source: The questions; blank lines do not count.
        out: The answers; written and flushed line by line, so nothing is lost when it is stopped.
        reports: A folder for one HTML report a line, named by the line's number.
        progress: Told what is being done.

    Returns:
        {"lines", "answered", "skipped", "errors"}: of this run, `errors` among `answered`.

    Raises:
        BadInput: The questions cannot be read, or `out` answers other questions.
    """
    lines = _lines(source)
    done = _kept(out, lines)
    errors = 0
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a", encoding="utf-8") as file:
        for number, text in list(enumerate(lines, 1))[done:]:
            found = _one(engine, text, source.parent, number, reports)
            errors += "error" in found
            told = {"line": number, "input": _digest(text), **found}
            file.write(json.dumps(finite(told), ensure_ascii=False, allow_nan=False) + "\n")
            file.flush()
            if progress:
                progress("queries", number, len(lines))
    return {
        "lines": len(lines),
        "answered": len(lines) - done,
        "skipped": done,
        "errors": errors,
    }


def _one(
    engine: Engine, text: str, folder: Path, number: int, reports: Path | None
) -> dict[str, Any]:
    """The answer of a line, or {"error": {"type", "message"}}: the others still get theirs."""
    asked: Any = None
    try:
        try:
            asked = json.loads(text)
        except ValueError as fault:
            raise BadInput(f"Line {number} is not JSON: {fault}.") from fault
        if not isinstance(asked, dict):
            raise BadInput(f"Line {number} is not a JSON object.")
        found, result = answer(engine, asked, folder)
        if reports is not None:
            from cirdemo.report import write_report

            path = reports / f"{number:04d}.html"
            used = options_of(asked.get("options", {}))
            write_report(path, result, engine.gallery(asked.get("gallery", "fables")), used)
            found["report"] = str(path)
    except CirError as error:
        found = {"error": {"type": type(error).__name__, "message": str(error)}}
    except Exception as error:  # a bug met by one query must not cost the others theirs
        log.exception("line %d failed", number)
        found = {"error": {"type": type(error).__name__, "message": f"It failed: {error}"}}
    if isinstance(asked, dict) and "id" in asked:
        found = {"id": asked["id"], **found}
    return found


def _lines(source: Path) -> list[str]:
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise BadInput(f"The questions in '{source}' cannot be read as UTF-8 text.") from fault
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if not lines:
        raise BadInput(f"There is no question in '{source}': write one JSON object a line.")
    return lines


def _digest(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()[:12]


def _kept(out: Path, lines: list[str]) -> int:
    """How many lines are answered; half an answer at the end is cut off.

    Raises:
        BadInput: The file answers other questions, or is something else.
    """
    if not out.is_file():
        return 0
    whole = b""
    done = 0
    for line in _whole_lines(out.read_bytes()):
        try:
            told = json.loads(line)
            fits = done < len(lines) and told["input"] == _digest(lines[done])
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            raise BadInput(
                f"Line {done + 1} of '{out}' does not answer line {done + 1} of the questions: it "
                "is from other questions. Name another file for the answers, or remove this one."
            )
        whole += line + b"\n"
        done += 1
    if out.stat().st_size != len(whole):
        out.write_bytes(whole)
    return done


def _whole_lines(data: bytes) -> Iterator[bytes]:
    *whole, _ = data.split(b"\n")
    yield from whole
