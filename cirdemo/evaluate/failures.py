"""Looking through the queries of an evaluation: what to filter by, how many each choice leaves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

from cirdemo.evaluate import errors
from cirdemo.evaluate.errors import BLAMES, lost_cues
from cirdemo.evaluate.packed import SETR, Case

MISSED, FOUND = "missed", "found"
LOWER = "not first"
BANDS = {"1": (1, 1), "2–5": (2, 5), "6–10": (6, 10), "11–50": (11, 50), "over 50": (51, 10**9)}
SURE = {
    "under 0.1": (0.0, 0.1),
    "0.1–0.5": (0.1, 0.5),
    "0.5–0.9": (0.5, 0.9),
    "0.9 and over": (0.9, 1.1),
}
UNJUDGED = "not judged"
UNION_AHEAD, CORE_AHEAD = "union beats intersection", "intersection beats union"
FACETS = ("blame", "band", "versus", "p", "kind", "phrasing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What to look at; "" takes all. Ranks are those of `method`."""

    method: str = SETR
    blame: str = MISSED
    band: str = ""
    versus: str = ""  # whose best target stands higher: the union's or the intersection's
    p: str = ""  # of the best judged target
    kind: str = ""
    phrasing: str = ""
    words: str = ""  # all of them stand in the modification or in a description

    def chosen(self, facet: str, value: str) -> Filter:
        """With a value chosen, or taken back where it was chosen already."""
        if facet not in {f.name for f in fields(self)}:
            return self
        now = getattr(self, facet)
        return replace(self, **{facet: "" if now == value and facet != "method" else value})


def band(rank: int | None) -> str:
    """The band of a rank; a target that is in no list is in the last."""
    place = rank or 10**9
    return next(name for name, (low, high) in BANDS.items() if low <= place <= high)


def values(case: Case, facet: str, method: str) -> tuple[str, ...]:
    """What a query is filed under: the broad value first."""
    if facet == "blame":
        if SETR not in case.ranks:
            return ()
        return (FOUND,) if case.blame is None else (MISSED, case.blame)
    if facet == "band":
        if method not in case.ranks:
            return ()
        found = band(case.ranks[method])
        return (found,) if found == "1" else (LOWER, found)
    if facet == "versus":
        if not {"union", "intersection"} <= set(case.ranks):
            return ()
        union, core = (case.ranks[m] or 10**9 for m in ("union", "intersection"))
        return () if union == core else (UNION_AHEAD if union < core else CORE_AHEAD,)
    if facet == "p":
        if SETR not in case.ranks:
            return ()
        p = case.target_p
        if p is None:
            return (UNJUDGED,)
        return tuple(name for name, (low, high) in SURE.items() if low <= p < high)
    value = getattr(case, facet)
    return (value,) if value else ()


def select(cases: Iterable[Case], asked: Filter) -> list[Case]:
    """The queries that fit."""
    return [c for c in cases if _fits(c, asked)]


def _fits(case: Case, asked: Filter, without: str = "") -> bool:
    for facet in FACETS:
        value = getattr(asked, facet)
        if value and facet != without and value not in values(case, facet, asked.method):
            return False
    if not asked.words.strip():
        return True
    told = " ".join((case.query_id, case.text, *case.texts.values())).lower()
    return all(word in told for word in asked.words.lower().split())


def counts(cases: Sequence[Case], asked: Filter) -> dict[str, dict[str, int]]:
    """By facet, how many queries each value would leave, the other facets as they are."""
    order = {
        "blame": (MISSED, *BLAMES, FOUND),
        "band": ("1", LOWER, *[b for b in BANDS if b != "1"]),
        "versus": (UNION_AHEAD, CORE_AHEAD),
        "p": (*SURE, UNJUDGED),
    }
    table: dict[str, dict[str, int]] = {}
    for facet in FACETS:
        every = {v for c in cases for v in values(c, facet, asked.method)}
        names = [v for v in order.get(facet, sorted(every)) if v in every]
        table[facet] = dict.fromkeys(names, 0)
        for case in cases:
            if _fits(case, asked, without=facet):
                for value in values(case, facet, asked.method):
                    table[facet][value] += 1
    return table


def lost(case: Case) -> list[str]:
    """Phrases of the true intersection description that the written one does not have."""
    truth, written = case.truths.get("intersection", ""), case.texts.get(SETR, "")
    return lost_cues(written, truth) if truth and written else []


def coarse_rank(case: Case) -> int | None:
    """Where the best target stood before the judge."""
    if "intersection" in case.ranks:
        return case.ranks["intersection"]
    return min(case.right) + 1 if case.right else case.ranks.get(SETR)


def why(case: Case) -> str:
    """The blame of a query in words, with the numbers it rests on."""
    if SETR not in case.ranks:
        return "Re-ranking was not measured here, so no stage is blamed."
    rank, coarse = _place(case.ranks[SETR]), _place(coarse_rank(case))
    if case.blame is None:
        return f"Re-ranking puts a target first; the coarse list had it at {coarse}."
    said = f"{case.target_p:.2f}" if case.target_p is not None else "none"
    first = f"{case.first_p:.2f}" if case.first_p is not None else "none"
    depth = len(case.margins)
    if case.blame == errors.DESCRIPTION:
        missing = ", ".join(f"“{cue}”" for cue in lost(case)) or "a phrase of the true one"
        return (
            f"The written description lacks {missing}. With the true description in its place, "
            f"the same retriever and judge put a target at {_place(case.rank_with_truth)} and not "
            f"at {rank}."
        )
    if case.blame == errors.COARSE:
        return (
            f"No target is among the {depth} candidates that the judge saw: the best one stands at "
            f"{coarse} of the coarse list."
        )
    if case.blame == errors.INVERSION:
        return (
            f"A target was first in the coarse list. The judge gave it P(Yes) {said} and another "
            f"picture {first}, so it fell to {rank}."
        )
    return (
        f"The judge saw a target (at {coarse} of the coarse list) and gave it P(Yes) {said}; "
        f"another picture got {first}. The target ended at {rank}."
    )


def _place(rank: int | None) -> str:
    return f"rank {rank}" if rank else "no rank"
