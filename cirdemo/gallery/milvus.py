"""The rows of a gallery in Milvus: where they are, how they are written, counted and removed.

One collection a space, one partition a build. Every wait ends, and every fault becomes a sentence.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from cirdemo.gallery.files import write_file
from cirdemo.types import BadInput, CirError

log = logging.getLogger(__name__)

PREFIX = "milvus:"  # of what a store is called: milvus:./file.db, milvus:http://host:19530
CONNECT = 10.0  # seconds that a server has to answer at all,
CALL = 30.0  # to search, count or drop,
LOAD = 600.0  # and to write a batch to disk or to load a partition
TELL = 5.0  # seconds between two words about how long that takes
BATCH_BYTES = 4 * 2**20  # of vectors sent together; a server takes 64 MB
FIELDS = ("image_id", "width", "height", "bytes")  # that a filter may name
NOTE = "milvus.json"  # in a gallery's folder: every place that its rows may be in
NO_PACKAGE = "Milvus needs two packages more: pip install pymilvus milvus-lite"
Fields = Mapping[str, Sequence[Any]]  # by name, one value a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the rows of a build are; a manifest holds it."""

    uri: str
    collection: str
    partition: str

    @classmethod
    def of(cls, uri: str, *, gallery: str, space: str, vectors: np.ndarray) -> Place:
        """The place of a build, which changes with its vectors (N, D)."""
        digest = hashlib.sha256(f"{gallery} {vectors.shape}".encode())
        digest.update(np.ascontiguousarray(vectors, "<f4").tobytes())
        known = hashlib.sha256(space.encode()).hexdigest()[:16]
        width = vectors.shape[1]
        return cls(uri=uri, collection=f"cirdemo_{known}_{width}", partition=_name(digest))

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Place:
        """The place that a manifest names."""
        return cls(**{n: str(told.get(n, "")) for n in cls.__slots__})

    def told(self) -> dict[str, str]:
        """For a manifest."""
        return asdict(self)

    @property
    def first(self) -> int:
        """The key of row 0: keys are unique in a collection, whatever partition they are in."""
        return int(self.partition[1:9], 16) >> 1 << 32


def _name(digest: Any) -> str:
    return "b" + str(digest.hexdigest())[:24]  # a letter first, as Milvus wants it


def address(store: str) -> str:
    """What `store` names after "milvus:": a file's full path, or a server's address.

    Raises:
        BadInput: It names neither, or holds a password.
    """
    uri = store.removeprefix(PREFIX)
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https") and parts.hostname:
        if parts.username or parts.password:
            raise BadInput(
                "An address with a password would be written into the gallery. Leave it out and "
                "set CIRDEMO_MILVUS_TOKEN=user:password."
            )
        return uri
    if uri.endswith(".db") and "://" not in uri:
        path = Path(uri).expanduser().resolve()
        if not path.parent.is_dir():
            raise BadInput(f"There is no folder '{path.parent}' for the Milvus file. Make it.")
        return str(path)
    raise BadInput(
        f"{store!r} names no store. Write faiss, milvus:./file.db or milvus:http://host:19530."
    )


def connect(uri: str) -> Any:
    """A client of a server, or of a file that this process opens.

    Raises:
        CirError: The packages are missing, or nothing answers.
    """
    try:
        import pymilvus
    except ImportError as fault:
        raise CirError(NO_PACKAGE) from fault
    if "://" not in uri:
        try:
            import milvus_lite  # noqa: F401
        except ImportError as fault:
            raise CirError(NO_PACKAGE) from fault
    for name in ("pymilvus", "milvus_lite", "grpc"):  # what they log, they raise as well
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with told(uri):
        token = os.environ.get("CIRDEMO_MILVUS_TOKEN", "")
        # a pool of its own: one that is shared waits longer after each failure, whoever asks
        options = {"grpc.use_local_subchannel_pool": 1}
        return pymilvus.MilvusClient(
            uri, token=token, timeout=CONNECT, dedicated=True, grpc_options=options
        )


def count(client: Any, place: Place) -> int:
    """Rows of a build that Milvus has."""
    if not client.has_collection(place.collection, timeout=CALL):
        return 0
    if not client.has_partition(place.collection, place.partition, timeout=CALL):
        return 0
    client.load_collection(place.collection, timeout=LOAD)
    found = client.query(
        place.collection,
        filter=between(place.first, place.first + 2**32),
        output_fields=["count(*)"],
        partition_names=[place.partition],
        timeout=CALL,
    )
    return int(found[0]["count(*)"])


def noted(folder: Path) -> list[Place]:
    """Every place that a gallery's rows may be in."""
    try:
        return [Place.read(one) for one in json.loads((folder / NOTE).read_bytes())]
    except (OSError, ValueError, AttributeError, TypeError):
        return []


def note(folder: Path, places: Sequence[Place]) -> None:
    """Remember them in the gallery's folder, before a row is written there."""
    if places or (folder / NOTE).exists():
        rows = [place.told() for place in dict.fromkeys(places)]
        write_file(folder / NOTE, json.dumps(rows).encode())


def tidy(folder: Path, kept: Sequence[Place]) -> None:
    """Remove rows of builds that are gone; what cannot be removed now is tried again next time."""
    left = []
    for place in noted(folder):
        try:
            if place not in kept:
                drop(place)
                continue
        except CirError as fault:
            log.warning("Rows of an old build stay in Milvus. %s", fault)
        left.append(place)
    note(folder, left)


def drop(place: Place) -> None:
    """Remove a build's rows.

    Raises:
        CirError: Milvus does not answer.
    """
    if "://" not in place.uri and not Path(place.uri).exists():
        return
    client = connect(place.uri)
    with told(place.uri), contextlib.closing(client):
        _drop(client, place)


def _drop(client: Any, place: Place) -> None:
    if not client.has_collection(place.collection, timeout=CALL):
        return
    if client.has_partition(place.collection, place.partition, timeout=CALL):
        with contextlib.suppress(Exception):  # a server wants this, milvus-lite does not know it
            client.release_partitions(place.collection, [place.partition], timeout=CALL)
        client.drop_partition(place.collection, place.partition, timeout=CALL)


def write(client: Any, place: Place, vectors: np.ndarray, fields: Fields) -> None:
    """Put rows in place of those there; returns when they are on disk."""
    from pymilvus import DataType

    if not client.has_collection(place.collection, timeout=CALL):
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("pk", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=vectors.shape[1])
        schema.add_field("image_id", DataType.VARCHAR, max_length=4096)
        for name in FIELDS[1:]:
            schema.add_field(name, DataType.INT64)
        flat = client.prepare_index_params()
        flat.add_index("vector", index_type="FLAT", metric_type="IP")
        client.create_collection(
            place.collection,
            schema=schema,
            index_params=flat,
            consistency_level="Strong",
            timeout=CALL,
        )
    _drop(client, place)  # half of what a killed build wrote, or nothing
    client.create_partition(place.collection, place.partition, timeout=CALL)
    step = max(1, BATCH_BYTES // (4 * vectors.shape[1]))
    empty = {name: "" if name == "image_id" else 0 for name in FIELDS}
    told_at = time.monotonic()
    for start in range(0, len(vectors), step):
        rows = [
            {"pk": place.first + row, "vector": vectors[row]}
            | {name: fields[name][row] if name in fields else empty[name] for name in FIELDS}
            for row in range(start, min(start + step, len(vectors)))
        ]
        client.insert(place.collection, rows, partition_name=place.partition, timeout=LOAD)
        if time.monotonic() - told_at > TELL:
            told_at = time.monotonic()
            log.info("Milvus: %d of %d rows written", start + len(rows), len(vectors))
    client.flush(place.collection, timeout=LOAD)


def between(first: int, end: int) -> str:
    """The filter of a range of keys."""
    return f"pk >= {first} and pk < {end}"


@contextlib.contextmanager
def told(uri: str, where: str = "") -> Iterator[None]:
    """Turn faults of Milvus and of the way to it into sentences; details go to the log.

    Raises:
        BadInput: The filter is not understood.
        CirError: Milvus does not answer.
    """
    import grpc
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except (MilvusException, grpc.RpcError, OSError) as fault:
        log.debug("Milvus at %s: %s", uri, fault)
        text = str(fault).lower()
        if where and any(word in text for word in ("expr", "filter", "parse", "syntax", "field")):
            raise BadInput(
                f"Milvus does not understand the filter {where!r}. It may name "
                f'{", ".join(FIELDS)}; for example: width >= 800 and image_id like "beach/%"'
            ) from fault
        if "://" in uri:
            raise CirError(
                f"The Milvus server at {uri} gives no answer. Start it and ask again, or move the "
                "gallery to this machine: run its index command again with --store faiss. Nothing "
                "is lost: the vectors are in the gallery's folder."
            ) from fault
        raise CirError(
            f"The Milvus file {uri} cannot be used: another process holds it, or it is damaged. "
            "Stop that process, or remove the file: it is written again from the gallery."
        ) from fault


@contextlib.contextmanager
def patience(what: str) -> Iterator[None]:
    """Say from time to time that something is still under way."""
    over, start = threading.Event(), time.monotonic()

    def say() -> None:
        while not over.wait(TELL):
            log.info("%s: %d s so far", what, time.monotonic() - start)

    threading.Thread(target=say, daemon=True).start()
    try:
        yield
    finally:
        over.set()
