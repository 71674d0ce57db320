"""One query under one method, as a row: metrics of its list, and whether its texts are true."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cirdemo import metrics
from cirdemo.data.drawn import statements, wording
from cirdemo.types import Composed, ImageId, Rationale, Triplet

if TYPE_CHECKING:
    from cirdemo.gallery.store import Gallery

CUTS = (1, 5, 10, 50)
SUBSET_CUTS = (1, 2, 3)
TOP = 10  # ids kept in a row


class Rows:
    """Makes the rows of a dataset's queries."""

    def __init__(self, shelf: Gallery, dataset_name: str) -> None:
        """Of a gallery; a drawn world's records say more of a query than its targets."""
        self._shelf = shelf
        self._world = dataset_name if dataset_name in wording.WORLDS else ""

    def row(
        self,
        triplet: Triplet,
        ids: Sequence[ImageId],
        composed: Composed | None,
        scores: Sequence[float] | None = None,
    ) -> dict[str, Any]:
        """One query's metrics on a ranked list, best first; texts from what was composed.

        With the list's scores the row has the ranks before and behind all that tie.
        """
        right = set(triplet.target_ids)
        row: dict[str, Any] = {
            "query_id": triplet.query_id,
            "kind": triplet.kind,
            "rank": next((r for r, i in enumerate(ids, start=1) if i in right), None),
            "top": list(ids[:TOP]),
        }
        if scores is not None and row["rank"] is not None:
            row |= _tied(ids, scores, right)
        if self._world and triplet.kind in wording.WORLDS[self._world]:
            unseen = wording.is_test_only(self._world, triplet.kind, triplet.modification)
            row["phrasing"] = "unseen" if unseen else "seen"
        row |= {f"R@{k}": metrics.recall_at_k(ids, right, k) for k in CUTS}
        row["mAP@10"] = metrics.average_precision_at_k(ids, right, 10)
        row |= subset(triplet, ids)
        if composed is not None and composed.description is not None:
            text, mode = composed.description.text, composed.description.mode
            row["description"] = text
            if truth := getattr(triplet, mode):
                row["description_match"] = float(text.strip() == truth.strip())
        if composed is not None and composed.rationale is not None:
            row |= self._rationale(triplet, composed.rationale)
        return row

    def _rationale(self, triplet: Triplet, said: Rationale) -> dict[str, Any]:
        """Whether a rationale concludes rightly, and which of its statements are true."""
        found: dict[str, Any] = {"conclusion": said.conclusion}
        if truth := triplet.conclusion or triplet.intersection:
            found["conclusion_match"] = float(said.conclusion.strip() == truth.strip())
        reference, target = self._record(triplet.reference_id), self._record(triplet.target_ids[0])
        if reference and target and triplet.intersection:
            true = statements.true_rationale(self._world, reference, target, triplet.intersection)
            verdicts = statements.verdicts(said, true)
            found["statements"] = [[s.step, s.text, ok] for s, ok in verdicts]
        return found

    def _record(self, image_id: ImageId) -> Mapping[str, Any] | None:
        """What a drawn picture shows, or None where nothing is recorded."""
        told = self._shelf.record(image_id) if self._world else None
        return (told or {}).get("record") or None


def _tied(
    ids: Sequence[ImageId], scores: Sequence[float], right: Collection[ImageId]
) -> dict[str, int]:
    """Ranks of the best target if every other picture with its score came behind, or before it."""
    best = next(s for i, s in zip(ids, scores, strict=True) if i in right)
    above = sum(s > best for s in scores)
    others = sum(s == best and i not in right for i, s in zip(ids, scores, strict=True))
    return {"best": above + 1, "worst": above + 1 + others}


def subset(triplet: Triplet, ids: Sequence[ImageId]) -> dict[str, float]:
    """Recalls within a query's subset, where it has one."""
    if not triplet.subset_ids:
        return {}
    return {
        f"R_subset@{k}": metrics.recall_subset_at_k(
            ids, triplet.target_ids, triplet.subset_ids, k, reference=triplet.reference_id
        )
        for k in SUBSET_CUTS
    }
