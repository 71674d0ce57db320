"""What a run of the tour showed, in sentences made from its ranks.

A chapter claims something; whether it holds is said here, of this run alone. Where a run does not
show the effect, the sentences say so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from cirdemo.types import ImageId, SearchResult
from cirdemo.words import phrases

HEAD = 10  # of a list: what a reader sees
DEEP = 50  # ranks beyond it are found by nobody
Captions = Callable[[ImageId], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run and what is known of it."""

    result: SearchResult  # with lists as long as the gallery
    targets: Collection[ImageId]
    size: int  # pictures that were ranked
    caption: Captions

    def rank(self, name: str) -> int | None:
        """The best rank of any target in a list; "judge" is the re-ranked one."""
        if name == "judge":
            ids: Any = [r.image_id for r in self.result.reranked]
        else:
            found = self.result.coarse.get(name)
            ids = found.ids if found else ()
        return next((n for n, i in enumerate(ids, 1) if i in self.targets), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a run showed."""

    holds: bool  # whether it shows what the chapter says
    sentences: tuple[str, ...]


def _at(rank: int | None, size: int) -> str:
    return f"at rank {rank}" if rank else f"nowhere among {size}"


def _extra(run: Run) -> list[str]:
    """What the union keeps of the reference and the intersection leaves out.

    Phrases, and words of a phrase that both change: of a striped shirt that becomes white,
    "striped", where the intersection no longer says it.
    """
    both = run.result.descriptions
    if "union" not in both or "intersection" not in both:
        return []
    kept = {c.text.removeprefix("and ") for c in both["union"].cues if c.status == "kept"}
    gone = [c.text.removeprefix("and ") for c in both["intersection"].cues if c.status == "dropped"]
    new: dict[str, list[set[str]]] = {}  # what a phrase becomes, in the union and after it
    for mode in ("union", "intersection"):
        for cue in both[mode].cues:  # type: ignore[index]
            before, arrow, after = cue.text.partition(" → ")
            if arrow:
                new.setdefault(before, []).append(set(after.split()))
    words = [
        word
        for before, ends in new.items()
        for word in before.split()
        if len(ends) == 2 and word in ends[0] - ends[1] and len(word) > 3
    ]
    return [*words, *(text for text in gone if text in kept)]


def _listed(items: Sequence[str]) -> str:
    """Phrases in quotes, as a sentence lists them."""
    *most, last = [f"“{p}”" for p in items]
    return f"{', '.join(most)} and {last}" if most else last


def walked(run: Run) -> tuple[str, ...]:
    """What a search of any query showed: why its two descriptions differ, what the judge did.

    Everything said of a picture is read off its caption; nothing is said of pictures without one.

    Args:
        run: A search from its coarse stage on; its lists may be short.

    Returns:
        Sentences; none where the descriptions leave nothing to compare.
    """
    lists, both = run.result.coarse, run.result.descriptions
    if not {"union", "intersection"} <= set(lists) & set(both):
        return ()
    extra = _extra(run)
    heads = [i for name in ("union", "intersection") for i in lists[name].ids[:HEAD]]
    said = []
    if _unmoved(run):
        said.append(
            "The models took nothing from your text: the union only repeats what the reference "
            "shows. Try other words, or change the cues by hand."
        )
    elif extra and all(run.caption(i) != i for i in heads):
        said.append(_carried(run, extra))
        if run.targets:
            said += _apart(run, extra)
    reranked = run.result.reranked
    if reranked and run.targets:
        said += _moved(run)
    verdicts = [r.yes_probability for r in reranked if r.image_id in run.result.judgements]
    if run.result.stage in ("rerank", "reasoning", "reason") and verdicts and max(verdicts) < 0.5:
        said.append(
            f"The judge says Yes to none of the {len(verdicts)} candidates that it saw: perhaps "
            "nothing here fits."
        )
    return tuple(said)


def _unmoved(run: Run) -> bool:
    """Whether the model's union is its caption of the reference again."""
    union = run.result.descriptions["union"]
    if union.writer == "user" or not union.caption:
        return False
    return _bare(union.text) == _bare(union.caption)


def _bare(text: str) -> set[str]:
    """The phrases of a text, whichever of them "and" stands before."""
    return {p.removeprefix("and ") for p in phrases(text)}


def _apart(run: Run, extra: list[str]) -> list[str]:
    """Which of the two found the target, and by what; only what the captions bear out."""
    far = 10**9
    union, intersection = (run.rank(n) or far for n in ("union", "intersection"))
    if intersection < union:
        return _ahead(run, extra)
    return _behind(run, extra) if union < intersection else []


def _ahead(run: Run, extra: list[str]) -> list[str]:
    """The intersection found the target: what the union put first instead, and why that is none."""
    lists = run.result.coarse
    first = run.caption(lists["union"].ids[0])
    target = run.caption(next(i for i in lists["intersection"].ids if i in run.targets))
    asked = [p.removeprefix("and ") for p in phrases(run.result.descriptions["intersection"].text)]
    lacks = [p for p in asked if p not in first]
    shows = [p for p in extra if p in first]
    if not (shows and lacks):
        return []
    said = [
        f"So the union's first picture shows {_listed(shows)}, as the reference does, but not "
        f"{_listed(lacks)}."
    ]
    if free := [p for p in shows if p not in target]:
        said.append(
            f"Your text does not speak of {_listed(free)}. Here what it does not speak of is left "
            "open, and the target shows none of it."
        )
    return said


def _behind(run: Run, extra: list[str]) -> list[str]:
    """The union found the target: what the pictures before it in the intersection's list lack."""
    lists = run.result.coarse
    ids = lists["union"].ids
    found = next(i for i in ids if i in run.targets)
    target = run.caption(found)
    rank = run.rank("intersection")  # None: beyond the list, and all of it stands before
    before = [run.caption(i) for i in lists["intersection"].ids[: rank - 1 if rank else None]]
    shared = [p for p in extra if p in target]
    asked = _asked(run)
    bare = sum(not any(p in text for p in shared) for text in before)
    missed = [p for p in asked if p in target and sum(p not in t for t in before) > len(before) / 2]
    said = []
    if shared and before and bare > len(before) / 2:
        said.append(
            f"The target that the union has at rank {ids.index(found) + 1} still shows "
            f"{_listed(shared)}; {bare} of the {len(before)} pictures that the intersection puts "
            "before its first target do not. What it left out would have told them apart."
        )
    for phrase in missed:
        lacking = sum(phrase not in text for text in before)
        said.append(
            f"“{phrase}” was asked for, and yet {lacking} of those {len(before)} pictures do not "
            "show it: coarse retrieval passed over it."
            if said
            else f"Of the {len(before)} pictures that the intersection puts before its first "
            f"target {lacking} do not show “{phrase}”, though it was asked for: coarse retrieval "
            "passed over it."
        )
    return said


def _asked(run: Run) -> list[str]:
    """Phrases that the modification brought into the intersection."""
    cues = run.result.descriptions["intersection"].cues
    new = [c.text.rpartition(" → ")[2] for c in cues if c.status in ("added", "changed")]
    return [p.removeprefix("and ") for p in new]


def _moved(run: Run) -> list[str]:
    """What the judge did to the best target."""
    seen = [r for r in run.result.reranked if r.image_id in run.targets]
    if not seen:
        return ["No target was among the candidates that the judge saw, so it could not help."]
    before, after = min(r.coarse_rank for r in seen), min(r.rank for r in seen)
    if after == before:
        return [f"The judge left the target at rank {after}."]
    way = "up" if after < before else "down"
    return [f"The judge, which looks at each picture, moved the target {way}: {before} → {after}."]


def _carried(run: Run, kept: list[str]) -> str:
    """How much of each list's head shows what the intersection left out."""
    counts = {}
    for name in ("union", "intersection"):
        told = [run.caption(i) for i in run.result.coarse[name].ids[:HEAD]]
        counts[name] = sum(any(p in text for p in kept) for text in told)
    return (
        f"The intersection leaves out {_listed(kept)}. Of the union's first {HEAD} pictures "
        f"{counts['union']} show some of it; of the intersection's, {counts['intersection']}."
    )


def _against(run: Run, winner: str, loser: str, why: str) -> Finding:
    """One list ahead of the other, or not."""
    a, b = run.rank(winner), run.rank(loser)
    far = run.size + 1
    said = [
        f"The {loser} puts the best target {_at(b, run.size)} of {run.size}, the {winner} "
        f"{_at(a, run.size)}."
    ]
    if extra := _extra(run):
        said.append(_carried(run, extra))
    holds = (a or far) < (b or far)
    if holds:
        said.append(why)
    elif a == b:
        said.append("This run does not show the effect: both put it at the same place.")
    else:
        said.append(f"This run shows the opposite: here the {loser} is ahead.")
    return Finding(holds=holds, sentences=tuple(said))


def dragged(run: Run) -> Finding:
    """Chapter 1."""
    why = "What nobody asked for has pulled other pictures in front of the target."
    return _against(run, "intersection", "union", why)


def wardrobe(run: Run) -> Finding:
    """Chapter 5."""
    why = "Here what was left out was needed: many garments fit the shorter description."
    return _against(run, "union", "intersection", why)


def judged(run: Run) -> Finding:
    """Chapter 2."""
    items, before = run.result.reranked, run.rank("intersection")
    after = run.rank("judge")
    seen = [r for r in items if r.image_id in run.targets]
    if not seen or before is None or after is None:
        return Finding(
            holds=False,
            sentences=(
                f"The coarse list has the best target {_at(before, run.size)}; the judge saw only "
                f"the first {len(run.result.judgements)}, so it could not help.",
            ),
        )
    best = min(seen, key=lambda r: r.rank)
    said = [
        f"The coarse list has the best target at rank {before}; after the judge it stands at "
        f"{after}, with P(Yes) {best.yes_probability:.2f}."
    ]
    first = min(items, key=lambda r: r.coarse_rank)
    if after < before:
        said.append(
            f"The picture that the coarse list had first got P(Yes) {first.yes_probability:.2f} "
            f"and moved from 1 to {first.rank}."
        )
        said.append("It looked at the pictures; the coarse list compared two vectors.")
    elif after == before:
        said.append("The judge left it where it was: this run shows neither gain nor harm.")
    else:
        wrong = items[0]
        said.append(
            f"Here it errs: P(Yes) {wrong.yes_probability:.2f} went to a picture that is no "
            f"target, “{run.caption(wrong.image_id)}”."
        )
    return Finding(holds=after != before, sentences=tuple(said))


def reasoned(run: Run) -> Finding:
    """Chapter 3."""
    ranks = {n: run.rank(n) for n in ("cot", "cot_direct", "intersection", "union")}
    far = run.size + 1
    said = [
        f"With the rationale written first the best target stands {_at(ranks['cot'], run.size)}; "
        f"the same model made to conclude at once puts it {_at(ranks['cot_direct'], run.size)}. "
        f"The union has it {_at(ranks['union'], run.size)}, the intersection "
        f"{_at(ranks['intersection'], run.size)}."
    ]
    told = run.result.rationale
    if told is not None and told.conclusion:
        target = next(
            (run.caption(i) for i in run.result.coarse["cot"].ids if i in run.targets), ""
        )
        fits = bool(target) and target.startswith(told.conclusion)
        said.append(
            f"Its conclusion is “{told.conclusion}”, "
            + (
                "which is how the target's true caption begins."
                if fits
                else f"and the target's true caption is “{target}”."
            )
        )
    holds = (ranks["cot"] or far) < (ranks["cot_direct"] or far)
    if not holds:
        same = ranks["cot"] == ranks["cot_direct"]
        said.append(
            "On this query thinking first changes nothing about the rank: what it adds is that "
            "you can read, and correct, where the vector comes from."
            if same
            else "On this query thinking first costs ranks: a wrong step is carried on."
        )
    return Finding(holds=holds, sentences=tuple(said))


def tuned(run: Run) -> Finding:
    """Chapter 4."""
    ranks = {n: run.rank(n) for n in ("dpo_published", "dpo", "text", "intersection")}
    where = {name: _at(rank, run.size) for name, rank in ranks.items()}
    chance = (run.size + 1) / (len(run.targets) + 1)
    listed = run.result.coarse["dpo_published"].candidates
    said = [
        f"As its code does it: {where['dpo_published']} of {run.size}. As its text means it: "
        f"{where['dpo']}. The modification text alone: {where['text']}; the intersection: "
        f"{where['intersection']}.",
        f"A shuffled gallery would put the best of {len(run.targets)} targets near rank "
        f"{chance:.0f}.",
        f"Over the whole gallery its cosines run from {listed[-1].score:.3f} to "
        f"{listed[0].score:.3f}: they are taken in a space that the pictures are not in.",
    ]
    holds = (ranks["dpo_published"] or run.size) > DEEP
    if not holds:
        said.append("On this query it comes out near the top: luck, as the test split shows.")
    return Finding(holds=holds, sentences=tuple(said))
