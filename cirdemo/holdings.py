"""What an engine has: methods, galleries, datasets, and the galleries its user builds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cirdemo import coarse, prompts, stages
from cirdemo.parts import Parts, named
from cirdemo.registry import unknown
from cirdemo.types import BadInput, CirError, Composer, Dataset, MissingCheckpoint

if TYPE_CHECKING:
    from cirdemo.gallery.fetch import Manifest
    from cirdemo.gallery.own import Own
    from cirdemo.gallery.progress import Progress
    from cirdemo.gallery.store import Gallery
    from cirdemo.gallery.work import Source


class Holdings:
    """The parts of an engine by name."""

    def __init__(self, parts: Parts) -> None:
        """Over parts; loads nothing yet."""
        self.parts = parts
        self.memories = stages.Memories()

    def methods(self) -> dict[str, str | None]:
        """Every method's name, with the reason it cannot run or None; loads nothing."""
        table: dict[str, str | None] = {}
        for name in (*self.parts.composers, *self.parts.fusions):
            table[name] = coarse.why_not(self.parts, name)
            if name == "intersection":
                table["setr"] = table[name] or self.parts.judge.why_not()
        return table

    def galleries(self) -> tuple[str, ...]:
        """Names of the galleries."""
        return tuple(self.parts.galleries)

    def gallery(self, name: str) -> Gallery:
        """A gallery by name, or UnknownName with the nearest one."""
        return named("gallery", name, self.parts.galleries).get()

    def dataset(self, name: str) -> Dataset:
        """A dataset by name, or UnknownName with the nearest one."""
        return named("dataset", name, self.parts.datasets).get()

    def composer(self, name: str) -> Composer:
        """A method of one vector by name, or UnknownName with the nearest one."""
        return named("method", name, self.parts.composers).get()

    def require(self, methods: Sequence[str]) -> None:
        """Check that methods exist and can run; a fusion may choose its lists ("rrf:text+image").

        Raises:
            UnknownName: A method does not exist.
            BadInput: The lists of a fusion do not fit it.
            MissingCheckpoint: A method cannot run; the text says why.
        """
        table = self.methods()
        for name in methods:
            if name not in table and name.partition(":")[0] not in self.parts.fusions:
                raise unknown("method", name, table)
            reason = table[name] if name in table else coarse.why_not(self.parts, name)
            if reason is not None:
                raise MissingCheckpoint(f"Method {name!r} cannot run: {reason}")

    # --- the user's own galleries ------------------------------------------------------------

    def own(self) -> Own:
        """Where galleries that the user builds are kept.

        Raises:
            CirError: This engine keeps none.
        """
        if self.parts.own is None:
            raise CirError("This engine builds no galleries.")
        return self.parts.own

    def index(
        self,
        name: str,
        source: Source,
        *,
        add: bool = False,
        replace: bool = False,
        store: str = "",
        cluster: str | None = None,
    ) -> Iterator[Progress]:
        """Build or update a gallery of the user's; see `gallery.indexing.index`.

        With a `cluster`, Ray encodes: at that address, or "" for one on this machine.

        Raises:
            BadInput: The name cannot be used, or no picture can.
            SpaceMismatch: The gallery is of another encoder.
        """
        from cirdemo.gallery import indexing  # faiss takes a while

        home = self.own().home(name)
        if name in self.parts.galleries and home.current() is None:
            raise BadInput(f"Gallery '{name}' belongs to the program. Choose another name.")
        encoder = self.parts.encoder.get()
        helper = None
        if cluster is not None:
            from cirdemo.gallery.ray_engine import Cluster

            if self.parts.make_encoder is None:
                raise CirError("This engine's encoder runs in one process alone.")
            cores = len(os.sched_getaffinity(0))
            make = self.parts.make_encoder
            helper = Cluster(make_encoder=make, address=cluster, workers=cores)
        return indexing.index(
            home, source, encoder, add=add, replace_space=replace, store=store, helper=helper
        )

    def fetchable(self) -> dict[str, Manifest]:
        """Photographs that may be fetched, by the name of their gallery; nothing is fetched yet."""
        from cirdemo.gallery import fetch

        home = self.parts.manifests
        found = sorted(home.glob("*.json")) if home is not None else []
        return {path.stem: fetch.read(path) for path in found}

    def fetch_gallery(self, name: str, *, replace: bool = False) -> Iterator[Progress]:
        """Fetch freely licensed photographs and build a gallery of them; see `gallery.fetch`.

        Raises:
            UnknownName: There is no such set.
            CirError: They cannot be had; the text says how to go on by hand.
        """
        from cirdemo.data import folder
        from cirdemo.gallery import fetch

        found = self.fetchable()
        if name not in found:
            raise unknown("set of photographs", name, found)
        place = self.own().root / ".fetched" / name
        yield from fetch.fetch(found[name], place)
        pictures = folder.pictures_at(place / fetch.PICTURES)
        yield from self.index(name, pictures, replace=replace)

    def caption(self, name: str) -> Iterator[int]:
        """Have the language model caption a gallery of the user's; yields how many have one.

        Raises:
            CirError: This profile has no language model that captions.
        """
        from cirdemo.gallery import captions  # faiss takes a while

        if self.parts.captioner is None:
            raise CirError("This set of models writes no captions; pick another profile.")
        home, gallery = self.own().home(name), self.gallery(name)
        caption = self.parts.captioner.get()
        model = str(getattr(getattr(caption, "__self__", None), "identity", "language model"))
        return captions.write(home, gallery, caption, model, prompts.CAPTION)
