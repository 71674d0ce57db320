"""The façade: one query through describe, coarse, rerank and reason; and what can run here.

The engine knows the order of the stages and no concrete part: `config.build_engine` hands it the
parts, each loaded on first use.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from cirdemo import coarse, stages
from cirdemo.explain.support import Support, supports
from cirdemo.holdings import Holdings
from cirdemo.intake import clean_text, load_image
from cirdemo.lettering import has_writing
from cirdemo.region import masked
from cirdemo.registry import unknown
from cirdemo.retrieve import compose
from cirdemo.steer import Steer, steered
from cirdemo.types import (
    BadInput,
    CirError,
    Composed,
    Composer,
    Heatmap,
    ImageId,
    Judgement,
    Mode,
    Query,
    Ranking,
    Rationale,
    SearchResult,
    Why,
)
from cirdemo.unheard import never_seen

if TYPE_CHECKING:
    from cirdemo.gallery.store import Gallery

WRITING = (
    "The reference image seems to carry writing. A model that reads can be swayed by what stands "
    "there."
)
STRANGE_PICTURE = (
    "The reference looks like nothing the models were trained on: what they say of it is a guess."
)
DEPTH = 50  # candidates judged when SETR is asked for without a depth, as in the search contract


class Engine(Holdings):
    """Runs queries and yields what they have produced after every stage."""

    def make_query(
        self,
        *,
        text: str,
        reference: Image.Image | Path | str | bytes | None = None,
        reference_id: ImageId | None = None,
        gallery: str = "fables",
        region: str = "",
    ) -> Query:
        """A query from outside: a picture or the id of a gallery picture, and a text.

        A `region` of the picture can be hidden from the models, see `cirdemo.region`.

        Raises:
            BadInput: Picture or text cannot be used, or not exactly one reference is given.
            UnknownName: The gallery or the id in it does not exist.
        """
        if (reference is None) is (reference_id is None):
            raise BadInput("Give one reference: a picture, or the id of a gallery picture.")
        text = clean_text(text)
        if reference_id is not None:
            shelf = self.gallery(gallery)
            if reference_id not in shelf.ids:
                raise unknown(f"picture in gallery {gallery!r}", reference_id, shelf.ids)
            reference = shelf.image(reference_id)
        image = load_image(reference)  # type: ignore[arg-type]  # one of the two was given
        image = masked(image, region)
        digest = hashlib.sha256(image.tobytes() + repr((image.size, text)).encode()).hexdigest()
        return Query(
            query_id=digest[:12], reference=image, modification=text, reference_id=reference_id
        )

    def search(
        self,
        query: Query,
        *,
        gallery: str = "fables",
        methods: Sequence[str] = ("union", "intersection"),
        rerank: int = DEPTH,
        rerank_on: str = "intersection",
        fuse: bool = False,
        reason: bool = True,
        top: int = 50,
        descriptions: Mapping[Mode, str] | None = None,
        text_weight: float | None = None,
        steer: Steer | None = None,
        thoughts: Rationale | None = None,
        tuned: bool = True,
        where: str = "",
    ) -> Iterator[SearchResult]:
        """The result after each stage: describe, coarse, rerank, reason.

        Between the last ones come partial results, of the stages "judging" and "reasoning".

        Args:
            query: From `make_query`.
            gallery: Where to search.
            methods: Coarse methods; "setr" asks for intersection and the judge, "cot" for reason.
            rerank: How many candidates the judge sees; 0 leaves the stage out.
            rerank_on: The method whose list is re-ranked.
            fuse: Order by the judge's log-odds plus the coarse retriever's log-probability, and
                not by P(Yes) alone.
            reason: Whether to run CIR-CoT.
            top: Length of the coarse lists that are returned; what was judged is returned whole.
            descriptions: Texts to use in place of the writer's, by mode.
            text_weight: The text's share in `sum`, in [0, 1]; its own unless given.
            steer: What moves every method's vector beside the words.
            thoughts: The first steps of the rationale, where the user wrote them.
            tuned: Whether the judge uses its adapter.
            where: Which pictures may be found, for a gallery in Milvus.

        Raises:
            UnknownName: A method or the gallery does not exist.
            BadInput: A number is out of its range, or options contradict each other.
            MissingCheckpoint: A method that was asked for cannot run. A judge or a reasoner that
                was not asked for by name leaves a notice, as does one that fails on the way.
        """
        if top < 1 or rerank < 0:
            raise BadInput(f"top must be at least 1 and rerank at least 0, got {top}, {rerank}.")
        self.require(methods)
        if "setr" in methods:
            if rerank_on != "intersection":
                raise BadInput(f"'setr' re-ranks 'intersection'; leave it out for {rerank_on!r}.")
            rerank = rerank or DEPTH
        names = [m for m in dict.fromkeys(methods) if m not in ("setr", "cot")]
        shelf = self.gallery(gallery)
        words = self.parts.unknown_words(query.modification)
        notices = []
        own = bool(getattr(shelf, "about", {}).get("source"))  # the user's pictures, not shipped
        if (query.reference_id is None or own) and not self.parts.is_familiar(query.reference):
            notices.append(STRANGE_PICTURE)
        if has_writing(query.reference):
            notices.append(WRITING)
        if rerank and fuse:
            coarse.check_cosines(self.parts, rerank_on)
        if rerank and rerank_on not in names:
            if reason_against := coarse.why_not(self.parts, rerank_on):
                notices.append(f"Nothing is re-ranked: {reason_against}")
                rerank = 0
            else:
                names.append(rerank_on)
        result = SearchResult(
            query=query,
            stage="",
            tuned=tuned,
            models={"encoder": self.parts.encoder.get().space},
            unknown_words=words,
            notices=tuple(notices),
        )
        composers = self._composers(names, text_weight)
        asks = list(composers.values())
        if rerank and (part := self.parts.composers.get("intersection")) and not part.why_not():
            asks.append(part.get())  # the judge is told this description, whatever list it judges

        given, memories, hand = descriptions or {}, self.memories, steer or Steer()
        result = stages.describe(result, asks, given, memories, hand.without)
        if words:
            told = never_seen(words, [d.text for d in result.descriptions.values()])
            result = replace(result, notices=(told, *result.notices))
        yield result
        start = time.perf_counter()

        def moved(vector: Composed) -> Composed:
            return steered(vector, hand, shelf, self.parts.encoder.get().encode_texts)

        found: dict[str, Composed] = {}
        took: dict[str, float] = {}
        for name, composer in composers.items():
            began = time.perf_counter()
            found[name] = compose(composer, query, result.descriptions)
            took[name] = time.perf_counter() - began
        composed = {n: moved(c) for n, c in found.items()}
        depth = max(top, rerank)
        deep = {n: self._rank(shelf, n, composed, query, depth, where) for n in names}
        lists = {n: replace(r, candidates=r.candidates[:top]) for n, r in deep.items()}
        result = stages.done(
            result, "coarse", start, composed=composed, coarse=lists, method_seconds=took
        )
        yield result
        if rerank:
            prior = getattr(self.parts.encoder.get(), "scale", 1.0) if fuse else 0.0
            ranking = deep[rerank_on]
            result = yield from stages.rerank(
                result,
                shelf,
                ranking,
                self.parts.judge,
                rerank,
                memories,
                prior=prior,
                tuned=tuned,
                without=hand.without,
            )
        if reason or "cot" in methods:
            yield from stages.reason(
                result,
                lambda: self.composer("cot"),
                lambda vector: self._rank(shelf, "cot", {"cot": vector}, query, top, where),
                memories,
                thoughts,
                found=found.get("cot"),
                move=moved,
            )

    # --- beside a search -------------------------------------------------------------------

    def judge(
        self,
        query: Query,
        image_ids: Sequence[ImageId],
        *,
        gallery: str = "fables",
        wanted: str = "",
    ) -> Iterator[Judgement]:
        """The judge's verdicts on named pictures, in their order.

        Args:
            query: From `make_query`.
            image_ids: Pictures of the gallery.
            gallery: Where they are.
            wanted: The stage-1 description for the judge; the intersection is written if empty.

        Raises:
            UnknownName: The gallery or a picture in it does not exist.
            MissingCheckpoint: There is no judge.
        """
        shelf, known = self.gallery(gallery), set(self.gallery(gallery).ids)
        for image_id in image_ids:
            if image_id not in known:
                raise unknown(f"picture in gallery {gallery!r}", image_id, shelf.ids)
        judge = self.parts.judge.get()
        if not wanted and self.methods().get("intersection", "") is None:
            options: dict[str, Any] = {"methods": ["intersection"], "rerank": 0, "reason": False}
            told = next(self.search(query, gallery=gallery, **options))
            wanted = told.descriptions["intersection"].text
        yield from judge.judge(query, [(i, shelf.image(i)) for i in image_ids], wanted)

    def explain(
        self, image: Image.Image, texts: Sequence[str], image_id: ImageId = ""
    ) -> list[Heatmap]:
        """Where a picture carries its similarity to texts: one map a text, on one value range.

        Raises:
            CirError: This engine has no heatmaps.
        """
        if self.parts.heatmaps is None:
            raise CirError("This set of models draws no heatmaps; pick another profile.")
        return self.parts.heatmaps(self.parts.encoder.get(), image, texts, image_id)

    def supports(self, result: SearchResult) -> tuple[Support, ...]:
        """What each piece of a result's rationale rests on; nothing where there is none."""
        if result.rationale is None:
            return ()
        sure = getattr(self.composer("cot"), "certainty", None)
        if sure is None:
            return ()
        edit = result.query.modification
        return supports(result.rationale, edit, lambda text: sure(result.query, text))

    def why(self, result: SearchResult, gallery: str, image_id: ImageId) -> Why:
        """The judge's verdict on one picture taken apart: what it writes, and cue by cue.

        Raises:
            CirError: The judge cannot run, or cannot give reasons.
        """
        judge = self.parts.judge.get()
        if not hasattr(judge, "why") or "intersection" not in result.descriptions:
            raise CirError("This judge gives verdicts without reasons.")
        picture = self.gallery(gallery).image(image_id)
        wanted = result.descriptions["intersection"].text
        found: Why = judge.why(result.query, image_id, picture, wanted)
        return found

    def _composers(self, methods: Sequence[str], text_weight: float | None) -> dict[str, Composer]:
        """What the methods' lists come from, `sum` with another weight where one is given."""
        names = [c for m in methods for c in coarse.composers_of(self.parts, m)]
        composers = {name: self.composer(name) for name in names}
        if text_weight is not None:
            if "sum" not in composers:
                raise BadInput("The text's weight is for the method 'sum', which is not asked for.")
            composers["sum"] = composers["sum"].weighted(text_weight)  # type: ignore[attr-defined]
        return composers

    def _rank(
        self,
        shelf: Gallery,
        method: str,
        composed: Mapping[str, Composed],
        query: Query,
        k: int,
        where: str,
    ) -> Ranking:
        options: dict[str, Any] = {"exclude": query.reference_id, "query_id": query.query_id}
        return coarse.rank(self.parts, shelf, method, composed, k, where=where, **options)
