"""Encodes a gallery's pictures on a Ray cluster, or on this machine's cores as one.

A group of files is one row of a Ray Data set; a worker reads, decodes and encodes it as a build
here would. Vectors and small copies come back, so that the build alone writes the gallery.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cirdemo.gallery import copies, near
from cirdemo.gallery.decoding import decode
from cirdemo.gallery.groups import SIZE, Group, encoded
from cirdemo.gallery.journal import Row
from cirdemo.types import BadInput, CirError, Encoder

NO_PACKAGE = 'Ray is a package more: pip install "ray[data]"'
REACH = 10.0  # seconds that a cluster has to answer
START = 180  # seconds that a cluster of this machine may take to start; a busy one takes a minute
CHANGED = "It changed while it was read. Build again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Workers that encode.

    Source: Moritz et al., "Ray: A Distributed Framework for Emerging AI Applications", 2018.
    """

    make_encoder: Callable[[], Encoder]  # pickled; runs once in every worker
    address: str = ""  # of a cluster, "auto" for the one here; "" starts one for this build
    workers: int = 2  # of a cluster that is started here

    def encoded(
        self, files: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[list[Row], dict[str, bytes]]]:
        """Rows and small copies, a group at a time in order, of (path, digest).

        Raises:
            BadInput: A worker does not see a file, or the cluster does not answer.
            CirError: Ray is missing, or the workers failed.
        """
        if not files:
            return
        with _started(self.address, self.workers) as ray:
            groups = [files[start : start + SIZE] for start in range(0, len(files), SIZE)]
            rows = [{"files": json.dumps(group)} for group in groups]
            cores = int(ray.cluster_resources().get("CPU", 1))
            pool = ray.data.ActorPoolStrategy(min_size=1, max_size=min(cores, len(groups)))
            found = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
                Worker, fn_constructor_args=(self.make_encoder,), compute=pool, num_cpus=1
            )
            try:
                for row in found.iter_rows():
                    if row["missing"]:
                        raise BadInput(
                            f"A worker does not see {row['missing']}. The folder must lie at the "
                            "same path on every machine of the cluster."
                        )
                    yield (
                        json.loads(row["rows"]),
                        dict(zip(row["digests"], row["copies"], strict=True)),
                    )
            except ray.exceptions.RayError as fault:
                raise CirError(
                    "The Ray workers failed. What is finished is kept: run the same again, or "
                    f"without --engine ray. The first line they gave: {_first(fault)}"
                ) from fault


class Worker:
    """Encodes groups in a process of Ray."""

    def __init__(self, make_encoder: Callable[[], Encoder]) -> None:
        self.encoder = make_encoder()

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """One group; files that are not seen stop it."""
        group, made = Group(), {}
        for path, digest in json.loads(row["files"]):
            try:
                data = Path(path).read_bytes()
            except OSError:
                return {"missing": path, "rows": "", "digests": [], "copies": []}
            try:
                if hashlib.sha256(data).hexdigest() != digest:
                    raise BadInput(CHANGED)
                picture = decode(data)
            except BadInput as fault:
                group.fail(digest, str(fault))
                continue
            small = copies.reduced(picture)
            made[digest] = copies.coded(small)
            group.add(digest, picture, near.signature(small))
            if group.ripe:
                group.rows += encoded(self.encoder, group.take())
        group.rows += encoded(self.encoder, group.take())
        return {
            "missing": "",
            "rows": json.dumps(group.rows),
            "digests": list(made),
            "copies": list(made.values()),
        }


@contextlib.contextmanager
def _started(address: str, workers: int) -> Iterator[Any]:
    """Ray, connected to a cluster or with one of its own, which is gone afterwards."""
    own = {
        "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to anybody
        "RAY_raylet_start_wait_time_s": str(START),
        "RAY_BACKEND_LOG_LEVEL": "fatal",  # what fails is raised
    }
    if not address:  # a password of its own, so that nobody else uses this one
        own |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        home = str(Path(__file__).resolve().parents[2])
        own["PYTHONPATH"] = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    folder = tempfile.mkdtemp(prefix="cirdemo-ray-")
    try:
        try:
            import ray
            import ray.data
        except ImportError as fault:
            raise CirError(NO_PACKAGE) from fault
        where: dict[str, Any] = {"address": address}
        _reach(address)
        if not address:
            where = {
                "address": "local",
                "num_cpus": workers,
                "include_dashboard": False,
                "_temp_dir": folder,
                "_node_ip_address": "127.0.0.1",
            }
        try:
            ray.init(**where, logging_level=logging.ERROR, log_to_driver=False)
        except (Exception, SystemExit) as fault:  # Ray ends a process that finds no cluster
            raise BadInput(
                f"The Ray cluster {address or 'of this machine'} cannot be used: {_first(fault)} "
                "Start it, or leave --engine ray out."
            ) from fault
        for name in ("ray", "ray.data"):  # a build tells its own progress
            logging.getLogger(name).setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        context.max_errored_blocks = 0
        try:
            yield ray
        finally:
            ray.shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _reach(address: str) -> None:
    """Try a cluster's address; Ray itself tries for three minutes and then ends the process.

    Raises:
        BadInput: Nothing listens there.
    """
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        if ":" in address:
            socket.create_connection((parts.hostname or "", parts.port or 0), REACH).close()
    except (OSError, ValueError) as fault:
        raise BadInput(
            f"No Ray cluster answers at {address}. Start it there (ray start --head), or leave "
            "--address out: then this machine's cores are used."
        ) from fault


def _first(fault: BaseException) -> str:
    return (str(fault).strip() or type(fault).__name__).splitlines()[0][:300]
