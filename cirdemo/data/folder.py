"""Pictures that a user brings: a folder, an archive, single files, a benchmark's pictures.

Originals are only ever read. Links are never followed: one that stays inside the folder would
show its file twice, one that leads out would take in what the user did not name.
"""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cirdemo.archives import (
    LOCAL,
    Found,
    LeftOut,
    Limits,
    ZipGate,
    is_zip,
    printable,
    refused_name,
    told,
)
from cirdemo.intake import NO_PICTURE, may_be_picture
from cirdemo.types import BadInput, ImageId

HEAD = 32  # bytes that tell a picture or an archive from other files
Scan = tuple[list[Found], list[LeftOut]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Where the pictures of a gallery come from.

    `stays` says that the files remain where they are: a gallery then refers to them. Of others
    (archives, uploads) it keeps copies of its own.
    """

    about: Mapping[str, Any]  # kind and path, for the gallery's card and for updating it
    paths: tuple[Path, ...]
    stays: bool
    limits: Limits = LOCAL
    listed: Mapping[ImageId, Path | None] | None = None  # a benchmark's pictures by id

    def scan(self) -> Scan:
        """Every file, as something to look at or as left out; both by name.

        Raises:
            BadInput: The archive cannot be opened.
        """
        if self.listed is not None:
            return _listed(self.listed, self.limits)
        found: list[Found] = []
        out: list[LeftOut] = []
        for path in self.paths:
            if path.is_dir():
                parts = _walk(path, self.limits)
            elif is_zip(_head(path)):
                parts = ZipGate(path, self.limits).scan()
            else:
                parts = [_file(path, path.name, self.limits)], []
            found += parts[0]
            out += parts[1]
        return _unique(found, out, self.limits)


def pictures_at(path: str | Path, limits: Limits = LOCAL) -> Pictures:
    """The pictures of a folder or of a ZIP archive.

    Raises:
        BadInput: There is neither.
    """
    where = Path(path).expanduser()
    try:
        where = where.resolve(strict=True)
        folder = where.is_dir()
        if not folder and not is_zip(_head(where)):
            raise BadInput(f"'{where.name}' is neither a folder nor a ZIP archive. Name one.")
    except (OSError, ValueError, RuntimeError) as fault:
        raise BadInput(
            f"There is no folder or archive '{path}' that can be read. Check the path."
        ) from fault
    about = {"kind": "folder" if folder else "zip", "path": str(where)}
    return Pictures(about=about, paths=(where,), stays=folder, limits=limits)


def uploaded(paths: Sequence[str | Path], limits: Limits = LOCAL) -> Pictures:
    """Files that were handed over, pictures and archives mixed; they will not stay.

    Raises:
        BadInput: There is none.
    """
    if not paths:
        raise BadInput("Choose pictures or a ZIP archive first.")
    return Pictures(
        about={"kind": "upload", "path": ""},
        paths=tuple(sorted((Path(p) for p in paths), key=lambda p: p.name)),
        stays=False,
        limits=limits,
    )


def listed(name: str, root: Path, files: Mapping[ImageId, Path | None]) -> Pictures:
    """The pictures of a benchmark, under the benchmark's own ids."""
    about = {"kind": "benchmark", "path": str(root), "name": name}
    return Pictures(about=about, paths=(root,), stays=True, listed=files)


# --- parts --------------------------------------------------------------------------------


def _walk(root: Path, limits: Limits) -> Scan:
    """All files below a folder; an archive among them counts as a folder."""
    found: list[Found] = []
    out: list[LeftOut] = []
    denied = functools.partial(_denied, root, out)
    for where, folders, names in os.walk(root, onerror=denied):
        at = Path(where)
        for folder in list(folders):
            inside = (at / folder).relative_to(root).as_posix()
            refused = _refused(at / folder, inside, root)
            if refused is not None:
                folders.remove(folder)
                out.append(_left(inside + "/", refused))
        for name in names:
            path = at / name
            inside = path.relative_to(root).as_posix()
            refused = _refused(path, inside, root)
            if refused is not None:
                out.append(_left(inside, refused))
                continue
            head = _head(path)
            if is_zip(head) and path.suffix.lower() == ".zip":  # documents are archives too
                try:
                    more, less = ZipGate(path, limits, prefix=inside + "/").scan()
                except BadInput as fault:
                    more, less = [], [_left(inside, ("unreadable", str(fault)))]
                found += more
                out += less
            elif may_be_picture(name, head):
                found.append(_file(path, inside, limits))
            else:
                out.append(_left(inside, ("other file", NO_PICTURE)))
    return found, out


def _refused(path: Path, inside: str, root: Path) -> tuple[str, str] | None:
    """Why a file or a folder is not taken, or None."""
    if (refused := refused_name(inside)) is not None:
        return refused
    try:
        mode = path.lstat().st_mode
    except OSError:
        return "unreadable", "It cannot be read. Check its rights."
    if stat.S_ISLNK(mode):
        try:
            within = path.resolve(strict=True).is_relative_to(root)
        except (OSError, RuntimeError):
            return "link", "It is a link to nothing."
        if within:
            return "link", "It is a link; what it points to is taken where it lies."
        return "link", "It is a link that leads out of the folder."
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        return "other file", "It is no plain file."
    return None


def _denied(root: Path, out: list[LeftOut], fault: OSError) -> None:
    inside = Path(str(fault.filename)).relative_to(root).as_posix()
    out.append(_left(inside + "/", ("unreadable", "The folder cannot be read. Check its rights.")))


def _left(name: str, why: tuple[str, str]) -> LeftOut:
    return LeftOut(path=printable(name), kind=why[0], reason=why[1])


def _file(path: Path, image_id: ImageId, limits: Limits) -> Found:
    return Found(image_id=image_id, read=functools.partial(_bytes, path, limits), path=path)


def _bytes(path: Path, limits: Limits) -> bytes:
    try:
        size = path.stat().st_size
        if size > limits.file_bytes:
            raise BadInput(f"It is larger than {told(limits.file_bytes)}.")
        return path.read_bytes()
    except OSError as fault:
        raise BadInput("It cannot be read. Check that it is there, and its rights.") from fault


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(HEAD)
    except OSError:
        return b""


def _listed(files: Mapping[ImageId, Path | None], limits: Limits) -> Scan:
    found = [_file(path, i, limits) for i, path in files.items() if path is not None]
    gone = ("missing", "The benchmark names it, but it is not on disk.")
    return sorted(found, key=_by_id), [_left(i, gone) for i, p in files.items() if p is None]


def _unique(found: list[Found], out: list[LeftOut], limits: Limits) -> Scan:
    """Sorted by id; a second file of one name and what is above the limit are left out."""
    kept: dict[ImageId, Found] = {}
    for one in sorted(found, key=_by_id):
        if one.image_id in kept:
            out.append(_left(one.image_id, ("name", "Another file has the same name.")))
        elif len(kept) >= limits.entries:
            why = f"At most {limits.entries:,} files are taken at once."
            out.append(_left(one.image_id, ("limit", why)))
        else:
            kept[one.image_id] = one
    return list(kept.values()), sorted(out, key=lambda o: o.path)


def _by_id(one: Found) -> ImageId:
    return one.image_id
