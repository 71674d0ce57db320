"""What a run of the tour showed, in sentences made from its ranks.

A chapter claims something; whether it holds is said here, of this run alone. Where a run does not
show the effect, the sentences say so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from cirdemo.types import ImageId, Reranked, SearchResult
from cirdemo.words import quoted

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


def extra_of(run: Run) -> list[str]:
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


def carried(run: Run, kept: list[str]) -> str:
    """How much of each list's head shows what the intersection left out."""
    counts, sizes = {}, {}
    for name in ("union", "intersection"):
        told = [run.caption(i) for i in run.result.coarse[name].ids[:HEAD]]
        counts[name], sizes[name] = sum(any(p in text for p in kept) for text in told), len(told)
    every = counts["union"] == sizes["union"]
    those = f"{'All' if every else counts['union'] or 'None'} of the union's first {sizes['union']}"
    return (
        f"The intersection leaves out {quoted(kept)}. {those} pictures still show "
        f"{quoted(kept, 'or')}; of the intersection's, {counts['intersection'] or 'none'}."
    )


def judge_moved(seen: Sequence[Reranked]) -> str:
    """What the judge did to the target that stood best, and to one that it put before that one.

    Args:
        seen: The targets that it saw, at least one.
    """
    was, now = min(seen, key=lambda r: r.coarse_rank), min(seen, key=lambda r: r.rank)
    called = "the target" if len(seen) == 1 else "the best-placed target"
    if was.rank == was.coarse_rank:
        said = f"left {called} at rank {was.rank}"
    else:
        way = "up" if was.rank < was.coarse_rank else "down"
        said = f"moved {called} {way}: {was.coarse_rank} → {was.rank}"
    if now is not was:  # two pictures: no single one went from the best rank to the best rank
        said += f", and put another target before it: {now.coarse_rank} → {now.rank}"
    return said


def _against(run: Run, winner: str, loser: str, why: str) -> Finding:
    """One list ahead of the other, or not."""
    a, b = run.rank(winner), run.rank(loser)
    far = run.size + 1
    said = [
        f"The {loser} puts the best target {_at(b, run.size)} of {run.size}, the {winner} "
        f"{_at(a, run.size)}."
    ]
    if extra := extra_of(run):
        said.append(carried(run, extra))
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
    best, stood = min(seen, key=lambda r: r.rank), min(seen, key=lambda r: r.coarse_rank)
    there = f"The coarse list has the best target at rank {stood.coarse_rank}; "
    said = [
        f"{there}after the judge it stands at {after}, with P(Yes) {best.yes_probability:.2f}."
        if best is stood
        else f"{there}the judge puts that one at {stood.rank} and another target before it, "
        f"{best.coarse_rank} → {best.rank}, with P(Yes) {best.yes_probability:.2f}."
    ]
    first = min(items, key=lambda r: r.coarse_rank)
    if after < before:
        said.append(
            f"The picture that the coarse list had first got P(Yes) {first.yes_probability:.2f} "
            f"and moved from 1 to {first.rank}."
        )
        said.append("It looked at the pictures; the coarse list compared two vectors.")
    elif after == before:
        where = "left it where it was" if best is stood else "has a target at the same rank"
        said.append(f"The judge {where}: this run shows neither gain nor harm.")
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
