"""Galleries that a user has built: where they lie, which build is in force, who may write.

    NAME/lock                 held by the one process that builds
         journal              finished work of a build under way
         captions             machine-written captions, by content, model and prompt
         builds/0003/         vectors, ids, items and a manifest with all checksums
         CURRENT              which build is in force, with its manifest's checksum
         thumbnails/ pictures/   small copies; copies of pictures that did not stay where they were

A build is written whole beside the others and then named in CURRENT by one atomic replacement, so
a reader sees the old one or the new one and a crash changes nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cirdemo.gallery import milvus
from cirdemo.gallery.files import read_build, save_build, sync_folder, write_file
from cirdemo.gallery.items import Item, read_items, read_left_out, read_near
from cirdemo.gallery.journal import Journal
from cirdemo.types import BadInput, CirError, ImageId, MissingCheckpoint

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
VISITOR = "visitor-"  # galleries of passing visitors: never listed, known to who built them
KEPT = 2  # builds: the one in force and the one before, whose vectors can be used again
HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Build:
    """A verified build, read into memory."""

    manifest: Mapping[str, Any]
    items: tuple[Item, ...]
    vectors: np.ndarray  # (N, D) float32
    signatures: np.ndarray  # (N, S) uint8
    left_out: tuple[Mapping[str, str], ...]
    near: tuple[tuple[ImageId, ImageId, float], ...]
    folder: Path


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one gallery."""

    folder: Path

    @property
    def name(self) -> str:
        """Of the gallery."""
        return self.folder.name

    @property
    def thumbnails(self) -> Path:
        """Small copies, and nothing else: this folder is served."""
        return self.folder / "thumbnails"

    def picture(self, sha256: str) -> Path:
        """The copy of a picture that did not stay where it was."""
        return self.folder / "pictures" / f"{sha256}.jpg"

    def current(self) -> dict[str, str] | None:
        """The build in force and its manifest's checksum, or None before the first one.

        Raises:
            CirError: The note is damaged.
        """
        path = self.folder / "CURRENT"
        try:
            found = json.loads(path.read_bytes())
            return {"build": str(found["build"]), "manifest": str(found["manifest"])}
        except FileNotFoundError:
            return None
        except Exception as fault:  # of a hostile note: numbers without end, brackets without end
            raise CirError(self._damaged("CURRENT cannot be read")) from fault

    def read(self) -> Build:
        """The build in force, with every byte checked.

        Raises:
            MissingCheckpoint: There is none yet.
            CirError: It is damaged; the text names the file and the way out.
        """
        for last in (False, True):
            now = self.current()
            if now is None:
                raise MissingCheckpoint(
                    f"Gallery '{self.name}' is not finished. {_again(self.name)}"
                )
            try:
                return self._read(now)
            except CirError:
                if last or self.current() == now:  # no newer build has taken its place meanwhile
                    raise
        raise AssertionError  # the loop returns or raises

    def _read(self, now: Mapping[str, str]) -> Build:
        folder = self.folder / "builds" / now["build"]
        try:
            digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
        except OSError as fault:
            raise CirError(self._damaged("manifest.json is missing")) from fault
        if digest != now["manifest"]:
            raise CirError(self._damaged("manifest.json is not the one that CURRENT names"))
        return self._load(folder)

    def _load(self, folder: Path) -> Build:
        try:
            manifest, ids, vectors = read_build(folder)
            found = {
                name: json.loads((folder / f"{name}.json").read_bytes())
                for name in ("items", "left_out", "near")
            }
            signatures = np.frombuffer((folder / "signatures.bin").read_bytes(), np.uint8)
            return Build(
                manifest=manifest,
                items=read_items(found["items"], ids),
                vectors=vectors,
                signatures=signatures.reshape(len(ids), -1),
                left_out=read_left_out(found["left_out"]),
                near=read_near(found["near"], ids),
                folder=folder,
            )
        except CirError as fault:
            raise CirError(
                f"{str(fault).split(' Build it with')[0]} {_again(self.name)}"
            ) from fault
        except Exception as fault:  # right checksums do not make right contents
            raise CirError(self._damaged(str(fault))) from fault

    def summary(self) -> dict[str, Any] | None:
        """Count and date of the build in force, for a list; not verified. None where none is."""
        with contextlib.suppress(Exception):  # damaged: opening it says so
            now = self.current()
            if now is not None:
                path = self.folder / "builds" / now["build"] / "manifest.json"
                found = json.loads(path.read_bytes())
                return {"count": int(found["count"]), "built": str(found["built"])}
        return None

    def usable(self) -> list[Build]:
        """Every build that is whole, the newest first: vectors in them need no second encoding."""
        found = []
        for folder in sorted((self.folder / "builds").glob("[0-9]*"), reverse=True):
            with contextlib.suppress(CirError):
                found.append(self._load(folder))
        return found

    def publish(
        self, items: Sequence[Item], vectors: np.ndarray, extra: Mapping[str, bytes], **facts: Any
    ) -> None:
        """Write a build and put it into force; a crash or an error leaves the old one there.

        Args:
            items: One a row.
            vectors: (N, D) float32, unit norm.
            extra: signatures.bin, left_out.json, near.json.
            facts: space, preprocessing, and more fields of the manifest.

        Raises:
            OSError: It could not be written.
        """
        builds = self.folder / "builds"
        builds.mkdir(parents=True, exist_ok=True)
        for stray in builds.glob(".tmp-*"):
            shutil.rmtree(stray, ignore_errors=True)
        before = [int(p.name) for p in builds.glob("[0-9]*")]
        number = f"{max(before, default=0) + 1:04d}"
        temporary = builds / f".tmp-{number}"
        rows = [{name: getattr(item, name) for name in Item.__slots__} for item in items]
        space, preprocessing = facts.pop("space"), facts.pop("preprocessing")
        try:
            save_build(
                temporary,
                name=self.name,
                ids=[item.image_id for item in items],
                vectors=vectors,
                space=space,
                preprocessing=preprocessing,
                extra={"items.json": _json(rows), **extra},
                facts=facts,
            )
            temporary.rename(builds / number)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(builds)
        manifest = (builds / number / "manifest.json").read_bytes()
        note = {"build": number, "manifest": hashlib.sha256(manifest).hexdigest()}
        write_file(self.folder / "CURRENT", json.dumps(note).encode())
        self._tidy(items)

    def _tidy(self, items: Sequence[Item]) -> None:
        """Remove what no build that is kept refers to; it may be left undone."""
        builds = sorted((self.folder / "builds").glob("[0-9]*"), reverse=True)
        for old in builds[KEPT:]:
            shutil.rmtree(old, ignore_errors=True)
        with contextlib.suppress(OSError, ValueError):
            told = (json.loads((b / "manifest.json").read_bytes()) for b in builds[:KEPT])
            milvus.tidy(self.folder, [milvus.Place.read(m.get("index", {})) for m in told])
        with contextlib.suppress(OSError):
            (self.folder / "journal").unlink(missing_ok=True)
            for folder in (self.thumbnails, self.folder / "pictures"):
                wanted = {item.sha256 for item in items}
                for path in folder.glob("*") if folder.is_dir() else ():
                    if path.stem not in wanted:
                        path.unlink()

    # --- work under way --------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the gallery for writing; the system lets go of it when the process ends.

        Raises:
            BadInput: Another process, or another build of this one, holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a+b") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as fault:
                stream.seek(0)
                holder = stream.read(200).decode("utf-8", "replace") or "another process"
                raise BadInput(
                    f"Gallery '{self.name}' is being built by {holder}. Wait for it, or stop it."
                ) from fault
            stream.truncate(0)
            stream.write(f"process {os.getpid()} since {time.strftime('%H:%M:%S')}".encode())
            stream.flush()
            yield

    def journal(self, **header: Any) -> Journal:
        """The finished work of a build under way."""
        return Journal(self.folder / "journal", header)

    def remember(self, about: Mapping[str, Any]) -> None:
        """Note where the pictures come from, so that a build can go on without being told."""
        write_file(self.folder / "source.json", _json(dict(about)))

    def about(self) -> dict[str, Any]:
        """What `remember` noted, or nothing."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self.folder / "source.json").read_bytes())
            return found if isinstance(found, dict) else {}
        return {}

    def under_way(self) -> bool:
        """Whether a build was begun and not finished."""
        return (self.folder / "journal").is_file()

    def _damaged(self, what: str) -> str:
        return f"Gallery '{self.name}' is damaged: {what}. {_again(self.name)}"


@dataclass(frozen=True, slots=True)
class Own:
    """All galleries of a user, below one folder."""

    root: Path

    def home(self, name: str) -> Home:
        """The folder of a gallery, whether it is there or not.

        Raises:
            BadInput: The name is not one that a gallery can have.
        """
        if not NAME.fullmatch(name):
            raise BadInput(
                f"{name!r} cannot be a gallery's name. Use small letters, digits, - and _, at most "
                "40 of them, a letter or a digit first."
            )
        return Home(self.root / name)

    def names(self) -> tuple[str, ...]:
        """Galleries with a build in force, visitors' left out."""
        found = sorted(self.root.glob("*/CURRENT")) if self.root.is_dir() else []
        names = (path.parent.name for path in found)
        return tuple(n for n in names if NAME.fullmatch(n) and not n.startswith(VISITOR))

    def unfinished(self) -> tuple[str, ...]:
        """Galleries whose build was begun and not finished."""
        found = sorted(self.root.glob("*/journal")) if self.root.is_dir() else []
        return tuple(p.parent.name for p in found if not p.parent.name.startswith(VISITOR))

    def delete(self, name: str) -> None:
        """Remove a gallery with its copies; the user's own files are elsewhere and stay.

        Raises:
            BadInput: It is being built.
        """
        home = self.home(name)
        if home.folder.is_dir():
            with home.lock():
                (home.folder / "CURRENT").unlink(missing_ok=True)  # from here on it is not listed
                milvus.tidy(home.folder, ())
                shutil.rmtree(home.folder, ignore_errors=True)

    def expire(self, seconds: float = HOUR) -> None:
        """Delete visitors' galleries that are older."""
        for folder in self.root.glob(f"{VISITOR}*") if self.root.is_dir() else ():
            with contextlib.suppress(CirError, OSError):
                if time.time() - folder.stat().st_mtime > seconds:
                    self.delete(folder.name)


def _again(name: str) -> str:
    return (
        f'Run "python -m cirdemo index FOLDER --name {name}" again: what is whole is kept, only '
        "the rest is encoded."
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
