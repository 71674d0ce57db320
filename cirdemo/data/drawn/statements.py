"""The statements of a rationale, and which of them the records say.

A rationale makes one statement in its caption, one for each change, one for each thing it leaves
out (or "keep all the rest"), and one in its conclusion. A statement is true where it says exactly
what the records say: the reference's caption, a change between the reference and its target, a
part of the reference's surroundings that the edit does not speak of, the true conclusion. A
statement that ought to be there and is not counts as a false, empty one for the caption, the
changes and the conclusion; a change or a thing left out that is not mentioned among others is not
counted, as nothing is said of it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from cirdemo.data.drawn import edits, edits_wardrobe, fables, queries, reasoning, wardrobe
from cirdemo.types import Rationale

AROUND = ("setting", "time", "weather", "prop")
_SENTENCE = re.compile(r"\s*\.\s*")
_PLACE = re.compile(r"\b(?:in|on|by|at|beside)\b.*?(?=\s(?:in|on|by|at|beside)\b|$)")
Step = Literal["caption", "change", "leave out", "conclusion"]


class Statement(NamedTuple):
    """One thing that a rationale says."""

    step: Step
    text: str


def true_rationale(
    world: str, reference: Mapping[str, Any], target: Mapping[str, Any], intersection: str
) -> Rationale:
    """The true rationale of a query, from the records of its reference and of one of its targets.

    Args:
        world: "fables" or "wardrobe".
        reference: Record of the reference.
        target: Record of a target; any one will do.
        intersection: The true intersection description, which tells what of the surroundings the
            edit speaks of.

    Raises:
        ValueError: The description does not fit the target.
    """
    before: Any
    edit: Any
    if world == "fables":
        before = fables.from_json(dict(reference))
        edit = _edit(before, fables.from_json(dict(target)), intersection)
    else:
        before, wanted = wardrobe.from_json(dict(reference)), wardrobe.from_json(dict(target))
        changed = [a for a in wardrobe.ATTRIBUTES if getattr(before, a) != getattr(wanted, a)]
        edit = edits_wardrobe.GarmentEdit("", "", wanted, tuple(changed))
    asked = queries.Asked(0, edit, ())
    return reasoning.rationale(queries.Pool(world, (before,), (asked,)), asked)


def _edit(before: fables.Scene, target: fables.Scene, intersection: str) -> edits.Edit:
    """The edit that leads from a scene to a target."""
    subject = fables.subject_words(target.animals, target.action)
    tail = intersection.removeprefix(subject).strip()
    for some in itertools.chain.from_iterable(itertools.combinations(AROUND, n) for n in range(5)):
        spoken = {k: getattr(target, k) for k in some}
        if all(spoken.values()) and fables.surroundings_words(**spoken) == tail:
            break
    else:
        raise ValueError(f"{intersection!r} does not describe {fables.caption(target)!r}")
    old, new = before.animals, target.animals
    changed = None
    if edits.is_mixed(old) and len(new) == len(old):
        stays = next((i for i, a in enumerate(old) if a in new), None)
        if stays is not None and set(old) != set(new):
            # the canonical order of a scene may have moved the animal that was changed
            changed = 1 - stays
            turned = next(a for a in new if a != old[stays])
            new = (old[0], turned) if changed else (turned, old[1])
    return edits.Edit("", "", new, target.action, spoken, changed)


def statements(rationale: Rationale) -> list[Statement]:
    """What a rationale says, in its order; an empty text where a step was not written."""
    changes: list[Statement] = []
    left: list[Statement] = []
    for sentence in filter(None, _SENTENCE.split(rationale.reasoning)):
        if sentence.startswith("leave out "):
            rest = sentence.removeprefix("leave out ")
            left += [Statement("leave out", p) for p in _PLACE.findall(rest) or [rest]]
        elif sentence.startswith("keep "):
            left.append(Statement("leave out", sentence))
        else:
            parts = sentence.removeprefix("change ").split(" and ")
            changes += [Statement("change", p) for p in parts]
    changes = changes or [Statement("change", "")]
    first, last = rationale.caption.strip(), rationale.conclusion.strip()
    return [Statement("caption", first), *changes, *left, Statement("conclusion", last)]


def verdicts(said: Rationale, true: Rationale) -> list[tuple[Statement, bool]]:
    """Each statement of a rationale, and whether it is one of the true one's."""
    known = set(statements(true))
    return [(s, bool(s.text) and s in known) for s in statements(said)]
