"""Freely licensed photographs from a manifest: fetched once, checked, gone on with after a stop.

A manifest names each file's size and SHA-256 and the addresses where it may lie. What arrives is
believed only when both fit, so an address that has changed hands can give nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import httpx

from cirdemo.gallery.files import write_file
from cirdemo.gallery.progress import Progress
from cirdemo.types import BadInput, CirError

BLOCK = 1 << 16  # bytes written at a time: what a kill can cost
TRIES = 3  # of each address
PAUSE = 1.0  # seconds before the second try, doubled before the third
TIMEOUT = 20.0  # seconds without a byte
PICTURES = "pictures"  # the folder of them below the gallery's
NOTE = "SOURCES.json"  # beside it: licence and credit of each


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One picture of a manifest."""

    path: str  # below the addresses, and below the folder
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A set of photographs that may be fetched."""

    name: str
    title: str
    licence: str
    source: str  # the page of those who publish it
    addresses: tuple[str, ...]  # tried in turn, the file's path behind each
    files: tuple[File, ...]
    facts: Mapping[str, Any]  # as written

    @property
    def mib(self) -> float:
        """Of all files."""
        return sum(f.size for f in self.files) / 2**20


def read(path: Path) -> Manifest:
    """A manifest from its file.

    Raises:
        BadInput: It is not one, or a path in it leads out of its folder.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(
            File(path=str(f["path"]), size=int(f["bytes"]), sha256=str(f["sha256"]))
            for f in facts["files"]
        )
        found = Manifest(
            name=path.stem,
            title=str(facts["title"]),
            licence=str(facts["licence"]),
            source=str(facts["source"]),
            addresses=tuple(map(str, facts["addresses"])),
            files=files,
            facts=facts,
        )
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise BadInput(f"{path} is no manifest of photographs ({fault}).") from fault
    for file in files:
        parts = PurePosixPath(file.path)
        if parts.is_absolute() or ".." in parts.parts or "\\" in file.path:
            raise BadInput(f"{path} names a file outside its folder: {file.path}.")
    return found


def fetch(manifest: Manifest, folder: Path) -> Iterator[Progress]:
    """Fetch what is not there yet; close the iterator to stop, call again to go on.

    Args:
        manifest: What to fetch.
        folder: Made when absent; pictures go into `PICTURES` below it. Whole ones are kept, and a
            begun one is gone on with.

    Yields:
        Progress after every file.

    Raises:
        CirError: A file cannot be had; the text says why and how to do it by hand.
    """
    start, fetched = time.monotonic(), 0
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / NOTE, json.dumps(dict(manifest.facts), indent=1).encode())
    plain = {"Accept-Encoding": "identity"}  # sizes and checksums are of the file itself
    client = httpx.Client(timeout=TIMEOUT, follow_redirects=True, headers=plain)
    with client:
        for number, file in enumerate(manifest.files):
            seconds = time.monotonic() - start
            rate = fetched / seconds if seconds > 0.5 else 0.0
            yield Progress(
                phase="fetching",
                done=number,
                of=len(manifest.files),
                new=fetched,
                unchanged=number - fetched,
                rate=rate,
                seconds_left=(len(manifest.files) - number) / rate if rate else None,
                seconds=seconds,
            )
            target = folder / PICTURES / file.path
            if not _whole(target, file):
                target.parent.mkdir(parents=True, exist_ok=True)
                _fetch_one(client, manifest, file, target)
                fetched += 1


def _whole(target: Path, file: File) -> bool:
    if not target.is_file() or target.stat().st_size != file.size:
        return False
    return hashlib.sha256(target.read_bytes()).hexdigest() == file.sha256


def _fetch_one(client: httpx.Client, manifest: Manifest, file: File, target: Path) -> None:
    part = target.with_name(f"{target.name}.part")
    why: list[str] = []
    for address in manifest.addresses:
        for number in range(TRIES):
            if number:
                time.sleep(PAUSE * 2 ** (number - 1))
            try:
                fault = _receive(client, address + file.path, file, part)
            except httpx.HTTPError as error:
                why.append(f"{httpx.URL(address).host}: {error or type(error).__name__}")
                continue
            if fault is None:
                part.replace(target)
                return
            why.append(f"{httpx.URL(address).host}: {fault}")
            if fault.startswith(("status 4", "other")):
                break  # waiting does not mend this
    raise CirError(
        f"{file.path} of gallery '{manifest.name}' cannot be fetched ({why[-1]}). What is there "
        f"is kept, and the same command goes on. By hand: get the pictures from {manifest.source} "
        f'on a machine with a network, copy them here, and run "python -m cirdemo index FOLDER '
        f'--name {manifest.name} --profile photo". The galleries fables and wardrobe need none.'
    )


def _receive(client: httpx.Client, address: str, file: File, part: Path) -> str | None:
    """Add what is missing to a begun file; what is wrong with it, or None when it is whole."""
    there = part.stat().st_size if part.is_file() else 0
    if there >= file.size:
        there = 0
    asked = {"Range": f"bytes={there}-"} if there else {}
    with client.stream("GET", address, headers=asked) as answer:
        if answer.status_code not in (200, 206):
            return f"status {answer.status_code}"
        told = answer.headers.get("content-range", "")
        goes_on = answer.status_code == 206 and told.startswith(f"bytes {there}-")
        if answer.status_code == 206 and not goes_on:
            part.unlink(missing_ok=True)
            return "a part that was not asked for"
        with part.open("ab" if goes_on else "wb") as stream:
            size = there if goes_on else 0
            for block in answer.iter_bytes(BLOCK):
                size += len(block)
                if size > file.size:
                    break
                stream.write(block)
            stream.flush()
            os.fsync(stream.fileno())
    if size < file.size:
        return "it ended early"
    if not _whole(part, file):
        part.unlink()
        return "other content than the manifest says"
    return None
