"""What happened in a search of the Search page, in sentences made from its lists and captions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cirdemo.types import SearchResult
from cirdemo.ui.findings import HEAD, Run, carried, extra_of, judge_moved
from cirdemo.words import MEANINGLESS, STARTS, phrases, quoted


def walked(run: Run, reasons: Sequence[str] = ()) -> tuple[str, ...]:
    """What a search of any query showed: why its two descriptions differ, what the judge did.

    Everything said of a picture is read off its caption; nothing is said of pictures without one.

    Args:
        run: A search from its coarse stage on; its lists may be short.
        reasons: What the judge writes of the candidates that it refuses, from its first on.

    Returns:
        Sentences; none where the descriptions leave nothing to compare.
    """
    lists, both = run.result.coarse, run.result.descriptions
    if not {"union", "intersection"} <= set(lists) & set(both):
        return ()
    extra = extra_of(run)
    heads = [i for name in ("union", "intersection") for i in lists[name].ids[:HEAD]]
    said = []
    if _unmoved(run):
        said.append(_took_nothing(run))
    elif extra and all(run.caption(i) != i for i in heads):
        said.append(carried(run, extra))
        if run.targets:
            said += _apart(run, extra)
    if halves := _halves(run):
        said.append(halves)
    if run.result.reranked and run.targets and run.result.stage != "judging":  # not final then
        said.append(_moved(run))
    if refused(run.result):
        said.append(_none_fits(run, reasons))
    return tuple(said)


def refused(result: SearchResult) -> bool:
    """Whether the judge is done and says Yes to nothing."""
    given = [r for r in result.reranked if r.image_id in result.judgements]
    done = result.stage in ("rerank", "reasoning", "reason")
    return done and bool(given) and max(r.yes_probability for r in given) < 0.5


def dropped_too_much(run: Run) -> bool:
    """Whether the union found a target that the intersection has further down, for want of cues."""
    union, intersection = run.rank("union"), run.rank("intersection")
    behind = union is not None and (intersection is None or union < intersection)
    return behind and bool(extra_of(run))


def _none_fits(run: Run, reasons: Sequence[str]) -> str:
    """That the judge refuses all, in its own words why, and whether it errs."""
    judged = run.result.judgements
    said = f"The judge says Yes to none of the {len(judged)} candidates that it saw"
    if any(i in judged for i in run.targets):
        said += ", though a known target is among them."
    else:
        said += ": perhaps nothing here fits."
    if not reasons:
        return said
    which = "the first" if len(reasons) == 1 else f"the first {len(reasons)}"
    own = quoted(list(dict.fromkeys(reasons)))
    return f"{said} Of {which} it writes, in its own words: {own}."


def _halves(run: Run) -> str:
    """That each description took up words of the text that the other one left, where both did."""
    asked = words_of(run.result.query.modification)
    both = run.result.descriptions
    union, intersection = (
        [w for w in asked if w in words_of(both[m].text) and w not in words_of(both[m].caption)]
        for m in ("union", "intersection")  # type: ignore[index]
    )
    only = [w for w in union if w not in intersection], [w for w in intersection if w not in union]
    if not all(only):
        return ""
    return (
        f"The two descriptions took different parts of your text: the union {quoted(only[0])}, "
        f"the intersection {quoted(only[1])}. Neither asks for all of it."
    )


def words_of(text: str) -> list[str]:
    """The words of a text that stand for something, once each and in order."""
    found = dict.fromkeys(re.findall(r"[\w'-]+", text.lower()))
    return [w for w in found if w not in STARTS | MEANINGLESS]


def _took_nothing(run: Run) -> str:
    """That the union is the reference's caption again; whether the intersection is a part of it."""
    both = run.result.descriptions
    new = set(words_of(both["intersection"].text)) - set(words_of(both["union"].caption))
    if new:
        return (
            "The union took nothing from your text: it only repeats what the reference shows. "
            "The intersection did; go on with that, or change the cues by hand."
        )
    return (
        "The models took nothing from your text: the descriptions only repeat what the reference "
        "shows, or a part of it. Try other words, or change the cues by hand."
    )


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
        f"So the union's first picture shows {quoted(shows)}, as the reference does, but not "
        f"{quoted(lacks)}."
    ]
    kept = [p for p in extra if p in target]
    if free := [p for p in extra if p not in target]:
        chance = f"; it happens to keep {quoted(kept)}" if kept else ""
        said.append(
            f"Your text does not speak of {quoted(extra)}. Here what it does not speak of is left "
            "open: the target that the intersection found does not show "
            f"{quoted(free, 'or')}{chance}."
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
    lost = [p for p in extra if p not in target]
    chance = f" (it happens to lack {quoted(lost)})" if lost else ""
    if shared and before and bare > len(before) / 2:
        said.append(
            f"The target that the union has at rank {ids.index(found) + 1} still shows "
            f"{quoted(shared)}{chance}; {bare} of the {len(before)} pictures that the intersection "
            "puts before its first target do not. What it left out would have told them apart."
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


def _moved(run: Run) -> str:
    """What the judge did to the targets that it saw."""
    asked = {*run.result.judgements, *run.result.unanswered}
    targets = [r for r in run.result.reranked if r.image_id in run.targets]
    seen = [r for r in targets if r.image_id in asked]
    if not seen:
        return "No target was among the candidates that the judge saw, so it could not help."
    return f"The judge, which looks at each picture, {judge_moved(seen)}."
